//! Identifiers that come in the forms of Windows and of Apple's systems, from the air to an exposure.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use truyvet::exposure::{Exposure, MatchConfig, Matcher};
use truyvet::log::{LogReader, MemoryKey};
use truyvet::protocol::FrameForm;
use truyvet::protocol::gaen::{Config, DiagnosisKey, IntervalNumber, TemporaryExposureKey};
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::sighting::Source;
use truyvet::time::{SimulatedClock, Timestamp};
use truyvet::{
    Advertisement, EncounterLog, EphemeralId, Protocol, PublishedKey, Secret, Sighting, Tracer,
};

/// 2020-08-08T10:01Z: the interval has nine minutes left.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_060);
const MIDNIGHT: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

/// For tests, as its owner says.
const COMPANY: Option<u16> = Some(0xFFFF);

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([3; 32]))
}

fn air() -> Air {
    let clock = SimulatedClock::new(START, 1);
    Air::new(AirConfig::default(), Arc::new(clock))
}

fn gaen(company: Option<u16>) -> Config {
    let mut config = Config::default();
    config.company = company;
    config
}

/// The key of a device: sixteen times `byte`.
fn tek(byte: u8) -> TemporaryExposureKey {
    TemporaryExposureKey::new(Secret::new([byte; 16]))
}

/// What that device advertises now.
fn frame_of(byte: u8) -> Advertisement {
    let now = IntervalNumber::at(START);
    gaen(COMPANY).frame(&tek(byte), now).unwrap()
}

fn identifier_of(byte: u8) -> EphemeralId {
    let rpik = tek(byte).rolling_proximity_identifier_key().unwrap();
    rpik.identifier(IntervalNumber::at(START)).into()
}

fn published(byte: u8) -> PublishedKey {
    let midnight = IntervalNumber::at(MIDNIGHT);
    PublishedKey::Gaen(DiagnosisKey::new([byte; 16], midnight, 144).unwrap())
}

/// Listens for eight minutes beside whoever sends, and tells how many frames were malformed.
async fn listen(directory: &Path, air: &Air, config: Config) -> u64 {
    let log = EncounterLog::open(directory, key()).unwrap();
    let tracer = Tracer::builder(log, air.place(0.0, 0.0).radio())
        .advertise(Protocol::Gaen(config))
        .clock(air.clock());
    let tracer = tracer.start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(480)).await;
    tracer.stop().await.unwrap().counters.malformed_frames
}

fn stored(directory: &Path) -> Vec<Sighting> {
    let reader = LogReader::open(directory, &key()).unwrap();
    let sightings = reader.sightings().unwrap();
    sightings.collect::<Result<_, _>>().unwrap()
}

fn exposures(directory: &Path, keys: &[PublishedKey]) -> Vec<Exposure> {
    let reader = LogReader::open(directory, &key()).unwrap();
    let matcher = Matcher::from_log(MatchConfig::default(), &reader).unwrap();
    matcher.exposures(keys)
}

fn beside(air: &Air, frame: Advertisement) -> AirDevice {
    let device = air.place(1.0, 0.0);
    device.send(Some(frame));
    device
}

#[tokio::test(start_paused = true)]
async fn every_form_leads_to_an_exposure_that_says_how_it_was_heard() {
    let directory = tempfile::tempdir().unwrap();
    let air = air();
    let windows = FrameForm::ManufacturerData { company: COMPANY };
    let _senders = [
        beside(&air, frame_of(1)),
        beside(&air, windows.of(&frame_of(2)).unwrap()),
        beside(&air, FrameForm::ServiceUuid.of(&frame_of(3)).unwrap()),
    ];
    assert_eq!(listen(directory.path(), &air, gaen(COMPANY)).await, 0);

    let heard: HashMap<_, _> = stored(directory.path())
        .into_iter()
        .map(|sighting| (sighting.id, sighting.source))
        .collect();
    let expected = [
        (identifier_of(1), Source::ServiceData),
        (identifier_of(2), Source::ManufacturerData),
        (identifier_of(3), Source::ServiceUuid),
    ];
    assert_eq!(heard, HashMap::from(expected));

    let found = exposures(directory.path(), &[1, 2, 3].map(published));
    assert_eq!(found.len(), 3);
    for exposure in &found {
        assert!(exposure.duration >= Duration::from_secs(400), "{exposure}");
        // Apple's form has no metadata, and so no power to compare the strength with.
        let measured = exposure.attenuation.is_some();
        assert_eq!(measured, exposure.key_index != 2, "{exposure}");
    }
}

#[tokio::test(start_paused = true)]
async fn manufacturer_data_is_not_heard_unless_its_company_was_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let air = air();
    let windows = FrameForm::ManufacturerData { company: COMPANY };
    let _sender = beside(&air, windows.of(&frame_of(2)).unwrap());
    assert_eq!(listen(directory.path(), &air, gaen(None)).await, 0);
    assert!(exposures(directory.path(), &[published(2)]).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_marker_without_identifier_is_counted_and_stores_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let air = air();
    let mut bare = Advertisement::new();
    bare.push_service_uuid16(0xFD6F).unwrap();
    let _sender = beside(&air, bare);
    assert!(listen(directory.path(), &air, gaen(COMPANY)).await > 1_000);
    assert!(stored(directory.path()).is_empty());
}
