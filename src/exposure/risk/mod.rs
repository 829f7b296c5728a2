//! Risk models: what [exposure windows](super::ExposureWindow) come to, by the rules of those who
//! ran such a system, with every step of it.
//!
//! | model | decides by | source of its rule |
//! |---|---|---|
//! | [`GaenV1`] | points: attenuation × days × duration × transmission | Google's and Apple's first interface |
//! | [`GaenV2`] | weighted seconds of a day | Google's and Apple's second, daily summaries |
//! | [`CoronaWarnApp`] | normalised minutes of a day | Germany's app, from version 1.9 |
//! | [`SwissCovid`] | weighted minutes of a day | Switzerland's app |
//! | [`BluezoneRule`] | minutes within two metres of one patient | what Viet Nam's authorities stated |
//!
//! Each has its configuration as data ([`Configuration`]: JSON, checked), and default values that were in
//! use or recommended, with their source. None of them is a diagnosis, and none is right: attenuation is a
//! poor measure of distance. [`Assessment`] therefore says which windows counted, with which weights,
//! which were dropped and why, and which rule decided.
//!
//! ```
//! use truyvet::exposure::risk::{Configuration, GaenV2, GaenV2Config, RiskLevel, RiskModel};
//! use truyvet::exposure::{MatchConfig, Matcher, WindowConfig, exposure_windows};
//! # use truyvet::protocol::gaen::{Config, DiagnosisKey, TemporaryExposureKey};
//! # use truyvet::sighting::{Rssi, RssiSummary, Source};
//! # use truyvet::time::{IntervalNumber, Timestamp};
//! # use truyvet::{ProtocolKind, PublishedKey, Secret, Sighting};
//! # let start = IntervalNumber(2_643_036); // 2020-04-02T10:00Z
//! # let tek = TemporaryExposureKey::new(Secret::new([7; 16]));
//! # let id = tek.rolling_proximity_identifier_key()?.identifier(start);
//! # let aemk = tek.associated_encrypted_metadata_key()?;
//! # let metadata = aemk.apply(&id, Config::with_tx_power(-20, 3).metadata.to_bytes());
//! # let rssi = Rssi::from_dbm(-70).ok_or("no strength")?;
//! # let second = |s: u64| Timestamp::from_unix_seconds(start.start().unix_seconds() + s);
//! # let sightings = (0..38).map(|half_minute| Sighting {
//! #     protocol: ProtocolKind::Gaen,
//! #     id: id.into(),
//! #     metadata: Some(metadata),
//! #     first: second(30 * half_minute),
//! #     last: second(30 * half_minute + 30),
//! #     frames: 90,
//! #     rssi: Some(RssiSummary { min: rssi, mean: rssi, max: rssi }),
//! #     source: Source::ServiceData,
//! # });
//! # let key = DiagnosisKey::new([7; 16], IntervalNumber(2_643_000), 144)?;
//! # let keys = [PublishedKey::Gaen(key)];
//! // Nineteen minutes at 50 dB, from ten o'clock.
//! let matcher = Matcher::new(MatchConfig::default(), sightings);
//! let exposures = matcher.exposures(&keys);
//! let windows = exposure_windows(&exposures, &WindowConfig::default());
//!
//! let config = GaenV2Config::from_json(br#"{"days_since_exposure_threshold": 10}"#)?;
//! let today = "2020-04-05".parse()?;
//! let assessment = GaenV2::new(config)?.assess(&windows, today);
//! assert_eq!(assessment.level, RiskLevel::High);
//! println!("{assessment}");
//! # assert_eq!(assessment.to_string(), "\
//! # gaen-v2: high risk, most recently on 2020-04-02\n\
//! # 2020-04-02: high risk, 1995 weighted s: alert, the sum reaches 900; sum of confirmed tests 1995; \
//! # sum 1995; maximum 1995; weighted duration 1995\n  \
//! # 10:00 UTC, key 0: 19 min heard: 19 min immediate × 1.75; × report type 1 × infectiousness 1 = \
//! # 1995 weighted s");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! prints
//!
//! ```text
//! gaen-v2: high risk, most recently on 2020-04-02
//! 2020-04-02: high risk, 1995 weighted s: alert, the sum reaches 900; sum of confirmed tests 1995; …
//!   10:00 UTC, key 0: 19 min heard: 19 min immediate × 1.75; × report type 1 × infectiousness 1 = 1995 weighted s
//! ```

