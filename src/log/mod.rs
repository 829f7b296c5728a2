//! The encounter log: what the device has heard, sealed, for fourteen days.
//!
//! A log is a directory. [`EncounterLog`] is its one writer, [`LogReader`] reads it, beside the
//! writer if need be. `docs/log-format.md` has every byte, `docs/threat-model.md` what it protects
//! from today and what not yet.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

mod directory;
mod format;
mod keys;
mod segment;

pub use keys::{KeyError, KeyFile, KeyProvider, MemoryKey};

use crate::entropy::EntropyError;
use crate::protocol::own_key::{StoredOwnKey, release_days};
use crate::protocol::{OwnKey, PublishedKey};
use crate::secret::Secret;
use crate::sighting::Sighting;
use crate::time::{Timestamp, UtcDay};
use format::{LogId, SegmentHeader};
use segment::{ChunkRead, SegmentName, SegmentReader, SegmentWriter};

/// Days kept beside today's: the time in which one patient can have infected another, as both
/// protocols have it.
pub const RETENTION_DAYS: u32 = 14;

/// Segments of one day at most. Chosen: a device that restarts every half minute for a whole day.
const SEGMENTS_PER_DAY_MAX: u32 = 10_000;

/// The log's writer. Only one can have a log open.
pub struct EncounterLog {
    directory: PathBuf,
    kek: Secret<32>,
    log_id: LogId,
    writer: Option<SegmentWriter>,
    /// Held, not read: the lock ends when it is closed.
    _lock: File,
}

impl std::fmt::Debug for EncounterLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncounterLog")
            .field("directory", &self.directory)
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
        let kek = keys.key_encryption_key()?;
        directory::make(&directory)?;
        // Looked at before the lock is taken, so that a refusal leaves nothing behind.
        match directory::read_log_id(&directory, &kek) {
            Err(LogError::NoLog { .. }) => directory::require_empty(&directory)?,
            other => drop(other?),
        }
        let lock = directory::lock(&directory)?;
        let log_id = match directory::read_log_id(&directory, &kek) {
            Err(LogError::NoLog { .. }) => directory::create_log(&directory, &kek)?,
            other => other?,
        };
        Ok(Self {
            directory,
            kek,
            log_id,
            writer: None,
            _lock: lock,
        })
    }

    /// Appends `sightings` and returns once they are on the disk. Each goes to the segment of the
    /// UTC day in which it was first heard.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`], for instance when the disk is full. Nothing that an earlier call
    /// acknowledged is lost, part of `sightings` may be stored, and the call can be repeated once
    /// the cause is gone.
    pub fn append(&mut self, sightings: &[Sighting]) -> Result<(), LogError> {
        let day = |sighting: &Sighting| sighting.first.utc_day();
        for same_day in sightings.chunk_by(|a, b| day(a) == day(b)) {
            let Some(first) = same_day.first() else {
                continue;
            };
            // Taken out, and put back only when all is well: a segment whose write failed may end
            // in a cut chunk, and nothing may stand behind that.
            let mut writer = match self.writer.take() {
                Some(writer) if writer.day() == day(first) => writer,
                _ => self.create_segment(day(first))?,
            };
            writer.append(same_day)?;
            self.writer = Some(writer);
        }
        Ok(())
    }

    /// The device's own daily keys as they were last saved.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`].
    pub fn own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        directory::read_own_keys(&self.directory, self.log_id, &self.kek)
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
        directory::write_own_keys(&self.directory, self.log_id, &self.kek, keys)
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
        for name in directory::segment_names(&self.directory)? {
            if name.day < oldest {
                let path = self.directory.join(name.to_string());
                fs::remove_file(&path).map_err(|e| LogError::io("delete a segment", &path, e))?;
                deleted += 1;
            }
        }
        if self
            .writer
            .as_ref()
            .is_some_and(|writer| writer.day() < oldest)
        {
            self.writer = None;
        }
        if deleted > 0 {
            directory::sync(&self.directory)?;
        }
        Ok(deleted)
    }

    /// A reader of this log, under the key it was opened with.
    pub fn reader(&self) -> LogReader {
        LogReader {
            directory: self.directory.clone(),
            kek: self.kek.duplicate(),
            log_id: self.log_id,
        }
    }

    fn create_segment(&self, day: UtcDay) -> Result<SegmentWriter, LogError> {
        let names = directory::segment_names(&self.directory)?;
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
            day,
            log_id: self.log_id,
            salt: directory::fresh_id()?,
        };
        let path = self.directory.join(name.to_string());
        let writer = SegmentWriter::create(path, header, &self.kek)?;
        directory::sync(&self.directory)?;
        Ok(writer)
    }
}

