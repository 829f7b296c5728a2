//! The encounter log: what the device has heard, sealed, for fourteen days.
//!
//! A log is a directory. [`EncounterLog`] is its one writer, [`LogReader`] reads it, beside the
//! writer if need be. `docs/log-format.md` has every byte, `docs/threat-model.md` what it protects
//! from today and what not yet.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

mod directory;
mod error;
mod format;
mod keys;
mod packing;
mod reader;
mod segment;

pub use error::{LogError, NotAppended};
#[cfg(feature = "passphrase")]
pub use keys::{Argon2Parameters, PassphraseFile};
pub use keys::{KeyError, KeyFile, KeyProvider, KeyPurpose, MemoryKey};
pub use reader::{LogReader, Sightings};

use crate::entropy::{SystemEntropy, random_secret};
use crate::protocol::own_key::{StoredOwnKey, release_days};
use crate::protocol::{OwnKey, PublishedKey};
use crate::sighting::{ScanGap, Sighting};
use crate::time::{Timestamp, UtcDay};
use directory::LogDirectory;
use format::{SEGMENT_VERSION, SegmentHeader};
use segment::{SegmentName, SegmentWriter};

/// Days kept beside today's: the time in which one patient can have infected another, as both
/// protocols have it.
pub const RETENTION_DAYS: u32 = 14;

/// Segments of one day at most. Chosen: a device that restarts every half minute for a whole day.
const SEGMENTS_PER_DAY_MAX: u32 = 10_000;

/// Segments that are written to at a time: around midnight sightings of both days come mixed.
const WRITERS_MAX: usize = 2;

/// The log's writer. Only one can have a log open.
pub struct EncounterLog {
    home: LogDirectory,
    /// The one used last stands last.
    writers: Vec<SegmentWriter>,
    /// Held, not read: the lock ends when it is closed.
    _lock: File,
}

impl std::fmt::Debug for EncounterLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncounterLog")
            .field("directory", &self.home.path)
            .finish_non_exhaustive()
    }
}

impl EncounterLog {
    /// Opens the log in `directory`, or makes it there.
    ///
    /// # Errors
    ///
    /// - [`LogError::InUse`] if another process writes to it.
    /// - [`LogError::WrongKey`] if it was made with another key; nothing is changed.
    /// - [`LogError::NotALog`] if the directory holds other things.
    /// - [`LogError::Key`], [`LogError::Io`], [`LogError::Corrupted`].
    pub fn open(
        directory: impl Into<PathBuf>,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        let directory = directory.into();
        let kek = match keys.load(KeyPurpose::Logging)? {
            Some(key) => key,
            None => {
                let key = random_secret(&mut SystemEntropy)?;
                keys.replace(KeyPurpose::Logging, &key)?;
                key
            }
        };
        directory::make(&directory)?;
        // Looked at before the lock is taken, so that a refusal leaves nothing behind.
        match LogDirectory::open(directory.clone(), kek.duplicate()) {
            Err(LogError::NoLog { .. }) => directory::require_empty(&directory)?,
            other => drop(other?),
        }
        let lock = directory::lock(&directory)?;
        let home = match LogDirectory::open(directory.clone(), kek.duplicate()) {
            Err(LogError::NoLog { .. }) => LogDirectory::create(directory, kek)?,
            other => other?,
        };
        Ok(Self {
            home,
            writers: Vec::new(),
            _lock: lock,
        })
    }

