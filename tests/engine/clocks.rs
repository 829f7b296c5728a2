//! Clocks that are set, that sleep, and that went on without us.

use proptest::prelude::*;
use truyvet::EncounterLog;
use truyvet::engine::HoldCause;
use truyvet::log::{LogOptions, MemoryKey, MemoryStorage};
use truyvet::time::{ClockReading, Uptime};

use super::*;

#[test]
fn a_clock_that_jumps_is_told_and_splits_sightings() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    let neighbour = bluezone_frame(9);
    let rssi = Rssi::from_dbm(-60);
    rig.engine.heard(rig.clock.now(), &neighbour, rssi);
    rig.clock.advance(s(1));
    let jumped = START.saturating_sub(s(3 * 86_400));
    rig.clock.jump_to(jumped);
    rig.engine.heard(rig.clock.now(), &neighbour, rssi);
    rig.engine.tick(rig.clock.now());
    let actions = rig.actions();
    let told = actions.iter().any(
        |action| matches!(action, Action::Tell(Event::ClockJumped { by_ms }) if *by_ms == -259_201_000),
    );
    assert!(told, "{actions:?}");
    // The identifier of the day the clock says now.
    assert_eq!(frames(&actions).len(), 1);
    rig.engine.stop(rig.clock.now());
    let stored: Vec<_> = rig
        .actions()
        .into_iter()
        .filter_map(|action| match action {
            Action::Store(sightings) => Some(sightings),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(stored.len(), 2);
    assert_eq!([stored[0].last, stored[1].first], [START, jumped]);
}

#[test]
fn a_device_that_slept_does_not_go_on_with_yesterdays_identifier() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::gaen()));
    // The monotonic clock stands still while the machine sleeps.
    rig.clock.jump_to(START.saturating_add(s(8 * 3_600)));
    let actions = rig.pass(s(30));
    assert_eq!(frames(&actions).len(), 1);
    assert_ne!(frames(&actions), frames(&first));
    assert_eq!(rig.engine.health().counters.clock_jumps, 1);
}

#[test]
fn a_clock_that_creeps_is_noticed() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    for _ in 0..100 {
        rig.clock.advance(s(1));
        let ahead = rig.clock.now().wall.saturating_add(s(4));
        rig.clock.jump_to(ahead);
        rig.engine.tick(rig.clock.now());
    }
    assert!(rig.engine.health().counters.clock_jumps >= 50);
}

#[test]
fn one_jump_counts_once_though_older_frames_come_after_it() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    let before = rig.clock.now();
    rig.clock.advance(s(1));
    rig.clock.jump_to(START.saturating_add(s(3_600)));
    rig.engine.tick(rig.clock.now());
    let neighbour = bluezone_frame(9);
    rig.engine.heard(before, &neighbour, None);
    rig.clock.advance(s(1));
    rig.engine.tick(rig.clock.now());
    assert_eq!(rig.engine.health().counters.clock_jumps, 1);
}

#[test]
fn a_clock_set_far_ahead_deletes_nothing_for_a_day() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.pass(s(5 * 86_400));
    let keys = rig.engine.own_keys().len();
    rig.clock
        .jump_to(rig.clock.now().wall.saturating_add(s(40 * 86_400)));
    let held = rig.pass(s(86_000));
    assert!(!held.iter().any(|action| matches!(action, Action::Purge(_))));
    assert!(rig.engine.own_keys().len() > keys);
    // Nobody set it right: it is the time.
    let after = rig.pass(s(1_000));
    assert!(
        after
            .iter()
            .any(|action| matches!(action, Action::Purge(_)))
    );
    assert!(rig.engine.own_keys().len() <= 2);
}

const DAY: Duration = Duration::from_secs(86_400);

fn config() -> Config {
    Config::new(Protocol::gaen()).retention_days(3)
}

