//! Bluezone's published entries.
//!
//! ```text
//! {"data":[{"daily_key":"<64 hex>","time_start":<s>,"time_end":<s>,"max":96}, …]}
//! ```
//!
//! The names are those of Bluezone 3.0.7 (`BluezoneIdConstants.java`). Times are Unix seconds, the
//! first a midnight UTC and the second inclusive; `max` is the number of identifiers a day.

use std::fmt::{self, Write};
use std::io::{self, BufReader, Read};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::protocol::InvalidKey;
use crate::protocol::bluezone::PublishedEntry;

/// The entries that one list may hold. Chosen: over five times the cases that Viet Nam confirmed on
/// its worst day of 2021, so that a day's list fits and a flood does not.
pub const ENTRIES_MAX: usize = 100_000;

/// The bytes that one list may have. Chosen: [`ENTRIES_MAX`] entries of 160 bytes, where
/// [`write()`] makes about 140.
pub const BYTES_MAX: usize = 160 * ENTRIES_MAX;

/// The identifiers that the entries of one list may stand for together. Chosen: 30,000 patients of 14
/// days, some seconds to derive; the limits on entries and on each one's span would allow 75 times
/// as many.
pub const IDENTIFIERS_MAX: u64 = 30_000 * 14 * 96;

/// Bytes of a daily key.
const KEY_BYTES: usize = 32;

/// A list that cannot be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BluezoneJsonError {
    /// More bytes than [`BYTES_MAX`].
    #[error("expected a list of at most {BYTES_MAX} bytes, got {len}")]
    TooLong {
        /// Bytes it has, or those that were read of it.
        len: usize,
    },
    /// More entries than [`ENTRIES_MAX`].
    #[error("expected a list of at most {ENTRIES_MAX} entries, got more")]
    TooManyEntries,
    /// Entries that stand for more identifiers than [`IDENTIFIERS_MAX`] together.
    #[error("expected entries that stand for at most {IDENTIFIERS_MAX} identifiers, got more")]
    TooManyIdentifiers,
    /// The list could not be read, which is not its doing.
    #[error("the list could not be read: {kind}")]
    Io {
        /// What kind of failure it was.
        kind: io::ErrorKind,
    },
    /// No JSON, or a value of the wrong type.
    #[error("expected an object with a list \"data\" of entries: line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1 (0 where a line begins).
        column: usize,
    },
    /// An entry lacks a field.
    #[error("entry {index}: expected a field \"{field}\"")]
    FieldMissing {
        /// Which entry, from 0.
        index: usize,
        /// The field's name.
        field: &'static str,
    },
    /// A daily key that is no hexadecimal text.
    #[error("entry {index}: expected \"daily_key\" as 64 hexadecimal digits")]
    KeyNotHex {
        /// Which entry, from 0.
        index: usize,
    },
    /// An entry that breaks the protocol's rules.
    #[error("entry {index}: {source}")]
    Invalid {
        /// Which entry, from 0.
        index: usize,
        /// The rule it breaks.
        source: InvalidKey,
    },
}

/// Reads a list. Fields that it does not know are ignored; one entry that breaks a rule refuses the
/// whole list, since an authority that publishes it has published something else than it meant.
///
/// # Errors
///
/// [`BluezoneJsonError`], with the entry's index.
pub fn parse(json: &[u8]) -> Result<Vec<PublishedEntry>, BluezoneJsonError> {
    if json.len() > BYTES_MAX {
        return Err(BluezoneJsonError::TooLong { len: json.len() });
    }
    list(serde_json::from_slice(json))
}

/// Reads a list as [`parse`] does, as it streams out of `source`. What of it is held are its entries, and
/// never the text: some 6 MB for [`ENTRIES_MAX`] of them.
///
/// # Errors
///
/// [`BluezoneJsonError`], with the entry's index.
pub fn read(source: impl Read) -> Result<Vec<PublishedEntry>, BluezoneJsonError> {
    let mut bounded = Bounded {
        source,
        len: 0,
        failed: None,
    };
    let read = serde_json::from_reader(BufReader::with_capacity(READ_BYTES, &mut bounded));
    // The JSON is cut then, and its fault would be told where the cause is another.
    match bounded.failed {
        Some(fault) => Err(fault),
        None => list(read),
    }
}

/// Bytes that are read at once. Chosen: few calls, little memory.
const READ_BYTES: usize = 64 * 1024;

