//! What an export holds.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use crate::protocol::gaen::DiagnosisKey;
use crate::protocol::{PublishedKey, ReportType};
use crate::publication::signature::KeyName;
use crate::time::Timestamp;

/// The contents of an export.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Export {
    /// The first moment of the keys' publication window.
    pub start: Timestamp,
    /// The end of the keys' publication window.
    pub end: Timestamp,
    /// Where the keys come from, mostly a country's two letters.
    pub region: String,
    /// This file's number among those of one window, 1..=`batch_size`.
    pub batch_num: u32,
    /// The files of one window.
    pub batch_size: u32,
    /// The keys: first those that are new and not revised in this very file, then `revised_keys`.
    /// Withdrawn keys are among them, marked [`Revoked`](crate::protocol::ReportType::Revoked).
    pub keys: Vec<DiagnosisKey>,
    /// The revisions alone. Of two of one key the last counts, and only that is here.
    pub revised_keys: Vec<DiagnosisKey>,
    /// The keys of the file that are not among these.
    pub refused: RefusedKeys,
    /// The name of the key that signed, as the caller gave it; `None` if nobody verified the file.
    pub signed_by: Option<KeyName>,
}

impl Export {
    /// What it says of itself.
    pub fn header(&self) -> ExportHeader {
        ExportHeader {
            start: self.start,
            end: self.end,
            region: self.region.clone(),
            batch_num: self.batch_num,
            batch_size: self.batch_size,
        }
    }

    /// The keys, for matching.
    pub fn into_published_keys(self) -> Vec<PublishedKey> {
        self.keys.into_iter().map(PublishedKey::Gaen).collect()
    }

    /// The keys of several exports, for matching: each key once, as the last revision of it says,
    /// whichever file that came in. Without this a key withdrawn today would still count by
    /// yesterday's file.
    pub fn combine(exports: impl IntoIterator<Item = Self>) -> Vec<PublishedKey> {
        let mut exports: Vec<Self> = exports.into_iter().collect();
        exports.sort_by_key(|export| (export.end, export.batch_num));
        let mut latest = Vec::new();
        let mut place = HashMap::new();
        // Revisions after all keys: files whose ends are equal may come in any order.
        let (mut keys, mut revisions) = (Vec::new(), Vec::new());
        for export in exports {
            keys.extend(export.keys);
            revisions.extend(export.revised_keys);
        }
        for key in keys.into_iter().chain(revisions) {
            let at = *place.entry(*key.key()).or_insert(latest.len());
            match latest.get_mut(at) {
                Some(known) => *known = PublishedKey::Gaen(key),
                None => latest.push(PublishedKey::Gaen(key)),
            }
        }
        latest
    }
}

/// What an export says of itself, without its keys.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportHeader {
    /// The first moment of the keys' publication window.
    pub start: Timestamp,
    /// The end of the keys' publication window.
    pub end: Timestamp,
    /// Where the keys come from, mostly a country's two letters.
    pub region: String,
    /// This file's number among those of one window, 1..=`batch_size`.
    pub batch_num: u32,
    /// The files of one window.
    pub batch_size: u32,
}

/// How many keys of an export are not given for matching, and why.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct RefusedKeys {
    /// Keys whose validity had not ended when they were published: [`ReadOptions::embargo`].
    pub still_valid: usize,
}

impl fmt::Display for RefusedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.still_valid {
            0 => f.write_str("no key refused"),
            number => write!(f, "{number} refused: still valid when published"),
        }
    }
}

/// Which keys of an export are given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// How long before the end of the export's window a key's validity must have ended; `None` takes
    /// every key. Whoever reads a key that is still valid can advertise its identifiers in their time,
    /// and pass for the patient (Iovino, Vaudenay, Vuagnoux: found in ten deployed systems). Revoked
    /// keys are given in any case, for they match nothing.
    ///
    /// By default zero, which no key of a well-run server fails: Google's gives a key that is still
    /// valid to the window in which its validity ends (`TransformExposureKey` in
    /// `internal/publish/model`), the Corona-Warn-App's to one two hours later (`expiryPolicyMinutes`). The
    /// two hours within which a late clock still matches, [`TOLERANCE`](crate::protocol::gaen::TOLERANCE),
    /// are a stricter choice, which refuses keys of Google's.
    pub embargo: Option<Duration>,
}

impl ReadOptions {
    /// Every key, to look at a file. Keys that are still valid must not alert anybody.
    pub const EVERY_KEY: Self = Self { embargo: None };

    /// Whether `key` is given, of an export whose window ends at `end`.
    #[inline]
    pub(super) fn admit(self, key: &DiagnosisKey, end: Timestamp) -> bool {
        let in_time = |embargo| valid_until(key) <= end.saturating_sub(embargo);
        self.embargo.is_none_or(in_time) || key.report_type == ReportType::Revoked
    }
}

/// The end of the last interval that `key` is valid in.
pub(super) fn valid_until(key: &DiagnosisKey) -> Timestamp {
    let after = key.rolling_start().saturating_add(key.rolling_period());
    after.start()
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            embargo: Some(Duration::ZERO),
        }
    }
}

/// Which of an export's two lists a key stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyList {
    /// `keys`, field 7.
    New,
    /// `revised_keys`, field 8.
    Revised,
}

impl fmt::Display for KeyList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "key",
            Self::Revised => "revised key",
        })
    }
}
