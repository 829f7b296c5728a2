//! GAEN version 1: risk scores.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::assessment::{
    Contribution, DayAssessment, DayWindows, Figure, Short, Unit, figure, total,
};
use super::config::{check_all, check_ascending, check_range};
use super::{
    Assessment, ConfigError, Configuration, RiskLevel, RiskModel, age_days, refusal_by_type,
};
use crate::exposure::{ExposureWindow, ScanInstance};
use crate::time::UtcDay;

/// A longer silence ends an exposure (`maxInterpolationDuration`).
const SILENCE_MAX_S: i64 = 600;

/// Durations are multiples of it.
const DURATION_STEP_S: i64 = 300;

/// Scores and the edges of their buckets (`ExposureConfiguration`, `ContactTracingFeature`).
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GaenV1Config {
    /// The least score that counts, 0..=4096.
    pub minimum_risk_score: u32,
    /// Scores, 0..=8, of attenuations **above** each of
    /// [`attenuation_buckets_db`](Self::attenuation_buckets_db), and of the rest.
    pub attenuation_scores: [u8; 8],
    /// Scores, 0..=8, of exposures as many days ago as each of [`days_buckets`](Self::days_buckets) **or
    /// more**, and of the rest.
    pub days_since_last_exposure_scores: [u8; 8],
    /// Scores, 0..=8, of durations **up to** each of
    /// [`duration_buckets_min`](Self::duration_buckets_min), and of the rest.
    pub duration_scores: [u8; 8],
    /// Scores, 0..=8, of transmission risk levels 1 to 8; a key without one has 1.
    pub transmission_risk_scores: [u8; 8],
    /// Descending, dB. Google's by default; Apple's are the same edges, counted from the other end.
    pub attenuation_buckets_db: [u8; 7],
    /// Descending.
    pub days_buckets: [u32; 7],
    /// Ascending.
    pub duration_buckets_min: [u32; 7],
    /// The two attenuations, dB, of the times below, between and above them; ascending.
    pub duration_at_attenuation_thresholds: [u8; 2],
    /// Seconds between two scans, 0..=3600: the first and the last count half of it longer.
    pub scan_interval_s: u32,
}

/// The scores that Corona-Warn-App began with (corona-warn-app/cwa-server @ c61d55f6,
/// `exposure-config.yaml`), and the lowest minimum. Chosen: its own, 11, takes a transmission
/// risk level for granted, which not every authority gives.
impl Default for GaenV1Config {
    fn default() -> Self {
        Self {
            minimum_risk_score: 1,
            attenuation_scores: [0, 2, 2, 2, 2, 2, 2, 2],
            days_since_last_exposure_scores: [5; 8],
            duration_scores: [0, 0, 0, 1, 1, 1, 1, 1],
            transmission_risk_scores: [0, 0, 3, 4, 5, 6, 7, 8],
            attenuation_buckets_db: [73, 63, 51, 33, 27, 15, 10],
            days_buckets: [14, 12, 10, 8, 6, 4, 2],
            duration_buckets_min: [0, 5, 10, 15, 20, 25, 30],
            duration_at_attenuation_thresholds: [55, 63],
            scan_interval_s: 300,
        }
    }
}

impl Configuration for GaenV1Config {
    fn check(&self) -> Result<(), ConfigError> {
        check_range("minimum_risk_score", self.minimum_risk_score, 0..=4096)?;
        for (field, scores) in [
            ("attenuation_scores", self.attenuation_scores),
            (
                "days_since_last_exposure_scores",
                self.days_since_last_exposure_scores,
            ),
            ("duration_scores", self.duration_scores),
            ("transmission_risk_scores", self.transmission_risk_scores),
        ] {
            check_all(field, &scores, &(0..=8))?;
        }
        let descending = |field, values: &[u32]| {
            let ascending: Vec<u32> = values.iter().rev().copied().collect();
            check_ascending(&format!("{field} from its end"), &ascending)
        };
        descending(
            "attenuation_buckets_db",
            &self.attenuation_buckets_db.map(u32::from),
        )?;
        descending("days_buckets", &self.days_buckets)?;
        check_ascending("duration_buckets_min", &self.duration_buckets_min)?;
        check_ascending(
            "duration_at_attenuation_thresholds",
            &self.duration_at_attenuation_thresholds,
        )?;
        check_range("scan_interval_s", self.scan_interval_s, 0..=3600)
    }
}

