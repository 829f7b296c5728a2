//! The keys of an export as they stream by, each of them out of bytes that a signature has held over.

use std::fmt;
use std::io::{Read, Seek};

use super::archive::Entry;
use super::error::malformed;
use super::export::ReadOptions;
use super::fields::{Field, Value};
use super::key::{KeyFault, decode};
use super::read::HASHED_BYTES;
use super::revisions::Revisions;
use super::walk::{Source, Walk};
use super::{
    BIN, Export, ExportError, ExportHeader, KEYS_MAX, KeyList, REVISED_KEYS_MAX, RefusedKeys, proto,
};
use crate::crypto::Sha256;
use crate::protocol::PublishedKey;
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::signature::VerificationKey;
use crate::time::Timestamp;

/// The keys of a batch. Chosen: enough that a matcher is busy with each, in little memory.
const BATCH_KEYS: usize = 4096;

/// Where `export.bin` is, for as often as it is walked over.
pub(super) enum Bin<'r, R> {
    /// In memory.
    Held(&'r [u8]),
    /// In the zip, and the SHA-256 of its bytes up to the end of each [`HASHED_BYTES`].
    Zipped(&'r super::archive::Archive<R>, &'r [[u8; 32]]),
}

impl<'r, R: Read + Seek> Bin<'r, R> {
    /// Bytes it had when they were hashed.
    fn len(&self) -> usize {
        match self {
            Self::Held(bytes) => bytes.len(),
            Self::Zipped(_, prefixes) => prefixes.len() * HASHED_BYTES,
        }
    }

    fn walk(&self) -> Result<Walk<BinSource<'r, R>>, ExportError> {
        Walk::new(match self {
            Self::Held(bytes) => BinSource::Held(bytes),
            Self::Zipped(archive, prefixes) => BinSource::Zipped(Box::new(Rehashed {
                entry: archive.bin()?,
                hash: Sha256::new(),
                prefixes: prefixes.iter(),
                block: vec![0; HASHED_BYTES],
                given: 0,
                checked: 0,
                position: 0,
            })),
        })
    }
}

enum BinSource<'r, R> {
    Held(&'r [u8]),
    Zipped(Box<Rehashed<'r, R>>),
}

impl<R: Read + Seek> Source for BinSource<'_, R> {
    fn fill(&mut self, into: &mut [u8]) -> Result<usize, ExportError> {
        match self {
            Self::Held(bytes) => bytes.fill(into),
            Self::Zipped(rehashed) => rehashed.fill(into),
        }
    }
}

/// `export.bin` out of the zip once more. No byte is given before the SHA-256 of all up to the end of
/// its block is what it was when the signature was verified: whoever changes the file meanwhile ends
/// the reading, and smuggles nothing in.
struct Rehashed<'r, R> {
    entry: Entry<'r, R>,
    hash: Sha256,
    prefixes: std::slice::Iter<'r, [u8; 32]>,
    block: Vec<u8>,
    /// What of the block was checked, and what of that was given.
    given: usize,
    checked: usize,
    /// The end of the block in the file.
    position: usize,
}

impl<R: Read + Seek> Source for Rehashed<'_, R> {
    fn fill(&mut self, into: &mut [u8]) -> Result<usize, ExportError> {
        if self.given == self.checked {
            self.check_next()?;
        }
        let mut rest = self.block.get(self.given..self.checked).unwrap_or_default();
        let given = rest.fill(into)?;
        self.given += given;
        Ok(given)
    }
}

impl<R: Read + Seek> Rehashed<'_, R> {
    fn check_next(&mut self) -> Result<(), ExportError> {
        (self.given, self.checked) = (0, 0);
        let Some(expected) = self.prefixes.next() else {
            return Ok(());
        };
        let offset = self.position;
        let read = self.entry.read_full(&mut self.block);
        let read = read.map_err(|error| match error {
            ExportError::Io { .. } => error,
            // It could be read while the signature was verified.
            _ => ExportError::Changed { offset },
        })?;
        self.position += read;
        self.hash.update(self.block.get(..read).unwrap_or_default());
        if self.hash.clone().finish() != *expected {
            let offset = self.position;
            return Err(ExportError::Changed { offset });
        }
        self.checked = read;
        Ok(())
    }
}

/// All of an `export.bin` but its keys, each of which has been found to be one.
struct Survey {
    header: ExportHeader,
    keys: usize,
    revised_keys: usize,
    revisions: Revisions,
}