/// Reads a log. It takes no lock and changes nothing; what a writer appends after a segment was
/// opened is not seen.
pub struct LogReader {
    directory: PathBuf,
    kek: Secret<32>,
    log_id: LogId,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl LogReader {
    /// Opens the log in `directory` to read it.
    ///
    /// # Errors
    ///
    /// [`LogError::NoLog`], [`LogError::WrongKey`], [`LogError::Key`], [`LogError::Io`],
    /// [`LogError::Corrupted`].
    pub fn open(
        directory: impl Into<PathBuf>,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        let directory = directory.into();
        let kek = keys.key_encryption_key()?;
        let log_id = directory::read_log_id(&directory, &kek)?;
        Ok(Self {
            directory,
            kek,
            log_id,
        })
    }

    /// Another reader of the same log.
    pub(crate) fn duplicate(&self) -> Self {
        Self {
            directory: self.directory.clone(),
            kek: self.kek.duplicate(),
            log_id: self.log_id,
        }
    }

    /// All sightings, day by day, with one chunk in memory at a time.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] if the directory cannot be listed.
    pub fn sightings(&self) -> Result<Sightings<'_>, LogError> {
        Ok(Sightings {
            reader: self,
            names: directory::segment_names(&self.directory)?.into_iter(),
            segment: None,
            chunk: Vec::new().into_iter(),
            torn_bytes: 0,
        })
    }

    /// The device's own daily keys.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`].
    pub fn own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        directory::read_own_keys(&self.directory, self.log_id, &self.kek)
    }
}

/// The sightings of a log, in the order in which they were stored.
///
/// An error ends the segment it stands in; the next call goes on with the following segment, so
/// that one damaged file does not hide the others.
pub struct Sightings<'a> {
    reader: &'a LogReader,
    names: std::vec::IntoIter<SegmentName>,
    segment: Option<SegmentReader>,
    chunk: std::vec::IntoIter<Sighting>,
    torn_bytes: u64,
}

impl Sightings<'_> {
    /// Bytes passed over so far at the ends of segments because they are of no whole chunk: a write
    /// that was cut by a crash, or is under way. Nothing in them was ever acknowledged.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    fn advance(&mut self) -> Result<bool, LogError> {
        let Some(mut segment) = self.segment.take() else {
            let Some(name) = self.names.next() else {
                return Ok(false);
            };
            let LogReader {
                directory,
                kek,
                log_id,
            } = self.reader;
            self.segment = match SegmentReader::open(directory, &name, *log_id, kek) {
                // The writer's retention may delete a segment while we read.
                Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    None
                }
                other => Some(other?),
            };
            return Ok(true);
        };
        match segment.read_chunk()? {
            ChunkRead::Sightings(chunk) => {
                self.chunk = chunk.into_iter();
                self.segment = Some(segment);
            }
            ChunkRead::End { torn } => self.torn_bytes += torn,
        }
        Ok(true)
    }
}

impl Iterator for Sightings<'_> {
    type Item = Result<Sighting, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(sighting) = self.chunk.next() {
                return Some(Ok(sighting));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

/// The log cannot be used, or part of it cannot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The log was made with another key.
    #[error("the key does not open the log in {}: it was made with another", directory.display())]
    WrongKey {
        /// Where the log is.
        directory: PathBuf,
    },
    /// Another process writes to the log.
    #[error("another process has the log in {} open: stop it first", directory.display())]
    InUse {
        /// Where the log is.
        directory: PathBuf,
    },
    /// There is no log.
    #[error("there is no log in {}", directory.display())]
    NoLog {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The directory holds things that are not a log's.
    #[error(
        "{} holds {found} but no log: give an empty or a new directory",
        directory.display()
    )]
    NotALog {
        /// The directory.
        directory: PathBuf,
        /// One of the things.
        found: String,
    },
    /// A file is not as it was written.
    #[error("{segment} is damaged at byte {offset}: {what}")]
    Corrupted {
        /// The file's name.
        segment: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A file was written by a newer version of this crate.
    #[error(
        "{file} has format version {found}, this version reads {}",
        format::VERSION
    )]
    UnsupportedVersion {
        /// The file's name.
        file: String,
        /// Its version.
        found: u16,
    },
    /// The log was opened too often on one day.
    #[error(
        "{day} has {SEGMENTS_PER_DAY_MAX} segments, no more are made: is something restarting?"
    )]
    TooManySegments {
        /// The day.
        day: UtcDay,
    },
    /// The system refuses.
    #[error("cannot {doing} at {}: {source}", path.display())]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The thread that wrote to the log has panicked.
    #[error("the writer of the log has died: restart, and report it")]
    WriterDied,
    /// Sealing failed, which no input makes happen.
    #[error("a record could not be sealed")]
    Crypto,
}

impl LogError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn corrupted(segment: &str, offset: u64, what: &'static str) -> Self {
        Self::Corrupted {
            segment: segment.to_owned(),
            offset,
            what,
        }
    }
}
