//! Corona-Warn-App's risk, from version 1.9 on.

use std::collections::BTreeSet;

use super::assessment::{
    Contribution, DayAssessment, DayWindows, Short, Unit, contributions, figure, total,
};
use super::{Assessment, ConfigError, Configuration, RiskLevel, RiskModel, refusal};
use crate::exposure::{CalibrationConfidence, ExposureWindow, Infectiousness};
use crate::protocol::ReportType;
use crate::time::UtcDay;

mod settings;

pub use settings::{
    AttenuationFilter, AttenuationWeight, CoronaWarnAppConfig, LevelMapping, Range,
    TransmissionRiskEncoding, TransmissionRiskFilter, TransmissionRiskValue,
};

/// Corona-Warn-App's risk calculation (corona-warn-app/cwa-app-android @ d98f9c20, `DefaultRiskLevels`).
///
/// A window is dropped if the minutes of its scans within a filter's attenuations are within
/// the filter's minutes, or if its **transmission risk level** (TRL), the sum of an offset for its report
/// type and one for its infectiousness, is within a filter. Its **normalised time** is the value of its
/// TRL times its minutes, each weighted by its scan's **smallest** attenuation; that has a level or the window
/// is dropped. A day's level is that of the sum of normalised times, **rounded to one decimal** (as on
/// Android; iOS does not round). **Distinct encounters** of a day at a level are the different pairs of TRL and
/// calibration confidence of its windows at it. Any filter drops a window, as specified; Android's code
/// asked the first alone.
#[derive(Clone, Debug, Default)]
pub struct CoronaWarnApp {
    config: CoronaWarnAppConfig,
}

/// A window that was not dropped.
struct Encounter {
    level: RiskLevel,
    transmission_risk: u32,
    confidence: CalibrationConfidence,
}

impl CoronaWarnApp {
    /// The model so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn new(config: CoronaWarnAppConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config })
    }

    /// TRL of a window; `None` if its report type has none.
    fn transmission_risk(&self, window: &ExposureWindow) -> Option<u32> {
        let encoding = &self.config.trl_encoding;
        let by_report = match window.report_type {
            ReportType::Recursive => encoding.report_type_offset_recursive,
            ReportType::SelfReport => encoding.report_type_offset_self_report,
            ReportType::ConfirmedClinicalDiagnosis => {
                encoding.report_type_offset_confirmed_clinical_diagnosis
            }
            ReportType::ConfirmedTest => encoding.report_type_offset_confirmed_test,
            _ => return None,
        };
        let by_infectiousness = match window.infectiousness {
            Infectiousness::High => encoding.infectiousness_offset_high,
            _ => encoding.infectiousness_offset_standard,
        };
        Some(by_report + by_infectiousness)
    }

    fn is_filtered_by_time(&self, window: &ExposureWindow) -> bool {
        let filters = &self.config.minutes_at_attenuation_filters;
        filters.iter().any(|filter| {
            let seconds: u64 = window
                .scans
                .iter()
                .filter(|scan| {
                    let loss = scan.attenuation.map(|loss| f64::from(loss.min.db()));
                    loss.is_some_and(|db| filter.attenuation_range.contains(db))
                })
                .map(|scan| u64::from(scan.seconds_since_last_scan))
                .sum();
            filter
                .drop_if_minutes_in_range
                .contains(seconds as f64 / 60.0)
        })
    }

    fn contribution(
        &self,
        index: usize,
        window: &ExposureWindow,
        today: UtcDay,
    ) -> (Contribution, Option<Encounter>) {
        let mut contribution = Contribution::of(index, window);
        if let Some(reason) = refusal(window, today, Some(self.config.max_encounter_age_in_days)) {
            return (contribution.dropped(reason), None);
        }
        if self.is_filtered_by_time(window) {
            let reason = "its minutes at an attenuation are filtered out";
            return (contribution.dropped(reason), None);
        }
        let Some(level) = self.transmission_risk(window) else {
            return (contribution.dropped("its report type has no level"), None);
        };
        let filters = &self.config.trl_filters;
        let trl = f64::from(level);
        if filters.iter().any(|f| f.drop_if_trl_in_range.contains(trl)) {
            let reason = format!("transmission risk level {level} is filtered out");
            return (contribution.dropped(reason), None);
        }
        for scan in &window.scans {
            let (name, weight) = match scan.attenuation {
                None => ("of unknown attenuation".to_owned(), 0.0),
                Some(loss) => self.config.weight(loss.min.db()),
            };
            contribution.add(&name, scan.seconds_since_last_scan, weight);
        }
        let values = &self.config.transmission_risk_value_mapping;
        let value = values
            .iter()
            .find(|value| value.transmission_risk_level == level)
            .map_or(0.0, |value| value.transmission_risk_value);
        contribution.factor(format!("transmission risk level {level}:"), value);
        contribution.score = value * contribution.weighted_seconds() / 60.0;
        let mapping = &self.config.normalized_time_per_ew_to_risk_level_mapping;
        match settings::level(mapping, contribution.score) {
            None => (
                contribution.dropped("no level has its normalised time"),
                None,
            ),
            Some(risk) => {
                let encounter = Encounter {
                    level: risk,
                    transmission_risk: level,
                    confidence: window.calibration_confidence,
                };
                (contribution, Some(encounter))
            }
        }
    }

    fn day(&self, day: UtcDay, windows: &DayWindows<'_>, today: UtcDay) -> DayAssessment {
        let (contributions, encounters): (Vec<Contribution>, Vec<Option<Encounter>>) =
            contributions(windows, |index, window| {
                self.contribution(index, window, today)
            })
            .into_iter()
            .unzip();
        let counted = || contributions.iter().filter(|c| c.counts());
        let score = (total(counted().map(|c| c.score)) * 10.0).round() / 10.0;
        let mapping = &self.config.normalized_time_per_day_to_risk_level_mapping;
        let level = match counted().next() {
            None => None,
            Some(_) => settings::level(mapping, score),
        };
        let mut figures = Vec::new();
        if level.is_some() {
            for (name, at) in [
                ("distinct encounters at low risk", RiskLevel::Low),
                ("distinct encounters at high risk", RiskLevel::High),
            ] {
                let distinct: BTreeSet<_> = encounters
                    .iter()
                    .flatten()
                    .filter(|encounter| encounter.level == at)
                    .map(|encounter| (encounter.transmission_risk, encounter.confidence))
                    .collect();
                figures.push(figure(name, distinct.len() as f64));
            }
        }
        let sum = Short(score);
        DayAssessment {
            day,
            level: level.unwrap_or_default(),
            score,
            rule: match level {
                Some(level) => format!("a normalised time of {sum} min a day is {level}"),
                None => format!("a normalised time of {sum} min a day has no level"),
            },
            figures,
            contributions,
        }
    }
}

impl RiskModel for CoronaWarnApp {
    fn name(&self) -> &'static str {
        "corona-warn-app"
    }

    fn source(&self) -> &'static str {
        "corona-warn-app/cwa-app-android @ d98f9c20, DefaultRiskLevels; \
         corona-warn-app/cwa-server @ c61d55f6, risk-calculation-parameters-1.15.yaml"
    }

    fn assess(&self, windows: &[ExposureWindow], today: UtcDay) -> Assessment {
        Assessment::of_days(self.name(), Unit::Minutes, windows, |day, windows| {
            self.day(day, windows, today)
        })
    }
}