/// What all clocks say: the machine was started for the `boot`th time, `since_boot` ago.
fn reading(wall: Timestamp, boot: u8, since_boot: Duration) -> ClockReading {
    let uptime = Uptime {
        boot_id: [boot; 16],
        since_boot_ms: u64::try_from(since_boot.as_millis()).unwrap(),
    };
    ClockReading {
        wall,
        uptime: Some(uptime),
    }
}

/// An engine's own keys, as they are saved and loaded again.
fn saved(engine: &Engine) -> Vec<OwnKey> {
    let (storage, key) = (MemoryStorage::default(), MemoryKey::random().unwrap());
    let mut log = EncounterLog::open_on(storage, key, LogOptions::default()).unwrap();
    log.save_own_keys(engine.own_keys()).unwrap();
    log.own_keys().unwrap()
}

impl Rig {
    /// Another process of the same device, with its keys, in which the wall clock says `wall`.
    fn restarted(&self, last: ClockReading, now: ClockReading) -> (Self, Vec<Action>) {
        let entropy = Box::new(SeededEntropy::new(2));
        let mut rig = Self {
            engine: Engine::new(config(), saved(&self.engine), entropy),
            clock: ManualClock::new(now.wall),
        };
        rig.engine.resume_clock(last, now);
        rig.engine.start(rig.clock.now());
        let mut actions = rig.actions();
        let now = rig.clock.now();
        rig.engine.scan_result(now, Ok(()));
        rig.engine.advertise_result(now, Ok(Advertised::default()));
        actions.extend(rig.actions());
        (rig, actions)
    }
}

/// A device that has run for five days, four of which are kept, and what its clocks say then.
fn after_five_days() -> (Rig, ClockReading) {
    let (mut rig, _) = Rig::started(config());
    rig.pass(5 * DAY);
    assert_eq!(rig.engine.own_keys().len(), 4);
    let last = reading(rig.clock.now().wall, 1, 6 * DAY);
    (rig, last)
}

const NO_JUMP: [i64; 0] = [];

fn jumps(actions: &[Action]) -> Vec<i64> {
    let jump = |action: &Action| match action {
        Action::Tell(Event::ClockJumped { by_ms }) => Some(*by_ms),
        _ => None,
    };
    actions.iter().filter_map(jump).collect()
}

fn cause(rig: &Rig) -> Option<HoldCause> {
    rig.engine.health().deletion_held.map(|held| held.cause)
}

/// What is due is done once the hold is over, and not before.
fn is_held_for_a_day_and_then_erases(rig: &mut Rig) {
    let keys = rig.engine.own_keys().len();
    let until = rig.engine.health().deletion_held.unwrap().until;
    assert_eq!(until, rig.clock.now().wall.saturating_add(DAY));
    let held = rig.pass(DAY - s(1));
    assert_eq!(purges(&held), []);
    assert!(rig.engine.own_keys().len() >= keys);
    let over = rig.pass(s(1));
    assert_eq!(purges(&over), [rig.clock.now().wall.utc_day()]);
    assert_eq!(rig.engine.own_keys().len(), 2);
    assert_eq!(cause(rig), None);
    assert_eq!(told(&over).len(), 1);
}

#[test]
fn a_clock_set_ahead_while_the_tracer_was_off_deletes_nothing_for_a_day() {
    let (rig, last) = after_five_days();
    let false_time = last.wall.saturating_add(40 * DAY);
    let (mut rig, actions) = rig.restarted(last, reading(false_time, 1, 6 * DAY + s(60)));
    let by_ms = 40 * 86_400_000 - 60_000;
    assert_eq!(jumps(&actions), [by_ms]);
    assert_eq!(rig.engine.health().counters.clock_jumps, 1);
    assert_eq!(purges(&actions), []);
    assert_eq!(cause(&rig), Some(HoldCause::ClockAhead { by_ms }));
    let said = rig.engine.health().to_string();
    assert!(said.contains("nothing is erased until"), "{said}");
    assert!(said.contains("went ahead by 39 days"), "{said}");
    assert!(
        told(&actions)
            .iter()
            .all(|it| it.contains("nothing is erased until"))
    );
    assert!(rig.engine.health().is_well());
    is_held_for_a_day_and_then_erases(&mut rig);
}

