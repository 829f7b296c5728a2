//! Identifiers a second from daily keys, in both protocols.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use truyvet::PublishedKey;
use truyvet::Secret;
use truyvet::protocol::bluezone::{DailyKey, PublishedEntry};
use truyvet::protocol::gaen::TemporaryExposureKey;
use truyvet::time::IntervalNumber;

/// 2020-08-08T00:00Z.
const DAY: u64 = 1_596_844_800;

fn derive(c: &mut Criterion) {
    let mut group = c.benchmark_group("derive");

    group.throughput(Throughput::Elements(96));
    group.bench_function("bluezone/day", |b| {
        let key = DailyKey::new(Secret::new([7; 32]));
        b.iter(|| {
            for sub_key in black_box(&key).sub_keys().take(96) {
                black_box(sub_key.identifier());
            }
        });
    });

    group.throughput(Throughput::Elements(14 * 96));
    group.bench_function("bluezone/entry_of_14_days", |b| {
        let entry = PublishedEntry::new([7; 32], DAY, DAY + 14 * 86_400 - 1, 96).unwrap();
        let key = PublishedKey::Bluezone(entry);
        b.iter(|| {
            black_box(&key).for_each_candidate(|candidate| {
                black_box(candidate);
            });
        });
    });

    group.throughput(Throughput::Elements(144));
    group.bench_function("gaen/day", |b| {
        let tek = TemporaryExposureKey::new(Secret::new([7; 16]));
        let mut ids = Vec::with_capacity(144);
        b.iter(|| {
            ids.clear();
            let rpik = black_box(&tek).rolling_proximity_identifier_key().unwrap();
            rpik.identifiers(IntervalNumber(2_642_976), 144, &mut ids);
            black_box(&ids);
        });
    });
    group.finish();
}

criterion_group!(benches, derive);
criterion_main!(benches);
