//! Published lists of places: reading one that others made, and looking into it with a place's id.
//!
//! A list says of each place, for each UTC day, when it was visited by a case and what visitors are told.
//! Both stand behind a seal that the place's id opens, under a tag that the id gives: whoever has scanned the
//! place's code finds its entries, and to anybody else all entries look alike. Entries have one length and
//! stand in the order of their tags, so that nothing needs to be indexed and no length is believed.

use std::ops::Range;

mod draft;
mod entry;

pub use draft::PlaceListDraft;
#[cfg(fuzzing)]
pub(super) use entry::PLAIN_BYTES;
pub(super) use entry::{Entry, EntryKeys, SALT_BYTES};
pub use entry::{EntryFault, MESSAGE_BYTES_MAX, PlaceMessage};

use super::PlaceId;
use crate::publication::signature::{COMPACT_SIGNATURE_BYTES, KeyError, VerificationKey};
use crate::time::{Timestamp, UtcDay};
use entry::{ENTRY_BYTES, TAG_BYTES};

/// The entries that one list may hold, those that pad it among them. Chosen: 700 places a day for two weeks,
/// in 1.6 MB.
pub const ENTRIES_MAX: usize = 10_000;

/// The entries of one place and day that a list may hold, so that a visit opens no more. Chosen: one for each quarter
/// of an hour.
pub const ENTRIES_OF_PLACE_MAX: usize = 96;

/// The bytes that one list may have.
pub const LIST_BYTES_MAX: usize =
    HEADER_BYTES + ENTRIES_MAX * ENTRY_BYTES + COMPACT_SIGNATURE_BYTES;

/// How far a list may seem to be published in the future. Chosen: what phones' clocks are off by.
const AHEAD_S_MAX: u64 = 300;

/// What a list begins with; the last byte is the version.
pub(super) const MAGIC: [u8; 5] = *b"TVPL\x01";

/// Magic, the signing key's fingerprint, sequence, publication, salt, number of entries.
const HEADER_BYTES: usize = MAGIC.len() + 4 + 4 + 4 + SALT_BYTES + 4;

/// What is signed begins with this, so that no signature for another purpose is one of a list.
pub(super) const DOMAIN: &[u8] = b"truyvet place list v1";

/// A list that cannot be made, or cannot be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceListError {
    /// Something else.
    #[error("expected a list of places, which begins with TVPL")]
    NotAPlaceList,
    /// A version that is not known here.
    #[error("expected a place list of version 1, got version {version}")]
    UnknownVersion {
        /// What stands there.
        version: u8,
    },
    /// More bytes than [`LIST_BYTES_MAX`].
    #[error("expected a list of at most {LIST_BYTES_MAX} bytes, got {len}")]
    TooLong {
        /// Bytes it has.
        len: usize,
    },
    /// More entries than [`ENTRIES_MAX`].
    #[error("expected a list of at most {ENTRIES_MAX} entries, got {got}")]
    TooManyEntries {
        /// Entries there are, or that it claims.
        got: usize,
    },
    /// Cut off, or followed by something.
    #[error("expected a list of {expected} bytes, got {got}")]
    Length {
        /// Bytes by the number of its entries.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// Signed, by what it says, with a key that is not trusted.
    #[error("expected a list of a trusted authority, got one signed with another key")]
    WrongSigner,
    /// Changed, or never signed by this key.
    #[error("the list's signature does not hold")]
    SignatureInvalid,
    /// Published later than now, by the device's clock.
    #[error("the list is published at {published_at}, and it is {now}")]
    PublishedInTheFuture {
        /// When it says.
        published_at: Timestamp,
        /// When it was read.
        now: Timestamp,
    },
    /// An older list than one that was seen before.
    #[error("expected list {newest_seen} or a later one, got {sequence}, which it supersedes")]
    Superseded {
        /// The number of this one.
        sequence: u32,
        /// The highest number seen.
        newest_seen: u32,
    },
    /// Entries that do not stand in the order of their tags.
    #[error("entry {index}: expected a tag not below the one before")]
    OutOfOrder {
        /// Which entry, from 0.
        index: usize,
    },
    /// More entries of one place and day than [`ENTRIES_OF_PLACE_MAX`].
    #[error("entry {index}: expected at most {ENTRIES_OF_PLACE_MAX} of one place and day")]
    TooManyOfOnePlace {
        /// The first entry too many, from 0.
        index: usize,
    },
    /// An entry that breaks a rule. One refuses the whole list.
    #[error("entry {index}: {fault}")]
    Entry {
        /// Which entry, from 0.
        index: usize,
        /// The rule it breaks.
        fault: EntryFault,
    },
    /// The key cannot sign, or the primitives failed.
    #[error("the list cannot be made or opened: {0}")]
    Key(KeyError),
}

