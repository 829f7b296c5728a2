//! Every way of matching against the plainest: each key's identifiers looked up in a map.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::time::Duration;

use proptest::prelude::*;
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::exposure::{Backend, Cancelled, Exposure, MatchConfig, Matcher};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::protocol::{Candidate, ReportType};
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{EphemeralId, ProtocolKind, PublishedKey, Sighting};

#[path = "matching/edges.rs"]
mod edges;
#[path = "matching/vectors.rs"]
mod vectors;

/// 2020-04-02T00:00Z.
const START: u32 = 2_642_976;
const DAY_S: u64 = 86_400;

/// A config for each way, the machine's own threads among them.
fn ways() -> Vec<MatchConfig> {
    let mut ways = Vec::new();
    for backend in [Backend::Portable, Backend::Avx512] {
        for threads in [1, 3] {
            let mut config = MatchConfig::default();
            config.backend = backend;
            config.threads = NonZeroUsize::new(threads).unwrap();
            ways.push(config);
        }
    }
    ways
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

fn tek(number: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    SeededEntropy::new(number).fill(&mut bytes).unwrap();
    bytes
}

fn gaen(number: u64, start: u32, period: u32) -> PublishedKey {
    DiagnosisKey::new(tek(number), IntervalNumber(start), period)
        .unwrap()
        .into()
}

fn bluezone(number: u64, start_s: u64, last_s: u64, slots: u32) -> PublishedKey {
    let mut key = [0; 32];
    SeededEntropy::new(number).fill(&mut key).unwrap();
    PublishedEntry::new(key, start_s, last_s, slots)
        .unwrap()
        .into()
}

fn candidates(key: &PublishedKey) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    key.for_each_candidate(|candidate| candidates.push(candidate));
    candidates
}

/// What counts of an exposure for whom it is of: key, first frames in order, identifiers.
type Outline = (usize, Vec<Timestamp>, usize);

fn outline(exposures: &[Exposure]) -> Vec<Outline> {
    let outline = |exposure: &Exposure| {
        let firsts = exposure.sightings.iter().map(|sighting| sighting.first);
        (exposure.key_index, firsts.collect(), exposure.identifiers)
    };
    exposures.iter().map(outline).collect()
}

/// Each key's identifiers, looked up in a map.
fn plainest(config: &MatchConfig, sightings: &[Sighting], keys: &[PublishedKey]) -> Vec<Outline> {
    let mut map: HashMap<EphemeralId, Vec<&Sighting>> = HashMap::new();
    for sighting in sightings {
        map.entry(sighting.id).or_default().push(sighting);
    }
    let mut found = Vec::new();
    for (key_index, key) in keys.iter().enumerate() {
        let tolerance = match key {
            PublishedKey::Bluezone(_) => config.bluezone_tolerance,
            _ => config.gaen_tolerance,
        };
        let mut days: HashMap<_, Vec<&Sighting>> = HashMap::new();
        for candidate in candidates(key) {
            let of_it = map.get(&candidate.id).into_iter().flatten();
            let heard = of_it.filter(|it| candidate.heard_at(it.first, tolerance));
            let first = heard.clone().map(|it| it.first).min();
            let longest = match key {
                PublishedKey::Bluezone(_) => {
                    let advertised = candidate.last.since(candidate.first);
                    advertised.saturating_add(tolerance)
                }
                _ => Duration::from_secs(1_200),
            };
            for sighting in heard {
                let replayed = first.is_some_and(|first| sighting.first.since(first) > longest);
                if !key.is_revoked() && !replayed {
                    let day = days.entry(sighting.first.utc_day()).or_default();
                    day.push(sighting);
                }
            }
        }
        for (day, mut sightings) in days {
            sightings.sort_by_key(|sighting| (sighting.first, sighting.last, sighting.id));
            sightings.dedup();
            let mut ids: Vec<_> = sightings.iter().map(|sighting| sighting.id).collect();
            ids.sort_unstable();
            ids.dedup();
            let firsts = sightings.iter().map(|sighting| sighting.first);
            found.push((day, (key_index, firsts.collect(), ids.len())));
        }
    }
    found.sort_by_key(|(day, (key_index, ..))| (*day, *key_index));
    found.into_iter().map(|(_, outline)| outline).collect()
}

