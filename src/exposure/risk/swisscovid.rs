//! SwissCovid's exposure score.

use serde::{Deserialize, Serialize};

use super::assessment::{
    Contribution, DayAssessment, DayWindows, Short, Unit, contributions, figure,
};
use super::config::{check_all, check_ascending, check_range};
use super::{Assessment, ConfigError, Configuration, RiskLevel, RiskModel, refusal};
use crate::exposure::ExposureWindow;
use crate::time::UtcDay;

/// Thresholds and weights of the exposure score.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SwissCovidConfig {
    /// Below the first, dB, a scan is near, below the second it is half near; ascending.
    pub attenuation_thresholds_db: [u8; 2],
    /// Weights of both buckets, 0 to 2.5.
    pub weights: [f64; 2],
    /// Weighted minutes of a day that warn, 1..=1440.
    pub minutes: u32,
    /// Days that are older than this do not count, 0..=3650.
    pub days_max: u32,
}

impl SwissCovidConfig {
    /// As at the launch in June 2020: 50 and 55 dB.
    pub fn launch() -> Self {
        Self::with_thresholds([50, 55])
    }

    /// From 6 July 2020: 53 and 60 dB.
    pub fn july_2020() -> Self {
        Self::with_thresholds([53, 60])
    }

    /// From 11 September 2020: 55 and 63 dB.
    pub fn september_2020() -> Self {
        Self::with_thresholds([55, 63])
    }

    fn with_thresholds(attenuation_thresholds_db: [u8; 2]) -> Self {
        Self {
            attenuation_thresholds_db,
            weights: [1.0, 0.5],
            minutes: 15,
            days_max: 10,
        }
    }
}

/// [`september_2020`](SwissCovidConfig::september_2020), the last.
impl Default for SwissCovidConfig {
    fn default() -> Self {
        Self::september_2020()
    }
}

impl Configuration for SwissCovidConfig {
    fn check(&self) -> Result<(), ConfigError> {
        check_ascending("attenuation_thresholds_db", &self.attenuation_thresholds_db)?;
        check_all("weights", &self.weights, &(0.0..=2.5))?;
        check_range("minutes", self.minutes, 1..=1440)?;
        check_range("days_max", self.days_max, 0..=3650)
    }
}

/// SwissCovid's exposure score, ES = w₁B₁ + w₂B₂ (admin-ch/PT-System-Documents @ 265d2d26,
/// `SwissCovid-ExposureScore.pdf`; as computed by DP-3T/dp3t-sdk-android @ 05b477c,
/// `ExposureWindowMatchingWorker`, `AppConfigManager`).
///
/// B₁ are a day's minutes of scans whose typical attenuation is **below** the first threshold, B₂ of
/// those below the second, over all patients together and each rounded **up**. A day with an ES of 15
/// or more warns. What the authority says of a key does not matter, but that it is not withdrawn.
#[derive(Clone, Debug, Default)]
pub struct SwissCovid {
    config: SwissCovidConfig,
}

impl SwissCovid {
    /// The model so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn new(config: SwissCovidConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config })
    }

    /// The parts' names, in order of nearness.
    fn names(&self) -> [String; 2] {
        let [near, half] = self.config.attenuation_thresholds_db;
        [
            format!("below {near} dB"),
            format!("from {near} to below {half} dB"),
        ]
    }

    fn contribution(&self, index: usize, window: &ExposureWindow, today: UtcDay) -> Contribution {
        let mut contribution = Contribution::of(index, window);
        let [near_name, half_name] = self.names();
        let [near_db, half_db] = self.config.attenuation_thresholds_db;
        let [near_weight, half_weight] = self.config.weights;
        for scan in &window.scans {
            let (name, weight) = match scan.attenuation.map(|loss| loss.typical.db()) {
                Some(db) if db < near_db => (near_name.as_str(), near_weight),
                Some(db) if db < half_db => (half_name.as_str(), half_weight),
                Some(_) => ("further", 0.0),
                None => ("of unknown attenuation", 0.0),
            };
            contribution.add(name, scan.seconds_since_last_scan, weight);
        }
        contribution.score = contribution.weighted_seconds() / 60.0;
        contribution.unless(refusal(window, today, Some(self.config.days_max)))
    }

    fn day(&self, day: UtcDay, windows: &DayWindows<'_>, today: UtcDay) -> DayAssessment {
        let contributions = contributions(windows, |index, window| {
            self.contribution(index, window, today)
        });
        let minutes = self.names().map(|name| {
            let seconds: u64 = contributions
                .iter()
                .filter(|contribution| contribution.counts())
                .flat_map(|contribution| &contribution.parts)
                .filter(|part| part.name == name)
                .map(|part| part.seconds)
                .sum();
            figure(format!("minutes {name}"), seconds.div_ceil(60) as f64)
        });
        let weights = self.config.weights;
        let score: f64 = minutes.iter().zip(weights).map(|(b, w)| b.value * w).sum();
        let limit = f64::from(self.config.minutes);
        let (level, comparison) = match score {
            _ if score >= limit => (RiskLevel::High, "reaches"),
            _ if score > 0.0 => (RiskLevel::Low, "is below"),
            _ => (RiskLevel::None, "is below"),
        };
        DayAssessment {
            day,
            level,
            score,
            rule: format!("the day's score {comparison} {}", Short(limit)),
            figures: minutes.into(),
            contributions,
        }
    }
}

impl RiskModel for SwissCovid {
    fn name(&self) -> &'static str {
        "swisscovid"
    }

    fn source(&self) -> &'static str {
        "admin-ch/PT-System-Documents @ 265d2d26, SwissCovid-ExposureScore.pdf; \
         DP-3T/dp3t-sdk-android @ 05b477c, ExposureWindowMatchingWorker"
    }

    fn assess(&self, windows: &[ExposureWindow], today: UtcDay) -> Assessment {
        Assessment::of_days(self.name(), Unit::Minutes, windows, |day, windows| {
            self.day(day, windows, today)
        })
    }
}
