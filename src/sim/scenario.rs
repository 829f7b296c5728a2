//! What is simulated.

use std::time::Duration;

use super::epidemic::Epidemic;
use super::outcome::Parameter;
use super::town::TownPlan;
use super::{Ether, Mobility, MobilityError};
use crate::engine::Schedule;
use crate::log::LogError;
use crate::protocol::ProtocolKind;

/// People at most. Chosen: what 4 GiB hold several times over; more is a mistake.
const PEOPLE_MAX: u32 = 200_000;

/// Days at most. Chosen: a season.
const DAYS_MAX: u32 = 180;

/// Worlds at most. Chosen: a curve by percents.
const ADOPTIONS_MAX: usize = 101;

/// Threads at most. Chosen.
const THREADS_MAX: usize = 64;

/// What is simulated. Change what [`new`](Self::new) gives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// From which all random numbers come.
    pub seed: u64,
    /// People, 1..=200,000; with a [`mobility`](Self::mobility), those in it.
    pub people: u32,
    /// Days, 1..=180; with a mobility, at most those that it lasts.
    pub days: u32,
    /// Shares of the people who use the app, 0..=1, one world each. A world without tracing always comes first.
    pub adoptions: Vec<f64>,
    /// What the devices speak.
    pub protocol: ProtocolKind,
    /// When their radios are on.
    pub schedule: Schedule,
    /// Between two advertisements, before the 0 to 10 ms of jitter that the specification adds.
    pub advertising_interval: Duration,
    /// Threads, 1..=64. The outcome does not hang on it.
    pub threads: usize,
    /// Where people are, in place of the town of homes, buses, workplaces and markets.
    pub mobility: Option<Mobility>,
    /// The town.
    pub town: TownPlan,
    /// What becomes of a frame on its way.
    pub ether: Ether,
    /// What goes wrong with devices.
    pub faults: Faults,
    /// What is assumed of the infection.
    pub model: Epidemic,
    /// Nearer than this is near, m: the rule's distance.
    pub near_m: f64,
    /// For so many minutes: the rule's time.
    pub near_minutes: u32,
    /// Whether attackers are simulated too.
    pub attacks: bool,
    /// Whether schedules are compared.
    pub schedules: bool,
}

/// What goes wrong with devices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// Share of the devices that restart on a day, half of them the app alone.
    pub restarts_a_day: f64,
    /// Share of the devices whose clock is wrong.
    pub wrong_clocks: f64,
    /// By how much, standard deviation in seconds.
    pub clock_offset_s: f64,
    /// How much a wrong clock gains or loses at most, millionths.
    pub clock_drift_ppm: u32,
}

