//! Published export files, every value of them.
//!
//! `listing_crc` of each file was computed by a second reader, in another language, that shares no code
//! with this crate.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

mod conformance;

use std::fmt::Write;
use std::io::Cursor;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE as HEX};
use serde_json::Value;
use truyvet::EphemeralId;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::protocol::{PublishedKey, ReportType};
use truyvet::publication::gaen_export::{
    Export, ExportError, ExportReader, ReadOptions, Refusal, RefusedKeys, UnverifiedExport,
    parse_unsigned_bin,
};
use truyvet::publication::signature::{KeyName, VerificationKey};
use truyvet::time::IntervalNumber;

const SERVER_ZIP: &[u8] = include_bytes!("vectors/gaen/gens_testExport-2-records-1-of-1.zip");
const SERVER_KEYS: &str = include_str!("vectors/gaen/gens_testExport-2-records.keys.json");
const SERVER_PEM: &str = include_str!("vectors/gaen/gens_testExport.public.pem");
const SAMPLE_ZIP: &[u8] = include_bytes!("vectors/gaen/geni_sample_diagnosis_key_file.zip");
const SAMPLE_PEM: &str = include_str!("vectors/gaen/geni_310-v1.public.pem");
const EXAMPLE_PEM: &str = include_str!("vectors/gaen/geni_ExampleServer-v1.public.pem");
const APP_BIN: &[u8] = include_bytes!("vectors/gaen/geni_app_raw_export.bin");
const CPP_BIN: &[u8] = include_bytes!("vectors/gaen/geni_cpp_testdata_export.bin");

fn pem(text: &str) -> VerificationKey {
    VerificationKey::from_pem(text).unwrap()
}

fn refusals(error: ExportError) -> Vec<Refusal> {
    match error {
        ExportError::NotVerified { refused } => {
            refused.into_iter().map(|refused| refused.reason).collect()
        }
        other => unreachable!("{other}"),
    }
}

/// CRC-32 over a line a key: bytes in hex, start, period, risk.
fn listing_crc(export: &Export) -> u32 {
    let mut listing = String::new();
    for key in &export.keys {
        let (start, period) = (key.rolling_start().0, key.rolling_period());
        let bytes = HEX.encode(key.key());
        writeln!(
            listing,
            "{bytes} {start} {period} {}",
            key.transmission_risk
        )
        .unwrap();
    }
    rawzip::crc32(listing.as_bytes())
}

fn shortest_and_longest_period(export: &Export) -> (u32, u32) {
    let periods = || export.keys.iter().map(DiagnosisKey::rolling_period);
    (periods().min().unwrap(), periods().max().unwrap())
}

/// The same out of a file that streams by.
fn assert_streams(zip: &[u8], trusted: &[VerificationKey], expected: &Export) {
    let mut reader = ExportReader::open(Cursor::new(zip)).unwrap();
    let mut export = reader.verify(trusted).unwrap();
    assert_eq!(export.header(), &expected.header());
    let mut keys = Vec::new();
    while let Some(batch) = export.next_batch().unwrap() {
        keys.extend(batch.iter().cloned().filter_map(PublishedKey::into_gaen));
    }
    assert_eq!(keys, expected.keys);
}

/// What all these files have in common: one batch, and nothing of what came in with version 1.5.
fn assert_file(export: &Export, region: &str, start_s: u64, end_s: u64, keys: usize, crc: u32) {
    assert_eq!(export.region, region);
    assert_eq!(export.start.unix_seconds(), start_s);
    assert_eq!(export.end.unix_seconds(), end_s);
    assert_eq!((export.batch_num, export.batch_size), (1, 1));
    assert_eq!(export.keys.len(), keys);
    assert_eq!(export.revised_keys, []);
    assert_eq!(export.refused, RefusedKeys::default());
    for key in &export.keys {
        assert_eq!(key.report_type, ReportType::Unknown);
        assert_eq!(key.days_since_onset, None);
    }
    assert_eq!(listing_crc(export), crc);
}

