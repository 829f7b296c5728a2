//! The encounter log's promises of today: sealed, complete up to a torn tail, bounded in time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use truyvet::engine::{Config, Engine};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::{EncounterLog, LogError, LogReader, MemoryKey, RETENTION_DAYS};
use truyvet::protocol::EphemeralId;
use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::{Clock, ManualClock, Timestamp, UtcDay};
use truyvet::{Protocol, ProtocolKind, Secret, Sighting};

const DAY: UtcDay = UtcDay::from_unix_days(20_780);

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([7; 32]))
}

fn sighting(number: u32, day: UtcDay) -> Sighting {
    let mut id = *b"identifier......";
    id[12..].copy_from_slice(&number.to_le_bytes());
    let first = Timestamp::from_unix_millis(day.start().unix_millis() + u64::from(number) * 1_000);
    let rssi = |dbm: i32| Rssi::from_dbm(dbm).unwrap();
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: EphemeralId::from(id),
        metadata: Some([1, 2, 3, 4]),
        first,
        last: Timestamp::from_unix_millis(first.unix_millis() + 900),
        frames: 4,
        rssi: Some(RssiSummary {
            min: rssi(-80),
            mean: rssi(-70),
            max: rssi(-60),
        }),
        source: Source::ServiceData,
    }
}

fn sightings(numbers: std::ops::Range<u32>) -> Vec<Sighting> {
    numbers.map(|number| sighting(number, DAY)).collect()
}

fn read(directory: &Path) -> Result<Vec<Sighting>, LogError> {
    let reader = LogReader::open(directory, &key())?;
    reader.sightings()?.collect()
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "segment")
        })
        .collect();
    paths.sort();
    paths
}

/// Where the chunks of [`three_chunks`] end: 20 bytes of header, 1 of kind, 1 of count, 16 of tag, and 29 a
/// sighting, as no identifier repeats; 4 more for the first time of each, which is told since 1970.
const CHUNK_ENDS: [usize; 3] = [48 + 42 + 3 * 29, 48 + 2 * 42 + 5 * 29, 48 + 3 * 42 + 9 * 29];

/// A log of three chunks in one segment.
fn three_chunks() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    for chunk in [0..3, 3..5, 5..9] {
        log.append(&sightings(chunk)).unwrap();
    }
    dir
}

#[test]
fn what_was_appended_is_read_in_order() {
    let dir = three_chunks();
    assert_eq!(read(dir.path()).unwrap(), sightings(0..9));
    assert_eq!(segments(dir.path()).len(), 1);
}

#[test]
fn a_batch_larger_than_a_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let batch = sightings(0..5_000);
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    log.append(&batch).unwrap();
    log.append(&[]).unwrap();
    assert_eq!(read(dir.path()).unwrap(), batch);
}

#[test]
fn a_batch_over_midnight_goes_to_both_days() {
    let dir = tempfile::tempdir().unwrap();
    let next = UtcDay::from_unix_days(DAY.unix_days() + 1);
    let batch = [sighting(1, DAY), sighting(2, next), sighting(3, DAY)];
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    log.append(&batch).unwrap();
    log.append(&batch).unwrap();
    // However mixed, and however often: a segment a day.
    assert_eq!(segments(dir.path()).len(), 2);
    let [first, second, third] = &batch;
    let expected = [first, third, first, third, second, second];
    assert_eq!(
        read(dir.path()).unwrap().iter().collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn every_opening_begins_a_segment_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..3 {
        let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
        log.append(&sightings(number..number + 1)).unwrap();
    }
    assert_eq!(segments(dir.path()).len(), 3);
    assert_eq!(read(dir.path()).unwrap(), sightings(0..3));
}

#[test]
fn nothing_is_on_the_disk_in_plain() {
    let dir = three_chunks();
    let config = Config::new(Protocol::bluezone());
    let mut engine = Engine::new(config, Vec::new(), Box::new(SeededEntropy::new(1)));
    engine.start(ManualClock::new(DAY.start()).now());
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    log.save_own_keys(engine.own_keys()).unwrap();
    let mut secret = [0; 32];
    SeededEntropy::new(1).fill(&mut secret).unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let shows = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
        assert!(!shows(b"identifier"), "{}", path.display());
        assert!(!shows(&[7; 32]), "{}", path.display());
        assert!(!shows(&secret), "{}", path.display());
        let time = DAY.start().unix_millis().to_le_bytes();
        assert!(!shows(&time), "{}", path.display());
    }
}

