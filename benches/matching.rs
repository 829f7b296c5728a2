//! Published keys a second against stored identifiers, and what it takes to have them stored.
//!
//! Targets are for one core of a server of 2023 with AVX-512; `threads` is the fastest way on as many as there are.
#![allow(missing_docs, clippy::unwrap_used)]

use std::cell::LazyCell;
use std::hint::black_box;
use std::num::NonZeroUsize;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::exposure::{Backend, MatchConfig, Matcher};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{EphemeralId, ProtocolKind, PublishedKey, Sighting};

const FIRST_INTERVAL: u32 = 2_642_976;
const KEYS: usize = 100_000;
const DAYS: usize = 14;
/// Keys of which one identifier is among those stored.
const PLANTED: usize = 100;
const STORED: [(&str, usize); 3] = [("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000)];

/// Keys of the days in turn, as in a file that is sorted by key.
fn keys() -> Vec<PublishedKey> {
    let mut entropy = SeededEntropy::new(1);
    let key = |number: usize| {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes).unwrap();
        let day = u32::try_from(number % DAYS).unwrap();
        let start = IntervalNumber(FIRST_INTERVAL + 144 * day);
        PublishedKey::Gaen(DiagnosisKey::new(bytes, start, 144).unwrap())
    };
    (0..KEYS).map(key).collect()
}

fn sighting(id: EphemeralId, first: Timestamp) -> Sighting {
    Sighting {
        protocol: ProtocolKind::Gaen,
        id,
        metadata: None,
        first,
        last: first,
        frames: 1,
        rssi: None,
        source: Source::ServiceData,
    }
}

/// One identifier of each of the first keys.
fn planted(keys: &[PublishedKey]) -> Vec<Sighting> {
    let planted = keys.iter().take(PLANTED).zip(0..).map(|(key, number)| {
        let mut candidates = Vec::new();
        key.for_each_candidate(|candidate| candidates.push(candidate));
        let candidate = candidates.get(number % candidates.len()).unwrap();
        sighting(candidate.id, candidate.first)
    });
    planted.collect()
}

/// `count` identifiers in the order of a log: strangers' over all days, and `heard`.
fn log_of<const N: usize>(count: usize, heard: Vec<Sighting>) -> Vec<Sighting>
where
    EphemeralId: From<[u8; N]>,
{
    let mut entropy = SeededEntropy::new(2);
    let mut stored = heard;
    let intervals = DAYS * 144;
    while stored.len() < count {
        let mut id = [0; N];
        entropy.fill(&mut id).unwrap();
        let interval = u32::try_from(stored.len() * intervals / count).unwrap();
        let first = IntervalNumber(FIRST_INTERVAL + interval).start();
        stored.push(sighting(id.into(), first));
    }
    stored.sort_by_key(|sighting| sighting.first);
    stored
}

fn config(backend: Backend, threads: usize) -> MatchConfig {
    let mut config = MatchConfig::default();
    config.backend = backend;
    config.threads = NonZeroUsize::new(threads).unwrap();
    config
}

fn matching(c: &mut Criterion) {
    let mut group = c.benchmark_group("match");
    group.sample_size(20);
    let keys = keys();
    group.throughput(Throughput::Elements(keys.len() as u64));
    let all = MatchConfig::default().threads.get();
    let mut ways = vec![
        ("portable", config(Backend::Portable, 1)),
        ("threads", config(Backend::Auto, all)),
    ];
    if Matcher::new(config(Backend::Avx512, 1), []).backend() == Backend::Avx512 {
        ways.push(("simd", config(Backend::Avx512, 1)));
    }
    for (stored, count) in STORED {
        // Made for what is measured alone.
        let sightings = LazyCell::new(|| log_of::<16>(count, planted(&keys)));
        for (way, config) in &ways {
            let matcher = LazyCell::new(|| Matcher::new(config.clone(), sightings.clone()));
            group.bench_function(format!("{way}/{stored}"), |b| {
                let matcher = &*matcher;
                b.iter(|| {
                    let exposures = matcher.exposures(black_box(&keys));
                    assert_eq!(exposures.len(), PLANTED);
                });
            });
        }
    }
    group.finish();
}

/// A patient of fourteen days, a sighting of each, among 100,000 strangers'.
fn bluezone(c: &mut Criterion) {
    let mut group = c.benchmark_group("bluezone");
    let start = u64::from(FIRST_INTERVAL) * 600;
    let patient = PublishedEntry::new([7; 32], start, start + 14 * 86_400 - 1, 96).unwrap();
    let mut heard = Vec::new();
    let mut number = 0;
    patient.for_each_candidate(|candidate| {
        if number % 96 == 40 {
            heard.push(sighting(candidate.id, candidate.first));
        }
        number += 1;
    });
    let sightings = log_of::<12>(100_000, heard);
    let keys = [PublishedKey::from(patient)];
    for (id, backend) in [
        ("one_f0_100k", Backend::Auto),
        ("one_f0_100k_portable", Backend::Portable),
    ] {
        let matcher = Matcher::new(config(backend, 1), sightings.iter().cloned());
        group.bench_function(id, |b| {
            b.iter(|| {
                let exposures = matcher.exposures(black_box(&keys));
                assert_eq!(exposures.len(), DAYS);
            });
        });
    }
    group.finish();
}

fn index(c: &mut Criterion) {
    let mut group = c.benchmark_group("index");
    group.sample_size(20);
    let sightings = log_of::<16>(100_000, Vec::new());
    group.throughput(Throughput::Elements(sightings.len() as u64));
    group.bench_function("100k", |b| {
        b.iter_batched(
            || sightings.clone(),
            |sightings| Matcher::new(MatchConfig::default(), sightings),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

criterion_group!(benches, index, bluezone, matching);
criterion_main!(benches);
