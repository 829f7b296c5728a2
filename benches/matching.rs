//! Published keys a second against stored identifiers.
#![allow(missing_docs, clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{ProtocolKind, PublishedKey, Sighting};

const FIRST_INTERVAL: u32 = 2_642_976;
/// Keys whose identifiers are among those stored.
const PLANTED: usize = 10;

fn keys(count: usize) -> Vec<PublishedKey> {
    let mut entropy = SeededEntropy::new(1);
    (0..count)
        .map(|number| {
            let mut bytes = [0; 16];
            entropy.fill(&mut bytes).unwrap();
            let day = u32::try_from(number % 14).unwrap();
            let start = IntervalNumber(FIRST_INTERVAL + 144 * day);
            PublishedKey::Gaen(DiagnosisKey::new(bytes, start, 144).unwrap())
        })
        .collect()
}

/// `count` stored identifiers: strangers', and one of each of the first keys.
fn sightings(count: usize, keys: &[PublishedKey]) -> Vec<Sighting> {
    let mut entropy = SeededEntropy::new(2);
    let sighting = |id: [u8; 16], first: Timestamp| Sighting {
        protocol: ProtocolKind::Gaen,
        id: id.into(),
        metadata: None,
        first,
        last: first,
        frames: 1,
        rssi: None,
        source: Source::ServiceData,
    };
    let mut stored = Vec::with_capacity(count);
    for key in keys.iter().take(PLANTED) {
        let mut first = None;
        key.for_each_candidate(|candidate| first = first.or(Some(candidate)));
        let candidate = first.unwrap();
        let id = candidate.id.as_bytes().try_into().unwrap();
        stored.push(sighting(id, candidate.first));
    }
    while stored.len() < count {
        let mut id = [0; 16];
        entropy.fill(&mut id).unwrap();
        stored.push(sighting(id, IntervalNumber(FIRST_INTERVAL).start()));
    }
    stored
}

fn matching(c: &mut Criterion) {
    let mut group = c.benchmark_group("match");
    group.sample_size(20);
    let keys = keys(10_000);
    group.throughput(Throughput::Elements(keys.len() as u64));
    let matcher = Matcher::new(MatchConfig::default(), sightings(10_000, &keys));
    group.bench_function("portable/10k", |b| {
        b.iter(|| {
            let exposures = matcher.exposures(black_box(&keys));
            assert_eq!(exposures.len(), PLANTED);
        });
    });
    group.finish();
}

criterion_group!(benches, matching);
criterion_main!(benches);
