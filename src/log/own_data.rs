//! A log's content for the person whose it is, as JSON.

use std::io;

mod json;

use serde::Serialize;
use zeroize::Zeroizing;

use super::LogError;
use super::reader::{Listed, LogReader};
use super::segment::ChunkRead;
use json::{ClockJson, DamageJson, EntryJson, GapJson, OwnKeyJson, SightingJson, secret_of};

/// That the owner of a log wants it written out, in plain, and what of it.
///
/// An app makes one when its owner has asked for it on this device, after saying what it gives away: who has the
/// file knows when the owner was among people, and can tell from anybody's identifiers whether they had met.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub struct OwnersConsent {
    own_keys: bool,
}

impl OwnersConsent {
    /// To have written out what was heard, when nothing could be, and what the owner has entered.
    pub const fn to_what_was_heard() -> Self {
        Self { own_keys: false }
    }

    /// To have the device's own daily keys written out as well. They are secrets: who has them can tell where
    /// this device was heard, and can pretend to be it until the day is over. To report an infection,
    /// [`release_own_keys`](super::EncounterLog::release_own_keys) is what is wanted.
    pub const fn and_own_keys(self) -> Self {
        Self { own_keys: true }
    }
}

/// What has been written.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Exported {
    /// Sightings.
    pub sightings: u64,
    /// Gaps.
    pub gaps: u64,
    /// Records of the clocks.
    pub clock_records: u64,
    /// Entries.
    pub entries: u64,
    /// Own keys; `None` if they were not asked for, or do not open.
    pub own_keys: Option<u64>,
    /// Bytes at the ends of segments that are of no whole chunk: see
    /// [`Sightings::torn_bytes`](super::Sightings::torn_bytes).
    pub torn_bytes: u64,
    /// What could not be read, and so is missing; it is told in the JSON as well.
    pub damage: Vec<LogError>,
}

impl Exported {
    /// Whether all that was asked for has been written out.
    pub fn is_complete(&self) -> bool {
        self.damage.is_empty()
    }
}

/// The export is not whole; what has been written of it is no JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotExported {
    /// The log cannot be listed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// It cannot be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] io::Error),
}

impl LogReader {
    /// Writes all that the log holds to `to`, as one JSON object (RFC 8259), with one chunk in memory at a time.
    ///
    /// | key | value |
    /// |---|---|
    /// | `format` | `"truyvet own data"` |
    /// | `version` | 1; keys may be added to it |
    /// | `sightings` | array, in the order in which they were stored: `protocol` (`"Bluezone"`, `"GAEN"`), `id` (hexadecimal), `metadata` (GAEN's, hexadecimal and encrypted, or null), `first`, `last`, `frames`, `rssi` (`min_dbm`, `mean_dbm`, `max_dbm`, or null), `source` (`"service_data"`, `"manufacturer_data"`, `"service_uuid"`, `"gatt_read"`) |
    /// | `gaps` | array: `from`, `to`, `cause` (`"radio"`, `"adapter"`, `"clock_jump"`) |
    /// | `clock_records` | array: `wall`, `boot_id` (hexadecimal or null), `since_boot_ms` (or null), `jumped_from` (a time or null) |
    /// | `entries` | array of what the owner has entered: `at`, `kind` (`"health_declaration"`, `"check_in"`, or a number that a newer release knows), `bytes` (hexadecimal; what they say is in the form of the kind) |
    /// | `own_keys` | only if consented to: array of `protocol`, `day`, `valid_from`, `valid_until`, `released`, `secret` (hexadecimal) |
    /// | `torn_bytes` | bytes at the ends of segments that are of no whole chunk, which no writer had acknowledged |
    /// | `damage` | array of what could not be read: `file` and `offset` (or null), `what` |
    /// | `complete` | whether there was no damage |
    ///
    /// Times are RFC 3339 in UTC, to the millisecond: `"2020-08-08T00:15:00.125Z"`.
    ///
    /// ```
    /// # use truyvet::log::{EncounterLog, LogOptions, MemoryKey, MemoryStorage, OwnersConsent};
    /// # let log = EncounterLog::open_on(
    /// #     MemoryStorage::default(), MemoryKey::random()?, LogOptions::default())?;
    /// let mut json = Vec::new();
    /// let consent = OwnersConsent::to_what_was_heard();
    /// let exported = log.reader()?.export_json(consent, &mut json)?;
    /// assert!(exported.is_complete());
    /// # let json: serde_json::Value = serde_json::from_slice(&json)?;
    /// # assert_eq!(json["format"], "truyvet own data");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotExported`]. Damage is none: what opens is written, and the rest told in it.
    pub fn export_json(
        &self,
        consent: OwnersConsent,
        to: &mut (impl io::Write + ?Sized),
    ) -> Result<Exported, NotExported> {
        let (segments, damage) = self.segments_as_known()?;
        let mut export = Export {
            reader: self,
            segments,
            to,
            buffer: Zeroizing::new(Vec::with_capacity(BUFFER_BYTES)),
            exported: Exported::default(),
        };
        export.exported.damage.extend(damage);
        export.write(consent)?;
        Ok(export.exported)
    }
}

