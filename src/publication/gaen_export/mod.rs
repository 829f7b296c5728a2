//! GAEN's export: the zip of `export.bin` and `export.sig` in which an authority publishes diagnosis
//! keys (Exposure Key Export File Format v1).
//!
//! ```text
//! export.bin   "EK Export v1    " then a TemporaryExposureKeyExport
//! export.sig   a TEKSignatureList: ECDSA-P256-SHA256 over the whole of export.bin
//! ```
//!
//! A device reads with [`UnverifiedExport::read`] and then [`verify`](UnverifiedExport::verify), which
//! looks at nothing in `export.bin` before a signature over it has held. An authority writes with
//! [`ExportWriter`].
//!
//! ```
//! use truyvet::entropy::SystemEntropy;
//! use truyvet::protocol::gaen::DiagnosisKey;
//! use truyvet::publication::gaen_export::{ExportOptions, ExportWriter, UnverifiedExport};
//! use truyvet::publication::signature::{KeyName, SigningKey};
//! use truyvet::time::{IntervalNumber, Timestamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let authority = SigningKey::generate()?.named(KeyName::new("452", "v1"));
//! let start = Timestamp::from_unix_seconds(1_596_844_800);
//! let end = Timestamp::from_unix_seconds(1_596_931_200);
//! let key = DiagnosisKey::new([7; 16], IntervalNumber::at(start), 144)?;
//! let zip = ExportWriter::new(ExportOptions::new("VN", start, end))
//!     .keys([key])
//!     .write(&[&authority], &mut SystemEntropy)?;
//!
//! // On a device, which has the authority's public key.
//! let export = UnverifiedExport::read(&zip)?.verify(&[authority.verification_key().clone()])?;
//! assert_eq!(export.signed_by.as_ref().and_then(|name| name.id.as_deref()), Some("452"));
//! assert!(export.keys.len() >= 1000);
//! # Ok(())
//! # }
//! ```

mod archive;
mod fields;
mod proto;
mod read;
mod write;

use std::collections::HashMap;

use super::signature::KeyName;
use crate::protocol::gaen::DiagnosisKey;
use crate::protocol::{InvalidKey, PublishedKey};
use crate::time::Timestamp;

pub use read::{ExportSignature, UnverifiedExport, parse_unsigned_bin};
pub use write::{ExportOptions, ExportWriteError, ExportWriter, Padding};

/// What `export.bin` begins with (format v1): 16 bytes.
pub const HEADER: &[u8; 16] = b"EK Export v1    ";

/// The keys that one file may hold, new and revised together. Chosen: twice the most that Google's
/// server writes (500,000); the Corona-Warn-App's writes at most 600,000.
pub const KEYS_MAX: usize = 1_000_000;

/// The bytes that `export.bin` may have. Chosen: [`KEYS_MAX`] keys of 40 bytes, where the longest
/// that a server writes has 36.
pub const BIN_BYTES_MAX: usize = 40 * KEYS_MAX;

/// The bytes that `export.sig` may have. Chosen: a signature takes about 170, a file has few.
pub const SIG_BYTES_MAX: usize = 64 * 1024;

/// The bytes that the zip may have. Chosen: keys do not compress, so `export.bin` and a margin.
pub const ARCHIVE_BYTES_MAX: usize = BIN_BYTES_MAX + 2 * SIG_BYTES_MAX;

/// The entries that the zip may have. Chosen: two count; an authority may add a few of its own.
pub const ENTRIES_MAX: usize = 16;

/// The signatures that `export.sig` may hold: what Google's server writes at most. Each costs a pass
/// over the whole file.
pub const SIGNATURES_MAX: usize = 10;

const BIN: &str = "export.bin";
const SIG: &str = "export.sig";

/// ecdsa-with-SHA256 (RFC 5758, 3.2), the one algorithm of the format in use.
const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";

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
    /// The keys, with `revised_keys` already applied: a revision replaces the key of the same bytes,
    /// or stands at the end if the key came in an earlier file. Withdrawn keys are among them, marked
    /// [`Revoked`](crate::protocol::ReportType::Revoked).
    pub keys: Vec<DiagnosisKey>,
    /// The revisions alone, as the file holds them.
    pub revised_keys: Vec<DiagnosisKey>,
    /// The name of the key that signed, as the caller gave it; `None` if nobody verified the file.
    pub signed_by: Option<KeyName>,
}

impl Export {
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

/// Which of an export's two lists a key stands in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyList {
    /// `keys`, field 7.
    New,
    /// `revised_keys`, field 8.
    Revised,
}

