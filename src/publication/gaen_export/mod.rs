//! GAEN's export: the zip of `export.bin` and `export.sig` in which an authority publishes diagnosis
//! keys (Exposure Key Export File Format v1).
//!
//! ```text
//! export.bin   "EK Export v1    " then a TemporaryExposureKeyExport
//! export.sig   a TEKSignatureList: ECDSA-P256-SHA256 over the whole of export.bin
//! ```
//!
//! A device reads with [`ExportReader`], which takes a file of any length in little memory, or with
//! [`UnverifiedExport`], which holds the whole. Either looks at nothing in `export.bin` before a
//! signature over it has held. An authority writes with [`ExportWriter`].
//!
//! | what stands in a file otherwise than usual | what a reader does |
//! |---|---|
//! | keys that are not sorted | takes them: the Corona-Warn-App's are not |
//! | `export.sig` before `export.bin`, other entries | takes it: a zip's directory has no order |
//! | keys before the header's fields, fields it does not know | takes it: Protocol Buffers allow both |
//! | several signatures, one of which holds | takes it, whichever comes first |
//! | a key that is still valid | refuses the key and counts it: [`ReadOptions::embargo`] |
//! | a key that breaks a rule | refuses the file: [`ExportError::InvalidKey`] |
//! | what [`ExportError`] names | refuses the file before any key is given |
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
mod batches;
mod deflate;
mod error;
mod export;
mod fields;
mod key;
mod padding;
mod proto;
mod read;
mod revisions;
mod set;
mod stream;
mod walk;
mod write;

pub use batches::{BatchError, check_batches};
pub use error::{ExportError, Refusal, RefusedSignature};
pub use export::{Export, ExportHeader, KeyList, ReadOptions, RefusedKeys};
pub use padding::Padding;
pub(in crate::publication) use padding::below;
pub use read::{ExportReader, ExportSignature, UnverifiedExport, parse_unsigned_bin};
pub use set::ExportSet;
pub use stream::ExportStream;
pub use write::{ExportOptions, ExportWriteError, ExportWriter};

/// What `export.bin` begins with (format v1): 16 bytes.
pub const HEADER: &[u8; 16] = b"EK Export v1    ";

/// The keys that one file may hold, new and revised together. Chosen: twice the most that Google's
/// server writes (500,000); the Corona-Warn-App's writes at most 600,000.
pub const KEYS_MAX: usize = 1_000_000;

/// The revised keys among them that one file may hold. Chosen: all that Google's server writes into
/// one file.
pub const REVISED_KEYS_MAX: usize = 500_000;

/// The bytes that `export.bin` may have. Chosen: [`KEYS_MAX`] keys of 40 bytes, where the longest
/// that a server writes has 36.
pub const BIN_BYTES_MAX: usize = 40 * KEYS_MAX;

/// The bytes that `export.sig` may have. Chosen: a signature takes about 170, a file has few.
pub const SIG_BYTES_MAX: usize = 64 * 1024;

/// The bytes that the zip may have. Chosen: keys do not compress, so `export.bin` and a margin.
pub const ARCHIVE_BYTES_MAX: usize = BIN_BYTES_MAX + 2 * SIG_BYTES_MAX;

/// How many times as long as in the zip an entry may be. Chosen: a key has 16 random bytes, which do not
/// compress, of at most 40, so that twice or three times is what is seen.
pub const RATIO_MAX: u64 = 16;

/// An entry of so many bytes or fewer may have any ratio.
const RATIO_FREE_BYTES: u64 = 64 * 1024;

/// The bytes that a field of `export.bin` may have: a key or the region. Chosen: a key has at most 40, and
/// a later version may add to it.
pub const FIELD_BYTES_MAX: usize = 16 * 1024;

/// The entries that the zip may have. Chosen: two count; an authority may add a few of its own.
pub const ENTRIES_MAX: usize = 16;

/// The signatures that `export.sig` may hold: what Google's server writes at most. Each costs a
/// verification by each key that it may be of.
pub const SIGNATURES_MAX: usize = 10;

const BIN: &str = "export.bin";
const SIG: &str = "export.sig";

/// ecdsa-with-SHA256 (RFC 5758, 3.2), the one algorithm of the format in use.
const ECDSA_WITH_SHA256: &str = "1.2.840.10045.4.3.2";

#[cfg(test)]
mod tests;
