//! Whether all of a log opens, and where it does not.

use truyvet::log::Verification;
use truyvet::time::ClockReading;

use super::golden::copy_of;
use super::reading::{FOUR_DAYS, Watched, flip, gap, three_chunks_with_keys};
use super::*;

fn verified(directory: &Path) -> Verification {
    let reader = LogReader::open(directory, &key()).unwrap();
    reader.verify(|_| ()).unwrap()
}

/// What is wrong, as `file@offset`.
fn damage(verification: &Verification) -> Vec<String> {
    let place = |error: &LogError| match error {
        LogError::Corrupted {
            segment, offset, ..
        } => format!("{segment}@{offset}"),
        LogError::UnsupportedVersion { file, found, .. } => format!("{file} version {found}"),
        error => error.to_string(),
    };
    assert_eq!(verification.is_well(), verification.damage().count() == 0);
    verification.damage().map(place).collect()
}

#[test]
fn a_whole_log_is_well() {
    let dir = three_chunks_with_keys();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.observe(ClockReading {
        wall: DAY.start(),
        uptime: None,
    });
    log.append_gaps(&[gap(0, 1_000), gap(5_000, 6_000)])
        .unwrap();
    fs::write(dir.path().join("thesis.txt"), "…").unwrap();
    let found = verified(dir.path());
    assert_eq!(damage(&found), [""; 0]);
    let [first, second] = &found.segments[..] else {
        panic!("{found:?}")
    };
    assert_eq!(first.name, format!("{DAY}.0000.segment"));
    assert_eq!((first.chunks, first.sightings, first.gaps), (3, 9, 0));
    assert_eq!((first.bytes, first.torn_bytes), (CHUNK_ENDS[2] as u64, 0));
    assert_eq!((second.chunks, second.sightings, second.gaps), (2, 0, 2));
    assert_eq!(second.clock_records, 1);
    assert_eq!((found.sightings(), found.own_keys), (9, 1));
    assert!(found.bytes() > first.bytes + second.bytes);
    assert_eq!(found.strangers, ["thesis.txt"]);
    let there = found.files.iter().filter(|file| file.bytes.is_some());
    let there: Vec<_> = there.map(|file| file.name).collect();
    assert_eq!(there, ["log.meta", "manifest.sealed", "own-keys.sealed"]);
}

/// The first two had no manifest, and no reading key.
#[test]
fn logs_of_former_versions_are_well() {
    for (name, sightings) in [("log-v1", 2), ("log-v2", 4), ("log-v3", 4), ("log-v4", 4)] {
        let dir = copy_of(name);
        let found = verified(dir.path());
        assert_eq!(damage(&found), [""; 0], "{name}");
        assert_eq!((found.sightings(), found.own_keys), (sightings, 2));
        // In its header: a damaged last chunk cannot be told from a torn one there.
        flip(&segments(dir.path())[0], 20);
        assert!(!verified(dir.path()).is_well(), "{name}");
    }
}

#[test]
fn progress_grows_to_one() {
    let mut shares = Vec::new();
    let reader = FOUR_DAYS.reader();
    reader.verify(|share| shares.push(share)).unwrap();
    assert!(shares.len() > 3, "{shares:?}");
    assert!(shares.is_sorted() && shares[0] > 0.0, "{shares:?}");
    assert_eq!(shares.last(), Some(&1.0));
    // Of an empty log as well.
    let empty = Watched::default();
    drop(empty.log());
    empty.reader().verify(|share| shares.push(share)).unwrap();
    assert_eq!(shares.last(), Some(&1.0));
}

#[test]
fn a_flipped_bit_is_told_with_its_segment_and_offset() {
    let dir = three_chunks();
    flip(&segments(dir.path())[0], CHUNK_ENDS[0] + 10);
    let found = verified(dir.path());
    let expected = format!("{DAY}.0000.segment@{}", CHUNK_ENDS[0]);
    assert_eq!(damage(&found), [expected]);
    // What stands before it opens.
    assert_eq!((found.segments[0].chunks, found.sightings()), (1, 3));
}

#[test]
fn a_cut_segment_a_missing_and_a_strange_one_are_told() {
    let dir = tempfile::tempdir().unwrap();
    for id in 0..3 {
        let mut log = EncounterLog::open(dir.path(), key()).unwrap();
        log.append(&sightings(id..id + 1)).unwrap();
    }
    let paths = segments(dir.path());
    let whole = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &whole[..whole.len() - 1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    fs::write(dir.path().join(format!("{DAY}.0007.segment")), &whole).unwrap();
    let name = |number: u32| format!("{DAY}.{number:04}.segment");
    let found = verified(dir.path());
    assert_eq!(
        damage(&found),
        [
            format!("{}@{}", name(0), whole.len() - 1),
            format!("{}@0", name(1)),
            format!("{}@10", name(7)),
        ]
    );
    let bytes: Vec<_> = found.segments.iter().map(|it| it.bytes > 0).collect();
    assert_eq!(bytes, [true, false, true, true]);
    assert_eq!(found.sightings(), 1);
}

#[test]
fn what_a_crash_left_is_counted_and_is_no_damage() {
    let dir = three_chunks_and_a_crash();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..CHUNK_ENDS[1] + 7]).unwrap();
    let found = verified(dir.path());
    assert_eq!(damage(&found), [""; 0]);
    assert_eq!((found.segments[0].torn_bytes, found.sightings()), (7, 5));
}

#[test]
fn each_sealed_file_damaged() {
    for (name, byte, expected) in [
        ("manifest.sealed", 40, "manifest.sealed@28"),
        ("manifest.sealed", 0, "manifest.sealed@0"),
        ("own-keys.sealed", 40, "own-keys.sealed@28"),
        ("log.meta", 40, "log.meta@28"),
        ("log.meta", 9, "log.meta version 258"),
    ] {
        let dir = three_chunks_with_keys();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        flip(&dir.path().join(name), byte);
        let found = reader.verify(|_| ()).unwrap();
        assert_eq!(damage(&found), [expected], "{name} {byte}");
        // The segments are read all the same.
        assert_eq!(found.sightings(), 9, "{name} {byte}");
    }
}

#[test]
fn a_missing_manifest_and_a_missing_identity_are_told() {
    for name in ["manifest.sealed", "log.meta"] {
        let dir = three_chunks();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
        let found = reader.verify(|_| ()).unwrap();
        assert_eq!(damage(&found), [format!("{name}@0")]);
    }
}

#[test]
fn keys_renewed_meanwhile_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), MemoryKey::random().unwrap()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    let reader = log.reader().unwrap();
    log.purge(DAY).unwrap();
    assert!(matches!(reader.verify(|_| ()), Err(LogError::Renewed)));
    let found = log.reader().unwrap().verify(|_| ()).unwrap();
    assert_eq!((damage(&found), found.sightings()), (Vec::new(), 3));
}

#[test]
fn a_damaged_table_of_segment_keys_is_told_by_the_segments_that_need_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), MemoryKey::random().unwrap()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    log.purge(DAY).unwrap();
    flip(&dir.path().join("segment-keys.sealed"), 70);
    let found = log.reader().unwrap().verify(|_| ()).unwrap();
    assert_eq!(damage(&found), [format!("{DAY}.0000.segment@48")]);
}
