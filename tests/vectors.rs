//! The protocols against published values, every one of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use serde_json::Value;
use std::time::Duration;
use truyvet::protocol::bluezone::{self, DailyKey, PublishedEntry};
use truyvet::protocol::gaen::{Config, DiagnosisKey, Metadata, TemporaryExposureKey};
use truyvet::protocol::{Candidate, Heard};
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{Advertisement, Protocol, Secret};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn hex<const N: usize>(value: &Value) -> [u8; N] {
    let text = value.as_str().unwrap();
    HEX.decode(text.as_bytes()).unwrap().try_into().unwrap()
}

fn bluezone_vectors() -> Value {
    json(include_str!("vectors/bluezone/v3.json"))
}

fn gaen_vectors() -> Value {
    json(include_str!("vectors/gaen/gaen_v1_2_test_vectors.json"))
}

fn base_key(vectors: &Value) -> DailyKey {
    DailyKey::new(Secret::new(hex(&vectors["base_id"])))
}

#[test]
fn bluezone_days() {
    let vectors = bluezone_vectors();
    assert_eq!(vectors["slots_per_day"], bluezone::SLOTS_PER_DAY);
    let mut daily_key = base_key(&vectors);
    let mut day = 0;
    let mut asserted = 0;
    for expected in vectors["days"].as_array().unwrap() {
        while day < expected["day"].as_u64().unwrap() {
            daily_key = daily_key.next_in_chain();
            day += 1;
        }
        assert_eq!(daily_key.secret().expose(), &hex(&expected["daily_key"]));
        let first = daily_key.sub_keys().next().unwrap();
        assert_eq!(first.secret().expose(), &hex(&expected["first_subkey"]));
        for (slot, id) in expected["blid"].as_object().unwrap() {
            let slot: u32 = slot.parse().unwrap();
            assert_eq!(daily_key.identifier(slot), hex(id), "day {day} slot {slot}");
            let walked = daily_key.sub_keys().nth(slot as usize).unwrap();
            assert_eq!(walked.identifier(), hex(id));
            asserted += 1;
        }
    }
    assert_eq!(asserted, 20);
}

#[test]
fn bluezone_salt_and_picked_bytes() {
    let vectors = bluezone_vectors();
    assert_eq!(hex(&vectors["salt_hex"]), *b"bluzonesubkey");
    let sub_key = base_key(&vectors).sub_keys().next().unwrap();
    let picked: Vec<u8> = vectors["pick"]
        .as_array()
        .unwrap()
        .iter()
        .map(|index| sub_key.secret().expose()[index.as_u64().unwrap() as usize])
        .collect();
    assert_eq!(sub_key.identifier().to_vec(), picked);
}

#[test]
fn bluezone_identifiers_at_moments() {
    let vectors = bluezone_vectors();
    let base_time = vectors["base_time"].as_u64().unwrap();
    for expected in vectors["at"].as_array().unwrap() {
        let time = Timestamp::from_unix_seconds(expected["t"].as_u64().unwrap());
        let mut daily_key = base_key(&vectors);
        for _ in 0..(time.unix_seconds() - base_time) / 86_400 {
            daily_key = daily_key.next_in_chain();
        }
        let id = daily_key.identifier(bluezone::slot_index(time));
        assert_eq!(id, hex(&expected["blid"]), "at {time}");
    }
}

#[test]
fn bluezone_windows_are_inclusive_at_both_ends() {
    let vectors = bluezone_vectors();
    let base_time = vectors["base_time"].as_u64().unwrap();
    let base_id = hex(&vectors["base_id"]);
    let entry = PublishedEntry::new(base_id, base_time, base_time + 3 * 86_400 - 1, 96).unwrap();
    let mut candidates: Vec<Candidate> = Vec::new();
    entry.for_each_candidate(|candidate| candidates.push(candidate));
    assert_eq!(candidates.len(), 3 * 96);
    let windows = vectors["windows_end_inclusive"].as_array().unwrap();
    for (window, candidate) in windows.iter().zip(&candidates) {
        let [start, end] = [1, 2].map(|i| window[i].as_u64().unwrap());
        assert_eq!(candidate.id.as_bytes(), hex::<12>(&window[0]));
        let heard =
            |second| candidate.heard_at(Timestamp::from_unix_seconds(second), Duration::ZERO);
        assert_eq!(
            [start - 1, start, end, end + 1].map(heard),
            [false, true, true, false]
        );
    }
    // The entry's second and third day follow the chain.
    for (day, expected) in (0..3).zip(vectors["days"].as_array().unwrap()) {
        for (slot, id) in expected["blid"].as_object().unwrap() {
            let index = day * 96 + slot.parse::<usize>().unwrap();
            assert_eq!(candidates[index].id.as_bytes(), hex::<12>(id));
        }
    }
}

