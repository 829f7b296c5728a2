//! When the radio is on.

use std::fmt;
use std::time::Duration;

use truyvet::engine::{DutyCycle, Frames, Preset, Schedule, Target, Unattainable};

/// By the name of a schedule, or by what it should do.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct ScheduleArgs {
    #[arg(long, value_name = "PRESET", help = format!("When the radio is on, always if not given: {}", names()))]
    schedule: Option<Preset>,
    /// The cheapest schedule that notices a neighbour so surely so soon, such as 99%/60s
    #[arg(long, value_name = "P/TIME", conflicts_with = "schedule")]
    notice: Option<Target>,
}

fn names() -> String {
    Preset::ALL.map(Preset::name).join(", ")
}

impl ScheduleArgs {
    pub(crate) fn chosen(self) -> Result<Schedule, Unattainable> {
        match (self.schedule, self.notice) {
            (Some(preset), _) => Ok(preset.schedule()),
            (None, Some(target)) => target.cheapest(Frames::default()),
            (None, None) => Ok(Schedule::continuous()),
        }
    }
}

/// A schedule in words.
pub(crate) struct InWords(pub(crate) Schedule);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scans ")?;
        cycle(f, self.0.scan)?;
        f.write_str(", advertises ")?;
        cycle(f, self.0.advertise)
    }
}

fn cycle(f: &mut fmt::Formatter<'_>, cycle: DutyCycle) -> fmt::Result {
    let seconds = Duration::as_secs_f64;
    if cycle.is_continuous() {
        return f.write_str("always");
    }
    let off = cycle.off();
    write!(f, "{} s, rests {}", seconds(&cycle.on()), seconds(&off))?;
    if !cycle.jitter().is_zero() {
        write!(f, " to {}", seconds(&(off + cycle.jitter())))?;
    }
    f.write_str(" s")
}