#[test]
fn a_torn_tail_of_any_length_leaves_the_chunks_before_it() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let [first, second, _] = CHUNK_ENDS;
    for cut in 0..=whole.len() {
        fs::write(path, &whole[..cut]).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        let mut found = reader.sightings().unwrap();
        let read: Vec<Sighting> = found.by_ref().map(Result::unwrap).collect();
        let (sighted, torn) = match cut {
            _ if cut < 48 => (0, cut),
            _ if cut < first => (0, cut - 48),
            _ if cut < second => (3, cut - first),
            _ if cut < whole.len() => (5, cut - second),
            _ => (9, 0),
        };
        assert_eq!(read, sightings(0..sighted), "cut at {cut}");
        assert_eq!(found.torn_bytes(), torn as u64, "cut at {cut}");
    }
}

#[test]
fn a_tail_of_zeros_is_torn() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes.extend([0; 10_000]);
    fs::write(path, &bytes).unwrap();
    assert_eq!(read(dir.path()).unwrap(), sightings(0..9));
    fs::write(path, [0; 200]).unwrap();
    assert_eq!(read(dir.path()).unwrap(), []);
}

#[test]
fn any_bit_flipped_before_the_last_chunk_is_found() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    assert_eq!(whole.len(), CHUNK_ENDS[2]);
    for bit in 0..CHUNK_ENDS[1] * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, &flipped).unwrap();
        let error = read(dir.path()).unwrap_err();
        let named = matches!(
            error,
            LogError::Corrupted { .. } | LogError::UnsupportedVersion { .. }
        );
        assert!(named, "bit {bit}: {error}");
    }
}

#[test]
fn a_damaged_last_chunk_looks_torn_and_is_counted() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    for byte in CHUNK_ENDS[1] + 20..whole.len() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1;
        fs::write(path, &flipped).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        let mut found = reader.sightings().unwrap();
        assert_eq!(found.by_ref().map(Result::unwrap).count(), 5);
        assert_eq!(found.torn_bytes(), (whole.len() - CHUNK_ENDS[1]) as u64);
        let matcher = Matcher::from_log(MatchConfig::default(), &reader).unwrap();
        assert_eq!(matcher.torn_bytes(), found.torn_bytes());
    }
}

#[test]
fn chunks_reordered_repeated_or_dropped() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let [first, second, third] = CHUNK_ENDS;
    let chunks = [
        &whole[48..first],
        &whole[first..second],
        &whole[second..third],
    ];
    for order in [vec![1, 0, 2], vec![0, 0, 1, 2], vec![0, 2, 1], vec![1, 2]] {
        let mut bytes = whole[..48].to_vec();
        bytes.extend(order.iter().flat_map(|index| chunks[*index]));
        fs::write(path, &bytes).unwrap();
        let error = read(dir.path()).unwrap_err();
        assert!(matches!(error, LogError::Corrupted { .. }), "{order:?}");
    }
}

#[test]
fn a_segment_under_another_days_name() {
    let dir = three_chunks();
    let other = dir.path().join("2020-08-08.0000.segment");
    fs::rename(&segments(dir.path())[0], other).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, LogError::Corrupted { offset: 12, .. }));
}

#[test]
fn a_segment_of_another_log() {
    let (dir, other) = (three_chunks(), three_chunks());
    fs::copy(&segments(other.path())[0], &segments(dir.path())[0]).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(matches!(error, LogError::Corrupted { offset: 16, .. }));
}

#[test]
fn a_damaged_segment_does_not_hide_the_next() {
    let dir = three_chunks();
    EncounterLog::open(dir.path(), &key())
        .unwrap()
        .append(&sightings(20..21))
        .unwrap();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes[60] ^= 1;
    fs::write(path, bytes).unwrap();
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let (found, errors): (Vec<_>, Vec<_>) = reader.sightings().unwrap().partition(Result::is_ok);
    assert_eq!((found.len(), errors.len()), (1, 1));
}

#[test]
fn wrong_key_changes_nothing() {
    let dir = three_chunks();
    let wrong = MemoryKey::random().unwrap();
    let before: Vec<_> = segments(dir.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(matches!(
        EncounterLog::open(dir.path(), &wrong),
        Err(LogError::WrongKey { .. })
    ));
    assert!(matches!(
        LogReader::open(dir.path(), &wrong),
        Err(LogError::WrongKey { .. })
    ));
    let after: Vec<_> = segments(dir.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert_eq!(before, after);
    assert_eq!(read(dir.path()).unwrap(), sightings(0..9));
}

#[test]
fn a_second_writer_is_told_and_a_reader_is_not_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    log.append(&sightings(0..1)).unwrap();
    assert!(matches!(
        EncounterLog::open(dir.path(), &key()),
        Err(LogError::InUse { .. })
    ));
    assert_eq!(read(dir.path()).unwrap(), sightings(0..1));
    drop(log);
    EncounterLog::open(dir.path(), &key()).unwrap();
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "…").unwrap();
    assert!(matches!(
        EncounterLog::open(dir.path(), &key()),
        Err(LogError::NotALog { .. })
    ));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // A log without its identity is a damaged log, not some other directory.
    let damaged = three_chunks();
    fs::remove_file(damaged.path().join("log.meta")).unwrap();
    assert!(matches!(
        EncounterLog::open(damaged.path(), &key()),
        Err(LogError::Corrupted { .. })
    ));
    assert!(matches!(
        LogReader::open(dir.path().join("absent"), &key()),
        Err(LogError::NoLog { .. })
    ));
}

