//! The encounter log: what the device has heard, sealed, for fourteen days.
//!
//! [`EncounterLog`] is a log's one writer, [`LogReader`] reads it, beside the writer if need be. The writer
//! holds no key that opens what it has written; the key that does is asked of the app's [`KeyProvider`] to
//! read, and once a day to forget what is too old. `docs/log-format.md` has every byte,
//! `docs/threat-model.md` what it protects from and what not.

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

mod access;
mod admission;
mod clocks;
mod distinct;
mod entries;
mod erasure;
mod error;
mod format;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod home;
mod keys;
mod manifest;
mod options;
mod own_data;
mod packing;
mod reader;
mod renewal;
mod segment;
mod statistics;
mod storage;
mod verification;

pub(crate) use access::LogAccess;
pub use admission::Admitted;
pub use distinct::DistinctCount;
pub use entries::{Entries, EntryKind, LogEntry};
pub use erasure::{KeysRenewed, Purged, wipe};
pub use error::{LogError, NotAppended};
#[cfg(feature = "passphrase")]
pub use keys::{Argon2Parameters, PassphraseFile};
pub use keys::{KeyError, KeyFile, KeyProvider, KeyPurpose, MemoryKey};
pub use options::{InvalidOptions, LogOptions};
pub use own_data::{Exported, NotExported, OwnersConsent};
pub use reader::{LogReader, Sightings};
pub use statistics::{DailyStatistics, DayStatistics, STRONG_FROM_DBM, Strengths};
pub use storage::{AppendFile, FileStorage, MemoryStorage, Storage, StoredFile};
pub use verification::{FileVerification, SegmentVerification, Verification};

use crate::protocol::own_key::{StoredOwnKey, release_days};
use crate::protocol::{OwnKey, PublishedKey};
use crate::sighting::{ScanGap, Sighting};
use crate::time::{ClockReading, ClockRecord, Timestamp, UtcDay};
use admission::Admission;
use clocks::to_note;
use home::Home;
use manifest::{Length, Manifest};
use segment::SegmentWriter;

/// Days kept beside today's, unless told otherwise: the time in which one patient can have infected another,
/// as both protocols have it.
pub const RETENTION_DAYS: u32 = 14;

/// Segments of one day at most. Chosen: a device that restarts every minute and a half for a whole day.
const SEGMENTS_PER_DAY_MAX: u32 = 1_000;

/// Segments of a log at most. Chosen: the manifest, which is written anew each hour, has 200 kB then.
const SEGMENTS_MAX: usize = 8_192;

/// Segments that are written to at a time: around midnight sightings of both days come mixed.
const WRITERS_MAX: usize = 2;

/// A day's writer is kept for so long into the next day. Chosen: as long as an identifier lives, by when what was
/// heard before midnight has come.
const FORMER_DAY: Duration = Duration::from_secs(1_200);

/// Batches after which the manifest is written anew, so that what was acknowledged before can be told from
/// what a crash has left. Chosen: an hour of a batch a minute.
const BATCHES_PER_MANIFEST: u32 = 64;

/// The log's writer. Only one can have a log open.
pub struct EncounterLog {
    home: Home,
    keys: Arc<dyn KeyProvider>,
    options: LogOptions,
    admission: Admission,
    manifest: Manifest,
    /// What the clocks said last.
    clock: Option<ClockReading>,
    /// Batches since the manifest was written.
    unnoted: u32,
    /// The one used last stands last.
    writers: Vec<SegmentWriter>,
    /// Held, not read: the lock ends when it is dropped.
    _lock: Box<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for EncounterLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EncounterLog")
            .field("directory", &self.home.storage.location())
            .finish_non_exhaustive()
    }
}

impl EncounterLog {
    /// Opens the log in `directory`, or makes it there.
    ///
    /// # Errors
    ///
    /// - [`LogError::InUse`] if another process writes to it.
    /// - [`LogError::WrongKey`] if it was made with other keys; nothing is changed.
    /// - [`LogError::NotALog`] if the directory holds other things.
    /// - [`LogError::Key`], [`LogError::Io`], [`LogError::Corrupted`].
    pub fn open(
        directory: impl Into<PathBuf>,
        keys: impl KeyProvider + 'static,
    ) -> Result<Self, LogError> {
        Self::open_on(FileStorage::new(directory), keys, LogOptions::default())
    }