#[test]
fn google_server_two_records() {
    let file = UnverifiedExport::read(SERVER_ZIP).unwrap();
    let claimed = &file.signatures()[0];
    assert_eq!(claimed.name, KeyName::new("some_id", "1"));
    assert_eq!(claimed.algorithm.as_deref(), Some("1.2.840.10045.4.3.2"));
    let key = pem(SERVER_PEM).named(KeyName::new("some_id", "1"));
    let export = file.verify(&[pem(EXAMPLE_PEM), key.clone()]).unwrap();
    assert_streams(SERVER_ZIP, &[key], &export);
    assert_eq!(export.signed_by, Some(KeyName::new("some_id", "1")));
    assert_file(&export, "US", 1_590_159_600, 1_590_246_000, 2, 0xd561_6a2d);

    let json: Value = serde_json::from_str(SERVER_KEYS).unwrap();
    let expected: Vec<DiagnosisKey> = json["temporaryExposureKeys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            let number = |field| u32::try_from(told[field].as_u64().unwrap()).unwrap();
            let bytes = BASE64.decode(told["key"].as_str().unwrap().as_bytes());
            let mut key = DiagnosisKey::new(
                bytes.unwrap().try_into().unwrap(),
                IntervalNumber(number("rollingStartNumber")),
                number("rollingPeriod"),
            )
            .unwrap();
            key.transmission_risk = u8::try_from(number("transmissionRisk")).unwrap();
            key.report_type = ReportType::Unknown;
            key
        })
        .collect();
    assert_eq!(export.keys, expected);
    let published = expected.into_iter().map(PublishedKey::Gaen);
    assert_eq!(export.into_published_keys(), published.collect::<Vec<_>>());
}

#[test]
fn google_sample_without_rolling_periods() {
    let file = UnverifiedExport::read(SAMPLE_ZIP).unwrap();
    let key = pem(SAMPLE_PEM).named(KeyName::new("310", "v1"));
    let export = file.verify(std::slice::from_ref(&key)).unwrap();
    assert_streams(SAMPLE_ZIP, &[key], &export);
    assert_eq!(export.signed_by, Some(KeyName::new("310", "v1")));
    assert_file(
        &export,
        "US",
        1_593_633_600,
        1_593_633_900,
        140,
        0x007f_f515,
    );
    assert!(export.keys.iter().all(|key| key.rolling_period() == 144));
}

#[test]
fn example_server_verifies_none() {
    for zip in [SERVER_ZIP, SAMPLE_ZIP] {
        let file = UnverifiedExport::read(zip).unwrap();
        let error = file.verify(&[pem(EXAMPLE_PEM)]).unwrap_err();
        assert_eq!(refusals(error), [Refusal::Wrong]);
        let named = pem(EXAMPLE_PEM).named(KeyName::new("ExampleServer", "v1"));
        let error = file.verify(&[named]).unwrap_err();
        assert_eq!(refusals(error), [Refusal::UnknownKey]);
    }
    let swapped = [(SERVER_ZIP, SAMPLE_PEM), (SAMPLE_ZIP, SERVER_PEM)];
    for (zip, other) in swapped {
        let file = UnverifiedExport::read(zip).unwrap();
        assert!(file.verify(&[pem(other)]).is_err());
    }
}

#[test]
fn google_app_resource() {
    let export = parse_unsigned_bin(APP_BIN).unwrap();
    assert_file(
        &export,
        "US",
        1_588_885_200,
        1_588_890_000,
        110,
        0xfe02_c737,
    );
    assert_eq!(shortest_and_longest_period(&export), (2, 144));

    let bytes = |hex: &str| -> [u8; 16] { HEX.decode(hex.as_bytes()).unwrap().try_into().unwrap() };
    let tek = bytes("2b714d3ec93c14e5d345003e59027aea");
    let rpi = EphemeralId::from(bytes("3d37caf51d1bf4ba54e758e0ac74c892"));
    let mut found = Vec::new();
    for key in &export.keys {
        key.for_each_candidate(|candidate| {
            if candidate.id == rpi {
                found.push((*key.key(), key.rolling_start(), candidate.first));
            }
        });
    }
    let start = IntervalNumber(2_646_801);
    assert_eq!(found, [(tek, start, start.start())]);
}

