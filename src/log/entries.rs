//! What a device's owner puts into the log: records other than sightings, sealed and forgotten as those are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::reader::{ALL_DAYS, Chunks, LogReader};
use super::segment::ChunkRead;
use super::{EncounterLog, LogError, used_in};
use crate::time::{Timestamp, UtcDay};

/// What kind of record an [entry](LogEntry) is. Each has a number for ever.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(from = "u16", into = "u16")]
#[non_exhaustive]
pub enum EntryKind {
    /// A health declaration; number 1.
    HealthDeclaration,
    /// A place that the owner has entered or left; number 2.
    CheckIn,
    /// One that a newer release has stored: kept and exported, and for that release to read.
    Other(u16),
}

impl From<u16> for EntryKind {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::HealthDeclaration,
            2 => Self::CheckIn,
            other => Self::Other(other),
        }
    }
}

impl From<EntryKind> for u16 {
    fn from(kind: EntryKind) -> Self {
        match kind {
            EntryKind::HealthDeclaration => 1,
            EntryKind::CheckIn => 2,
            EntryKind::Other(other) => other,
        }
    }
}

/// A record that the owner of a device, or an app in his name, puts into the log.
///
/// It is sealed, erased with the retention and told when it has been tampered with as sightings are; its
/// length can be told from the file's.
#[derive(Clone, Eq, PartialEq)]
pub struct LogEntry {
    /// When it was made. It is stored with this UTC day, and forgotten with it.
    pub at: Timestamp,
    /// What it is.
    pub kind: EntryKind,
    /// What it says, in the form of its kind: [`BYTES_MAX`](Self::BYTES_MAX) at most.
    pub bytes: Vec<u8>,
}

impl LogEntry {
    /// Bytes of one entry at most. Chosen: a declaration has some hundred, and a note of its owner as many as a
    /// page; a full chunk holds seven.
    pub const BYTES_MAX: usize = 1 << 14;
}

/// Not what it says: an entry is about its owner's health, or where he was.
impl fmt::Debug for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogEntry")
            .field("at", &self.at)
            .field("kind", &self.kind)
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// What an entry takes of a segment at most beside its bytes: time, kind and length, a chunk of its own, the header
/// of a segment, and a clock record before it.
const BESIDE_BYTES: u64 = 18 + 29 + 128 + 63;

impl EncounterLog {
    /// Appends `entries` and returns once they are on the disk, each in a segment of the UTC day in which it was
    /// made.
    ///
    /// A part of each day's share of the budget is kept for them, 64 KiB or a quarter of a small share, so that no
    /// flood of sightings keeps them out; beside that they may take what the day has left.
    ///
    /// An entry is of a day that is kept, or of tomorrow at the latest: an older one would be deleted by the next purge
    /// although it was acknowledged, and one that a clock in disorder has dated years ahead would be kept for as long.
    /// Today is what [`observe`](EncounterLog::observe) was told last. If it was told nothing since the log was opened, it
    /// is the day of the newest of `entries`, which then is not checked: the reading of an earlier run may be as old as
    /// the log.
    ///
    /// # Errors
    ///
    /// [`LogError::EntryTooLong`], [`LogError::EntryDay`], and nothing is stored then; [`LogError::DayFull`], [`LogError::Io`],
    /// [`LogError::TooManySegments`], and those of earlier days are stored then.
    pub fn append_entries(&mut self, entries: &[LogEntry]) -> Result<(), LogError> {
        let observed = self.clock.map(|clock| clock.wall.utc_day());
        let newest = entries.iter().map(|entry| entry.at.utc_day()).max();
        match observed.or(newest) {
            Some(today) => self.append_entries_on(today, entries),
            None => Ok(()),
        }
    }

    /// As [`append_entries`](Self::append_entries), for a caller who knows which day it is.
    pub(crate) fn append_entries_on(
        &mut self,
        today: UtcDay,
        entries: &[LogEntry],
    ) -> Result<(), LogError> {
        let lengths = entries.iter().map(|entry| entry.bytes.len());
        if let Some(len) = lengths.max().filter(|len| *len > LogEntry::BYTES_MAX) {
            return Err(LogError::EntryTooLong { len });
        }
        self.require_kept(today, entries)?;
        for of_day in entries.chunk_by(|a, b| a.at.utc_day() == b.at.utc_day()) {
            let Some(day) = of_day.first().map(|entry| entry.at.utc_day()) else {
                continue;
            };
            let more = of_day.iter().map(|it| it.bytes.len() as u64 + BESIDE_BYTES);
            let used = used_in(&self.manifest, &self.options)(day);
            if used.saturating_add(more.sum()) > self.options.day_share_bytes() {
                return Err(LogError::DayFull { day });
            }
            self.append_to(day, |writer, home, clock| {
                writer.append_entries(home, clock, of_day)
            })?;
        }
        Ok(())
    }

    fn require_kept(&self, today: UtcDay, entries: &[LogEntry]) -> Result<(), LogError> {
        let first = today.saturating_sub(self.options.retention_days());
        let last = UtcDay::from_unix_days(today.unix_days().saturating_add(1));
        let mut days = entries.iter().map(|entry| entry.at.utc_day());
        match days.find(|day| !(first..=last).contains(day)) {
            Some(day) => Err(LogError::EntryDay { day, first, last }),
            None => Ok(()),
        }
    }
}

impl LogReader {
    /// All entries, day by day, with one chunk in memory at a time.
    ///
    /// # Errors
    ///
    /// As [`sightings`](Self::sightings).
    pub fn entries(&self) -> Result<Entries<'_>, LogError> {
        self.entries_of(ALL_DAYS.0, ALL_DAYS.1)
    }

    /// The entries of the days from `first` to `last`. Segments of other days are not opened.
    ///
    /// # Errors
    ///
    /// As [`sightings`](Self::sightings).
    pub fn entries_of(&self, first: UtcDay, last: UtcDay) -> Result<Entries<'_>, LogError> {
        let (mut segments, damage) = self.segments_as_known()?;
        segments.retain(|(name, _)| (first..=last).contains(&name.day));
        Ok(Entries {
            damage,
            chunks: self.chunks_of(segments),
            chunk: Vec::new().into_iter(),
        })
    }
}

/// The entries of a log, in the order in which they were stored.
///
/// An error ends the segment it stands in; the next call goes on with the following one, as
/// [`Sightings`](super::Sightings) does.
pub struct Entries<'a> {
    /// The manifest's, which is told first.
    damage: Option<LogError>,
    chunks: Chunks<'a>,
    chunk: std::vec::IntoIter<LogEntry>,
}

impl Iterator for Entries<'_> {
    type Item = Result<LogEntry, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(damage) = self.damage.take() {
            return Some(Err(damage));
        }
        loop {
            if let Some(entry) = self.chunk.next() {
                return Some(Ok(entry));
            }
            match self.chunks.next().transpose()? {
                Ok(ChunkRead::Entries(entries)) => self.chunk = entries.into_iter(),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
