//! A renewal of keys in which calls fail while the process lives: of the storage, or of the provider, before it
//! has done what it was asked or after. Whatever fails, and once more, nothing is lost.

use std::any::Any;
use std::io;
use std::sync::Mutex;

use truyvet::log::{
    AppendFile, KeyError, KeyProvider, KeyPurpose, KeysRenewed, LogOptions, MemoryStorage, Storage,
    StoredFile,
};

use super::*;

/// Which calls fail, counted from the last time that was said.
#[derive(Clone, Default)]
struct Faults(Arc<Mutex<(usize, Option<Fault>)>>);

#[derive(Clone, Copy, Debug)]
struct Fault {
    call: usize,
    /// What was asked is done all the same.
    late: bool,
}

impl Faults {
    fn set(&self, fault: Option<Fault>) {
        *self.0.lock().unwrap() = (0, fault);
    }

    fn calls(&self) -> usize {
        self.0.lock().unwrap().0
    }

    fn call<T, E>(
        &self,
        error: impl FnOnce() -> E,
        does: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let due = {
            let mut state = self.0.lock().unwrap();
            state.0 += 1;
            state.1.filter(|fault| fault.call == state.0)
        };
        match due {
            None => does(),
            Some(Fault { late: false, .. }) => Err(error()),
            Some(_) => does().and_then(|_| Err(error())),
        }
    }

    fn io<T>(&self, does: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.call(|| io::ErrorKind::StorageFull.into(), does)
    }
}

#[derive(Clone)]
struct Disk(MemoryStorage, Faults);

struct Appending(Box<dyn AppendFile>, Faults);

impl AppendFile for Appending {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.1.io(|| self.0.append(bytes))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.1.io(|| self.0.sync())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.1.io(|| self.0.truncate(len))
    }
}

impl Storage for Disk {
    fn location(&self) -> &Path {
        self.0.location()
    }

    fn prepare(&self) -> io::Result<()> {
        self.0.prepare()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.0.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.1.io(|| self.0.list())
    }

