//! The edges: of keys, of days, of numbers, of what is stored.

use super::*;

/// A sighting of each identifier in the middle of its time.
fn heard_all(keys: &[PublishedKey]) -> Vec<Sighting> {
    let all = keys.iter().flat_map(candidates);
    all.map(|candidate| sighting(candidate.id, candidate.first))
        .collect()
}

fn nothing_changed(_: &mut MatchConfig) {}

#[test]
fn rolling_periods_of_one_and_of_a_day() {
    for period in [1, 2, 15, 16, 17, 47, 48, 49, 95, 96, 97, 143, 144] {
        let key = [gaen(u64::from(period), START, period)];
        let heard = heard_all(&key);
        assert_eq!(heard.len(), period as usize);
        assert_eq!(all_agree(nothing_changed, &heard, &key), 1, "{period}");
    }
}

/// What is heard of the interval after a key's last is not the key's, though it is computed with the rest.
#[test]
fn the_interval_after_the_last_is_nobodys() {
    let long = candidates(&gaen(1, START, 144));
    for period in [1, 15, 16, 47, 48, 100, 143] {
        let beyond = long[period as usize];
        let heard = [sighting(beyond.id, beyond.first)];
        let short = [gaen(1, START, period)];
        assert_eq!(all_agree(nothing_changed, &heard, &short), 0, "{period}");
    }
}

#[test]
fn the_first_interval_and_the_last() {
    for start in [0, 1, 143, u32::MAX - 144, u32::MAX - 145, u32::MAX - 1] {
        let period = 144.min(u32::MAX - start);
        let keys = [gaen(3, start, period)];
        let heard = heard_all(&keys);
        assert_eq!(
            all_agree(nothing_changed, &heard, &keys),
            days(&heard),
            "{start}"
        );
    }
}

fn days(heard: &[Sighting]) -> usize {
    let mut days: Vec<_> = heard.iter().map(|it| it.first.utc_day()).collect();
    days.dedup();
    days.len()
}

#[test]
fn keys_that_span_midnight() {
    for offset in [1, 16, 48, 72, 100, 143] {
        let keys = [gaen(5, START + offset, 144)];
        assert_eq!(all_agree(nothing_changed, &heard_all(&keys), &keys), 2);
    }
}

#[test]
fn tolerances_across_midnight() {
    let key = [gaen(1, START, 144)];
    let of_key = candidates(&key[0]);
    let heard_at = |candidate: Candidate, ms: i64| {
        let time = Timestamp::from_unix_millis(
            candidate
                .first
                .unix_millis()
                .checked_add_signed(ms)
                .unwrap(),
        );
        all_agree(nothing_changed, &[sighting(candidate.id, time)], &key)
    };
    let two_hours = 7_200_000;
    assert_eq!(heard_at(of_key[0], -two_hours), 1);
    assert_eq!(heard_at(of_key[0], -two_hours - 1), 0);
    assert_eq!(heard_at(of_key[143], 600_000 - 1 + two_hours), 1);
    assert_eq!(heard_at(of_key[143], 600_000 + two_hours), 0);
}

/// Bluezone's last slot of a day has midnight in it.
#[test]
fn bluezone_tolerances_across_midnight() {
    let start_s = u64::from(START) * 600;
    for slots in [1, 96] {
        let key = [bluezone(1, start_s, start_s + DAY_S - 1, slots)];
        let last = *candidates(&key[0]).last().unwrap();
        for (tolerance_s, expected) in [(0, [1, 0]), (120, [1, 0])] {
            let found = [0, 1].map(|after_ms| {
                let ms = (start_s + DAY_S + tolerance_s) * 1000 + after_ms;
                let heard = sighting(last.id, Timestamp::from_unix_millis(ms));
                let tolerance = |config: &mut MatchConfig| {
                    config.bluezone_tolerance = Duration::from_secs(tolerance_s);
                };
                all_agree(tolerance, &[heard], &key)
            });
            assert_eq!(found, expected, "{slots} {tolerance_s}");
        }
    }
}

