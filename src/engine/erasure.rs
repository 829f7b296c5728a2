//! Forgetting what is older than the retention: when, when not yet, and whether it is beyond reach.

use std::fmt;
use std::time::Duration;

use super::{Action, Engine, State};
use crate::log::{KeyError, KeysRenewed};
use crate::time::{Moment, Timestamp, UtcDay};

/// Nothing is deleted for so long where the wall clock may be somebody's false time: what is deleted does not
/// come back with the true one. Chosen: a day, in which a wrong clock is noticed and set right.
pub(super) const DELETION_HELD: Duration = Duration::from_secs(86_400);

/// A day counts as one on which the tracer has run if it ran for so long. Chosen: a phone is awake for longer, and
/// fourteen such days are longer than [`DELETION_HELD`].
const DAY_RUN_MIN: Duration = Duration::from_secs(7_200);

/// So many days one after the other on which the tracer has run make the next believable, where a sleep looks like a
/// jump. Chosen: with one, a clock that was set ahead twice would be believed.
const DAYS_RUN_MIN: u32 = 2;

/// So many if the clock went ahead by more than a day: of [`DAY_RUN_MIN`] each, as long as [`DELETION_HELD`].
const DAYS_RUN_MIN_IN_DOUBT: u32 = 12;

/// A jump forward that is longer is no night's sleep. Chosen.
const SLEEP_MAX: Duration = Duration::from_secs(86_400);

/// Keys that could not be made anew are tried again so often. Chosen: a device that was locked at midnight is
/// unlocked in the morning, and each try asks the system's keystore, which may cost power.
const ERASURE_RETRY: Duration = Duration::from_secs(3_600);

/// Nothing is erased for a while, as nobody can tell whether the wall clock is right.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct DeletionHeld {
    /// What was seen of the clock.
    pub cause: HoldCause,
    /// Since when.
    pub since: Timestamp,
    /// Until when, if the tracer runs all the time and the clock goes on as it does.
    pub until: Timestamp,
}

/// Why nothing is erased for a while.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HoldCause {
    /// The wall clock has gone ahead of the time that has passed.
    ClockAhead {
        /// By so many milliseconds.
        by_ms: i64,
    },
    /// The log was last written more than a day ago, before the machine was started anew: it was off, or the
    /// wall clock was set.
    LongAgo {
        /// When, by the wall clock of then.
        last: Timestamp,
    },
    /// It was held already when the tracer ended, and has not run for a day since.
    NotOver,
}

/// A hold, and when it ends on the monotonic clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    held: DeletionHeld,
    since: Duration,
    until: Duration,
    /// By how much the clock has gone ahead since, in jumps each of which may have been a sleep.
    slept: Duration,
    /// What it began with was more than a sleep.
    in_doubt: bool,
}

impl Hold {
    fn new(now: Moment, cause: HoldCause, in_doubt: bool) -> Self {
        Self {
            held: DeletionHeld {
                cause,
                since: now.wall,
                until: now.wall.saturating_add(DELETION_HELD),
            },
            since: now.monotonic,
            until: now.monotonic.saturating_add(DELETION_HELD),
            slept: Duration::ZERO,
            in_doubt,
        }
    }

    /// Still the same after a jump that may have been a sleep, unless there was more sleep than a day beside the
    /// time that the tracer has run: else the clock could be set far ahead just before the end.
    fn after_sleep(self, now: Moment, slept: Duration) -> Option<Self> {
        let ran = now.monotonic.saturating_sub(self.since);
        let sum = self.slept.saturating_add(slept);
        let plausible = slept <= SLEEP_MAX && sum <= SLEEP_MAX.saturating_add(ran);
        plausible.then_some(Self { slept: sum, ..self })
    }
}

/// On which days the tracer has run.
#[derive(Clone, Copy, Debug)]
struct DaysRun {
    today: UtcDay,
    /// Since when it is today, on the monotonic clock.
    since: Duration,
    /// Days before today, one after the other, on each of which it ran for [`DAY_RUN_MIN`].
    before: u32,
}

