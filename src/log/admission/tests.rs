//! The rules, one by one, and what holds whatever comes.

use std::collections::HashMap;

use proptest::prelude::*;

use super::hold::Limits;
use super::*;
use crate::protocol::{EphemeralId, ProtocolKind};
use crate::sighting::{Rssi, RssiSummary, Source};

const SHARE: u64 = 1_000_000;

/// What is used in each stage.
const OPEN: u64 = 0;
const MINUTE: u64 = SHARE / 2;
const MINUTES: u64 = SHARE / 8 * 5;
const STAY: u64 = SHARE / 4 * 3;
const FULL: u64 = SHARE;

/// At noon half of the last quarter is open, and in the next twenty minutes another 3,472 bytes.
const FULL_AT_20_PAST_NOON: u64 = SHARE / 8 * 7 + 3_472;

const SMALL: Limits = Limits {
    watched: 8,
    records: 16,
    records_each: 4,
};

fn day() -> UtcDay {
    "2020-08-08".parse().unwrap()
}

/// Noon, and `seconds` later.
fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_seconds(day().start().unix_seconds() + 43_200 + seconds)
}

pub(super) fn sighting(who: u32, first: Timestamp, dbm: i32) -> Sighting {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&who.to_le_bytes());
    let rssi = Rssi::from_dbm(dbm).unwrap();
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: id.into(),
        metadata: Some([1, 2, 3, 4]),
        first,
        last: Timestamp::from_unix_millis(first.unix_millis() + 29_000),
        frames: 100,
        rssi: Some(RssiSummary {
            min: rssi,
            mean: rssi,
            max: rssi,
        }),
        source: Source::ServiceData,
    }
}

/// `who` each half minute from `from` until before `to`, in seconds since noon.
fn stay(who: u32, from: u64, to: u64, dbm: i32) -> Vec<Sighting> {
    let firsts = (from..to).step_by(30);
    firsts
        .map(|second| sighting(who, at(second), dbm))
        .collect()
}

fn admit(admission: &mut Admission, sightings: &[Sighting], used: u64) -> Vec<Sighting> {
    let mut out = Vec::new();
    admission.admit(sightings, |_| used, &mut out);
    admission.hold.assert_sound();
    out
}

/// How many half minutes it takes until something is stored; all that was heard is, then.
fn half_minutes_until_stored(used: u64, dbm: i32) -> Option<usize> {
    let mut admission = Admission::new(SHARE);
    let all = stay(1, 0, 1_200, dbm);
    for (number, sighting) in all.iter().enumerate() {
        let out = admit(&mut admission, std::slice::from_ref(sighting), used);
        if !out.is_empty() {
            assert_eq!(out, all[..=number]);
            return Some(number + 1);
        }
        assert_eq!(admission.counters().held, number as u64 + 1);
    }
    None
}

#[test]
fn below_half_everything_is_stored_at_once_and_takes_no_memory() {
    let mut admission = Admission::new(SHARE);
    let all: Vec<Sighting> = (0..1_000).map(|who| sighting(who, at(0), -100)).collect();
    assert_eq!(admit(&mut admission, &all, OPEN), all);
    assert_eq!(admission.hold.bytes(), 0);
    assert_eq!(admission.counters().stored, 1_000);
}

#[test]
fn from_half_on_a_minute_is_asked_for() {
    // The third half minute ends 89 s after the first began, the second 59.
    assert_eq!(half_minutes_until_stored(MINUTE, -100), Some(3));
}

#[test]
fn from_five_eighths_on_four_minutes_are_asked_for() {
    assert_eq!(half_minutes_until_stored(MINUTES, -100), Some(9));
}

#[test]
fn from_three_quarters_on_eight_minutes_and_nearness_are_asked_for() {
    assert_eq!(half_minutes_until_stored(STAY, -80), Some(17));
    assert_eq!(half_minutes_until_stored(STAY, -81), None);
}

#[test]
fn a_strength_that_was_not_measured_shows_nothing() {
    let mut admission = Admission::new(SHARE);
    let mut all = stay(1, 0, 1_200, -60);
    for sighting in &mut all {
        sighting.rssi = None;
    }
    assert_eq!(admit(&mut admission, &all, STAY), []);
}