mod assessment;
mod bluezone;
mod config;
mod corona_warn_app;
mod gaen_v1;
mod gaen_v2;
mod swisscovid;

#[cfg(test)]
mod tests;

pub use assessment::{
    Assessment, Contribution, DayAssessment, Figure, Outcome, Part, RiskLevel, Unit,
};
pub use bluezone::{BluezoneRule, BluezoneRuleConfig, PairThresholds, PhonePair};
pub use config::{CONFIG_BYTES_MAX, ConfigError, Configuration};
pub use corona_warn_app::{
    AttenuationFilter, AttenuationWeight, CoronaWarnApp, CoronaWarnAppConfig, LevelMapping, Range,
    TransmissionRiskEncoding, TransmissionRiskFilter, TransmissionRiskValue,
};
pub use gaen_v1::{GaenV1, GaenV1Config};
pub use gaen_v2::{Classification, GaenV2, GaenV2Config, InfectiousnessWeights, ReportTypeWeights};
pub use swisscovid::{SwissCovid, SwissCovidConfig};

pub(super) use config::check_range;

use super::{ExposureWindow, Infectiousness};
use crate::protocol::ReportType;
use crate::time::UtcDay;

/// A rule that makes of windows a level of risk, and says how.
pub trait RiskModel: std::fmt::Debug + Send + Sync {
    /// Its name, as [`by_name`] takes it.
    fn name(&self) -> &'static str;

    /// Where its rule and its default values are from.
    fn source(&self) -> &'static str;

    /// What `windows` come to as seen on the UTC day `today`. The order of windows does not matter but for
    /// the indices in the answer; a day after today is as today.
    fn assess(&self, windows: &[ExposureWindow], today: UtcDay) -> Assessment;
}

/// The names of all models.
pub const NAMES: [&str; 5] = [
    "gaen-v1",
    "gaen-v2",
    "corona-warn-app",
    "swisscovid",
    "bluezone",
];

/// The model `name`, one of [`NAMES`], with the configuration `json`, or its default one.
///
/// # Errors
///
/// [`ConfigError`].
pub fn by_name(name: &str, json: Option<&[u8]>) -> Result<Box<dyn RiskModel>, ConfigError> {
    fn config<C: Configuration + Default>(json: Option<&[u8]>) -> Result<C, ConfigError> {
        json.map_or_else(|| Ok(C::default()), C::from_json)
    }
    Ok(match name {
        "gaen-v1" => Box::new(GaenV1::new(config(json)?)?),
        "gaen-v2" => Box::new(GaenV2::new(config(json)?)?),
        "corona-warn-app" => Box::new(CoronaWarnApp::new(config(json)?)?),
        "swisscovid" => Box::new(SwissCovid::new(config(json)?)?),
        "bluezone" => Box::new(BluezoneRule::new(config(json)?)?),
        other => {
            return Err(ConfigError::UnknownModel {
                expected: NAMES.join(", "),
                got: config::shortened(other),
            });
        }
    })
}

/// Why `window` does not count by its report type, if so (`isTekReportTypeReturnableToClients`).
fn refusal_by_type(window: &ExposureWindow) -> Option<String> {
    match window.report_type {
        ReportType::Revoked => Some("the authority has withdrawn the key".to_owned()),
        ReportType::Unknown => Some("its report type is not known".to_owned()),
        _ => None,
    }
}

/// Why no model of windows counts `window`, if so; `days_max` is the greatest age that counts. Who is not
/// infectious is ignored before a model is asked (Apple's `ENCommon.h`: "never returned through the API").
fn refusal(window: &ExposureWindow, today: UtcDay, days_max: Option<u32>) -> Option<String> {
    if let Some(reason) = refusal_by_type(window) {
        return Some(reason);
    }
    if window.infectiousness == Infectiousness::None {
        return Some("the patient was not infectious on that day".to_owned());
    }
    let age = age_days(window, today);
    days_max
        .filter(|days_max| age > *days_max)
        .map(|days_max| format!("{age} days ago, and no more than {days_max} count"))
}

/// Days from the window's to `today`.
fn age_days(window: &ExposureWindow, today: UtcDay) -> u32 {
    today.unix_days().saturating_sub(window.day.unix_days())
}
