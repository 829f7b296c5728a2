//! Keys that are forgotten: what a reading key opens, and how both keys are made anew.
//!
//! A file that is deleted may stay on a flash disk for long, and so may a key that is overwritten. So nothing
//! is erased by its own deletion alone: once a day both keys of the log are made anew, what is still wanted is
//! sealed to them, and the [`KeyProvider`] forgets the old ones, which alone open all that has ever been
//! written before.
//!
//! The provider keeps two keys, and cannot take both at once, nor together with a file. So each step leaves
//! what the next one needs:
//!
//! 1. the files under the next keys are written beside the old ones, and the next reading key among them,
//!    sealed to the one of now;
//! 2. the provider takes the next logging key: from here on the log is one of the next keys, since its files
//!    of before do not open any more;
//! 3. the files take the places of the old ones;
//! 4. the provider takes the next reading key; until it has, whoever reads gets it from its file.
//!
//! What fails between 2 and 3 leaves files of both keys, and perhaps nobody knows which are the log's. Nothing
//! is written then until that has been settled ([`Home::is_unsettled`]), as after a crash.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::format::{
    FileKind, ROOTED_VERSION, SEALED_ROOT_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentId,
};
use super::home::{Home, UNDER_LOGGING_KEY, fresh_id, fresh_key, next, public};
use super::segment::SegmentName;
use super::{KeyProvider, KeyPurpose, LogError};
use crate::secret::Secret;

/// Bytes of one segment in the table of roots.
const ENTRY_BYTES: usize = 16 + 32;

/// A segment's header, and its sealed root if that is there.
type Header = (SegmentHeader, Option<[u8; SEALED_ROOT_BYTES]>);

/// Stands in the table where the key of segments of versions 1 and 2 does.
const LEGACY: SegmentId = [0; 16];

/// What opens segments.
pub(super) struct Reading {
    /// `None` in a log of before there were reading keys.
    private: Option<Secret<32>>,
    /// Roots of segments whose own header is sealed to a key of before.
    roots: BTreeMap<SegmentId, Secret<32>>,
}

impl Reading {
    pub(super) fn load(home: &Home, keys: &(impl KeyProvider + ?Sized)) -> Result<Self, LogError> {
        let Some(expected) = home.reading else {
            return Ok(Self {
                private: None,
                roots: BTreeMap::new(),
            });
        };
        let (private, _) = load_private(home, keys, expected)?;
        Self::with(home, private)
    }

    fn with(home: &Home, private: Secret<32>) -> Result<Self, LogError> {
        let table = home.read_sealed_to(FileKind::SegmentKeys, &private)?;
        let roots = table
            .as_deref()
            .map_or(Some(BTreeMap::new()), |it| roots_in(it));
        let malformed = || LogError::corrupted(FileKind::SegmentKeys.name(), 60, "it is malformed");
        Ok(Self {
            private: Some(private),
            roots: roots.ok_or_else(malformed)?,
        })
    }

    #[cfg(fuzzing)]
    pub(super) fn of(private: Secret<32>, roots: BTreeMap<SegmentId, Secret<32>>) -> Self {
        Self {
            private: Some(private),
            roots,
        }
    }

    /// The root of a version 3 segment.
    pub(super) fn root(
        &self,
        header: &SegmentHeader,
        sealed: &[u8; SEALED_ROOT_BYTES],
    ) -> Option<Secret<32>> {
        match self.roots.get(&header.id) {
            // A header may say it is that, and the key of older segments is no root.
            Some(root) if header.id != LEGACY => Some(root.duplicate()),
            _ => header.open_root(self.private.as_ref()?, sealed),
        }
    }

    /// The key of segments of versions 1 and 2.
    pub(super) fn legacy<'a>(&'a self, home: &'a Home) -> Option<&'a Secret<32>> {
        match self.private {
            None => Some(&home.kek),
            Some(_) => self.roots.get(&LEGACY),
        }
    }
}

/// The private part of `expected`, and whether the provider has it: if not, it is the next one, which it has
/// not taken yet.
fn load_private(
    home: &Home,
    keys: &(impl KeyProvider + ?Sized),
    expected: [u8; 32],
) -> Result<(Secret<32>, bool), LogError> {
    let wrong = || LogError::WrongKey {
        directory: home.storage.location().to_owned(),
    };
    let private = keys.load(KeyPurpose::Reading)?.ok_or_else(wrong)?;
    if public(&private)? == expected {
        return Ok((private, true));
    }
    let next = home.read_sealed_to(FileKind::ReadingKey, &private)?;
    let next = next.ok_or_else(wrong)?;
    let next = Secret::new(next.as_slice().try_into().map_err(|_| wrong())?);
    match public(&next)? == expected {
        true => Ok((next, false)),
        false => Err(wrong()),
    }
}

/// The table that begins with the key of segments of versions 1 and 2.
pub(super) fn legacy_table(kek: &Secret<32>) -> Vec<u8> {
    [&LEGACY[..], kek.expose()].concat()
}

