//! Writing an export by the rules of Google's server (google/exposure-notifications-server,
//! `internal/export/exportfile.go`).

use std::time::Duration;

use prost::Message;

use super::export::valid_until;
use super::padding::{Padding, pad};
use super::proto::{
    self, SignatureInfo, TekSignature, TekSignatureList, TemporaryExposureKey,
    TemporaryExposureKeyExport,
};
use super::{HEADER, KeyList, ReadOptions, SIGNATURES_MAX, archive};
use crate::entropy::{Entropy, EntropyError};
use crate::protocol::InvalidKey;
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::signature::{KeyError, SigningKey};
use crate::time::Timestamp;

/// The keys that one file is written with: Google's server's limit, so that every reader takes it.
pub(super) const WRITTEN_KEYS_MAX: usize = 500_000;

/// The bytes that a key of a written file has at most: a field's head of two, a key of 16 and its head, and
/// five numbers of which each has a head.
const WRITTEN_KEY_BYTES_MAX: usize = 2 + 18 + 2 + 6 + 3 + 2 + 3;

/// The bytes of a region or of a part of a key's name. Chosen: a country's code has two, a bundle's
/// name tens; what is longer is a mistake.
const TEXT_BYTES_MAX: usize = 255;

/// How an export is written.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct ExportOptions {
    /// Where the keys come from, mostly a country's two letters.
    pub region: String,
    /// The first moment of the keys' publication window.
    pub start: Timestamp,
    /// The end of the keys' publication window. Android knows a file by its window: of several files
    /// of one window, Google's server ends each a second later than the one before.
    pub end: Timestamp,
    /// Random keys to hide how few are real.
    pub padding: Padding,
    /// How long before the window's end a key's validity must have ended, unless it is revoked: a reader
    /// refuses others ([`ReadOptions::embargo`]), so that they are not written either. Zero by default;
    /// `None` writes every key.
    pub embargo: Option<Duration>,
}

impl ExportOptions {
    /// An export of `region` for the window from `start` to `end`, with the default padding.
    pub fn new(region: impl Into<String>, start: Timestamp, end: Timestamp) -> Self {
        Self {
            region: region.into(),
            start,
            end,
            padding: Padding::default(),
            embargo: ReadOptions::default().embargo,
        }
    }
}

/// An export that cannot be written.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportWriteError {
    /// The window ends before it begins.
    #[error("expected the window to end at or after {start}, got {end}")]
    EndBeforeStart {
        /// Its start.
        start: Timestamp,
        /// Its end.
        end: Timestamp,
    },
    /// The same key twice, in one list or in both.
    #[error("expected every key once, got one again among the {list}s")]
    KeyRepeated {
        /// The list in which it stands again.
        list: KeyList,
    },
    /// A key whose validity had not ended when the window did: [`ExportOptions::embargo`].
    #[error("{list} {index}: expected validity to end by {by}, got one until {until}")]
    StillValid {
        /// The list it stands in.
        list: KeyList,
        /// Its place there, in the order in which it was given, from 0.
        index: usize,
        /// The last moment at which it may have ended.
        by: Timestamp,
        /// When it ends.
        until: Timestamp,
    },
    /// A key that no reader would take.
    #[error("{list} {index}: {source}")]
    InvalidKey {
        /// The list it stands in.
        list: KeyList,
        /// Its place there in the order of key bytes, padding included, from 0.
        index: usize,
        /// The rule it breaks.
        source: InvalidKey,
    },
    /// More keys than 500,000, padding included: [`ExportWriter::write_files`] writes more.
    #[error("expected at most {WRITTEN_KEYS_MAX} keys a file, got {got}: use more files")]
    TooManyKeys {
        /// How many.
        got: usize,
    },
    /// No signing key, or more than [`SIGNATURES_MAX`].
    #[error("expected 1 to {SIGNATURES_MAX} signing keys, got {got}")]
    Signers {
        /// How many.
        got: usize,
    },
    /// A region or a part of a key's name of more than 255 bytes.
    #[error("expected a {field} of at most {TEXT_BYTES_MAX} bytes, got {got}")]
    TextTooLong {
        /// What it is.
        field: &'static str,
        /// Bytes it has.
        got: usize,
    },
    /// No random numbers.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// No signature.
    #[error("the file could not be signed: {0}")]
    Signing(#[from] KeyError),
    /// No zip.
    #[error("the zip could not be written")]
    Zip,
}

/// The keys of one export and how to write them.
///
/// When the file is published is the authority's to decide: before a key's validity has ended, and the two
/// hours within which a late clock still matches it, anyone who reads the file can pass for the
/// patient. Google's server waits out both. That the first was waited out is checked, by the window's end.
#[derive(Clone, Debug)]
pub struct ExportWriter {
    options: ExportOptions,
    keys: Vec<DiagnosisKey>,
    revised_keys: Vec<DiagnosisKey>,
}

