//! One entry of a list: its tag, its seal, and what is in it.

use std::ops::Range;

use super::super::{PlaceId, is_plain};
use crate::crypto::{self, AeadKey, hkdf_sha256};
use crate::publication::signature::KeyError;
use crate::secret::Secret;
use crate::time::{Timestamp, UtcDay};

/// Bytes of a list's salt, drawn for each list, so that a place's tags differ from list to list.
pub(in crate::place) const SALT_BYTES: usize = 16;

/// Bytes of a tag. Chosen: two places that share one by chance are as likely as a guessed id.
pub(super) const TAG_BYTES: usize = 16;

/// From, until, the message's kind and length, the message and what pads it.
pub(in crate::place) const PLAIN_BYTES: usize = 4 + 4 + 1 + 1 + MESSAGE_BYTES_MAX;

/// Bytes of an entry: every one the same, so that lengths tell nothing.
pub(super) const ENTRY_BYTES: usize = TAG_BYTES + PLAIN_BYTES + crypto::TAG_BYTES;

/// Bytes of a message in UTF-8. Chosen: a sentence or two of Vietnamese, in entries of 160 bytes.
pub const MESSAGE_BYTES_MAX: usize = 118;

/// What the tag and the key are derived under.
const INFO: &[u8] = b"truyvet place list entry v1";

/// Kinds of messages.
const KEY: u8 = 0;
const TEXT: u8 = 1;

/// What visitors are told.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum PlaceMessage {
    /// A key that the app has texts for in its languages: lower-case letters, digits, `.`, `_` and `-`.
    Key(String),
    /// The text itself.
    Text(String),
}

impl PlaceMessage {
    /// The key or the text, 1 to [`MESSAGE_BYTES_MAX`] bytes.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Key(text) | Self::Text(text) => text,
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Key(_) => KEY,
            Self::Text(_) => TEXT,
        }
    }

    fn check(&self) -> Result<(), EntryFault> {
        let of_a_key = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        let len = self.as_str().len();
        match self {
            _ if len > MESSAGE_BYTES_MAX => Err(EntryFault::MessageTooLong { len }),
            Self::Key(key) if key.is_empty() || !key.bytes().all(of_a_key) => {
                Err(EntryFault::MessageNotPlain)
            }
            Self::Text(text) if !is_plain(text) => Err(EntryFault::MessageNotPlain),
            _ => Ok(()),
        }
    }
}

/// A rule that an entry breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// It bears the place's tag, and what stands there is not sealed for it.
    #[error("expected what the place's id opens")]
    NotOpened,
    /// It ends before it begins, or reaches beyond the day that it is listed under.
    #[error("expected times of one UTC day, the end after the start")]
    Times,
    /// It claims what had not come to pass when the list was published.
    #[error("expected times up to the list's publication, got later ones")]
    FutureClaim,
    /// A message with more than [`MESSAGE_BYTES_MAX`] bytes.
    #[error("expected a message of at most {MESSAGE_BYTES_MAX} bytes, got {len}")]
    MessageTooLong {
        /// Bytes it has.
        len: usize,
    },
    /// No message, one of an unknown kind, or one that is not to be shown.
    #[error("expected a message that is a key or a text of visible characters")]
    MessageNotPlain,
}

/// What a place's id gives for one day of one list.
pub(in crate::place) struct EntryKeys {
    pub(super) tag: [u8; TAG_BYTES],
    key: AeadKey,
}

impl EntryKeys {
    pub(in crate::place) fn derive(
        salt: &[u8; SALT_BYTES],
        id: &PlaceId,
        day: UtcDay,
    ) -> Result<Self, KeyError> {
        let day = day.unix_days().to_be_bytes();
        let both: Secret<{ TAG_BYTES + 32 }> = hkdf_sha256(id.as_bytes(), salt, &[INFO, &day])?;
        let (tag, key) = both.expose().split_first_chunk().ok_or(KeyError::Crypto)?;
        let key = key.try_into().map_err(|_| KeyError::Crypto)?;
        Ok(Self {
            tag: *tag,
            key: AeadKey::new(&Secret::new(key))?,
        })
    }

