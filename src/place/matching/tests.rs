use proptest::prelude::*;

use super::super::list::PlaceListDraft;
use super::*;
use crate::entropy::SeededEntropy;
use crate::publication::signature::SigningKey;

/// A day in the middle of those that the times below are minutes of.
const DAY: UtcDay = UtcDay::from_unix_days(18_482);
const PLACE: PlaceId = PlaceId::from_bytes([1; 16]);
const ELSEWHERE: PlaceId = PlaceId::from_bytes([2; 16]);

/// So many seconds from the day's midnight.
fn at(seconds: i64) -> Timestamp {
    let start = DAY.start().unix_seconds().cast_signed();
    Timestamp::from_unix_seconds((start + seconds).cast_unsigned())
}

fn visit(place: PlaceId, seconds: Range<i64>) -> Visit {
    Visit {
        place,
        name: "Chợ Bến Thành".into(),
        from: at(seconds.start),
        until: at(seconds.end),
        checked_out: true,
    }
}

fn told(text: &str) -> PlaceMessage {
    PlaceMessage::Text(text.into())
}

/// What a list of `entries` (seconds from midnight, message) of [`PLACE`] says to these visits.
fn exposures(
    entries: &[(Range<i64>, &str)],
    visits: &[Visit],
    config: &PlaceMatchConfig,
) -> Vec<PlaceExposure> {
    let key = SigningKey::generate().unwrap();
    let published = DAY.end().saturating_add(Duration::from_secs(86_400));
    let mut draft = PlaceListDraft::new(1, published);
    for (seconds, message) in entries {
        let during = at(seconds.start)..at(seconds.end);
        draft.add(PLACE, during, &told(message)).unwrap();
    }
    let bytes = draft.sign(&key, &mut SeededEntropy::new(1)).unwrap();
    let trusted = [key.verification_key().clone()];
    let list = PlaceList::verify(&bytes, &trusted, published, None).unwrap();
    list.exposures(visits, config).unwrap()
}

const fn config(tolerance_s: u64, overlap_min_s: u64) -> PlaceMatchConfig {
    PlaceMatchConfig {
        tolerance: Duration::from_secs(tolerance_s),
        overlap_min: Duration::from_secs(overlap_min_s),
    }
}

const HOUR: i64 = 3_600;

#[test]
fn every_boundary() {
    let none = config(0, 0);
    let ten = config(600, 0);
    let minute = config(0, 60);
    // The case from 10 to 12, unless said otherwise; the visit; the rule; the overlap.
    let case = 10 * HOUR..12 * HOUR;
    #[rustfmt::skip]
    let table = [
        ("inside", case.clone(), 10 * HOUR + 60..11 * HOUR, none, Some(10 * HOUR + 60..11 * HOUR)),
        ("around", case.clone(), 9 * HOUR..13 * HOUR, none, Some(10 * HOUR..12 * HOUR)),
        ("the same", case.clone(), case.clone(), none, Some(case.clone())),
        ("touching before", case.clone(), 9 * HOUR..10 * HOUR, none, None),
        ("touching after", case.clone(), 12 * HOUR..13 * HOUR, none, None),
        ("a second before", case.clone(), 9 * HOUR..10 * HOUR + 1, none, Some(10 * HOUR..10 * HOUR + 1)),
        ("a second after", case.clone(), 12 * HOUR - 1..13 * HOUR, none, Some(12 * HOUR - 1..12 * HOUR)),
        ("an empty visit", case.clone(), 11 * HOUR..11 * HOUR, none, None),
        ("within the tolerance after", case.clone(), 12 * HOUR..13 * HOUR, ten, Some(12 * HOUR..12 * HOUR + 600)),
        ("within the tolerance before", case.clone(), 9 * HOUR..10 * HOUR, ten, Some(10 * HOUR - 600..10 * HOUR)),
        ("touching the tolerance", case.clone(), 12 * HOUR + 600..13 * HOUR, ten, None),
        ("touching the tolerance before", case.clone(), 9 * HOUR..10 * HOUR - 600, ten, None),
        ("one second of tolerance", case.clone(), 12 * HOUR + 599..13 * HOUR, ten, Some(12 * HOUR + 599..12 * HOUR + 600)),
        ("less than the least", case.clone(), 12 * HOUR - 59..13 * HOUR, minute, None),
        ("the least", case.clone(), 12 * HOUR - 60..13 * HOUR, minute, Some(12 * HOUR - 60..12 * HOUR)),
        ("over midnight", 23 * HOUR..25 * HOUR, 23 * HOUR + 1_800..24 * HOUR + 1_800, none, Some(23 * HOUR + 1_800..24 * HOUR + 1_800)),
        ("less than the least on each side of midnight", 23 * HOUR..25 * HOUR, 24 * HOUR - 30..24 * HOUR + 30, minute, Some(24 * HOUR - 30..24 * HOUR + 30)),
        ("until midnight, visit after it", 23 * HOUR..24 * HOUR, 24 * HOUR..25 * HOUR, none, None),
        ("until midnight, visit after it, tolerance", 23 * HOUR..24 * HOUR, 24 * HOUR..25 * HOUR, ten, Some(24 * HOUR..24 * HOUR + 600)),
        ("from midnight, visit before it", 24 * HOUR..25 * HOUR, 23 * HOUR..24 * HOUR, none, None),
        ("from midnight, visit before it, tolerance", 24 * HOUR..25 * HOUR, 23 * HOUR..24 * HOUR, ten, Some(24 * HOUR - 600..24 * HOUR)),
        ("the day before", 10 * HOUR - 24 * HOUR..12 * HOUR - 24 * HOUR, 10 * HOUR..12 * HOUR, none, None),
        ("three days", -24 * HOUR..48 * HOUR, -HOUR..25 * HOUR, none, Some(-HOUR..25 * HOUR)),
        ("no tolerance beyond an hour", case.clone(), 13 * HOUR..14 * HOUR, config(7_200, 0), None),
    ];
    for (what, case, visited, config, expected) in table {
        let found = exposures(&[(case, "x")], &[visit(PLACE, visited)], &config);
        let found: Vec<_> = found.into_iter().map(|found| found.overlap).collect();
        let expected: Vec<_> = expected
            .map(|o| at(o.start)..at(o.end))
            .into_iter()
            .collect();
        assert_eq!(found, expected, "{what}");
    }
}