/// Has every way find what the plainest finds, and gives how many exposures that is.
fn all_agree(
    change: impl Fn(&mut MatchConfig),
    sightings: &[Sighting],
    keys: &[PublishedKey],
) -> usize {
    let mut first: Option<Vec<Exposure>> = None;
    for mut config in ways() {
        change(&mut config);
        let matcher = Matcher::new(config.clone(), sightings.to_vec());
        let exposures = matcher.exposures(keys);
        let expected = plainest(&config, sightings, keys);
        assert_eq!(outline(&exposures), expected, "{config:?}");
        assert_eq!(first.get_or_insert_with(|| exposures.clone()), &exposures);
    }
    first.map_or(0, |exposures| exposures.len())
}

/// A key of either protocol, of one of a few days.
fn any_key() -> impl Strategy<Value = PublishedKey> {
    let start_s = u64::from(START) * 600;
    prop_oneof![
        4 => (any::<u64>(), 0_u32..600, 1_u32..=144, any::<bool>()).prop_map(
            |(number, offset, period, at_midnight)| {
                let offset = if at_midnight { offset / 144 * 144 } else { offset };
                gaen(number, START + offset, period)
            }
        ),
        1 => (any::<u64>(), 0_u64..4, 0..3 * DAY_S, prop::sample::select(vec![1, 6, 96, 144])).prop_map(
            move |(number, day, last, slots)| {
                let from = start_s + day * DAY_S;
                bluezone(number, from, from + last, slots)
            }
        ),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Sightings of some of the keys' identifiers, so many seconds from their time, among strangers'.
    #[test]
    fn every_way_finds_what_the_plainest_finds(
        keys in prop::collection::vec(any_key(), 0..40),
        heard in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), -9_000_i64..9_000),
            0..60,
        ),
        strangers in 0_u64..300,
        tolerances_s in (
            prop::sample::select(vec![0, 1, 120, 900, DAY_S, DAY_S + 1, u64::MAX]),
            prop::sample::select(vec![0, 600, 7_200, DAY_S, DAY_S + 1, u64::MAX]),
        ),
    ) {
        let mut sightings = Vec::new();
        for (key, candidate, after_s) in heard {
            if keys.is_empty() {
                break;
            }
            let candidates = candidates(key.get(&keys));
            let candidate = candidate.get(&candidates);
            let first = candidate.first.unix_seconds().saturating_add_signed(after_s);
            sightings.push(sighting(candidate.id, Timestamp::from_unix_seconds(first)));
        }
        for number in 0..strangers {
            let first = IntervalNumber(START + (number % 700) as u32).start();
            let short: [u8; 12] = tek(number)[..12].try_into().unwrap();
            sightings.push(sighting(tek(number).into(), first));
            sightings.push(sighting(short.into(), first));
        }
        let (bluezone_s, gaen_s) = tolerances_s;
        let tolerances = |config: &mut MatchConfig| {
            config.bluezone_tolerance = Duration::from_secs(bluezone_s);
            config.gaen_tolerance = Duration::from_secs(gaen_s);
        };
        all_agree(tolerances, &sightings, &keys);
    }
}

/// More than a batch has, over many days, with some of each day heard.
fn crowd() -> (Vec<PublishedKey>, Vec<Sighting>) {
    let keys: Vec<_> = (0..40_000)
        .map(|number| gaen(number, START + 144 * (number % 14) as u32, 144))
        .collect();
    let heard = keys.iter().step_by(997).map(|key| {
        let candidate = candidates(key)[key.protocol() as usize * 50];
        sighting(candidate.id, candidate.first)
    });
    let heard = heard.collect();
    (keys, heard)
}

#[test]
fn a_search_tells_how_far_it_has_come() {
    let (keys, sightings) = crowd();
    let matcher = Matcher::new(MatchConfig::default(), sightings.clone());
    let mut told = Vec::new();
    let mut search = matcher.search().on_progress(|progress| {
        told.push((progress.keys, progress.exposures));
        ControlFlow::Continue(())
    });
    for some in keys.chunks(1_000) {
        search.add(some).unwrap();
    }
    let exposures = search.finish().unwrap();
    assert_eq!(exposures.len(), sightings.len());
    assert_eq!(exposures, matcher.exposures(&keys));
    assert_eq!(told.last(), Some(&(keys.len(), exposures.len())));
    assert!(told.len() >= 2 && told.is_sorted());
}

