//! Logs of former versions, written once and read for ever: the format is not to change unnoticed.

use truyvet::log::{KeyProvider, KeyPurpose, KeysRenewed};

use super::*;

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

/// The same of version 3, sealed to a key that the writer did not hold.
#[test]
fn a_log_of_version_3_is_read() {
    let twice = [golden_sightings(), golden_sightings()].concat();
    golden("log-v3", &twice);
}

/// The same of version 4, in which there are entries beside; `entries.rs` reads those.
#[test]
fn a_log_of_version_4_is_read() {
    let twice = [golden_sightings(), golden_sightings()].concat();
    golden("log-v4", &twice);
}

/// A log goes on under this version, and what it had is kept until it is too old.
#[test]
fn a_log_of_version_3_is_written_to_and_its_keys_renewed() {
    let dir = copy_of("log-v3");
    let keys = Arc::new(MemoryKey::empty());
    for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
        let of_then = key().load(purpose).unwrap().unwrap();
        keys.replace(purpose, &of_then).unwrap();
    }
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
    log.append(&sightings(0..1)).unwrap();
    let purged = log.purge(DAY).unwrap();
    assert!(matches!(purged.keys, KeysRenewed::Renewed), "{purged:?}");
    let reader = LogReader::open(dir.path(), &keys).unwrap();
    let read: Vec<Sighting> = reader.sightings().unwrap().map(Result::unwrap).collect();
    let twice = [golden_sightings(), golden_sightings()].concat();
    assert_eq!(read, [twice, sightings(0..1)].concat());
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

pub(super) fn copy_of(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    for entry in fs::read_dir(golden.join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn golden(name: &str, sightings: &[Sighting]) {
    let dir = copy_of(name);
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

/// A log of before there were reading keys goes on under this version, and what it had is kept until it is too
/// old.
#[test]
fn a_log_of_version_2_is_written_to_and_its_keys_renewed() {
    let dir = copy_of("log-v2");
    let keys = Arc::new(MemoryKey::empty());
    keys.replace(KeyPurpose::Logging, &Secret::new([7; 32]))
        .unwrap();
    let twice = [golden_sightings(), golden_sightings()].concat();
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
    log.append(&sightings(0..1)).unwrap();
    let all = [twice, sightings(0..1)].concat();
    let read = || -> Vec<Sighting> {
        let reader = LogReader::open(dir.path(), &keys).unwrap();
        reader.sightings().unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(read(), all);
    for days in 0..2 {
        let today = UtcDay::from_unix_days(DAY.unix_days() + days);
        let purged = log.purge(today).unwrap();
        assert!(matches!(purged.keys, KeysRenewed::Renewed), "{purged:?}");
        assert_eq!(read(), all);
    }
    let key = keys.load(KeyPurpose::Logging).unwrap().unwrap();
    assert_ne!(key.expose(), &[7; 32]);
    let far = UtcDay::from_unix_days(DAY.unix_days() + 15);
    assert_eq!(log.purge(far).unwrap().deleted, 2);
    assert_eq!(read(), []);
}

/// A log that has one segment of version 2 and one of today's version, both of `DAY`.
fn upgraded() -> tempfile::TempDir {
    let dir = copy_of("log-v2");
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    dir
}

fn assert_damaged(dir: &Path, segment: &Path) {
    let name = segment.file_name().unwrap().to_str().unwrap();
    let error = read(dir).unwrap_err();
    let named = matches!(&error, LogError::Corrupted { segment, .. } if segment == name);
    assert!(named, "{error}");
}

/// None of its version is written any more, so all of it was there when the log was upgraded.
#[test]
fn a_segment_of_version_2_that_was_cut_since_is_found() {
    let dir = upgraded();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    for cut in 0..whole.len() {
        fs::write(path, &whole[..cut]).unwrap();
        assert_damaged(dir.path(), path);
    }
}

/// Its version does not say which of its day's it is, and all of that version have one key.
#[test]
fn a_second_copy_of_a_segment_of_version_2_is_found() {
    let dir = upgraded();
    let copy = dir.path().join("2026-11-23.0007.segment");
    fs::copy(&segments(dir.path())[0], &copy).unwrap();
    assert_damaged(dir.path(), &copy);
}

/// Under its number, what version 2 took for the end of a file would pass for all there ever was.
#[test]
fn a_segment_replaced_by_an_empty_one_of_version_2_is_found() {
    let dir = upgraded();
    let [old, path] = &segments(dir.path())[..] else {
        panic!("two segments");
    };
    let whole = fs::read(path).unwrap();
    let header = fs::read(old).unwrap()[..48].to_vec();
    let zeros = vec![0; whole.len() - header.len()];
    for forged in [header.clone(), [header, zeros].concat()] {
        fs::write(path, forged).unwrap();
        assert_damaged(dir.path(), path);
    }
}

/// Whose place in the table of roots that of the key of version 2 is.
#[test]
fn a_segment_that_claims_the_key_of_version_2_is_found() {
    let (dir, crashed) = (copy_of("log-v2"), tempfile::tempdir().unwrap());
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, crashed.path().join(path.file_name().unwrap())).unwrap();
    }
    drop(log);
    let path = &segments(crashed.path())[1];
    let mut bytes = fs::read(path).unwrap();
    bytes[32..48].fill(0);
    fs::write(path, bytes).unwrap();
    assert_damaged(crashed.path(), path);
}