/// A list whose signature holds.
#[derive(Clone, Copy)]
pub struct PlaceList<'a> {
    fingerprint: [u8; 4],
    sequence: u32,
    published_s: u32,
    salt: [u8; SALT_BYTES],
    entries: &'a [[u8; ENTRY_BYTES]],
}

impl std::fmt::Debug for PlaceList<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaceList")
            .field("sequence", &self.sequence)
            .field("published_at", &self.published_at())
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

/// What stands before the entries.
struct Header {
    fingerprint: [u8; 4],
    sequence: u32,
    published_s: u32,
    salt: [u8; SALT_BYTES],
    entries: usize,
}

impl<'a> PlaceList<'a> {
    /// The list in `bytes`, once a signature of one of the keys `trusted` holds over all of it.
    ///
    /// `newest_seen` is the highest [`sequence`](Self::sequence) that this device has seen of this authority:
    /// a list takes the place of all with lower numbers, and none of those is taken any more. The same list
    /// may come again.
    ///
    /// `trusted` are keys of this one authority, all that it signs with. An app that trusts several keeps a
    /// `newest_seen` for each and verifies with the keys of each: among the keys of two, a high number of the one would
    /// supersede every list of the other. [`signed_by`](Self::signed_by) says which key it was.
    ///
    /// # Errors
    ///
    /// [`PlaceListError`], by name.
    pub fn verify(
        bytes: &'a [u8],
        trusted: &[VerificationKey],
        now: Timestamp,
        newest_seen: Option<u32>,
    ) -> Result<Self, PlaceListError> {
        let (header, rest) = Header::read(bytes)?;
        let (signed, signature) = bytes
            .split_last_chunk::<COMPACT_SIGNATURE_BYTES>()
            .ok_or(PlaceListError::NotAPlaceList)?;
        let mut named = trusted
            .iter()
            .filter(|key| key.fingerprint() == header.fingerprint)
            .peekable();
        named.peek().ok_or(PlaceListError::WrongSigner)?;
        if !named.any(|key| key.verify_compact(&[DOMAIN, signed], signature)) {
            return Err(PlaceListError::SignatureInvalid);
        }
        // All of it is the authority's from here on.
        let (entries, _) = rest.as_chunks::<ENTRY_BYTES>();
        let list = Self {
            fingerprint: header.fingerprint,
            sequence: header.sequence,
            published_s: header.published_s,
            salt: header.salt,
            entries: entries.get(..header.entries).unwrap_or_default(),
        };
        list.check(now, newest_seen)?;
        Ok(list)
    }

    fn check(&self, now: Timestamp, newest_seen: Option<u32>) -> Result<(), PlaceListError> {
        if u64::from(self.published_s) > now.unix_seconds().saturating_add(AHEAD_S_MAX) {
            return Err(PlaceListError::PublishedInTheFuture {
                published_at: self.published_at(),
                now,
            });
        }
        if let Some(newest_seen) = newest_seen.filter(|newest| self.sequence < *newest) {
            return Err(PlaceListError::Superseded {
                sequence: self.sequence,
                newest_seen,
            });
        }
        let tags = self.entries.iter().map(tag_of);
        let later = self.entries.iter().skip(1).map(tag_of);
        if let Some(before) = tags.zip(later).position(|(tag, next)| tag > next) {
            return Err(PlaceListError::OutOfOrder { index: before + 1 });
        }
        let crowded = |run: &[[u8; ENTRY_BYTES]]| {
            let ends = run.first().zip(run.last());
            ends.is_some_and(|(first, last)| tag_of(first) == tag_of(last))
        };
        let mut runs = self.entries.windows(ENTRIES_OF_PLACE_MAX + 1);
        match runs.position(crowded) {
            Some(first) => Err(PlaceListError::TooManyOfOnePlace {
                index: first + ENTRIES_OF_PLACE_MAX,
            }),
            None => Ok(()),
        }
    }

