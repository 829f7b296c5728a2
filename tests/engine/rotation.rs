//! Which identifier is advertised when, and from which key.

use super::*;

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
fn the_health_says_how_long_the_own_identifier_is_on_the_air() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::bluezone()));
    let own = |since, until| {
        Some(OwnIdentifier {
            protocol: ProtocolKind::Bluezone,
            since: START.saturating_add(s(since)),
            until: START.saturating_add(s(until)),
        })
    };
    assert_eq!(rig.engine.health().own_identifier, own(0, 900));
    rig.pass(s(899));
    assert_eq!(rig.engine.health().own_identifier, own(0, 900));
    rig.pass(s(1));
    // The next one counts from when it is on the air indeed.
    assert_eq!(rig.engine.health().own_identifier, own(0, 900));
    let now = rig.clock.now();
    rig.engine.advertise_result(now, Ok(Advertised::default()));
    assert_eq!(rig.engine.health().own_identifier, own(900, 1_800));
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
        let published = rig.engine.release(rig.clock.now(), [today]);
        let silent = rig.actions();
        assert!(
            silent
                .iter()
                .any(|action| matches!(action, Action::StopAdvertising))
        );
        assert!(frames(&silent).is_empty());
        assert_eq!(rig.engine.health().own_identifier, None);
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
        assert!(rig.engine.release(rig.clock.now(), [today]).contains(key));
    }
}

#[test]
fn released_gaen_keys_of_a_day_do_not_overlap() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    let today = START.utc_day();
    for _ in 0..3 {
        rig.engine.release(rig.clock.now(), [today]);
        rig.pass(s(1_500));
    }
    let published = rig.engine.release(rig.clock.now(), [today]);
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
    // The second day is taken out.
    let third = UtcDay::from_unix_days(first.unix_days() + 2);
    let released = rig.engine.release(rig.clock.now(), [third, first]);
    assert_eq!(released.len(), 2);
    let marked = rig.engine.own_keys().iter().filter(|key| key.is_released());
    let days: Vec<_> = marked.map(OwnKey::day).collect();
    assert_eq!(days, [first, third]);
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
