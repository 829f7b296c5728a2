//! Whoever changes a log's files without its keys is found out.

use proptest::prelude::*;
use truyvet::log::KeysRenewed;

use super::*;

#[test]
fn any_bit_flipped_is_found() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, &flipped).unwrap();
        match read(dir.path()).unwrap_err() {
            LogError::UnsupportedVersion { .. } => assert!((8..10).contains(&(bit / 8))),
            LogError::Corrupted {
                segment, offset, ..
            } => {
                assert_eq!(segment, path.file_name().unwrap().to_str().unwrap());
                let chunk = CHUNK_ENDS.iter().rfind(|end| **end <= bit / 8);
                let begins = *chunk.unwrap_or(&0) as u64;
                assert!(
                    (begins..=(bit as u64 / 8).max(HEADER as u64)).contains(&offset),
                    "bit {bit}: {offset}"
                );
            }
            error => panic!("bit {bit}: {error}"),
        }
    }
}

/// Its root stands in the table then, and nobody opens the one in its header.
#[test]
fn any_bit_flipped_is_found_after_a_renewal_too() {
    let (dir, whole, keys) = renewed();
    let path = &segments(dir.path())[0];
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, &flipped).unwrap();
        let reader = LogReader::open(dir.path(), &keys).unwrap();
        let found: Result<Vec<_>, _> = reader.sightings().unwrap().collect();
        assert!(found.is_err(), "bit {bit}");
    }
}

#[test]
fn bytes_behind_an_orderly_end_are_passed_over_and_counted() {
    let (dir, mut bytes, keys) = renewed();
    bytes.extend([7; 1_000]);
    fs::write(&segments(dir.path())[0], bytes).unwrap();
    let reader = LogReader::open(dir.path(), &keys).unwrap();
    let mut found = reader.sightings().unwrap();
    assert_eq!(found.by_ref().map(Result::unwrap).count(), 3);
    assert_eq!(found.torn_bytes(), 1_000);
}

/// A log whose keys have been renewed since, its one segment, and its keys.
fn renewed() -> (tempfile::TempDir, Vec<u8>, Arc<MemoryKey>) {
    let (dir, keys) = (
        tempfile::tempdir().unwrap(),
        Arc::new(MemoryKey::random().unwrap()),
    );
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
    log.append(&sightings(0..3)).unwrap();
    let purged = log.purge(DAY).unwrap();
    assert!(matches!(purged.keys, KeysRenewed::Renewed), "{purged:?}");
    drop(log);
    let whole = fs::read(&segments(dir.path())[0]).unwrap();
    (dir, whole, keys)
}

/// What a writer that was killed had not yet noted as certain cannot be told from what a power cut leaves.
#[test]
fn a_last_chunk_damaged_after_a_crash_looks_torn_and_is_counted() {
    let dir = three_chunks_and_a_crash();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let [_, second, third] = CHUNK_ENDS;
    for byte in second..third {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1;
        fs::write(path, &flipped).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        let mut found = reader.sightings().unwrap();
        assert_eq!(found.by_ref().map(Result::unwrap).count(), 5);
        let torn = without_zeros(&flipped[second..]).len();
        assert_eq!(found.torn_bytes(), torn as u64, "byte {byte}");
    }
}

/// A segment cut anywhere, or an older copy of it in its place.
#[test]
fn a_cut_tail_is_found() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    for cut in 0..whole.len() {
        fs::write(path, &whole[..cut]).unwrap();
        let error = read(dir.path()).unwrap_err();
        let named = matches!(error, LogError::Corrupted { offset, .. } if offset == cut as u64);
        assert!(named, "cut at {cut}: {error}");
    }
}

#[test]
fn a_cut_is_found_though_the_writer_crashed_once_it_has_been_opened_again() {
    let dir = three_chunks_and_a_crash();
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..CHUNK_ENDS[1]]).unwrap();
    let error = read(dir.path()).unwrap_err();
    let at = CHUNK_ENDS[1] as u64;
    assert!(
        matches!(error, LogError::Corrupted { offset, .. } if offset == at),
        "{error}"
    );
    // Nor does another opening forget it.
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    read(dir.path()).unwrap_err();
}

#[test]
fn a_deleted_segment_is_found() {
    let dir = three_chunks();
    fs::remove_file(&segments(dir.path())[0]).unwrap();
    for _ in 0..2 {
        let error = read(dir.path()).unwrap_err();
        assert!(
            matches!(error, LogError::Corrupted { offset: 0, .. }),
            "{error}"
        );
        drop(EncounterLog::open(dir.path(), key()).unwrap());
    }
}

