//! What is too old is beyond reach, and so is what the writer has written.

use truyvet::log::{
    KeyError, KeyProvider, KeyPurpose, KeysRenewed, LogOptions, MemoryStorage, RETENTION_DAYS,
    Storage, wipe,
};

use super::*;

/// A provider whose device is locked or not, as it is told.
struct Phone {
    keys: MemoryKey,
    locked: std::sync::atomic::AtomicBool,
}

impl Phone {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            keys: MemoryKey::random().unwrap(),
            locked: false.into(),
        })
    }

    fn lock(&self, locked: bool) {
        self.locked
            .store(locked, std::sync::atomic::Ordering::Relaxed);
    }

    fn require(&self, purpose: KeyPurpose) -> Result<(), KeyError> {
        let locked = self.locked.load(std::sync::atomic::Ordering::Relaxed);
        match locked && purpose == KeyPurpose::Reading {
            true => Err(KeyError::Unavailable("the device is locked".to_owned())),
            false => Ok(()),
        }
    }
}

impl KeyProvider for Phone {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        self.require(purpose)?;
        self.keys.load(purpose)
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        self.require(purpose)?;
        self.keys.replace(purpose, key)
    }

    fn erase(&self) -> Result<(), KeyError> {
        self.keys.erase()
    }
}

fn next_day(days: u32) -> UtcDay {
    UtcDay::from_unix_days(DAY.unix_days() + days)
}

fn read_all(directory: &Path, keys: &impl KeyProvider) -> Vec<Sighting> {
    let reader = LogReader::open(directory, keys).unwrap();
    reader.sightings().unwrap().map(Result::unwrap).collect()
}

#[test]
fn fourteen_days_are_kept_and_the_fifteenth_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    for age in 0..20 {
        log.append(&[sighting(1, DAY.saturating_sub(age))]).unwrap();
    }
    assert_eq!(log.purge(DAY).unwrap().deleted, 5);
    assert_eq!(log.purge(DAY).unwrap().deleted, 0);
    let oldest = read(dir.path()).unwrap()[0].first.utc_day();
    assert_eq!(oldest, DAY.saturating_sub(RETENTION_DAYS));
    log.append(&[sighting(2, DAY)]).unwrap();
    assert_eq!(read(dir.path()).unwrap().len(), 16);
}

#[test]
fn a_retention_of_three_days() {
    let storage = MemoryStorage::default();
    let options = LogOptions::default().with_retention_days(3).unwrap();
    let mut log = EncounterLog::open_on(storage.clone(), key(), options).unwrap();
    for age in 0..20 {
        log.append(&[sighting(1, DAY.saturating_sub(age))]).unwrap();
    }
    assert_eq!(log.purge(DAY).unwrap().deleted, 16);
    let reader = LogReader::open_on(storage, &key()).unwrap();
    assert_eq!(reader.sightings().unwrap().count(), 4);
}

/// Everything that was ever on the disk, under every name it had.
fn keep_everything(directory: &Path, kept: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        kept.push((name, fs::read(&path).unwrap()));
    }
}

/// With all that was ever written, in any combination of one day's files with another's, and with the keys
/// there are now, what is older than the retention does not open.
#[test]
fn what_is_older_than_the_retention_cannot_be_opened_with_every_byte_and_all_keys() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Arc::new(MemoryKey::random().unwrap());
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
    let mut snapshots = Vec::new();
    for day in 0..20 {
        let today = next_day(day);
        log.append(&[sighting(day, today)]).unwrap();
        let mut own = Engine::new(
            Config::new(Protocol::gaen()),
            Vec::new(),
            Box::new(SeededEntropy::new(day.into())),
        );
        own.start(ManualClock::new(today.start()).now());
        log.save_own_keys(own.own_keys()).unwrap();
        let mut snapshot = Vec::new();
        keep_everything(dir.path(), &mut snapshot);
        snapshots.push(snapshot);
        let purged = log.purge(today).unwrap();
        assert!(matches!(purged.keys, KeysRenewed::Renewed), "{purged:?}");
    }
    drop(log);
    let oldest = next_day(19 - RETENTION_DAYS);
    let today = read_all(dir.path(), &keys);
    assert_eq!(today.len(), 15);

    // As it was on each day, whole: it is not even known for this log.
    for snapshot in &snapshots {
        let old = tempfile::tempdir().unwrap();
        for (name, bytes) in snapshot {
            fs::write(old.path().join(name), bytes).unwrap();
        }
        assert!(matches!(
            LogReader::open(old.path(), &keys),
            Err(LogError::WrongKey { .. })
        ));
    }
    // Today's log, with all old files put back beside and in place of its own, one after the other.
    let mut refused = 0;
    for (name, bytes) in snapshots.iter().flatten() {
        let copy = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
        for name in [name.clone(), format!("{name}.next")] {
            fs::write(copy.path().join(&name), bytes).unwrap();
            let Ok(reader) = LogReader::open(copy.path(), &keys) else {
                refused += 1;
                continue;
            };
            for found in reader.sightings().into_iter().flatten() {
                match found {
                    Ok(sighting) => assert!(sighting.first.utc_day() >= oldest, "{name}"),
                    Err(_) => refused += 1,
                }
            }
            match reader.own_keys() {
                Ok(own) => assert!(own.iter().all(|key| key.day() >= oldest), "{name}"),
                Err(_) => refused += 1,
            }
        }
    }
    assert!(refused > 0);
}