#[test]
fn google_matcher_test_data() {
    let export = parse_unsigned_bin(CPP_BIN).unwrap();
    assert_file(
        &export,
        "US",
        1_588_425_586,
        1_588_857_586,
        200,
        0x1e6e_579f,
    );
}

#[test]
fn every_prefix_of_a_zip_is_refused() {
    for zip in [SERVER_ZIP, SAMPLE_ZIP] {
        for end in 0..zip.len() {
            assert!(UnverifiedExport::read(&zip[..end]).is_err(), "{end}");
        }
    }
}

#[test]
fn every_prefix_of_a_bin_has_fewer_keys_or_is_refused() {
    let whole = parse_unsigned_bin(APP_BIN).unwrap().keys;
    let mut read = 0;
    for end in 0..APP_BIN.len() {
        if let Ok(export) = parse_unsigned_bin(&APP_BIN[..end]) {
            assert_eq!(export.keys[..], whole[..export.keys.len()]);
            assert!(export.keys.len() < whole.len());
            read += 1;
        }
    }
    // One after the batch size, one after the signature's names, one after each key but the last.
    assert_eq!(read, 2 + 109);
}

#[test]
fn every_byte_of_a_zip_changed_gives_the_same_keys_or_none() {
    let key = [pem(SERVER_PEM)];
    let whole = UnverifiedExport::read(SERVER_ZIP).unwrap();
    let whole = whole.verify(&key).unwrap();
    for at in 0..SERVER_ZIP.len() {
        for bit in 0..8 {
            let mut changed = SERVER_ZIP.to_vec();
            changed[at] ^= 1 << bit;
            let read = UnverifiedExport::read(&changed).and_then(|file| file.verify(&key));
            if let Ok(export) = read {
                assert_eq!(export, whole, "byte {at} bit {bit}");
            }
        }
    }
}

#[test]
fn corona_warn_app_24131_keys() {
    let name = "gaen/export/cwa_android_test_keys_DE_24131.zip";
    let Some(path) = conformance::conformance_file(name) else {
        return;
    };
    let file = UnverifiedExport::read(&std::fs::read(path).unwrap()).unwrap();
    // Its SignatureInfo still has the app's names in the reserved fields 1 and 2.
    assert_eq!(file.signatures().len(), 1);
    assert_eq!(file.signatures()[0].name, KeyName::new("262", "v1"));
    let keys = [pem(SERVER_PEM), pem(SAMPLE_PEM), pem(EXAMPLE_PEM)];
    assert_eq!(refusals(file.verify(&keys).unwrap_err()), [Refusal::Wrong]);
    let export = file.clone().with_options(ReadOptions::EVERY_KEY);
    let export = export.parse_without_verification().unwrap();
    assert_file(
        &export,
        "DE",
        1_590_883_200,
        1_590_969_600,
        24_131,
        0x0a2d_2d38,
    );
    assert!(!export.keys.is_sorted_by_key(|key| *key.key()));
    assert!(export.keys.iter().all(|key| key.rolling_period() == 144));
    let first = export.keys.first().map(|key| HEX.encode(key.key()));
    assert_eq!(first.as_deref(), Some("b3c77df4221402e591a5e674bc5e3d99"));
    // Its keys begin at times drawn at random, not at midnights, up to the window's last interval: for
    // 832 of them that is later than the server which it tests would publish them.
    let admitted = file.parse_without_verification().unwrap();
    assert_eq!(admitted.refused.still_valid, 832);
    let ended = |key: &&DiagnosisKey| {
        let after = key.rolling_start().saturating_add(key.rolling_period());
        after.start() <= export.end
    };
    let expected: Vec<_> = export.keys.iter().filter(ended).cloned().collect();
    assert_eq!(admitted.keys, expected);
}
