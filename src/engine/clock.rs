//! What the clocks say: has the wall clock jumped, has the machine slept, has a slot ended?

use std::time::Duration;

use super::{Engine, Event, HoldCause, State};
use crate::engine::neighbours::Outcome;
use crate::sighting::GapCause;
use crate::time::{ClockReading, Moment, Timestamp};

/// How far wall clock and monotonic clock may part. Chosen: more than a clock that is being
/// disciplined drifts in [`ANCHOR_AGE_MAX`] (500 parts in a million, 1.8 s), and far less than a
/// replayed identifier would need.
const JUMP_MIN: Duration = Duration::from_secs(5);

/// How long a reading is compared against, so that a clock that creeps is noticed as one that leaps.
const ANCHOR_AGE_MAX: Duration = Duration::from_secs(3_600);

/// How far the wall clock may be ahead of what the log says it was last, after a start of the machine that
/// nobody can tell the time of. Chosen: a night's or a journey's rest, in which but one day becomes too old.
const OFF_MAX: Duration = Duration::from_secs(86_400);

/// While advertising, the wall clock is looked at so often at least: after a sleep, of which the
/// monotonic clock knows nothing, the old identifier must not go on for long. Chosen.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// While not advertising, so often, so that a day that has begun is noticed though nobody is near. Chosen: an
/// hour, in which nothing that is forgotten a day late matters.
const LOOK_AT_LEAST_EVERY: Duration = Duration::from_secs(3_600);

/// The wall clock's.
const GRAIN: Duration = Duration::from_millis(1);

/// What was seen of the clocks before.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    anchor: Option<Moment>,
    latest: Option<Moment>,
    /// What the log was last written beside, and what the clocks said then, until it is judged.
    resumed: Option<(ClockReading, ClockReading)>,
    /// What the clocks said, the machine's start among them.
    reading: Option<ClockReading>,
}

impl Engine {
    /// Looks at the clocks, and does what they call for.
    pub(super) fn observe(&mut self, now: Moment) {
        // A frame that has waited is older than what was seen since.
        let latest = self.watch.latest;
        if latest.is_some_and(|latest| now.monotonic < latest.monotonic) {
            return;
        }
        self.watch.latest = Some(now);
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
        self.forget(now);
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
        let latest = self.watch.latest?;
        let Some(slot) = self.slot.filter(|_| self.advertise.on) else {
            return Some(latest.monotonic.saturating_add(LOOK_AT_LEAST_EVERY));
        };
        // By what the wall clock said last: it may have parted from the other by up to JUMP_MIN.
        let left = match slot.end.since(latest.wall) {
            // Seen not to be over yet, so by a fraction of the wall clock's grain; at the end of time
            // it never is.
            Duration::ZERO if slot.end < Timestamp::MAX => GRAIN,
            Duration::ZERO => LOOK_EVERY,
            left => left.min(LOOK_EVERY),
        };
        Some(latest.monotonic.saturating_add(left))
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
        if by_ms > 0 {
            self.hold_unless_it_slept(now, saturated(by_ms));
        } else {
            self.hold_goes_on(now);
        }
        self.count_jump(by_ms);
        if self.running {
            self.tell_health(now);
        }
    }

    fn count_jump(&mut self, by_ms: i128) {
        self.health.counters.clock_jumps += 1;
        let by_ms = saturated(by_ms);
        self.tell(Event::ClockJumped { by_ms });
    }

    /// Tells what the clocks said when the log was last written
    /// ([`EncounterLog::last_clock`](crate::EncounterLog::last_clock)) and what they say now, before
    /// [`start`](Self::start): a wall clock that was set while no tracer ran is noticed by it.
    ///
    /// Where it was set ahead, or nobody can tell whether the device was off for more than a day or its clock
    /// is false, nothing is erased until the tracer has run for a day
    /// ([`Health::deletion_held`](super::Health::deletion_held)).
    pub fn resume_clock(&mut self, last: ClockReading, now: ClockReading) {
        self.watch.resumed = Some((last, now));
    }

    pub(super) fn tells_uptime(&self) -> bool {
        let reading = self.watch.reading;
        reading.is_some_and(|reading| reading.uptime.is_some())
    }

    pub(super) fn judge_resumed_clock(&mut self, now: Moment) {
        let Some((last, reading)) = self.watch.resumed.take() else {
            return;
        };
        self.watch.reading = Some(reading);
        let gone_on = ms_between(last.wall, reading.wall);
        let ahead = reading.ahead_ms(&last);
        // Of a machine that was started anew it is only known that time does not go back.
        let by_ms = ahead.unwrap_or(gone_on.min(0));
        let jumped = by_ms.unsigned_abs() > JUMP_MIN.as_millis();
        if jumped {
            self.count_jump(by_ms);
        }
        let today = reading.wall.utc_day();
        if jumped && by_ms > 0 {
            let by_ms = saturated(by_ms);
            self.hold_deletion(now, HoldCause::ClockAhead { by_ms });
        } else if ahead.is_none() && gone_on > OFF_MAX.as_millis() as i128 {
            self.hold_deletion(now, HoldCause::LongAgo { last: last.wall });
        } else if self.was_held(last.wall.utc_day(), today) {
            self.hold_deletion(now, HoldCause::NotOver);
        }
    }

    /// Tells what all clocks say: at the start, now and then, and at each
    /// [`Event::ClockJumped`]. By the time since the machine's start, a jump of the
    /// wall clock is known for a sleep, which is no reason to put off what is to be erased.
    pub fn clock_reading(&mut self, now: Moment, reading: ClockReading) {
        self.observe(now);
        let Some(before) = self.watch.reading else {
            self.watch.reading = Some(reading);
            return;
        };
        let ahead = reading.ahead_ms(&before);
        let slept = ahead.is_some_and(|ahead| ahead.unsigned_abs() <= JUMP_MIN.as_millis());
        // Compared against for long, so that a clock that creeps is no sleep either.
        if !slept || reading.wall.since(before.wall) > ANCHOR_AGE_MAX {
            self.watch.reading = Some(reading);
        }
        self.jump_explained(now, slept);
        if self.running {
            self.forget(now);
        }
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
}

/// By how much the wall clock has gone ahead of the monotonic one since `anchor`.
fn parted_ms(anchor: Moment, now: Moment) -> i128 {
    let monotonic = now.monotonic.as_millis() as i128 - anchor.monotonic.as_millis() as i128;
    ms_between(anchor.wall, now.wall) - monotonic
}

fn ms_between(from: Timestamp, to: Timestamp) -> i128 {
    i128::from(to.unix_millis()) - i128::from(from.unix_millis())
}

fn saturated(ms: i128) -> i64 {
    i64::try_from(ms).unwrap_or(if ms < 0 { i64::MIN } else { i64::MAX })
}