impl std::fmt::Display for KeyList {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::New => "key",
            Self::Revised => "revised key",
        })
    }
}

/// An export that cannot be read. All of it is the file's doing, but for
/// [`NotVerified`](Self::NotVerified), which may also be a key that the caller lacks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// More bytes than [`ARCHIVE_BYTES_MAX`].
    #[error("expected a zip of at most {ARCHIVE_BYTES_MAX} bytes, got {len}")]
    ArchiveTooLong {
        /// Bytes it has.
        len: usize,
    },
    /// No zip, or one whose structure is broken or cut.
    #[error("expected a zip: {reason}")]
    NotZip {
        /// What is broken.
        reason: String,
    },
    /// More entries than [`ENTRIES_MAX`].
    #[error("expected a zip of at most {ENTRIES_MAX} entries, got more")]
    TooManyEntries,
    /// An entry is not there.
    #[error("expected {name} in the zip, found none")]
    EntryMissing {
        /// Its name.
        name: &'static str,
    },
    /// An entry is there twice.
    #[error("expected one {name} in the zip, found more")]
    EntryRepeated {
        /// Its name.
        name: &'static str,
    },
    /// An entry is encrypted.
    #[error("expected {name} in the clear, found it encrypted")]
    EntryEncrypted {
        /// Its name.
        name: &'static str,
    },
    /// An entry is compressed by another method.
    #[error("expected {name} stored (0) or deflated (8), found method {method}")]
    EntryMethod {
        /// Its name.
        name: &'static str,
        /// The method's number in zip.
        method: u16,
    },
    /// An entry is longer than it may be, or inflates to more than it says.
    #[error("expected {name} of at most {max} bytes, found {len} or more")]
    EntryTooLong {
        /// Its name.
        name: &'static str,
        /// Bytes it claims or has.
        len: u64,
        /// Bytes it may have.
        max: u64,
    },
    /// An entry does not inflate, or not to the length and CRC-32 that the zip says.
    #[error("{name} is corrupted in the zip")]
    EntryCorrupted {
        /// Its name.
        name: &'static str,
    },
    /// `export.bin` is longer than [`BIN_BYTES_MAX`] (only when read without a zip).
    #[error("expected export.bin of at most {BIN_BYTES_MAX} bytes, got {len}")]
    BinTooLong {
        /// Bytes it has.
        len: usize,
    },
    /// `export.bin` does not begin with [`HEADER`].
    #[error("expected export.bin to begin with \"EK Export v1    \"")]
    Header,
    /// A file is no Protocol Buffers message of its kind.
    #[error("{name}: malformed at byte {offset}")]
    Malformed {
        /// `export.bin` or `export.sig`.
        name: &'static str,
        /// Where the field at fault begins.
        offset: usize,
    },
    /// More signatures than [`SIGNATURES_MAX`].
    #[error("expected at most {SIGNATURES_MAX} signatures, got more")]
    TooManySignatures,
    /// No signature is by one of the keys given.
    #[error("no signature holds: {}", list(.refused))]
    NotVerified {
        /// Each signature of the file with why it did not hold; empty if it bears none.
        refused: Vec<RefusedSignature>,
    },
    /// A batch number outside 1..=`size`.
    #[error("expected a batch number of 1 to the batch size, got {num} of {size}")]
    Batch {
        /// The batch number.
        num: i32,
        /// The batch size.
        size: i32,
    },
    /// More keys than [`KEYS_MAX`].
    #[error("expected at most {KEYS_MAX} keys, got more")]
    TooManyKeys,
    /// A key that breaks the protocol's rules. It refuses the whole file, as Google's verifier does:
    /// an authority that signs one has signed something else than it meant.
    #[error("{list} {index}: {source}")]
    InvalidKey {
        /// The list it stands in.
        list: KeyList,
        /// Its place there, from 0.
        index: usize,
        /// The rule it breaks.
        source: InvalidKey,
    },
}

/// A signature that did not hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct RefusedSignature {
    /// The key it claims to be by. Nothing vouches for the text.
    pub name: KeyName,
    /// Why it did not hold.
    pub reason: Refusal,
}

/// Why a signature did not hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No key was given that bears the name.
    #[error("no such key was given")]
    UnknownKey,
    /// The algorithm is not ECDSA-P256-SHA256.
    #[error("the algorithm is not ECDSA-P256-SHA256")]
    Algorithm,
    /// It is not a signature of these bytes by any key of the name.
    #[error("it does not verify")]
    Wrong,
}

fn list(refused: &[RefusedSignature]) -> String {
    if refused.is_empty() {
        return String::from("export.sig has none");
    }
    let lines: Vec<String> = refused.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests;
