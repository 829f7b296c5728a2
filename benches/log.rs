//! A full log, opened: how long until the first sighting of fourteen busy days can be looked at.
//!
//! Sightings a second into the log and out of it, and what they take, are measured beside databases, in
//! `benches/peers`.
#![allow(missing_docs, clippy::unwrap_used)]

mod days;

use criterion::{Criterion, criterion_group, criterion_main};
use truyvet::Secret;
use truyvet::log::{EncounterLog, LogReader, MemoryKey};

/// Sightings appended at a time. Chosen: fills the log faster than a tracer would; what is opened is a
/// segment a day all the same.
const BATCH: usize = 1_024;

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([7; 32]))
}

fn log(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    for day in 0..days::DAYS {
        for batch in days::busy(day).chunks(BATCH) {
            log.append(batch).unwrap();
        }
    }
    drop(log);

    c.bench_function("open/14days", |b| {
        b.iter(|| {
            let reader = LogReader::open(dir.path(), &key()).unwrap();
            let first = reader.sightings().unwrap().next().unwrap().unwrap();
            assert_eq!(first.first, days::START);
        });
    });
}

criterion_group!(benches, log);
criterion_main!(benches);
