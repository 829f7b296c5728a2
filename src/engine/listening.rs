//! How much is heard: the rate of a minute, and whether there is a silence.

use std::time::Duration;

use super::{DutyCycle, HeardRate};

/// Nothing heard for so long is worth telling. Chosen: BlueZ repeats a neighbour every ten seconds, and
/// a schedule with pauses is given three turns below.
const SILENT_AFTER: Duration = Duration::from_secs(600);

/// Turns of a schedule in which a neighbour may be missed by chance.
const TURNS_MISSED: u32 = 3;

const MINUTE: Duration = Duration::from_secs(60);

/// What is counted of the frames; times are of the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Listening {
    /// The last frame, or the beginning.
    last: Duration,
    pub(super) silence_told: bool,
    minute: Duration,
    frames: u64,
    pub(super) rate: Option<HeardRate>,
}

impl Listening {
    pub(super) fn since(now: Duration) -> Self {
        Self {
            last: now,
            minute: now,
            ..Self::default()
        }
    }

    pub(super) fn heard(&mut self, now: Duration) {
        self.last = self.last.max(now);
        self.silence_told = false;
        self.frames += 1;
    }

    /// Begins another minute if one is over.
    pub(super) fn roll(&mut self, now: Duration, neighbours: usize) {
        if now.saturating_sub(self.minute) < MINUTE {
            return;
        }
        let frames = std::mem::take(&mut self.frames);
        // Looked at late, it says nothing of any minute.
        let punctual = now.saturating_sub(self.minute) < 2 * MINUTE;
        self.rate = punctual.then_some(HeardRate { frames, neighbours });
        self.minute = now;
    }

    pub(super) fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.last)
    }

    /// When a silence is to be told, if there is one until then and it has not been told.
    pub(super) fn silence_due(&self, scan: DutyCycle) -> Option<Duration> {
        (!self.silence_told).then(|| self.last.saturating_add(silent_after(scan)))
    }
}

fn silent_after(scan: DutyCycle) -> Duration {
    if scan.is_continuous() {
        return SILENT_AFTER;
    }
    let turn = scan.on().saturating_add(scan.pause_max());
    SILENT_AFTER.max(turn.saturating_mul(TURNS_MISSED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Schedule;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_silence_is_as_long_as_the_schedule_makes_it() {
        let scan = Schedule::gaen().scan;
        let listening = Listening::since(s(100));
        assert_eq!(listening.silence_due(DutyCycle::CONTINUOUS), Some(s(700)));
        assert_eq!(listening.silence_due(scan), Some(s(1_000)));
    }

    #[test]
    fn a_minutes_frames_are_its_rate() {
        let mut listening = Listening::since(s(0));
        for second in 0..60 {
            listening.heard(s(second));
        }
        listening.roll(s(59), 2);
        assert_eq!(listening.rate, None);
        listening.roll(s(61), 2);
        let rate = listening.rate.unwrap();
        assert_eq!(rate.to_string(), "60 frames a minute of 2 neighbours");
        listening.roll(s(300), 0);
        assert_eq!(listening.rate, None);
    }
}
