//! Corona-Warn-App's parameters, by the names of its served configuration.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

use super::super::config::check_range;
use super::super::{ConfigError, Configuration, RiskLevel};

/// Attenuations, minutes and levels are no greater.
const RANGE_MAX: f64 = 1_000_000.0;

/// Entries that a list may have. Chosen: a level for each attenuation.
const ENTRIES_MAX: usize = 256;

/// Corona-Warn-App's risk calculation parameters.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CoronaWarnAppConfig {
    /// Windows that are dropped by the time at some attenuation.
    pub minutes_at_attenuation_filters: Vec<AttenuationFilter>,
    /// Windows that are dropped by their transmission risk level.
    pub trl_filters: Vec<TransmissionRiskFilter>,
    /// Weights of minutes; the first whose range has the attenuation counts, and 0 if none has.
    pub minutes_at_attenuation_weights: Vec<AttenuationWeight>,
    /// Levels of windows.
    #[serde(rename = "normalizedTimePerEWToRiskLevelMapping")]
    pub normalized_time_per_ew_to_risk_level_mapping: Vec<LevelMapping>,
    /// Levels of days.
    pub normalized_time_per_day_to_risk_level_mapping: Vec<LevelMapping>,
    /// How a transmission risk level comes about.
    pub trl_encoding: TransmissionRiskEncoding,
    /// What a transmission risk level is worth; 0 if it is not listed.
    pub transmission_risk_value_mapping: Vec<TransmissionRiskValue>,
    /// Older windows do not count, days, 0..=3650.
    pub max_encounter_age_in_days: u32,
}

/// From `min` to `max`, both in it unless they are exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Range {
    /// The least.
    pub min: f64,
    /// The greatest, no less than the least.
    pub max: f64,
    /// The least is not in it.
    #[serde(default)]
    pub min_exclusive: bool,
    /// The greatest is not in it.
    #[serde(default)]
    pub max_exclusive: bool,
}

impl Range {
    /// Both ends are in it.
    pub const fn closed(min: f64, max: f64) -> Self {
        Self {
            min,
            max,
            min_exclusive: false,
            max_exclusive: false,
        }
    }

    /// The greatest is not in it.
    pub const fn half_open(min: f64, max: f64) -> Self {
        Self {
            max_exclusive: true,
            ..Self::closed(min, max)
        }
    }

    /// Whether `value` is in it.
    pub fn contains(&self, value: f64) -> bool {
        let above = value > self.min || (value == self.min && !self.min_exclusive);
        let below = value < self.max || (value == self.max && !self.max_exclusive);
        above && below
    }

    fn check(&self, field: &str) -> Result<(), ConfigError> {
        check_range(format!("{field} min"), self.min, 0.0..=RANGE_MAX)?;
        check_range(format!("{field} max"), self.max, self.min..=RANGE_MAX)
    }
}

/// Drops windows with so many minutes at such an attenuation.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttenuationFilter {
    /// Smallest attenuations of scans, dB.
    pub attenuation_range: Range,
    /// Minutes of those scans.
    pub drop_if_minutes_in_range: Range,
}

/// Drops windows of such a transmission risk level.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransmissionRiskFilter {
    /// Levels.
    pub drop_if_trl_in_range: Range,
}

/// A weight for minutes at such an attenuation.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AttenuationWeight {
    /// Smallest attenuations of scans, dB.
    pub attenuation_range: Range,
    /// 0 to 100.
    pub weight: f64,
}

/// The level of such a normalised time.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LevelMapping {
    /// Normalised minutes.
    pub normalized_time_range: Range,
    /// 1 is low, 2 high.
    #[serde(
        deserialize_with = "level_of_number",
        serialize_with = "number_of_level"
    )]
    pub risk_level: RiskLevel,
}

/// Offsets, each 0..=100, of which two add up to a transmission risk level.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransmissionRiskEncoding {
    /// Infectious.
    pub infectiousness_offset_standard: u32,
    /// Highly infectious.
    pub infectiousness_offset_high: u32,
    /// Contacts of contacts.
    pub report_type_offset_recursive: u32,
    /// By the patient's own word.
    pub report_type_offset_self_report: u32,
    /// By a doctor.
    pub report_type_offset_confirmed_clinical_diagnosis: u32,
    /// By a test.
    pub report_type_offset_confirmed_test: u32,
}

/// What a transmission risk level is worth.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TransmissionRiskValue {
    /// The level.
    pub transmission_risk_level: u32,
    /// 0 to 100.
    pub transmission_risk_value: f64,
}

/// The level of the first mapping that has `time`.
pub(super) fn level(mappings: &[LevelMapping], time: f64) -> Option<RiskLevel> {
    mappings
        .iter()
        .find(|mapping| mapping.normalized_time_range.contains(time))
        .map(|mapping| mapping.risk_level)
}