/// Room for what is written next, which an own key (some 250 bytes) never outgrows: a vector that grows leaves
/// copies behind.
const BUFFER_BYTES: usize = 1 << 12;

struct Export<'a, W: ?Sized> {
    reader: &'a LogReader,
    segments: Vec<Listed>,
    to: &'a mut W,
    /// What is to be written next.
    buffer: Zeroizing<Vec<u8>>,
    exported: Exported,
}

impl<W: io::Write + ?Sized> Export<'_, W> {
    /// An array for each kind of record, each in a pass of its own: nothing has to be kept.
    fn write(&mut self, consent: OwnersConsent) -> io::Result<()> {
        self.buffer
            .extend(b"{\n  \"format\": \"truyvet own data\",\n  \"version\": 1,\n");
        self.exported.sightings = self.array("sightings", |chunk| match chunk {
            ChunkRead::Sightings(sightings) => sightings.iter().map(SightingJson::of).collect(),
            _ => Vec::new(),
        })?;
        self.exported.gaps = self.array("gaps", |chunk| match chunk {
            ChunkRead::Gaps(gaps) => gaps.iter().map(GapJson::of).collect(),
            _ => Vec::new(),
        })?;
        self.exported.clock_records = self.array("clock_records", |chunk| match chunk {
            ChunkRead::Clock(record) => vec![ClockJson::of(record)],
            _ => Vec::new(),
        })?;
        self.exported.entries = self.array("entries", |chunk| match chunk {
            ChunkRead::Entries(entries) => entries.iter().map(EntryJson::of).collect(),
            _ => Vec::new(),
        })?;
        if consent.own_keys {
            self.own_keys()?;
        }
        let torn = format!("  \"torn_bytes\": {},\n", self.exported.torn_bytes);
        self.buffer.extend(torn.as_bytes());
        self.damage()?;
        let complete = format!("  \"complete\": {}\n}}\n", self.exported.is_complete());
        self.buffer.extend(complete.as_bytes());
        self.flush()?;
        self.to.flush()
    }

    fn array<T: Serialize>(
        &mut self,
        name: &str,
        pick: impl Fn(&ChunkRead) -> Vec<T>,
    ) -> io::Result<u64> {
        self.begin(name);
        let mut written = 0;
        let mut chunks = self.reader.chunks_of(self.segments.clone());
        loop {
            match chunks.next() {
                Ok(Some(chunk)) => {
                    for record in pick(&chunk) {
                        self.put(&record, written == 0)?;
                        written += 1;
                    }
                    self.flush()?;
                }
                Ok(None) => break,
                Err(error) => self.note(error),
            }
        }
        self.exported.torn_bytes = chunks.torn_bytes;
        self.end(written == 0)?;
        Ok(written)
    }

    fn own_keys(&mut self) -> io::Result<()> {
        self.begin("own_keys");
        let keys = match self.reader.own_keys() {
            Ok(keys) => {
                self.exported.own_keys = Some(keys.len() as u64);
                keys
            }
            Err(error) => {
                self.note(error);
                Vec::new()
            }
        };
        for (index, key) in keys.iter().enumerate() {
            self.put(&OwnKeyJson::of(key, &secret_of(key)), index == 0)?;
            self.flush()?;
        }
        self.end(keys.is_empty())
    }

    fn damage(&mut self) -> io::Result<()> {
        self.begin("damage");
        let errors = std::mem::take(&mut self.exported.damage);
        for (index, error) in errors.iter().enumerate() {
            self.put(&DamageJson::of(error), index == 0)?;
        }
        self.exported.damage = errors;
        self.end(self.exported.is_complete())
    }

    /// Each once: a later pass finds what an earlier one has.
    fn note(&mut self, error: LogError) {
        let text = error.to_string();
        let mut known = self.exported.damage.iter();
        if !known.any(|known| known.to_string() == text) {
            self.exported.damage.push(error);
        }
    }

    fn begin(&mut self, name: &str) {
        self.buffer.extend(format!("  \"{name}\": [").as_bytes());
    }

    fn put(&mut self, record: &impl Serialize, is_first: bool) -> io::Result<()> {
        self.buffer
            .extend(if is_first { "\n    " } else { ",\n    " }.as_bytes());
        Ok(serde_json::to_writer(&mut *self.buffer, record)?)
    }

    fn end(&mut self, is_empty: bool) -> io::Result<()> {
        self.buffer
            .extend(if is_empty { "],\n" } else { "\n  ],\n" }.as_bytes());
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}