#[test]
fn a_full_day_stores_nothing_and_counts() {
    let mut admission = Admission::new(SHARE);
    assert_eq!(admit(&mut admission, &stay(1, 0, 900, -60), FULL), []);
    let expected = Admitted {
        over_budget: 30,
        ..Admitted::default()
    };
    assert_eq!(admission.counters(), expected);
}

#[test]
fn who_has_proven_himself_is_stored_at_once_from_then_on() {
    let mut admission = Admission::new(SHARE);
    admit(&mut admission, &stay(1, 0, 600, -80), STAY);
    // On average it is far by now.
    let weaker = [sighting(1, at(600), -100)];
    assert_eq!(admit(&mut admission, &weaker, STAY), weaker);
}

#[test]
fn a_proof_of_a_minute_is_none_of_eight() {
    let mut admission = Admission::new(SHARE);
    assert_eq!(admit(&mut admission, &stay(1, 0, 90, -60), MINUTE).len(), 3);
    assert_eq!(admit(&mut admission, &stay(1, 90, 480, -60), STAY), []);
    let rest = stay(1, 90, 510, -60);
    assert_eq!(admit(&mut admission, &rest[13..], STAY), rest);
}

#[test]
fn a_proof_ends_with_an_identifiers_life() {
    let mut admission = Admission::new(SHARE);
    let all = stay(1, 0, 1_260, -60);
    assert_eq!(admit(&mut admission, &all, MINUTE), all[..41]);
    // It has begun anew, 1,230 s after it began.
    assert_eq!(admission.counters().held, 1);
}

#[test]
fn two_frames_eight_minutes_apart_prove_no_stay() {
    let mut admission = Admission::new(SHARE);
    let far_apart = [sighting(1, at(0), -60), sighting(1, at(480), -60)];
    assert_eq!(admit(&mut admission, &far_apart, STAY), []);
    assert_eq!(admit(&mut admission, &far_apart[..1], MINUTES).len(), 3);
}

#[test]
fn a_sighting_that_claims_hours_proves_half_a_minute() {
    let mut admission = Admission::new(SHARE);
    let mut long = sighting(1, at(0), -60);
    long.last = at(7_200);
    assert_eq!(admit(&mut admission, &[long], MINUTE), []);
}

#[test]
fn other_metadata_or_another_protocol_proves_nothing() {
    let mut admission = Admission::new(SHARE);
    let mut all = stay(1, 0, 90, -60);
    all[1].metadata = None;
    all[2].protocol = ProtocolKind::Bluezone;
    assert_eq!(admit(&mut admission, &all, MINUTE), []);
    assert_eq!(admission.counters().held, 3);
}

#[test]
fn what_is_held_for_longer_than_a_life_is_dropped_and_its_memory_given_back() {
    let mut admission = Admission::new(SHARE);
    admit(&mut admission, &stay(1, 0, 60, -60), MINUTE);
    // Each class has its turn.
    for second in 0..8 {
        admit(
            &mut admission,
            &[sighting(2, at(1_260 + second), -60)],
            FULL,
        );
    }
    let expected = Admitted {
        unproven: 2,
        over_budget: 8,
        ..Admitted::default()
    };
    assert_eq!(admission.counters(), expected);
    assert_eq!(admission.hold.bytes(), 0);
}

#[test]
fn days_have_shares_of_their_own() {
    let mut admission = Admission::new(SHARE);
    let midnight = day().end().unix_seconds() - at(0).unix_seconds();
    let before = stay(1, midnight - 60, midnight, -60);
    let after = stay(1, midnight, midnight + 30, -60);
    let mut out = Vec::new();
    let used = |of: UtcDay| if of == day() { STAY } else { OPEN };
    admission.admit(&before, used, &mut out);
    assert_eq!(out, []);
    admission.admit(&after, used, &mut out);
    assert_eq!(out, [before, after].concat());
}

#[test]
fn what_waited_is_not_stored_into_a_day_that_is_used_up() {
    let mut admission = Admission::new(SHARE);
    let midnight = day().end().unix_seconds() - at(0).unix_seconds();
    admit(&mut admission, &stay(1, midnight - 60, midnight, -60), STAY);
    let mut out = Vec::new();
    let after = stay(1, midnight, midnight + 30, -60);
    admission.admit(&after, |of| if of == day() { FULL } else { OPEN }, &mut out);
    assert_eq!(out, after);
    assert_eq!(admission.counters().over_budget, 2);
}

