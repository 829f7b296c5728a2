//! Days of hours, and what becomes of them.

use proptest::prelude::*;

use super::*;

/// Two keys of each protocol on the second day.
fn keys() -> Vec<AcceptedKey> {
    let mut keys = vec![accepted(1, 30), accepted(2, 35)];
    for (number, hours) in [(3, 30), (4, 40)] {
        keys.push(AcceptedKey::new(entry(number), at(hours), ReportId(9)));
    }
    keys
}

#[test]
fn a_day_is_all_of_its_hours_padding_included() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(47));
    assert!(published(&store, Cycle::Daily).is_empty());
    let done = run(&store, &[], after(48));
    assert_eq!(done.packages.len(), 2);
    let hours = published(&store, Cycle::Hourly);
    assert!(hours.len() >= 40);
    assert_eq!(published(&store, Cycle::Daily), hours);
}

#[test]
fn a_device_that_was_off_reads_days() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(47));
    assert_eq!(device(&store, after(47)).packages, 4);
    run(&store, &[accepted(5, 49)], after(50));
    let device = device(&store, after(50));
    assert_eq!(device.packages, 3);
    assert_eq!(device.numbers(), [3, 4, 1, 2, 5]);
}

#[test]
fn a_device_that_reads_on_reads_hours() {
    let store = MemoryStore::default();
    let mut device = Device::default();
    for hours in 28..75 {
        run(&store, &keys(), after(hours));
        device.reads(&store, after(hours));
    }
    assert_eq!(device.packages, 4);
    assert_eq!(device.numbers(), [3, 1, 2, 4]);
}

#[test]
fn one_protocol_alone() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(50));
    for (protocol, count) in [
        (crate::ProtocolKind::Gaen, 1),
        (crate::ProtocolKind::Bluezone, 1),
    ] {
        let options = UpdateOptions {
            protocol: Some(protocol),
            ..UpdateOptions::default()
        };
        let cursor = Cursor::default();
        let update = Update::fetch(&store, &trusted(), &cursor, options, after(50)).unwrap();
        assert_eq!(update.remaining(), count);
        assert_eq!(update.next_package().unwrap().protocol, protocol);
    }
}

#[test]
fn hours_leave_the_index_and_then_the_store() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(50));
    let count = |cycle: &str| {
        let names = store.names().unwrap();
        names.iter().filter(|name| name.contains(cycle)).count()
    };
    // The second day's hours are listed for two days after it has ended, and there for another.
    for (hours, listed, there) in [
        (95, true, 4),
        (96, false, 4),
        (119, false, 4),
        (120, false, 0),
    ] {
        let done = run(&store, &[], after(hours));
        assert_eq!(
            !published(&store, Cycle::Hourly).is_empty(),
            listed,
            "{hours}"
        );
        assert_eq!((count("hourly"), count("daily")), (there, 2), "{hours}");
        assert_eq!(done.deleted > 0, there == 0, "{hours}");
    }
}

#[test]
fn days_leave_with_the_retention() {
    let store = MemoryStore::default();
    for day in 2..20 {
        let done = run(&store, &keys(), after(24 * day));
        let listed = !published(&store, Cycle::Daily).is_empty();
        // The second day's packages, until it began 14 days before.
        assert_eq!(listed, day <= 15, "{day}");
        let names = store.names().unwrap();
        assert_eq!(names.is_empty(), day >= 17, "{day}: {names:?}");
        assert_eq!(done.keys > 0, day == 2, "{day}");
    }
}

#[test]
fn a_device_back_in_the_midst_of_a_day_of_long_ago_reads_the_day() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(33));
    let mut device = Device::default();
    device.reads(&store, after(33));
    assert_eq!(device.numbers(), [3, 1]);
    run(&store, &keys(), after(24 * 6));
    device.reads(&store, after(24 * 6));
    // What it knew comes once more: the hours are no longer listed.
    assert_eq!(device.numbers(), [3, 1, 3, 4, 1, 2]);
}

#[test]
fn keys_of_an_authority_that_changes_its_own() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(47));
    let new = SigningKey::generate()
        .unwrap()
        .named(KeyName::new("452", "v2"));
    let publisher_of = |trusted: &[VerificationKey]| {
        let mut options = options();
        options.trusted = trusted.to_vec();
        Publisher::new(options, Secret::new([9; 32]))
    };
    let refused = publisher_of(&[]).run(&store, [], &[&new], after(48));
    let refused = refused.unwrap_err();
    assert!(matches!(
        refused,
        PublishError::Index(IndexError::NotVerified { .. })
    ));
    let done = publisher_of(&trusted()).run(&store, [], &[&new], after(48));
    assert_eq!(done.unwrap().packages.len(), 2);
    let either = [new.verification_key().clone(), trusted()[0].clone()];
    let options = UpdateOptions::default();
    let update = Update::fetch(&store, &either, &Cursor::default(), options, after(48)).unwrap();
    assert_eq!(update.remaining(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whenever a publisher runs and a device reads, the device has every key that was published, and each once
    /// if it never waits longer than hours are listed.
    #[test]
    fn every_key_reaches_every_device(
        accepted_in in prop::collection::vec(26u64..90, 1..20),
        runs in prop::collection::btree_set(27u64..100, 1..12),
        reads in prop::collection::btree_set(27u64..100, 0..12),
    ) {
        let store = MemoryStore::default();
        let keys: Vec<_> = (1..).zip(&accepted_in).map(|(n, h)| accepted(n, *h)).collect();
        let mut device = Device::default();
        let mut often = true;
        for hours in 27..=101 {
            if runs.contains(&hours) || hours == 101 {
                run(&store, &keys, after(hours));
            }
            if hours == 101 || reads.contains(&hours) && store.index().unwrap().is_some() {
                // Two days and the rest of a third are listed by the hour.
                let until = device.cursor.until();
                let never = until == Timestamp::from_unix_seconds(0);
                often &= never || until >= at((hours / 24 * 24).saturating_sub(48));
                device.reads(&store, after(hours));
            }
        }
        let mut numbers = device.numbers();
        numbers.sort_unstable();
        let known = numbers.len();
        numbers.dedup();
        prop_assert_eq!(&numbers, &(1..=keys.len() as u8).collect::<Vec<_>>());
        if often {
            prop_assert_eq!(known, numbers.len());
        }
    }
}