impl CoronaWarnAppConfig {
    /// The weight of minutes at `attenuation_db`, and a name for it.
    pub(super) fn weight(&self, attenuation_db: u8) -> (String, f64) {
        self.minutes_at_attenuation_weights
            .iter()
            .find(|weight| weight.attenuation_range.contains(f64::from(attenuation_db)))
            .map_or_else(
                || ("further".to_owned(), 0.0),
                |weight| {
                    let Range { min, max, .. } = weight.attenuation_range;
                    (format!("from {min} to {max} dB"), weight.weight)
                },
            )
    }
}

/// As served from version 1.15 (corona-warn-app/cwa-server @ c61d55f6,
/// `risk-calculation-parameters-1.15.yaml`; the values of transmission risk levels are of the app's own cases).
impl Default for CoronaWarnAppConfig {
    fn default() -> Self {
        let weight = |min, max, weight| AttenuationWeight {
            attenuation_range: Range::half_open(min, max),
            weight,
        };
        let level = |normalized_time_range, risk_level| LevelMapping {
            normalized_time_range,
            risk_level,
        };
        let values = [0.0, 0.0, 0.6, 0.8, 1.0, 1.2, 1.4, 1.6];
        Self {
            minutes_at_attenuation_filters: Vec::new(),
            trl_filters: Vec::new(),
            minutes_at_attenuation_weights: vec![
                weight(0.0, 63.0, 0.8),
                weight(63.0, 73.0, 1.0),
                weight(73.0, 79.0, 0.1),
            ],
            normalized_time_per_ew_to_risk_level_mapping: vec![
                level(Range::half_open(0.0, 9.0), RiskLevel::Low),
                level(Range::closed(9.0, 9_999.0), RiskLevel::High),
            ],
            normalized_time_per_day_to_risk_level_mapping: vec![
                level(Range::half_open(5.0, 9.0), RiskLevel::Low),
                level(Range::closed(9.0, 99_999.0), RiskLevel::High),
            ],
            trl_encoding: TransmissionRiskEncoding {
                infectiousness_offset_standard: 1,
                infectiousness_offset_high: 2,
                report_type_offset_recursive: 0,
                report_type_offset_self_report: 2,
                report_type_offset_confirmed_clinical_diagnosis: 4,
                report_type_offset_confirmed_test: 6,
            },
            transmission_risk_value_mapping: (1..)
                .zip(values)
                .map(|(level, value)| TransmissionRiskValue {
                    transmission_risk_level: level,
                    transmission_risk_value: value,
                })
                .collect(),
            max_encounter_age_in_days: 10,
        }
    }
}

impl Configuration for CoronaWarnAppConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let per_window = &self.normalized_time_per_ew_to_risk_level_mapping;
        let per_day = &self.normalized_time_per_day_to_risk_level_mapping;
        for (field, len) in [
            (
                "minutesAtAttenuationFilters",
                self.minutes_at_attenuation_filters.len(),
            ),
            ("trlFilters", self.trl_filters.len()),
            (
                "minutesAtAttenuationWeights",
                self.minutes_at_attenuation_weights.len(),
            ),
            ("normalizedTimePerEWToRiskLevelMapping", per_window.len()),
            ("normalizedTimePerDayToRiskLevelMapping", per_day.len()),
            (
                "transmissionRiskValueMapping",
                self.transmission_risk_value_mapping.len(),
            ),
        ] {
            check_range(format!("entries of {field}"), len, 0..=ENTRIES_MAX)?;
        }
        for filter in &self.minutes_at_attenuation_filters {
            filter.attenuation_range.check("attenuationRange")?;
            filter
                .drop_if_minutes_in_range
                .check("dropIfMinutesInRange")?;
        }
        for filter in &self.trl_filters {
            filter.drop_if_trl_in_range.check("dropIfTrlInRange")?;
        }
        for weight in &self.minutes_at_attenuation_weights {
            weight.attenuation_range.check("attenuationRange")?;
            check_range("weight", weight.weight, 0.0..=100.0)?;
        }
        for mapping in per_window.iter().chain(per_day) {
            mapping.normalized_time_range.check("normalizedTimeRange")?;
        }
        for value in &self.transmission_risk_value_mapping {
            let value = value.transmission_risk_value;
            check_range("transmissionRiskValue", value, 0.0..=100.0)?;
        }
        let encoding = &self.trl_encoding;
        for offset in [
            encoding.infectiousness_offset_standard,
            encoding.infectiousness_offset_high,
            encoding.report_type_offset_recursive,
            encoding.report_type_offset_self_report,
            encoding.report_type_offset_confirmed_clinical_diagnosis,
            encoding.report_type_offset_confirmed_test,
        ] {
            check_range("an offset of trlEncoding", offset, 0..=100)?;
        }
        check_range(
            "maxEncounterAgeInDays",
            self.max_encounter_age_in_days,
            0..=3650,
        )
    }
}

fn level_of_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RiskLevel, D::Error> {
    match u8::deserialize(deserializer)? {
        1 => Ok(RiskLevel::Low),
        2 => Ok(RiskLevel::High),
        other => Err(D::Error::custom(format_args!(
            "expected a riskLevel of 1 or 2, got {other}"
        ))),
    }
}

fn number_of_level<S: Serializer>(level: &RiskLevel, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*level as u8)
}
