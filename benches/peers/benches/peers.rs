//! Sightings a second into each engine and out of it: a busy day of 50,000, synced every 64.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::time::Duration;

use criterion::{BatchSize, Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use truyvet_peers::days::{BATCH, SIGHTINGS, busy};
use truyvet_peers::engines::ENGINES;
use truyvet_peers::measure;

/// In the build's own directory: the system's for temporary files may be in memory.
fn fresh() -> tempfile::TempDir {
    measure::fresh(Some(Path::new(env!("CARGO_TARGET_TMPDIR")))).unwrap()
}

fn append(c: &mut Criterion) {
    let sightings = busy(0);
    let mut group = c.benchmark_group("append");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    // Ten runs of the slowest.
    group.measurement_time(Duration::from_secs(20));
    group.throughput(Throughput::Elements(SIGHTINGS));
    for engine in ENGINES {
        group.bench_function(engine.name, |b| {
            b.iter_batched(
                fresh,
                |dir| {
                    engine.store(dir.path(), &sightings, BATCH).unwrap();
                    dir
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn read(c: &mut Criterion) {
    let sightings = busy(0);
    let mut group = c.benchmark_group("read");
    group.sample_size(20).sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(SIGHTINGS));
    for engine in ENGINES {
        let dir = fresh();
        engine.store(dir.path(), &sightings, BATCH).unwrap();
        group.bench_function(engine.name, |b| {
            b.iter(|| {
                let mut read = 0;
                (engine.read)(dir.path(), &mut |_| read += 1).unwrap();
                assert_eq!(read, SIGHTINGS);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, append, read);
criterion_main!(benches);
