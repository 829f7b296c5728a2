//! Exposure windows, as GAEN version 2 has them, of both protocols.
//!
//! An **exposure window** is what was heard of one published key in less than 30 minutes; its **scan
//! instances** say, each for a part of that time, how strong and for how long. The rules are those of
//! google/exposure-notifications-internals @ aaada6ce (`KeyExposureEvaluator`, `ExposureWindowUtils`,
//! `SightingRecordWithMetadata`), but for two things:
//!
//! - Nothing is shuffled and no time is cut to its day: the owner sees everything.
//! - A window never spans midnight UTC, as [`Exposure`]s do not.
//!
//! # Scan instances of a device that always listens
//!
//! GAEN's devices listen for four seconds in some five minutes, so that sightings close to each other
//! are of one scan. Ours may listen without a pause, and a [`Sighting`](crate::Sighting) is what
//! was heard of one identifier in up to 30 seconds. A sighting belongs to the scan instance before it
//! if it **began** at most 25.5 seconds (GAEN's limit) after the last one **began**, and less
//! than 60 after the instance did. So a scan of some seconds is one instance, whatever identifiers change in
//! it, and listening without a pause gives about two instances a minute, each with its own
//! attenuation.
//!
//! How long an instance counts is [`ScanSeconds`]. By default it is the time that was covered, so that
//! the seconds of a key's windows on a day add up to [`Exposure::duration`], and never to more than
//! passed between the first frame and the last.

mod forming;

use serde::{Deserialize, Serialize};

use super::risk::{ConfigError, Configuration};
use super::{Exposure, PowerBasis, Proximity, ProximityModel};
use crate::protocol::{ProtocolKind, ReportType};
use crate::sighting::{Attenuation, RssiSummary};
use crate::time::{Timestamp, UtcDay};

/// Days from the onset of symptoms that [`InfectiousnessMap`] tells of, before and after
/// (`MAXIMUM_OFFSET_OF_DAYS_SINCE_ONSET`).
const ONSET_DAYS_MAX: i8 = 14;

/// What was heard of one published key in less than 30 minutes.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExposureWindow {
    /// Which of the keys given to the matcher, counted from 0.
    pub key_index: usize,
    /// Its protocol.
    pub protocol: ProtocolKind,
    /// The UTC day it began on.
    #[serde(serialize_with = "as_text")]
    pub day: UtcDay,
    /// When its first frame was heard.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// Its scans, in order of time.
    pub scans: Vec<ScanInstance>,
    /// How the infection was established; [`WindowConfig::report_type_when_missing`] if not said.
    pub report_type: ReportType,
    /// How infectious the patient was on the key's day.
    pub infectiousness: Infectiousness,
    /// Transmission risk level the authority gives, 1 to 8; 0 if none (GAEN version 1).
    pub transmission_risk: u8,
    /// Days from the onset of symptoms to the key's day, if the authority says.
    pub days_since_onset: Option<i8>,
    /// How well the attenuations are known: that of its least known scan. Lowest if the sender's power
    /// is assumed, as Bluezone's is.
    pub calibration_confidence: CalibrationConfidence,
    /// Where the sender's power is from; `None` if it is unknown.
    pub power: Option<PowerBasis>,
}

impl ExposureWindow {
    /// A window from elsewhere, such as the system's own framework: of a confirmed GAEN patient who was highly
    /// infectious, key 0, with calibration confidence lowest. Set the other fields as they are known.
    pub fn new(start: Timestamp, scans: Vec<ScanInstance>) -> Self {
        Self {
            key_index: 0,
            protocol: ProtocolKind::Gaen,
            day: start.utc_day(),
            start,
            scans,
            report_type: ReportType::ConfirmedTest,
            infectiousness: Infectiousness::High,
            transmission_risk: 0,
            days_since_onset: None,
            calibration_confidence: CalibrationConfidence::Lowest,
            power: None,
        }
    }

    /// Its scans of known attenuation: what each lost typically, and its seconds. What
    /// [`ProximityModel::estimate`](super::ProximityModel::estimate) takes.
    pub fn losses(&self) -> Vec<(Attenuation, u32)> {
        self.scans
            .iter()
            .filter_map(|scan| Some((scan.attenuation?.typical, scan.seconds_since_last_scan)))
            .collect()
    }