    /// The entry `index` of a list, of [`PLAIN_BYTES`].
    pub(in crate::place) fn seal(
        &self,
        index: usize,
        mut plain: Vec<u8>,
    ) -> Result<[u8; ENTRY_BYTES], KeyError> {
        // A key is of one place, day and salt, and no two entries of a list have one index.
        self.key.seal(index as u64, &[], &mut plain)?;
        let entry = [self.tag.as_slice(), &plain].concat();
        entry.try_into().map_err(|_| KeyError::Crypto)
    }
}

/// When a case was there, and what visitors are told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::place) struct Entry {
    pub(in crate::place) from_s: u32,
    pub(in crate::place) until_s: u32,
    pub(in crate::place) message: PlaceMessage,
}

impl Entry {
    /// Times in seconds: `during` whole, so that nothing of it is lost.
    pub(super) fn new(
        during: &Range<Timestamp>,
        message: PlaceMessage,
    ) -> Result<Self, EntryFault> {
        let seconds = |millis: u64| u32::try_from(millis).map_err(|_| EntryFault::Times);
        Ok(Self {
            from_s: seconds(during.start.unix_seconds())?,
            until_s: seconds(during.end.unix_millis().div_ceil(1000))?,
            message,
        })
    }

    pub(in crate::place) fn during(&self) -> Range<Timestamp> {
        let at = |seconds: u32| Timestamp::from_unix_seconds(u64::from(seconds));
        at(self.from_s)..at(self.until_s)
    }

    /// The entry, if it keeps the rules of a list published at `published_at` within `day`.
    pub(super) fn check(
        self,
        day: Range<Timestamp>,
        published_at: Timestamp,
    ) -> Result<Self, EntryFault> {
        let during = self.during();
        if during.start >= during.end || during.start < day.start || during.end > day.end {
            return Err(EntryFault::Times);
        }
        if during.end > published_at {
            return Err(EntryFault::FutureClaim);
        }
        self.message.check()?;
        Ok(self)
    }

    /// The sealed bytes of what was checked, for the place `index` of a list.
    pub(super) fn seal(
        &self,
        keys: &EntryKeys,
        index: usize,
    ) -> Result<[u8; ENTRY_BYTES], KeyError> {
        let message = self.message.as_str().as_bytes();
        let mut plain = Vec::with_capacity(PLAIN_BYTES + crypto::TAG_BYTES);
        plain.extend(self.from_s.to_be_bytes());
        plain.extend(self.until_s.to_be_bytes());
        plain.push(self.message.kind());
        plain.push(u8::try_from(message.len()).unwrap_or(u8::MAX));
        plain.extend(message);
        plain.resize(PLAIN_BYTES, 0);
        keys.seal(index, plain)
    }

    pub(super) fn open(
        keys: &EntryKeys,
        index: usize,
        entry: &[u8; ENTRY_BYTES],
    ) -> Result<Self, EntryFault> {
        let mut sealed = *entry;
        let (_, sealed) = sealed.split_at_mut(TAG_BYTES);
        let plain = keys.key.open(index as u64, &[], sealed);
        Self::read(plain.map_err(|_| EntryFault::NotOpened)?)
    }

    fn read(plain: &[u8]) -> Result<Self, EntryFault> {
        let cut = EntryFault::NotOpened;
        let (from_s, rest) = plain.split_first_chunk().ok_or(cut)?;
        let (until_s, rest) = rest.split_first_chunk().ok_or(cut)?;
        let (&[kind, len], rest) = rest.split_first_chunk().ok_or(cut)?;
        let len = usize::from(len);
        let (message, padding) = rest
            .split_at_checked(len)
            .ok_or(EntryFault::MessageTooLong { len })?;
        let message = std::str::from_utf8(message).map_err(|_| EntryFault::MessageNotPlain)?;
        let message = match kind {
            KEY => PlaceMessage::Key(message.to_owned()),
            TEXT => PlaceMessage::Text(message.to_owned()),
            _ => return Err(EntryFault::MessageNotPlain),
        };
        if padding.iter().any(|byte| *byte != 0) {
            return Err(EntryFault::MessageNotPlain);
        }
        Ok(Self {
            from_s: u32::from_be_bytes(*from_s),
            until_s: u32::from_be_bytes(*until_s),
            message,
        })
    }
}
