//! What a risk model says, with its reasons.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::super::window::as_text;
use super::super::{Counted, ExposureWindow, time_of_day};
use crate::time::{Timestamp, UtcDay};

/// How much a contact counts for.
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum RiskLevel {
    /// Nothing that the model counts.
    #[default]
    None,
    /// A contact, but less than the model warns of.
    Low,
    /// The model warns.
    High,
}

/// `no risk`, `low risk`, `high risk`.
impl fmt::Display for RiskLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "no risk",
            Self::Low => "low risk",
            Self::High => "high risk",
        })
    }
}

/// What the scores of a model are.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unit {
    /// Weighted minutes.
    Minutes,
    /// Weighted seconds.
    Seconds,
    /// Points.
    Points,
}

/// What a model makes of windows: days, each with what it rests on, and the whole.
///
/// Its text is a few lines a day; as JSON it has everything.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Assessment {
    /// The model's name.
    pub model: &'static str,
    /// What its scores are.
    pub unit: Unit,
    /// The highest of the days' levels.
    pub level: RiskLevel,
    /// The most recent day of that level; `None` if there is no risk.
    #[serde(serialize_with = "optional_text")]
    pub decided_by: Option<UtcDay>,
    /// Every day that has windows, in order.
    pub days: Vec<DayAssessment>,
}

/// What a model makes of one UTC day's windows.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DayAssessment {
    /// Which.
    #[serde(serialize_with = "as_text")]
    pub day: UtcDay,
    /// The day's level.
    pub level: RiskLevel,
    /// The day's score, by which the level was decided.
    pub score: f64,
    /// The rule that decided it, in words.
    pub rule: String,
    /// Further figures that the model gives of a day.
    pub figures: Vec<Figure>,
    /// What came of each window, in order of time, then of keys.
    pub contributions: Vec<Contribution>,
}

impl DayAssessment {
    /// The figure `name`.
    pub fn figure(&self, name: &str) -> Option<f64> {
        self.figures
            .iter()
            .find(|figure| figure.name == name)
            .map(|figure| figure.value)
    }
}

/// What came of a window; of several, where the model has longer stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Contribution {
    /// Which of the windows given to the model, counted from 0.
    pub windows: Vec<usize>,
    /// Which key the first is of.
    pub key_index: usize,
    /// When the first began.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// Seconds that were heard.
    pub seconds: u64,
    /// Its time by nearness, each with its weight.
    pub parts: Vec<Part>,
    /// What the weighted time is multiplied by.
    pub factors: Vec<Figure>,
    /// What it comes to.
    pub score: f64,
    /// Whether it counts.
    pub outcome: Outcome,
}

/// A part of a window's time.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Part {
    /// What is common to it, such as `at most 55 dB`.
    pub name: String,
    /// Its seconds.
    pub seconds: u64,
    /// Its weight.
    pub weight: f64,
}

/// A number with its name.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Figure {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: f64,
}

/// Whether a window counts.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It does.
    Counted,
    /// It does not.
    Dropped {
        /// Why.
        reason: String,
    },
}

impl Assessment {
    /// What `model` says of `windows`, each day of which `assess` has its say on.
    pub(super) fn of_days(
        model: &'static str,
        unit: Unit,
        windows: &[ExposureWindow],
        assess: impl Fn(UtcDay, &DayWindows<'_>) -> DayAssessment,
    ) -> Self {
        let days: Vec<DayAssessment> = by_day(windows)
            .into_iter()
            .map(|(day, windows)| assess(day, &windows))
            .collect();
        let level = days.iter().map(|day| day.level).max().unwrap_or_default();
        let decided_by = days
            .iter()
            .filter(|day| day.level == level && level > RiskLevel::None)
            .map(|day| day.day)
            .max();
        Self {
            model,
            unit,
            level,
            decided_by,
            days,
        }
    }

    /// The day `day`, if it has windows.
    pub fn day(&self, day: UtcDay) -> Option<&DayAssessment> {
        self.days.iter().find(|assessed| assessed.day == day)
    }
}

impl Contribution {
    /// Of one window, which counts until it is dropped.
    pub(super) fn of(index: usize, window: &ExposureWindow) -> Self {
        Self {
            windows: vec![index],
            key_index: window.key_index,
            start: window.start,
            seconds: window.seconds(),
            parts: Vec::new(),
            factors: Vec::new(),
            score: 0.0,
            outcome: Outcome::Counted,
        }
    }

    /// Itself, dropped if there is a reason.
    pub(super) fn unless(self, reason: Option<String>) -> Self {
        match reason {
            Some(reason) => self.dropped(reason),
            None => self,
        }
    }

    pub(super) fn dropped(mut self, reason: impl Into<String>) -> Self {
        self.outcome = Outcome::Dropped {
            reason: reason.into(),
        };
        self
    }

    /// Whether it counts.
    pub fn counts(&self) -> bool {
        self.outcome == Outcome::Counted
    }

    /// Its parts' seconds, each times its weight.
    pub(super) fn weighted_seconds(&self) -> f64 {
        self.parts
            .iter()
            .map(|part| part.seconds as f64 * part.weight)
            .sum()
    }

