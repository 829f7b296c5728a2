//! A segment and what the manifest says of it: whatever stands in the file, whatever a holder of the keys
//! seals into it, and whatever somebody without them makes of that.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use truyvet::log::fuzzing::{SEALED_ROOT, Step, read_segment, seal_segment};
use truyvet::log::{EncounterLog, LogEntry, LogError, LogOptions, MemoryKey, MemoryStorage};
use truyvet::{Secret, Sighting};
use truyvet_fuzz::SegmentInput;

fuzz_target!(|data: &[u8]| {
    let Some(input) = SegmentInput::decode(data) else {
        return;
    };
    let noted = |len: usize| match input.noted {
        0 => None,
        1 => Some((0, 0)),
        2 => Some((len as u64, 0)),
        _ => Some((0, len as u64)),
    };
    if input.version == 0 {
        let file = input.parts.concat();
        let at = usize::from(input.at);
        for noted in [noted(file.len()), noted(at)] {
            check(&read_segment(&file, true, noted).unwrap(), file.len());
        }
        return;
    }
    let file = seal_segment(input.version.into(), &input.parts).unwrap();
    let whole = read_segment(&file, false, noted(file.len())).unwrap();
    check(&whole, file.len());
    check_sealed(&input, file.len(), &whole);
    if input.is_written_again() {
        return written_again(&whole);
    }
    let edited = input.edited(&file);
    let found = read_segment(&edited, false, noted(file.len())).unwrap();
    check(&found, edited.len());
    check_edited(&input, &file, &edited, &whole, &found);
});

/// Whatever a segment holds.
fn check(steps: &[Step], len: usize) {
    match steps.last().expect("an end") {
        Step::End(torn) => assert!(*torn <= len as u64, "{torn} bytes torn of {len}"),
        Step::Failed(LogError::Corrupted { offset, .. }) => assert!(*offset <= len as u64),
        Step::Failed(LogError::UnsupportedVersion { .. }) => {}
        other => panic!("{other:?}"),
    }
    for step in steps {
        match step {
            Step::Sightings(sightings) => assert!(sightings.len() <= 5_000),
            Step::Entries(entries) => {
                let longest = entries.iter().map(|entry| entry.bytes.len()).max();
                assert!(longest.unwrap_or_default() <= LogEntry::BYTES_MAX);
            }
            _ => {}
        }
    }
}

/// What was sealed with the keys opens: all of it, but for records that are malformed.
fn check_sealed(input: &SegmentInput<'_>, len: usize, steps: &[Step]) {
    let whole = match steps.last() {
        Some(Step::End(_)) if is_being_made(input, len) => steps.len() == 1,
        Some(Step::End(torn)) => *torn == 0 && steps.len() == input.parts.len() + 1,
        // A segment that the log does not know, or none of this version.
        Some(Step::Failed(_)) if input.noted == 0 || input.noted == 2 && input.version < 3 => true,
        Some(Step::Failed(error)) => error.to_string().contains("a record is malformed"),
        _ => false,
    };
    assert!(whole, "{} parts: {steps:?}", input.parts.len());
}

/// Whether the segment is taken for one that the writer has not noted yet, and in which there can be nothing.
fn is_being_made(input: &SegmentInput<'_>, len: usize) -> bool {
    input.noted == 0 && len <= SEALED_ROOT.end
}

/// Nothing but what was sealed is read of a file that somebody without the keys has changed, and where the
/// log knows how long it was, that something has been changed.
fn check_edited(
    input: &SegmentInput<'_>,
    file: &[u8],
    edited: &[u8],
    whole: &[Step],
    found: &[Step],
) {
    let (last, read) = found.split_last().expect("an end");
    for (read, sealed) in read.iter().zip(whole) {
        assert_eq!(format!("{read:?}"), format!("{sealed:?}"));
    }
    assert!(read.len() < whole.len(), "more than was sealed: {found:?}");
    let cut = edited.len() < file.len();
    let noticed = match (input.noted, input.version) {
        (2, 3 | 4) => cut || differs(input, file, edited),
        // No writer has acknowledged a segment of an older version, or makes one now.
        (2, 1 | 2) => true,
        (0, 1 | 2) => !is_being_made(input, edited.len()) && edited.iter().any(|byte| *byte != 0),
        // Of what was found after a crash, the length alone is known.
        (3, _) => cut,
        _ => false,
    };
    if noticed {
        assert!(matches!(last, Step::Failed(_)), "unnoticed: {found:?}");
    }
}

/// Whether anything differs; of the root as it is sealed, which is not what opens this segment, only where there is
/// a chunk that is bound to it.
fn differs(input: &SegmentInput<'_>, file: &[u8], edited: &[u8]) -> bool {
    let unbound = |at: &usize| input.parts.is_empty() && SEALED_ROOT.contains(at);
    let mut pairs = file.iter().zip(edited).enumerate();
    pairs.any(|(at, (a, b))| a != b && !unbound(&at))
}

/// What has been read is a log's to write, and is read again as it was.
fn written_again(steps: &[Step]) {
    let sightings: Vec<Sighting> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Sightings(sightings) => Some(sightings),
            _ => None,
        })
        .flatten()
        .cloned()
        .collect();
    let entries: Vec<LogEntry> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Entries(entries) => Some(entries),
            _ => None,
        })
        .flatten()
        .cloned()
        .collect();
    let days = sightings.iter().map(|it| it.first.utc_day());
    let days: BTreeSet<_> = days
        .chain(entries.iter().map(|it| it.at.utc_day()))
        .collect();
    if days.len() > 3 {
        return;
    }
    let storage = MemoryStorage::default();
    let keys = MemoryKey::new(Secret::new(truyvet::log::fuzzing::KEY));
    let mut log = EncounterLog::open_on(storage, keys, LogOptions::default()).unwrap();
    log.append(&sightings).unwrap();
    log.append_entries(&entries).unwrap();
    // A log gives them back day by day.
    let mut expected = sightings;
    expected.sort_by_key(|sighting| sighting.first.utc_day());
    let reader = log.reader().unwrap();
    let read: Vec<Sighting> = reader.sightings().unwrap().map(Result::unwrap).collect();
    assert_eq!(read, expected);
    let mut expected = entries;
    expected.sort_by_key(|entry| entry.at.utc_day());
    let read: Vec<LogEntry> = reader.entries().unwrap().map(Result::unwrap).collect();
    assert_eq!(read, expected);
}