#[test]
fn fourteen_days_are_kept_and_the_fifteenth_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    for age in 0..20 {
        log.append(&[sighting(1, DAY.saturating_sub(age))]).unwrap();
    }
    assert_eq!(log.purge(DAY).unwrap(), 5);
    assert_eq!(log.purge(DAY).unwrap(), 0);
    let oldest = read(dir.path()).unwrap()[0].first.utc_day();
    assert_eq!(oldest, DAY.saturating_sub(RETENTION_DAYS));
    log.append(&[sighting(2, DAY)]).unwrap();
    assert_eq!(read(dir.path()).unwrap().len(), 16);
}

#[test]
fn a_day_that_fails_gives_its_sightings_back_and_the_others_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), &key()).unwrap();
    // The last number a segment of the day can have.
    fs::write(dir.path().join(format!("{DAY}.9999.segment")), []).unwrap();
    let before = DAY.saturating_sub(1);
    let batch = [sighting(1, DAY), sighting(2, before), sighting(3, DAY)];
    let not_appended = log.append(&batch).unwrap_err();
    assert_eq!(not_appended.sightings, [batch[0].clone(), batch[2].clone()]);
    assert!(matches!(
        not_appended.source,
        LogError::TooManySegments { .. }
    ));
    assert_eq!(read(dir.path()).unwrap(), [batch[1].clone()]);
}

/// A log whose segments are of version 1, written once and read for ever: the format is not to change
/// unnoticed.
#[test]
fn a_log_of_version_1_is_read() {
    golden("log-v1", &golden_sightings());
}

/// The same of version 2, in which identifiers that repeat are written out once.
#[test]
fn a_log_of_version_2_is_read() {
    let twice = [golden_sightings(), golden_sightings()].concat();
    golden("log-v2", &twice);
}

fn golden_sightings() -> Vec<Sighting> {
    let mut bluezone = sighting(7, DAY);
    bluezone.protocol = ProtocolKind::Bluezone;
    bluezone.id = EphemeralId::from([0xAB; 12]);
    bluezone.metadata = None;
    bluezone.rssi = None;
    bluezone.source = Source::ManufacturerData;
    vec![sighting(6, DAY), bluezone]
}

fn golden(name: &str, sightings: &[Sighting]) {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for entry in fs::read_dir(golden.join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    assert_eq!(read(dir.path()).unwrap(), sightings);
    let keys = LogReader::open(dir.path(), &key())
        .unwrap()
        .own_keys()
        .unwrap();
    let shown: Vec<_> = keys
        .iter()
        .map(|key| {
            let id = key.identifier(key.valid_from()).unwrap();
            (key.protocol(), key.day(), key.is_released(), id.to_string())
        })
        .collect();
    let expected = [
        (ProtocolKind::Bluezone, DAY, true, "FE3C5F***".to_owned()),
        (ProtocolKind::Gaen, DAY, false, "3FEE4F***".to_owned()),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_failed_append_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let moved = dir.path().join("moved");
    let home = dir.path().join("log");
    let mut log = EncounterLog::open(&home, &key()).unwrap();
    fs::rename(&home, &moved).unwrap();
    let not_appended = log.append(&sightings(0..2)).unwrap_err();
    assert!(matches!(not_appended.source, LogError::Io { .. }));
    assert_eq!(not_appended.sightings, sightings(0..2));
    fs::rename(&moved, &home).unwrap();
    log.append(&sightings(0..2)).unwrap();
    assert_eq!(read(&home).unwrap(), sightings(0..2));
}

proptest! {
    #[test]
    fn any_bytes_as_a_segment(bytes in proptest::collection::vec(any::<u8>(), 0..300), keep in 0usize..60) {
        let dir = three_chunks();
        let path = &segments(dir.path())[0];
        let mut whole = fs::read(path).unwrap();
        whole.truncate(keep);
        whole.extend(bytes);
        fs::write(path, whole).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        for found in reader.sightings().unwrap() {
            let named = matches!(
                found,
                Err(LogError::Corrupted { .. } | LogError::UnsupportedVersion { .. })
            );
            prop_assert!(named, "{found:?}");
        }
    }

    #[test]
    fn any_bytes_as_the_sealed_files(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        for name in ["log.meta", "own-keys.sealed"] {
            let dir = three_chunks();
            fs::write(dir.path().join(name), &bytes).unwrap();
            let opened = LogReader::open(dir.path(), &key()).and_then(|reader| reader.own_keys());
            prop_assert!(opened.is_err());
        }
    }
}
