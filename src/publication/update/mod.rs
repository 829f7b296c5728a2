//! What is new in a publication, for a device.
//!
//! ```no_run
//! # use truyvet::publication::signature::VerificationKey;
//! # use truyvet::publication::store::FolderStore;
//! # use truyvet::publication::update::{Batch, Cursor, Update, UpdateOptions};
//! # use truyvet::time::Timestamp;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (trusted, now): (Vec<VerificationKey>, _) = (Vec::new(), Timestamp::from_unix_seconds(0));
//! # let mut kept: Cursor = Cursor::default();
//! let source = FolderStore::new("publication"); // or the app's own BatchSource
//! let mut update = Update::fetch(&source, &trusted, &kept, UpdateOptions::default(), now)?;
//! while let Some(batch) = update.next_batch()? {
//!     match batch {
//!         Batch::Gaen(mut file) => {
//!             let mut export = file.verify(&trusted)?;
//!             while let Some(keys) = export.next_batch()? {
//!                 println!("{} keys to match", keys.len());
//!             }
//!         }
//!         Batch::Bluezone(entries) => println!("{} entries to match", entries.len()),
//!         _ => {}
//!     }
//!     update.matched();
//!     kept = update.cursor().clone(); // to be stored
//! }
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use crate::crypto::{Sha256, sha256};
use crate::protocol::bluezone::PublishedEntry;
use crate::protocol::{ProtocolKind, PublishedKey};
use crate::publication::bluezone_json::{self, BluezoneJsonError};
use crate::publication::gaen_export::{ExportError, ExportReader};
use crate::publication::index::{Cycle, INDEX_NAME, Index, IndexError, PackageInfo};
use crate::publication::signature::VerificationKey;
use crate::publication::store::{BatchSource, Contents, StoreError, read_all, read_index};
use crate::time::Timestamp;

mod cursor;

pub use cursor::Cursor;

/// What a device asks of a publication.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UpdateOptions {
    /// The protocol whose packages are read; of both if none is given.
    pub protocol: Option<ProtocolKind>,
    /// How old an index may be before it is called stale. Chosen: six hours, where a publisher makes one
    /// every hour.
    pub stale_after: Duration,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self {
            protocol: None,
            stale_after: Duration::from_secs(6 * 3600),
        }
    }
}

/// A publication that cannot be read, or must not be.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// There is no index.
    #[error("there is no {INDEX_NAME}")]
    NoIndex,
    /// The index cannot be believed.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// An index with a lower number than one that was read before.
    #[error(
        "expected an index numbered {expected} or higher, got {got}: an older one was put back"
    )]
    Downgraded {
        /// The number that was read before.
        expected: u64,
        /// The number it has.
        got: u64,
    },
    /// Another index with the number of one that was read before.
    #[error("two indexes are numbered {number}: not everybody is shown the same")]
    Forked {
        /// The number.
        number: u64,
    },
    /// An index of another region than those before.
    #[error("expected the region {expected:?}, got {got:?}")]
    OtherRegion {
        /// The region read before.
        expected: String,
        /// The region it has.
        got: String,
    },
    /// The index names a package that is not there: it may be older than what is there by now.
    #[error("{name:?} is not there")]
    Missing {
        /// The package.
        name: String,
    },
    /// A package that is not the one that the authority signed for.
    #[error("{name:?} is not what the index says: its hash is another")]
    OtherHash {
        /// The package.
        name: String,
    },
    /// A list of Bluezone's that cannot be read.
    #[error("{name:?}: {source}")]
    List {
        /// The package.
        name: String,
        /// What is wrong.
        source: BluezoneJsonError,
    },
    /// An export that cannot be read.
    #[error("{name:?}: {source}")]
    Export {
        /// The package.
        name: String,
        /// What is wrong.
        source: ExportError,
    },
    /// The source failed.
    #[error(transparent)]
    Source(#[from] StoreError),
}

/// The keys of a package.
#[derive(Debug)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Batch {
    /// A GAEN export, whose own signature is still to be verified.
    Gaen(ExportReader<Box<dyn Contents>>),
    /// Entries of Bluezone's, for which the index's signature has vouched.
    Bluezone(Vec<PublishedEntry>),
}

impl Batch {
    /// All keys in memory, those of an export once it is verified.
    ///
    /// # Errors
    ///
    /// [`ExportError`].
    pub fn into_keys(self, trusted: &[VerificationKey]) -> Result<Vec<PublishedKey>, ExportError> {
        match self {
            Self::Gaen(mut file) => Ok(file.verify(trusted)?.into_export()?.into_published_keys()),
            Self::Bluezone(entries) => Ok(entries.into_iter().map(PublishedKey::from).collect()),
        }
    }
}

/// The packages of a publication that are new to a device, oldest first.
///
/// Days that are wholly new come as one package, other hours one by one. A key comes twice only if the device
/// last read in the midst of a day whose hours are no longer listed.
pub struct Update<'s> {
    source: &'s dyn BatchSource,
    index: Index,
    packages: VecDeque<PackageInfo>,
    cursor: Cursor,
    stale: Option<Duration>,
}

