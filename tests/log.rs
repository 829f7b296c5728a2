//! The encounter log's promises of today: sealed, complete up to a torn tail, bounded in time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use truyvet::engine::{Config, Engine};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::{EncounterLog, LogError, LogReader, MemoryKey};
use truyvet::protocol::EphemeralId;
use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::{Clock, ManualClock, Timestamp, UtcDay};
use truyvet::{Protocol, ProtocolKind, Secret, Sighting};

#[path = "log/entries.rs"]
mod entries;
#[path = "log/erasure.rs"]
mod erasure;
#[path = "log/full_disk.rs"]
mod full_disk;
#[path = "log/golden.rs"]
mod golden;
#[path = "log/own_data.rs"]
mod own_data;
#[path = "log/reading.rs"]
mod reading;
#[path = "log/renewing.rs"]
mod renewing;
#[path = "log/tampering.rs"]
mod tampering;
#[path = "log/verification.rs"]
mod verification;

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

/// A segment's header: what is in plain, an encapsulated key, and a sealed root.
const HEADER: usize = 48 + 32 + 48;

/// Where the chunks of [`three_chunks`] end: 4 bytes of length, 1 of kind, 1 of count, 16 of tag, and 29 a
/// sighting, as no identifier repeats; 4 more for the first time of each, which is told since 1970.
const CHUNK_ENDS: [usize; 3] = [
    HEADER + 26 + 3 * 29,
    HEADER + 2 * 26 + 5 * 29,
    HEADER + 3 * 26 + 9 * 29,
];

/// A log of three chunks in one segment.
fn three_chunks() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    drop(append_three_chunks(dir.path()));
    dir
}

fn append_three_chunks(directory: &Path) -> EncounterLog {
    let mut log = EncounterLog::open(directory, key()).unwrap();
    for chunk in [0..3, 3..5, 5..9] {
        log.append(&sightings(chunk)).unwrap();
    }
    log
}

/// The same, whose writer was killed: it had noted the segment, and nothing of what is in it.
fn three_chunks_and_a_crash() -> tempfile::TempDir {
    let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = append_three_chunks(dir.path());
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, crashed.path().join(path.file_name().unwrap())).unwrap();
    }
    drop(log);
    crashed
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
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append(&batch).unwrap();
    log.append(&[]).unwrap();
    assert_eq!(read(dir.path()).unwrap(), batch);
}

#[test]
fn a_batch_over_midnight_goes_to_both_days() {
    let dir = tempfile::tempdir().unwrap();
    let next = UtcDay::from_unix_days(DAY.unix_days() + 1);
    let batch = [sighting(1, DAY), sighting(2, next), sighting(3, DAY)];
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
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
        let mut log = EncounterLog::open(dir.path(), key()).unwrap();
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
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
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
    let dir = three_chunks_and_a_crash();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let [first, second, third] = CHUNK_ENDS;
    // The file was made longer beforehand.
    assert!(whole.len() > third && whole[third..].iter().all(|byte| *byte == 0));
    for cut in (HEADER..=third).chain([third + 1, whole.len()]) {
        fs::write(path, &whole[..cut]).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        let mut found = reader.sightings().unwrap();
        let read: Vec<Sighting> = found.by_ref().map(Result::unwrap).collect();
        let (sighted, torn) = match cut {
            _ if cut < first => (0, HEADER),
            _ if cut < second => (3, first),
            _ if cut < third => (5, second),
            _ => (9, third),
        };
        assert_eq!(read, sightings(0..sighted), "cut at {cut}");
        let torn = without_zeros(&whole[torn..cut]).len();
        assert_eq!(found.torn_bytes(), torn as u64, "cut at {cut}");
        let matcher = Matcher::from_log(MatchConfig::default(), &reader).unwrap();
        assert_eq!(matcher.torn_bytes(), found.torn_bytes());
    }
}

/// Zeros at the end of a file say nothing.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let used = bytes.iter().rposition(|byte| *byte != 0);
    &bytes[..used.map_or(0, |last| last + 1)]
}

#[test]
fn a_tail_of_zeros_is_torn() {
    let dir = three_chunks_and_a_crash();
    let path = &segments(dir.path())[0];
    let mut bytes = fs::read(path).unwrap();
    bytes.extend([0; 10_000]);
    fs::write(path, &bytes).unwrap();
    assert_eq!(read(dir.path()).unwrap(), sightings(0..9));
    // The next writer does not mend it, and does not take it for damage.
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    assert_eq!(read(dir.path()).unwrap(), sightings(0..9));
}

#[test]
fn wrong_key_changes_nothing() {
    let dir = three_chunks();
    let wrong = Arc::new(MemoryKey::random().unwrap());
    let before: Vec<_> = segments(dir.path())
        .iter()
        .map(|path| fs::read(path).unwrap())
        .collect();
    assert!(matches!(
        EncounterLog::open(dir.path(), Arc::clone(&wrong)),
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
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append(&sightings(0..1)).unwrap();
    assert!(matches!(
        EncounterLog::open(dir.path(), key()),
        Err(LogError::InUse { .. })
    ));
    assert_eq!(read(dir.path()).unwrap(), sightings(0..1));
    drop(log);
    EncounterLog::open(dir.path(), key()).unwrap();
}

#[test]
fn a_directory_of_other_things_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "…").unwrap();
    assert!(matches!(
        EncounterLog::open(dir.path(), key()),
        Err(LogError::NotALog { .. })
    ));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    // A log without its identity is a damaged log, not some other directory.
    let damaged = three_chunks();
    fs::remove_file(damaged.path().join("log.meta")).unwrap();
    assert!(matches!(
        EncounterLog::open(damaged.path(), key()),
        Err(LogError::Corrupted { .. })
    ));
    assert!(matches!(
        LogReader::open(dir.path().join("absent"), &key()),
        Err(LogError::NoLog { .. })
    ));
}

#[test]
fn a_day_that_fails_gives_its_sightings_back_and_the_others_are_stored() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    // All numbers that segments of the day can have.
    for number in 0..1_000 {
        fs::write(dir.path().join(format!("{DAY}.{number:04}.segment")), []).unwrap();
    }
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

#[test]
fn a_failed_append_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let moved = dir.path().join("moved");
    let home = dir.path().join("log");
    let mut log = EncounterLog::open(&home, key()).unwrap();
    fs::rename(&home, &moved).unwrap();
    let not_appended = log.append(&sightings(0..2)).unwrap_err();
    assert!(matches!(not_appended.source, LogError::NoLog { .. }));
    assert_eq!(not_appended.sightings, sightings(0..2));
    fs::rename(&moved, &home).unwrap();
    log.append(&sightings(0..2)).unwrap();
    assert_eq!(read(&home).unwrap(), sightings(0..2));
}
