//! A crowd of simulated people with real tracers.
//!
//! Each device runs an [`Engine`](crate::Engine), an [`EncounterLog`](crate::EncounterLog) in memory and a
//! [`Matcher`](crate::exposure::Matcher), as they are; what is simulated is the world around them: where people are,
//! what becomes of a frame on its way, an infection, and attackers. `docs/simulation.md` has the model, its
//! parameters and what it leaves out. It is a model to compare with, and no medical advice.
//!
//! ```no_run
//! use truyvet::sim::{Scenario, run};
//!
//! let mut scenario = Scenario::new(7);
//! scenario.people = 50;
//! scenario.days = 10;
//! let outcome = run(&scenario, &|done, total, what| eprintln!("{what}: {done} of {total}"))?;
//! println!("{} of {} contacts found", outcome.worlds[1].detection.found, outcome.worlds[1].detection.contacts);
//! # Ok::<(), truyvet::sim::SimError>(())
//! ```

mod attacks;
mod clock;
mod crowd;
mod device;
mod ear;
mod epidemic;
mod ether;
mod meetings;
mod mobility;
mod outcome;
mod random;
mod scenario;
mod schedules;
mod stage;
mod tally;
mod town;
mod tracing;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

pub use epidemic::{Assumption, Epidemic, Infectivity};
pub use ether::Ether;
pub use mobility::{Mobility, MobilityError};
pub use outcome::{
    AttackOutcome, Cell, Cost, Day, Detection, OUTCOME_VERSION, Outcome, Parameter, PlaceHours,
    ScheduleOutcome, World,
};
pub use scenario::{Faults, Scenario, SimError};
pub use town::TownPlan;

/// A simulated day, milliseconds.
const DAY_MS: u64 = 86_400_000;

/// Runs `scenario`. `progress` is told, from any thread and as often as something is done: how much, of how much, and
/// what.
///
/// # Errors
///
/// [`SimError`]: a scenario out of range, above all.
pub fn run(
    scenario: &Scenario,
    progress: &(dyn Fn(u64, u64, &str) + Sync),
) -> Result<Outcome, SimError> {
    scenario.check()?;
    let mut adoptions = scenario.adoptions.clone();
    if adoptions.first() != Some(&0.0) {
        adoptions.insert(0, 0.0);
    }
    let worlds = adoptions
        .iter()
        .map(|adoption| world_steps(scenario, *adoption));
    let schedules = u64::from(scenario.schedules) * schedules::CASES * schedules::STEPS_EACH;
    let attacks = u64::from(scenario.attacks) * attacks::ATTACKS * attacks::STEPS_EACH;
    let total = worlds.sum::<u64>() + schedules + attacks;
    let done = AtomicU64::new(0);
    let steps = |what: String| Steps {
        done: &done,
        total,
        what,
        tell: progress,
    };
    let mut worlds = Vec::new();
    for (number, adoption) in (1..).zip(&adoptions) {
        let steps = steps(format!("world {number} of {}", adoptions.len()));
        worlds.push(world::run(scenario, *adoption, &steps)?);
    }
    let schedules = match scenario.schedules {
        true => schedules::compare(scenario, &steps("schedules".to_owned()))?,
        false => Vec::new(),
    };
    let attacks = match scenario.attacks {
        true => attacks::run(scenario, &steps("attackers".to_owned()))?,
        false => Vec::new(),
    };
    Ok(Outcome {
        version: OUTCOME_VERSION,
        seed: scenario.seed,
        scenario: scenario.parameters(),
        worlds,
        schedules,
        attacks,
    })
}

/// How much of the work is done, told to the caller.
struct Steps<'a> {
    done: &'a AtomicU64,
    total: u64,
    what: String,
    tell: &'a (dyn Fn(u64, u64, &str) + Sync),
}

impl Steps<'_> {
    /// So much more is done.
    fn did(&self, steps: u64) {
        let done = self.done.fetch_add(steps, Ordering::Relaxed) + steps;
        (self.tell)(done.min(self.total), self.total, &self.what);
    }
}

/// An hour of a device is a step, and one of the people beside.
fn world_steps(scenario: &Scenario, adoption: f64) -> u64 {
    let devices = world::users(scenario, adoption).len() as u64;
    24 * u64::from(scenario.duration_days()) * (1 + devices)
}