    /// How near the patient was, by `model`; `None` if no scan's attenuation is known. Scans that are not known
    /// are left out, with their time.
    ///
    /// ```
    /// use truyvet::exposure::{ExposureWindow, ProximityModel, ScanAttenuation, ScanInstance};
    /// use truyvet::sighting::Attenuation;
    /// use truyvet::time::Timestamp;
    ///
    /// let start = Timestamp::from_unix_seconds(1_596_880_800);
    /// let at = |db| Some(Attenuation::from_db(db)).map(|db| ScanAttenuation { typical: db, min: db });
    /// let of = |scans| ExposureWindow::new(start, scans).proximity(&ProximityModel::default());
    /// let near = of(vec![ScanInstance::new(start, 600, at(50))]).ok_or("no attenuation")?;
    /// let far = of(vec![ScanInstance::new(start, 600, at(75))]).ok_or("no attenuation")?;
    /// assert!(near.within(2.0) > far.within(2.0));
    ///
    /// // What is not known changes nothing.
    /// let scans = vec![ScanInstance::new(start, 600, at(50)), ScanInstance::new(start, 900, None)];
    /// assert_eq!(of(scans), Some(near));
    /// assert_eq!(of(vec![ScanInstance::new(start, 900, None)]), None);
    /// # Ok::<(), &str>(())
    /// ```
    pub fn proximity(&self, model: &ProximityModel) -> Option<Proximity> {
        model.estimate(&self.losses())
    }

    /// Seconds of all its scans.
    pub fn seconds(&self) -> u64 {
        self.scans
            .iter()
            .map(|scan| u64::from(scan.seconds_since_last_scan))
            .sum()
    }
}

/// What one scan heard of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ScanInstance {
    /// When its first frame was heard.
    #[serde(serialize_with = "as_text")]
    pub start: Timestamp,
    /// Seconds it stands for: see [`ScanSeconds`].
    pub seconds_since_last_scan: u32,
    /// Its losses; `None` if the strength or the sender's power is unknown.
    pub attenuation: Option<ScanAttenuation>,
    /// Strengths as they were received, without correction.
    pub rssi: Option<RssiSummary>,
}

impl ScanInstance {
    /// A scan from elsewhere.
    pub fn new(start: Timestamp, seconds: u32, attenuation: Option<ScanAttenuation>) -> Self {
        Self {
            start,
            seconds_since_last_scan: seconds,
            attenuation,
            rssi: None,
        }
    }
}

/// Losses in one scan.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct ScanAttenuation {
    /// The mean over frames, rounded (`typicalAttenuationDb`).
    pub typical: Attenuation,
    /// The smallest: the nearest moment (`minAttenuationDb`).
    pub min: Attenuation,
}

/// How well a phone's radio is known: a sender's power (GAEN metadata 1.1, `CalibrationConfidence`), or a
/// model's [`Calibration`](super::Calibration).
#[derive(
    Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum CalibrationConfidence {
    /// Not calibrated, or assumed.
    #[default]
    Lowest = 0,
    /// An average over models of the maker.
    Low,
    /// An average over models that are alike.
    Medium,
    /// Measured on the model.
    High,
}

impl CalibrationConfidence {
    /// From the two bits of GAEN's metadata; higher bits are ignored.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Lowest,
            1 => Self::Low,
            2 => Self::Medium,
            _ => Self::High,
        }
    }
}

impl From<PowerBasis> for CalibrationConfidence {
    fn from(basis: PowerBasis) -> Self {
        match basis {
            PowerBasis::Advertised { confidence } => Self::from_bits(confidence.unwrap_or(0)),
            PowerBasis::Assumed => Self::Lowest,
        }
    }
}

/// How infectious a patient was (`Infectiousness`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Infectiousness {
    /// Not.
    None = 0,
    /// Infectious.
    Standard,
    /// Highly infectious.
    High,
}

/// The infectiousness of each day from 14 before to 14 after the onset of symptoms, 29 in all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct InfectiousnessMap(pub [Infectiousness; 29]);

impl InfectiousnessMap {
    /// High in `high`, standard elsewhere in `standard`, none elsewhere.
    pub fn of_days(
        standard: std::ops::RangeInclusive<i8>,
        high: std::ops::RangeInclusive<i8>,
    ) -> Self {
        let mut map = [Infectiousness::None; 29];
        for (day, infectiousness) in (-ONSET_DAYS_MAX..=ONSET_DAYS_MAX).zip(&mut map) {
            if high.contains(&day) {
                *infectiousness = Infectiousness::High;
            } else if standard.contains(&day) {
                *infectiousness = Infectiousness::Standard;
            }
        }
        Self(map)
    }

