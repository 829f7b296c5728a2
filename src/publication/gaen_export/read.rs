//! Reading an export: signature first, contents after.

use std::fmt;
use std::io::{Cursor, Empty, Read, Seek};

use prost::Message;

use super::archive::Archive;
use super::error::malformed;
use super::fields::{Field, Fields, MalformedAt, Value};
use super::proto::{self, TekSignature};
use super::stream::{Bin, ExportStream};
use super::{
    BIN_BYTES_MAX, ECDSA_WITH_SHA256, Export, ExportError, ReadOptions, Refusal, RefusedSignature,
    SIG, SIGNATURES_MAX,
};
use crate::crypto::{Sha256, sha256};
use crate::publication::signature::{KeyName, VerificationKey};

/// The bytes of `export.bin` that are hashed at once, and whose hash is kept to know them again.
/// Chosen: 20 KiB of hashes for the longest file.
pub(super) const HASHED_BYTES: usize = 64 * 1024;

/// An `export.bin` of so many bytes or fewer is kept in memory, and so inflated once instead of three times.
/// Chosen: 200,000 keys, with as much again for their revisions within 16 MiB.
const KEPT_BYTES_MAX: u64 = 6 << 20;

/// An export in a file, of which nothing is believed yet. It is read in less than 16 MiB, however long it is:
/// a short one is kept, up to 6 MiB, a long one takes less than 1 MiB, and each revised key 20 bytes.
///
/// The file is gone over three times: to verify the signature over the whole; to see that all of what was
/// signed is an export; and to give the keys.
///
/// ```no_run
/// # use truyvet::publication::gaen_export::ExportReader;
/// # use truyvet::publication::signature::VerificationKey;
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let trusted: Vec<VerificationKey> = Vec::new();
/// let mut file = ExportReader::open(std::fs::File::open("export.zip")?)?;
/// let mut export = file.verify(&trusted)?;
/// while let Some(keys) = export.next_batch()? {
///     println!("{} keys to match", keys.len());
/// }
/// # Ok(())
/// # }
/// ```
pub struct ExportReader<R> {
    archive: Archive<R>,
    signatures: Vec<ExportSignature>,
    options: ReadOptions,
    kept_max: u64,
    hashed: Option<Hashed>,
}

/// An `export.bin` that was gone over once.
#[derive(Clone, Debug)]
struct Hashed {
    digest: [u8; 32],
    kept: Kept,
}

/// What is left of it.
#[derive(Clone, Debug)]
enum Kept {
    /// Its bytes.
    Whole(Vec<u8>),
    /// The SHA-256 of all up to the end of each [`HASHED_BYTES`].
    Prefixes(Vec<[u8; 32]>),
}

impl Hashed {
    /// Goes over the `export.bin` of `archive`; keeps its bytes if they are no more than `kept_max`.
    fn of<R: Read + Seek>(archive: &Archive<R>, kept_max: u64) -> Result<Self, ExportError> {
        /// How much is made room for at once, or a quarter of what is there.
        const GROWTH: usize = 1 << 20;
        let mut entry = archive.bin()?;
        let keep = entry.len() <= kept_max;
        let mut hash = Sha256::new();
        let mut block = vec![0; HASHED_BYTES];
        let (mut whole, mut prefixes) = (Vec::new(), Vec::new());
        loop {
            let read = entry.read_full(&mut block)?;
            let bytes = block.get(..read).unwrap_or_default();
            hash.update(bytes);
            if !keep {
                prefixes.push(hash.clone().finish());
            } else {
                // Grows with what really comes, and not by as much again.
                if whole.capacity() - whole.len() < read {
                    whole.reserve_exact(GROWTH.max(whole.len() / 4));
                }
                whole.extend_from_slice(bytes);
            }
            if read < block.len() {
                break;
            }
        }
        Ok(Self {
            digest: hash.finish(),
            kept: match keep {
                true => Kept::Whole(whole),
                false => Kept::Prefixes(prefixes),
            },
        })
    }

    /// Where the bytes come from when they are gone over again.
    fn bin<'r, R>(&'r self, archive: &'r Archive<R>) -> Bin<'r, R> {
        match &self.kept {
            Kept::Whole(bytes) => Bin::Held(bytes),
            Kept::Prefixes(prefixes) => Bin::Zipped(archive, prefixes),
        }
    }
}

