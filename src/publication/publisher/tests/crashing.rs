//! Publishers that are killed, and publishers that meet.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::publication::store::{BatchSource, Contents};

/// A store at which the publisher dies: at its `left`th change, before it is done or after.
struct Mortal<'s> {
    store: &'s MemoryStore,
    left: AtomicUsize,
    done: bool,
}

impl Mortal<'_> {
    fn change(&self, change: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let dead = || StoreError::Failed {
            name: String::from("-"),
            reason: String::from("killed"),
        };
        // Dead is dead.
        let left = self.left.load(Ordering::Relaxed);
        if left == 0 {
            return Err(dead());
        }
        self.left.store(left - 1, Ordering::Relaxed);
        if left > 1 {
            return change();
        }
        if self.done {
            change()?;
        }
        Err(dead())
    }
}

impl BatchSource for Mortal<'_> {
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        self.store.open(name, bytes_max)
    }
}

impl PublicationStore for Mortal<'_> {
    fn create(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        self.change(|| self.store.create(name, contents))
    }

    fn index(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.store.index()
    }

    fn replace_index(&self, contents: &[u8], over: Option<&Version>) -> Result<(), StoreError> {
        self.change(|| self.store.replace_index(contents, over))
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        self.store.names()
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.change(|| self.store.delete(name))
    }
}

/// A week: hours, days, hours that leave the index and the store.
fn keys() -> Vec<AcceptedKey> {
    let mut keys: Vec<_> = (1..9)
        .map(|number| accepted(number, 28 + 3 * u64::from(number)))
        .collect();
    keys.push(AcceptedKey::new(entry(9), at(30), ReportId(9)));
    keys
}

const RUNS: [u64; 5] = [33, 46, 49, 24 * 5, 24 * 7];

#[test]
fn a_publisher_killed_at_any_change_leaves_the_last_good_set() {
    let undisturbed = MemoryStore::default();
    for hours in RUNS {
        run(&undisturbed, &keys(), after(hours));
    }
    let mut deaths = 0;
    // Until no run makes so many changes.
    for change in 1.. {
        let before = deaths;
        for done in [false, true] {
            deaths += killed_in_each_run(change, done, &undisturbed);
        }
        if deaths == before {
            break;
        }
    }
    assert!(deaths > 40, "{deaths}");
}

/// How often a publisher dies if it does in each run, at its `change`th change, before it is done or after.
fn killed_in_each_run(change: usize, done: bool, undisturbed: &MemoryStore) -> usize {
    let mut deaths = 0;
    let store = MemoryStore::default();
    for hours in RUNS {
        let before = store
            .index()
            .unwrap()
            .map(|_| device(&store, after(hours)).numbers());
        let mortal = Mortal {
            store: &store,
            left: AtomicUsize::new(change),
            done,
        };
        if run_by(&publisher(), &mortal, &keys(), after(hours)).is_err() {
            deaths += 1;
            // Whoever reads now has the set before or the set after, whole.
            let seen = store
                .index()
                .unwrap()
                .map(|_| device(&store, after(hours)).numbers());
            run(&store, &keys(), after(hours));
            let then = device(&store, after(hours)).numbers();
            assert!(
                seen == before || seen == Some(then),
                "{hours}, {change}, {done}"
            );
        }
    }
    assert_eq!(store.files(), undisturbed.files(), "{change}, {done}");
    deaths
}

/// A store at which somebody else publishes just before the index is replaced.
struct Contested<'s> {
    store: &'s MemoryStore,
    keys: &'s [AcceptedKey],
    now: Timestamp,
}

impl BatchSource for Contested<'_> {
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        self.store.open(name, bytes_max)
    }
}

impl PublicationStore for Contested<'_> {
    fn create(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        self.store.create(name, contents)
    }

    fn index(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.store.index()
    }

    fn replace_index(&self, contents: &[u8], over: Option<&Version>) -> Result<(), StoreError> {
        run(self.store, self.keys, self.now);
        self.store.replace_index(contents, over)
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        self.store.names()
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.store.delete(name)
    }
}

#[test]
fn two_publishers_at_once_publish_once() {
    let (alone, store) = (MemoryStore::default(), MemoryStore::default());
    for hours in [33, 46, 49] {
        run(&alone, &keys(), after(hours));
        let contested = Contested {
            store: &store,
            keys: &keys(),
            now: after(hours),
        };
        let slower = run_by(&publisher(), &contested, &keys(), after(hours)).unwrap_err();
        assert!(
            matches!(slower, PublishError::Store(StoreError::Conflict)),
            "{slower}"
        );
        let again = run(&store, &keys(), after(hours));
        assert_eq!((again.keys, again.packages.len()), (0, 0));
    }
    assert_eq!(store.files(), alone.files());
}

#[test]
fn an_hour_that_was_changed_is_not_rolled_up() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(47));
    let mut files = store.files();
    let name = files
        .keys()
        .find(|name| name.starts_with("gaen/hourly"))
        .unwrap()
        .clone();
    files.get_mut(&name).unwrap()[100] ^= 1;
    let store = MemoryStore::new(files.clone());
    let error = run_by(&publisher(), &store, &[], after(48)).unwrap_err();
    let PublishError::Rollup(UpdateError::OtherHash { name: found }) = error else {
        panic!("{error}");
    };
    assert_eq!(found, name);
    assert_eq!(store.files(), files);
}

#[test]
fn an_index_of_somebody_else_is_not_gone_on_from() {
    let store = MemoryStore::default();
    run(&store, &keys(), after(40));
    let other = Publisher::new(PublisherOptions::new("LA"), Secret::new([9; 32]));
    let error = run_by(&other, &store, &keys(), after(41)).unwrap_err();
    assert!(matches!(error, PublishError::OtherRegion { .. }), "{error}");
    let stranger = SigningKey::generate().unwrap();
    let error = publisher()
        .run(&store, keys(), &[&stranger], after(41))
        .unwrap_err();
    assert!(
        matches!(error, PublishError::Index(IndexError::NotVerified { .. })),
        "{error}"
    );
}