/// What the provider keeps for the reader is what a locked device does not give: without it nothing of what
/// was written opens, though the log goes on.
#[test]
fn a_locked_device_goes_on_logging_and_opens_nothing() {
    let (dir, phone) = (tempfile::tempdir().unwrap(), Phone::new());
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&phone)).unwrap();
    log.append(&sightings(0..2)).unwrap();
    drop(log);
    phone.lock(true);
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&phone)).unwrap();
    log.append(&sightings(2..4)).unwrap();
    assert!(matches!(log.reader(), Err(LogError::Key(_))));
    let purged = log.purge(next_day(1)).unwrap();
    assert!(
        matches!(purged.keys, KeysRenewed::Deferred(_)),
        "{purged:?}"
    );
    log.append(&sightings(4..6)).unwrap();
    phone.lock(false);
    let purged = log.purge(next_day(1)).unwrap();
    assert!(matches!(purged.keys, KeysRenewed::Renewed), "{purged:?}");
    log.append(&sightings(6..8)).unwrap();
    let purged = log.purge(next_day(1)).unwrap();
    assert!(matches!(purged.keys, KeysRenewed::NotDue), "{purged:?}");
    assert_eq!(read_all(dir.path(), &phone), sightings(0..8));
}

#[test]
fn a_wiped_log_does_not_open_though_its_files_were_copied() {
    let (dir, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let keys = Arc::new(MemoryKey::random().unwrap());
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
    log.append(&sightings(0..2)).unwrap();
    fs::write(dir.path().join("thesis.txt"), "…").unwrap();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    log.wipe().unwrap();
    let left = fs::read_dir(dir.path())
        .unwrap()
        .map(|it| it.unwrap().file_name());
    let mut left: Vec<_> = left.collect();
    left.sort();
    assert_eq!(left, ["lock", "thesis.txt"]);
    for place in [&copy, &dir] {
        let opened = LogReader::open(place.path(), &keys);
        let gone = matches!(
            opened,
            Err(LogError::WrongKey { .. } | LogError::NoLog { .. })
        );
        assert!(gone, "{opened:?}");
    }
    // And of one that is not open.
    let keys = Arc::new(MemoryKey::random().unwrap());
    fs::remove_file(dir.path().join("thesis.txt")).unwrap();
    drop(EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap());
    wipe(dir.path(), &keys).unwrap();
    assert!(matches!(
        LogReader::open(dir.path(), &keys),
        Err(LogError::NoLog { .. })
    ));
}

#[test]
fn a_reader_is_told_that_keys_have_been_renewed() {
    let (dir, keys) = (
        tempfile::tempdir().unwrap(),
        Arc::new(MemoryKey::random().unwrap()),
    );
    let mut log = EncounterLog::open(dir.path(), Arc::clone(&keys)).unwrap();
    log.append(&sightings(0..2)).unwrap();
    let reader = log.reader().unwrap();
    log.purge(DAY).unwrap();
    assert!(matches!(reader.sightings(), Err(LogError::Renewed)));
    assert!(matches!(
        reader.own_keys().map(drop),
        Ok(()) | Err(LogError::Renewed)
    ));
    assert_eq!(log.reader().unwrap().sightings().unwrap().count(), 2);
}

#[test]
fn leftovers_of_a_renewal_are_cleared_away() {
    let storage = MemoryStorage::default();
    let keys = Arc::new(MemoryKey::random().unwrap());
    let options = LogOptions::default();
    let mut log = EncounterLog::open_on(storage.clone(), Arc::clone(&keys), options).unwrap();
    log.append(&sightings(0..2)).unwrap();
    log.purge(DAY).unwrap();
    for name in storage.list().unwrap() {
        assert!(
            !name.ends_with(".next") && !name.ends_with(".new"),
            "{name}"
        );
        assert_ne!(name, "reading-key.sealed");
    }
}

/// A slip of the fingers destroys nothing.
#[test]
fn only_the_log_of_these_keys_is_wiped() {
    let (mine, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [keys, of_other] = [(); 2].map(|()| Arc::new(MemoryKey::random().unwrap()));
    let mut log = EncounterLog::open(mine.path(), Arc::clone(&keys)).unwrap();
    log.append(&sightings(0..2)).unwrap();
    drop(log);
    let refused = wipe(other.path(), &keys);
    assert!(
        matches!(refused, Err(LogError::NoLog { .. })),
        "{refused:?}"
    );
    let refused = wipe(other.path().join("absent"), &keys);
    assert!(
        matches!(refused, Err(LogError::NoLog { .. })),
        "{refused:?}"
    );
    drop(EncounterLog::open(other.path(), Arc::clone(&of_other)).unwrap());
    let refused = wipe(other.path(), &keys);
    assert!(
        matches!(refused, Err(LogError::WrongKey { .. })),
        "{refused:?}"
    );
    assert_eq!(read_all(mine.path(), &keys), sightings(0..2));
    // What an interrupted one has left goes.
    of_other.erase().unwrap();
    wipe(other.path(), &of_other).unwrap();
    assert!(!other.path().join("log.meta").exists());
}
