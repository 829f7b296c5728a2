//! Published keys a second against stored identifiers: truyvet beside the published crates of its kind.
//!
//! Neither of the two has a matcher: their documentation has the caller look each identifier up, which is done here in
//! a `HashSet` of 16-byte arrays. They speak protocols of their own (`contact-tracing` the draft that GAEN grew out of,
//! with an HMAC for each identifier; `tcn` a chain of hashes), so that each is given keys and stored identifiers of its
//! own, 144 for a key, one of the first hundred keys' each. A report of `tcn` comes signed; that is verified beforehand
//! and not measured. One core each.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashSet;
use std::hint::black_box;
use std::num::NonZeroUsize;

use contact_tracing::DailyTracingKey;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use tcn::{MemoType, Report, ReportAuthorizationKey};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{EphemeralId, ProtocolKind, PublishedKey, Sighting};

const STORED: [(&str, usize); 2] = [("10k", 10_000), ("100k", 100_000)];
/// Keys of which one identifier is among those stored.
const PLANTED: usize = 100;
/// Keys for truyvet, and for the two whose time is told in tenths of a millisecond.
const KEYS: usize = 100_000;
const KEYS_OF_SLOW: usize = 1_000;
const FIRST_INTERVAL: u32 = 2_642_976;
const DAYS: u32 = 14;

/// As many random identifiers.
fn random_ids(count: usize) -> Vec<[u8; 16]> {
    let mut entropy = SeededEntropy::new(2);
    let id = |_| {
        let mut id = [0; 16];
        entropy.fill(&mut id).unwrap();
        id
    };
    (0..count).map(id).collect()
}

/// `planted` and random ones, `count` together.
fn stored(count: usize, planted: impl Iterator<Item = [u8; 16]>) -> HashSet<[u8; 16]> {
    planted.chain(random_ids(count - PLANTED)).collect()
}

/// Keys with an identifier among those stored, which is how many there must be.
fn measure<K>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    keys: &[K],
    is_exposed: impl Fn(&K) -> bool,
) {
    group.throughput(Throughput::Elements(keys.len() as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            let exposed = black_box(keys).iter().filter(|key| is_exposed(key));
            assert_eq!(exposed.count(), PLANTED);
        });
    });
}

fn contact_tracing(group: &mut BenchmarkGroup<'_, WallTime>) {
    let keys: Vec<DailyTracingKey> = random_ids(KEYS_OF_SLOW)
        .iter()
        .map(|bytes| DailyTracingKey::from_bytes(bytes).unwrap())
        .collect();
    let id = |rpi: contact_tracing::Rpi| <[u8; 16]>::try_from(rpi.as_bytes()).unwrap();
    for (name, count) in STORED {
        let planted = keys.iter().zip(0..).take(PLANTED);
        let planted = planted.map(|(key, tin)| id(key.get_rpi_for_tin(tin).unwrap()));
        let stored = stored(count, planted);
        measure(group, &format!("contact-tracing/{name}"), &keys, |key| {
            // All of them: an exposure is more than its first identifier.
            key.iter_rpis()
                .filter(|rpi| stored.contains(rpi.as_bytes()))
                .count()
                > 0
        });
    }
}

fn tcn(group: &mut BenchmarkGroup<'_, WallTime>) {
    let mut random = ChaCha20Rng::seed_from_u64(3);
    let mut report = |_| {
        let key = ReportAuthorizationKey::new(&mut random);
        let signed = key.create_report(MemoType::CovidWatchV1, Vec::new(), 1, 145);
        signed.unwrap().verify().unwrap()
    };
    let reports: Vec<Report> = (0..KEYS_OF_SLOW).map(&mut report).collect();
    for (name, count) in STORED {
        let planted = reports.iter().take(PLANTED).zip(0..);
        let planted =
            planted.map(|(report, index)| report.temporary_contact_numbers().nth(index).unwrap().0);
        let stored = stored(count, planted);
        measure(group, &format!("tcn/{name}"), &reports, |report| {
            report
                .temporary_contact_numbers()
                .filter(|number| stored.contains(&number.0))
                .count()
                > 0
        });
    }
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

fn truyvet(group: &mut BenchmarkGroup<'_, WallTime>) {
    let start = |number: u32| IntervalNumber(FIRST_INTERVAL + 144 * (number % DAYS));
    let keys: Vec<PublishedKey> = random_ids(KEYS)
        .into_iter()
        .zip(0..)
        .map(|(bytes, number)| DiagnosisKey::new(bytes, start(number), 144).unwrap().into())
        .collect();
    let planted = keys.iter().take(PLANTED).zip(0..).map(|(key, number)| {
        let mut candidates = Vec::new();
        key.for_each_candidate(|candidate| candidates.push(candidate));
        let candidate = candidates.get(number).unwrap();
        sighting(candidate.id, candidate.first)
    });
    let planted: Vec<Sighting> = planted.collect();
    let mut config = MatchConfig::default();
    config.threads = NonZeroUsize::MIN;
    for (name, count) in STORED {
        let others = random_ids(count - PLANTED).into_iter().zip(0..);
        // Spread over the days, as what is heard is.
        let others = others.map(|(id, number)| {
            let interval = IntervalNumber(FIRST_INTERVAL + number % (144 * DAYS));
            sighting(EphemeralId::from(id), interval.start())
        });
        let matcher = Matcher::new(config.clone(), planted.iter().cloned().chain(others));
        group.throughput(Throughput::Elements(KEYS as u64));
        group.bench_function(format!("truyvet/{name}"), |b| {
            b.iter(|| assert_eq!(matcher.exposures(black_box(&keys)).len(), PLANTED));
        });
    }
}

fn all(c: &mut Criterion) {
    let mut group = c.benchmark_group("match");
    group.sample_size(10);
    contact_tracing(&mut group);
    tcn(&mut group);
    truyvet(&mut group);
    group.finish();
}

criterion_group!(benches, all);
criterion_main!(benches);
