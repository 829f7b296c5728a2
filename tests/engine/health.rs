//! What is told of failures, silences, gaps, and what a witness sees.

use truyvet::engine::DutyCycle;
use truyvet::radio::{Caveat, Peer};
use truyvet::sighting::{GapCause, ScanGap};

use super::*;

fn gaps(actions: &[Action]) -> Vec<ScanGap> {
    let gap = |action: &Action| match action {
        Action::StoreGap(gap) => Some(*gap),
        _ => None,
    };
    actions.iter().filter_map(gap).collect()
}

#[test]
fn a_restart_of_the_daemon_is_not_told_but_marked_in_the_log() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    rig.pass(s(60));
    let from = rig.clock.now().wall;
    rig.engine.adapter(rig.clock.now(), AdapterState::Gone);
    assert!(!rig.engine.health().is_well());
    let mut actions = rig.pass(s(4));
    rig.engine.adapter(rig.clock.now(), AdapterState::Ready);
    rig.engine.scan_result(rig.clock.now(), Ok(()));
    rig.engine
        .advertise_result(rig.clock.now(), Ok(Advertised::default()));
    let to = rig.clock.now().wall;
    actions.extend(rig.pass(s(60)));
    assert_eq!(told(&actions), Vec::<String>::new());
    let [gap] = gaps(&actions)[..] else {
        panic!("{actions:?}")
    };
    assert_eq!((gap.from, gap.to, gap.cause), (from, to, GapCause::Adapter));
}

#[test]
fn a_gap_that_lasts_to_the_end_is_marked_too() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    rig.engine
        .scan_result(rig.clock.now(), Err("no antenna".to_owned()));
    rig.pass(s(10));
    rig.engine.stop(rig.clock.now());
    let gaps = gaps(&rig.actions());
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0].to.since(gaps[0].from), s(10));
    assert_eq!(gaps[0].cause, GapCause::Radio);
}

#[test]
fn after_a_sleep_scan_and_advertisement_are_begun_again() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    rig.pass(s(60));
    let asleep = rig.clock.now().wall;
    rig.clock.jump_to(asleep.saturating_add(s(120)));
    rig.engine.tick(rig.clock.now());
    let mut actions = rig.actions();
    assert!(actions.iter().any(|it| matches!(it, Action::Scan(true))));
    assert_eq!(frames(&actions).len(), 1);
    rig.engine.scan_result(rig.clock.now(), Ok(()));
    actions.extend(rig.actions());
    let gaps = gaps(&actions);
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].cause, GapCause::ClockJump);
    assert_eq!((gaps[0].from, gaps[0].to), (asleep, rig.clock.now().wall));
}

#[test]
fn a_silence_is_told_once_and_its_end() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    let begin = rig.clock.now().wall;
    assert!(told(&rig.pass(s(599))).is_empty());
    let silent = told(&rig.pass(s(601)));
    let [silent] = &silent[..] else {
        panic!("{silent:?}")
    };
    assert!(silent.contains("nobody heard since"), "{silent}");
    assert_eq!(rig.engine.health().silent_since, Some(begin));
    let stranger = Protocol::gaen()
        .frame(&stranger_key(), rig.clock.now().wall)
        .unwrap();
    rig.engine
        .heard(rig.clock.now(), &stranger, Rssi::from_dbm(-60));
    let over = told(&rig.actions());
    assert_eq!(over.len(), 1);
    assert!(!over[0].contains("nobody"), "{}", over[0]);
}

#[test]
fn nobody_is_silent_while_nobody_listens() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.engine.adapter(rig.clock.now(), AdapterState::Off);
    let told = told(&rig.pass(s(3_600)));
    assert!(told.iter().all(|it| !it.contains("nobody")), "{told:?}");
    assert_eq!(rig.engine.health().silent_since, None);
}