impl<R: Read + Seek> ExportReader<R> {
    /// Finds `export.bin` and the signatures in a zip: a file, or a `Cursor` over bytes. `export.bin` is
    /// not looked into.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if the zip breaks a limit or a rule, or `export.sig` cannot be read.
    pub fn open(file: R) -> Result<Self, ExportError> {
        let archive = Archive::open(file)?;
        Ok(Self {
            signatures: read_signatures(&archive.sig()?)?,
            archive,
            options: ReadOptions::default(),
            kept_max: KEPT_BYTES_MAX,
            hashed: None,
        })
    }

    /// Keeps nothing in memory, as if the file were long.
    #[cfg(test)]
    pub(super) fn keeping_nothing(self) -> Self {
        Self {
            kept_max: 0,
            ..self
        }
    }

    /// Which keys are given; those of [`ReadOptions::default`] otherwise.
    #[must_use]
    pub fn with_options(self, options: ReadOptions) -> Self {
        Self { options, ..self }
    }

    /// The signatures, as the file claims them.
    pub fn signatures(&self) -> &[ExportSignature] {
        &self.signatures
    }

    /// The contents, once a signature over the whole of `export.bin` has held under one of `trusted`, and
    /// all of it has been found to be an export. For signatures and names, see
    /// [`UnverifiedExport::verify`].
    ///
    /// # Errors
    ///
    /// [`ExportError::NotVerified`] with each signature's fault, before anything in `export.bin` is
    /// parsed; any other if the file cannot be read, or what the authority signed is no valid export.
    pub fn verify(
        &mut self,
        trusted: &[VerificationKey],
    ) -> Result<ExportStream<'_, R>, ExportError> {
        self.stream(|digest, signatures| signer(digest, signatures, trusted).map(Some))
    }

    /// The contents without asking who made them, to look at a file. Keys from it must never alert
    /// anybody: whoever made the file chose them.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if the file cannot be read or is no valid export.
    pub fn stream_without_verification(&mut self) -> Result<ExportStream<'_, R>, ExportError> {
        self.stream(|_, _| Ok(None))
    }

    fn stream(
        &mut self,
        signer: impl FnOnce(
            &[u8; 32],
            &[ExportSignature],
        ) -> Result<Option<VerificationKey>, ExportError>,
    ) -> Result<ExportStream<'_, R>, ExportError> {
        let hashed = match self.hashed.take() {
            Some(hashed) => hashed,
            None => Hashed::of(&self.archive, self.kept_max)?,
        };
        let hashed = self.hashed.insert(hashed);
        let signer = signer(&hashed.digest, &self.signatures)?;
        ExportStream::new(hashed.bin(&self.archive), self.options, signer)
    }
}

impl<R> fmt::Debug for ExportReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportReader")
            .field("signatures", &self.signatures)
            .finish_non_exhaustive()
    }
}

/// An export as it came, of which nothing is believed yet, held in memory: up to [`BIN_BYTES_MAX`].
/// [`ExportReader`] does without.
#[derive(Clone, Debug)]
pub struct UnverifiedExport {
    bin: Vec<u8>,
    digest: [u8; 32],
    signatures: Vec<ExportSignature>,
    options: ReadOptions,
}

/// A signature of `export.sig`. Nothing vouches for the names in it.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportSignature {
    /// The key that it claims to be by.
    pub name: KeyName,
    /// The algorithm's object identifier in dotted form, if it says one.
    pub algorithm: Option<String>,
    /// The signature, X9.62 DER.
    pub signature: Vec<u8>,
}

impl UnverifiedExport {
    /// Takes `export.bin` and the signatures out of a zip. `export.bin` is not looked into.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if the zip breaks a limit or a rule, or `export.sig` cannot be read.
    pub fn read(zip_bytes: &[u8]) -> Result<Self, ExportError> {
        let ExportReader {
            archive,
            signatures,
            options,
            ..
        } = ExportReader::open(Cursor::new(zip_bytes))?;
        let hashed = Hashed::of(&archive, BIN_BYTES_MAX as u64)?;
        Ok(Self {
            bin: match hashed.kept {
                Kept::Whole(bytes) => bytes,
                Kept::Prefixes(_) => Vec::new(),
            },
            digest: hashed.digest,
            signatures,
            options,
        })
    }

    /// A bare `export.bin`, which no signature vouches for.
    ///
    /// # Errors
    ///
    /// [`ExportError::BinTooLong`].
    pub fn from_unsigned_bin(bin: Vec<u8>) -> Result<Self, ExportError> {
        if bin.len() > BIN_BYTES_MAX {
            return Err(ExportError::BinTooLong { len: bin.len() });
        }
        Ok(Self {
            digest: sha256(&[&bin]),
            bin,
            signatures: Vec::new(),
            options: ReadOptions::default(),
        })
    }