#[test]
fn a_device_off_for_a_month_is_held_for_a_day_and_then_erases() {
    let (rig, last) = after_five_days();
    let (mut rig, actions) =
        rig.restarted(last, reading(last.wall.saturating_add(30 * DAY), 2, s(60)));
    assert_eq!(jumps(&actions), NO_JUMP);
    assert_eq!(purges(&actions), []);
    assert_eq!(cause(&rig), Some(HoldCause::LongAgo { last: last.wall }));
    let said = rig.engine.health().to_string();
    assert!(
        said.contains(&format!("last written at {}", last.wall)),
        "{said}"
    );
    is_held_for_a_day_and_then_erases(&mut rig);
}

#[test]
fn a_machine_that_does_not_tell_its_start_is_held_for_a_day_after_a_month() {
    let (rig, last) = after_five_days();
    let unknown = |wall| ClockReading { wall, uptime: None };
    let now = unknown(last.wall.saturating_add(30 * DAY));
    let (mut rig, _) = rig.restarted(unknown(last.wall), now);
    is_held_for_a_day_and_then_erases(&mut rig);
}

#[test]
fn a_night_or_a_month_of_a_machine_that_ran_holds_nothing() {
    let (rig, last) = after_five_days();
    for (days, now) in [
        // Off for a night.
        (1, reading(last.wall.saturating_add(DAY), 2, s(60))),
        // It ran, or slept, while no tracer did.
        (30, reading(last.wall.saturating_add(30 * DAY), 1, 36 * DAY)),
    ] {
        let (rig, actions) = rig.restarted(last, now);
        assert_eq!(jumps(&actions), NO_JUMP, "{days}");
        assert_eq!(purges(&actions), [now.wall.utc_day()], "{days}");
        assert_eq!(cause(&rig), None);
        assert_eq!(rig.engine.own_keys().len(), if days == 1 { 4 } else { 1 });
    }
}

#[test]
fn a_clock_set_back_while_the_tracer_was_off_is_told() {
    let (rig, last) = after_five_days();
    let back = last.wall.saturating_sub(3 * DAY);
    for (by_ms, now) in [
        (-3 * 86_400_000 - 60_000, reading(back, 1, 6 * DAY + s(60))),
        (-3 * 86_400_000, reading(back, 2, s(60))),
    ] {
        let (rig, actions) = rig.restarted(last, now);
        assert_eq!(jumps(&actions), [by_ms]);
        assert_eq!(rig.engine.health().counters.clock_jumps, 1);
        assert_eq!(cause(&rig), None);
        // Nothing is older than the retention by that clock.
        assert_eq!(rig.engine.own_keys().len(), 4);
    }
    // A clock that was set by a moment is no jump, here as elsewhere.
    let now = reading(last.wall.saturating_sub(s(4)), 2, s(60));
    assert_eq!(jumps(&rig.restarted(last, now).1), NO_JUMP);
}

#[test]
fn a_hold_outlives_restarts_until_the_tracer_has_run_for_a_day() {
    let (rig, last) = after_five_days();
    let mut now = reading(last.wall.saturating_add(40 * DAY), 1, 6 * DAY);
    let mut rig = rig.restarted(last, now).0;
    let mut held = Duration::ZERO;
    // An app that its system ends every five hours.
    let erased = loop {
        rig.pass(s(5 * 3_600));
        held += s(5 * 3_600);
        let last = reading(rig.clock.now().wall, 1, 6 * DAY + held);
        now = last;
        let (again, actions) = rig.restarted(last, now);
        rig = again;
        if let [today] = purges(&actions)[..] {
            break today;
        }
        assert_eq!(cause(&rig), Some(HoldCause::NotOver));
        assert!(held < 4 * DAY, "never erased");
    };
    assert!(held > DAY, "{held:?}");
    assert_eq!(erased, now.wall.utc_day());
    assert!(rig.engine.own_keys().len() <= 4);
}

