//! A disk that has no room left.

use std::any::Any;
use std::io;
use std::sync::Mutex;

use truyvet::log::{AppendFile, FileStorage, LogOptions, Storage, StoredFile};

use super::*;

/// Files in a directory, in which only so many bytes may stand.
#[derive(Clone)]
struct SmallDisk {
    files: FileStorage,
    room: Arc<Mutex<u64>>,
}

struct SmallFile {
    file: Box<dyn AppendFile>,
    disk: SmallDisk,
}

impl SmallDisk {
    fn taken(&self) -> u64 {
        let names = self.files.list().unwrap();
        let len = |name: &String| self.files.open(name).unwrap().len;
        names.iter().map(len).sum()
    }

    fn fill(&self) {
        *self.room.lock().unwrap() = self.taken();
    }
}

impl AppendFile for SmallFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.disk.taken() + bytes.len() as u64 <= *self.disk.room.lock().unwrap() {
            true => self.file.append(bytes),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn grow_by(&mut self, step: u64) {
        self.file.grow_by(step);
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.truncate(len)
    }
}

impl Storage for SmallDisk {
    fn location(&self) -> &Path {
        self.files.location()
    }

    fn prepare(&self) -> io::Result<()> {
        self.files.prepare()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.files.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.files.list()
    }

    fn open(&self, name: &str) -> io::Result<StoredFile> {
        self.files.open(name)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let (file, disk) = (self.files.create(name)?, self.clone());
        Ok(Box::new(SmallFile { file, disk }))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.files.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.files.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.files.sync_directory()
    }
}

/// What is too old is noted as forgotten before it goes, for which there is no room but in the open segment.
#[test]
fn what_is_too_old_is_forgotten_on_a_full_disk_while_a_segment_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk {
        files: FileStorage::new(dir.path()),
        room: Arc::new(Mutex::new(u64::MAX)),
    };
    let keys = Arc::new(MemoryKey::random().unwrap());
    let open = || {
        let options = LogOptions::default();
        EncounterLog::open_on(disk.clone(), Arc::clone(&keys), options).unwrap()
    };
    let day = |days| UtcDay::from_unix_days(DAY.unix_days() + days);
    let mut log = open();
    for days in [0, 1, 14] {
        log.append(&[sighting(1, day(days))]).unwrap();
    }
    disk.fill();
    assert!(log.append(&[sighting(1, day(15))]).is_err());

    let purged = log.purge(day(15)).unwrap();
    assert_eq!(purged.deleted, 1);
    log.append(&[sighting(2, day(15))]).unwrap();
    drop(log);

    drop(open());
    let reader = LogReader::open_on(disk, &keys).unwrap();
    assert!(reader.verify(|_| ()).unwrap().is_well());
    let days: Vec<_> = reader.stats().unwrap().map(|it| it.day).collect();
    assert_eq!(days, [day(15), day(14), day(1)]);
}
