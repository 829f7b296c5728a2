//! What a simulation found: the truth beside what the library said.

use serde::Serialize;

/// The version of this form in JSON.
pub const OUTCOME_VERSION: u32 = 1;

/// All that a simulation gives out. The same scenario and seed give the same bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// [`OUTCOME_VERSION`].
    pub version: u32,
    /// From which all its random numbers come.
    pub seed: u64,
    /// What was simulated, as its parameters' names and values, in order, for people to read.
    pub scenario: Vec<Parameter>,
    /// One world for each share of adoption, the first one without tracing.
    pub worlds: Vec<World>,
    /// How well neighbours are noticed under several schedules of the radio.
    pub schedules: Vec<ScheduleOutcome>,
    /// What attackers achieved.
    pub attacks: Vec<AttackOutcome>,
}

/// A parameter of the simulation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Its value with its unit.
    pub value: String,
    /// Where the value is from, or `chosen: ` and why.
    pub source: String,
}

/// The same people and the same infection, with one share of them using the app.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct World {
    /// Share of people who use the app, 0..=1.
    pub adoption: f64,
    /// Whether those who are told stay at home.
    pub tracing: bool,
    /// People.
    pub people: u32,
    /// Devices with the app.
    pub devices: u32,
    /// One for each day.
    pub days: Vec<Day>,
    /// Contacts of devices, true and found.
    pub detection: Detection,
    /// Hours from a true contact's end to its notification, one a notified contact, ascending.
    pub delay_hours: Vec<f64>,
    /// What a device takes in a day, on average.
    pub cost: Cost,
    /// True contact minutes by hour of the day and kind of place.
    pub places: Vec<PlaceHours>,
}

/// One day of a world; counts are of people, at its end unless said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Day {
    /// 0 for the first.
    pub day: u32,
    /// Not infected so far.
    pub susceptible: u32,
    /// Infected, not yet infectious.
    pub exposed: u32,
    /// Infectious.
    pub infectious: u32,
    /// Neither any more.
    pub recovered: u32,
    /// Infected in the course of the day.
    pub infections: u32,
    /// Tested positive in the course of the day.
    pub tests_positive: u32,
    /// Reports published in the course of the day.
    pub reports: u32,
    /// Told of an exposure in the course of the day.
    pub notified: u32,
    /// Staying at home.
    pub isolated: u32,
}

/// Contacts between two devices on a day, one of whom reported: what was so, and what was said.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Detection {
    /// Within `near_m` for `near_minutes` together.
    pub contacts: u64,
    /// Of these, told.
    pub found: u64,
    /// Of these, not told.
    pub missed: u64,
    /// Told, though it was not so.
    pub false_alerts: u64,
    /// Of these, between people who were never within `far_m` of each other that day.
    pub false_far: u64,
    /// The rule's distance, m.
    pub near_m: f64,
    /// The rule's time, minutes.
    pub near_minutes: f64,
    /// Beyond which nobody is heard, m.
    pub far_m: f64,
    /// By distance and duration.
    pub cells: Vec<Cell>,
}

/// Meetings of one distance and duration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Mean distance, from this many metres.
    pub from_m: f64,
    /// To below this many.
    pub to_m: f64,
    /// Time near each other, from this many minutes.
    pub from_minutes: f64,
    /// To below this many.
    pub to_minutes: f64,
    /// Meetings.
    pub meetings: u64,
    /// Of these, with an exposure of any length in the log.
    pub seen: u64,
    /// Of these, told by the rule.
    pub told: u64,
}

/// What a device takes in a day.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// In the log, bytes.
    pub log_bytes: f64,
    /// Frames heard.
    pub frames: f64,
    /// Sightings stored.
    pub sightings: f64,
    /// Published keys read, bytes.
    pub download_bytes: f64,
    /// Of the radio alone, mAh.
    pub radio_mah: f64,
}

/// When and where people were near each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlaceHours {
    /// `home`, `bus`, `work`, `market`, …
    pub place: String,
    /// Contact minutes of all people in each of the day's 24 hours, a day's mean.
    pub minutes: Vec<f64>,
}

/// How well neighbours are noticed under one schedule.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScheduleOutcome {
    /// Its name.
    pub name: String,
    /// Seconds scanned of those that passed, 0..=1.
    pub scanning: f64,
    /// Share of 30-second windows in which a present neighbour was heard, 0..=1: Herald's continuity.
    pub continuity: f64,
    /// What was published for it, if anything, with its source in `note`.
    pub published: Option<f64>,
    /// Seconds to notice a neighbour, mean.
    pub noticed_mean_s: f64,
    /// The longest in this simulation.
    pub noticed_max_s: f64,
    /// Of the radio, mAh a day.
    pub radio_mah: f64,
    /// What differs from what was published, and its source.
    pub note: String,
}

/// What an attacker achieved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AttackOutcome {
    /// `replay`, `live relay`, `flood`, `time travel`, `linker`.
    pub name: String,
    /// What it does, in a sentence.
    pub what: String,
    /// What is counted.
    pub measure: String,
    /// How much of it the attacker got.
    pub achieved: f64,
    /// What it is compared with: chance, or what was true.
    pub baseline: f64,
    /// Whether the library holds against it; a live relay it does not.
    pub holds: bool,
}