    /// Adds `seconds` to the part `name`, and that if it is not there.
    pub(super) fn add(&mut self, name: &str, seconds: u32, weight: f64) {
        let seconds = u64::from(seconds);
        match self.parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.seconds += seconds,
            None => self.parts.push(Part {
                name: name.to_owned(),
                seconds,
                weight,
            }),
        }
    }

    pub(super) fn factor(&mut self, name: impl Into<String>, value: f64) {
        self.factors.push(figure(name, value));
    }
}

/// What `of` says of each of `windows`.
pub(super) fn contributions<'w, T>(
    windows: &DayWindows<'w>,
    of: impl Fn(usize, &'w ExposureWindow) -> T,
) -> Vec<T> {
    windows
        .iter()
        .map(|(index, window)| of(*index, window))
        .collect()
}

pub(super) fn figure(name: impl Into<String>, value: f64) -> Figure {
    let name = name.into();
    Figure { name, value }
}

/// A day's windows, each with its index, in order of time, then of keys.
pub(super) type DayWindows<'w> = [(usize, &'w ExposureWindow)];

fn by_day(windows: &[ExposureWindow]) -> BTreeMap<UtcDay, Vec<(usize, &ExposureWindow)>> {
    let mut days: BTreeMap<UtcDay, Vec<(usize, &ExposureWindow)>> = BTreeMap::new();
    for (index, window) in windows.iter().enumerate() {
        days.entry(window.day).or_default().push((index, window));
    }
    for day in days.values_mut() {
        day.sort_by_key(|(_, window)| (window.start, window.key_index));
    }
    days
}

/// The sum of `scores`, the same in whatever order they come.
pub(super) fn total(scores: impl Iterator<Item = f64>) -> f64 {
    let mut scores: Vec<f64> = scores.collect();
    scores.sort_by(f64::total_cmp);
    // Not -0.0, which an empty sum is.
    scores.iter().fold(0.0, |sum, score| sum + score)
}

fn optional_text<S: serde::Serializer>(
    day: &Option<UtcDay>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

/// A number with no more than two decimals: `900`, `12.3`, `0.25`.
pub(super) struct Short(pub(super) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.0);
        let text = text.trim_end_matches('0').trim_end_matches('.');
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

/// A length of time: `45 s`, `12 min`, `12 min 30 s`.
struct Length(u64);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 60, self.0 % 60) {
            (0, seconds) => write!(f, "{seconds} s"),
            (minutes, 0) => write!(f, "{minutes} min"),
            (minutes, seconds) => write!(f, "{minutes} min {seconds} s"),
        }
    }
}

/// A score with its unit.
struct Scored(f64, Unit);

impl fmt::Display for Scored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let score = Short(self.0);
        match self.1 {
            Unit::Minutes => write!(f, "{score} weighted min"),
            Unit::Seconds => write!(f, "{score} weighted s"),
            Unit::Points => write!(f, "{score} points"),
        }
    }
}

/// A line for the whole, one for each day, and one for each window of it, without any identifier.
impl fmt::Display for Assessment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.model, self.level)?;
        if let Some(day) = self.decided_by {
            write!(f, ", most recently on {day}")?;
        }
        for day in &self.days {
            let score = Scored(day.score, self.unit);
            write!(f, "\n{}: {}, {score}: {}", day.day, day.level, day.rule)?;
            for figure in &day.figures {
                write!(f, "; {} {}", figure.name, Short(figure.value))?;
            }
            for contribution in &day.contributions {
                write!(f, "\n  ")?;
                contribution.line(f, self.unit)?;
            }
        }
        Ok(())
    }
}

impl Contribution {
    fn line(&self, f: &mut fmt::Formatter<'_>, unit: Unit) -> fmt::Result {
        write!(
            f,
            "{} UTC, key {}: {} heard",
            time_of_day(self.start),
            self.key_index,
            Length(self.seconds)
        )?;
        if self.windows.len() > 1 {
            write!(f, " in {}", Counted(self.windows.len() as u64, "window"))?;
        }
        let mut sign = ": ";
        for part in &self.parts {
            let (name, length) = (&part.name, Length(part.seconds));
            write!(f, "{sign}{length} {name} × {}", Short(part.weight))?;
            sign = " + ";
        }
        let mut sign = if self.parts.is_empty() { ": " } else { "; × " };
        for factor in &self.factors {
            write!(f, "{sign}{} {}", factor.name, Short(factor.value))?;
            sign = " × ";
        }
        match &self.outcome {
            Outcome::Counted => write!(f, " = {}", Scored(self.score, unit)),
            Outcome::Dropped { reason } => write!(f, "; does not count: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.001, "0"),
            (900.0, "900"),
            (12.345, "12.35"),
            (0.5, "0.5"),
            (100.0, "100"),
        ] {
            assert_eq!(Short(value).to_string(), text);
        }
        for (seconds, text) in [(0, "0 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s")] {
            assert_eq!(Length(seconds).to_string(), text);
        }
    }
}