    fn open(&self, name: &str) -> io::Result<StoredFile> {
        self.1.io(|| self.0.open(name))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let file = self.1.io(|| self.0.create(name))?;
        Ok(Box::new(Appending(file, self.1.clone())))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.1.io(|| self.0.sync(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.1.io(|| self.0.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.1.io(|| self.0.remove(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.1.io(|| self.0.sync_directory())
    }
}

struct Keys(MemoryKey, Faults);

fn away() -> KeyError {
    KeyError::Unavailable("the keystore does not answer".to_owned())
}

impl KeyProvider for Keys {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        self.1.call(away, || self.0.load(purpose))
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        self.1.call(away, || self.0.replace(purpose, key))
    }

    fn erase(&self) -> Result<(), KeyError> {
        self.0.erase()
    }
}

/// A log, what can fail of it, and what it has acknowledged.
struct Story {
    faults: Faults,
    disk: Disk,
    keys: Arc<Keys>,
    stored: Vec<Sighting>,
    released: bool,
}

fn day(number: u32) -> UtcDay {
    UtcDay::from_unix_days(DAY.unix_days() + number)
}

impl Story {
    /// A log in which something is old enough to stand in the table of roots.
    fn begin() -> (Self, EncounterLog) {
        let faults = Faults::default();
        let disk = Disk(MemoryStorage::default(), faults.clone());
        let keys = Arc::new(Keys(MemoryKey::empty(), faults.clone()));
        let mut story = Self {
            faults,
            disk,
            keys,
            stored: Vec::new(),
            released: false,
        };
        let mut log = story.open();
        let config = Config::new(Protocol::gaen());
        let mut engine = Engine::new(config, Vec::new(), Box::new(SeededEntropy::new(1)));
        engine.start(ManualClock::new(DAY.start()).now());
        log.save_own_keys(engine.own_keys()).unwrap();
        story.append(&mut log, 0);
        log.purge(day(0)).unwrap();
        story.append(&mut log, 1);
        (story, log)
    }

    fn open(&self) -> EncounterLog {
        let (disk, keys) = (self.disk.clone(), Arc::clone(&self.keys));
        EncounterLog::open_on(disk, keys, LogOptions::default()).unwrap()
    }

    /// Appends a sighting of that day: each needs a segment of its own.
    fn append(&mut self, log: &mut EncounterLog, number: u32) {
        let sighting = sighting(number, day(number));
        if log.append(std::slice::from_ref(&sighting)).is_ok() {
            self.stored.push(sighting);
        }
    }

    fn release(&mut self, log: &mut EncounterLog) {
        let now = day(1).start();
        if let Ok(published) = log.release_own_keys(now, [day(0)]) {
            self.released |= !published.is_empty();
        }
    }

    /// Everything acknowledged is there, and nothing is damaged.
    fn is_whole(&self, after: &str) {
        let reader = LogReader::open_on(self.disk.clone(), &self.keys);
        let reader = reader.unwrap_or_else(|e| panic!("{after}: {e}"));
        let read: Result<Vec<Sighting>, _> = reader.sightings().unwrap().collect();
        let read = read.unwrap_or_else(|e| panic!("{after}: {e}"));
        for sighting in &self.stored {
            assert!(
                read.contains(sighting),
                "{after}: one of {} is lost",
                sighting.first
            );
        }
        let own = reader.own_keys().unwrap_or_else(|e| panic!("{after}: {e}"));
        assert_eq!(own.len(), 1, "{after}");
        assert!(
            own[0].is_released() || !self.released,
            "{after}: not released any more"
        );
    }
}

/// The calls that a renewal makes.
fn calls_of_a_renewal() -> usize {
    let (story, mut log) = Story::begin();
    story.faults.set(None);
    log.purge(day(1)).unwrap();
    story.faults.calls()
}

fn play(first: Fault, second: Option<Fault>) {
    let what = format!("{first:?}, then {second:?}");
    let (mut story, mut log) = Story::begin();
    for (number, fault) in (2..).zip([Some(first), second].into_iter().flatten()) {
        story.faults.set(Some(fault));
        let _ = log.purge(day(1));
        story.faults.set(None);
        story.append(&mut log, number);
    }
    story.release(&mut log);
    assert!(
        story.released,
        "{what}: once nothing fails any more, keys can be released"
    );
    story.is_whole(&format!("{what}, in the same process"));
    drop(log);
    let mut log = story.open();
    story.is_whole(&format!("{what}, after a restart"));
    let purged = log.purge(day(2)).unwrap();
    assert!(
        matches!(purged.keys, KeysRenewed::Renewed),
        "{what}: {purged:?}"
    );
    story.append(&mut log, 9);
    assert_eq!(story.stored.last().unwrap().first.utc_day(), day(9));
    drop(log);
    story.is_whole(&format!("{what}, after another renewal"));
}

#[test]
fn any_call_of_a_renewal_fails_and_the_process_lives() {
    for call in 1..=calls_of_a_renewal() {
        for late in [false, true] {
            play(Fault { call, late }, None);
        }
    }
}

/// The second in any call, too: which one follows which is drawn, the same each time.
#[test]
fn a_second_call_fails_when_the_renewal_is_tried_again() {
    let calls = calls_of_a_renewal();
    let mut entropy = SeededEntropy::new(7);
    let mut draw = || {
        let mut byte = [0];
        entropy.fill(&mut byte).unwrap();
        usize::from(byte[0])
    };
    for call in 1..=calls {
        for _ in 0..4 {
            let first = Fault {
                call,
                late: draw() % 2 == 0,
            };
            let second = Fault {
                call: 1 + draw() % calls,
                late: draw() % 2 == 0,
            };
            play(first, Some(second));
        }
    }
}

/// The provider has not taken the next reading key: what was deleted opens with its old one until it has.
#[test]
fn a_reading_key_that_was_not_replaced_is_made_good_on_the_same_day() {
    let mut held = 0;
    for call in 1..=calls_of_a_renewal() {
        let (story, mut log) = Story::begin();
        let reading = || story.keys.load(KeyPurpose::Reading).unwrap().unwrap();
        let before = reading();
        story.faults.set(Some(Fault { call, late: false }));
        let _ = log.purge(day(1));
        story.faults.set(None);
        let there = |name: &str| story.disk.0.open(name).is_ok();
        let settled = there("reading-key.sealed") && !there("log.meta.next");
        if !settled || reading().expose() != before.expose() {
            continue;
        }
        held += 1;
        let purged = log.purge(day(1)).unwrap();
        assert!(matches!(purged.keys, KeysRenewed::Renewed), "{purged:?}");
        assert_ne!(before.expose(), reading().expose());
        assert!(!there("reading-key.sealed"));
    }
    assert!(held > 0);
}