impl ExportWriter {
    /// An export without keys.
    pub fn new(options: ExportOptions) -> Self {
        Self {
            options,
            keys: Vec::new(),
            revised_keys: Vec::new(),
        }
    }

    /// Adds keys that have not been published before.
    #[must_use]
    pub fn keys(mut self, keys: impl IntoIterator<Item = DiagnosisKey>) -> Self {
        self.keys.extend(keys);
        self
    }

    /// Adds keys that an earlier file published with another report type.
    #[must_use]
    pub fn revised_keys(mut self, keys: impl IntoIterator<Item = DiagnosisKey>) -> Self {
        self.revised_keys.extend(keys);
        self
    }

    /// The zip: keys in the order of their bytes, which tells nothing of who sent them together;
    /// batch 1 of 1; a signature by each of `signers`, the newest first.
    ///
    /// Padding copies all but the bytes from a real key drawn at random. A file without new keys is
    /// not padded, for there is nothing to copy, and neither are the revised keys: readers would see
    /// that padding there revises nothing.
    ///
    /// # Errors
    ///
    /// [`ExportWriteError`], by name.
    pub fn write(
        self,
        signers: &[&SigningKey],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, ExportWriteError> {
        let options = self.options.clone();
        let (keys, revised_keys) = self.lists(signers, entropy)?;
        let got = keys.len().saturating_add(revised_keys.len());
        if got > WRITTEN_KEYS_MAX {
            return Err(ExportWriteError::TooManyKeys { got });
        }
        write_one(&options, &keys, &revised_keys, signers)
    }

    /// As many zips as the keys need, each as [`write`](Self::write) makes one, of nearly equal length.
    /// Each is batch 1 of 1 of a window that ends a second after that of the one before, as Google's
    /// server has it: Android tells files by their windows.
    ///
    /// # Errors
    ///
    /// [`ExportWriteError`], by name; never [`TooManyKeys`](ExportWriteError::TooManyKeys), unless
    /// the padding alone is too much.
    pub fn write_files(
        self,
        signers: &[&SigningKey],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<Vec<u8>>, ExportWriteError> {
        self.write_parts(signers, entropy, WRITTEN_KEYS_MAX)
    }

    pub(super) fn write_parts(
        self,
        signers: &[&SigningKey],
        entropy: &mut dyn Entropy,
        keys_max: usize,
    ) -> Result<Vec<Vec<u8>>, ExportWriteError> {
        let mut options = self.options.clone();
        let (keys, revised_keys) = self.lists(signers, entropy)?;
        let mut zips = Vec::new();
        for (keys, revised_keys) in dealt(&keys, &revised_keys, keys_max) {
            zips.push(write_one(&options, keys, revised_keys, signers)?);
            options.end = options.end.saturating_add(Duration::from_secs(1));
        }
        Ok(zips)
    }

    /// Both lists as they are written: padded, sorted, every key once.
    fn lists(
        self,
        signers: &[&SigningKey],
        entropy: &mut dyn Entropy,
    ) -> Result<(Vec<DiagnosisKey>, Vec<DiagnosisKey>), ExportWriteError> {
        self.check(signers)?;
        let Self {
            options,
            mut keys,
            mut revised_keys,
        } = self;
        pad(&mut keys, options.padding, entropy)?;
        keys.sort_unstable_by_key(|key| *key.key());
        revised_keys.sort_unstable_by_key(|key| *key.key());
        refuse_repeated(&keys, &revised_keys)?;
        Ok((keys, revised_keys))
    }

    fn refuse_still_valid(&self) -> Result<(), ExportWriteError> {
        let options = ReadOptions {
            embargo: self.options.embargo,
        };
        let end = self.options.end;
        for (list, keys) in [
            (KeyList::New, &self.keys),
            (KeyList::Revised, &self.revised_keys),
        ] {
            let refused = keys.iter().position(|key| !options.admit(key, end));
            if let Some((index, key)) = refused.and_then(|index| Some((index, keys.get(index)?))) {
                return Err(ExportWriteError::StillValid {
                    list,
                    index,
                    by: end.saturating_sub(self.options.embargo.unwrap_or_default()),
                    until: valid_until(key),
                });
            }
        }
        Ok(())
    }

    fn check(&self, signers: &[&SigningKey]) -> Result<(), ExportWriteError> {
        let (start, end) = (self.options.start, self.options.end);
        if end < start {
            return Err(ExportWriteError::EndBeforeStart { start, end });
        }
        self.refuse_still_valid()?;
        if !(1..=SIGNATURES_MAX).contains(&signers.len()) {
            let got = signers.len();
            return Err(ExportWriteError::Signers { got });
        }
        let names = signers
            .iter()
            .map(|signer| signer.verification_key().name());
        let texts = names
            .flat_map(|name| [("key id", &name.id), ("key version", &name.version)])
            .filter_map(|(field, text)| text.as_ref().map(|text| (field, text.len())))
            .chain([("region", self.options.region.len())]);
        for (field, got) in texts {
            if got > TEXT_BYTES_MAX {
                return Err(ExportWriteError::TextTooLong { field, got });
            }
        }
        Ok(())
    }
}

/// Both lists in as few parts as there can be of at most `most` keys, nearly equal; one if there are no
/// keys.
pub(super) fn dealt<'k, K>(
    keys: &'k [K],
    revised_keys: &'k [K],
    most: usize,
) -> Vec<(&'k [K], &'k [K])> {
    let all = keys.len().saturating_add(revised_keys.len());
    // Each list may leave a part with one key more than its share.
    let parts = match all <= most {
        true => 1,
        false => all.div_ceil(most.saturating_sub(1).max(1)),
    };
    let mut lists = [keys, revised_keys].map(|list| list.chunks(list.len().div_ceil(parts).max(1)));
    let mut part = || lists.each_mut().map(|list| list.next().unwrap_or_default());
    (0..parts).map(|_| part().into()).collect()
}

/// One zip of sorted keys.
fn write_one(
    options: &ExportOptions,
    keys: &[DiagnosisKey],
    revised_keys: &[DiagnosisKey],
    signers: &[&SigningKey],
) -> Result<Vec<u8>, ExportWriteError> {
    let head = TemporaryExposureKeyExport {
        start_timestamp: Some(options.start.unix_seconds()),
        end_timestamp: Some(options.end.unix_seconds()),
        region: Some(options.region.clone()),
        batch_num: Some(1),
        batch_size: Some(1),
        signature_infos: signers.iter().map(|signer| info(signer)).collect(),
        ..Default::default()
    };
    let most = (keys.len() + revised_keys.len()).saturating_mul(WRITTEN_KEY_BYTES_MAX);
    let mut bin = Vec::with_capacity(HEADER.len() + head.encoded_len() + most);
    bin.extend(HEADER);
    head.encode_raw(&mut bin);
    append(&mut bin, keys, KeyList::New)?;
    append(&mut bin, revised_keys, KeyList::Revised)?;
    let sig = sign(&bin, signers)?;
    archive::pack(&bin, &sig).ok_or(ExportWriteError::Zip)
}

fn info(signer: &SigningKey) -> SignatureInfo {
    signer.verification_key().name().into()
}

fn sign(bin: &[u8], signers: &[&SigningKey]) -> Result<Vec<u8>, KeyError> {
    let mut signatures = Vec::with_capacity(signers.len());
    for signer in signers {
        signatures.push(TekSignature {
            signature_info: Some(info(signer)),
            batch_num: Some(1),
            batch_size: Some(1),
            signature: Some(signer.sign(bin)?),
        });
    }
    Ok(TekSignatureList { signatures }.encode_to_vec())
}

/// Appends `keys` as the fields of their list, one at a time: a million messages would take thrice the
/// memory of the keys.
fn append(bin: &mut Vec<u8>, keys: &[DiagnosisKey], list: KeyList) -> Result<(), ExportWriteError> {
    let number = match list {
        KeyList::New => proto::KEYS,
        KeyList::Revised => proto::REVISED_KEYS,
    };
    for (index, key) in keys.iter().enumerate() {
        let message =
            TemporaryExposureKey::try_from(key).map_err(|source| ExportWriteError::InvalidKey {
                list,
                index,
                source,
            })?;
        prost::encoding::message::encode(number, &message, bin);
    }
    Ok(())
}

/// A key that is new and revised at once would say two things of one person. Both lists are sorted.
fn refuse_repeated(
    keys: &[DiagnosisKey],
    revised_keys: &[DiagnosisKey],
) -> Result<(), ExportWriteError> {
    let repeated = |list| ExportWriteError::KeyRepeated { list };
    for (list, keys) in [(KeyList::New, keys), (KeyList::Revised, revised_keys)] {
        if !keys.is_sorted_by(|one, next| one.key() < next.key()) {
            return Err(repeated(list));
        }
    }
    let new = |key: &DiagnosisKey| keys.binary_search_by_key(key.key(), |key| *key.key());
    match revised_keys.iter().any(|key| new(key).is_ok()) {
        true => Err(repeated(KeyList::Revised)),
        false => Ok(()),
    }
}
