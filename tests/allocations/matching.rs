//! A country's keys cost no more allocations than a few.

use std::num::NonZeroUsize;

use truyvet::exposure::{Backend, MatchConfig, Matcher};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::sighting::Source;
use truyvet::time::IntervalNumber;
use truyvet::{PublishedKey, Sighting};

use super::*;

/// 2020-04-02T00:00Z.
const START: u32 = 2_642_976;

fn keys(count: u32) -> Vec<PublishedKey> {
    let key = |number: u32| {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        let start = IntervalNumber(START + 144 * (number % 14));
        DiagnosisKey::new(bytes, start, 144).unwrap().into()
    };
    (0..count).map(key).collect()
}

fn entries(count: u32) -> Vec<PublishedKey> {
    let entry = |number: u32| {
        let mut bytes = [7; 32];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        let start = u64::from(START) * 600;
        let entry = PublishedEntry::new(bytes, start, start + 2 * 86_400 - 1, 96);
        entry.unwrap().into()
    };
    (0..count).map(entry).collect()
}

/// Strangers on each day, of both protocols' lengths.
fn matcher(backend: Backend) -> Matcher {
    let strangers = (0_u32..20_000).map(|number| {
        let mut bytes = [3; 16];
        for (word, factor) in bytes
            .as_chunks_mut()
            .0
            .iter_mut()
            .zip([0x9E37_79B9_u32, 0x85EB_CA6B])
        {
            *word = number.wrapping_mul(factor).to_le_bytes();
        }
        let [.., last] = bytes.as_chunks_mut::<8>().0 else {
            unreachable!("sixteen bytes are two times eight")
        };
        *last = u64::from(number)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .to_le_bytes();
        let first = IntervalNumber(START + number % (14 * 144)).start();
        let short: [u8; 12] = bytes[..12].try_into().unwrap();
        Sighting {
            protocol: ProtocolKind::Gaen,
            id: if number % 2 == 0 {
                bytes.into()
            } else {
                short.into()
            },
            metadata: None,
            first,
            last: first,
            frames: 1,
            rssi: None,
            source: Source::ServiceData,
        }
    });
    let mut config = MatchConfig::default();
    config.backend = backend;
    // The counter is of one thread.
    config.threads = NonZeroUsize::MIN;
    Matcher::new(config, strangers)
}

#[test]
fn keys_allocate_nothing_one_by_one() {
    for backend in [Backend::Portable, Backend::Avx512] {
        let matcher = matcher(backend);
        for (few, many) in [(keys(3_000), keys(6_000)), (entries(200), entries(400))] {
            let spent = [few, many].map(|keys| {
                let mut search = matcher.search();
                // What a batch needs is grown once.
                search.add(&keys).unwrap();
                allocations(|| assert_eq!(search.finish().unwrap(), []))
            });
            assert!(spent[1] <= 40 && spent[1] <= spent[0] + 4, "{spent:?}");
        }
    }
}

#[test]
fn batches_after_the_first_allocate_nothing() {
    for backend in [Backend::Portable, Backend::Avx512] {
        let matcher = matcher(backend);
        let keys = keys(32_768);
        let mut search = matcher.search();
        search.add(&keys).unwrap();
        // The lists of what the filters let pass may still grow a little.
        let spent = allocations(|| search.add(&keys).unwrap());
        assert!(spent <= 4, "{spent} allocations");
    }
}