    /// That of `day`; `None` beyond 14 days.
    pub fn on(&self, day: i8) -> Option<Infectiousness> {
        let index = usize::try_from(day.checked_add(ONSET_DAYS_MAX)?).ok()?;
        self.0.get(index).copied()
    }
}

/// How long a scan instance counts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ScanSeconds {
    /// The time that its sightings cover, with the silence before it if that took no more than
    /// [`WindowConfig::gap_max_s`]. All scans of a key on a day together are [`Exposure::duration`], to the
    /// second below, and never more than passed from the first frame to the last; so a lone frame is
    /// no time, and who listens for seconds in five minutes misses half a scan interval at each end.
    #[default]
    Covered,
    /// GAEN's own: `60 * min(5, floor(t / 60) - floor(p / 60))`, of the Unix seconds at which it and the key's
    /// scan before it began; 120 if there is none that day. Google takes the *device's* last scan
    /// instead, which the log does not hold; as a device that does its duty scans at least every five
    /// minutes, both differ in a key's first scan alone, and after a longer silence not at all. Together
    /// at most three minutes more than passed from the first frame to the last.
    SinceLastScan,
}

/// How exposures become windows (`DiagnosisKeysDataMapping`, and what GAEN does not let one choose).
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WindowConfig {
    /// By default the risk score symposium's of 2021: standard 4 and 3 days before the onset and 4 and 5
    /// after it, high in between, otherwise none (lfph/gaen-risk-scoring @ 04feb93, version 2).
    pub infectiousness: InfectiousnessMap,
    /// For a key of which the days are not known, or are beyond 14. By default high. Chosen: what is
    /// not known must not make a contact smaller; Bluezone never tells.
    pub infectiousness_when_missing: Infectiousness,
    /// For a key that does not say. By default a confirmed test, which Bluezone's entries stand for.
    pub report_type_when_missing: ReportType,
    /// How long a scan counts.
    pub seconds: ScanSeconds,
    /// The longest silence that [`ScanSeconds::Covered`] counts, seconds, 0..=3600; as
    /// [`MatchConfig::gap_max`](super::MatchConfig::gap_max).
    pub gap_max_s: u32,
}

impl Default for WindowConfig {
    fn default() -> Self {
        Self {
            infectiousness: InfectiousnessMap::of_days(-4..=5, -2..=3),
            infectiousness_when_missing: Infectiousness::High,
            report_type_when_missing: ReportType::ConfirmedTest,
            seconds: ScanSeconds::Covered,
            gap_max_s: 300,
        }
    }
}

impl WindowConfig {
    /// For Corona-Warn-App's keys, which say 1 (standard) or 2 (high) instead of days
    /// (corona-warn-app/cwa-server @ c61d55f6, `diagnosis-keys-data-mapping.yaml`,
    /// `transmission-risk-encoding.yaml`).
    pub fn corona_warn_app() -> Self {
        Self {
            infectiousness: InfectiousnessMap::of_days(1..=1, 2..=2),
            infectiousness_when_missing: Infectiousness::None,
            ..Self::default()
        }
    }
}

impl Configuration for WindowConfig {
    fn check(&self) -> Result<(), ConfigError> {
        if matches!(
            self.report_type_when_missing,
            ReportType::Revoked | ReportType::Unknown
        ) {
            return Err(ConfigError::out_of_range(
                "report_type_when_missing",
                "a type that counts",
                format!("{:?}", self.report_type_when_missing),
            ));
        }
        super::risk::check_range("gap_max_s", self.gap_max_s, 0..=3600)
    }
}

/// The windows of all `exposures`, in order of time, then of keys.
pub fn exposure_windows(exposures: &[Exposure], config: &WindowConfig) -> Vec<ExposureWindow> {
    let mut windows: Vec<ExposureWindow> = exposures
        .iter()
        .flat_map(|exposure| exposure.windows(config))
        .collect();
    windows.sort_by_key(|window| (window.start, window.key_index));
    windows
}

/// Days and times in JSON as people read them.
pub(super) fn as_text<T: std::fmt::Display, S: serde::Serializer>(
    value: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests;
