//! The engine driven by hand: rotation, release, clocks, failures. No tokio, no I/O.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "engine/health.rs"]
mod health;
#[path = "engine/reading.rs"]
mod reading;
#[path = "engine/schedules.rs"]
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use truyvet::engine::{Action, Config, Engine, Event, Schedule, State};
use truyvet::entropy::{Entropy, EntropyError, SeededEntropy};
use truyvet::protocol::{EphemeralId, Heard};
use truyvet::radio::air::{Air, AirConfig};
use truyvet::radio::{AdapterState, Advertised, Filter, RadioEvent, RadioSink};
use truyvet::sighting::Rssi;
use truyvet::time::{Clock, ManualClock, Timestamp};
use truyvet::{Advertisement, Protocol, PublishedKey};

/// 2020-08-08T10:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_000);

struct Rig {
    engine: Engine,
    clock: ManualClock,
}

impl Rig {
    fn new(config: Config) -> Self {
        Self {
            engine: Engine::new(config, Vec::new(), Box::new(SeededEntropy::new(1))),
            clock: ManualClock::new(START),
        }
    }

    fn started(config: Config) -> (Self, Vec<Action>) {
        let mut rig = Self::new(config);
        rig.engine.start(rig.clock.now());
        let actions = rig.actions();
        rig.engine.scan_result(rig.clock.now(), Ok(()));
        rig.engine
            .advertise_result(rig.clock.now(), Ok(Advertised::default()));
        rig.actions();
        (rig, actions)
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.engine.next_action()).collect()
    }

    /// Lets time pass, ticking at every deadline, and gives everything that came of it.
    fn pass(&mut self, duration: Duration) -> Vec<Action> {
        let end = self.clock.now().monotonic + duration;
        let mut actions = Vec::new();
        loop {
            let now = self.clock.now().monotonic;
            let next = self
                .engine
                .next_deadline()
                .filter(|at| *at <= end)
                .unwrap_or(end);
            self.clock.advance(next.saturating_sub(now));
            self.engine.tick(self.clock.now());
            actions.extend(self.actions());
            if next >= end {
                return actions;
            }
        }
    }
}

fn frames(actions: &[Action]) -> Vec<(Advertisement, Timestamp)> {
    let frame = |action: &Action| match action {
        Action::Advertise { frame, until } => Some((*frame, *until)),
        _ => None,
    };
    actions.iter().filter_map(frame).collect()
}

fn identifier(protocol: &Protocol, frame: &Advertisement) -> EphemeralId {
    match protocol.parse(frame) {
        Ok(Some(Heard::Identifier { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An app may start it in one thread and drive it in another.
const fn can_move_between_threads<T: Send>() {}
const _: () = can_move_between_threads::<Engine>();

#[test]
fn keys_are_saved_before_they_are_advertised() {
    let (_, actions) = Rig::started(Config::new(Protocol::gaen()));
    let place = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let saved = place(|action| matches!(action, Action::SaveKeys));
    let advertised = place(|action| matches!(action, Action::Advertise { .. }));
    assert!(saved < advertised);
}

#[test]
fn bluezone_identifiers_change_with_their_slots_and_never_repeat() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::bluezone()));
    let mut all = frames(&first);
    all.extend(frames(&rig.pass(s(86_400))));
    assert_eq!(all.len(), 1 + 96);
    for (index, (_, until)) in all.iter().enumerate() {
        assert_eq!(*until, START.saturating_add(s(900 * (index as u64 + 1))));
    }
    all_differ(&Protocol::bluezone(), &all);
    // Two UTC days, two keys.
    assert_eq!(rig.engine.own_keys().len(), 2);
}

#[test]
fn gaen_identifiers_live_for_10_to_20_minutes_at_random_and_never_repeat() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::gaen()));
    let mut all = frames(&first);
    all.extend(frames(&rig.pass(s(86_400))));
    let mut begun = START;
    let mut lives = Vec::new();
    for (_, until) in &all {
        let life = until.since(begun);
        // A key's last identifier ends with it.
        let cut = *until == until.utc_day().start();
        assert!(life < s(1_200) && (life >= s(600) || cut), "{life:?}");
        lives.push(life);
        begun = *until;
    }
    lives.dedup();
    assert!(lives.len() > 80, "no jitter");
    all_differ(&Protocol::gaen(), &all);
    assert_eq!(rig.engine.own_keys().len(), 2);
}

fn all_differ(protocol: &Protocol, frames: &[(Advertisement, Timestamp)]) {
    let mut ids: Vec<_> = frames
        .iter()
        .map(|(frame, _)| identifier(protocol, frame))
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), frames.len());
}