impl DaysRun {
    fn next(self, today: UtcDay, now: Moment) -> Self {
        let ran = now.monotonic.saturating_sub(self.since);
        let counts = self.today.end().utc_day() == today && ran >= DAY_RUN_MIN;
        Self {
            today,
            since: now.monotonic,
            before: if counts {
                self.before.saturating_add(1)
            } else {
                0
            },
        }
    }
}

/// What is due to be forgotten.
#[derive(Debug, Default)]
pub(super) struct Erasure {
    today: Option<UtcDay>,
    due: bool,
    /// The day that was purged last.
    purged: Option<UtcDay>,
    days_run: Option<DaysRun>,
    hold: Option<Hold>,
    /// What was held before a jump of which nobody knows yet whether the machine slept.
    before_jump: Option<Option<Hold>>,
    /// When what failed is tried again.
    retry: Option<Duration>,
    /// Keys that open what is too old could not be made anew yet.
    keys_deferred: bool,
}

impl Erasure {
    /// When something is to be done.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let held_until = self.hold.map(|hold| hold.until);
        let retry = self.retry.filter(|_| self.may_retry());
        held_until.into_iter().chain(retry).min()
    }

    /// A hold does not put off what was begun before it, for the same day: nothing more is forgotten by it.
    fn may_retry(&self) -> bool {
        self.hold.is_none() || self.today == self.purged
    }

    /// Nobody is running any more.
    pub(super) fn stop(&mut self) {
        self.days_run = None;
    }

    /// It is `today`: whether that has just begun.
    fn day_begins(&mut self, today: UtcDay, now: Moment) -> bool {
        match &mut self.days_run {
            Some(days) if days.today != today => *days = days.next(today, now),
            Some(_) => {}
            None => {
                self.days_run = Some(DaysRun {
                    today,
                    since: now.monotonic,
                    before: 0,
                });
            }
        }
        self.today.replace(today) != Some(today)
    }

    /// Whether the tracer has run on so many days before today that this is the time, though it is held.
    fn is_believed(&self) -> bool {
        let needed = match self.hold {
            Some(Hold { in_doubt: true, .. }) => DAYS_RUN_MIN_IN_DOUBT,
            _ => DAYS_RUN_MIN,
        };
        self.days_run.is_some_and(|days| days.before >= needed)
    }
}

impl Engine {
    /// Forgets what is older than the retention when a day begins, unless that is held.
    pub(super) fn forget(&mut self, now: Moment) {
        let today = now.wall.utc_day();
        let begins = self.erasure.day_begins(today, now);
        self.erasure.due |= begins;
        // Where the time since the machine's start is told, it alone tells a sleep.
        let believed = begins && !self.tells_uptime() && self.erasure.is_believed();
        let ends = |hold: Hold| believed || hold.until <= now.monotonic;
        if self.erasure.hold.is_some_and(ends) {
            self.erasure.before_jump = None;
            self.set_hold(None, now);
            self.tell_health(now);
        }
        let retried = self.erasure.retry.is_some_and(|at| at <= now.monotonic);
        let due = self.erasure.due && self.erasure.hold.is_none();
        if due || (retried && self.erasure.may_retry()) {
            self.erasure.due &= !due;
            self.erasure.retry = None;
            self.erasure.purged = Some(today);
            self.forget_before(today.saturating_sub(self.config.retention_days));
            self.actions.push_back(Action::Purge(today));
        }
    }

    /// Erases nothing for a day.
    pub(super) fn hold_deletion(&mut self, now: Moment, cause: HoldCause) {
        self.set_hold(Some(Hold::new(now, cause, true)), now);
    }

    /// Erases nothing for a day after a jump of `by_ms` forward, unless it turns out that the machine slept. What is
    /// held already is held no longer for a jump that may have been a sleep: a device that sleeps each night, and whose
    /// clocks do not tell, would never erase.
    pub(super) fn hold_unless_it_slept(&mut self, now: Moment, by_ms: i64) {
        let before = self.erasure.hold;
        self.erasure.before_jump.get_or_insert(before);
        let jump = Duration::from_millis(by_ms.unsigned_abs());
        let hold = before
            .and_then(|hold| hold.after_sleep(now, jump))
            .unwrap_or_else(|| {
                let in_doubt = jump > SLEEP_MAX || before.is_some_and(|hold| hold.in_doubt);
                Hold::new(now, HoldCause::ClockAhead { by_ms }, in_doubt)
            });
        self.set_hold(Some(hold), now);
    }

