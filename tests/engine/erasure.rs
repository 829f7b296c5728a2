//! What is too old is forgotten, and it is told if that cannot be.

use truyvet::log::{KeyError, KeysRenewed};

use super::*;

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
fn a_retention_of_three_days() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()).retention_days(3));
    rig.pass(s(10 * 86_400));
    let keys = rig.engine.own_keys();
    let oldest = rig.clock.now().wall.utc_day().saturating_sub(3);
    assert_eq!((keys.len(), keys[0].day()), (4, oldest));
}

#[test]
fn a_day_is_noticed_though_nobody_is_near_and_nothing_is_advertised() {
    let mut rig = Rig::new(Config::new(Protocol::gaen()));
    rig.engine
        .advertise_unsupported(rig.clock.now(), "no antenna");
    rig.engine.start(rig.clock.now());
    rig.engine.scan_result(rig.clock.now(), Ok(()));
    assert_eq!(purges(&rig.actions()).len(), 1);
    assert_eq!(purges(&rig.pass(s(3 * 86_400))).len(), 3);
}

fn locked() -> KeysRenewed {
    KeysRenewed::Deferred(KeyError::Unavailable("the device is locked".to_owned()))
}

#[test]
fn keys_that_could_not_be_renewed_are_tried_each_hour_and_it_is_told() {
    let (mut rig, actions) = Rig::started(Config::new(Protocol::gaen()));
    let today = rig.clock.now().wall.utc_day();
    assert_eq!(purges(&actions), [today]);
    rig.engine.erasure_result(rig.clock.now(), &locked());
    let since = rig.clock.now().wall;
    let news = told(&rig.pass(s(10)));
    let [said] = &news[..] else {
        panic!("{news:?}")
    };
    assert!(
        said.contains("not forgotten yet: the key is not available: the device is locked"),
        "{said}"
    );
    for _ in 0..3 {
        assert_eq!(purges(&rig.pass(s(3_589))), []);
        assert_eq!(purges(&rig.pass(s(11))), [today]);
        rig.engine.erasure_result(rig.clock.now(), &locked());
        rig.pass(s(10));
    }
    let health = rig.engine.health();
    assert_eq!(health.erasure.since, since);
    assert!(matches!(health.erasure.state, State::Failing(_)));
    assert!(health.is_well(), "it traces all the same");
    // What there is today does not say that the day before is renewed.
    rig.engine
        .erasure_result(rig.clock.now(), &KeysRenewed::NotDue);
    assert!(matches!(
        rig.engine.health().erasure.state,
        State::Failing(_)
    ));
    assert_eq!(purges(&rig.pass(s(3_600))), [today]);
    rig.engine
        .erasure_result(rig.clock.now(), &KeysRenewed::Renewed);
    let news = told(&rig.actions());
    assert!(
        news.len() == 1 && !news[0].contains("forgotten"),
        "{news:?}"
    );
    assert_eq!(rig.engine.health().erasure.state, State::Working);
    assert_eq!(purges(&rig.pass(s(6 * 3_600))), []);
}

#[test]
fn a_purge_that_failed_is_tried_each_hour_and_it_is_told() {
    let (mut rig, actions) = Rig::started(Config::new(Protocol::gaen()));
    let today = rig.clock.now().wall.utc_day();
    assert_eq!(purges(&actions), [today]);
    for _ in 0..2 {
        let reason = "the disk is full".to_owned();
        rig.engine.erasure_failed(rig.clock.now(), reason);
        assert_eq!(purges(&rig.pass(s(3_599))), []);
        assert_eq!(purges(&rig.pass(s(1))), [today]);
    }
    let said = rig.engine.health().to_string();
    assert!(said.contains("the disk is full"), "{said}");
    // Nothing was too old: that is all there was to do.
    rig.engine
        .erasure_result(rig.clock.now(), &KeysRenewed::NotDue);
    assert_eq!(rig.engine.health().erasure.state, State::Working);
    assert_eq!(purges(&rig.pass(s(6 * 3_600))), []);
}

#[test]
fn a_purge_that_failed_does_not_hide_keys_that_were_put_off() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.engine.erasure_result(rig.clock.now(), &locked());
    rig.engine
        .erasure_failed(rig.clock.now(), "the disk is full".to_owned());
    rig.engine
        .erasure_result(rig.clock.now(), &KeysRenewed::NotDue);
    assert!(matches!(
        rig.engine.health().erasure.state,
        State::Failing(_)
    ));
    assert_eq!(purges(&rig.pass(s(3_600))).len(), 1);
}

#[test]
fn what_was_put_off_is_tried_when_a_day_begins() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    // A quarter to midnight.
    rig.pass(s(13 * 3_600 + 45 * 60));
    rig.engine.erasure_result(rig.clock.now(), &locked());
    let tomorrow = rig.clock.now().wall.utc_day().end().utc_day();
    assert_eq!(purges(&rig.pass(s(900))), [tomorrow]);
    // One try stands for both.
    assert_eq!(purges(&rig.pass(s(3_600))), []);
}

#[test]
fn a_provider_that_cannot_replace_its_keys_is_told_once() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    let mut news = Vec::new();
    for _ in 0..3 {
        let cannot = KeysRenewed::Deferred(KeyError::CannotReplace);
        rig.engine.erasure_result(rig.clock.now(), &cannot);
        let actions = rig.pass(s(86_400));
        // Files are deleted each day all the same; it is not asked more often.
        assert_eq!(purges(&actions).len(), 1);
        news.extend(told(&actions));
    }
    news.retain(|it| !it.contains("nobody heard"));
    let [said] = &news[..] else {
        panic!("{news:#?}")
    };
    assert!(
        said.contains("never forgotten: the keys cannot be replaced here"),
        "{said}"
    );
    let state = rig.engine.health().erasure.state;
    assert!(matches!(state, State::Unsupported(_)), "{state}");
}

#[test]
fn nothing_is_put_off_and_told_where_all_is_well() {
    let (mut rig, _) = Rig::started(Config::new(Protocol::gaen()));
    rig.engine
        .erasure_result(rig.clock.now(), &KeysRenewed::Renewed);
    assert_eq!(told(&rig.actions()), Vec::<String>::new());
    let said = rig.engine.health().to_string();
    assert!(
        !said.contains("forgotten") && !said.contains("erase"),
        "{said}"
    );
}
