//! Which of the sightings found for a published key count: every limit from both sides, and the attacks that the rules
//! are for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use truyvet::exposure::{Findings, MatchConfig, Matcher, NotCounted, Reason};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::protocol::{Candidate, bluezone, gaen};
use truyvet::sighting::Source;
use truyvet::time::{IntervalNumber, Timestamp};
use truyvet::{PublishedKey, Sighting};

#[path = "rules/clocks.rs"]
mod clocks;

/// 2020-04-02T00:00Z.
const START: u32 = 2_642_976;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The identifier of that number of a key's day, and when it is advertised.
fn candidate(key: &PublishedKey, number: usize) -> Candidate {
    let mut candidates = Vec::new();
    key.for_each_candidate(|candidate| candidates.push(candidate));
    candidates[number]
}

fn gaen_key() -> PublishedKey {
    let key = DiagnosisKey::new([7; 16], IntervalNumber(START), 144);
    key.unwrap().into()
}

fn bluezone_key() -> PublishedKey {
    let start = IntervalNumber(START).start().unix_seconds();
    let entry = PublishedEntry::new([7; 32], start, start + 86_399, 96);
    entry.unwrap().into()
}

/// One whose server asked for 144 identifiers a day, as in version 2.
fn short_slots_key() -> PublishedKey {
    let start = IntervalNumber(START).start().unix_seconds();
    let entry = PublishedEntry::new([7; 32], start, start + 86_399, 144);
    entry.unwrap().into()
}

fn after(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp::from_unix_millis(time.unix_millis().checked_add_signed(ms).unwrap())
}

/// Heard so long after the identifier's slot began, for `long_ms`.
fn heard(key: &PublishedKey, candidate: Candidate, after_ms: i64, long_ms: i64) -> Sighting {
    let first = after(candidate.first, after_ms);
    Sighting {
        protocol: key.protocol(),
        id: candidate.id,
        metadata: None,
        first,
        last: after(first, long_ms),
        frames: 3,
        rssi: None,
        source: Source::ServiceData,
    }
}

fn findings(key: &PublishedKey, sightings: &[Sighting], published: Option<Timestamp>) -> Findings {
    let matcher = Matcher::new(MatchConfig::default(), sightings.to_vec());
    matcher.findings([key], published)
}

fn counted(findings: &Findings) -> usize {
    findings.exposures.iter().map(|it| it.sightings.len()).sum()
}

fn not_counted(findings: &Findings) -> (usize, usize, usize) {
    let NotCounted {
        replayed,
        after_publication,
        clock_jump,
        ..
    } = findings.not_counted();
    (replayed, after_publication, clock_jump)
}

/// A limit: what is heard at the first two times, from the begin of an identifier's slot, counts; a millisecond before and
/// after does not.
#[test]
fn every_limit_of_tolerance_from_both_sides() {
    let (gaen, bluezone) = (gaen_key(), bluezone_key());
    let mut exact = MatchConfig::default();
    (exact.bluezone_tolerance, exact.gaen_tolerance) = (Duration::ZERO, Duration::ZERO);
    let mut wide = MatchConfig::default();
    wide.bluezone_tolerance = Duration::from_secs(600);
    let default = MatchConfig::default();
    assert_eq!(default.bluezone_tolerance, bluezone::DEFAULT_TOLERANCE);
    assert_eq!(default.gaen_tolerance, gaen::TOLERANCE);
    let slot_ms = 15 * MINUTE_MS;
    // GAEN: twelve intervals before, and twelve after the identifier's own, to their last millisecond.
    let rows = [
        (
            "GAEN",
            &default,
            &gaen,
            -2 * HOUR_MS,
            13 * 10 * MINUTE_MS - 1,
        ),
        ("GAEN, exact", &exact, &gaen, 0, 10 * MINUTE_MS - 1),
        (
            "Bluezone",
            &default,
            &bluezone,
            -2 * MINUTE_MS,
            slot_ms + 2 * MINUTE_MS,
        ),
        ("Bluezone, exact", &exact, &bluezone, 0, slot_ms),
        (
            "Bluezone, wide",
            &wide,
            &bluezone,
            -10 * MINUTE_MS,
            slot_ms + 10 * MINUTE_MS,
        ),
    ];
    for (name, config, key, from_ms, to_ms) in rows {
        for number in [0, 40, 95] {
            let candidate = candidate(key, number);
            for (at_ms, counts) in [
                (from_ms - 1, false),
                (from_ms, true),
                (to_ms, true),
                (to_ms + 1, false),
            ] {
                let sighting = heard(key, candidate, at_ms, 0);
                let found = Matcher::new(config.clone(), [sighting]).findings([key], None);
                assert_eq!(
                    counted(&found),
                    usize::from(counts),
                    "{name}, identifier {number}, {at_ms} ms"
                );
                // Outside its time it is nobody's: not found, rather than set aside.
                assert_eq!(found.not_counted().total(), 0, "{name}, {at_ms} ms");
            }
        }
    }
}

