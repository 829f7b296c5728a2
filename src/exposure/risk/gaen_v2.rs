//! GAEN version 2: daily summaries.

use serde::{Deserialize, Serialize};

use super::assessment::{
    Contribution, DayAssessment, DayWindows, Figure, Short, Unit, contributions, figure, total,
};
use super::config::{check_all, check_ascending, check_range, shortened};
use super::{Assessment, ConfigError, Configuration, RiskLevel, RiskModel, refusal};
use crate::exposure::{ExposureWindow, Infectiousness};
use crate::protocol::ReportType;
use crate::time::UtcDay;

/// Weights of GAEN are 0 to 250 %.
const WEIGHT: std::ops::RangeInclusive<f64> = 0.0..=2.5;

/// More weighted seconds than any day has, with every weight at its most.
const SECONDS_MAX: f64 = 10_000_000.0;

/// The buckets' names in Google's and Apple's documentation.
const BUCKETS: [&str; 4] = ["immediate", "near", "medium", "other"];

/// The weights and thresholds of daily summaries (`DailySummariesConfig`), and of what an app makes of
/// them (`DailySummaryRiskCalculator`).
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct GaenV2Config {
    /// The largest typical attenuations, dB, of the immediate, near and medium bucket; ascending.
    pub attenuation_bucket_threshold_db: [u8; 3],
    /// Weights of the immediate, near, medium and other bucket, 0 to 2.5.
    pub attenuation_bucket_weights: [f64; 4],
    /// Weights of report types, 0 to 2.5.
    pub report_type_weights: ReportTypeWeights,
    /// Weights of infectiousness, 0 to 2.5; nobody is infected by who is not infectious.
    pub infectiousness_weights: InfectiousnessWeights,
    /// Days that are older than this do not count, 0..=3650; 0 counts all.
    pub days_since_exposure_threshold: u32,
    /// The least score of a window that counts, weighted seconds.
    pub minimum_window_score: f64,
    /// What a day may be, the first that fits; at most four.
    pub classifications: Vec<Classification>,
}

/// Weights of report types, each 0 to 2.5.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReportTypeWeights {
    /// By a test.
    pub confirmed_test: f64,
    /// By a doctor.
    pub confirmed_clinical_diagnosis: f64,
    /// By the patient's own word.
    pub self_report: f64,
    /// Contacts of contacts.
    pub recursive: f64,
}

/// Weights of infectiousness, each 0 to 2.5.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct InfectiousnessWeights {
    /// Infectious.
    pub standard: f64,
    /// Highly infectious.
    pub high: f64,
}

/// A day is of this class if one of its figures reaches its threshold. Thresholds are weighted seconds;
/// 0 is unused.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Classification {
    /// What it is called.
    pub name: String,
    /// How much it counts for; no class may count for more than the one before it.
    pub level: RiskLevel,
    /// Of the scores of windows confirmed by tests.
    pub confirmed_test_sum: f64,
    /// Of those confirmed by doctors.
    pub confirmed_clinical_diagnosis_sum: f64,
    /// Of those by the patient's own word.
    pub self_report_sum: f64,
    /// Of contacts of contacts.
    pub recursive_sum: f64,
    /// Of all scores.
    pub score_sum: f64,
    /// Of the largest score.
    pub maximum_score: f64,
    /// Of the seconds weighted by attenuation alone.
    pub weighted_duration_sum: f64,
}

impl Classification {
    /// One by the sum of a day's scores.
    pub fn by_sum(name: &str, level: RiskLevel, score_sum: f64) -> Self {
        Self {
            name: name.to_owned(),
            level,
            score_sum,
            ..Self::default()
        }
    }

    fn thresholds(&self) -> [(&'static str, f64); 7] {
        [
            ("sum of confirmed tests", self.confirmed_test_sum),
            (
                "sum of clinical diagnoses",
                self.confirmed_clinical_diagnosis_sum,
            ),
            ("sum of self reports", self.self_report_sum),
            ("sum of recursive reports", self.recursive_sum),
            ("sum", self.score_sum),
            ("maximum", self.maximum_score),
            ("weighted duration", self.weighted_duration_sum),
        ]
    }
}

impl GaenV2Config {
    /// "Narrow net" of the risk score symposium's second recommendation, of 2021
    /// (lfph/gaen-risk-scoring @ 04feb93): 175 % up to 55 dB, 100 % up to 67, 33 % up to 75; standard
    /// infectiousness 30 %. Its alert is a quarter of an hour, as the authorities' close contact is; all else is
    /// an advisory.
    pub fn narrow_net() -> Self {
        Self {
            attenuation_bucket_threshold_db: [55, 67, 75],
            attenuation_bucket_weights: [1.75, 1.0, 0.33, 0.0],
            report_type_weights: ReportTypeWeights {
                confirmed_test: 1.0,
                confirmed_clinical_diagnosis: 1.0,
                self_report: 1.0,
                recursive: 1.0,
            },
            infectiousness_weights: InfectiousnessWeights {
                standard: 0.3,
                high: 1.0,
            },
            days_since_exposure_threshold: 14,
            minimum_window_score: 0.0,
            classifications: vec![
                Classification::by_sum("alert", RiskLevel::High, 900.0),
                // Chosen: the least there is.
                Classification::by_sum("advisory", RiskLevel::Low, 1.0),
            ],
        }
    }

