//! Sightings a second into the encounter log and out of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::log::{EncounterLog, LogReader, MemoryKey};
use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::Timestamp;
use truyvet::{ProtocolKind, Secret, Sighting};

/// A busy day: 50,000 sightings, of half a minute each, of 300 neighbours of whom about seventeen are there
/// at a time, for eighty minutes each; all change their identifiers every quarter of an hour.
const SIGHTINGS: u64 = 50_000;
const SEATS: u64 = 17;
const STAY_MS: u64 = 80 * 60_000;
/// Sightings given to the log at a time, each time synced to disk.
const BATCH: usize = 64;

fn busy_day() -> Vec<Sighting> {
    sightings(|ms, seat| {
        let (rotation, stay) = (ms / 900_000, ms / STAY_MS);
        (rotation << 32 | stay << 16 | seat) + 1
    })
}

/// A hostile one: every sighting is of somebody else.
fn flood() -> Vec<Sighting> {
    let mut number = 0;
    sightings(|_, _| {
        number += 1;
        number
    })
}

/// A day in which somebody sits on each seat at any time; `who` has the number of `who(ms, seat)`.
fn sightings(mut who: impl FnMut(u64, u64) -> u64) -> Vec<Sighting> {
    let start = Timestamp::from_unix_seconds(1_596_844_800);
    let rssi = |dbm: u64| Rssi::from_dbm(-(dbm as i32)).unwrap();
    (0..SIGHTINGS)
        .map(|number| {
            let ms = number * 86_400_000 / SIGHTINGS;
            let mut bytes = [0; 24];
            SeededEntropy::new(who(ms, number % SEATS))
                .fill(&mut bytes[..20])
                .unwrap();
            let [id @ .., a, b, c, d, _, _, _, _] = bytes;
            let first = Timestamp::from_unix_millis(start.unix_millis() + ms);
            Sighting {
                protocol: ProtocolKind::Gaen,
                id: id.into(),
                metadata: Some([a, b, c, d]),
                first,
                last: Timestamp::from_unix_millis(first.unix_millis() + 29_000 + number % 997),
                frames: 90 + (number % 20) as u16,
                rssi: Some(RssiSummary {
                    min: rssi(90 + number % 7),
                    mean: rssi(70 + number % 13),
                    max: rssi(55 + number % 11),
                }),
                source: Source::ServiceData,
            }
        })
        .collect()
}

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([7; 32]))
}

/// A log of `sightings`; prints what they take.
fn at_rest(what: &str, sightings: &[Sighting]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    for batch in sightings.chunks(BATCH) {
        log.append(batch).unwrap();
    }
    drop(log);
    let files = std::fs::read_dir(dir.path()).unwrap();
    let bytes: u64 = files
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "log size: {SIGHTINGS} sightings {what}, {bytes} bytes, {:.1} a sighting",
        bytes as f64 / SIGHTINGS as f64
    );
    dir
}

fn log(c: &mut Criterion) {
    let sightings = busy_day();
    let mut group = c.benchmark_group("append");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SIGHTINGS));
    group.bench_function("truyvet", |b| {
        b.iter_batched(
            || tempfile::tempdir().unwrap(),
            |dir| {
                let mut log = EncounterLog::open(dir.path(), key()).unwrap();
                for batch in sightings.chunks(BATCH) {
                    log.append(batch).unwrap();
                }
                dir
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let dir = at_rest("of a busy day", &sightings);
    at_rest("that never repeat an identifier", &flood());

    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(SIGHTINGS));
    group.bench_function("truyvet", |b| {
        b.iter(|| {
            let reader = LogReader::open(dir.path(), &key()).unwrap();
            let read = reader.sightings().unwrap().map(Result::unwrap).count();
            assert_eq!(read as u64, SIGHTINGS);
        });
    });
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