/// Google's end of the window is exclusive, thirteen intervals after the identifier's own began; Apple's is inclusive,
/// twelve intervals after. Reckoned in intervals, as both do, it is the same.
#[test]
fn google_and_apple_agree_in_each_interval() {
    let key = gaen_key();
    let candidate = candidate(&key, 40);
    let own = i64::from(START) + 40;
    for interval in own - 14..=own + 14 {
        let google = (own - 12..own + 13).contains(&interval);
        let apple = (own - interval).abs() <= 12;
        assert_eq!(google, apple);
        for within_ms in [0, 1, 599_999] {
            let at_ms = (interval - own) * 600_000 + within_ms;
            let found = findings(&key, &[heard(&key, candidate, at_ms, 0)], None);
            assert_eq!(counted(&found) == 1, google, "{at_ms} ms");
        }
    }
}

/// So long after its first sighting one of an identifier counts still; a millisecond later it does not.
#[test]
fn every_limit_of_the_replay_cut_from_both_sides() {
    let (gaen, bluezone, short) = (gaen_key(), bluezone_key(), short_slots_key());
    let default = MatchConfig::default();
    let mut wide = default.clone();
    wide.bluezone_tolerance = Duration::from_secs(1_200);
    let rows = [
        ("GAEN", &default, &gaen, 0, 20 * MINUTE_MS),
        ("GAEN, early", &default, &gaen, -2 * HOUR_MS, 20 * MINUTE_MS),
        (
            "Bluezone",
            &default,
            &bluezone,
            -2 * MINUTE_MS,
            17 * MINUTE_MS,
        ),
        (
            "Bluezone, wide",
            &wide,
            &bluezone,
            -20 * MINUTE_MS,
            35 * MINUTE_MS,
        ),
        (
            "Bluezone, short slots",
            &default,
            &short,
            -2 * MINUTE_MS,
            12 * MINUTE_MS,
        ),
    ];
    for (name, config, key, first_ms, limit_ms) in rows {
        let candidate = candidate(key, 40);
        for (later_ms, replayed) in [(limit_ms - 1, 0), (limit_ms, 0), (limit_ms + 1, 1)] {
            let sightings = [
                heard(key, candidate, first_ms, 0),
                // In the log's order or another.
                heard(key, candidate, first_ms + later_ms, 5_000),
                heard(key, candidate, first_ms + 60_000, 0),
            ];
            let found = Matcher::new(config.clone(), sightings).findings([key], None);
            assert_eq!(counted(&found), 3 - replayed, "{name}, {later_ms} ms");
            assert_eq!(not_counted(&found), (replayed, 0, 0), "{name}");
        }
    }
}

/// The cut is each identifier's own.
#[test]
fn another_identifier_of_the_key_is_no_replay() {
    let key = gaen_key();
    let hour = [40, 41, 42, 43, 44, 45].map(|number| heard(&key, candidate(&key, number), 0, 0));
    let found = findings(&key, &hour, None);
    assert_eq!((counted(&found), found.exposures[0].identifiers), (6, 6));
    assert_eq!(found.not_counted().total(), 0);
}

