//! Where a publication lies: a folder, memory, or an object store.
//!
//! A device reads through [`BatchSource`], which an app implements over whatever fetches its files. An authority's
//! program writes through [`PublicationStore`]. Both block: call them where blocking is allowed.
//!
//! | store | packages | the index |
//! |---|---|---|
//! | [`FolderStore`] | written beside, synced, renamed | the same, under a lock on a file, if it is still the one that was read |
#![cfg_attr(
    feature = "object-store",
    doc = "| [`ObjectStorage`] | put once | put if its version is still the one that was read |"
)]
//! | [`MemoryStore`] | kept | replaced if it is still the one that was read |

use std::fmt;
use std::io::{Read, Seek};

use data_encoding::HEXLOWER;

use crate::crypto::sha256;
use crate::publication::index::{INDEX_BYTES_MAX, INDEX_NAME};

mod folder;
mod memory;
#[cfg(feature = "object-store")]
mod object;

pub use folder::FolderStore;
pub use memory::MemoryStore;
#[cfg(feature = "object-store")]
pub use object::{ObjectStorage, open_url};

/// The contents of a file that is read: a file, or a `Cursor` over bytes.
pub trait Contents: Read + Seek + Send {}

impl<T: Read + Seek + Send> Contents for T {}

/// What a device reads a publication from.
pub trait BatchSource {
    /// The file called `name`, relative to the publication's index, of at most `bytes_max`; `None` if there
    /// is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; [`StoreError::TooLong`] before more than `bytes_max` are held.
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError>;
}

/// Where an authority keeps a publication.
pub trait PublicationStore: BatchSource {
    /// Puts a file there that is never changed, whole or not at all. If the name is taken, the file is left
    /// as it is: a package's name says what is in it.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn create(&self, name: &str, contents: &[u8]) -> Result<(), StoreError>;

    /// The index and its version; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn index(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError>;

    /// Puts the index there, whole or not at all, if it is still at the version `over`, or is still not there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if somebody else was faster.
    fn replace_index(&self, contents: &[u8], over: Option<&Version>) -> Result<(), StoreError>;

    /// The names of all files but the index.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn names(&self) -> Result<Vec<String>, StoreError>;

    /// Takes a file away; it need not be there.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// Which index it is, as its store knows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Version {
    /// An entity tag (RFC 9110, 8.8.3), or what serves as one.
    pub e_tag: Option<String>,
    /// What some stores have beside it.
    pub generation: Option<String>,
}

impl Version {
    /// That of a store which knows a file by its contents. Each index has another number, so that no two are
    /// the same.
    fn of(contents: &[u8]) -> Self {
        Self {
            e_tag: Some(HEXLOWER.encode(&sha256(&[contents]))),
            generation: None,
        }
    }
}

/// A store that does not do what it is asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file that is longer than it may be.
    #[error("{name:?}: expected at most {max} bytes, got more")]
    TooLong {
        /// Its name.
        name: String,
        /// The most.
        max: u64,
    },
    /// A name that leads out of the publication.
    #[error("{name:?} is no name of a file of a publication")]
    Name {
        /// The name.
        name: String,
    },
    /// The index is no longer the one that was read: another publisher was faster.
    #[error("the index was changed by somebody else")]
    Conflict,
    /// The store cannot write on a condition, without which two publishers would undo each other's work.
    #[error("the store has no conditional writes")]
    Unconditional,
    /// A place that is none.
    #[error("{url:?} is no place for a publication: {reason}")]
    Place {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The store failed, or could not be reached.
    #[error("{name:?}: {reason}")]
    Failed {
        /// The file concerned.
        name: String,
        /// What the store says.
        reason: String,
    },
}

impl StoreError {
    pub(super) fn failed(name: &str, reason: &dyn fmt::Display) -> Self {
        Self::Failed {
            name: name.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// All of `contents`, which must have no more than `max` bytes.
pub(super) fn read_all(name: &str, contents: impl Read, max: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let read = contents.take(max.saturating_add(1)).read_to_end(&mut bytes);
    read.map_err(|error| StoreError::failed(name, &error))?;
    match bytes.len() as u64 <= max {
        true => Ok(bytes),
        false => Err(too_long(name, max)),
    }
}

/// The bytes of the index of `source`; `None` if it has none.
pub(super) fn read_index<S: BatchSource + ?Sized>(
    source: &S,
) -> Result<Option<Vec<u8>>, StoreError> {
    let max = INDEX_BYTES_MAX as u64;
    source
        .open(INDEX_NAME, max)?
        .map(|contents| read_all(INDEX_NAME, contents, max))
        .transpose()
}

fn too_long(name: &str, max: u64) -> StoreError {
    StoreError::TooLong {
        name: name.to_owned(),
        max,
    }
}

#[cfg(test)]
pub(super) mod tests;
