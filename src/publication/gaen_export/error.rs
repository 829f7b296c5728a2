//! What is wrong with an export.

use std::io;

use super::{
    ARCHIVE_BYTES_MAX, BIN_BYTES_MAX, ENTRIES_MAX, FIELD_BYTES_MAX, KEYS_MAX, KeyList, RATIO_MAX,
    REVISED_KEYS_MAX, SIGNATURES_MAX,
};
use crate::protocol::InvalidKey;
use crate::publication::signature::KeyName;

/// An export that cannot be read. All of it is the file's doing, but for
/// [`NotVerified`](Self::NotVerified), which may also be a key that the caller lacks,
/// [`Io`](Self::Io) and [`Changed`](Self::Changed).
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// More bytes than [`ARCHIVE_BYTES_MAX`].
    #[error("expected a zip of at most {ARCHIVE_BYTES_MAX} bytes, got {len}")]
    ArchiveTooLong {
        /// Bytes it has.
        len: u64,
    },
    /// The file could not be read, which is not its doing.
    #[error("the file could not be read: {reason}")]
    Io {
        /// What kind of failure it was.
        kind: io::ErrorKind,
        /// What the system said.
        reason: String,
    },
    /// The file is not what it was when its signature was verified. Keys that were given before this
    /// were signed; the rest is lost.
    #[error(
        "export.bin changed while it was read: its bytes up to {offset} are not those verified"
    )]
    Changed {
        /// The end of the part that changed.
        offset: usize,
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
    /// An entry claims to be over [`RATIO_MAX`] times as long as it is in the zip.
    #[error(
        "expected {name} of at most {RATIO_MAX} times the {compressed} bytes it has in the zip, found {len}"
    )]
    EntryRatio {
        /// Its name.
        name: &'static str,
        /// Bytes it claims.
        len: u64,
        /// Bytes it has in the zip.
        compressed: u64,
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
    /// `export.bin` does not begin with [`HEADER`](super::HEADER).
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
    /// A field claims more bytes than [`FIELD_BYTES_MAX`], whether the file has them or not.
    #[error(
        "export.bin: expected a field of at most {FIELD_BYTES_MAX} bytes at byte {offset}, got {len}"
    )]
    FieldTooLong {
        /// Where the field begins.
        offset: usize,
        /// Bytes it claims.
        len: u64,
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
    /// More revised keys than [`REVISED_KEYS_MAX`].
    #[error("expected at most {REVISED_KEYS_MAX} revised keys, got more")]
    TooManyRevisedKeys,
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

/// `name` is no message of its kind at `offset`.
pub(super) fn malformed(name: &'static str, offset: usize) -> ExportError {
    ExportError::Malformed { name, offset }
}