#[test]
fn another_place_is_not_concerned() {
    let elsewhere = [visit(ELSEWHERE, 0..HOUR)];
    assert!(exposures(&[(0..HOUR, "x")], &elsewhere, &config(0, 0)).is_empty());
}

#[test]
fn what_touches_and_says_the_same_is_one() {
    let all_day = [visit(PLACE, 0..5 * HOUR)];
    let entries = [
        (0..HOUR, "x"),
        (HOUR..2 * HOUR, "x"),
        (HOUR..2 * HOUR, "y"),
        (3 * HOUR..4 * HOUR, "x"),
    ];
    let found = exposures(&entries, &all_day, &config(0, 0));
    let found: Vec<_> = found
        .iter()
        .map(|e| (e.message.as_str(), e.duration().as_secs()))
        .collect();
    assert_eq!(found, [("x", 7_200), ("y", 3_600), ("x", 3_600)]);
}

#[test]
fn an_assumed_end_is_told() {
    let mut assumed = visit(PLACE, 0..HOUR);
    assumed.checked_out = false;
    let found = exposures(&[(0..HOUR, "Theo dõi")], &[assumed], &config(0, 0));
    assert!(!found[0].checked_out);
    assert_eq!(
        found[0].to_string(),
        "Chợ Bến Thành: up to 60 min, 2020-08-08T00:00:00Z to 2020-08-08T01:00:00Z: Theo dõi"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the order of the visits and the entries.
    #[test]
    fn the_order_is_always_the_same(
        times in proptest::collection::vec((0i64..40_000, 1i64..30_000, 0u8..3), 1..6),
    ) {
        let mut visits: Vec<_> = times.iter().map(|(s, d, name)| {
            let mut visit = visit(PLACE, *s..s + d);
            visit.name = name.to_string();
            visit
        }).collect();
        let mut entries = vec![(0..20_000, "b"), (10_000..50_000, "a"), (10_000..50_000, "b")];
        let found = exposures(&entries, &visits, &config(0, 0));
        visits.reverse();
        entries.reverse();
        prop_assert_eq!(exposures(&entries, &visits, &config(0, 0)), found);
    }

    /// A case and a visitor meet as half-open intervals do.
    #[test]
    fn overlaps_are_those_of_intervals(a in 0i64..90_000, b in 1i64..50_000, c in 0i64..90_000, d in 1i64..50_000) {
        let found = exposures(&[(a..a + b, "x")], &[visit(PLACE, c..c + d)], &config(0, 0));
        let (start, end) = (a.max(c), (a + b).min(c + d));
        let expected: Vec<_> = (start < end).then(|| at(start)..at(end)).into_iter().collect();
        let found: Vec<_> = found.into_iter().map(|found| found.overlap).collect();
        prop_assert_eq!(found, expected);
    }
}