    /// Opens the log in `storage`, or makes it there.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(
        storage: impl Storage + 'static,
        keys: impl KeyProvider + 'static,
        options: LogOptions,
    ) -> Result<Self, LogError> {
        let (storage, keys): (Arc<dyn Storage>, Arc<dyn KeyProvider>) =
            (Arc::new(storage), Arc::new(keys));
        let failed = |doing, e| LogError::io(doing, storage.location(), e);
        storage.prepare().map_err(|e| failed("prepare", e))?;
        // Looked at before the lock is taken, so that a refusal leaves nothing behind.
        match Home::open(Arc::clone(&storage), &*keys) {
            Err(LogError::NoLog { .. }) => Home::require_empty(&*storage)?,
            other => drop(other?),
        }
        let lock = storage.lock().map_err(|e| failed("lock", e))?;
        let lock = lock.ok_or_else(|| LogError::InUse {
            directory: storage.location().to_owned(),
        })?;
        let home = match Home::open(Arc::clone(&storage), &*keys) {
            Err(LogError::NoLog { .. }) => Home::create(storage, &*keys)?,
            Ok(mut home) if home.reading.is_none() => {
                home.upgrade(&*keys, renewal::legacy_table)?;
                home
            }
            other => other?,
        };
        home.settle()?;
        Ok(Self {
            manifest: Manifest::adopt(&home)?,
            admission: Admission::new(options.sightings_share_bytes()),
            home,
            keys,
            options,
            clock: None,
            unnoted: 0,
            writers: Vec::new(),
            _lock: lock,
        })
    }

    /// What the clocks said when this log was last written to; `None` if nobody has told it.
    pub fn last_clock(&self) -> Option<ClockReading> {
        self.manifest.clock
    }

    /// Tells what the clocks say. Whatever is appended from here on is stored beside it, and beside a mark if
    /// the wall clock has jumped.
    ///
    /// Call it every few minutes, also when nothing is heard: who was near is forgotten by it. And call it before
    /// [`append`](Self::append), with what the clocks say then: sightings stored beside an old reading look as if
    /// somebody had set the clock, and count in no exposure.
    pub fn observe(&mut self, reading: ClockReading) {
        self.clock = Some(reading);
        let over = reading.wall.saturating_sub(FORMER_DAY).utc_day();
        self.writers.retain(|writer| writer.day() >= over);
        for writer in &mut self.writers {
            writer.packer.forget(reading.wall);
        }
        let mut admitted = std::mem::take(&mut self.admission.owed);
        let used = used_in(&self.manifest, &self.options);
        self.admission.age(reading.wall, used, &mut admitted);
        if let Err(failed) = self.store(admitted) {
            self.admission.owed = failed.sightings;
        }
    }

    /// Appends `sightings` and returns once they are on the disk. Each goes to a segment of the UTC day
    /// in which it was first heard.
    ///
    /// While a day has taken less than half of its part of the log's budget, that is all. Beyond it, a flood is
    /// near: what has not yet been heard for long waits in memory until it has, and may be dropped;
    /// [`admitted`](Self::admitted) counts. Give sightings as they come, and batches of some dozens: each
    /// batch is synced.
    ///
    /// # Errors
    ///
    /// [`NotAppended`] with those sightings that could not be stored, for instance because the disk is
    /// full. A day is stored as a whole or not at all, and nothing that an earlier call acknowledged
    /// is lost. What is left can be given again once the cause is gone.
    pub fn append(&mut self, sightings: &[Sighting]) -> Result<(), NotAppended> {
        let mut admitted = std::mem::take(&mut self.admission.owed);
        let used = used_in(&self.manifest, &self.options);
        self.admission.admit(sightings, used, &mut admitted);
        self.store(admitted)
    }

    /// What has become of all sightings given since the log was opened.
    pub fn admitted(&self) -> Admitted {
        self.admission.counters()
    }

    /// Stores what waits and has been heard for long enough, drops what has not, and ends all segments.
    /// Dropping the log does the same, and tells nobody if it fails.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn close(mut self) -> Result<(), NotAppended> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), NotAppended> {
        let mut admitted = std::mem::take(&mut self.admission.owed);
        let used = used_in(&self.manifest, &self.options);
        self.admission.finish(used, &mut admitted);
        let stored = self.store(admitted);
        self.writers.clear();
        if self.unnoted > 0 {
            let noted = self.write_manifest();
            return stored.and(noted.map_err(|source| NotAppended {
                sightings: Vec::new(),
                source,
            }));
        }
        stored
    }

    fn store(&mut self, sightings: Vec<Sighting>) -> Result<(), NotAppended> {
        let mut days: BTreeMap<UtcDay, Vec<Sighting>> = BTreeMap::new();
        for sighting in sightings {
            days.entry(sighting.first.utc_day())
                .or_default()
                .push(sighting);
        }
        let mut failed: Option<NotAppended> = None;
        for (day, of_day) in days {
            let append = |writer: &mut SegmentWriter, home: &Home, clock| {
                writer.append(home, clock, &of_day)
            };
            let Err(source) = self.append_to(day, append) else {
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
                self.append_to(first.to.utc_day(), |writer, home, clock| {
                    writer.append_gaps(home, clock, of_day)
                })?;
            }
        }
        Ok(())
    }

    fn append_to(
        &mut self,
        day: UtcDay,
        append: impl FnOnce(&mut SegmentWriter, &Home, Option<ClockRecord>) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        // Taken out, and put back only when all is well: a segment whose write failed may end in a
        // cut chunk, and nothing may stand behind that.
        let open = self.writers.iter().position(|writer| writer.day() == day);
        let mut writer = match open {
            Some(index) => self.writers.remove(index),
            None => self.create_segment(day)?,
        };
        let clock = self
            .clock
            .and_then(|reading| to_note(reading, writer.clock));
        append(&mut writer, &self.home, clock)?;
        self.note(&writer);
        self.writers.push(writer);
        if self.writers.len() > WRITERS_MAX {
            self.writers.remove(0);
        }
        self.unnoted += 1;
        if self.unnoted >= BATCHES_PER_MANIFEST {
            // What has been appended is on the disk, whatever comes of this; it is tried again after as many.
            let _ = self.write_manifest();
        }
        Ok(())
    }

    fn note(&mut self, writer: &SegmentWriter) {
        let length = Length {
            acknowledged: writer.acknowledged,
            found: 0,
        };
        self.manifest.segments.insert(writer.name.clone(), length);
    }

    fn write_manifest(&mut self) -> Result<(), LogError> {
        self.home.be_ready(&*self.keys)?;
        self.manifest.clock = self.clock.or(self.manifest.clock);
        self.manifest.outlive_loss();
        self.manifest.write(&self.home)?;
        // Not sooner: what has not been noted is noted at the end at the latest.
        self.unnoted = 0;
        Ok(())
    }

    fn create_segment(&mut self, day: UtcDay) -> Result<SegmentWriter, LogError> {
        self.home.be_ready(&*self.keys)?;
        let name = self.manifest.next_name(day, &self.home.segment_names()?)?;
        let writer = SegmentWriter::create(&self.home, name)?;
        // Before anything is in it: what the manifest does not know is somebody else's.
        self.note(&writer);
        self.manifest.date_loss();
        self.write_manifest()?;
        Ok(writer)
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
        self.home.be_ready(&*self.keys)?;
        self.home.write_own_keys(keys)
    }

    /// Gives out the own keys of `days` that have begun by `now`, and marks them so that no tracer
    /// advertises them again; other days are left as they are. For a device whose tracer is not running;
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
        days: impl IntoIterator<Item = UtcDay>,
    ) -> Result<Vec<PublishedKey>, LogError> {
        let mut keys = self.own_keys()?;
        let published = release_days(&mut keys, now, &days.into_iter().collect());
        self.save_own_keys(&keys)?;
        Ok(published)
    }

    /// A reader of this log, with the reading key that the provider gives for it.
    ///
    /// # Errors
    ///
    /// [`LogError::Key`] if the device is locked, say; else as [`LogReader::open`].
    pub fn reader(&self) -> Result<LogReader, LogError> {
        LogReader::of(Arc::clone(&self.home.storage), &*self.keys)
    }

    /// What opens readers of this log, also while the writer is elsewhere.
    pub(crate) fn access(&self) -> LogAccess {
        LogAccess {
            storage: Arc::clone(&self.home.storage),
            keys: Arc::clone(&self.keys),
        }
    }

    /// How long what is stored is kept, and how much of it.
    pub fn options(&self) -> &LogOptions {
        &self.options
    }
}

impl Drop for EncounterLog {
    fn drop(&mut self) {
        // Without it what was appended since the manifest was written cannot be told from what a crash leaves;
        // it is read all the same.
        let _ = self.finish();
    }
}

/// Tells what a day has taken of its share. There are shares for the days that are kept, the newest; older ones, which
/// retention has not deleted yet, have one together.
fn used_in(manifest: &Manifest, options: &LogOptions) -> impl Fn(UtcDay) -> u64 + use<> {
    let days = manifest.bytes_of_days();
    let kept = options.retention_days() as usize + 1;
    move |day| {
        let newer = days.keys().filter(|it| **it > day).count();
        if newer < kept {
            return days.get(&day).copied().unwrap_or(0);
        }
        let old = days.values().rev().skip(kept);
        old.copied().fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests;
