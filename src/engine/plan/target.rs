//! The cheapest schedule that is good enough.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{Frames, Plan};
use crate::engine::{DutyCycle, RadioUse, Schedule};

/// That a neighbour is noticed with a probability within a time: `99%/60s` in text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    probability: f64,
    within: Duration,
}

/// Times on that are tried, in seconds. Chosen: from what holds a few frames to what no phone in a pocket would do; a
/// controller takes up to a tenth of a second to begin.
const ON_S: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// Each time off that is tried is longer than the one before by a sixth, and by a second at least. Chosen: beyond the
/// first seconds, no step costs more than a sixth of the energy.
const STEP: f64 = 7.0 / 6.0;

impl Target {
    /// The shortest and the longest time. Chosen: below, no pause is left to be found; above, nobody is near any more.
    pub const WITHIN_MIN: Duration = Duration::from_secs(1);
    /// The longest.
    pub const WITHIN_MAX: Duration = Duration::from_secs(3_600);

    /// To notice with `probability`, 0.01..=0.999, within `within`, a second to an hour.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`].
    pub fn new(probability: f64, within: Duration) -> Result<Self, InvalidTarget> {
        if !(0.01..=0.999).contains(&probability) {
            return Err(InvalidTarget::Probability { got: probability });
        }
        if !(Self::WITHIN_MIN..=Self::WITHIN_MAX).contains(&within) {
            return Err(InvalidTarget::Within { got: within });
        }
        Ok(Self {
            probability,
            within,
        })
    }

    /// With which probability, 0.01..=0.999.
    pub const fn probability(self) -> f64 {
        self.probability
    }

    /// Within what time.
    pub const fn within(self) -> Duration {
        self.within
    }

    /// The schedule that takes the least of [the reference radio](RadioUse::RECEIVE_MA) and notices a neighbour who
    /// always advertises such `frames`, as this schedule does itself.
    ///
    /// Tried are times on of 1, 2, 4, … 64 s with times off from a second upwards in steps of a sixth, and no pause at
    /// all. Advertising has no pauses: it takes 0.7 mAh a day in all, and each pause would give the same identifier
    /// another address. The search takes some milliseconds.
    ///
    /// # Errors
    ///
    /// [`Unattainable`] if a listener without a pause does not notice so soon.
    pub fn cheapest(self, frames: Frames) -> Result<Schedule, Unattainable> {
        let mut tried = self.candidates();
        tried.sort_by(|one, other| cost(*one).total_cmp(&cost(*other)));
        let meets = |scan: &DutyCycle| {
            self.may_be_met(*scan) && self.noticed(*scan, frames) >= self.probability
        };
        match tried.into_iter().find(meets) {
            Some(scan) => Ok(Schedule::new(scan, DutyCycle::CONTINUOUS)),
            None => Err(Unattainable {
                target: self,
                best: self.noticed(DutyCycle::CONTINUOUS, frames),
            }),
        }
    }

    fn noticed(self, scan: DutyCycle, frames: Frames) -> f64 {
        Plan::new(scan, DutyCycle::CONTINUOUS, frames).noticed_within(self.within)
    }

    /// Whether a time on is met soon enough, were one frame's time enough of it.
    fn may_be_met(self, scan: DutyCycle) -> bool {
        let period = scan.on().saturating_add(scan.off());
        let near = scan.on().saturating_add(self.within);
        near.as_secs_f64() >= self.probability * period.as_secs_f64()
    }

    fn candidates(self) -> Vec<DutyCycle> {
        let mut found = vec![DutyCycle::CONTINUOUS];
        for on in ON_S {
            // With a longer pause it would be a matter of luck to be on within the time at all: as `may_be_met` has it.
            let on_s = Duration::from_secs(on).as_secs_f64();
            let longest = (on_s + self.within.as_secs_f64()) / self.probability - on_s + 1.0;
            let mut off = 1.0;
            while off <= longest {
                let cycle = (Duration::from_secs(on), Duration::from_secs_f64(off));
                found.extend(DutyCycle::periodic(cycle.0, cycle.1).ok());
                off = (off * STEP).round().max(off + 1.0);
            }
        }
        found
    }
}

/// What a scan takes, and with the same share on, how often the host is woken for it.
fn cost(scan: DutyCycle) -> f64 {
    let used =
        Schedule::new(scan, DutyCycle::CONTINUOUS).radio_use(31, Frames::default().interval());
    used.mah_per_day(RadioUse::RECEIVE_MA, RadioUse::SEND_MA) + used.turns * 1e-9
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (percent, within) = (100.0 * self.probability, self.within.as_secs_f64());
        write!(f, "{} % within {within} s", (percent * 1e6).round() / 1e6)
    }
}

impl FromStr for Target {
    type Err = InvalidTarget;

    /// Reads `99%/60s`: a percentage or a number up to 1, and a number with `s`, `min` or `h`.
    fn from_str(text: &str) -> Result<Self, InvalidTarget> {
        let (probability, within) = text.split_once('/').ok_or(InvalidTarget::Text)?;
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| InvalidTarget::Text);
        let probability = match probability.trim().strip_suffix('%') {
            // 99.9 % is 0.999, and not the next number after it.
            Some(percent) => (number(percent)? * 1e10).round() / 1e12,
            None => number(probability)?,
        };
        let units = [("min", 60.0), ("h", 3_600.0), ("s", 1.0)];
        let timed = units
            .into_iter()
            .find_map(|(unit, seconds)| Some((within.trim().strip_suffix(unit)?, seconds)));
        let (within, unit) = timed.ok_or(InvalidTarget::Text)?;
        let within = Duration::try_from_secs_f64(number(within)? * unit);
        Self::new(probability, within.map_err(|_| InvalidTarget::Text)?)
    }
}

/// Nothing that a schedule could be chosen for.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTarget {
    /// Too little or too much.
    #[error("expected a probability of 1 to 99.9 %, got {} %", 100.0 * got)]
    Probability {
        /// As given.
        got: f64,
    },
    /// Too soon or too late.
    #[error(
        "expected a time of {:?} to {:?}, got {got:?}",
        Target::WITHIN_MIN,
        Target::WITHIN_MAX
    )]
    Within {
        /// As given.
        got: Duration,
    },
    /// Another text.
    #[error("expected a probability and a time, such as 99%/60s or 50%/5min")]
    Text,
}

/// No schedule notices so surely so soon.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("to notice {target} cannot be done: a radio that is always on does it with {:.1} %", (1_000.0 * best).floor() / 10.0)]
pub struct Unattainable {
    /// What was asked for.
    pub target: Target,
    /// The probability of the best there is, 0..=1.
    pub best: f64,
}