    /// "Wide net" of the same: 200 % up to 55 dB, 100 % up to 70, 25 % up to 80.
    pub fn wide_net() -> Self {
        Self {
            attenuation_bucket_threshold_db: [55, 70, 80],
            attenuation_bucket_weights: [2.0, 1.0, 0.25, 0.0],
            ..Self::narrow_net()
        }
    }
}

/// [`narrow_net`](GaenV2Config::narrow_net).
impl Default for GaenV2Config {
    fn default() -> Self {
        Self::narrow_net()
    }
}

impl Configuration for GaenV2Config {
    fn check(&self) -> Result<(), ConfigError> {
        check_ascending(
            "attenuation_bucket_threshold_db",
            &self.attenuation_bucket_threshold_db,
        )?;
        check_all(
            "attenuation_bucket_weights",
            &self.attenuation_bucket_weights,
            &WEIGHT,
        )?;
        let types = self.report_type_weights;
        let infectiousness = self.infectiousness_weights;
        for (field, weight) in [
            ("confirmed_test", types.confirmed_test),
            (
                "confirmed_clinical_diagnosis",
                types.confirmed_clinical_diagnosis,
            ),
            ("self_report", types.self_report),
            ("recursive", types.recursive),
            ("standard", infectiousness.standard),
            ("high", infectiousness.high),
        ] {
            check_range(field, weight, WEIGHT)?;
        }
        check_range(
            "days_since_exposure_threshold",
            self.days_since_exposure_threshold,
            0..=3650,
        )?;
        check_range(
            "minimum_window_score",
            self.minimum_window_score,
            0.0..=SECONDS_MAX,
        )?;
        check_range("classifications", self.classifications.len(), 0..=4)?;
        let mut before = RiskLevel::High;
        for class in &self.classifications {
            for (figure, threshold) in class.thresholds() {
                let field = format!("classification {}: {figure}", shortened(&class.name));
                check_range(field, threshold, 0.0..=SECONDS_MAX)?;
            }
            let name = shortened(&class.name);
            if class.level == RiskLevel::None {
                let field = format!("classification {name}: level");
                return Err(ConfigError::out_of_range(field, "low or high", "none"));
            }
            if class
                .thresholds()
                .iter()
                .all(|(_, threshold)| *threshold == 0.0)
            {
                let field = format!("classification {name}");
                return Err(ConfigError::out_of_range(
                    field,
                    "a threshold above 0",
                    "none",
                ));
            }
            if class.level > before {
                return Err(ConfigError::out_of_range(
                    "classifications",
                    format!("no more than {before} after it"),
                    class.level,
                ));
            }
            before = class.level;
        }
        Ok(())
    }
}

/// GAEN version 2's daily summaries (google/exposure-notifications-internals @ aaada6ce,
/// `DailySummaryUtils`; classes as in google/exposure-notifications-android @ e44603b3,
/// `DailySummaryRiskCalculator`).
///
/// A window's **weighted duration** is the sum of its scans' seconds, each times the weight of the bucket that
/// its typical attenuation lies in (a bucket ends with its threshold: 55 dB is immediate, 56 near). Its
/// **score** is that times the weights of its report type and infectiousness; a window below
/// `minimumWindowScore` is dropped. A day has the sum and maximum of its scores and the sum of weighted durations.
/// Scans of unknown attenuation count for nothing.
#[derive(Clone, Debug, Default)]
pub struct GaenV2 {
    config: GaenV2Config,
}

impl GaenV2 {
    /// The model so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn new(config: GaenV2Config) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config })
    }

    fn bucket(&self, attenuation_db: u8) -> (&'static str, f64) {
        let thresholds = self.config.attenuation_bucket_threshold_db;
        let index = thresholds.iter().filter(|t| attenuation_db > **t).count();
        let weights = self.config.attenuation_bucket_weights;
        let bucket = BUCKETS.into_iter().zip(weights).nth(index);
        bucket.unwrap_or(("other", 0.0))
    }

