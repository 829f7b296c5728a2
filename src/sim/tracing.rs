//! From a report to those who are told: what is published, and what each device finds in it.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use super::clock::START;
use super::device::{Device, refused};
use super::ear::Slice;
use super::random::{Stream, purpose};
use super::scenario::{Scenario, SimError};
use crate::entropy::SeededEntropy;
use crate::exposure::risk::{
    BluezoneRule, BluezoneRuleConfig, GaenV2, PairThresholds, RiskLevel, RiskModel,
};
use crate::exposure::{
    Exposure, ExposureWindow, MatchConfig, Matcher, WindowConfig, exposure_windows,
};
use crate::log::{LogReader, RETENTION_DAYS};
use crate::protocol::{ProtocolKind, PublishedKey};
use crate::publication::bluezone_json;
use crate::publication::gaen_export::{ExportOptions, ExportWriter, Padding, UnverifiedExport};
use crate::publication::signature::SigningKey;
use crate::report::consent::ConsentRequest;
use crate::time::UtcDay;

/// What an authority publishes at the end of a day.
pub(super) struct Publication {
    pub(super) keys: Vec<PublishedKey>,
    /// Who gave each of them.
    reporters: Vec<u32>,
    /// What a device downloads.
    pub(super) bytes: usize,
}

/// What a device found about one reporter and one day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Found {
    pub(super) reporter: u32,
    /// Of the simulation.
    pub(super) day: u32,
    /// Whether the rule makes a contact of it.
    pub(super) told: bool,
}

/// The day of the simulation on which a UTC day falls.
fn day_number(day: UtcDay) -> u32 {
    let first = START.utc_day().unix_days();
    day.unix_days().saturating_sub(first)
}

pub(super) fn utc_day(day: u32) -> UtcDay {
    UtcDay::from_unix_days(START.utc_day().unix_days().saturating_add(day))
}

/// The owner of `device` gives the keys of the days from `first` to `last`.
pub(super) fn report(
    device: &mut Device,
    slice: Slice,
    first: u32,
    last: u32,
) -> Result<Vec<PublishedKey>, SimError> {
    let request = ConsentRequest::new("the simulated authority", utc_day(first), utc_day(last));
    let given = device.with_engine(slice, |engine, now| {
        let consent = request.granted(now.wall, RETENTION_DAYS);
        consent.map(|consent| engine.release(now, consent.days()))
    })?;
    // A clock that is behind by so much that the day is not over yet has nothing to give.
    Ok(given.and_then(Result::ok).unwrap_or_default())
}

impl Publication {
    /// Writes what was given as an authority does, and reads it as a device does.
    pub(super) fn of(
        scenario: &Scenario,
        day: u32,
        given: Vec<(u32, Vec<PublishedKey>)>,
    ) -> Result<Self, SimError> {
        let owners: HashMap<PublishedKey, u32> = given
            .iter()
            .flat_map(|(person, keys)| keys.iter().map(|key| (key.clone(), *person)))
            .collect();
        let all = given.into_iter().flat_map(|(_, keys)| keys);
        let (keys, bytes) = match scenario.protocol {
            ProtocolKind::Bluezone => list(all)?,
            ProtocolKind::Gaen => export(scenario, day, all)?,
        };
        let owner = |key: &PublishedKey| owners.get(key).copied();
        // Padding is nobody's.
        let reporters = keys.iter().map(|key| owner(key).unwrap_or(u32::MAX));
        Ok(Self {
            reporters: reporters.collect(),
            keys,
            bytes,
        })
    }
}

fn list(keys: impl Iterator<Item = PublishedKey>) -> Result<(Vec<PublishedKey>, usize), SimError> {
    let entries: Vec<_> = keys.filter_map(PublishedKey::into_bluezone).collect();
    let json = bluezone_json::write(&entries);
    let read = bluezone_json::parse(json.as_bytes()).map_err(refused)?;
    Ok((
        read.into_iter().map(PublishedKey::from).collect(),
        json.len(),
    ))
}

fn export(
    scenario: &Scenario,
    day: u32,
    keys: impl Iterator<Item = PublishedKey>,
) -> Result<(Vec<PublishedKey>, usize), SimError> {
    let end = utc_day(day).end();
    let mut options = ExportOptions::new("VN", utc_day(day).start(), end);
    options.padding = Padding::NONE;
    let signing = SigningKey::generate().map_err(refused)?;
    let seed = Stream::of(scenario.seed, purpose::PUBLICATION, u64::from(day), 0).next();
    let zip = ExportWriter::new(options)
        .keys(keys.filter_map(PublishedKey::into_gaen))
        .write(&[&signing], &mut SeededEntropy::new(seed))
        .map_err(refused)?;
    let read = UnverifiedExport::read(&zip).map_err(refused)?;
    // Not the zip's: a signature's length is a matter of chance.
    let bytes = read.bin().len();
    let export = read
        .verify(&[signing.verification_key().clone()])
        .map_err(refused)?;
    Ok((export.into_published_keys(), bytes))
}

/// The rule by which a contact is told.
pub(super) fn rule(scenario: &Scenario) -> Result<Box<dyn RiskModel>, SimError> {
    Ok(match scenario.protocol {
        ProtocolKind::Gaen => Box::new(GaenV2::default()),
        ProtocolKind::Bluezone => {
            let near = scenario
                .ether
                .threshold_dbm(scenario.near_m, ProtocolKind::Bluezone);
            let config = BluezoneRuleConfig {
                rssi_thresholds_dbm: PairThresholds {
                    android_android: near,
                    android_ios: near,
                    ios_android: near,
                    ios_ios: near,
                },
                minutes: scenario.near_minutes,
                ..BluezoneRuleConfig::default()
            };
            Box::new(BluezoneRule::new(config).map_err(refused)?)
        }
    })
}

/// What `device` finds of a publication in its log.
pub(super) fn find(
    scenario: &Scenario,
    rule: &dyn RiskModel,
    device: &Device,
    publication: &Publication,
    now_ms: u64,
) -> Result<Vec<Found>, SimError> {
    let exposures = exposures(scenario, device, &publication.keys, now_ms)?;
    let today = device.clock.moment(now_ms).wall.utc_day();
    let mut found: Vec<Found> = Vec::new();
    for exposure in &exposures {
        let Some(reporter) = publication.reporters.get(exposure.key_index) else {
            continue;
        };
        let windows = windows(std::slice::from_ref(exposure));
        found.push(Found {
            reporter: *reporter,
            day: day_number(exposure.day),
            told: rule.assess(&windows, today).level == RiskLevel::High,
        });
    }
    Ok(found)
}

/// The exposures of `device` to `keys`, which were published at `now_ms`.
pub(super) fn exposures(
    scenario: &Scenario,
    device: &Device,
    keys: &[PublishedKey],
    now_ms: u64,
) -> Result<Vec<Exposure>, SimError> {
    let config = MatchConfig {
        // Devices are matched side by side.
        threads: NonZeroUsize::MIN,
        bluezone_tx_power_dbm: scenario.ether.bluezone_power_dbm,
        ..MatchConfig::default()
    };
    let reader = LogReader::open_on(device.storage.clone(), &device.keys)?;
    let matcher = Matcher::from_log(config, &reader)?;
    let published = device.clock.moment(now_ms).wall;
    Ok(matcher.findings(keys, Some(published)).exposures)
}

pub(super) fn windows(exposures: &[Exposure]) -> Vec<ExposureWindow> {
    exposure_windows(exposures, &WindowConfig::default())
}
