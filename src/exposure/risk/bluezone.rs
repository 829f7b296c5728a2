//! Bluezone's stated rule.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::assessment::{
    Contribution, DayAssessment, DayWindows, Short, Unit, contributions, figure,
};
use super::config::check_range;
use super::{Assessment, ConfigError, Configuration, RiskLevel, RiskModel, refusal};
use crate::exposure::ExposureWindow;
use crate::protocol::ProtocolKind;
use crate::sighting::Rssi;
use crate::time::UtcDay;

/// Who heard whom: the platform that sends decides the strength, and the one that hears.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PhonePair {
    /// Both are Android.
    #[default]
    AndroidAndroid,
    /// Bluezone's "Android, iOS".
    AndroidIos,
    /// Bluezone's "iOS, Android".
    IosAndroid,
    /// Both are iOS.
    IosIos,
}

/// Strengths above which Bluezone shows a phone as near, dBm, -127..=20.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PairThresholds {
    /// Both are Android.
    pub android_android: i8,
    /// Bluezone's "Android, iOS".
    pub android_ios: i8,
    /// Bluezone's "iOS, Android".
    pub ios_android: i8,
    /// Both are iOS.
    pub ios_ios: i8,
}

impl PairThresholds {
    /// That of `pair`.
    pub const fn of(self, pair: PhonePair) -> i8 {
        match pair {
            PhonePair::AndroidAndroid => self.android_android,
            PhonePair::AndroidIos => self.android_ios,
            PhonePair::IosAndroid => self.ios_android,
            PhonePair::IosIos => self.ios_ios,
        }
    }
}

/// Thresholds of Bluezone's stated rule.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct BluezoneRuleConfig {
    /// What is "near" for each pair of platforms.
    pub rssi_thresholds_dbm: PairThresholds,
    /// The pair that counts. The air does not tell it of every phone.
    pub pair: PhonePair,
    /// Minutes near one patient in a day that warn, 1..=1440.
    pub minutes: u32,
    /// Days that are older than this do not count, 0..=3650.
    pub days_max: u32,
}

/// Bluezone 3's thresholds (BluezoneGlobal/bluezone-app @ 75c5c5b, `configuration.js`), 15 minutes, and
/// the 14 days that it keeps.
impl Default for BluezoneRuleConfig {
    fn default() -> Self {
        Self {
            rssi_thresholds_dbm: PairThresholds {
                android_android: -86,
                android_ios: -69,
                ios_android: -88,
                ios_ios: -74,
            },
            pair: PhonePair::AndroidAndroid,
            minutes: 15,
            days_max: 14,
        }
    }
}

impl Configuration for BluezoneRuleConfig {
    fn check(&self) -> Result<(), ConfigError> {
        let thresholds = self.rssi_thresholds_dbm;
        for (field, threshold) in [
            ("android_android", thresholds.android_android),
            ("android_ios", thresholds.android_ios),
            ("ios_android", thresholds.ios_android),
            ("ios_ios", thresholds.ios_ios),
        ] {
            check_range(field, threshold, -127..=20)?;
        }
        check_range("minutes", self.minutes, 1..=1440)?;
        check_range("days_max", self.days_max, 0..=3650)
    }
}

/// The rule that Viet Nam's authorities stated for a close contact: within two metres, for 15 minutes (Bluezone's
/// white paper, BluezoneGlobal/documents @ 3942325; Ministry of Information and Communications, 17 August
/// 2020).
///
/// No public code of Bluezone holds it: a phone sends every match to the server, which decided. What
/// the app has of "near" are four strengths, one for each pair of platforms, **above** which it shows a
/// phone as near; they stand here for the two metres, on the mean strength of each scan. Chosen, as
/// the rule leaves it open: minutes are of one patient, that is of one published key, over a UTC day. A contact of
/// less is a low risk, as Bluezone takes any row for a match. Strengths of other protocols' senders mean
/// something else and are dropped.
#[derive(Clone, Debug, Default)]
pub struct BluezoneRule {
    config: BluezoneRuleConfig,
}

impl BluezoneRule {
    /// The model so configured.
    ///
    /// # Errors
    ///
    /// [`ConfigError::OutOfRange`].
    pub fn new(config: BluezoneRuleConfig) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self { config })
    }

    fn threshold_dbm(&self) -> i8 {
        self.config.rssi_thresholds_dbm.of(self.config.pair)
    }

    fn contribution(&self, index: usize, window: &ExposureWindow, today: UtcDay) -> Contribution {
        let mut contribution = Contribution::of(index, window);
        let limit = self.threshold_dbm();
        let near = format!("above {limit} dBm");
        for scan in &window.scans {
            let (name, weight) = match scan.rssi.map(|rssi| Rssi::dbm(rssi.mean)) {
                Some(dbm) if dbm > limit => (near.as_str(), 1.0),
                Some(_) => ("weaker", 0.0),
                None => ("of unknown strength", 0.0),
            };
            contribution.add(name, scan.seconds_since_last_scan, weight);
        }
        contribution.score = contribution.weighted_seconds() / 60.0;
        if window.protocol != ProtocolKind::Bluezone {
            return contribution.dropped("its strengths are not Bluezone's");
        }
        contribution.unless(refusal(window, today, Some(self.config.days_max)))
    }

    fn day(&self, day: UtcDay, windows: &DayWindows<'_>, today: UtcDay) -> DayAssessment {
        let contributions = contributions(windows, |index, window| {
            self.contribution(index, window, today)
        });
        let mut near_s: BTreeMap<usize, f64> = BTreeMap::new();
        for contribution in contributions.iter().filter(|c| c.counts()) {
            // Whole seconds of weight 1: the sum is exact.
            *near_s.entry(contribution.key_index).or_default() += contribution.weighted_seconds();
        }
        let limit = f64::from(self.config.minutes);
        let longest = near_s.values().copied().fold(0.0, f64::max) / 60.0;
        let warning = near_s.values().filter(|s| **s >= limit * 60.0).count();
        let (level, comparison) = match near_s.len() {
            0 => (RiskLevel::None, "nobody was near for"),
            _ if warning > 0 => (RiskLevel::High, "somebody was near for"),
            _ => (RiskLevel::Low, "nobody was near for"),
        };
        let minutes = Short(limit);
        DayAssessment {
            day,
            level,
            score: longest,
            rule: format!("{comparison} {minutes} min"),
            figures: vec![
                figure("patients met", near_s.len() as f64),
                figure("patients near for long", warning as f64),
            ],
            contributions,
        }
    }
}

impl RiskModel for BluezoneRule {
    fn name(&self) -> &'static str {
        "bluezone"
    }

    fn source(&self) -> &'static str {
        "BluezoneGlobal/documents @ 3942325, white paper; thresholds of \
         BluezoneGlobal/bluezone-app @ 75c5c5b, configuration.js"
    }

    fn assess(&self, windows: &[ExposureWindow], today: UtcDay) -> Assessment {
        Assessment::of_days(self.name(), Unit::Minutes, windows, |day, windows| {
            self.day(day, windows, today)
        })
    }
}