#[test]
fn who_waits_for_the_pace_is_stored_when_the_day_has_gone_on() {
    let mut admission = Admission::new(SHARE);
    let used = FULL_AT_20_PAST_NOON;
    let all = stay(1, 0, 600, -60);
    assert_eq!(admit(&mut admission, &all, used), []);
    assert_eq!(admission.counters().held, 20);
    // Its identifier has changed long since; the room is there only now.
    let mut out = Vec::new();
    for second in 0..8 {
        out.extend(admit(
            &mut admission,
            &[sighting(2, at(1_850 + second), -90)],
            used,
        ));
    }
    assert_eq!(out, all);
}

#[test]
fn a_batch_stays_within_the_share_though_the_caller_writes_behind_it() {
    let mut admission = Admission::new(SHARE);
    let all: Vec<Sighting> = (0..50_000).map(|who| sighting(who, at(0), -60)).collect();
    let out = admit(&mut admission, &all, OPEN);
    assert!(out.len() as u64 * share::SIGHTING_BYTES_MAX <= SHARE / 2);
    assert!(out.len() > 10_000, "{}", out.len());
}

#[test]
fn the_end_stores_what_has_earned_its_place_and_counts_the_rest() {
    let mut admission = Admission::new(SHARE);
    let (waiting, brief) = (stay(1, 0, 600, -60), stay(2, 570, 600, -60));
    admit(&mut admission, &waiting, FULL_AT_20_PAST_NOON);
    admit(&mut admission, &brief, STAY);
    let mut out = Vec::new();
    admission.finish(|_| STAY, &mut out);
    assert_eq!(out, waiting);
    let counters = admission.counters();
    assert_eq!((counters.held, counters.unproven), (0, 1));
    assert_eq!(admission.hold.bytes(), 0);
}

#[test]
fn of_one_identifier_no_more_waits_than_its_part() {
    let mut admission = Admission::within(SHARE, SMALL);
    let all: Vec<Sighting> = (0..6).map(|second| sighting(1, at(second), -60)).collect();
    assert_eq!(admit(&mut admission, &all, STAY), []);
    let counters = admission.counters();
    assert_eq!((counters.held, counters.unproven), (4, 2));
}

#[test]
fn once_heard_identifiers_push_out_each_other_and_none_that_was_heard_twice() {
    let mut admission = Admission::within(SHARE, SMALL);
    let neighbour = stay(1, 0, 60, -60);
    admit(&mut admission, &neighbour, MINUTE);
    let flood: Vec<Sighting> = (2..1_000).map(|who| sighting(who, at(60), -40)).collect();
    assert_eq!(admit(&mut admission, &flood, MINUTE), []);
    let next = stay(1, 60, 90, -60);
    let out = admit(&mut admission, &next, MINUTE);
    assert_eq!(out, [neighbour, next].concat());
}

#[test]
fn far_ones_that_stay_push_out_each_other_and_no_near_newcomer() {
    let mut admission = Admission::within(SHARE, SMALL);
    let newcomer = stay(1, 600, 630, -60);
    for second in (0..630).step_by(30) {
        if second == 600 {
            admit(&mut admission, &newcomer, STAY);
        }
        let far: Vec<Sighting> = (2..6).map(|who| sighting(who, at(second), -95)).collect();
        admit(&mut admission, &far, STAY);
    }
    assert!(admission.hold.find(&newcomer[0]).is_some());
}

#[test]
fn a_jump_of_the_clock_lets_go_of_a_bounded_number() {
    for jumped in [Timestamp::from_unix_millis(0), Timestamp::MAX] {
        let mut admission = Admission::new(SHARE);
        let all: Vec<Sighting> = (0..1_000).map(|who| sighting(who, at(0), -60)).collect();
        admit(&mut admission, &all, MINUTE);
        for _ in 0..8 {
            admit(&mut admission, &[sighting(0, jumped, -60)], FULL);
        }
        assert_eq!(admission.counters().unproven, EXPIRED_AT_ONCE as u64);
        // Had it been no mistake, all would be gone soon.
        for _ in 0..8 * 1_000 / EXPIRED_AT_ONCE {
            admit(&mut admission, &[sighting(0, jumped, -60)], FULL);
        }
        assert_eq!(admission.counters().held, 0);
    }
}