#[test]
fn a_restart_goes_on_with_the_days_key() {
    let (rig, first) = Rig::started(Config::new(Protocol::bluezone()));
    let dir = tempfile::tempdir().unwrap();
    let key = truyvet::log::MemoryKey::random().unwrap();
    let mut log = truyvet::EncounterLog::open(dir.path(), key).unwrap();
    log.save_own_keys(rig.engine.own_keys()).unwrap();
    let config = Config::new(Protocol::bluezone());
    let entropy = Box::new(SeededEntropy::new(99));
    let mut again = Engine::new(config, log.own_keys().unwrap(), entropy);
    again.start(rig.clock.now());
    let actions: Vec<_> = std::iter::from_fn(|| again.next_action()).collect();
    assert_eq!(frames(&actions), frames(&first));
    assert!(
        !actions
            .iter()
            .any(|action| matches!(action, Action::SaveKeys))
    );
}

#[test]
fn a_released_key_is_never_advertised_again() {
    for protocol in [Protocol::bluezone(), Protocol::gaen()] {
        let (mut rig, first) = Rig::started(Config::new(protocol.clone()));
        let mut before = frames(&first);
        before.extend(frames(&rig.pass(s(3_700))));
        let today = rig.clock.now().wall.utc_day();
        let published = rig.engine.release(rig.clock.now(), today, today);
        let silent = rig.actions();
        assert!(
            silent
                .iter()
                .any(|action| matches!(action, Action::StopAdvertising))
        );
        assert!(frames(&silent).is_empty());
        let after = frames(&rig.pass(s(86_400)));

        let [key] = &published[..] else {
            panic!("one key")
        };
        let mut candidates = Vec::new();
        key.for_each_candidate(|candidate| candidates.push(candidate.id));
        for (frame, _) in &before {
            assert!(candidates.contains(&identifier(&protocol, frame)));
        }
        for (frame, _) in &after {
            assert!(!candidates.contains(&identifier(&protocol, frame)));
        }
        // The next slot is served again, by the new key.
        let slot_end = protocol.kind().slot_at(START.saturating_add(s(3_700))).end;
        let length = protocol.kind().slot_length();
        let until = after[0].1.since(slot_end);
        match protocol {
            Protocol::Gaen(_) => assert!((length..length * 2).contains(&until)),
            _ => assert_eq!(until, length),
        }
        // Whoever asks again gets the same.
        assert!(
            rig.engine
                .release(rig.clock.now(), today, today)
                .contains(key)
        );
    }
}

#[test]
fn released_gaen_keys_of_a_day_do_not_overlap() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    let today = START.utc_day();
    for _ in 0..3 {
        rig.engine.release(rig.clock.now(), today, today);
        rig.pass(s(1_500));
    }
    let published = rig.engine.release(rig.clock.now(), today, today);
    let mut end = 0;
    for key in &published {
        let PublishedKey::Gaen(key) = key else {
            panic!("a diagnosis key")
        };
        assert!(key.rolling_start().0 >= end);
        end = key.rolling_start().0 + key.rolling_period();
    }
    assert_eq!(published.len(), 4);
}

#[test]
fn days_not_consented_to_stay_secret() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.pass(s(3 * 86_400));
    let first = START.utc_day();
    assert_eq!(rig.engine.own_keys().len(), 4);
    let released = rig.engine.release(rig.clock.now(), first, first);
    assert_eq!(released.len(), 1);
    let marked = rig.engine.own_keys().iter().filter(|key| key.is_released());
    assert_eq!(marked.count(), 1);
}

#[test]
fn keys_older_than_the_retention_are_dropped() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    let mut purged = Vec::new();
    for _ in 0..20 {
        for action in rig.pass(s(86_400)) {
            if let Action::Purge(today) = action {
                purged.push(today);
            }
        }
    }
    assert_eq!(rig.engine.own_keys().len(), 15);
    assert_eq!(purged.len(), 20);
}

#[test]
fn a_clock_that_jumps_is_told_and_splits_sightings() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    let mut neighbour = Advertisement::new();
    neighbour.push_manufacturer_data(0x22B5, &[9; 12]).unwrap();
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
    let mut neighbour = Advertisement::new();
    neighbour.push_manufacturer_data(0x22B5, &[9; 12]).unwrap();
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

#[test]
fn the_device_knows_its_own_identifiers_when_they_come_back() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::gaen()));
    rig.pass(s(3_600));
    rig.engine
        .heard(rig.clock.now(), &frames(&first)[0].0, None);
    assert_eq!(rig.engine.health().counters.own_frames, 1);
    assert_eq!(rig.engine.neighbour_count(), 0);
}

