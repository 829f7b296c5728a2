//! When keys are published, and that nothing changes when nothing has.

use super::*;

#[test]
fn keys_still_valid_are_held_back() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 5)];
    // Valid until hour 24, matched until 26 by late clocks, published with that hour's.
    for hours in [6, 24, 25, 26] {
        let done = run(&store, &keys, after(hours));
        assert_eq!((done.keys, done.waiting), (0, 1), "{hours}");
        assert!(done.finished.is_empty() && done.packages.is_empty());
        assert!(device(&store, after(hours)).numbers().is_empty());
    }
    let done = run(&store, &keys, after(27));
    assert_eq!((done.keys, done.waiting), (1, 0));
    assert_eq!(done.finished, [ReportId(1)]);
    assert_eq!(device(&store, after(27)).numbers(), [1]);
}

#[test]
fn keys_accepted_later_are_published_with_the_hour() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 30), accepted(2, 31)];
    let done = run(&store, &keys, after(31));
    assert_eq!((done.keys, done.waiting), (1, 1));
    assert_eq!(done.until, at(31));
    assert_eq!(device(&store, after(31)).numbers(), [1]);
    let done = run(&store, &keys, after(32));
    assert_eq!((done.keys, done.waiting), (1, 0));
    assert_eq!(device(&store, after(32)).numbers(), [1, 2]);
}

#[test]
fn an_hour_is_published_once_it_has_settled() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 30)];
    let ended = at(31).saturating_add(Duration::from_secs(299));
    assert_eq!(run(&store, &keys, ended).keys, 0);
    let settled = at(31).saturating_add(Duration::from_secs(300));
    assert_eq!(run(&store, &keys, settled).keys, 1);
}

#[test]
fn running_again_changes_nothing() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 30), accepted(2, 30), accepted(3, 50)];
    run(&store, &keys, after(40));
    let before = store.files();
    let again = run(&store, &keys, after(40));
    assert_eq!((again.keys, again.packages.len()), (0, 0));
    assert_eq!(again.closed, 2);
    assert_eq!(again.finished, [ReportId(1), ReportId(2)]);
    assert_eq!(store.files(), before);
}

#[test]
fn the_same_keys_make_the_same_files() {
    let (one, other) = (MemoryStore::default(), MemoryStore::default());
    let mut keys = vec![accepted(1, 30), accepted(2, 30), accepted(3, 50)];
    keys.push(AcceptedKey::new(entry(4), at(30), ReportId(4)));
    for hours in [31, 51, 80] {
        run(&one, &keys, after(hours));
        keys.reverse();
        run(&other, &keys, after(hours));
    }
    assert_eq!(one.files(), other.files());
    assert!(one.files().len() > 5);
}

#[test]
fn a_publisher_that_was_off_makes_the_hours_that_it_missed() {
    let (on, off) = (MemoryStore::default(), MemoryStore::default());
    let keys = [accepted(1, 30), accepted(2, 33), accepted(3, 50)];
    for hours in 28..60 {
        run(&on, &keys, after(hours));
    }
    run(&off, &keys, after(28));
    run(&off, &keys, after(59));
    // All but the index's number.
    let mut names = [on.names().unwrap(), off.names().unwrap()];
    assert_eq!(names[0], names[1]);
    names[0].retain(|name| on.files()[name] != off.files()[name]);
    assert_eq!(names[0], [""; 0]);
}

#[test]
fn a_clock_set_back_publishes_nothing_twice() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 30)];
    run(&store, &keys, after(40));
    let before = store.files();
    let done = run(&store, &keys, after(2));
    assert_eq!((done.keys, done.until), (0, at(40)));
    assert_eq!(store.files(), before);
}

