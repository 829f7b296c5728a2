use std::sync::LazyLock;

use super::*;
use crate::Secret;
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::publisher::{AcceptedKey, Publisher, PublisherOptions, ReportId};
use crate::publication::signature::SigningKey;
use crate::publication::store::MemoryStore;
use crate::time::{IntervalNumber, UtcDay};

static AUTHORITY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());

fn at(hours: u64) -> Timestamp {
    let day: UtcDay = "2026-11-23".parse().unwrap();
    day.start()
        .saturating_add(Duration::from_secs(3600 * hours + 600))
}

fn trusted() -> [VerificationKey; 1] {
    [AUTHORITY.verification_key().clone()]
}

/// The keys of both protocols that became publishable in the hour from `hours`.
fn keys(hours: u64) -> [AcceptedKey; 2] {
    let start = at(0).utc_day().start();
    let key = DiagnosisKey::new([hours as u8; 16], IntervalNumber::at(start), 144).unwrap();
    let start = start.unix_seconds();
    let entry = PublishedEntry::new([hours as u8; 32], start, start + 86_399, 96).unwrap();
    [
        AcceptedKey::new(key, at(hours), ReportId(1)),
        AcceptedKey::new(entry, at(hours), ReportId(1)),
    ]
}

fn publish(region: &str, store: &MemoryStore, hours: u64) {
    let publisher = Publisher::new(PublisherOptions::new(region), Secret::new([9; 32]));
    let keys = (27..hours).flat_map(keys);
    publisher
        .run(store, keys, &[&AUTHORITY], at(hours))
        .unwrap();
}

fn store(hours: u64) -> MemoryStore {
    let store = MemoryStore::default();
    publish("VN", &store, 27);
    publish("VN", &store, hours);
    store
}

fn fetch<'s>(
    store: &'s MemoryStore,
    cursor: &Cursor,
    hours: u64,
) -> Result<Update<'s>, UpdateError> {
    Update::fetch(
        store,
        &trusted(),
        cursor,
        UpdateOptions::default(),
        at(hours),
    )
}

fn refusal(store: &MemoryStore, cursor: &Cursor) -> UpdateError {
    fetch(store, cursor, 30).unwrap_err()
}

fn cursor(store: &MemoryStore) -> Cursor {
    let update = fetch(store, &Cursor::default(), 30).unwrap();
    update.cursor().clone()
}

/// `store` with the file whose name begins so changed.
fn changed(store: &MemoryStore, prefix: &str, change: impl FnOnce(&mut Vec<u8>)) -> MemoryStore {
    let mut files = store.files();
    let name = files
        .keys()
        .find(|name| name.starts_with(prefix))
        .unwrap()
        .clone();
    change(files.get_mut(&name).unwrap());
    MemoryStore::new(files)
}

#[test]
fn index_missing() {
    let refused = refusal(&MemoryStore::default(), &Cursor::default());
    assert_eq!(refused, UpdateError::NoIndex);
}

#[test]
fn index_downgraded() {
    let (old, new) = (store(28), MemoryStore::new(store(28).files()));
    publish("VN", &new, 29);
    let hours = |until| at(until).unix_seconds() / 3600;
    let (expected, got) = (hours(29), hours(28));
    assert_eq!(
        refusal(&old, &cursor(&new)),
        UpdateError::Downgraded { expected, got }
    );
    assert!(fetch(&new, &cursor(&old), 30).is_ok());
}

#[test]
fn index_forked() {
    let (one, other) = (store(29), MemoryStore::default());
    let publisher = Publisher::new(PublisherOptions::new("VN"), Secret::new([9; 32]));
    publisher.run(&other, [], &[&AUTHORITY], at(29)).unwrap();
    let number = at(29).unix_seconds() / 3600;
    assert_eq!(
        refusal(&other, &cursor(&one)),
        UpdateError::Forked { number }
    );
}

#[test]
fn index_of_another_region() {
    let other = MemoryStore::default();
    for hours in 27..30 {
        publish("LA", &other, hours);
    }
    let (expected, got) = (String::from("VN"), String::from("LA"));
    let refused = UpdateError::OtherRegion { expected, got };
    assert_eq!(refusal(&other, &cursor(&store(28))), refused);
}

#[test]
fn index_of_another_authority() {
    let stranger = [SigningKey::generate().unwrap().verification_key().clone()];
    let (store, cursor) = (store(28), Cursor::default());
    let options = UpdateOptions::default();
    let refused = Update::fetch(&store, &stranger, &cursor, options, at(28)).unwrap_err();
    let expected = IndexError::NotVerified { signatures: 1 };
    assert_eq!(refused, UpdateError::Index(expected));
}

#[test]
fn index_stale_is_told() {
    let store = store(28);
    let age = |hours| fetch(&store, &Cursor::default(), hours).unwrap().stale();
    assert_eq!(age(28), None);
    assert_eq!(age(33), None);
    assert_eq!(age(34), Some(Duration::from_secs(6 * 3600 + 600)));
    // It is read all the same.
    assert_eq!(
        fetch(&store, &Cursor::default(), 300).unwrap().remaining(),
        2
    );
}

#[test]
fn package_flipped() {
    for (prefix, at) in [("gaen", 50), ("bluezone", 30)] {
        let store = changed(&store(28), prefix, |bytes| bytes[at] ^= 1);
        let mut update = fetch(&store, &Cursor::default(), 28).unwrap();
        if !update.next_package().unwrap().name().starts_with(prefix) {
            update.matched();
        }
        let name = update.next_package().unwrap().name();
        assert!(name.starts_with(prefix));
        assert_eq!(
            update.next_batch().unwrap_err(),
            UpdateError::OtherHash { name }
        );
        // And what was not read is not passed over.
        assert!(cursor(&store).until() < at_end());
        assert_eq!(update.remaining(), if prefix == "gaen" { 1 } else { 2 });
    }
}

fn at_end() -> Timestamp {
    let end = at(28).unix_seconds() - 600;
    Timestamp::from_unix_seconds(end)
}

#[test]
fn package_longer_than_the_index_says() {
    let store = changed(&store(28), "gaen", |bytes| bytes.push(0));
    let mut update = fetch(&store, &Cursor::default(), 28).unwrap();
    update.matched();
    let package = update.next_package().unwrap();
    let (name, max) = (package.name(), package.bytes);
    let refused = UpdateError::Source(StoreError::TooLong { name, max });
    assert_eq!(update.next_batch().unwrap_err(), refused);
}

#[test]
fn package_missing() {
    let mut files = store(28).files();
    files.retain(|name, _| !name.starts_with("bluezone"));
    let store = MemoryStore::new(files);
    let update = fetch(&store, &Cursor::default(), 28).unwrap();
    let name = update.next_package().unwrap().name();
    assert_eq!(
        update.next_batch().unwrap_err(),
        UpdateError::Missing { name }
    );
}

#[test]
fn a_device_that_stops_halfway_goes_on_there() {
    let store = store(31);
    let mut update = fetch(&store, &Cursor::default(), 31).unwrap();
    assert_eq!(update.remaining(), 8);
    for left in (4..8).rev() {
        update.matched();
        let json = serde_json::to_string(update.cursor()).unwrap();
        let kept: Cursor = serde_json::from_str(&json).unwrap();
        let again = fetch(&store, &kept, 31).unwrap();
        assert_eq!(again.remaining(), left);
        assert_eq!(again.next_package(), update.next_package());
    }
}