#[test]
fn a_rotation_is_told_once_the_radio_has_taken_it() {
    let told = |actions: &[Action]| {
        let rotated = |action: &&Action| matches!(action, Action::Tell(Event::Rotated { .. }));
        actions.iter().filter(rotated).count()
    };
    let mut rig = Rig::new(Config::new(Protocol::gaen()));
    rig.engine.start(rig.clock.now());
    assert_eq!(told(&rig.actions()), 0);
    rig.engine
        .advertise_result(rig.clock.now(), Err("no antenna".to_owned()));
    assert_eq!(told(&rig.actions()), 0);
    rig.pass(s(3));
    rig.engine
        .advertise_result(rig.clock.now(), Ok(Advertised::default()));
    assert_eq!(told(&rig.actions()), 1);
}

#[test]
fn a_neighbour_does_not_leave_while_nobody_listens() {
    let config = Config::new(Protocol::bluezone()).schedule(Schedule::bluezone_background());
    let (mut rig, _) = Rig::started(config);
    let mut neighbour = Advertisement::new();
    neighbour.push_manufacturer_data(0x22B5, &[9; 12]).unwrap();
    let mut actions = Vec::new();
    for _ in 0..3 {
        for _ in 0..40 {
            rig.engine.heard(rig.clock.now(), &neighbour, None);
            actions.extend(rig.pass(s(1)));
        }
        actions.extend(rig.pass(s(260)));
    }
    let count = |wanted: fn(&Event) -> bool| {
        let told = |action: &&Action| matches!(action, Action::Tell(event) if wanted(event));
        actions.iter().filter(told).count()
    };
    assert_eq!(
        count(|event| matches!(event, Event::NeighbourAppeared { .. })),
        1
    );
    assert_eq!(
        count(|event| matches!(event, Event::NeighbourLeft { .. })),
        0
    );
    // Pauses that the schedule wants are no news.
    assert_eq!(count(|event| matches!(event, Event::Health(_))), 0);
}

#[test]
fn failures_are_told_and_tried_again() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.engine
        .scan_result(rig.clock.now(), Err("a first reason".to_owned()));
    let since = rig.engine.health().scanning.since;
    let again = rig.pass(s(3));
    assert!(
        again
            .iter()
            .any(|action| matches!(action, Action::Scan(true)))
    );
    // Trying is not working, and another reason is the same failure.
    assert!(!rig.engine.health().is_well());
    rig.engine
        .scan_result(rig.clock.now(), Err("a second reason".to_owned()));
    let health = rig.engine.health();
    assert!(matches!(&health.scanning.state, State::Failing(why) if why == "a second reason"));
    assert_eq!(health.scanning.since, since);
    rig.pass(s(10));
    rig.engine.scan_result(rig.clock.now(), Ok(()));
    assert!(rig.engine.health().is_well());
}

#[test]
fn an_adapter_that_is_off_is_waited_for() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.engine.adapter(rig.clock.now(), AdapterState::Off);
    let health = rig.engine.health();
    assert!(matches!(&health.scanning.state, State::Failing(why) if why.contains("is off")));
    // Asked after a minute, should it not say so itself.
    let meanwhile = rig.pass(s(60));
    assert!(
        !meanwhile
            .iter()
            .any(|action| matches!(action, Action::Scan(_)))
    );
    assert!(frames(&meanwhile).is_empty());
    let fallback = rig.pass(s(5));
    assert!(
        fallback
            .iter()
            .any(|action| matches!(action, Action::Scan(true)))
    );

    rig.engine.adapter(rig.clock.now(), AdapterState::Off);
    rig.actions();
    rig.engine.adapter(rig.clock.now(), AdapterState::Ready);
    let at_once = rig.actions();
    assert!(
        at_once
            .iter()
            .any(|action| matches!(action, Action::Scan(true)))
    );
    assert_eq!(frames(&at_once).len(), 1);
}

#[test]
fn a_schedule_turns_the_radio_on_and_off() {
    let config = Config::new(Protocol::bluezone()).schedule(Schedule::bluezone_background());
    let (mut rig, _) = Rig::started(config);
    let actions = rig.pass(s(600));
    let count = |wanted: fn(&Action) -> bool| actions.iter().filter(|a| wanted(a)).count();
    assert_eq!(count(|action| matches!(action, Action::Scan(true))), 2);
    assert_eq!(count(|action| matches!(action, Action::Scan(false))), 2);
    assert_eq!(
        count(|action| matches!(action, Action::StopAdvertising)),
        20
    );
    // A frame every thirty seconds, but the identifier has not changed.
    assert_eq!(frames(&actions).len(), 20);
    assert_eq!(
        count(|action| matches!(action, Action::Tell(Event::Rotated { .. }))),
        0
    );
}

