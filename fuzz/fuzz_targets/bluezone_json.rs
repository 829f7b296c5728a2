//! Bluezone's published list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use truyvet::publication::bluezone_json::{ENTRIES_MAX, IDENTIFIERS_MAX, parse, read, write};

/// Identifiers that are derived of an input at most, so that it takes no seconds.
const DERIVED_MAX: u64 = 500;

fuzz_target!(|data: &[u8]| {
    let streamed = read(data);
    let entries = match parse(data) {
        Ok(entries) => entries,
        Err(error) => {
            // Where a stream is at fault is told a byte later now and then.
            assert!(streamed.is_err());
            return drop(error.to_string());
        }
    };
    assert_eq!(streamed.as_ref(), Ok(&entries));
    assert!(entries.len() <= ENTRIES_MAX);
    let count: u64 = entries.iter().map(|entry| entry.candidate_count()).sum();
    assert!(count <= IDENTIFIERS_MAX);
    assert_eq!(parse(write(&entries).as_bytes()), Ok(entries.clone()));
    if count <= DERIVED_MAX {
        let mut derived = 0;
        for entry in &entries {
            entry.for_each_candidate(|candidate| {
                assert!(candidate.first < candidate.last);
                derived += 1;
            });
        }
        assert_eq!(derived, count);
    }
});
