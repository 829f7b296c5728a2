//! A published file, from the zip to its keys, checked: inflated, hashed, its signature verified, parsed.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;
use std::io::Cursor;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{
    ExportOptions, ExportReader, ExportWriter, ReadOptions, UnverifiedExport,
};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::time::{IntervalNumber, Timestamp};

const FIRST_INTERVAL: u32 = 2_642_976;
const DAY: u64 = FIRST_INTERVAL as u64 * 600;

/// Keys of fourteen days, some of them rolled early, as a server publishes them.
fn keys(count: u32) -> Vec<DiagnosisKey> {
    let mut entropy = SeededEntropy::new(1);
    (0..count)
        .map(|number| {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes).unwrap();
            let start = IntervalNumber(FIRST_INTERVAL + 144 * (number % 14));
            let period = if number % 10 == 0 {
                1 + number % 143
            } else {
                144
            };
            let mut key = DiagnosisKey::new(bytes, start, period).unwrap();
            key.transmission_risk = (number % 9) as u8;
            key
        })
        .collect()
}

fn export(count: u32, signer: &SigningKey) -> Vec<u8> {
    let time = |day: u64| Timestamp::from_unix_seconds(DAY + day * 86_400);
    ExportWriter::new(ExportOptions::new("VN", time(14), time(15)))
        .keys(keys(count))
        .write(&[signer], &mut SeededEntropy::new(2))
        .unwrap()
}

fn parse(c: &mut Criterion) {
    let signer = SigningKey::generate().unwrap();
    let signer = signer.named(KeyName::new("452", "v1"));
    let trusted = [signer.verification_key().clone()];
    let mut group = c.benchmark_group("parse");
    group.sample_size(20);
    // The longer one is more than a reader keeps: it is inflated three times, in little memory.
    for (name, count) in [("100k", 100_000), ("500k", 500_000)] {
        let zip = export(count, &signer);
        group.throughput(Throughput::Elements(count.into()));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut file = ExportReader::open(Cursor::new(black_box(&zip))).unwrap();
                let mut export = file.verify(&trusted).unwrap();
                let mut found = 0;
                while let Some(batch) = export.next_batch().unwrap() {
                    found += black_box(batch).len();
                }
                assert_eq!(found, count as usize);
            });
        });
        group.bench_function(format!("{name}_in_memory"), |b| {
            b.iter(|| {
                let file = UnverifiedExport::read(black_box(&zip)).unwrap();
                let file = file.with_options(ReadOptions::default());
                assert_eq!(file.verify(&trusted).unwrap().keys.len(), count as usize);
            });
        });
    }
    let entry = |number: u64| {
        let start = DAY + number % 14 * 86_400;
        PublishedEntry::new([number as u8; 32], start, start + 86_399, 96).unwrap()
    };
    let list = bluezone_json::write(&(0..10_000).map(entry).collect::<Vec<_>>());
    group.throughput(Throughput::Elements(10_000));
    group.bench_function("bluezone_10k", |b| {
        b.iter(|| bluezone_json::read(Cursor::new(black_box(&list))).unwrap());
    });
    group.finish();
}

criterion_group!(benches, parse);
criterion_main!(benches);