impl Survey {
    /// Walks over the whole. Absent numbers are 0, as in proto2; of a field that stands twice the last
    /// counts. There are `len` bytes, or a few less.
    fn of<S: Source>(mut walk: Walk<S>, len: usize) -> Result<Self, ExportError> {
        let mut survey = Self {
            header: ExportHeader {
                start: Timestamp::from_unix_seconds(0),
                end: Timestamp::from_unix_seconds(0),
                region: String::new(),
                batch_num: 0,
                batch_size: 0,
            },
            keys: 0,
            revised_keys: 0,
            revisions: Revisions::default(),
        };
        let (mut num, mut size) = (0, 0);
        while let Some(field) = walk.next_field()? {
            let header = &mut survey.header;
            match (field.number, field.value) {
                (proto::KEYS, Value::Bytes(_)) => survey.take_key(field, KeyList::New, len)?,
                (proto::REVISED_KEYS, Value::Bytes(_)) => {
                    survey.take_key(field, KeyList::Revised, len)?;
                }
                (proto::START_TIMESTAMP, Value::Fixed64(seconds)) => {
                    header.start = Timestamp::from_unix_seconds(seconds);
                }
                (proto::END_TIMESTAMP, Value::Fixed64(seconds)) => {
                    header.end = Timestamp::from_unix_seconds(seconds);
                }
                (proto::REGION, Value::Bytes(text)) => {
                    header.region = std::str::from_utf8(text)
                        .map_err(|_| malformed(BIN, field.offset))?
                        .to_owned();
                }
                // An int32 is the low half of its varint.
                (proto::BATCH_NUM, Value::Varint(number)) => num = number as i32,
                (proto::BATCH_SIZE, Value::Varint(number)) => size = number as i32,
                (
                    proto::START_TIMESTAMP..=proto::BATCH_SIZE | proto::KEYS | proto::REVISED_KEYS,
                    _,
                ) => return Err(malformed(BIN, field.offset)),
                _ => {}
            }
        }
        match (u32::try_from(num), u32::try_from(size)) {
            (Ok(batch_num), Ok(batch_size)) if (1..=batch_size).contains(&batch_num) => {
                (survey.header.batch_num, survey.header.batch_size) = (batch_num, batch_size);
            }
            _ => return Err(ExportError::Batch { num, size }),
        }
        survey.revisions = survey.revisions.sorted();
        Ok(survey)
    }

    fn take_key(&mut self, field: Field<'_>, list: KeyList, len: usize) -> Result<(), ExportError> {
        if self.keys + self.revised_keys == KEYS_MAX {
            return Err(ExportError::TooManyKeys);
        }
        match list {
            KeyList::New => {
                read_key(field, list, self.keys)?;
                self.keys += 1;
            }
            KeyList::Revised if self.revised_keys == REVISED_KEYS_MAX => {
                return Err(ExportError::TooManyRevisedKeys);
            }
            KeyList::Revised => {
                let key = read_key(field, list, self.revised_keys)?;
                // No more than the limit, which fits.
                let (place, left) = (self.revised_keys as u32, len.saturating_sub(field.offset));
                self.revisions.push(*key.key(), place, left);
                self.revised_keys += 1;
            }
        }
        Ok(())
    }
}

/// The key in `field`, which stands in `list` at `index`.
#[inline]
fn read_key(field: Field<'_>, list: KeyList, index: usize) -> Result<DiagnosisKey, ExportError> {
    let Value::Bytes(message) = field.value else {
        return Err(malformed(BIN, field.offset));
    };
    decode(message).map_err(|fault| match fault {
        KeyFault::Malformed => malformed(BIN, field.offset),
        KeyFault::Invalid(source) => ExportError::InvalidKey {
            list,
            index,
            source,
        },
    })
}

/// An export whose signature has held, and every key of which has been found to be one; its keys are
/// still in the file, and stream out of it in batches. It takes some 600 KiB, and 20 bytes for each revised
/// key.
///
/// Each key is given out of bytes that were verified, even if the file changes under the reading: that ends
/// with [`ExportError::Changed`]. New keys that the same file revises are passed over, and of two revisions
/// the last counts.
pub struct ExportStream<'r, R> {
    bin: Bin<'r, R>,
    walk: Walk<BinSource<'r, R>>,
    survey: Survey,
    options: ReadOptions,
    signer: Option<VerificationKey>,
    /// Keys and revised keys walked over.
    places: (usize, usize),
    refused: RefusedKeys,
    /// Why nothing more comes until it is rewound.
    failed: Option<ExportError>,
    batch: Vec<PublishedKey>,
}