/// A simulation cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The caller asks for something impossible.
    #[error("expected {expected}, got {got}")]
    Scenario {
        /// What there may be.
        expected: String,
        /// What there is.
        got: String,
    },
    /// The trace of movements.
    #[error(transparent)]
    Mobility(#[from] MobilityError),
    /// A device's log.
    #[error("a simulated device's log: {0}")]
    Log(#[from] LogError),
    /// Something of the library refused what the simulation gave it.
    #[error("a simulated device: {0}")]
    Device(String),
}

impl Scenario {
    /// A town of a hundred and fifty people for four weeks, without the app and with several shares who have it: done in
    /// about a minute on two cores.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            people: 150,
            days: 28,
            adoptions: vec![0.0, 0.1366, 0.4, 0.6, 0.8],
            protocol: ProtocolKind::Bluezone,
            schedule: Schedule::gaen(),
            advertising_interval: Duration::from_millis(270),
            threads: 2,
            mobility: None,
            town: TownPlan::default(),
            ether: Ether::default(),
            faults: Faults {
                restarts_a_day: 0.05,
                wrong_clocks: 0.05,
                clock_offset_s: 30.0,
                clock_drift_ppm: 20,
            },
            model: Epidemic::default(),
            near_m: 2.0,
            near_minutes: 15,
            attacks: true,
            schedules: true,
        }
    }

    /// People, as the mobility has it.
    pub(super) fn population(&self) -> u32 {
        self.mobility.as_ref().map_or(self.people, Mobility::people)
    }

    /// Days, as the mobility has it.
    pub(super) fn duration_days(&self) -> u32 {
        let days = self.mobility.as_ref().map(Mobility::days);
        days.map_or(self.days, |days| days.min(self.days))
    }

    pub(super) fn check(&self) -> Result<(), SimError> {
        within(
            "people",
            f64::from(self.population()),
            1.0,
            f64::from(PEOPLE_MAX),
        )?;
        within("days", f64::from(self.days), 1.0, f64::from(DAYS_MAX))?;
        within(
            "worlds",
            self.adoptions.len() as f64,
            0.0,
            ADOPTIONS_MAX as f64,
        )?;
        within("threads", self.threads as f64, 1.0, THREADS_MAX as f64)?;
        for adoption in &self.adoptions {
            within("a share of adoption", *adoption, 0.0, 1.0)?;
        }
        let interval_ms = self.advertising_interval.as_secs_f64() * 1_000.0;
        // Bluetooth Core Specification 5.4, Vol. 6, Part B, 4.4.2.2.1.
        within("an advertising interval in ms", interval_ms, 20.0, 10_485.0)?;
        within("metres that are near", self.near_m, 0.1, self.ether.range_m)?;
        within("minutes near", f64::from(self.near_minutes), 1.0, 1_440.0)?;
        within("restarts a day", self.faults.restarts_a_day, 0.0, 1.0)?;
        within("wrong clocks", self.faults.wrong_clocks, 0.0, 1.0)?;
        within(
            "seconds of a wrong clock",
            self.faults.clock_offset_s,
            0.0,
            3_600.0,
        )?;
        let drift = f64::from(self.faults.clock_drift_ppm);
        within("millionths of drift", drift, 0.0, 1_000.0)?;
        self.ether.check()?;
        self.town.check()?;
        self.model.check()
    }

    /// What the caller chooses, and the rule.
    fn choices(&self) -> Vec<Parameter> {
        vec![
            parameter(
                "people",
                self.population().to_string(),
                "chosen by the caller",
            ),
            parameter(
                "days",
                self.duration_days().to_string(),
                "chosen by the caller",
            ),
            parameter(
                "protocol",
                self.protocol.to_string(),
                "chosen by the caller",
            ),
            parameter(
                "schedule",
                format!("{:?}", self.schedule),
                "Schedule::gaen unless told otherwise: google/exposure-notifications-internals scans for 4 s every 210 to 300 s",
            ),
            parameter(
                "advertising interval",
                format!("{} ms", self.advertising_interval.as_millis()),
                "GAEN Bluetooth Specification v1.2: 200 to 270 ms",
            ),
            parameter(
                "near",
                format!(
                    "{} m for {} minutes of a day",
                    self.near_m, self.near_minutes
                ),
                "Bluezone's white paper; Ministry of Information and Communications, 17 August 2020",
            ),
            parameter(
                "near, as strength",
                format!(
                    "above {} dBm",
                    self.ether.threshold_dbm(self.near_m, self.protocol)
                ),
                "chosen: the mean strength at the rule's distance in this air; Bluezone's own -86 dBm would be some 37 m of it",
            ),
            parameter(
                "people infected first",
                self.model.infected_first.to_string(),
                "chosen: so that the epidemic does not end by chance",
            ),
        ]
    }

    /// All parameters, for people to read.
    pub(super) fn parameters(&self) -> Vec<Parameter> {
        let mut all = self.choices();
        for (name, assumption) in self.model.assumptions() {
            let value = format!("{} {}", assumption.value, assumption.unit);
            all.push(parameter(name, value.trim().to_owned(), &assumption.source));
        }
        let weights: Vec<String> = self
            .model
            .infectivity
            .weights
            .iter()
            .map(f64::to_string)
            .collect();
        let first = self.model.infectivity.first_day;
        all.push(parameter(
            "infectivity by day",
            format!("from day {first} after the onset: {}", weights.join(", ")),
            &self.model.infectivity.source,
        ));
        self.ether.parameters(&mut all);
        match &self.mobility {
            Some(_) => all.push(parameter(
                "places",
                "as in the trace".to_owned(),
                "the caller's trace",
            )),
            None => self.town.parameters(&mut all),
        }
        self.faults.parameters(&mut all);
        all
    }
}

impl Faults {
    fn parameters(&self, all: &mut Vec<Parameter>) {
        let share = self.restarts_a_day;
        all.push(parameter(
            "devices that restart on a day",
            share.to_string(),
            "chosen: a phone is restarted each three weeks",
        ));
        all.push(parameter(
            "clocks that are wrong",
            format!(
                "{} of devices, by {} s (standard deviation) and {} ppm",
                self.wrong_clocks, self.clock_offset_s, self.clock_drift_ppm
            ),
            "chosen: phones set by hand; crystals of 20 ppm",
        ));
    }
}

pub(super) fn parameter(name: &str, value: String, source: &str) -> Parameter {
    Parameter {
        name: name.to_owned(),
        value,
        source: source.to_owned(),
    }
}

/// Refuses what is out of range, NaN too.
pub(super) fn within(what: &str, got: f64, min: f64, max: f64) -> Result<(), SimError> {
    match (min..=max).contains(&got) {
        true => Ok(()),
        false => Err(SimError::Scenario {
            expected: format!("{what} of {min} to {max}"),
            got: got.to_string(),
        }),
    }
}