/// A sighting whose last frame is older than the publication counts; from then on it does not.
#[test]
fn every_limit_of_publication_from_both_sides() {
    for key in [gaen_key(), bluezone_key()] {
        let candidate = candidate(&key, 40);
        for (long_ms, published_ms, late) in [
            (0, 1, 0),
            (0, 0, 1),
            (0, -1, 1),
            (5_000, 5_001, 0),
            (5_000, 5_000, 1),
            (5_000, 1, 1),
        ] {
            let sighting = heard(&key, candidate, 0, long_ms);
            let published = after(candidate.first, published_ms);
            let found = findings(&key, &[sighting], Some(published));
            let name = format!("{}: {long_ms} ms, {published_ms} ms", key.protocol());
            assert_eq!(counted(&found), 1 - late, "{name}");
            assert_eq!(not_counted(&found), (0, late, 0), "{name}");
        }
    }
}

#[test]
fn identifiers_broadcast_after_their_key_was_published_are_no_contact() {
    let key = bluezone_key();
    // An entry that goes on to the end of the day is published at noon; somebody computes what comes.
    let noon = candidate(&key, 48).first;
    let true_ones = (40..44).map(|number| heard(&key, candidate(&key, number), 0, 0));
    let computed = (60..70).map(|number| heard(&key, candidate(&key, number), 0, 0));
    let sightings: Vec<Sighting> = true_ones.chain(computed).collect();
    let found = findings(&key, &sightings, Some(noon));
    assert_eq!((counted(&found), not_counted(&found)), (4, (0, 10, 0)));
    // Nobody said when it was published.
    assert_eq!(counted(&findings(&key, &sightings, None)), 14);
}

#[test]
fn each_file_of_a_search_has_its_own_time_of_publication() {
    let third = DiagnosisKey::new([9; 16], IntervalNumber(START), 144).unwrap();
    let keys = [gaen_key(), bluezone_key(), third.into()];
    let sightings = keys
        .each_ref()
        .map(|key| heard(key, candidate(key, 40), 0, 0));
    let times = sightings.each_ref().map(|sighting| sighting.first);
    let matcher = Matcher::new(MatchConfig::default(), sightings);
    let mut search = matcher.search();
    search.published_at(times[0]);
    search.add([&keys[0]]).unwrap();
    search.published_at(after(times[1], 1));
    search.add([&keys[1]]).unwrap();
    search.published_at(None);
    search.add([&keys[2]]).unwrap();
    let found = search.findings().unwrap();
    let exposed: Vec<usize> = found.exposures.iter().map(|it| it.key_index).collect();
    assert_eq!(exposed, [1, 2]);
    let set_aside = found.set_aside[0];
    assert_eq!((set_aside.key_index, set_aside.first), (0, times[0]));
    assert_eq!(set_aside.reason, Reason::AfterPublication);
    assert_eq!(found.set_aside.len(), 1);
}

#[test]
fn an_identifier_recorded_and_replayed_within_the_tolerance_counts_its_own_time_alone() {
    let key = gaen_key();
    let stay = (0..4).map(|minute| heard(&key, candidate(&key, 40), minute * MINUTE_MS, 0));
    // Recorded, and sent for an hour from the next.
    let replay =
        (30..90).map(|minute| heard(&key, candidate(&key, 40), minute * MINUTE_MS, 20_000));
    let sightings: Vec<Sighting> = stay.chain(replay).collect();
    let found = findings(&key, &sightings, None);
    assert_eq!(not_counted(&found), (60, 0, 0));
    assert_eq!(found.exposures[0].duration, Duration::from_secs(180));
}

#[test]
fn what_did_not_count_is_told_in_a_sentence() {
    let key = gaen_key();
    let at = |minute: i64| heard(&key, candidate(&key, 40), minute * MINUTE_MS, 0);
    let told = |minutes: &[i64], published: Option<Timestamp>| {
        let sightings: Vec<Sighting> = minutes.iter().map(|minute| at(*minute)).collect();
        let found = findings(&key, &sightings, published);
        found.not_counted().to_string()
    };
    assert_eq!(told(&[0, 20], None), "every sighting counted");
    assert_eq!(told(&[0, 21], None), "1 sighting did not count: 1 replayed");
    let published = at(60).first;
    assert_eq!(
        told(&[0, 30, 40, 61], Some(published)),
        "3 sightings did not count: 2 replayed, 1 heard after publication"
    );
    // A write that was repeated.
    assert_eq!(
        told(&[0, 30, 30], None),
        "1 sighting did not count: 1 replayed"
    );
}
