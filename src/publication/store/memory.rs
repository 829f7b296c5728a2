//! A publication in memory.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{BatchSource, Contents, PublicationStore, StoreError, Version, too_long};
use crate::publication::index::INDEX_NAME;

/// A publication in memory, for tests and for files that were fetched already.
#[derive(Debug, Default)]
pub struct MemoryStore {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl MemoryStore {
    /// The store of `files`, by name.
    pub fn new(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self {
            files: Mutex::new(files.into_iter().collect()),
        }
    }

    /// All files, the index among them.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        // Each change is one insertion or removal: whoever panicked has left nothing half done.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BatchSource for MemoryStore {
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        match self.lock().get(name) {
            Some(bytes) if bytes.len() as u64 > bytes_max => Err(too_long(name, bytes_max)),
            Some(bytes) => Ok(Some(Box::new(Cursor::new(bytes.clone())))),
            None => Ok(None),
        }
    }
}

impl PublicationStore for MemoryStore {
    fn create(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        let mut files = self.lock();
        files.entry(name.to_owned()).or_insert(contents.to_vec());
        Ok(())
    }

    fn index(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let index = self.lock().get(INDEX_NAME).cloned();
        Ok(index.map(|bytes| {
            let version = Version::of(&bytes);
            (bytes, version)
        }))
    }

    fn replace_index(&self, contents: &[u8], over: Option<&Version>) -> Result<(), StoreError> {
        let mut files = self.lock();
        let version = files.get(INDEX_NAME).map(|bytes| Version::of(bytes));
        if version.as_ref() != over {
            return Err(StoreError::Conflict);
        }
        files.insert(INDEX_NAME.to_owned(), contents.to_vec());
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let files = self.lock();
        let names = files.keys().filter(|name| *name != INDEX_NAME);
        Ok(names.cloned().collect())
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.lock().remove(name);
        Ok(())
    }
}