#[test]
fn a_search_that_is_cancelled_gives_nothing() {
    let (keys, sightings) = crowd();
    let matcher = Matcher::new(MatchConfig::default(), sightings);
    let mut calls = 0;
    let mut search = matcher.search().on_progress(|progress| {
        calls += 1;
        assert!(progress.keys < keys.len());
        ControlFlow::Break(())
    });
    assert_eq!(search.add(&keys), Err(Cancelled));
    assert_eq!(search.add([gaen(1, START, 1)]), Err(Cancelled));
    assert_eq!(search.finish(), Err(Cancelled));
    assert_eq!(calls, 1);
}

#[test]
fn a_search_cancelled_at_its_end_gives_nothing() {
    let key = gaen(1, START, 144);
    let heard = sighting(candidates(&key)[3].id, candidates(&key)[3].first);
    let matcher = Matcher::new(MatchConfig::default(), [heard]);
    let mut search = matcher.search().on_progress(|_| ControlFlow::Break(()));
    assert_eq!(search.add([key]), Ok(()));
    assert_eq!(search.finish(), Err(Cancelled));
}

#[test]
fn keys_of_a_crowd_are_found_in_every_way() {
    let (keys, sightings) = crowd();
    let mut found = Vec::new();
    for config in ways() {
        let exposures = Matcher::new(config, sightings.clone()).exposures(&keys);
        found.push(outline(&exposures));
    }
    assert_eq!(found[0].len(), sightings.len());
    assert!(found.iter().all(|of_one| *of_one == found[0]));
}

#[test]
fn a_revoked_key_is_found_in_no_way() {
    let key = gaen(1, START, 144);
    let candidate = candidates(&key)[0];
    let heard = [sighting(candidate.id, candidate.first)];
    let mut revoked = key.clone().into_gaen().unwrap();
    revoked.report_type = ReportType::Revoked;
    assert_eq!(all_agree(|_| (), &heard, &[revoked.into()]), 0);
    assert_eq!(all_agree(|_| (), &heard, &[key]), 1);
}

#[test]
fn the_backend_that_was_asked_for_is_used() {
    let of = |backend| {
        let mut config = MatchConfig::default();
        config.backend = backend;
        Matcher::new(config, []).backend()
    };
    assert_eq!(of(Backend::Portable), Backend::Portable);
    assert_eq!(of(Backend::Auto), of(Backend::Avx512));
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("vaes")
    {
        assert_eq!(of(Backend::Avx512), Backend::Avx512);
    }
}

/// A key comes again with the day's package after the hour's, and may be withdrawn by then.
#[test]
fn a_key_that_comes_twice_counts_once_and_not_at_all_once_it_is_withdrawn() {
    let key = gaen(1, START, 144);
    let heard: Vec<Sighting> = candidates(&key)[..3]
        .iter()
        .map(|candidate| sighting(candidate.id, candidate.first))
        .collect();
    let again = {
        let mut key = DiagnosisKey::new(tek(1), IntervalNumber(START), 144).unwrap();
        key.report_type = ReportType::ConfirmedTest;
        PublishedKey::from(key)
    };
    let withdrawn = {
        let mut key = DiagnosisKey::new(tek(1), IntervalNumber(START), 144).unwrap();
        key.report_type = ReportType::Revoked;
        PublishedKey::from(key)
    };
    for config in ways() {
        let matcher = Matcher::new(config, heard.clone());
        let once = matcher.exposures([&key]);
        assert_eq!(once.len(), 1);
        assert_eq!(matcher.exposures([&key, &key, &key]), once);
        let described = matcher.exposures([&key, &again]);
        assert_eq!(described.len(), 1);
        assert_eq!(described[0].report_type, ReportType::ConfirmedTest);
        assert_eq!(matcher.exposures([&key, &withdrawn]), []);
        assert_eq!(matcher.exposures([&withdrawn, &key]), []);

        // The stricter of two times holds, in whatever order they come.
        let early = candidates(&key)[1].first;
        for times in [[None, Some(early)], [Some(early), None]] {
            let mut search = matcher.search();
            for published in times {
                search.published_at(published);
                search.add([&key]).unwrap();
            }
            let found = search.finish().unwrap();
            assert_eq!(found[0].sightings.len(), 1, "{times:?}");
        }
    }
}