#[test]
fn groups_that_are_not_full() {
    for count in [0, 1, 15, 16, 17, 31, 33, 255, 256, 257, 600] {
        let keys: Vec<_> = (0..count).map(|number| gaen(number, START, 144)).collect();
        let heard: Vec<_> = keys
            .iter()
            .map(|key| {
                let candidate = candidates(key)[77];
                sighting(candidate.id, candidate.first)
            })
            .collect();
        assert_eq!(all_agree(nothing_changed, &heard, &keys), keys.len());
    }
}

#[test]
fn an_empty_log_matches_nothing() {
    let start_s = u64::from(START) * 600;
    let keys = [
        gaen(1, START, 144),
        bluezone(1, start_s, start_s + DAY_S, 96),
    ];
    assert_eq!(all_agree(nothing_changed, &[], &keys), 0);
}

#[test]
fn an_identifier_with_thousands_of_sightings() {
    let key = [gaen(1, START, 144)];
    let candidate = candidates(&key[0])[10];
    let heard: Vec<_> = (0..5_000)
        .map(|number| {
            let first = candidate
                .first
                .saturating_add(Duration::from_millis(number));
            sighting(candidate.id, first)
        })
        .collect();
    assert_eq!(all_agree(nothing_changed, &heard, &key), 1);
    let matcher = Matcher::new(MatchConfig::default(), heard);
    assert_eq!(matcher.exposures(&key)[0].sightings.len(), 5_000);
}

/// Bluezone's days are one chain, and each is a day of its own to the index.
#[test]
fn bluezone_entries_of_many_days() {
    let start_s = u64::from(START) * 600;
    for (slots, days) in [(96, 14), (144, 3), (24, 21), (1, 2)] {
        let entry = bluezone(9, start_s, start_s + days * DAY_S - 1, slots);
        let heard = heard_all(std::slice::from_ref(&entry));
        assert_eq!(heard.len() as u64, days * u64::from(slots));
        let keys = [entry];
        assert_eq!(all_agree(nothing_changed, &heard, &keys) as u64, days);
        // Heard on one day in the middle alone.
        let middle = heard.len() / 2;
        assert_eq!(
            all_agree(nothing_changed, &heard[middle..middle + 1], &keys),
            1
        );
    }
}

#[test]
fn an_entry_that_ends_within_a_day() {
    let start_s = u64::from(START) * 600;
    let key = |last_s| [bluezone(9, start_s, last_s, 96)];
    let whole = key(start_s + 2 * DAY_S - 1);
    let heard = heard_all(&whole);
    // Its last slot begins with its last second.
    let cut = key(start_s + DAY_S + 900 * 40);
    assert_eq!(
        all_agree(nothing_changed, &heard[96 + 40..96 + 41], &cut),
        1
    );
    assert_eq!(
        all_agree(nothing_changed, &heard[96 + 41..96 + 42], &cut),
        0
    );
}

#[test]
fn many_patients_of_bluezone() {
    let start_s = u64::from(START) * 600;
    let keys: Vec<_> = (0..300)
        .map(|number| {
            let from = start_s + number % 5 * DAY_S;
            bluezone(number, from, from + (number % 3 + 1) * DAY_S - 1, 96)
        })
        .collect();
    let heard: Vec<_> = keys
        .iter()
        .map(|key| {
            let candidate = *candidates(key).last().unwrap();
            sighting(candidate.id, candidate.first)
        })
        .collect();
    assert_eq!(all_agree(nothing_changed, &heard, &keys), keys.len());
}

/// A clock that was false on some days: years apart, and before there were any.
#[test]
fn sightings_of_years_apart() {
    let keys: Vec<_> = [0, START, START + 144 * 3_000, u32::MAX - 144]
        .iter()
        .map(|start| gaen(u64::from(*start), *start, 100))
        .collect();
    let found = all_agree(nothing_changed, &heard_all(&keys), &keys);
    assert_eq!(found, keys.len());
}
