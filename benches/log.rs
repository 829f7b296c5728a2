//! Sightings a second into the encounter log and out of it.
#![allow(missing_docs, clippy::unwrap_used)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::log::{EncounterLog, LogReader, MemoryKey};
use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::Timestamp;
use truyvet::{ProtocolKind, Secret, Sighting};

/// A busy day: 50,000 sightings of 300 neighbours that rotate every 15 minutes.
const SIGHTINGS: u64 = 50_000;
const NEIGHBOURS: u64 = 300;
/// Sightings given to the log at a time, each time synced to disk.
const BATCH: usize = 64;

fn busy_day() -> Vec<Sighting> {
    let start = Timestamp::from_unix_seconds(1_596_844_800);
    let rssi = |dbm: i32| Rssi::from_dbm(dbm).unwrap();
    (0..SIGHTINGS)
        .map(|number| {
            let ms = number * 86_400_000 / SIGHTINGS;
            let rotation = ms / 900_000;
            let mut id = [0; 16];
            SeededEntropy::new(rotation * NEIGHBOURS + number % NEIGHBOURS)
                .fill(&mut id)
                .unwrap();
            let first = Timestamp::from_unix_millis(start.unix_millis() + ms);
            Sighting {
                protocol: ProtocolKind::Gaen,
                id: id.into(),
                metadata: Some([1, 2, 3, 4]),
                first,
                last: Timestamp::from_unix_millis(first.unix_millis() + 29_000),
                frames: 100,
                rssi: Some(RssiSummary {
                    min: rssi(-90),
                    mean: rssi(-75),
                    max: rssi(-60),
                }),
                source: Source::ServiceData,
            }
        })
        .collect()
}

fn log(c: &mut Criterion) {
    let sightings = busy_day();
    let key = MemoryKey::new(Secret::new([7; 32]));

    let mut group = c.benchmark_group("append");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SIGHTINGS));
    group.bench_function("truyvet", |b| {
        b.iter_batched(
            || tempfile::tempdir().unwrap(),
            |dir| {
                let mut log = EncounterLog::open(dir.path(), &key).unwrap();
                for batch in sightings.chunks(BATCH) {
                    log.append(batch).unwrap();
                }
                dir
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();

    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), &key).unwrap();
    for batch in sightings.chunks(BATCH) {
        log.append(batch).unwrap();
    }
    drop(log);
    let bytes: u64 = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    println!(
        "log size: {SIGHTINGS} sightings, {bytes} bytes, {} a sighting",
        bytes / SIGHTINGS
    );

    let mut group = c.benchmark_group("read");
    group.throughput(Throughput::Elements(SIGHTINGS));
    group.bench_function("truyvet", |b| {
        b.iter(|| {
            let reader = LogReader::open(dir.path(), &key).unwrap();
            let read = reader.sightings().unwrap().map(Result::unwrap).count();
            assert_eq!(read as u64, SIGHTINGS);
        });
    });
    group.finish();
}

criterion_group!(benches, log);
criterion_main!(benches);
