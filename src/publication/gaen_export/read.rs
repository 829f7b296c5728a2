//! Reading an export: signature first, contents after.

use std::collections::HashMap;

use prost::Message;

use super::fields::{Field, Fields, MalformedAt, Value};
use super::proto::{self, TekSignature, TemporaryExposureKey};
use super::{
    BIN, BIN_BYTES_MAX, ECDSA_WITH_SHA256, Export, ExportError, HEADER, KEYS_MAX, KeyList, Refusal,
    RefusedSignature, SIG, SIGNATURES_MAX, archive,
};
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::signature::{KeyName, VerificationKey};
use crate::time::Timestamp;

/// An export as it came, of which nothing is believed yet.
#[derive(Clone, Debug)]
pub struct UnverifiedExport {
    bin: Vec<u8>,
    signatures: Vec<ExportSignature>,
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
        let files = archive::unpack(zip_bytes)?;
        Ok(Self {
            signatures: read_signatures(&files.sig)?,
            bin: files.bin,
        })
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
        let mut refused = Vec::new();
        for signature in &self.signatures {
            match signature.signer(&self.bin, trusted) {
                Ok(key) => {
                    let mut export = parse_unsigned_bin(&self.bin)?;
                    export.signed_by = Some(key.name().clone());
                    return Ok(export);
                }
                Err(reason) => refused.push(RefusedSignature {
                    name: signature.name.clone(),
                    reason,
                }),
            }
        }
        Err(ExportError::NotVerified { refused })
    }

    /// The contents without asking who made them, to look at a file. Keys from it must never alert
    /// anybody: whoever made the file chose them.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if `export.bin` is no valid export.
    pub fn parse_without_verification(&self) -> Result<Export, ExportError> {
        parse_unsigned_bin(&self.bin)
    }
}

impl ExportSignature {
    /// Which of `trusted` made this signature over `bin`.
    fn signer<'a>(
        &self,
        bin: &[u8],
        trusted: &'a [VerificationKey],
    ) -> Result<&'a VerificationKey, Refusal> {
        // Silence about the algorithm is no fault: what is computed depends on the key alone.
        if self.algorithm.as_deref().unwrap_or(ECDSA_WITH_SHA256) != ECDSA_WITH_SHA256 {
            return Err(Refusal::Algorithm);
        }
        let mut refusal = Refusal::UnknownKey;
        for key in trusted.iter().filter(|key| key.name().admits(&self.name)) {
            if key.verify(bin, &self.signature) {
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
    let message = bin.strip_prefix(HEADER).ok_or(ExportError::Header)?;
    let mut parsed = Parsed::default();
    for field in Fields::of(message) {
        // Counted from the file's first byte, where someone with a hex editor looks.
        let field = field.map_err(|MalformedAt(offset)| malformed(BIN, HEADER.len() + offset))?;
        parsed.take(Field {
            offset: HEADER.len() + field.offset,
            ..field
        })?;
    }
    parsed.finish()
}

fn malformed(name: &'static str, offset: usize) -> ExportError {
    ExportError::Malformed { name, offset }
}

/// Decodes the message in `field`.
fn decode<M: Message + Default>(name: &'static str, field: Field<'_>) -> Result<M, ExportError> {
    match field.value {
        Value::Bytes(bytes) => M::decode(bytes).ok(),
        _ => None,
    }
    .ok_or(malformed(name, field.offset))
}

/// What has been read of a TemporaryExposureKeyExport so far. Absent numbers are 0, as in proto2; of
/// a field that stands twice the last counts.
#[derive(Default)]
struct Parsed {
    start_s: u64,
    end_s: u64,
    region: String,
    batch_num: i32,
    batch_size: i32,
    keys: Vec<DiagnosisKey>,
    revised_keys: Vec<DiagnosisKey>,
}

impl Parsed {
    fn take(&mut self, field: Field<'_>) -> Result<(), ExportError> {
        match (field.number, field.value) {
            (proto::START_TIMESTAMP, Value::Fixed64(seconds)) => self.start_s = seconds,
            (proto::END_TIMESTAMP, Value::Fixed64(seconds)) => self.end_s = seconds,
            (proto::REGION, Value::Bytes(text)) => {
                self.region = std::str::from_utf8(text)
                    .map_err(|_| malformed(BIN, field.offset))?
                    .to_owned();
            }
            // An int32 is the low half of its varint.
            (proto::BATCH_NUM, Value::Varint(number)) => self.batch_num = number as i32,
            (proto::BATCH_SIZE, Value::Varint(number)) => self.batch_size = number as i32,
            (proto::KEYS, Value::Bytes(_)) => self.take_key(field, KeyList::New)?,
            (proto::REVISED_KEYS, Value::Bytes(_)) => self.take_key(field, KeyList::Revised)?,
            (proto::START_TIMESTAMP..=proto::BATCH_SIZE | proto::KEYS | proto::REVISED_KEYS, _) => {
                return Err(malformed(BIN, field.offset));
            }
            // `signature_infos` says only which signatures to expect; export.sig has them.
            _ => {}
        }
        Ok(())
    }

    fn take_key(&mut self, field: Field<'_>, list: KeyList) -> Result<(), ExportError> {
        if self.keys.len() + self.revised_keys.len() == KEYS_MAX {
            return Err(ExportError::TooManyKeys);
        }
        let message: TemporaryExposureKey = decode(BIN, field)?;
        let keys = match list {
            KeyList::New => &mut self.keys,
            KeyList::Revised => &mut self.revised_keys,
        };
        let index = keys.len();
        keys.push(
            message
                .try_into()
                .map_err(|source| ExportError::InvalidKey {
                    list,
                    index,
                    source,
                })?,
        );
        Ok(())
    }

    fn finish(self) -> Result<Export, ExportError> {
        let batch = (self.batch_num, self.batch_size);
        let (num, size) = batch;
        let (batch_num, batch_size) = match (u32::try_from(num), u32::try_from(size)) {
            (Ok(num), Ok(size)) if (1..=size).contains(&num) => (num, size),
            _ => return Err(ExportError::Batch { num, size }),
        };
        Ok(Export {
            start: Timestamp::from_unix_seconds(self.start_s),
            end: Timestamp::from_unix_seconds(self.end_s),
            region: self.region,
            batch_num,
            batch_size,
            keys: revise(self.keys, &self.revised_keys),
            revised_keys: self.revised_keys,
            signed_by: None,
        })
    }
}

/// `keys` with every key that `revised` names replaced, and the revisions of keys that are not among
/// them at the end. Of two revisions of one key the last counts.
fn revise(mut keys: Vec<DiagnosisKey>, revised: &[DiagnosisKey]) -> Vec<DiagnosisKey> {
    let mut revisions: HashMap<&[u8; 16], (&DiagnosisKey, bool)> = HashMap::new();
    for revision in revised {
        revisions.insert(revision.key(), (revision, false));
    }
    for key in &mut keys {
        if let Some((revision, applied)) = revisions.get_mut(key.key()) {
            *key = revision.clone();
            *applied = true;
        }
    }
    for revision in revised {
        if let Some((revision, applied @ false)) = revisions.get_mut(revision.key()) {
            keys.push(revision.clone());
            *applied = true;
        }
    }
    keys
}
