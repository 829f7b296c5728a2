//! A crowd of simulated people with real tracers.

mod outcome;

pub use outcome::{
    AttackOutcome, Cell, Cost, Day, Detection, OUTCOME_VERSION, Outcome, Parameter, PlaceHours,
    ScheduleOutcome, World,
};