#[test]
fn a_schedule_that_rests_long_is_given_three_turns() {
    let scan = DutyCycle::periodic(s(10), s(990)).unwrap();
    let schedule = Schedule::new(scan, DutyCycle::CONTINUOUS);
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()).schedule(schedule));
    rig.pass(s(2_999));
    assert_eq!(rig.engine.health().silent_since, None);
    rig.pass(s(2));
    assert!(rig.engine.health().silent_since.is_some());
}

#[test]
fn a_witness_shows_that_an_identifier_is_on_the_air_and_whether_addresses_link() {
    let (mut rig, first) = Rig::started(Config::new(Protocol::bluezone()));
    let peer = Peer::from_address([1, 2, 3, 4, 5, 6]);
    let witness = |rig: &mut Rig, frame: &Advertisement, peer| {
        rig.engine.witnessed(rig.clock.now(), frame, Some(peer));
        rig.engine.health()
    };
    let own = frames(&first)[0].0;
    let health = witness(&mut rig, &own, peer);
    assert_eq!(health.own_heard, Some(rig.clock.now().wall));
    assert!(health.advertised.unwrap().caveats.is_empty());
    // Under the same address after a rotation: linked.
    let next = frames(&rig.pass(s(900)))[0].0;
    let health = witness(&mut rig, &next, peer);
    let caveats = health.advertised.unwrap().caveats;
    assert!(matches!(caveats[..], [Caveat::LinkableAddress { .. }]));
    // Under another: not any more.
    let next = frames(&rig.pass(s(900)))[0].0;
    let health = witness(&mut rig, &next, Peer::from_address([9; 6]));
    assert!(health.advertised.unwrap().caveats.is_empty());
    // Somebody else's identifier is none of its business.
    let other = Protocol::bluezone().frame(&stranger_key(), rig.clock.now().wall);
    assert!(other.is_err(), "a GAEN key makes no Bluezone frame");
    assert_eq!(rig.engine.health().counters.frames, 0);
}

pub(super) fn stranger_key() -> OwnKey {
    let mut other = Engine::new(
        Config::new(Protocol::gaen()),
        Vec::new(),
        Box::new(SeededEntropy::new(77)),
    );
    other.start(ManualClock::new(START).now());
    let dir = tempfile::tempdir().unwrap();
    let key = truyvet::log::MemoryKey::random().unwrap();
    let mut log = truyvet::EncounterLog::open(dir.path(), key).unwrap();
    log.save_own_keys(other.own_keys()).unwrap();
    log.own_keys().unwrap().remove(0)
}

#[test]
fn a_neighbours_growth_is_told_once_each_time() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    let frame = bluezone_frame(9);
    let mut grown = Vec::new();
    // A frame comes at the very moment of each look, and before it.
    for _ in 0..12 {
        rig.clock.advance(s(10));
        rig.engine.heard(rig.clock.now(), &frame, None);
        rig.engine.tick(rig.clock.now());
        grown.extend(rig.actions().into_iter().filter_map(|action| match action {
            Action::Tell(Event::ContactGrowing { duration, .. }) => Some(duration.as_secs()),
            _ => None,
        }));
    }
    assert_eq!(grown, [30, 60, 90]);
}

#[test]
fn an_adapter_that_refuses_to_scan_may_advertise() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    rig.engine.adapter(rig.clock.now(), AdapterState::Gone);
    rig.actions();
    rig.engine.adapter(rig.clock.now(), AdapterState::Refused);
    let actions = rig.actions();
    assert_eq!(frames(&actions).len(), 1);
    assert!(!actions.iter().any(|it| matches!(it, Action::Scan(true))));
    rig.engine
        .advertise_result(rig.clock.now(), Ok(Advertised::default()));
    let health = rig.engine.health();
    assert_eq!(health.advertising.state, State::Working);
    assert!(matches!(health.scanning.state, State::Failing(_)));
    // It is told once it scans.
    rig.engine.adapter(rig.clock.now(), AdapterState::Ready);
    let actions = rig.actions();
    assert!(actions.iter().any(|it| matches!(it, Action::Scan(true))));
    assert_eq!(frames(&actions).len(), 0);
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