#[test]
fn what_is_accepted_after_a_clock_was_set_back_waits_for_the_next_hour() {
    let store = MemoryStore::default();
    let asked = |hours| {
        publisher()
            .closes_until(&store, &[&AUTHORITY], after(hours))
            .unwrap()
    };
    assert_eq!(asked(40), at(40));
    run(&store, &[], after(40));
    // Two hours back, a report comes: by that clock its hour is over already.
    let lost = accepted(1, 38);
    let mut kept = accepted(2, 38);
    kept.accepted_at = kept.accepted_at.max(asked(38));
    let keys = [lost, kept];
    let done = run(&store, &keys, after(38));
    assert_eq!((done.keys, done.waiting, done.closed), (0, 1, 1));
    assert_eq!(done.finished, [ReportId(1)]);
    let done = run(&store, &keys, after(41));
    assert_eq!((done.keys, done.waiting, done.closed), (1, 0, 1));
    assert_eq!(device(&store, after(41)).numbers(), [2]);
}

#[test]
fn a_publication_that_was_lost_is_read_again_from_the_next_hour_on() {
    let store = MemoryStore::default();
    for hours in 30..40 {
        run(&store, &[], after(hours));
    }
    let mut device = device(&store, after(40));
    let anew = MemoryStore::default();
    run(&anew, &[accepted(1, 40)], after(41));
    assert_eq!(device.reads(&anew, after(41)).numbers(), [1]);
}

#[test]
fn a_clock_that_leapt_closes_no_hours() {
    let store = MemoryStore::default();
    run(&store, &[], after(40));
    let before = store.files();
    let error = run_by(&publisher(), &store, &[accepted(1, 50)], after(24 * 400)).unwrap_err();
    assert!(matches!(error, PublishError::LongPause { .. }), "{error}");
    assert_eq!(store.files(), before);
    // A pause that was meant is gone on from.
    let mut options = options();
    options.pause_max = Duration::from_secs(86_400 * 10);
    let patient = Publisher::new(options, Secret::new([9; 32]));
    let done = run_by(&patient, &store, &[accepted(1, 50)], after(24 * 9)).unwrap();
    assert_eq!(done.keys, 1);
}

#[test]
fn few_keys_are_hidden_among_random_ones() {
    let store = MemoryStore::default();
    let keys = [
        accepted(1, 30),
        AcceptedKey::new(entry(2), at(30), ReportId(2)),
    ];
    run(&store, &keys, after(31));
    let device = device(&store, after(31));
    assert_eq!(device.packages, 2);
    assert!(
        (20..=26).contains(&device.keys.len()),
        "{}",
        device.keys.len()
    );
    let mut models: Vec<_> = device
        .keys
        .iter()
        .filter_map(|(key, _)| key.clone().into_gaen())
        .map(|key| (key.rolling_start(), key.rolling_period(), key.report_type))
        .collect();
    models.dedup();
    assert_eq!(models.len(), 1);
    let bytes: Vec<_> = device
        .keys
        .iter()
        .filter_map(|(key, _)| key.clone().into_gaen())
        .collect();
    assert!(bytes.is_sorted_by_key(|key| *key.key()));
}

#[test]
fn another_secret_pads_otherwise() {
    let (one, other) = (MemoryStore::default(), MemoryStore::default());
    run(&one, &[accepted(1, 30)], after(31));
    let publisher = Publisher::new(options(), Secret::new([8; 32]));
    run_by(&publisher, &other, &[accepted(1, 30)], after(31)).unwrap();
    assert_ne!(one.names(), other.names());
}

#[test]
fn keys_given_twice_are_published_once() {
    let store = MemoryStore::default();
    let again = AcceptedKey::new(diagnosis_key(1), at(30), ReportId(7));
    let entries = [entry(3), entry(3)].map(|it| AcceptedKey::new(it, at(30), ReportId(3)));
    let keys = [&[accepted(1, 30), again.clone()][..], &entries].concat();
    let done = run(&store, &keys, after(31));
    assert_eq!((done.keys, done.repeated), (2, 2));
    // In another hour, and so on one day.
    let mut later = again;
    later.accepted_at = at(33);
    run(&store, &[later], after(34));
    run(&store, &[], after(49));
    assert_eq!(device(&store, after(49)).numbers(), [3, 1]);
}

#[test]
fn keys_of_long_ago_are_left_out() {
    let store = MemoryStore::default();
    let keys = [accepted(1, 24 * 16)];
    let done = run(&store, &keys, after(24 * 16 + 1));
    assert_eq!((done.keys, done.too_old), (0, 1));
    assert_eq!(done.finished, [ReportId(1)]);
}