/// A source of at most [`BYTES_MAX`].
struct Bounded<R> {
    source: R,
    len: usize,
    failed: Option<BluezoneJsonError>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(into).inspect_err(|error| {
            let kind = error.kind();
            if kind != io::ErrorKind::Interrupted {
                self.failed = Some(BluezoneJsonError::Io { kind });
            }
        })?;
        self.len += read;
        if self.len > BYTES_MAX {
            self.failed = Some(BluezoneJsonError::TooLong { len: self.len });
            return Err(io::Error::other("too long"));
        }
        Ok(read)
    }
}

fn list(read: serde_json::Result<List>) -> Result<Vec<PublishedEntry>, BluezoneJsonError> {
    let list = read.map_err(|error| BluezoneJsonError::Malformed {
        line: error.line(),
        column: error.column(),
    })?;
    list.data.0
}

/// Writes a list as [`parse`] reads it, in one line without spaces.
pub fn write(entries: &[PublishedEntry]) -> String {
    let mut json = String::from("{\"data\":[");
    for (index, entry) in entries.iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        // Writing to a String cannot fail.
        let _ = write!(
            json,
            "{{\"daily_key\":\"{}\",\"time_start\":{},\"time_end\":{},\"max\":{}}}",
            HEXLOWER.encode(entry.daily_key()),
            entry.time_start(),
            entry.time_end(),
            entry.slots_per_day(),
        );
    }
    json.push_str("]}");
    json
}

#[derive(Deserialize)]
struct List {
    data: Entries,
}

/// The entries or the first fault among them. serde's own errors carry text alone, so the fault
/// travels as a value and the rest of the list is only skipped over.
struct Entries(Result<Vec<PublishedEntry>, BluezoneJsonError>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(EntriesVisitor).map(Self)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Result<Vec<PublishedEntry>, BluezoneJsonError>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        let mut identifiers = 0;
        while let Some(entry) = seq.next_element::<Entry>()? {
            let index = entries.len();
            let checked = match index < ENTRIES_MAX {
                true => entry.check(index),
                false => Err(BluezoneJsonError::TooManyEntries),
            };
            let checked = checked.and_then(|entry| {
                identifiers += entry.candidate_count();
                match identifiers <= IDENTIFIERS_MAX {
                    true => Ok(entry),
                    false => Err(BluezoneJsonError::TooManyIdentifiers),
                }
            });
            match checked {
                Ok(entry) => entries.push(entry),
                Err(fault) => {
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(Err(fault));
                }
            }
        }
        Ok(Ok(entries))
    }
}

/// An entry as it is written. Every field is optional here so that a missing one is named with its
/// entry's index.
#[derive(Deserialize)]
struct Entry {
    daily_key: Option<KeyText>,
    time_start: Option<u64>,
    time_end: Option<u64>,
    max: Option<u64>,
}

impl Entry {
    fn check(&self, index: usize) -> Result<PublishedEntry, BluezoneJsonError> {
        let missing = |field| BluezoneJsonError::FieldMissing { index, field };
        let invalid = |source| BluezoneJsonError::Invalid { index, source };
        let daily_key = match self.daily_key.as_ref().ok_or(missing("daily_key"))? {
            KeyText::Key(key) => *key,
            KeyText::Length(got) => {
                return Err(invalid(InvalidKey::KeyLength {
                    expected: KEY_BYTES,
                    got: *got,
                }));
            }
            KeyText::NotHex => return Err(BluezoneJsonError::KeyNotHex { index }),
        };
        let time_start = self.time_start.ok_or(missing("time_start"))?;
        let time_end = self.time_end.ok_or(missing("time_end"))?;
        let slots_per_day = self.max.ok_or(missing("max"))?;
        // A number past u32 is as wrong as the largest u32.
        let slots_per_day = u32::try_from(slots_per_day).unwrap_or(u32::MAX);
        PublishedEntry::new(daily_key, time_start, time_end, slots_per_day).map_err(invalid)
    }
}

/// A daily key's text: read where it stands, without a copy.
enum KeyText {
    Key([u8; KEY_BYTES]),
    /// Text for so many bytes.
    Length(usize),
    NotHex,
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyTextVisitor)
    }
}

struct KeyTextVisitor;

impl Visitor<'_> for KeyTextVisitor {
    type Value = KeyText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a daily key in hexadecimal")
    }

    fn visit_str<E>(self, hex: &str) -> Result<KeyText, E> {
        if hex.len() != 2 * KEY_BYTES {
            return Ok(KeyText::Length(hex.len() / 2));
        }
        let mut key = [0; KEY_BYTES];
        let decoded = HEXLOWER_PERMISSIVE.decode_mut(hex.as_bytes(), &mut key);
        Ok(match decoded {
            Ok(_) => KeyText::Key(key),
            Err(_) => KeyText::NotHex,
        })
    }
}

#[cfg(test)]
mod tests;