#[test]
fn a_hold_that_is_not_over_lasts_a_day_at_most() {
    let (rig, last) = after_five_days();
    let now = reading(last.wall.saturating_add(40 * DAY), 1, 6 * DAY);
    let mut rig = rig.restarted(last, now).0;
    rig.pass(s(60));
    let last = reading(rig.clock.now().wall, 1, 6 * DAY + s(60));
    let mut rig = rig.restarted(last, last).0;
    assert_eq!(cause(&rig), Some(HoldCause::NotOver));
    is_held_for_a_day_and_then_erases(&mut rig);
}

#[test]
fn a_clock_set_right_again_before_the_next_start_holds_nothing() {
    let (rig, last) = after_five_days();
    let ahead = reading(last.wall.saturating_add(40 * DAY), 1, 6 * DAY);
    let mut rig = rig.restarted(last, ahead).0;
    rig.pass(s(60));
    let false_last = reading(rig.clock.now().wall, 1, 6 * DAY + s(60));
    let right = reading(last.wall.saturating_add(s(120)), 1, 6 * DAY + s(120));
    let (rig, actions) = rig.restarted(false_last, right);
    assert_eq!(cause(&rig), None);
    assert_eq!(purges(&actions), [right.wall.utc_day()]);
    // Four days, and the false one.
    assert_eq!(rig.engine.own_keys().len(), 5);
}

#[test]
fn a_sleep_puts_nothing_off_where_the_clock_of_the_machines_start_tells_of_it() {
    let (mut rig, last) = after_five_days();
    rig.engine.clock_reading(rig.clock.now(), last);
    // Into the next day, as every night.
    rig.clock.jump_to(last.wall.saturating_add(s(15 * 3_600)));
    rig.engine.tick(rig.clock.now());
    let actions = rig.actions();
    assert_eq!(jumps(&actions), [15 * 3_600_000]);
    assert_eq!(purges(&actions), []);
    assert!(cause(&rig).is_some());
    let awake = reading(rig.clock.now().wall, 1, 6 * DAY + s(15 * 3_600));
    rig.engine.clock_reading(rig.clock.now(), awake);
    let mut actions = rig.actions();
    assert_eq!(cause(&rig), None);
    actions.extend(rig.pass(s(60)));
    assert_eq!(purges(&actions), [awake.wall.utc_day()]);
    assert!(
        told(&actions).iter().all(|it| !it.contains("erased")),
        "{actions:?}"
    );
}

#[test]
fn a_jump_that_the_clock_of_the_machines_start_does_not_know_is_held() {
    let (mut rig, last) = after_five_days();
    rig.engine.clock_reading(rig.clock.now(), last);
    let false_time = last.wall.saturating_add(40 * DAY);
    rig.clock.jump_to(false_time);
    rig.engine
        .clock_reading(rig.clock.now(), reading(false_time, 1, 6 * DAY));
    assert!(matches!(cause(&rig), Some(HoldCause::ClockAhead { .. })));
    // It agrees with the false time from then on, which explains nothing.
    rig.pass(s(600));
    rig.engine.clock_reading(
        rig.clock.now(),
        reading(rig.clock.now().wall, 1, 6 * DAY + s(600)),
    );
    assert!(matches!(cause(&rig), Some(HoldCause::ClockAhead { .. })));
    let actions = rig.pass(DAY - s(601));
    assert_eq!(purges(&actions), []);
    assert_eq!(purges(&rig.pass(s(1))).len(), 1);
}

#[test]
fn a_sleep_does_not_end_a_hold() {
    let (rig, last) = after_five_days();
    let now = reading(last.wall.saturating_add(40 * DAY), 1, 6 * DAY);
    let (mut rig, _) = rig.restarted(last, now);
    rig.pass(s(3_600));
    let before = rig.engine.health().deletion_held.unwrap();
    rig.clock
        .jump_to(rig.clock.now().wall.saturating_add(s(7_200)));
    let awake = reading(rig.clock.now().wall, 1, 6 * DAY + s(3 * 3_600));
    rig.engine.clock_reading(rig.clock.now(), awake);
    let after = rig.engine.health().deletion_held.unwrap();
    assert_eq!((after.cause, after.since), (before.cause, before.since));
    // It counts the time in which the tracer runs.
    assert_eq!(after.until.since(before.until), s(7_200));
    assert_eq!(purges(&rig.pass(s(23 * 3_600 - 1))), []);
    assert_eq!(purges(&rig.pass(s(1))).len(), 1);
}