    fn contribution(&self, index: usize, window: &ExposureWindow, today: UtcDay) -> Contribution {
        let mut contribution = Contribution::of(index, window);
        for scan in &window.scans {
            let (bucket, weight) = match scan.attenuation {
                Some(loss) => self.bucket(loss.typical.db()),
                None => ("of unknown attenuation", 0.0),
            };
            contribution.add(bucket, scan.seconds_since_last_scan, weight);
        }
        let types = self.config.report_type_weights;
        let report_type = match window.report_type {
            ReportType::ConfirmedTest => types.confirmed_test,
            ReportType::ConfirmedClinicalDiagnosis => types.confirmed_clinical_diagnosis,
            ReportType::SelfReport => types.self_report,
            ReportType::Recursive => types.recursive,
            _ => 0.0,
        };
        let infectiousness = match window.infectiousness {
            Infectiousness::None => 0.0,
            Infectiousness::Standard => self.config.infectiousness_weights.standard,
            Infectiousness::High => self.config.infectiousness_weights.high,
        };
        contribution.factor("report type", report_type);
        contribution.factor("infectiousness", infectiousness);
        contribution.score = contribution.weighted_seconds() * report_type * infectiousness;
        let minimum = self.config.minimum_window_score;
        let days_max = Some(self.config.days_since_exposure_threshold).filter(|days| *days > 0);
        if let Some(reason) = refusal(window, today, days_max) {
            contribution.dropped(reason)
        } else if contribution.score < minimum {
            let reason = format!("less than the {} of a window that counts", Short(minimum));
            contribution.dropped(reason)
        } else {
            contribution
        }
    }

    fn day(&self, day: UtcDay, windows: &DayWindows<'_>, today: UtcDay) -> DayAssessment {
        let contributions = contributions(windows, |index, window| {
            self.contribution(index, window, today)
        });
        let figures = summary(windows, &contributions);
        let (level, rule) = self.class(&figures);
        DayAssessment {
            day,
            level,
            score: value(&figures, "sum"),
            rule,
            figures,
            contributions,
        }
    }

    fn class(&self, figures: &[Figure]) -> (RiskLevel, String) {
        for class in &self.config.classifications {
            let reached = class
                .thresholds()
                .into_iter()
                .find(|(name, threshold)| *threshold > 0.0 && value(figures, name) >= *threshold);
            if let Some((name, threshold)) = reached {
                let rule = format!("{}, the {name} reaches {}", class.name, Short(threshold));
                return (class.level, rule);
            }
        }
        (RiskLevel::None, "no class fits".to_owned())
    }
}

fn value(figures: &[Figure], name: &str) -> f64 {
    figures
        .iter()
        .find(|figure| figure.name == name)
        .map_or(0.0, |figure| figure.value)
}

/// A day's summary, by the names of [`Classification::thresholds`].
fn summary(windows: &DayWindows<'_>, contributions: &[Contribution]) -> Vec<Figure> {
    let counted = || {
        windows
            .iter()
            .zip(contributions)
            .filter(|(_, contribution)| contribution.counts())
    };
    let sum_of = |report_type| {
        total(
            counted()
                .filter(|((_, window), _)| window.report_type == report_type)
                .map(|(_, contribution)| contribution.score),
        )
    };
    let scores = || counted().map(|(_, contribution)| contribution.score);
    let durations = counted().map(|(_, contribution)| contribution.weighted_seconds());
    let mut figures: Vec<Figure> = [
        ("sum of confirmed tests", ReportType::ConfirmedTest),
        (
            "sum of clinical diagnoses",
            ReportType::ConfirmedClinicalDiagnosis,
        ),
        ("sum of self reports", ReportType::SelfReport),
        ("sum of recursive reports", ReportType::Recursive),
    ]
    .into_iter()
    .map(|(name, report_type)| figure(name, sum_of(report_type)))
    .filter(|figure| figure.value > 0.0)
    .collect();
    figures.push(figure("sum", total(scores())));
    figures.push(figure("maximum", scores().fold(0.0, f64::max)));
    figures.push(figure("weighted duration", total(durations)));
    figures
}

impl RiskModel for GaenV2 {
    fn name(&self) -> &'static str {
        "gaen-v2"
    }

    fn source(&self) -> &'static str {
        "google/exposure-notifications-internals @ aaada6ce, DailySummaryUtils; weights of \
         lfph/gaen-risk-scoring @ 04feb93"
    }

    fn assess(&self, windows: &[ExposureWindow], today: UtcDay) -> Assessment {
        Assessment::of_days(self.name(), Unit::Seconds, windows, |day, windows| {
            self.day(day, windows, today)
        })
    }
}