    /// The jump before `now` is explained by a sleep, or it is not.
    pub(super) fn jump_explained(&mut self, now: Moment, slept: bool) {
        if let Some(before) = self.erasure.before_jump.take()
            && slept
        {
            self.set_hold(before, now);
            self.tell_health(now);
        }
    }

    /// The wall clock says something else than it would have: what is held is held as long as before.
    pub(super) fn hold_goes_on(&mut self, now: Moment) {
        self.set_hold(self.erasure.hold, now);
    }

    fn set_hold(&mut self, hold: Option<Hold>, now: Moment) {
        self.erasure.hold = hold;
        self.health.deletion_held = hold.map(|Hold { held, until, .. }| DeletionHeld {
            until: now.wall.saturating_add(until.saturating_sub(now.monotonic)),
            ..held
        });
    }

    /// Whether nothing was being erased when the tracer ended on `last`: own keys are there that should have
    /// been forgotten by then. That the last two days have theirs shows that the hold has had its time.
    pub(super) fn was_held(&self, last: UtcDay, today: UtcDay) -> bool {
        let oldest = last.min(today).saturating_sub(self.config.retention_days);
        let has = |day| self.own_keys.iter().any(|key| key.day() == day);
        self.own_keys.iter().any(|key| key.day() < oldest)
            && !(has(today.saturating_sub(1)) && has(today.saturating_sub(2)))
    }

    /// How [`Action::Purge`] went with the keys that open what is too old. Where they could not be made anew
    /// because the device is locked, say, the purge is asked for again, each hour and when a day begins.
    pub fn erasure_result(&mut self, now: Moment, keys: &KeysRenewed) {
        let state = match keys {
            // Whatever was put off before is still to be done.
            KeysRenewed::NotDue if self.erasure.keys_deferred => self.health.erasure.state.clone(),
            KeysRenewed::Renewed | KeysRenewed::NotDue => State::Working,
            KeysRenewed::Deferred(why @ KeyError::CannotReplace) => {
                State::Unsupported(why.to_string())
            }
            KeysRenewed::Deferred(why) => State::Failing(why.to_string()),
        };
        self.erasure.keys_deferred = self.set_erasure(now, state);
    }

    /// [`Action::Purge`] has failed, for `reason`: it is asked for again, each hour and when a day begins.
    pub fn erasure_failed(&mut self, now: Moment, reason: String) {
        self.set_erasure(now, State::Failing(reason));
    }

    /// Gives whether it fails.
    fn set_erasure(&mut self, now: Moment, state: State) -> bool {
        let failing = matches!(state, State::Failing(_));
        self.erasure.retry = failing.then(|| now.monotonic.saturating_add(ERASURE_RETRY));
        if self.health.erasure.set(state, now.wall) {
            self.tell_health(now);
        }
        failing
    }
}

impl fmt::Display for DeletionHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing is erased until {}, as ", self.until)?;
        match self.cause {
            HoldCause::ClockAhead { by_ms } => {
                let by = span(by_ms.unsigned_abs());
                write!(f, "the clock went ahead by {by}")?;
            }
            HoldCause::LongAgo { last } => {
                write!(f, "the log was last written at {last} by this clock")?;
            }
            HoldCause::NotOver => f.write_str("the clock was doubtful before this start")?,
        }
        f.write_str(": set it right if it is wrong")
    }
}

/// In the largest unit of which there are two.
fn span(ms: u64) -> String {
    let units = [
        (86_400_000, "days"),
        (3_600_000, "hours"),
        (60_000, "minutes"),
    ];
    let unit = units.into_iter().find(|(length, _)| ms >= 2 * length);
    let (length, name) = unit.unwrap_or((1_000, "seconds"));
    format!("{} {name}", ms / length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_units_that_fit() {
        for (ms, text) in [
            (0, "0 seconds"),
            (119_999, "119 seconds"),
            (120_000, "2 minutes"),
            (7_200_000, "2 hours"),
            (172_799_999, "47 hours"),
            (40 * 86_400_000, "40 days"),
        ] {
            assert_eq!(span(ms), text);
        }
    }
}
