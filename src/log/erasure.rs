//! Forgetting: what is too old, and everything at once.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::admission::Admission;
use super::format::FileKind;
use super::home::Home;
use super::segment::SegmentName;
use super::{
    EncounterLog, FileStorage, KeyError, KeyProvider, KeyPurpose, LogError, Storage, renewal,
};
use crate::time::UtcDay;

/// What a purge has done.
#[derive(Debug)]
#[non_exhaustive]
pub struct Purged {
    /// Segments deleted.
    pub deleted: usize,
    /// Whether what was deleted is beyond anybody's reach.
    pub keys: KeysRenewed,
}

/// Whether the keys that open what is too old are forgotten.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeysRenewed {
    /// They are: what was deleted cannot be opened by anybody who gets all bytes ever written and all keys
    /// there are now, as far as the [`KeyProvider`] forgets.
    Renewed,
    /// They were today, and nothing has been deleted since.
    NotDue,
    /// The provider does not give or take keys at the moment, because the device is locked, say. What was
    /// deleted is out of reach of those who have the files; it is renewed with the next purge.
    Deferred(KeyError),
}

impl EncounterLog {
    /// Deletes every segment of a day older than the retention, as of `today`, and has the provider forget
    /// the keys that open it. Own keys are the tracer's to drop: it saves those that are left.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`], [`LogError::Corrupted`].
    pub fn purge(&mut self, today: UtcDay) -> Result<Purged, LogError> {
        self.home.be_ready(&*self.keys)?;
        let oldest = today.saturating_sub(self.options.retention_days());
        let listed = self.home.segment_names()?;
        let known = self.manifest.segments.keys().cloned();
        // Also those that nobody knows of.
        let all = listed.into_iter().chain(known);
        let old: BTreeSet<SegmentName> = all.filter(|name| name.day < oldest).collect();
        self.writers.retain(|writer| writer.day() >= oldest);
        let before = self.manifest.clone();
        self.manifest.segments.retain(|name, _| name.day >= oldest);
        if self.manifest.segments.len() < before.segments.len() {
            // First: a segment that is missing and expected looks like damage, as does one that is there and
            // nobody knows of.
            self.manifest.doomed.extend(old.iter().cloned());
            self.manifest.renewed = None;
            let noted = self.write_manifest().or_else(|error| match error {
                // What the open segments were made longer by beforehand is more than a manifest takes.
                LogError::Io { source, .. } if is_full(&source) => {
                    self.writers.clear();
                    self.write_manifest()
                }
                error => Err(error),
            });
            if let Err(error) = noted {
                self.manifest = before;
                return Err(error);
            }
        }
        let (deleted, all) = self.home.delete(&old);
        if all.is_ok() {
            self.manifest.doomed.retain(|name| !old.contains(name));
        }
        // A reading key that the provider has not taken yet is one of before, which opens what was deleted.
        let unfinished = self.home.has(FileKind::ReadingKey)?;
        let due = deleted > 0 || unfinished || self.manifest.renewed != Some(today);
        let keys = match due {
            true => self.renew(today)?,
            false => KeysRenewed::NotDue,
        };
        if deleted > 0 && !matches!(keys, KeysRenewed::Renewed) {
            // A renewal has noted that they are gone.
            self.write_manifest()?;
        }
        // Told only now: a file that stays is no reason not to have the keys forgotten that open it.
        all.map(|()| Purged { deleted, keys })
    }

    fn renew(&mut self, today: UtcDay) -> Result<KeysRenewed, LogError> {
        let before = self.manifest.renewed.replace(today);
        self.manifest.clock = self.clock.or(self.manifest.clock);
        let live: Vec<SegmentName> = self.manifest.segments.keys().cloned().collect();
        let renewed = self
            .manifest
            .encode()
            .and_then(|manifest| renewal::renew(&mut self.home, &*self.keys, &live, manifest));
        match renewed {
            Ok(()) => {
                self.unnoted = 0;
                Ok(KeysRenewed::Renewed)
            }
            Err(error) => {
                self.manifest.renewed = before;
                match error {
                    LogError::Key(reason) => Ok(KeysRenewed::Deferred(reason)),
                    error => Err(error),
                }
            }
        }
    }

    /// Destroys the log: its keys are forgotten first, then its files deleted. Nothing of it opens any more,
    /// not even with a copy of its files.
    ///
    /// # Errors
    ///
    /// As [`wipe`].
    pub fn wipe(mut self) -> Result<(), LogError> {
        // What is dropped now is not to write anything.
        self.admission = Admission::new(0);
        self.unnoted = 0;
        wipe_home(&*self.home.storage, &*self.keys)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Destroys the log in `directory`: see [`EncounterLog::wipe`]. If a writer has it open, which had better be
/// closed before, it goes on until it next notes what it has written, 64 batches at most, is then told that there is no
/// log, and what it has acknowledged meanwhile is lost with the rest.
///
/// The keys of another log are left alone. A log that is damaged so that its own keys do not open it is
/// destroyed by [`KeyProvider::erase`].
///
/// # Errors
///
/// [`LogError::NoLog`] and [`LogError::WrongKey`] before anything is done, also [`LogError::Key`] if the keys cannot be
/// had; [`LogError::NotErased`] if the keys may still be there, [`LogError::NotDeleted`] if files are.
pub fn wipe(
    directory: impl Into<PathBuf>,
    keys: &(impl KeyProvider + ?Sized),
) -> Result<(), LogError> {
    let storage: Arc<dyn Storage> = Arc::new(FileStorage::new(directory));
    match Home::open(Arc::clone(&storage), keys) {
        // One whose keys have been erased already.
        Err(LogError::WrongKey { .. }) if keys.load(KeyPurpose::Logging)?.is_none() => {}
        opened => drop(opened?),
    }
    wipe_home(&*storage, keys)
}

fn wipe_home(storage: &dyn Storage, keys: &(impl KeyProvider + ?Sized)) -> Result<(), LogError> {
    let erased = keys.erase();
    let removed = remove_all(storage);
    erased.map_err(LogError::NotErased)?;
    removed.map_err(|error| LogError::NotDeleted(Box::new(error)))
}

/// Removes what is a log's, and nothing else.
fn remove_all(storage: &dyn Storage) -> Result<(), LogError> {
    let failed = |doing| move |e| LogError::io(doing, storage.location(), e);
    let mut first = Ok(());
    for name in storage.list().map_err(failed("list"))? {
        if Home::is_ours(&name)
            && let Err(e) = storage.remove(&name)
        {
            first = first.and(Err(LogError::io(
                "remove",
                &storage.location().join(&name),
                e,
            )));
        }
    }
    first.and(storage.sync_directory().map_err(failed("sync")))
}