    /// Which keys are given; those of [`ReadOptions::default`] otherwise.
    #[must_use]
    pub fn with_options(self, options: ReadOptions) -> Self {
        Self { options, ..self }
    }

    /// The signatures, as the file claims them.
    pub fn signatures(&self) -> &[ExportSignature] {
        &self.signatures
    }

    /// The bytes of `export.bin`.
    pub fn bin(&self) -> &[u8] {
        &self.bin
    }

    /// The contents, once a signature over the whole of `export.bin` has held under one of
    /// `trusted`. One is enough: a file bears several while an authority changes keys. The file's
    /// names only choose which keys to try; a key without a name is tried on every signature.
    ///
    /// # Errors
    ///
    /// [`ExportError::NotVerified`] with each signature's fault, before anything in `export.bin` is
    /// parsed; any other if what the authority signed is no valid export.
    pub fn verify(&self, trusted: &[VerificationKey]) -> Result<Export, ExportError> {
        let signer = signer(&self.digest, &self.signatures, trusted)?;
        self.export(Some(signer))
    }

    /// The contents without asking who made them, to look at a file. Keys from it must never alert
    /// anybody: whoever made the file chose them.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if `export.bin` is no valid export.
    pub fn parse_without_verification(&self) -> Result<Export, ExportError> {
        self.export(None)
    }

    fn export(&self, signer: Option<VerificationKey>) -> Result<Export, ExportError> {
        let bin = Bin::<Empty>::Held(&self.bin);
        ExportStream::new(bin, self.options, signer)?.into_export()
    }
}

/// The key of `trusted` that made one of `signatures` over what `digest` is of; the first that holds
/// counts, and the others need not.
fn signer(
    digest: &[u8; 32],
    signatures: &[ExportSignature],
    trusted: &[VerificationKey],
) -> Result<VerificationKey, ExportError> {
    let mut refused = Vec::new();
    for signature in signatures {
        match signature.signer(digest, trusted) {
            Ok(key) => return Ok(key.clone()),
            Err(reason) => refused.push(RefusedSignature {
                name: signature.name.clone(),
                reason,
            }),
        }
    }
    Err(ExportError::NotVerified { refused })
}

impl ExportSignature {
    /// Which of `trusted` made this signature over what `digest` is of.
    fn signer<'a>(
        &self,
        digest: &[u8; 32],
        trusted: &'a [VerificationKey],
    ) -> Result<&'a VerificationKey, Refusal> {
        // Silence about the algorithm is no fault: what is computed depends on the key alone.
        if self.algorithm.as_deref().unwrap_or(ECDSA_WITH_SHA256) != ECDSA_WITH_SHA256 {
            return Err(Refusal::Algorithm);
        }
        let mut refusal = Refusal::UnknownKey;
        for key in trusted.iter().filter(|key| key.name().admits(&self.name)) {
            if key.verify_digest(digest, &self.signature) {
                return Ok(key);
            }
            refusal = Refusal::Wrong;
        }
        Err(refusal)
    }
}

fn read_signatures(sig: &[u8]) -> Result<Vec<ExportSignature>, ExportError> {
    let mut signatures = Vec::new();
    for field in Fields::of(sig) {
        let field = field.map_err(|MalformedAt(offset)| malformed(SIG, offset))?;
        if field.number != proto::SIGNATURES {
            continue;
        }
        if signatures.len() == SIGNATURES_MAX {
            return Err(ExportError::TooManySignatures);
        }
        let message: TekSignature = decode(SIG, field)?;
        let info = message.signature_info.unwrap_or_default();
        signatures.push(ExportSignature {
            name: KeyName {
                id: info.verification_key_id,
                version: info.verification_key_version,
            },
            algorithm: info.signature_algorithm,
            signature: message.signature.unwrap_or_default(),
        });
    }
    Ok(signatures)
}

/// The contents of a bare `export.bin`, which no signature vouches for.
///
/// # Errors
///
/// [`ExportError`] if it is no valid export. One invalid key refuses the whole: see
/// [`ExportError::InvalidKey`].
pub fn parse_unsigned_bin(bin: &[u8]) -> Result<Export, ExportError> {
    if bin.len() > BIN_BYTES_MAX {
        return Err(ExportError::BinTooLong { len: bin.len() });
    }
    let bin = Bin::<Empty>::Held(bin);
    ExportStream::new(bin, ReadOptions::default(), None)?.into_export()
}

/// Decodes the message in `field`.
fn decode<M: Message + Default>(name: &'static str, field: Field<'_>) -> Result<M, ExportError> {
    match field.value {
        Value::Bytes(bytes) => M::decode(bytes).ok(),
        _ => None,
    }
    .ok_or(malformed(name, field.offset))
}
