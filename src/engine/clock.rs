//! What the clocks say: has the wall clock jumped, has a slot ended, has a day begun?

use std::time::Duration;

use super::{Action, Engine, Event, State};
use crate::engine::neighbours::Outcome;
use crate::log::RETENTION_DAYS;
use crate::sighting::GapCause;
use crate::time::{Moment, Timestamp, UtcDay};

/// How far wall clock and monotonic clock may part. Chosen: more than a clock that is being
/// disciplined drifts in [`ANCHOR_AGE_MAX`] (500 parts in a million, 1.8 s), and far less than a
/// replayed identifier would need.
const JUMP_MIN: Duration = Duration::from_secs(5);

/// How long a reading is compared against, so that a clock that creeps is noticed as one that leaps.
const ANCHOR_AGE_MAX: Duration = Duration::from_secs(3_600);

/// After an unexplained jump forward, nothing is deleted for so long: it may be somebody's false
/// time, and what is deleted does not come back with the true one. Chosen: a day, in which a wrong
/// clock is noticed and set right.
const DELETION_HELD: Duration = Duration::from_secs(86_400);

/// While advertising, the wall clock is looked at so often at least: after a sleep, of which the
/// monotonic clock knows nothing, the old identifier must not go on for long. Chosen.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The wall clock's.
const GRAIN: Duration = Duration::from_millis(1);

/// What was seen of the clocks before.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    anchor: Option<Moment>,
    latest: Duration,
    today: Option<UtcDay>,
    deletion_due: bool,
    deletion_held_until: Option<Duration>,
}

impl Engine {
    /// Looks at the clocks, and does what they call for.
    pub(super) fn observe(&mut self, now: Moment) {
        // A frame that has waited is older than what was seen since.
        if now.monotonic < self.watch.latest {
            return;
        }
        self.watch.latest = now.monotonic;
        let jump_ms = self.watch.anchor.map_or(0, |anchor| parted_ms(anchor, now));
        if jump_ms.unsigned_abs() > JUMP_MIN.as_millis() {
            self.clock_jumped(now, jump_ms);
        }
        let age = |anchor: Moment| now.monotonic.saturating_sub(anchor.monotonic);
        if self
            .watch
            .anchor
            .is_none_or(|anchor| age(anchor) > ANCHOR_AGE_MAX)
        {
            self.watch.anchor = Some(now);
        }
        if !self.running {
            return;
        }
        self.day(now);
        let in_slot = |wall| {
            self.slot
                .is_some_and(|slot| (slot.start..slot.end).contains(&wall))
        };
        if self.advertise.on && !in_slot(now.wall) {
            self.rotate(now);
        }
    }

    /// When the clocks are to be looked at next, if they are.
    pub(super) fn next_look_at_the_clock(&self) -> Option<Duration> {
        let slot = self.slot.filter(|_| self.advertise.on)?;
        let wall = self.watch.anchor.map(|anchor| {
            let since = self.watch.latest.saturating_sub(anchor.monotonic);
            anchor.wall.saturating_add(since)
        })?;
        let left = match slot.end.since(wall) {
            // Seen not to be over yet, so by a fraction of the wall clock's grain; at the end of time
            // it never is.
            Duration::ZERO if slot.end < Timestamp::MAX => GRAIN,
            Duration::ZERO => LOOK_EVERY,
            left => left.min(LOOK_EVERY),
        };
        Some(self.watch.latest.saturating_add(left))
    }

    fn clock_jumped(&mut self, now: Moment, by_ms: i128) {
        self.watch.anchor = Some(now);
        if by_ms > 0 && self.running {
            self.may_have_slept(now, by_ms);
        }
        // Sightings never reach across a jump: their times would be of two clocks.
        let mut out = Outcome::default();
        self.neighbours.close_all(&mut out);
        self.take(now, out);
        self.health.counters.clock_jumps += 1;
        if by_ms > 0 {
            let until = now.monotonic.saturating_add(DELETION_HELD);
            self.watch.deletion_held_until = Some(until);
        }
        let by_ms = i64::try_from(by_ms).unwrap_or(if by_ms < 0 { i64::MIN } else { i64::MAX });
        self.tell(Event::ClockJumped { by_ms });
    }

    /// Takes up again what a sleep may have ended: controllers forget a scan, and an advertisement.
    fn may_have_slept(&mut self, now: Moment, by_ms: i128) {
        let slept = Duration::from_millis(u64::try_from(by_ms).unwrap_or(u64::MAX));
        self.open_gap(now.wall.saturating_sub(slept), GapCause::ClockJump);
        if self.scan.on {
            self.begin_scan(now);
        } else if self.health.scanning.state == State::Resting {
            self.close_gap(now.wall);
        }
        if self.advertise.on {
            self.slot = None;
            self.rotate(now);
        }
    }

    /// Forgets what is older than the retention when a day begins, unless that is held.
    fn day(&mut self, now: Moment) {
        let today = now.wall.utc_day();
        if self.watch.today.replace(today) != Some(today) {
            self.watch.deletion_due = true;
        }
        if self
            .watch
            .deletion_held_until
            .is_some_and(|until| until <= now.monotonic)
        {
            self.watch.deletion_held_until = None;
        }
        if self.watch.deletion_held_until.is_none() && std::mem::take(&mut self.watch.deletion_due)
        {
            self.forget_before(today.saturating_sub(RETENTION_DAYS));
            self.actions.push_back(Action::Purge(today));
        }
    }
}

/// By how much the wall clock has gone ahead of the monotonic one since `anchor`.
fn parted_ms(anchor: Moment, now: Moment) -> i128 {
    let wall = i128::from(now.wall.unix_millis()) - i128::from(anchor.wall.unix_millis());
    let monotonic = now.monotonic.as_millis() as i128 - anchor.monotonic.as_millis() as i128;
    wall - monotonic
}
