//! When the radio is on.

use std::time::Duration;

/// On for a while, off for a while, again and again; or always on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DutyCycle {
    on: Duration,
    /// Zero if it is never off.
    off: Duration,
    jitter: Duration,
}

impl DutyCycle {
    /// Never off.
    pub const CONTINUOUS: Self = Self {
        on: Duration::MAX,
        off: Duration::ZERO,
        jitter: Duration::ZERO,
    };

    /// The shortest time on or off. Chosen: BlueZ takes up to 0.1 seconds to begin a scan, and a
    /// shorter turn would spin the radio to no end.
    pub const SHORTEST: Duration = Duration::from_millis(500);

    /// The longest time on, off, or jitter. Chosen: a day, beyond which it is no cycle.
    pub const LONGEST: Duration = Duration::from_secs(86_400);

    /// On for `on`, off for `off`, and `on` first.
    ///
    /// # Errors
    ///
    /// [`InvalidSchedule`] for one outside [`SHORTEST`](Self::SHORTEST)..=[`LONGEST`](Self::LONGEST).
    pub fn periodic(on: Duration, off: Duration) -> Result<Self, InvalidSchedule> {
        for (field, got) in [("time on", on), ("time off", off)] {
            if !(Self::SHORTEST..=Self::LONGEST).contains(&got) {
                return Err(InvalidSchedule {
                    field,
                    min: Self::SHORTEST,
                    max: Self::LONGEST,
                    got,
                });
            }
        }
        Ok(Self::every(on, off))
    }

    /// Each time off is longer by a random part of `jitter`, so that devices do not fall into step, and
    /// never listen while the other is silent.
    ///
    /// # Errors
    ///
    /// [`InvalidSchedule`] for more than [`LONGEST`](Self::LONGEST), or if it is never off.
    pub fn jittered(self, jitter: Duration) -> Result<Self, InvalidSchedule> {
        let (field, max) = match self.is_continuous() {
            true => ("jitter, of a cycle that is never off,", Duration::ZERO),
            false => ("jitter", Self::LONGEST),
        };
        if jitter > max {
            return Err(InvalidSchedule {
                field,
                min: Duration::ZERO,
                max,
                got: jitter,
            });
        }
        Ok(Self { jitter, ..self })
    }

    const fn every(on: Duration, off: Duration) -> Self {
        let jitter = Duration::ZERO;
        Self { on, off, jitter }
    }

    /// Whether it is never off.
    pub const fn is_continuous(self) -> bool {
        self.off.is_zero()
    }

    /// How long it is on at a time.
    pub const fn on(self) -> Duration {
        self.on
    }

    /// How long it is off at a time, without jitter.
    pub const fn off(self) -> Duration {
        self.off
    }

    /// By how much a time off may be longer.
    pub const fn jitter(self) -> Duration {
        self.jitter
    }

    /// The part of the time that it is on, 0..=1; of one with jitter, on average.
    pub fn share_on(self) -> f64 {
        match self.is_continuous() {
            true => 1.0,
            false => self.on.as_secs_f64() / self.period_s(),
        }
    }

    /// Seconds from one time on to the next, on average.
    pub(super) fn period_s(self) -> f64 {
        (self.on + self.off + self.jitter / 2).as_secs_f64()
    }

    /// The longest time off.
    pub(super) const fn pause_max(self) -> Duration {
        self.off.saturating_add(self.jitter)
    }
}

/// When a tracer scans and when it advertises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// Scanning.
    pub scan: DutyCycle,
    /// Advertising.
    pub advertise: DutyCycle,
}

impl Schedule {
    /// An app's own.
    pub const fn new(scan: DutyCycle, advertise: DutyCycle) -> Self {
        Self { scan, advertise }
    }

    /// Always on: for devices on mains power, and the default.
    pub const fn continuous() -> Self {
        Self::new(DutyCycle::CONTINUOUS, DutyCycle::CONTINUOUS)
    }

    /// What Bluezone 3 does in the background: scan 40 s and rest 260 s, advertise 15 s and rest
    /// 15 s (Bluezone 3.0.7, `AppConstants.java`). A neighbour is noticed within five minutes.
    pub const fn bluezone_background() -> Self {
        Self::new(seconds(40, 260, 0), seconds(15, 15, 0))
    }

    /// What Bluezone 3 does while its app is on the screen: scan and advertise 60 s, rest 5 s
    /// (Bluezone 3.0.7, `AppConstants.java`).
    pub const fn bluezone_foreground() -> Self {
        Self::new(seconds(60, 5, 0), seconds(60, 5, 0))
    }

    /// What Google's implementation of GAEN does: scan for 4 s every 210 to 300 s, at random
    /// (google/exposure-notifications-internals, `ContactTracingFeature`), advertise always.
    pub const fn gaen() -> Self {
        Self::new(seconds(4, 206, 90), DutyCycle::CONTINUOUS)
    }

    /// What Apple's implementation of GAEN does on an iPhone that is awake: scan for 4 s every 150 s, advertise always
    /// (Apple's published excerpts of 2020).
    pub const fn gaen_apple() -> Self {
        Self::new(seconds(4, 146, 0), DutyCycle::CONTINUOUS)
    }

    /// The same on one that is asleep, as in a pocket: every 300 s.
    pub const fn gaen_apple_asleep() -> Self {
        Self::new(seconds(4, 296, 0), DutyCycle::CONTINUOUS)
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::continuous()
    }
}

const fn seconds(on: u64, off: u64, jitter: u64) -> DutyCycle {
    DutyCycle {
        jitter: Duration::from_secs(jitter),
        ..DutyCycle::every(Duration::from_secs(on), Duration::from_secs(off))
    }
}

/// A schedule that no radio can follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a {field} of {min:?} to {max:?} in a cycle, got {got:?}")]
pub struct InvalidSchedule {
    /// What is out of range.
    pub field: &'static str,
    /// The least there may be.
    pub min: Duration,
    /// The most.
    pub max: Duration,
    /// What was asked for.
    pub got: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn time_of_nothing() {
        let error = DutyCycle::periodic(s(4), s(0)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a time off of 500ms to 86400s in a cycle, got 0ns"
        );
        assert!(DutyCycle::periodic(Duration::from_millis(499), s(1)).is_err());
        assert!(DutyCycle::periodic(s(1), s(86_401)).is_err());
    }

    #[test]
    fn jitter_of_what_is_never_off() {
        assert!(DutyCycle::CONTINUOUS.jittered(s(1)).is_err());
        let cycle = DutyCycle::periodic(s(1), s(2)).unwrap();
        assert_eq!(cycle.jittered(s(3)).unwrap().pause_max(), s(5));
        assert!(cycle.jittered(s(86_401)).is_err());
    }
}
