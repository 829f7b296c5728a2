//! Published keys against sightings: every way of matching says what the plainest one does, which looks at each
//! identifier of each key and each sighting, one after the other.
#![no_main]

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use truyvet::exposure::{Backend, Findings, MatchConfig, Matcher, Reason};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{EphemeralId, ProtocolKind, PublishedKey, Sighting};
use truyvet_fuzz::{MatcherInput, Record};

/// 2020-04-02T00:00Z.
const DAY: IntervalNumber = IntervalNumber(2_642_976);

fuzz_target!(|data: &[u8]| {
    let Some(input) = MatcherInput::decode(data) else {
        return;
    };
    let mut keys: Vec<PublishedKey> = input.records.iter().filter_map(key).collect();
    // Of a key that comes twice the last counts, which tests/matching.rs has.
    let (mut teks, mut entries) = (HashSet::new(), HashSet::new());
    keys.retain(|key| match key {
        PublishedKey::Gaen(key) => teks.insert(*key.key()),
        other => entries.insert(other.clone()),
    });
    let heard = input.records.iter().filter_map(|it| sighting(it, &keys));
    let heard: Vec<Sighting> = heard.collect();
    let after_h = Duration::from_secs(3_600 * u64::from(input.published_h));
    let published = (input.published_h > 0).then(|| DAY.start().saturating_add(after_h));
    let mut config = tolerances(input.config);
    let plain = plainly(&config, &keys, &heard, published);
    let mut first: Option<Findings> = None;
    for backend in [Backend::Portable, Backend::Auto] {
        config.backend = backend;
        config.threads = NonZeroUsize::MIN.saturating_add(usize::from(input.config >> 6));
        let found = Matcher::new(config.clone(), heard.clone()).findings(&keys, published);
        assert_eq!(outcomes(&found), plain, "{backend:?}");
        assert!(first.is_none_or(|first| first == found), "{backend:?}");
        first = Some(found);
    }
});

fn tolerances(choice: u8) -> MatchConfig {
    let mut config = MatchConfig::default();
    let seconds = |choice: u8| Duration::from_secs([120, 0, 900, 40_000][usize::from(choice & 3)]);
    match choice & 7 {
        0 => {}
        _ => config.bluezone_tolerance = seconds(choice),
    }
    match choice >> 3 & 7 {
        0 => {}
        _ => config.gaen_tolerance = seconds(choice >> 3),
    }
    config
}

fn key(record: &Record) -> Option<PublishedKey> {
    match *record {
        Record::Gaen {
            seed,
            start,
            period,
        } => {
            let start = DAY.saturating_add(u32::from(start % 2_016));
            let key = DiagnosisKey::new([seed; 16], start, u32::from(period));
            key.ok().map(Into::into)
        }
        Record::Bluezone {
            seed,
            day,
            slots,
            minutes,
        } => {
            let start = DAY.start().unix_seconds() + 86_400 * u64::from(day % 14);
            // Some thousand identifiers at most.
            let end = start + 60 * u64::from(minutes % 10_080);
            let entry = PublishedEntry::new([seed; 32], start, end, u32::from(slots));
            entry.ok().map(Into::into)
        }
        _ => None,
    }
}

fn sighting(record: &Record, keys: &[PublishedKey]) -> Option<Sighting> {
    let (id, first_ms, long_s): (EphemeralId, u64, u8) = match *record {
        Record::Of {
            key,
            identifier,
            long_s,
            half_minutes,
        } => {
            let key = keys.get(usize::from(key).checked_rem(keys.len())?)?;
            let mut candidates = Vec::new();
            key.for_each_candidate(|candidate| candidates.push(candidate));
            let candidate = candidates.get(usize::from(identifier) % candidates.len().max(1))?;
            let after_ms = i64::from(half_minutes) * 30_000;
            let first = candidate.first.unix_millis().checked_add_signed(after_ms)?;
            (candidate.id, first, long_s)
        }
        Record::Other {
            seed,
            len,
            long_s,
            minutes,
        } => {
            let first = DAY.start().unix_millis() + 60_000 * u64::from(minutes);
            match len % 2 {
                0 => ([seed; 16].into(), first, long_s),
                _ => ([seed; 12].into(), first, long_s),
            }
        }
        _ => return None,
    };
    let first = Timestamp::from_unix_millis(first_ms);
    Some(Sighting {
        protocol: match id.as_bytes().len() {
            12 => ProtocolKind::Bluezone,
            _ => ProtocolKind::Gaen,
        },
        id,
        metadata: None,
        first,
        last: first.saturating_add(Duration::from_secs(u64::from(long_s))),
        frames: 1,
        rssi: None,
        source: Source::ServiceData,
    })
}

/// A sighting of a key: the key's number, first and last frame, and why it does not count.
type Outcome = (usize, Timestamp, Timestamp, Option<Reason>);

fn outcomes(found: &Findings) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for exposure in &found.exposures {
        for sighting in &exposure.sightings {
            assert_eq!(sighting.first.utc_day(), exposure.day);
            outcomes.push((exposure.key_index, sighting.first, sighting.last, None));
        }
    }
    let set_aside = found.set_aside.iter();
    outcomes.extend(set_aside.map(|it| (it.key_index, it.first, it.last, Some(it.reason))));
    outcomes.sort();
    outcomes
}

fn plainly(
    config: &MatchConfig,
    keys: &[PublishedKey],
    heard: &[Sighting],
    published: Option<Timestamp>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        let (tolerance, heard_max_s) = match key {
            PublishedKey::Bluezone(entry) => {
                let tolerance = config.bluezone_tolerance;
                let slot_s = 86_400 / u64::from(entry.slots_per_day());
                (tolerance, slot_s + tolerance.as_secs())
            }
            _ => (config.gaen_tolerance, 1_200),
        };
        let mut found: Vec<&Sighting> = Vec::new();
        key.for_each_candidate(|candidate| {
            let of_it = heard.iter().filter(|it| it.id == candidate.id);
            for sighting in of_it.filter(|it| candidate.heard_at(it.first, tolerance)) {
                if !found.contains(&sighting) {
                    found.push(sighting);
                }
            }
        });
        let is_late = |it: &Sighting| published.is_some_and(|at| it.last >= at);
        for sighting in &found {
            let same = found.iter().filter(|it| it.id == sighting.id);
            let first = same.filter(|it| !is_late(it)).map(|it| it.first).min();
            let reason = if is_late(sighting) {
                Some(Reason::AfterPublication)
            } else if sighting.first.since(first.unwrap()) > Duration::from_secs(heard_max_s) {
                Some(Reason::Replayed)
            } else {
                None
            };
            outcomes.push((number, sighting.first, sighting.last, reason));
        }
    }
    outcomes.sort();
    outcomes
}
