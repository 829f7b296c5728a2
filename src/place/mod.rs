//! Places: signed codes on their doors, check-ins in the log, and published lists of places.
//!
//! A [`PlaceCode`] is the text of a QR code, signed by an authority or by the place's owner. Scanned and
//! verified, it is a [`Place`], which can be checked in to; the visit is an entry of the encrypted log and
//! leaves the device for nobody. An authority later publishes a [`PlaceList`] of places and times, and the
//! device compares it with its visits.
//!
//! Viet Nam's personal QR text is recognised as far as to say what it would disclose
//! ([`Disclosures`]), and is never kept. `docs/place-format.md` in the repository has every byte.

use std::fmt;
use std::ops::Range;

mod check_in;
mod code;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod list;
mod matching;
mod personal;
#[cfg(feature = "poster")]
mod poster;

pub use check_in::{CheckInError, CheckIns, STAY_ASSUMED, STAY_MAX};
pub use code::{CODE_CHARS_MAX, NAME_BYTES_MAX, PlaceCode, PlaceCodeError, SCANNED_BYTES_MAX};
pub use list::{
    ENTRIES_MAX, ENTRIES_OF_PLACE_MAX, EntryFault, LIST_BYTES_MAX, MESSAGE_BYTES_MAX, PlaceList,
    PlaceListDraft, PlaceListError, PlaceMessage,
};
pub use matching::{PlaceExposure, PlaceMatchConfig, Visit};
pub use personal::{Disclosures, PersonalField};
#[cfg(feature = "poster")]
pub use poster::poster_svg;

use crate::crypto::sha256;
use crate::entropy::{Entropy, EntropyError};
use crate::publication::signature::VerificationKey;
use crate::time::Timestamp;

/// Bytes of a place's id.
pub const PLACE_ID_BYTES: usize = 16;

/// A place's id. An authority draws it at random; an owner's is the hash of the owner's public key, so that
/// nobody else can sign for it.
///
/// Who knows it can tell whether a published list names the place, so that it is not printed.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PlaceId([u8; PLACE_ID_BYTES]);

impl PlaceId {
    /// A new id, for a place whose code an authority signs.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if there are no random bytes.
    pub fn random(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; PLACE_ID_BYTES];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The id with these bytes.
    pub const fn from_bytes(bytes: [u8; PLACE_ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// The id of the place whose owner signs with `key`.
    pub fn of_owner(key: &VerificationKey) -> Self {
        let hash = sha256(&[
            b"truyvet place id of an owner v1",
            &key.to_compressed_point(),
        ]);
        let mut bytes = [0; PLACE_ID_BYTES];
        for (to, from) in bytes.iter_mut().zip(hash) {
            *to = from;
        }
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; PLACE_ID_BYTES] {
        &self.0
    }
}

impl fmt::Debug for PlaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaceId(..)")
    }
}

/// Who signed a place's code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PlaceSigner {
    /// An authority that the app trusts.
    Authority,
    /// The place's owner, with a key that nobody vouches for: trust on first use. The code is the same
    /// owner's as every other one of its id, and the name is what the owner says it is.
    Owner,
}

/// A place whose code was verified, and the only thing that can be checked in to.
#[derive(Clone, Eq, PartialEq)]
pub struct Place {
    id: PlaceId,
    name: String,
    signer: PlaceSigner,
    valid: Range<Timestamp>,
}

/// Neither id nor name: where somebody goes is not for a log line.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("signer", &self.signer)
            .field("valid", &self.valid)
            .finish_non_exhaustive()
    }
}

impl Place {
    /// Its id.
    pub fn id(&self) -> PlaceId {
        self.id
    }

    /// Its name, 1 to [`NAME_BYTES_MAX`] bytes, for the visitor to read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Who signed the code.
    pub fn signer(&self) -> PlaceSigner {
        self.signer
    }

    /// When the code may be scanned; the end is not part of it.
    pub fn valid(&self) -> Range<Timestamp> {
        self.valid.clone()
    }
}

/// Whether `text` can be shown to a person as it is: something to read, nothing that controls a terminal,
/// and nothing unseen that turns or splits what stands around it.
pub(crate) fn is_plain(text: &str) -> bool {
    let unseen = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
            || matches!(c, '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{FEFF}' | '\u{E0000}'..='\u{E007F}')
            // Hangul's fillers, which are letters that show nothing.
            || matches!(c, '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}')
    };
    !text.trim().is_empty() && !text.chars().any(unseen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unseen_characters_are_not_plain() {
        assert!(is_plain("Phở Thìn, 13 Lò Đúc – ข้าว 식당 🍜"));
        let unseen = "\u{0007}\u{00AD}\u{061C}\u{115F}\u{1160}\u{180E}\u{200B}\u{200F}\u{2028}\u{202E}\u{2060}\
                      \u{206F}\u{3164}\u{FEFF}\u{FFA0}\u{E0000}\u{E0041}\u{E007F}";
        for c in unseen.chars() {
            assert!(!is_plain(&format!("Ph{c}ở")), "{c:?}");
            assert!(!is_plain(&c.to_string()), "{c:?} alone");
        }
    }
}