#[test]
fn memory_is_bounded_by_what_it_is_made_of() {
    let mut admission = Admission::new(SHARE);
    let flood: Vec<Sighting> = (0..150_000).map(|who| sighting(who, at(0), -60)).collect();
    let mut out = Vec::new();
    admission.admit(&flood[..1], |_| MINUTE, &mut out);
    let bytes = admission.hold.bytes();
    assert!(bytes <= 24 << 20, "{bytes}");
    admission.admit(&flood[1..], |_| MINUTE, &mut out);
    assert!(admission.hold.bytes() <= bytes);
    assert_eq!(out, []);
    let counters = admission.counters();
    assert_eq!(counters.held + counters.unproven, 150_000);
    admission.hold.assert_sound();
}

fn any_sighting() -> impl Strategy<Value = Sighting> {
    let time = prop_oneof![
        8 => (0_u64..3_000).prop_map(at),
        2 => (42_000_u64..44_000).prop_map(at),
        1 => any::<u64>().prop_map(Timestamp::from_unix_millis),
    ];
    let strength = proptest::option::of(-100_i32..-50);
    let parts = (0_u32..12, time.clone(), time, strength, any::<u16>());
    parts.prop_map(|(who, first, last, dbm, frames)| {
        let mut made = sighting(who, first, dbm.unwrap_or(-60));
        if who % 3 == 0 {
            made.id = EphemeralId::from([who as u8; 12]);
            made.metadata = None;
        }
        if frames % 4 == 0 {
            made.last = last;
        }
        made.rssi = made.rssi.filter(|_| dbm.is_some());
        made.frames = frames;
        made
    })
}

fn any_used() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(OPEN),
        Just(MINUTE),
        Just(MINUTES),
        Just(STAY),
        Just(SHARE / 8 * 7),
        Just(FULL),
        0..SHARE
    ]
}

/// What each identifier was heard as, in order.
fn by_identifier(
    sightings: &[Sighting],
) -> HashMap<(EphemeralId, Option<[u8; 4]>), Vec<&Sighting>> {
    let mut found: HashMap<_, Vec<&Sighting>> = HashMap::new();
    for sighting in sightings {
        let name = (sighting.id, sighting.metadata);
        found.entry(name).or_default().push(sighting);
    }
    found
}

proptest! {
    #[test]
    fn nothing_is_invented_or_doubled_or_turned_round_whatever_comes(
        batches in proptest::collection::vec(
            (proptest::collection::vec(any_sighting(), 0..40), any_used(), any_used()),
            1..20,
        ),
        in_order in any::<bool>(),
    ) {
        let mut given: Vec<Sighting> = batches.iter().flat_map(|batch| batch.0.clone()).collect();
        if in_order {
            given.sort_by_key(|sighting| sighting.first);
        }
        let mut admission = Admission::within(SHARE, SMALL);
        let (mut out, mut rest) = (Vec::new(), &given[..]);
        for (batch, even, odd) in &batches {
            let (now, later) = rest.split_at(batch.len());
            let is_even = |day: UtcDay| day.unix_days().is_multiple_of(2);
            let used = |day| if is_even(day) { *even } else { *odd };
            admission.admit(now, used, &mut out);
            rest = later;
            admission.hold.assert_sound();
            let sum = admission.counters();
            let so_far = (given.len() - rest.len()) as u64;
            prop_assert_eq!(sum.stored, out.len() as u64);
            prop_assert_eq!(sum.stored + sum.held + sum.unproven + sum.over_budget, so_far);
        }
        admission.finish(|_| OPEN, &mut out);
        prop_assert_eq!(admission.counters().held, 0);

        // Each output is an input of its own, and those of one identifier come as they were heard.
        let given = by_identifier(&given);
        for (name, stored) in by_identifier(&out) {
            let mut heard = given[&name].iter();
            for sighting in stored {
                prop_assert!(heard.any(|heard| *heard == sighting), "{:?}", sighting);
            }
        }
    }
}
