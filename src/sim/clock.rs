//! What a device's clocks say.

use std::time::Duration;

use super::random::{Stream, purpose};
use super::scenario::Scenario;
use crate::time::{ClockReading, Moment, Timestamp, Uptime};

/// When a simulation begins, by a right clock: midnight UTC.
pub(super) const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

/// What a device's clock says, of the true time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DeviceClock {
    /// Of the wall clock, milliseconds.
    pub(super) offset_ms: i64,
    /// What it gains, millionths.
    pub(super) drift_ppm: i64,
    pub(super) boot_ms: u64,
    pub(super) boots: u64,
}

impl DeviceClock {
    pub(super) fn drawn(scenario: &Scenario, person: u32) -> Self {
        let faults = scenario.faults;
        let mut stream = Stream::of(scenario.seed, purpose::CLOCK, u64::from(person), 0);
        if stream.uniform() >= faults.wrong_clocks {
            return Self::default();
        }
        let drift = f64::from(faults.clock_drift_ppm);
        Self {
            offset_ms: (1_000.0 * faults.clock_offset_s * stream.normal()) as i64,
            drift_ppm: stream.between(-drift, drift) as i64,
            ..Self::default()
        }
    }

    /// Milliseconds that have passed by this clock.
    fn passed(&self, at_ms: u64) -> u64 {
        at_ms.saturating_add_signed(at_ms.cast_signed() * self.drift_ppm / 1_000_000)
    }

    /// The first true millisecond at which so many have passed.
    pub(super) fn when(&self, passed: u64) -> u64 {
        let drift = passed.cast_signed() * self.drift_ppm / (1_000_000 + self.drift_ppm);
        let mut at = passed.saturating_add_signed(-drift).saturating_sub(1);
        while self.passed(at) < passed {
            at += 1;
        }
        at
    }

    pub(super) fn moment(&self, at_ms: u64) -> Moment {
        let monotonic = self.passed(at_ms);
        let wall = START.unix_millis().saturating_add(monotonic);
        Moment {
            wall: Timestamp::from_unix_millis(wall.saturating_add_signed(self.offset_ms)),
            monotonic: Duration::from_millis(monotonic),
        }
    }

    pub(super) fn reading(&self, at_ms: u64) -> ClockReading {
        let mut boot_id = [0; 16];
        for (to, from) in boot_id.iter_mut().zip(self.boots.to_le_bytes()) {
            *to = from;
        }
        let since_boot_ms = self.passed(at_ms) - self.passed(self.boot_ms);
        ClockReading {
            wall: self.moment(at_ms).wall,
            uptime: Some(Uptime {
                boot_id,
                since_boot_ms,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_drifts_comes_to_every_deadline() {
        for drift_ppm in [-1_000, -20, 0, 1, 20, 1_000] {
            let clock = DeviceClock {
                drift_ppm,
                ..DeviceClock::default()
            };
            for passed in [0, 1, 999, 1_000_000, 86_400_000, 3_024_000_001] {
                let at = clock.when(passed);
                assert!(clock.passed(at) >= passed, "{drift_ppm} {passed}");
                assert!(
                    at == 0 || clock.passed(at - 1) < passed,
                    "{drift_ppm} {passed}"
                );
            }
        }
    }

    #[test]
    fn an_offset_moves_the_wall_clock_alone() {
        let clock = DeviceClock {
            offset_ms: -5_000,
            ..DeviceClock::default()
        };
        let moment = clock.moment(7_000);
        assert_eq!(moment.wall, START.saturating_add(Duration::from_secs(2)));
        assert_eq!(moment.monotonic, Duration::from_secs(7));
    }
}