fn roots_in(table: &[u8]) -> Option<BTreeMap<SegmentId, Secret<32>>> {
    let (entries, rest) = table.as_chunks::<ENTRY_BYTES>();
    let entry = |entry: &[u8; ENTRY_BYTES]| {
        let (id, root) = entry.split_first_chunk()?;
        Some((*id, Secret::new(root.try_into().ok()?)))
    };
    match rest {
        [] => entries.iter().map(entry).collect(),
        _ => None,
    }
}

/// Makes both keys of the log anew, so that of its segments only those of `live` can be opened, ever again.
///
/// After an error `home` knows whether it is settled which keys its files are under.
pub(super) fn renew(
    home: &mut Home,
    keys: &(impl KeyProvider + ?Sized),
    live: &[SegmentName],
    manifest: Vec<u8>,
) -> Result<(), LogError> {
    let expected = home.reading.ok_or(LogError::Crypto)?;
    let (private, kept) = load_private(home, keys, expected)?;
    if !kept {
        // A renewal that was cut short has left it to us; its file is about to hold another.
        keys.replace(KeyPurpose::Reading, &private)?;
    }
    let reading = Reading::with(home, private)?;
    let table = Zeroizing::new(table_of(home, &reading, live)?);

    let (kek, next_private) = (fresh_key()?, fresh_key()?);
    let renewed = Home {
        kek: Arc::new(kek),
        reading: Some(public(&next_private)?),
        ..home.clone()
    };
    write_next(home, &renewed, &table, &next_private, manifest)?;
    home.is_unsettled = true;
    if let Err(error) = keys.replace(KeyPurpose::Logging, &renewed.kek) {
        // It may have taken it all the same.
        home.settle_anew(keys)?;
        return Err(error.into());
    }
    *home = Home {
        is_unsettled: true,
        ..renewed
    };
    home.take_next()?;
    home.is_unsettled = false;
    keys.replace(KeyPurpose::Reading, &next_private)?;
    home.remove(FileKind::ReadingKey.name())?;
    home.sync_directory()
}

/// Everything that is wanted under the next keys, beside what is there.
fn write_next(
    home: &Home,
    renewed: &Home,
    table: &[u8],
    next_private: &Secret<32>,
    manifest: Vec<u8>,
) -> Result<(), LogError> {
    let to_old = home.reading.ok_or(LogError::Crypto)?;
    let to_next = renewed.reading.ok_or(LogError::Crypto)?;
    let reading_key = FileKind::ReadingKey.seal_to(&to_old, home.log_id, next_private.expose())?;
    home.replace(FileKind::ReadingKey.name(), &reading_key)?;
    let table = FileKind::SegmentKeys.seal_to(&to_next, home.log_id, table)?;
    home.replace(&next(FileKind::SegmentKeys), &table)?;
    for kind in UNDER_LOGGING_KEY {
        let sealed = match kind {
            FileKind::Meta => renewed.sealed_meta()?,
            FileKind::Manifest => {
                kind.seal(&renewed.kek, fresh_id()?, &home.log_id.0, manifest.clone())?
            }
            _ => {
                let Some(payload) = home.read_sealed(kind)? else {
                    continue;
                };
                kind.seal(&renewed.kek, fresh_id()?, &home.log_id.0, payload.to_vec())?
            }
        };
        home.replace(&next(kind), &sealed)?;
    }
    Ok(())
}

/// The roots of those segments of `live` that open; what does not is damaged, and stays so. An error is one
/// of the system's: a root that is left out because a file could not be read just now would be lost for good.
fn table_of(home: &Home, reading: &Reading, live: &[SegmentName]) -> Result<Vec<u8>, LogError> {
    let mut table = Vec::with_capacity((live.len() + 1) * ENTRY_BYTES);
    let mut legacy = false;
    for name in live {
        let Some((header, sealed)) = read_header(home, name)? else {
            continue;
        };
        if header.version < ROOTED_VERSION {
            legacy = true;
        } else if let Some(root) = sealed.and_then(|sealed| reading.root(&header, &sealed)) {
            table.extend(header.id);
            table.extend(root.expose());
        }
    }
    if let (true, Some(kek)) = (legacy, reading.legacy(home)) {
        table.extend(LEGACY);
        table.extend(kek.expose());
    }
    Ok(table)
}

/// A segment's header, and its sealed root if that is there; `None` if it is damaged.
fn read_header(home: &Home, name: &SegmentName) -> Result<Option<Header>, LogError> {
    let name = name.to_string();
    let mut bytes = Vec::with_capacity(SEGMENT_HEADER_BYTES);
    let read = home.storage.open(&name).and_then(|file| {
        let mut limited = file.bytes.take(SEGMENT_HEADER_BYTES as u64);
        limited.read_to_end(&mut bytes)
    });
    match read {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|e| home.io("read", &name, e))?,
    };
    let Some((prelude, sealed)) = bytes.split_first_chunk() else {
        return Ok(None);
    };
    let header = SegmentHeader::from_bytes(prelude, &name).ok();
    Ok(header.map(|header| (header, sealed.try_into().ok())))
}