    /// The fingerprint of the trusted key whose signature holds.
    pub fn signed_by(&self) -> [u8; 4] {
        self.fingerprint
    }

    /// Its number: a list takes the place of all of the same authority with lower ones.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// When it was published. No entry reaches beyond that.
    pub fn published_at(&self) -> Timestamp {
        Timestamp::from_unix_seconds(u64::from(self.published_s))
    }

    /// Entries in it, those that pad it among them.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// What it says of the place `id` on `day`, in the list's order.
    pub(super) fn of_place(&self, id: &PlaceId, day: UtcDay) -> Result<Vec<Entry>, PlaceListError> {
        let keys = EntryKeys::derive(&self.salt, id, day).map_err(PlaceListError::Key)?;
        let first = self
            .entries
            .partition_point(|entry| tag_of(entry) < keys.tag.as_slice());
        let of_this = self.entries.iter().enumerate().skip(first);
        of_this
            .take_while(|(_, entry)| tag_of(entry) == keys.tag)
            .map(|(index, entry)| {
                let opened = Entry::open(&keys, index, entry);
                opened
                    .and_then(|entry| entry.check(day.start()..day.end(), self.published_at()))
                    .map_err(|fault| PlaceListError::Entry { index, fault })
            })
            .collect()
    }
}

impl Header {
    /// The header, and what follows it, once the length of `bytes` is what it says.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), PlaceListError> {
        if bytes.len() > LIST_BYTES_MAX {
            return Err(PlaceListError::TooLong { len: bytes.len() });
        }
        let [magic @ .., expected_version] = MAGIC;
        let rest = bytes
            .strip_prefix(&magic)
            .ok_or(PlaceListError::NotAPlaceList)?;
        let cut = PlaceListError::Length {
            expected: HEADER_BYTES + COMPACT_SIGNATURE_BYTES,
            got: bytes.len(),
        };
        let (&version, rest) = rest.split_first().ok_or(cut)?;
        if version != expected_version {
            return Err(PlaceListError::UnknownVersion { version });
        }
        let (fingerprint, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (sequence, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (published_s, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (entries, rest) = rest.split_first_chunk().ok_or(cut)?;
        let entries = usize::try_from(u32::from_be_bytes(*entries)).unwrap_or(usize::MAX);
        if entries > ENTRIES_MAX {
            return Err(PlaceListError::TooManyEntries { got: entries });
        }
        let expected = HEADER_BYTES + entries * ENTRY_BYTES + COMPACT_SIGNATURE_BYTES;
        if bytes.len() != expected {
            let got = bytes.len();
            return Err(PlaceListError::Length { expected, got });
        }
        let header = Self {
            fingerprint: *fingerprint,
            sequence: u32::from_be_bytes(*sequence),
            published_s: u32::from_be_bytes(*published_s),
            salt: *salt,
            entries,
        };
        Ok((header, rest))
    }

    fn bytes(&self) -> Vec<u8> {
        let entries = u32::try_from(self.entries).unwrap_or(u32::MAX);
        [
            MAGIC.as_slice(),
            &self.fingerprint,
            &self.sequence.to_be_bytes(),
            &self.published_s.to_be_bytes(),
            &self.salt,
            &entries.to_be_bytes(),
        ]
        .concat()
    }
}

fn tag_of(entry: &[u8; ENTRY_BYTES]) -> &[u8] {
    entry.split_at(TAG_BYTES).0
}

/// The parts of `during` in each UTC day.
fn by_day(during: Range<Timestamp>) -> impl Iterator<Item = Range<Timestamp>> {
    let mut rest = during;
    std::iter::from_fn(move || {
        let part = rest.start..rest.end.min(rest.start.utc_day().end());
        rest.start = part.end;
        (part.start < part.end).then_some(part)
    })
}

#[cfg(test)]
mod tests;