impl<'r, R: Read + Seek> ExportStream<'r, R> {
    pub(super) fn new(
        bin: Bin<'r, R>,
        options: ReadOptions,
        signer: Option<VerificationKey>,
    ) -> Result<Self, ExportError> {
        let survey = Survey::of(bin.walk()?, bin.len())?;
        Ok(Self {
            walk: bin.walk()?,
            bin,
            survey,
            options,
            signer,
            places: (0, 0),
            refused: RefusedKeys::default(),
            failed: None,
            batch: Vec::new(),
        })
    }

    /// What the export says of itself.
    pub fn header(&self) -> &ExportHeader {
        &self.survey.header
    }

    /// The key that signed; `None` if nobody verified the file.
    pub fn signed_by(&self) -> Option<&VerificationKey> {
        self.signer.as_ref()
    }

    /// The keys that the file holds, new and revised, those among them that are not given.
    pub fn key_count(&self) -> usize {
        self.survey.keys + self.survey.revised_keys
    }

    /// The keys not given so far, and why.
    pub fn refused(&self) -> RefusedKeys {
        self.refused
    }

    /// Some of the keys that come next, at most a few thousand; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`ExportError::Io`], or [`ExportError::Changed`] if the file changed since it was verified; the same again
    /// until [`rewind`](Self::rewind). The keys given so far were signed, but they are not all: what was found in
    /// them may be told, that nothing was found may not.
    pub fn next_batch(&mut self) -> Result<Option<&[PublishedKey]>, ExportError> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        while batch.len() < BATCH_KEYS {
            match self.next_key()? {
                Some((_, key)) => batch.push(PublishedKey::Gaen(key)),
                None => break,
            }
        }
        self.batch = batch;
        Ok(Some(&self.batch[..]).filter(|batch| !batch.is_empty()))
    }

    /// Begins anew, at the first key.
    ///
    /// # Errors
    ///
    /// As [`next_batch`](Self::next_batch).
    pub fn rewind(&mut self) -> Result<(), ExportError> {
        self.walk = self.bin.walk()?;
        self.places = (0, 0);
        self.refused = RefusedKeys::default();
        self.failed = None;
        Ok(())
    }

    /// The whole in memory, up to [`KEYS_MAX`] keys.
    ///
    /// # Errors
    ///
    /// As [`next_batch`](Self::next_batch).
    pub fn into_export(mut self) -> Result<Export, ExportError> {
        self.rewind()?;
        let (mut keys, mut revised_keys) = (Vec::new(), Vec::new());
        while let Some((list, key)) = self.next_key()? {
            match list {
                KeyList::New => keys.push(key),
                KeyList::Revised => revised_keys.push(key),
            }
        }
        keys.extend(revised_keys.iter().cloned());
        let header = self.survey.header;
        Ok(Export {
            start: header.start,
            end: header.end,
            region: header.region,
            batch_num: header.batch_num,
            batch_size: header.batch_size,
            keys,
            revised_keys,
            refused: self.refused,
            signed_by: self.signer.map(|key| key.name().clone()),
        })
    }

    /// The keys that it revises.
    pub(super) fn revisions(&self) -> &Revisions {
        &self.survey.revisions
    }

    /// The next key that is given, and its list. After an error it is the same error until it is rewound: what was
    /// read is neither at the place where it stopped, nor at an end.
    pub(in crate::publication) fn next_key(
        &mut self,
    ) -> Result<Option<(KeyList, DiagnosisKey)>, ExportError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let next = self.walk_to_next_key();
        self.failed = next.as_ref().err().cloned();
        next
    }

    fn walk_to_next_key(&mut self) -> Result<Option<(KeyList, DiagnosisKey)>, ExportError> {
        while let Some(field) = self.walk.next_field()? {
            let (list, place) = match field.number {
                proto::KEYS => (KeyList::New, &mut self.places.0),
                proto::REVISED_KEYS => (KeyList::Revised, &mut self.places.1),
                _ => continue,
            };
            let index = *place;
            *place += 1;
            let key = read_key(field, list, index)?;
            let last = self.survey.revisions.last_of(key.key());
            let counts = match list {
                KeyList::New => last.is_none(),
                KeyList::Revised => last.is_some_and(|last| last as usize == index),
            };
            if !counts {
                continue;
            }
            if self.options.admit(&key, self.survey.header.end) {
                return Ok(Some((list, key)));
            }
            self.refused.still_valid += 1;
        }
        Ok(None)
    }
}

impl<R> fmt::Debug for ExportStream<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportStream")
            .field("header", &self.survey.header)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}