    /// Appends `sightings` and returns once they are on the disk. Each goes to a segment of the UTC day
    /// in which it was first heard.
    ///
    /// # Errors
    ///
    /// [`NotAppended`] with those sightings that could not be stored, for instance because the disk is
    /// full. A day is stored as a whole or not at all, and nothing that an earlier call acknowledged
    /// is lost. What is left can be given again once the cause is gone.
    pub fn append(&mut self, sightings: &[Sighting]) -> Result<(), NotAppended> {
        let mut days: BTreeMap<UtcDay, Vec<Sighting>> = BTreeMap::new();
        for sighting in sightings {
            days.entry(sighting.first.utc_day())
                .or_default()
                .push(sighting.clone());
        }
        let mut failed: Option<NotAppended> = None;
        for (day, of_day) in days {
            let Err(source) = self.append_to(day, |writer| writer.append(&of_day)) else {
                continue;
            };
            let failed = failed.get_or_insert(NotAppended {
                sightings: Vec::new(),
                source,
            });
            failed.sightings.extend(of_day);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Appends `gaps` and returns once they are on the disk, each in a segment of the UTC day in which
    /// it ended.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`], [`LogError::TooManySegments`]; those of earlier days are stored then.
    pub fn append_gaps(&mut self, gaps: &[ScanGap]) -> Result<(), LogError> {
        for of_day in gaps.chunk_by(|a, b| a.to.utc_day() == b.to.utc_day()) {
            if let Some(first) = of_day.first() {
                self.append_to(first.to.utc_day(), |writer| writer.append_gaps(of_day))?;
            }
        }
        Ok(())
    }

    fn append_to(
        &mut self,
        day: UtcDay,
        append: impl FnOnce(&mut SegmentWriter) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        // Taken out, and put back only when all is well: a segment whose write failed may end in a
        // cut chunk, and nothing may stand behind that.
        let open = self.writers.iter().position(|writer| writer.day() == day);
        let mut writer = match open {
            Some(index) => self.writers.remove(index),
            None => self.create_segment(day)?,
        };
        append(&mut writer)?;
        self.writers.push(writer);
        if self.writers.len() > WRITERS_MAX {
            self.writers.remove(0);
        }
        Ok(())
    }

    /// The device's own daily keys as they were last saved.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`].
    pub fn own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        self.home.read_own_keys()
    }

    /// Replaces the saved own keys by `keys`, as a whole or not at all.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`].
    pub fn save_own_keys(&mut self, keys: &[OwnKey]) -> Result<(), LogError> {
        let stored: Vec<StoredOwnKey> = keys.iter().map(OwnKey::to_stored).collect();
        self.save_stored_keys(&stored)
    }

    pub(crate) fn save_stored_keys(&mut self, keys: &[StoredOwnKey]) -> Result<(), LogError> {
        self.home.write_own_keys(keys)
    }

    /// Gives out the own keys of the days from `first` to `last` that have begun by `now`, and marks
    /// them so that no tracer advertises them again. For a device whose tracer is not running;
    /// [`Tracer::release`](crate::Tracer::release) is for one whose is.
    ///
    /// To be called with its owner's consent to exactly these days.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`]; nothing is given out then.
    pub fn release_own_keys(
        &mut self,
        now: Timestamp,
        first: UtcDay,
        last: UtcDay,
    ) -> Result<Vec<PublishedKey>, LogError> {
        let mut keys = self.own_keys()?;
        let published = release_days(&mut keys, now, first, last);
        self.save_own_keys(&keys)?;
        Ok(published)
    }

    /// Deletes every segment of a day more than [`RETENTION_DAYS`] before `today`, and tells how
    /// many. Own keys are the tracer's to drop: it saves those that are left.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`].
    pub fn purge(&mut self, today: UtcDay) -> Result<usize, LogError> {
        let oldest = today.saturating_sub(RETENTION_DAYS);
        let mut deleted = 0;
        for name in self.home.segment_names()? {
            if name.day < oldest {
                let path = self.home.path.join(name.to_string());
                fs::remove_file(&path).map_err(|e| LogError::io("delete a segment", &path, e))?;
                deleted += 1;
            }
        }
        self.writers.retain(|writer| writer.day() >= oldest);
        if deleted > 0 {
            directory::sync(&self.home.path)?;
        }
        Ok(deleted)
    }

    /// A reader of this log, under the key it was opened with.
    pub fn reader(&self) -> LogReader {
        LogReader::new(self.home.duplicate())
    }

    fn create_segment(&self, day: UtcDay) -> Result<SegmentWriter, LogError> {
        let names = self.home.segment_names()?;
        let last = names
            .iter()
            .filter(|name| name.day == day)
            .map(|name| name.number)
            .max();
        let name = SegmentName {
            day,
            number: last.map_or(0, |last| last.saturating_add(1)),
        };
        if name.number >= SEGMENTS_PER_DAY_MAX {
            return Err(LogError::TooManySegments { day });
        }
        let header = SegmentHeader {
            version: SEGMENT_VERSION,
            day,
            log_id: self.home.log_id,
            salt: directory::fresh_id()?,
        };
        let path = self.home.path.join(name.to_string());
        let writer = SegmentWriter::create(path, header, &self.home.kek)?;
        directory::sync(&self.home.path)?;
        Ok(writer)
    }
}
