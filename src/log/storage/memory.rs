//! A log's files in memory.

use std::any::Any;
use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{AppendFile, Storage, StoredFile};

type Bytes = Arc<Mutex<Vec<u8>>>;

/// Files that are gone with the process; for tests, and for systems without any. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    files: Arc<Mutex<BTreeMap<String, Bytes>>>,
    locked: Arc<AtomicBool>,
}

impl MemoryStorage {
    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Held by the writer.
struct Lock(Arc<AtomicBool>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

fn held(bytes: &Bytes) -> MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Storage for MemoryStorage {
    fn location(&self) -> &Path {
        Path::new("memory")
    }

    fn prepare(&self) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let free = !self.locked.swap(true, Ordering::AcqRel);
        Ok(free.then(|| Box::new(Lock(Arc::clone(&self.locked))) as _))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<StoredFile> {
        let files = self.files();
        let bytes = held(files.get(name).ok_or(io::ErrorKind::NotFound)?).clone();
        Ok(StoredFile {
            len: bytes.len() as u64,
            bytes: Box::new(Cursor::new(bytes)),
        })
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let mut files = self.files();
        if files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let bytes = Bytes::default();
        files.insert(name.to_owned(), Arc::clone(&bytes));
        Ok(Box::new(bytes))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        match self.files().contains_key(name) {
            true => Ok(()),
            false => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let bytes = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let removed = self.files().remove(name);
        removed.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }
}

impl AppendFile for Bytes {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        held(self).extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        held(self).truncate(usize::try_from(len).unwrap_or(usize::MAX));
        Ok(())
    }
}
