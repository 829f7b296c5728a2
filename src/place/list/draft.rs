//! Making a list, for an authority.

use std::ops::Range;

use super::super::PlaceId;
use super::entry::{
    ENTRY_BYTES, Entry, EntryFault, EntryKeys, PlaceMessage, SALT_BYTES, TAG_BYTES,
};
use super::{DOMAIN, ENTRIES_MAX, ENTRIES_OF_PLACE_MAX, Header, PlaceListError, by_day};
use crate::entropy::Entropy;
use crate::publication::signature::{KeyError, SigningKey};
use crate::time::{Timestamp, UtcDay};

/// A list has a multiple of so many entries. Chosen: its length does not tell a day with one place from one
/// with none or sixty, at 10 kB.
const PADDED_TO: usize = 64;

/// A list of places in the making.
pub struct PlaceListDraft {
    sequence: u32,
    published_at: Timestamp,
    pub(super) entries: Vec<(PlaceId, UtcDay, Entry)>,
}

impl std::fmt::Debug for PlaceListDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlaceListDraft")
            .field("sequence", &self.sequence)
            .field("entries", &self.entries.len())
            .finish_non_exhaustive()
    }
}

impl PlaceListDraft {
    /// A list with nothing in it. `sequence` is higher than that of every list the authority has published:
    /// it takes their place, so that what still holds of them is added again.
    pub fn new(sequence: u32, published_at: Timestamp) -> Self {
        Self {
            sequence,
            published_at: Timestamp::from_unix_seconds(published_at.unix_seconds()),
            entries: Vec::new(),
        }
    }

    /// Adds that a case was at the place `id` `during` this time, and what visitors are told. A time beyond
    /// midnight UTC becomes an entry for each day.
    ///
    /// # Errors
    ///
    /// [`PlaceListError::Entry`] with the rule that is broken, or [`PlaceListError::TooManyEntries`], or
    /// [`PlaceListError::TooManyOfOnePlace`]; nothing is added then.
    pub fn add(
        &mut self,
        id: PlaceId,
        during: Range<Timestamp>,
        message: &PlaceMessage,
    ) -> Result<(), PlaceListError> {
        let before = self.entries.len();
        let added = self.add_days(id, during, message);
        if added.is_err() {
            self.entries.truncate(before);
        }
        added
    }

    fn add_days(
        &mut self,
        id: PlaceId,
        during: Range<Timestamp>,
        message: &PlaceMessage,
    ) -> Result<(), PlaceListError> {
        let refused = |index, fault| PlaceListError::Entry { index, fault };
        if during.start >= during.end {
            return Err(refused(self.entries.len(), EntryFault::Times));
        }
        for part in by_day(during) {
            let index = self.entries.len();
            if index == ENTRIES_MAX {
                return Err(PlaceListError::TooManyEntries { got: index + 1 });
            }
            let day = part.start.utc_day();
            let of_this = |(place, of, _): &&(PlaceId, UtcDay, Entry)| (*place, *of) == (id, day);
            if self.entries.iter().filter(of_this).count() == ENTRIES_OF_PLACE_MAX {
                return Err(PlaceListError::TooManyOfOnePlace { index });
            }
            let entry = Entry::new(&part, message.clone())
                .and_then(|entry| entry.check(day.start()..day.end(), self.published_at))
                .map_err(|fault| refused(index, fault))?;
            self.entries.push((id, day, entry));
        }
        Ok(())
    }

    /// The list, padded with entries that nobody can open, signed with `key`.
    ///
    /// # Errors
    ///
    /// [`PlaceListError::Key`] if the key cannot sign or there are no random bytes.
    pub fn sign(
        self,
        key: &SigningKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<u8>, PlaceListError> {
        let published_s = u32::try_from(self.published_at.unix_seconds());
        let mut header = Header {
            fingerprint: key.verification_key().fingerprint(),
            sequence: self.sequence,
            // Past 2106 no entry could say its time either.
            published_s: published_s.map_err(|_| PlaceListError::NotAPlaceList)?,
            salt: [0; SALT_BYTES],
            entries: 0,
        };
        fill(entropy, &mut header.salt)?;
        let entries = self.sealed(&header.salt, entropy)?;
        header.entries = entries.len();
        let mut list = [header.bytes(), entries.concat()].concat();
        let signature = key
            .sign_compact(&[DOMAIN, &list].concat())
            .map_err(PlaceListError::Key)?;
        list.extend(signature);
        Ok(list)
    }

    fn sealed(
        self,
        salt: &[u8; SALT_BYTES],
        entropy: &mut dyn Entropy,
    ) -> Result<Vec<[u8; ENTRY_BYTES]>, PlaceListError> {
        let mut tagged = Vec::with_capacity(self.entries.len());
        for (id, day, entry) in self.entries {
            let keys = EntryKeys::derive(salt, &id, day).map_err(PlaceListError::Key)?;
            tagged.push((keys.tag, Some((keys, entry))));
        }
        let padded = tagged.len().max(1).next_multiple_of(PADDED_TO);
        while tagged.len() < padded.min(ENTRIES_MAX) {
            let mut tag = [0; TAG_BYTES];
            fill(entropy, &mut tag)?;
            tagged.push((tag, None));
        }
        // A place's entries of one day stay in the order in which they were added.
        tagged.sort_by_key(|(tag, _)| *tag);
        let mut sealed = Vec::with_capacity(tagged.len());
        for (index, (tag, what)) in tagged.into_iter().enumerate() {
            sealed.push(match what {
                Some((keys, entry)) => entry.seal(&keys, index).map_err(PlaceListError::Key)?,
                None => padding(tag, entropy)?,
            });
        }
        Ok(sealed)
    }
}

/// An entry that nobody can open, and that looks like any other.
fn padding<const N: usize>(
    tag: [u8; N],
    entropy: &mut dyn Entropy,
) -> Result<[u8; ENTRY_BYTES], PlaceListError> {
    let mut entry = [0; ENTRY_BYTES];
    fill(entropy, &mut entry)?;
    for (to, from) in entry.iter_mut().zip(tag) {
        *to = from;
    }
    Ok(entry)
}

fn fill(entropy: &mut dyn Entropy, out: &mut [u8]) -> Result<(), PlaceListError> {
    let filled = entropy.fill(out);
    filled.map_err(|_| PlaceListError::Key(KeyError::Crypto))
}
