//! When a change of health is told: at once, but for a failure that may be over in a moment.

use std::time::Duration;

use super::{DeletionHeld, Health, State};
use crate::radio::{Advertised, ScanMode};
use crate::time::Timestamp;

/// A failure is told once it has lasted so long. Chosen: `bluetoothd` restarts, and the scan goes on,
/// within five seconds; nobody has to be told of that twice. Whoever asks for the health sees it at
/// once.
const HELD: Duration = Duration::from_secs(5);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Announcer {
    told: Option<Told>,
    due: Option<Duration>,
}

/// What of the health is worth telling: not counters, nor a pause that the schedule wants.
#[derive(Debug, Eq, PartialEq)]
struct Told {
    states: [State; 3],
    erasure: State,
    deletion_held: Option<DeletionHeld>,
    silent_since: Option<Timestamp>,
    advertised: Option<Advertised>,
    scan_mode: Option<ScanMode>,
}

impl Told {
    fn of(health: &Health) -> Self {
        let states = [&health.scanning, &health.advertising, &health.log];
        Self {
            states: states.map(|status| match &status.state {
                State::Resting => State::Working,
                state => state.clone(),
            }),
            erasure: match &health.erasure.state {
                // That there was something to forget is no news.
                State::Stopped => State::Working,
                state => state.clone(),
            },
            deletion_held: health.deletion_held,
            silent_since: health.silent_since,
            advertised: health.advertised.clone(),
            scan_mode: health.scan_mode,
        }
    }
}

impl Announcer {
    /// Whether `health` is to be told now; it counts as told then.
    pub(super) fn is_to_tell(&mut self, health: &Health, now: Duration) -> bool {
        let new = Told::of(health);
        let Some(told) = &self.told else {
            return self.tell(new);
        };
        if *told == new {
            self.due = None;
            return false;
        }
        let states = told.states.iter().zip(&new.states);
        let begins_to_fail = states
            .chain([(&told.erasure, &new.erasure)])
            .any(|(before, after)| *before == State::Working && matches!(after, State::Failing(_)));
        // That it is held may be over once the machine is known to have slept.
        if begins_to_fail || (told.deletion_held.is_none() && new.deletion_held.is_some()) {
            self.due.get_or_insert(now.saturating_add(HELD));
            return false;
        }
        self.tell(new)
    }

    /// Whether what was held is to be told by now.
    pub(super) fn is_due(&mut self, health: &Health, now: Duration) -> bool {
        self.due.is_some_and(|due| due <= now) && self.tell(Told::of(health))
    }

    /// When something that is held is to be told.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    fn tell(&mut self, told: Told) -> bool {
        self.told = Some(told);
        self.due = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(scanning: State) -> Health {
        let mut health = Health::new(Timestamp::from_unix_seconds(0));
        health.scanning.state = scanning;
        health
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_failure_of_a_moment_is_not_told() {
        let mut announcer = Announcer::default();
        assert!(announcer.is_to_tell(&health(State::Working), s(0)));
        let failing = health(State::Failing("gone".to_owned()));
        assert!(!announcer.is_to_tell(&failing, s(10)));
        assert_eq!(announcer.due(), Some(s(15)));
        assert!(!announcer.is_to_tell(&health(State::Resting), s(13)));
        assert_eq!(announcer.due(), None);
        assert!(!announcer.is_due(&health(State::Working), s(60)));
    }

    #[test]
    fn a_failure_that_lasts_is_told_once_and_its_end_at_once() {
        let mut announcer = Announcer::default();
        assert!(announcer.is_to_tell(&health(State::Working), s(0)));
        let failing = health(State::Failing("gone".to_owned()));
        assert!(!announcer.is_to_tell(&failing, s(10)));
        // Another try fails too, which puts nothing off.
        assert!(!announcer.is_to_tell(&failing, s(14)));
        assert!(announcer.is_due(&failing, s(15)));
        assert!(!announcer.is_to_tell(&failing, s(20)));
        assert!(announcer.is_to_tell(&health(State::Working), s(21)));
    }

    #[test]
    fn what_never_worked_is_told_at_once() {
        let mut announcer = Announcer::default();
        assert!(announcer.is_to_tell(&health(State::Starting), s(0)));
        assert!(announcer.is_to_tell(&health(State::Failing("off".to_owned())), s(0)));
    }
}