/// GAEN version 1's risk score (google/exposure-notifications-internals @ aaada6ce,
/// `RiskScoreCalculator`, `KeyExposureEvaluator`).
///
/// An **exposure** is what was heard of one key on a day without a silence of more than ten minutes, across windows.
/// Its duration is the time from its first scan's begin to its last one's, and five minutes, rounded to
/// five minutes (half down); its attenuation the mean of its scans' typical ones over time, each until
/// the next begins, with half a scan interval before the first and after the last, rounded. The score is the
/// product of four scores, by attenuation, days, duration and transmission risk level, or 0 if it is less than
/// the minimum. A day's score is its highest; one that is not 0 warns. Scans of unknown attenuation are left
/// out, and days since the onset of symptoms are not asked for.
#[derive(Clone, Debug, Default)]
pub struct GaenV1 {
    config: GaenV1Config,
}

/// A scan, and which window it is of.
type Scanned<'w> = (usize, &'w ExposureWindow, &'w ScanInstance);

impl GaenV1 {
    /// The model so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn new(config: GaenV1Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config })
    }

    fn periods(&self, scans: &[Scanned<'_>]) -> Vec<Period> {
        let points: Vec<(i64, u8)> = scans
            .iter()
            .filter_map(|(_, _, scan)| Some((second(scan), scan.attenuation?.typical.db())))
            .collect();
        periods(&points, i64::from(self.config.scan_interval_s))
    }

    fn contribution(
        &self,
        scans: &[Scanned<'_>],
        periods: &[Period],
        today: UtcDay,
    ) -> Option<Contribution> {
        let ((index, window, first), (_, _, last)) = (scans.first()?, scans.last()?);
        let attenuation_db = weighted_attenuation(periods)?;
        let duration_min = duration_minutes(second(last) - second(first));
        let age = age_days(window, today);

        let mut contribution = Contribution::of(*index, window);
        let indices: BTreeSet<usize> = scans.iter().map(|(index, _, _)| *index).collect();
        contribution.windows = indices.into_iter().collect();
        let seconds = |scan: &ScanInstance| u64::from(scan.seconds_since_last_scan);
        contribution.seconds = scans.iter().map(|(_, _, scan)| seconds(scan)).sum();
        let config = &self.config;
        let edges = config.attenuation_buckets_db;
        let bucket = edges.iter().position(|edge| attenuation_db > *edge);
        let attenuation = score_of(&config.attenuation_scores, bucket);
        let bucket = config.days_buckets.iter().position(|edge| age >= *edge);
        let days = score_of(&config.days_since_last_exposure_scores, bucket);
        let edges = config.duration_buckets_min;
        let bucket = edges.iter().position(|edge| duration_min <= *edge);
        let duration = score_of(&config.duration_scores, bucket);
        let transmission = match window.transmission_risk {
            0 => 1,
            level => {
                let bucket = usize::from(level - 1).min(7);
                score_of(&config.transmission_risk_scores, Some(bucket))
            }
        };
        let score = u32::from(attenuation)
            * u32::from(days)
            * u32::from(duration)
            * u32::from(transmission);
        for (name, value) in [
            (format!("attenuation of {attenuation_db} dB"), attenuation),
            (format!("{age} days ago"), days),
            (format!("duration of {duration_min} min"), duration),
            (
                format!("transmission risk {}", window.transmission_risk),
                transmission,
            ),
        ] {
            contribution.factor(name, f64::from(value));
        }
        contribution.score = f64::from(score);
        Some(if score == 0 {
            contribution.dropped("a factor is 0")
        } else if score < config.minimum_risk_score {
            let reason = format!("less than the minimum of {}", config.minimum_risk_score);
            contribution.dropped(reason)
        } else {
            contribution
        })
    }

    fn day(&self, day: UtcDay, windows: &DayWindows<'_>, today: UtcDay) -> DayAssessment {
        let mut contributions = Vec::new();
        let mut all_periods: Vec<Period> = Vec::new();
        let mut keys: BTreeMap<usize, Vec<Scanned<'_>>> = BTreeMap::new();
        for (index, window) in windows {
            let mut scans = window
                .scans
                .iter()
                .filter(|scan| scan.attenuation.is_some());
            if let Some(reason) = refusal_by_type(window) {
                contributions.push(Contribution::of(*index, window).dropped(reason));
            } else if scans.clone().next().is_none() {
                let reason = "no scan of known attenuation";
                contributions.push(Contribution::of(*index, window).dropped(reason));
            } else {
                let of_key = keys.entry(window.key_index).or_default();
                of_key.extend(scans.by_ref().map(|scan| (*index, *window, scan)));
            }
        }
        for mut scans in keys.into_values() {
            scans.sort_by_key(|(_, window, scan)| {
                let loss = scan.attenuation.map(|loss| loss.typical);
                (second(scan), loss, window.start, window.transmission_risk)
            });
            let is_one = |before: &Scanned<'_>, after: &Scanned<'_>| {
                second(after.2) - second(before.2) <= SILENCE_MAX_S
            };
            for exposure in scans.chunk_by(is_one) {
                let periods = self.periods(exposure);
                contributions.extend(self.contribution(exposure, &periods, today));
                all_periods.extend(periods);
            }
        }
        contributions.sort_by_key(|contribution| (contribution.start, contribution.key_index));
        let scores = || {
            contributions
                .iter()
                .filter(|contribution| contribution.counts())
                .map(|contribution| contribution.score)
        };
        let score = scores().fold(0.0, f64::max);
        let minimum = Short(f64::from(self.config.minimum_risk_score.max(1)));
        let (level, rule) = match score {
            _ if score > 0.0 => (RiskLevel::High, format!("the highest reaches {minimum}")),
            _ => (RiskLevel::None, format!("none reaches {minimum}")),
        };
        let mut figures = self.attenuation_durations(&all_periods);
        figures.push(figure("sum", total(scores())));
        DayAssessment {
            day,
            level,
            score,
            rule,
            figures,
            contributions,
        }
    }
}

impl GaenV1 {
    /// `attenuationDurations`: seconds below, between and from both thresholds on.
    fn attenuation_durations(&self, periods: &[Period]) -> Vec<Figure> {
        let [low, high] = self.config.duration_at_attenuation_thresholds;
        let seconds = |range: &dyn Fn(u8) -> bool| -> f64 {
            let within = periods.iter().filter(|period| range(period.db));
            within.map(|period| period.seconds).sum::<u64>() as f64
        };
        vec![
            figure(format!("seconds below {low} dB"), seconds(&|db| db < low)),
            figure(
                format!("seconds from {low} to below {high} dB"),
                seconds(&|db| db >= low && db < high),
            ),
            figure(format!("seconds from {high} dB"), seconds(&|db| db >= high)),
        ]
    }
}

fn second(scan: &ScanInstance) -> i64 {
    i64::try_from(scan.start.unix_seconds()).unwrap_or(i64::MAX)
}

fn score_of(scores: &[u8; 8], bucket: Option<usize>) -> u8 {
    scores.get(bucket.unwrap_or(7)).copied().unwrap_or_default()
}

/// From the first scan to the last and one step more, rounded to steps, half down; minutes.
fn duration_minutes(first_to_last_s: i64) -> u32 {
    let estimate_s = first_to_last_s.max(0) + DURATION_STEP_S;
    let steps = (estimate_s + DURATION_STEP_S / 2 - 1) / DURATION_STEP_S;
    u32::try_from(steps * DURATION_STEP_S / 60).unwrap_or(u32::MAX)
}

/// A time at one attenuation.
struct Period {
    db: u8,
    seconds: u64,
}

/// `points`, seconds and dB in order of time, each until the next one, with half of `interval_s` before
/// the first and after the last. Of points at one second the first counts.
fn periods(points: &[(i64, u8)], interval_s: i64) -> Vec<Period> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return Vec::new();
    };
    let margin_s = interval_s / 2;
    let end = (last.0 + margin_s, last.1);
    let mut previous = (first.0 - margin_s, first.1);
    let mut periods = Vec::new();
    for point in points.iter().copied().chain([end]) {
        if point.0 > previous.0 {
            periods.push(Period {
                db: previous.1,
                seconds: (point.0 - previous.0).unsigned_abs(),
            });
            previous = point;
        }
    }
    if periods.is_empty() {
        periods.push(Period {
            db: first.1,
            seconds: 0,
        });
    }
    periods
}