impl<'s> Update<'s> {
    /// Reads the index of `source` and finds what in it is new to `cursor`, the [`Cursor::default`] of a device
    /// that has read nothing.
    ///
    /// # Errors
    ///
    /// [`UpdateError`], by name: an index that no key of `trusted` has signed, an older one than was read
    /// before, one of another region.
    pub fn fetch(
        source: &'s dyn BatchSource,
        trusted: &[VerificationKey],
        cursor: &Cursor,
        options: UpdateOptions,
        now: Timestamp,
    ) -> Result<Self, UpdateError> {
        let file = read_index(source)?.ok_or(UpdateError::NoIndex)?;
        let index = Index::verify(&file, trusted)?;
        let cursor = cursor.seen(&index, sha256(&[&file]))?;
        let mut packages: Vec<_> = index
            .packages
            .iter()
            .filter(|package| options.protocol.is_none_or(|it| it == package.protocol))
            .filter(|package| cursor.wants(package, &index))
            .cloned()
            .collect();
        packages.sort_by_key(|package| (package.end(), package.cycle, package.clone()));
        let age = now.since(index.published_until);
        let mut update = Self {
            source,
            packages: packages.into(),
            cursor,
            stale: Some(age).filter(|age| *age > options.stale_after),
            index,
        };
        update.advance();
        Ok(update)
    }

    /// The next package, and again the same until it is [`matched`](Self::matched); `None` after the last.
    ///
    /// # Errors
    ///
    /// [`UpdateError`] by the package's name. Those before it were read; what was found in them may be told, that
    /// nothing was found may not.
    pub fn next_batch(&self) -> Result<Option<Batch>, UpdateError> {
        let next = self.packages.front();
        next.map(|package| open(self.source, package)).transpose()
    }

    /// The package that [`next_batch`](Self::next_batch) gives, as the index has it.
    pub fn next_package(&self) -> Option<&PackageInfo> {
        self.packages.front()
    }

    /// Packages that are still to be matched.
    pub fn remaining(&self) -> usize {
        self.packages.len()
    }

    /// Says that all of the package that came last was matched.
    pub fn matched(&mut self) {
        if let Some(package) = self.packages.pop_front() {
            self.cursor.done(&package);
            self.advance();
        }
    }

    /// How far the device has come, to be stored and given to the next [`fetch`](Self::fetch).
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// How old the index is, if that is more than it should be: the publisher stands still, or somebody keeps
    /// newer files away. What is in it still counts; that nothing else was found does not.
    pub fn stale(&self) -> Option<Duration> {
        self.stale
    }

    /// The index.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Everything before the first package that is left has been read.
    fn advance(&mut self) {
        let starts = self.packages.iter().map(|package| package.start);
        let left = starts.min().unwrap_or(self.index.published_until);
        self.cursor.advance(left);
    }
}

impl fmt::Debug for Update<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Update")
            .field("number", &self.index.number)
            .field("remaining", &self.remaining())
            .field("stale", &self.stale)
            .finish_non_exhaustive()
    }
}

/// The package in `source`, once it has been found to be the one that the index names.
pub(super) fn open(source: &dyn BatchSource, package: &PackageInfo) -> Result<Batch, UpdateError> {
    let name = package.name();
    let contents = source.open(&name, package.bytes)?;
    let mut contents = contents.ok_or_else(|| UpdateError::Missing { name: name.clone() })?;
    let other = || UpdateError::OtherHash { name: name.clone() };
    match package.protocol {
        ProtocolKind::Gaen => {
            if hash(&mut contents, &name)? != package.sha256 {
                return Err(other());
            }
            let reader = ExportReader::open(contents);
            let reader = reader.map_err(|source| UpdateError::Export { name, source })?;
            Ok(Batch::Gaen(reader))
        }
        // Hashed where it is held: nothing but the index vouches for it.
        ProtocolKind::Bluezone => {
            let bytes = read_all(&name, contents, package.bytes)?;
            if sha256(&[&bytes]) != package.sha256 {
                return Err(other());
            }
            let entries = bluezone_json::parse(&bytes);
            let entries = entries.map_err(|source| UpdateError::List { name, source })?;
            Ok(Batch::Bluezone(entries))
        }
    }
}

/// The SHA-256 of `contents`, which then stand at their beginning again.
fn hash(contents: &mut Box<dyn Contents>, name: &str) -> Result<[u8; 32], StoreError> {
    /// Chosen: few calls, little memory.
    const BLOCK_BYTES: usize = 64 * 1024;
    let failed = |error: io::Error| StoreError::failed(name, &error);
    let mut hash = Sha256::new();
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match contents.read(&mut block) {
            Ok(0) => break,
            Ok(read) => hash.update(block.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    contents.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(hash.finish())
}

impl Cursor {
    /// Whether `package` of `index` is new.
    fn wants(&self, package: &PackageInfo, index: &Index) -> bool {
        if self.has_done(package) {
            return false;
        }
        let (day, until) = (Cycle::Daily.start_of(package.start), self.until());
        // Hours that are no longer listed come again with their day.
        let begun = day < until && until < index.hourly_since;
        let whole_day = day >= until || begun;
        let rolled_up = day.saturating_add(Cycle::Daily.length()) <= index.daily_until;
        match package.cycle {
            Cycle::Daily => whole_day && package.end() > until,
            Cycle::Hourly => package.start >= until && !(whole_day && rolled_up),
        }
    }
}

#[cfg(test)]
mod tests;
