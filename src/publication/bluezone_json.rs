//! Bluezone's published entries.
//!
//! ```text
//! {"data":[{"daily_key":"<64 hex>","time_start":<s>,"time_end":<s>,"max":96}, …]}
//! ```
//!
//! The names are those of Bluezone 3.0.7 (`BluezoneIdConstants.java`). Times are Unix seconds, the
//! first a midnight UTC and the second inclusive; `max` is the number of identifiers a day.

use std::borrow::Cow;
use std::fmt::{self, Write};

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
        /// Bytes it has.
        len: usize,
    },
    /// More entries than [`ENTRIES_MAX`].
    #[error("expected a list of at most {ENTRIES_MAX} entries, got more")]
    TooManyEntries,
    /// Entries that stand for more identifiers than [`IDENTIFIERS_MAX`] together.
    #[error("expected entries that stand for at most {IDENTIFIERS_MAX} identifiers, got more")]
    TooManyIdentifiers,
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
    let list: List =
        serde_json::from_slice(json).map_err(|error| BluezoneJsonError::Malformed {
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
        while let Some(entry) = seq.next_element::<Entry<'_>>()? {
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
struct Entry<'a> {
    #[serde(borrow)]
    daily_key: Option<Cow<'a, str>>,
    time_start: Option<u64>,
    time_end: Option<u64>,
    max: Option<u64>,
}

impl Entry<'_> {
    fn check(&self, index: usize) -> Result<PublishedEntry, BluezoneJsonError> {
        let missing = |field| BluezoneJsonError::FieldMissing { index, field };
        let invalid = |source| BluezoneJsonError::Invalid { index, source };
        let hex = self.daily_key.as_deref().ok_or(missing("daily_key"))?;
        if hex.len() != 2 * KEY_BYTES {
            return Err(invalid(InvalidKey::KeyLength {
                expected: KEY_BYTES,
                got: hex.len() / 2,
            }));
        }
        let mut daily_key = [0; KEY_BYTES];
        HEXLOWER_PERMISSIVE
            .decode_mut(hex.as_bytes(), &mut daily_key)
            .map_err(|_| BluezoneJsonError::KeyNotHex { index })?;
        let time_start = self.time_start.ok_or(missing("time_start"))?;
        let time_end = self.time_end.ok_or(missing("time_end"))?;
        let slots_per_day = self.max.ok_or(missing("max"))?;
        // A number past u32 is as wrong as the largest u32.
        let slots_per_day = u32::try_from(slots_per_day).unwrap_or(u32::MAX);
        PublishedEntry::new(daily_key, time_start, time_end, slots_per_day).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 1_596_844_800;

    fn entry_json(key: &str, start: i64, end: u64, max: &str) -> String {
        format!(
            "{{\"data\":[{{\"daily_key\":\"{key}\",\"time_start\":{start},\"time_end\":{end},\"max\":{max}}}]}}"
        )
    }

    fn one(key: &str, start: u64, max: &str) -> Result<Vec<PublishedEntry>, BluezoneJsonError> {
        parse(entry_json(key, start as i64, DAY + 86_399, max).as_bytes())
    }

    fn entry(byte: u8) -> PublishedEntry {
        PublishedEntry::new([byte; 32], DAY, DAY + 86_399, 96).unwrap()
    }

    #[test]
    fn an_entry_as_bluezone_writes_it() {
        let hex = "ab".repeat(32);
        let expected = vec![entry(0xAB)];
        assert_eq!(one(&hex, DAY, "96").unwrap(), expected);
        assert_eq!(one(&hex.to_uppercase(), DAY, "96").unwrap(), expected);
        assert_eq!(
            write(&expected),
            format!(
                "{{\"data\":[{{\"daily_key\":\"{hex}\",\"time_start\":1596844800,\
                 \"time_end\":1596931199,\"max\":96}}]}}"
            )
        );
        assert_eq!(parse(b"{\"data\":[]}").unwrap(), vec![]);
        assert_eq!(write(&[]), "{\"data\":[]}");
    }

    #[test]
    fn entries_that_stand_for_too_many_identifiers() {
        let long = PublishedEntry::new([7; 32], DAY, DAY + 21 * 86_400, 144).unwrap();
        let count = usize::try_from(IDENTIFIERS_MAX / long.candidate_count()).unwrap();
        assert!(parse(write(&vec![long.clone(); count]).as_bytes()).is_ok());
        assert_eq!(
            parse(write(&vec![long; count + 1]).as_bytes()),
            Err(BluezoneJsonError::TooManyIdentifiers)
        );
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let json = format!(
            " {{\"version\":[1,{{}}], \"data\": [ {{\"max\":96, \"note\":{{\"a\":null}}, \"time_end\":{}, \
             \"daily_key\":\"{}\", \"time_start\":{DAY}}} ] }}\n",
            DAY + 86_399,
            "07".repeat(32)
        );
        assert_eq!(parse(json.as_bytes()).unwrap(), vec![entry(7)]);
    }

    #[test]
    fn escaped_hex_is_hex() {
        let hex = format!("\\u0030{}", "7".to_owned() + &"07".repeat(31));
        assert_eq!(one(&hex, DAY, "96").unwrap(), vec![entry(7)]);
    }

    #[test]
    fn key_too_short() {
        let error = one(&"ab".repeat(31), DAY, "96").unwrap_err();
        let source = InvalidKey::KeyLength {
            expected: 32,
            got: 31,
        };
        assert_eq!(error, BluezoneJsonError::Invalid { index: 0, source });
        assert_eq!(
            error.to_string(),
            "entry 0: expected a key of 32 bytes, got 31"
        );
        assert!(one(&"a".repeat(63), DAY, "96").is_err());
        assert!(one("", DAY, "96").is_err());
    }

    #[test]
    fn key_not_hex() {
        let error = one(&"xy".repeat(32), DAY, "96").unwrap_err();
        assert_eq!(error, BluezoneJsonError::KeyNotHex { index: 0 });
        // 64 bytes of text that are not 64 digits.
        assert!(one(&"ộ ".repeat(16), DAY, "96").is_err());
    }

    #[test]
    fn rules_broken_are_named() {
        let hex = "ab".repeat(32);
        let source = |result: Result<_, _>| match result.unwrap_err() {
            BluezoneJsonError::Invalid { index: 0, source } => source,
            other => panic!("{other}"),
        };
        assert_eq!(
            source(one(&hex, DAY + 1, "96")),
            InvalidKey::StartNotMidnight {
                time_start: DAY + 1
            }
        );
        assert!(matches!(
            source(one(&hex, DAY + 86_400, "96")),
            InvalidKey::Span { .. }
        ));
        for (max, slots_per_day) in [("0", 0), ("97", 97), ("18446744073709551615", u32::MAX)] {
            assert_eq!(
                source(one(&hex, DAY, max)),
                InvalidKey::SlotsPerDay { slots_per_day }
            );
        }
    }

    #[test]
    fn the_entry_at_fault_is_named() {
        let mut json = write(&[entry(1), entry(2), entry(3)]);
        json = json.replace(&"03".repeat(32), "03");
        assert!(matches!(
            parse(json.as_bytes()),
            Err(BluezoneJsonError::Invalid { index: 2, .. })
        ));
        let json = write(&[entry(1), entry(2)]).replacen(",\"max\":96}]", "}]", 1);
        assert_eq!(
            parse(json.as_bytes()),
            Err(BluezoneJsonError::FieldMissing {
                index: 1,
                field: "max"
            })
        );
    }

    #[test]
    fn wrong_types() {
        let hex = "ab".repeat(32);
        for max in ["-1", "1.5", "\"96\"", "[]", "1e400"] {
            assert!(
                matches!(
                    one(&hex, DAY, max),
                    Err(BluezoneJsonError::Malformed { line: 1, .. })
                ),
                "{max}"
            );
        }
        let negative = entry_json(&hex, -86_400, DAY, "96");
        for json in [
            "",
            "null",
            "[]",
            "{}",
            "{\"data\":{}}",
            "{\"data\":null}",
            "{\"data\":[1]}",
            "{\"data\":[null]}",
            "{\"data\":[],\"data\":[]}",
            "{\"data\":[]} x",
            &negative,
        ] {
            assert!(
                matches!(
                    parse(json.as_bytes()),
                    Err(BluezoneJsonError::Malformed { .. })
                ),
                "{json}"
            );
        }
        assert!(parse(&[0xFF, 0xFE]).is_err());
    }

    #[test]
    fn nested_a_million_deep() {
        let json = format!("{{\"x\":{}", "[".repeat(1_000_000));
        assert!(parse(json.as_bytes()).is_err());
    }

    #[test]
    fn truncated_everywhere() {
        let json = write(&[entry(1), entry(2)]);
        for end in 0..json.len() {
            assert!(parse(&json.as_bytes()[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn limits() {
        let json = write(&vec![entry(1); ENTRIES_MAX]);
        assert!(json.len() <= BYTES_MAX);
        assert_eq!(parse(json.as_bytes()).unwrap().len(), ENTRIES_MAX);
        let json = write(&vec![entry(1); ENTRIES_MAX + 1]);
        assert_eq!(
            parse(json.as_bytes()),
            Err(BluezoneJsonError::TooManyEntries)
        );
        assert_eq!(
            parse(&vec![b' '; BYTES_MAX + 1]),
            Err(BluezoneJsonError::TooLong { len: BYTES_MAX + 1 })
        );
    }

    prop_compose! {
        fn any_entry()(
            key: [u8; 32],
            day in 0..20_000u64,
            span in 0..=21 * 86_400u64,
            slots in prop::sample::select(vec![1u32, 24, 96, 144]),
        ) -> PublishedEntry {
            PublishedEntry::new(key, day * 86_400, day * 86_400 + span, slots).unwrap()
        }
    }

    proptest! {
        #[test]
        fn written_lists_are_read(entries in prop::collection::vec(any_entry(), 0..20)) {
            let json = write(&entries);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
            prop_assert_eq!(parse(json.as_bytes()).unwrap(), entries);
        }

        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn mutations(at: prop::sample::Index, byte: u8) {
            let mut json = write(&[entry(1), entry(2)]).into_bytes();
            *at.get_mut(&mut json) = byte;
            if let Ok(entries) = parse(&json) {
                prop_assert!(entries.len() <= 2);
            }
        }
    }
}