#[test]
fn a_clock_that_creeps_is_no_sleep() {
    let (mut rig, last) = after_five_days();
    rig.engine.clock_reading(rig.clock.now(), last);
    for second in 1..=10 {
        rig.clock.advance(s(1));
        rig.clock.jump_to(rig.clock.now().wall.saturating_add(s(2)));
        let now = reading(rig.clock.now().wall, 1, 6 * DAY + s(second));
        rig.engine.clock_reading(rig.clock.now(), now);
    }
    assert!(cause(&rig).is_some());
}

#[test]
fn a_hold_is_told_once_and_its_end() {
    let (mut rig, _) = after_five_days();
    // Somebody is near, so that there is no silence to be told of.
    let heard = |rig: &mut Rig, duration: Duration| {
        let mut actions = Vec::new();
        for _ in 0..duration.as_secs() / 300 {
            let stranger = Protocol::gaen()
                .frame(&health::stranger_key(), START)
                .unwrap();
            rig.engine.heard(rig.clock.now(), &stranger, None);
            actions.extend(rig.pass(s(300)));
        }
        told(&actions)
    };
    heard(&mut rig, s(600));
    rig.clock
        .jump_to(rig.clock.now().wall.saturating_add(40 * DAY));
    rig.engine.tick(rig.clock.now());
    let news = heard(&mut rig, DAY + s(3_600));
    let [began, ended] = &news[..] else {
        panic!("{news:#?}")
    };
    assert!(began.contains("nothing is erased until"), "{began}");
    assert!(!ended.contains("erased"), "{ended}");
}

#[test]
fn a_clock_set_right_tells_the_new_end_of_the_hold() {
    let (mut rig, _) = after_five_days();
    let begin = rig.clock.now().wall;
    for jump in [40 * DAY, s(60)] {
        rig.clock.jump_to(begin.saturating_add(jump));
        rig.engine.tick(rig.clock.now());
        rig.pass(s(60));
    }
    let held = rig.engine.health().deletion_held.unwrap();
    assert_eq!(held.until, begin.saturating_add(DAY));
    assert_eq!(purges(&rig.pass(DAY - s(121))), []);
    assert_eq!(rig.engine.own_keys().len(), 6);
}

fn any_reading() -> impl Strategy<Value = ClockReading> {
    let uptime = (0..3_u8, any::<u64>()).prop_map(|(boot, since_boot_ms)| Uptime {
        boot_id: [boot; 16],
        since_boot_ms,
    });
    let wall = prop_oneof![any::<u64>(), START.unix_millis()..START.unix_millis() << 1];
    (wall, proptest::option::of(uptime)).prop_map(|(wall, uptime)| ClockReading {
        wall: Timestamp::from_unix_millis(wall),
        uptime,
    })
}

proptest! {
    /// Whatever the clocks say, a start erases or says that it does not, and never both.
    #[test]
    fn any_clocks_erase_at_once_or_are_held(last in any_reading(), now in any_reading(), later in any_reading()) {
        let mut rig = Rig::new(config());
        rig.clock.jump_to(now.wall);
        rig.engine.resume_clock(last, now);
        rig.engine.start(rig.clock.now());
        let mut erased = purges(&rig.actions()).len();
        prop_assert_eq!(erased == 0, cause(&rig).is_some());
        rig.clock.jump_to(later.wall);
        rig.engine.clock_reading(rig.clock.now(), later);
        erased += purges(&rig.actions()).len();
        prop_assert!(erased > 0 || cause(&rig).is_some());
        prop_assert!(!rig.engine.health().to_string().is_empty());
    }
}