#[test]
fn a_radio_that_cannot_advertise_is_not_asked_to() {
    let mut rig = Rig::new(Config::new(Protocol::bluezone()));
    rig.engine
        .advertise_unsupported(rig.clock.now(), "no antenna");
    rig.engine.start(rig.clock.now());
    let actions = rig.pass(s(3_600));
    assert!(frames(&actions).is_empty());
    let state = rig.engine.health().advertising.state;
    assert_eq!(state, State::Unsupported("no antenna".to_owned()));
}

#[test]
fn without_entropy_nothing_is_advertised() {
    struct Nothing;
    impl Entropy for Nothing {
        fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let mut engine = Engine::new(Config::new(Protocol::gaen()), Vec::new(), Box::new(Nothing));
    let clock = ManualClock::new(START);
    engine.start(clock.now());
    let actions: Vec<_> = std::iter::from_fn(|| engine.next_action()).collect();
    assert!(frames(&actions).is_empty());
    assert!(matches!(
        engine.health().advertising.state,
        State::Failing(_)
    ));
}

#[test]
fn what_is_heard_is_counted_by_what_it_is() {
    let config = Config::new(Protocol::bluezone()).also_listen(Protocol::gaen());
    let (mut rig, first) = Rig::started(config);
    let mut heard = |frame: &Advertisement| rig.engine.heard(rig.clock.now(), frame, None);
    let mut bluezone = Advertisement::new();
    bluezone.push_manufacturer_data(0x22B5, &[9; 12]).unwrap();
    let mut gaen = Advertisement::new();
    gaen.push_service_data16(0xFD6F, &[9; 20]).unwrap();
    let mut short = Advertisement::new();
    short.push_service_data16(0xFD6F, &[9; 19]).unwrap();
    let mut ios = Advertisement::new();
    let overflow = [1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    ios.push_manufacturer_data(0x004C, &overflow).unwrap();
    for frame in [
        bluezone,
        gaen,
        short,
        ios,
        Advertisement::new(),
        frames(&first)[0].0,
    ] {
        heard(&frame);
    }
    let counters = rig.engine.health().counters;
    let counted = [
        counters.frames,
        counters.malformed_frames,
        counters.unread_frames,
        counters.foreign_frames,
        counters.own_frames,
    ];
    assert_eq!(counted, [2, 1, 1, 1, 1]);
}

#[test]
fn a_frame_that_mentions_one_protocol_and_carries_another_is_read() {
    let config = Config::new(Protocol::bluezone()).also_listen(Protocol::gaen());
    let (mut rig, _) = Rig::started(config);
    let mut frame = Advertisement::new();
    frame.push_service_data16(0xFD6F, &[9; 20]).unwrap();
    frame.push_service_uuid16(0x4E56).unwrap();
    rig.engine.heard(rig.clock.now(), &frame, None);
    let counters = rig.engine.health().counters;
    assert_eq!((counters.frames, counters.malformed_frames), (1, 0));
}

#[test]
fn an_engine_hears_the_virtual_air_under_a_clock_moved_by_hand() {
    let (mut rig, actions) = Rig::started(Config::new(Protocol::gaen()));
    let air = Air::new(AirConfig::default(), Arc::new(rig.clock.clone()));
    let (here, there) = (air.place(0.0, 0.0), air.place(2.0, 0.0));
    let (sink, mut events) = RadioSink::new(air.clock(), 10_000);
    here.listen(Some((Filter::of(&[Protocol::gaen()]), sink)));
    let mut other = Rig::started(Config::new(Protocol::gaen())).1;
    other.retain(|action| matches!(action, Action::Advertise { .. }));
    // Another device: other keys.
    let mut engine = Engine::new(
        Config::new(Protocol::gaen()),
        Vec::new(),
        Box::new(SeededEntropy::new(2)),
    );
    engine.start(rig.clock.now());
    let theirs: Vec<_> = std::iter::from_fn(|| engine.next_action()).collect();
    assert_ne!(frames(&theirs), frames(&actions));
    there.send(Some(frames(&theirs)[0].0));

    rig.clock.advance(s(25));
    air.catch_up();
    while let Some(event) = events.try_next() {
        if let RadioEvent::Heard {
            at, frame, rssi, ..
        } = event
        {
            rig.engine.heard(at, &frame, rssi);
        }
    }
    assert_eq!(rig.engine.neighbour_count(), 1);
    assert!((80..100).contains(&rig.engine.health().counters.frames));
}