#[test]
fn gaen_keys_identifiers_and_metadata() {
    let vectors = gaen_vectors();
    let tek = TemporaryExposureKey::new(Secret::new(hex(&vectors["tek"])));
    let rpik = tek.rolling_proximity_identifier_key().unwrap();
    let aemk = tek.associated_encrypted_metadata_key().unwrap();
    assert_eq!(rpik.secret().expose(), &hex(&vectors["rpik"]));
    assert_eq!(aemk.secret().expose(), &hex(&vectors["aemk"]));

    let generated = vectors["key_generation_unix_seconds"].as_u64().unwrap();
    let start = IntervalNumber::at(Timestamp::from_unix_seconds(generated));
    assert_eq!(vectors["enin_at_key_generation"], start.0);

    let metadata: [u8; 4] = hex(&vectors["ble_metadata"]);
    let meaning = Metadata::from_bytes(metadata).unwrap();
    assert_eq!((meaning.minor_version, meaning.tx_power_dbm), (0, 8));
    assert_eq!(meaning.to_bytes(), metadata);

    let advertised = vectors["advertised"].as_array().unwrap();
    assert_eq!(advertised.len(), 144);
    let mut batch = Vec::new();
    rpik.identifiers(start, 144, &mut batch);
    let key = DiagnosisKey::new(hex(&vectors["tek"]), start, 144).unwrap();
    let mut candidates = Vec::new();
    key.for_each_candidate(|candidate| candidates.push(candidate));
    for (index, expected) in advertised.iter().enumerate() {
        let interval = IntervalNumber(expected["enin"].as_u64().unwrap() as u32);
        assert_eq!(interval, start.saturating_add(index as u32));
        let rpi: [u8; 16] = hex(&expected["rpi"]);
        assert_eq!(rpik.identifier(interval), rpi);
        assert_eq!(batch[index], rpi);
        assert_eq!(candidates[index].id, rpi.into());
        assert_eq!(candidates[index].first, interval.start());
        assert_eq!(aemk.apply(&rpi, metadata), hex(&expected["aem"]));
        assert_eq!(aemk.apply(&rpi, hex(&expected["aem"])), metadata);
        assert_eq!(key.metadata(&rpi, hex(&expected["aem"])), Some(meaning));
    }
}

#[test]
fn gaen_frames() {
    let vectors = gaen_vectors();
    let tek = TemporaryExposureKey::new(Secret::new(hex(&vectors["tek"])));
    let mut config = Config::default();
    config.metadata = Metadata::from_bytes(hex(&vectors["ble_metadata"])).unwrap();
    let frames = json(include_str!("vectors/gaen/adv_frames.json"));
    for expected in frames["frames"].as_array().unwrap() {
        let interval = IntervalNumber(expected["enin"].as_u64().unwrap() as u32);
        let bytes: [u8; 31] = hex(&expected["adv_data"]);
        assert_eq!(config.frame(&tek, interval).unwrap().as_bytes(), bytes);
        let heard = Protocol::gaen().parse(&Advertisement::parse(&bytes).unwrap());
        let Ok(Some(Heard::Identifier { id, metadata, .. })) = heard else {
            panic!("{heard:?}")
        };
        assert_eq!(id.as_bytes(), hex::<16>(&expected["rpi"]));
        assert_eq!(metadata, Some(hex(&expected["aem"])));
    }
}
