//! Where a log's bytes are kept: files, memory, or whatever an app brings.

use std::any::Any;
use std::io::{self, Read};
use std::path::Path;

mod file;
mod memory;

pub use file::FileStorage;
pub use memory::MemoryStorage;

/// Keeps the files of one log, by name, flat.
///
/// What has been written is on the disk for certain only once [`AppendFile::sync`] or [`sync`](Self::sync) has
/// returned (a file's bytes and length) or [`sync_directory`](Self::sync_directory) (that a file is there, under
/// which name, or is not): until then, a power cut may leave any part of it. The log believes nothing else.
///
/// Errors are those of the system; the log adds what it was doing, and with which file.
pub trait Storage: Send + Sync {
    /// What an error message calls the place.
    fn location(&self) -> &Path;

    /// Makes the place ready to be written to, if it is not: a directory that is missing, say.
    ///
    /// # Errors
    ///
    /// The system's.
    fn prepare(&self) -> io::Result<()>;

    /// The right to write, as long as the answer is held; `None` if somebody else has it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;

    /// The names of all files, in any order.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::NotFound`] if the place is missing.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file to be read.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::NotFound`] if there is no such file.
    fn open(&self, name: &str) -> io::Result<StoredFile>;

    /// Makes an empty file to be written to.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::AlreadyExists`] if there is one of that name.
    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>>;

    /// Returns once all that was written to a file, by whomever, and its length, is on the disk: a process that was
    /// killed may have left it in the system's cache.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::NotFound`] if there is no such file.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of the file that has it.
    ///
    /// # Errors
    ///
    /// The system's.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// The system's; [`io::ErrorKind::NotFound`] if there is no such file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Returns once what was created, renamed and removed is on the disk.
    ///
    /// # Errors
    ///
    /// The system's.
    fn sync_directory(&self) -> io::Result<()>;
}

/// A file that grows.
pub trait AppendFile: Send + Sync {
    /// Writes `bytes` at the end.
    ///
    /// # Errors
    ///
    /// The system's; part of the bytes may have been written then.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// From now on the file may be made longer by `step` bytes at a time, zeros, which what is appended then takes the
    /// place of: a sync is cheaper where the file's length stays the same. Zeros that are left go when this is
    /// dropped, unless the process is killed. A storage that does nothing is right, too.
    fn grow_by(&mut self, step: u64) {
        let _ = step;
    }

    /// Returns once all that was written, and the file's length, is on the disk.
    ///
    /// # Errors
    ///
    /// The system's; what is on the disk of what was written since the last success is unknown then.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to its first `len` bytes.
    ///
    /// # Errors
    ///
    /// The system's.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
}

/// A file to be read, as long as it was when it was opened.
pub struct StoredFile {
    /// Its bytes, from the first on; a writer may append to them meanwhile.
    pub bytes: Box<dyn Read + Send>,
    /// How many there were when it was opened, with zeros that the file was made longer by
    /// ([`AppendFile::grow_by`]).
    pub len: u64,
}

impl std::fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredFile")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every storage promises.
    fn keeps_its_promises(storage: &dyn Storage) {
        storage.prepare().unwrap();
        storage.prepare().unwrap();
        let lock = storage.lock().unwrap();
        assert!(lock.is_some());
        assert!(storage.lock().unwrap().is_none());
        drop(lock);
        assert!(storage.lock().unwrap().is_some());
        assert_eq!(storage.list().unwrap(), [""; 0]);

        let mut file = storage.create("a").unwrap();
        file.append(b"one").unwrap();
        file.append(b"two").unwrap();
        file.truncate(4).unwrap();
        file.append(b"!").unwrap();
        file.sync().unwrap();
        let kind = |result: io::Result<()>| result.unwrap_err().kind();
        assert_eq!(
            kind(storage.create("a").map(drop)),
            io::ErrorKind::AlreadyExists
        );
        let read = |name: &str| -> io::Result<Vec<u8>> {
            let mut file = storage.open(name)?;
            let mut bytes = Vec::new();
            file.bytes.read_to_end(&mut bytes)?;
            assert_eq!(bytes.len() as u64, file.len);
            Ok(bytes)
        };
        assert_eq!(read("a").unwrap(), b"onet!");

        let mut file = storage.create("g").unwrap();
        file.grow_by(10_000);
        for _ in 0..3 {
            file.append(&[1; 5_000]).unwrap();
            file.sync().unwrap();
        }
        // While it is written to, zeros may follow.
        let grown = read("g").unwrap();
        let (appended, more) = grown.split_at(15_000);
        assert_eq!(appended, [1; 15_000]);
        assert!(more.iter().all(|byte| *byte == 0));
        file.truncate(7_000).unwrap();
        file.append(&[2; 1_000]).unwrap();
        drop(file);
        assert_eq!(
            read("g").unwrap(),
            [vec![1; 7_000], vec![2; 1_000]].concat()
        );
        storage.remove("g").unwrap();

        storage.sync("a").unwrap();
        assert_eq!(kind(storage.sync("b")), io::ErrorKind::NotFound);
        storage.create("b").unwrap();
        storage.rename("a", "b").unwrap();
        storage.sync_directory().unwrap();
        assert_eq!(storage.list().unwrap(), ["b"]);
        assert_eq!(read("b").unwrap(), b"onet!");
        storage.remove("b").unwrap();
        assert_eq!(kind(storage.remove("b")), io::ErrorKind::NotFound);
        assert_eq!(kind(storage.rename("b", "c")), io::ErrorKind::NotFound);
        assert_eq!(kind(read("b").map(drop)), io::ErrorKind::NotFound);
    }

    #[test]
    fn files_keep_the_promises_of_a_storage() {
        let dir = tempfile::tempdir().unwrap();
        keeps_its_promises(&FileStorage::new(dir.path().join("made/deep")));
    }

    #[test]
    fn memory_keeps_the_promises_of_a_storage() {
        keeps_its_promises(&MemoryStorage::default());
    }
}
