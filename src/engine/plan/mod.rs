//! What a schedule gives for what it costs: how soon a neighbour is noticed.

use std::time::Duration;

use super::{DutyCycle, Schedule};

mod noticing;
mod preset;
mod target;
mod worst;

pub use preset::{Preset, UnknownPreset};
pub use target::{InvalidTarget, Target, Unattainable};

/// Before each advertisement the controller waits for 0 to 10 ms more, at random (Bluetooth Core Specification 5.4,
/// Vol. 6, Part B, 4.4.2.2.1).
pub(super) const DELAY_MAX: Duration = Duration::from_millis(10);

/// The frames that a neighbour sends while it advertises, and how many of them are lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frames {
    interval: Duration,
    loss: f64,
}

impl Frames {
    /// The shortest interval and the longest of a legacy advertisement (Bluetooth Core Specification 5.4, Vol. 6,
    /// Part B, 4.4.2.2).
    pub const INTERVAL_MIN: Duration = Duration::from_millis(20);
    /// The longest.
    pub const INTERVAL_MAX: Duration = Duration::from_millis(10_240);

    /// The share of frames lost unless told otherwise, 0.5: in the middle of the 30 to 70 % of single beacons that are
    /// received by the assessment of DESIRE (Inria, 2020).
    pub const LOSS: f64 = 0.5;

    /// One frame each `interval`, of which a random `loss`, 0..=0.99, is not heard though the listener scans.
    ///
    /// # Errors
    ///
    /// [`InvalidFrames`].
    pub fn new(interval: Duration, loss: f64) -> Result<Self, InvalidFrames> {
        if !(Self::INTERVAL_MIN..=Self::INTERVAL_MAX).contains(&interval) {
            return Err(InvalidFrames::Interval { got: interval });
        }
        if !(0.0..=0.99).contains(&loss) {
            return Err(InvalidFrames::Loss { got: loss });
        }
        Ok(Self { interval, loss })
    }

    /// Between two frames, without the random delay.
    pub const fn interval(self) -> Duration {
        self.interval
    }

    /// The share that is lost, 0..=0.99.
    pub const fn loss(self) -> f64 {
        self.loss
    }

    /// Seconds between two frames, on average.
    fn mean_interval_s(self) -> f64 {
        (self.interval + DELAY_MAX / 2).as_secs_f64()
    }
}

impl Default for Frames {
    /// GAEN's longest interval, 270 ms, which is what this crate asks of BlueZ, and [`LOSS`](Self::LOSS).
    fn default() -> Self {
        Self {
            interval: Duration::from_millis(270),
            loss: Self::LOSS,
        }
    }
}

/// Nobody can send frames like that, or hear any.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidFrames {
    /// No controller advertises so.
    #[error(
        "expected a frame every {:?} to {:?}, got {got:?}",
        Frames::INTERVAL_MIN,
        Frames::INTERVAL_MAX
    )]
    Interval {
        /// As given.
        got: Duration,
    },
    /// No share, or none is left.
    #[error("expected a loss of 0 to 0.99 of the frames, got {got}")]
    Loss {
        /// As given.
        got: f64,
    },
}

/// A listener, and a neighbour who comes into its range at a random moment of both their cycles and stays.
///
/// The two cycles know nothing of each other, and each time that both are on, the neighbour's frames fall at a
/// random place: their random delay sees to that. Energy is in [`Schedule::radio_use`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    scan: DutyCycle,
    advertise: DutyCycle,
    frames: Frames,
}

impl Plan {
    /// One who scans by `scan`, and one who sends `frames` by `advertise`.
    pub const fn new(scan: DutyCycle, advertise: DutyCycle, frames: Frames) -> Self {
        Self {
            scan,
            advertise,
            frames,
        }
    }

    /// Two who both follow `schedule`.
    pub const fn between(schedule: &Schedule, frames: Frames) -> Self {
        Self::new(schedule.scan, schedule.advertise, frames)
    }

    /// The probability that the neighbour is noticed within `t` of coming into range, 0..=1, to within 0.01; to within
    /// 0.001 if one of the two is always on and the other without jitter. A day at most is looked at.
    ///
    /// Of 30 seconds, it is Herald's continuity: the share of such windows in which a neighbour who is there is heard.
    pub fn noticed_within(&self, t: Duration) -> f64 {
        let missed = noticing::missed(self, &[t]);
        1.0 - missed.first().copied().unwrap_or(1.0)
    }

    /// The same for `points` moments, at most 10,000, which part the time `until`, at most a day, evenly; the last is
    /// `until` itself.
    pub fn curve(&self, until: Duration, points: u32) -> Vec<f64> {
        let (until, points) = (until.min(DutyCycle::LONGEST), points.min(10_000));
        let moments: Vec<_> = (1..=points)
            .map(|point| until.mul_f64(f64::from(point) / f64::from(points)))
            .collect();
        let missed = noticing::missed(self, &moments);
        missed.into_iter().map(|missed| 1.0 - missed).collect()
    }

    /// How long it takes until the neighbour is noticed with `probability`, to a thousandth of it; `None` if it takes
    /// longer than `limit`.
    pub fn time_to_notice(&self, probability: f64, limit: Duration) -> Option<Duration> {
        if self.noticed_within(limit) < probability {
            return None;
        }
        let (mut before, mut by) = (Duration::ZERO, limit);
        while by - before > by / 1_000 {
            let middle = before + (by - before) / 2;
            match self.noticed_within(middle) < probability {
                true => before = middle,
                false => by = middle,
            }
        }
        Some(by)
    }

    /// The longest that it can take if no frame is lost; `None` if there is no bound, because the two can go on missing
    /// each other for ever, or for more than a day.
    ///
    /// Exact for cycles without jitter that meet again within some tens of turns; else a bound that is never exceeded,
    /// and reached to within a turn or two.
    pub fn worst_case(&self) -> Option<Duration> {
        worst::worst_case(self)
    }

    /// Frames heard in a minute of standing by, on average.
    pub fn sightings_per_minute(&self) -> f64 {
        let heard = self.scan.share_on() * self.advertise.share_on() * (1.0 - self.frames.loss);
        60.0 * heard / self.frames.mean_interval_s()
    }
}

#[cfg(test)]
mod tests;
