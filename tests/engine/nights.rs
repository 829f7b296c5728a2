//! Devices that sleep, by clocks that cannot tell a sleep from a jump.

use proptest::prelude::*;
use truyvet::log::{KeyError, KeysRenewed};

use super::*;

const HOUR: Duration = s(3_600);
const DAY: Duration = s(86_400);

/// The wall clock goes ahead, the monotonic one stands still.
fn leap(rig: &mut Rig, by: Duration) -> Vec<Action> {
    rig.clock.jump_to(rig.clock.now().wall.saturating_add(by));
    rig.engine.tick(rig.clock.now());
    rig.actions()
}

/// Sleeps each night for `days`, and gives how often it was purged and how many own keys there were at most.
fn lives(rig: &mut Rig, days: u32, awake: Duration) -> (usize, usize) {
    let (mut purged, mut keys_max) = (0, 0);
    for _ in 0..days {
        purged += purges(&rig.pass(awake)).len();
        purged += purges(&leap(rig, DAY - awake)).len();
        keys_max = keys_max.max(rig.engine.own_keys().len());
    }
    (purged, keys_max)
}

#[test]
fn a_device_that_sleeps_each_night_erases_each_day_though_its_clock_cannot_tell_sleep() {
    // Asleep from two o'clock on, over midnight, and for most of the day.
    for (begin, awake) in [(s(0), 16), (8 * HOUR, 14), (s(0), 8), (4 * HOUR, 3)] {
        let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
        rig.pass(begin);
        let (purged, keys) = lives(&mut rig, 60, awake * HOUR);
        assert!(purged >= 57, "{awake} h awake: {purged} purges");
        assert!(keys <= 14 + 3, "{awake} h awake: {keys} keys");
    }
}

#[test]
fn keys_that_were_put_off_at_midnight_are_tried_each_hour_though_the_device_has_slept_since() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    lives(&mut rig, 20, 16 * HOUR);
    let locked = || KeysRenewed::Deferred(KeyError::Unavailable("the device is locked".to_owned()));
    let today = rig.clock.now().wall.utc_day().end().utc_day();
    assert_eq!(purges(&rig.pass(14 * HOUR)), [today]);
    rig.engine.erasure_result(rig.clock.now(), &locked());
    rig.pass(HOUR / 2);
    assert_eq!(purges(&leap(&mut rig, 9 * HOUR)), []);
    assert!(rig.engine.health().deletion_held.is_some());
    for _ in 0..3 {
        assert_eq!(purges(&rig.pass(HOUR / 2)), [today]);
        rig.engine.erasure_result(rig.clock.now(), &locked());
        assert_eq!(purges(&rig.pass(HOUR / 2)), []);
    }
    // Not for a day in the far future, and no hour of it is asked again and again.
    assert_eq!(purges(&leap(&mut rig, 40 * DAY)), []);
    assert_eq!(purges(&rig.pass(DAY - s(1))), []);
    assert_eq!(purges(&rig.pass(s(1))).len(), 1);
}

#[test]
fn a_jump_of_forty_days_is_held_for_a_day_and_no_longer_though_the_device_sleeps() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    lives(&mut rig, 20, 16 * HOUR);
    let keys = rig.engine.own_keys().len();
    assert_eq!(purges(&leap(&mut rig, 40 * DAY)), []);
    assert_eq!(purges(&rig.pass(16 * HOUR)), []);
    assert_eq!(purges(&leap(&mut rig, 8 * HOUR)), []);
    assert_eq!(purges(&rig.pass(8 * HOUR - s(1))), []);
    assert!(rig.engine.own_keys().len() >= keys);
    assert_eq!(purges(&rig.pass(s(1))).len(), 1);
    assert_eq!(rig.engine.health().deletion_held, None);
}

#[test]
fn days_that_are_run_for_two_hours_do_not_end_the_hold_of_a_long_jump_sooner() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    lives(&mut rig, 20, 16 * HOUR);
    leap(&mut rig, 40 * DAY);
    for _ in 0..11 {
        assert_eq!(purges(&rig.pass(2 * HOUR)), []);
        assert_eq!(purges(&leap(&mut rig, 22 * HOUR)), []);
    }
    let (purged, _) = lives(&mut rig, 5, 2 * HOUR);
    assert!(purged >= 3, "never erased: {purged}");
}

#[test]
fn days_that_are_stepped_through_in_a_moment_are_not_believed() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    lives(&mut rig, 20, 16 * HOUR);
    let mut purged = Vec::new();
    for _ in 0..20 {
        purged.extend(purges(&leap(&mut rig, 23 * HOUR)));
        purged.extend(purges(&rig.pass(s(60))));
    }
    // The first could have been a night.
    assert!(purged.len() <= 1, "{purged:?}");
    assert_eq!(purges(&rig.pass(DAY - s(600))), []);
}

#[test]
fn a_clock_set_ahead_shortly_before_a_hold_ends_is_held_anew() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.pass(2 * DAY);
    leap(&mut rig, 2 * DAY);
    rig.pass(DAY - s(600));
    for _ in 0..20 {
        assert_eq!(purges(&leap(&mut rig, DAY)), []);
    }
    assert_eq!(purges(&rig.pass(DAY - s(1))), []);
    assert_eq!(purges(&rig.pass(s(1))).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However it is set, no clock has all the fourteen days be erased in less than a day's running.
    #[test]
    fn no_clock_erases_the_last_fourteen_days_at_once(
        steps in proptest::collection::vec((0..10_u64 * 3_600, 0..2_u64 * 86_400, 0..8_u8), 1..40)
    ) {
        let (mut rig, actions) = Rig::started(Config::new(Protocol::gaen()));
        let mut purged: Vec<_> = purges(&actions).into_iter().map(|day| (s(0), day)).collect();
        for (run, jump, kind) in steps {
            let mut left = s(run);
            while !left.is_zero() {
                let part = left.min(GRAIN);
                left -= part;
                let actions = rig.pass(part);
                note(&mut purged, &rig, &actions)?;
            }
            // Mostly of less than a day, some far ahead, some back.
            let actions = match kind {
                0 => leap(&mut rig, s(jump * 20)),
                1 => {
                    let back = rig.clock.now().wall.saturating_sub(s(jump));
                    rig.clock.jump_to(back);
                    rig.engine.tick(rig.clock.now());
                    rig.actions()
                }
                _ => leap(&mut rig, s(jump / 2)),
            };
            note(&mut purged, &rig, &actions)?;
        }
    }
}

/// How exactly it is noted when something was purged.
const GRAIN: Duration = s(600);

/// Notes what was purged, and when, and compares it with what was before.
fn note(
    purged: &mut Vec<(Duration, UtcDay)>,
    rig: &Rig,
    actions: &[Action],
) -> Result<(), TestCaseError> {
    let now = rig.clock.now().monotonic;
    for day in purges(actions) {
        for (at, earlier) in &*purged {
            let since = now.saturating_sub(*at);
            let at_once =
                since < DAY - GRAIN && day.unix_days() >= earlier.unix_days().saturating_add(14);
            prop_assert!(!at_once, "{earlier} and {day}, {since:?} later");
        }
        purged.push((now, day));
    }
    Ok(())
}