#[test]
fn a_segment_put_back_after_its_deletion_is_found() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.purge(UtcDay::from_unix_days(DAY.unix_days() + 15))
        .unwrap();
    assert_eq!(segments(dir.path()).len(), 0);
    fs::write(path, &whole).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(
        matches!(error, LogError::Corrupted { offset: 0, .. }),
        "{error}"
    );
    // The next purge clears it away.
    log.purge(UtcDay::from_unix_days(DAY.unix_days() + 15))
        .unwrap();
    assert_eq!(read(dir.path()).unwrap(), []);
}

#[test]
fn chunks_reordered_repeated_or_dropped() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    let [first, second, third] = CHUNK_ENDS;
    let chunks = [
        &whole[HEADER..first],
        &whole[first..second],
        &whole[second..third],
    ];
    for order in [vec![1, 0, 2], vec![0, 0, 1, 2], vec![0, 2, 1], vec![1, 2]] {
        let mut bytes = whole[..HEADER].to_vec();
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
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let errors: Vec<_> = reader
        .sightings()
        .unwrap()
        .map(Result::unwrap_err)
        .collect();
    assert!(matches!(errors[0], LogError::Corrupted { offset: 12, .. }));
    // The one it was is missing.
    assert!(matches!(errors[1], LogError::Corrupted { offset: 0, .. }));
    assert_eq!(errors.len(), 2);
}

/// Each under the name of another segment of the same day, and as long as that.
#[test]
fn segments_exchanged() {
    let dir = tempfile::tempdir().unwrap();
    for number in 0..2 {
        let mut log = EncounterLog::open(dir.path(), key()).unwrap();
        log.append(&sightings(number..number + 1)).unwrap();
    }
    let paths = segments(dir.path());
    let [one, other] = [0, 1].map(|index: usize| fs::read(&paths[index]).unwrap());
    fs::write(&paths[0], &other).unwrap();
    fs::write(&paths[1], &one).unwrap();
    let error = read(dir.path()).unwrap_err();
    assert!(
        matches!(error, LogError::Corrupted { offset: 10, .. }),
        "{error}"
    );
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
    EncounterLog::open(dir.path(), key())
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

/// Told by whoever reads, who gets what is there all the same; and not forgotten when it is made anew, until nothing
/// is kept of the time of which it spoke.
#[test]
fn a_deleted_manifest_is_found_and_not_forgotten_at_the_next_opening() {
    let dir = three_chunks();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..CHUNK_ENDS[1]]).unwrap();
    fs::remove_file(dir.path().join("manifest.sealed")).unwrap();
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let mut found = reader.sightings().unwrap();
    let first = found.next().unwrap().unwrap_err();
    assert!(
        matches!(&first, LogError::Corrupted { segment, offset: 0, .. } if segment == "manifest.sealed"),
        "{first}"
    );
    assert_eq!(found.map(Result::unwrap).count(), 5);
    assert!(!reader.verify(|_| ()).unwrap().is_well());
    let days: Vec<_> = reader.stats().unwrap().collect();
    let [day] = &days[..] else { panic!("{days:?}") };
    assert_eq!((day.sightings, day.damage.len()), (5, 1));

    let day = |number| UtcDay::from_unix_days(DAY.unix_days() + number);
    let keys = Arc::new(key());
    let is_well = || {
        let reader = LogReader::open(dir.path(), &keys).unwrap();
        reader.verify(|_| ()).unwrap().is_well()
    };
    for (number, well) in [(0, false), (1, false), (14, false), (15, true)] {
        let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
        assert!(!is_well(), "opened on day {number}");
        log.purge(day(number)).unwrap();
        let mut today = sighting(1, day(number));
        today.first = day(number).start();
        today.last = today.first;
        log.append(&[today]).unwrap();
        drop(log);
        assert_eq!(is_well(), well, "day {number}");
    }
}

#[test]
fn a_manifest_deleted_from_a_log_without_segments_is_found() {
    let dir = tempfile::tempdir().unwrap();
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    assert_eq!(read(dir.path()).unwrap(), []);
    fs::remove_file(dir.path().join("manifest.sealed")).unwrap();
    read(dir.path()).unwrap_err();
}

/// Beside one of a version that had none.
#[test]
fn a_manifest_deleted_from_a_log_that_was_upgraded_is_found() {
    let dir = golden::copy_of("log-v2");
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    assert_eq!(read(dir.path()).unwrap().len(), 4);
    fs::remove_file(dir.path().join("manifest.sealed")).unwrap();
    read(dir.path()).unwrap_err();
}