/// The mean over time, rounded; over periods of no time that of the first.
fn weighted_attenuation(periods: &[Period]) -> Option<u8> {
    let seconds: u64 = periods.iter().map(|period| period.seconds).sum();
    let sum: u64 = periods
        .iter()
        .map(|period| u64::from(period.db) * period.seconds)
        .sum();
    match (sum + seconds / 2).checked_div(seconds) {
        Some(mean) => u8::try_from(mean).ok(),
        None => periods.first().map(|period| period.db),
    }
}

impl RiskModel for GaenV1 {
    fn name(&self) -> &'static str {
        "gaen-v1"
    }

    fn source(&self) -> &'static str {
        "google/exposure-notifications-internals @ aaada6ce, RiskScoreCalculator; scores of \
         corona-warn-app/cwa-server @ c61d55f6, exposure-config.yaml"
    }

    fn assess(&self, windows: &[ExposureWindow], today: UtcDay) -> Assessment {
        Assessment::of_days(self.name(), Unit::Points, windows, |day, windows| {
            self.day(day, windows, today)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worked_example_of_google() {
        // 6/2 * 1 + 10 * 1 + 40 * 4 + 6/2 * 5 = 188, of 56 seconds: 3.36.
        let example = periods(&[(0, 1), (10, 4), (50, 5)], 6);
        assert_eq!(example.iter().map(|p| p.seconds).sum::<u64>(), 56);
        let weighted = example.iter().map(|p| u64::from(p.db) * p.seconds);
        assert_eq!(weighted.sum::<u64>(), 188);
        assert_eq!(weighted_attenuation(&example), Some(3));
    }

    #[test]
    fn periods_of_few_points() {
        let mean =
            |points: &[(i64, u8)], interval_s| weighted_attenuation(&periods(points, interval_s));
        assert_eq!(mean(&[], 6), None);
        assert_eq!(mean(&[(9, 7)], 0), Some(7));
        assert_eq!(mean(&[(9, 7), (9, 99)], 0), Some(7));
        assert_eq!(mean(&[(0, 50), (0, 90), (6, 50)], 12), Some(50));
        // A third, and half of the time at 51.
        assert_eq!(mean(&[(0, 50), (6, 51)], 12), Some(50));
        assert_eq!(mean(&[(0, 50), (6, 51), (12, 51)], 12), Some(51));
    }

    #[test]
    fn durations_are_rounded_to_five_minutes_half_down() {
        for (seconds, minutes) in [
            (0, 5),
            (150, 5),
            (151, 10),
            (300, 10),
            (450, 10),
            (451, 15),
            (1_500, 30),
        ] {
            assert_eq!(duration_minutes(seconds), minutes, "{seconds}");
        }
    }
}
