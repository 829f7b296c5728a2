//! What a contact sends, and its owner's consent to it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::opening::{Opening, slots_per_day};
use super::{EvidenceRequest, KeyReference, slot_day, slot_start};
use crate::log::LogError;
use crate::place::is_plain;
use crate::protocol::{EphemeralId, FrameError, ProtocolKind};
use crate::report::sealed::SealError;
use crate::sighting::Attenuation;
use crate::time::{Timestamp, UtcDay};

/// Contacts in one evidence. Chosen: fourteen days have 2,016 of GAEN's intervals.
pub const CONTACTS_MAX: usize = 2_048;

/// Openings in one evidence. Chosen: a key for each of the 21 days that a log keeps at most, of both protocols, and a
/// few that were drawn anew in a day.
pub(super) const OPENINGS_MAX: usize = 64;

/// Bytes of the name of who asked. Chosen: a line on a screen.
pub const ASKED_BY_MAX: usize = 100;

/// The owner's consent to prove a contact: who asked, by which request, and for which days. It cannot be copied, and is
/// spent on one evidence.
#[derive(Debug, Eq, PartialEq)]
pub struct EvidenceConsent {
    pub(super) asked_by: String,
    pub(super) request: EvidenceRequest,
    pub(super) days: BTreeSet<UtcDay>,
}

impl EvidenceConsent {
    /// To be made when the owner has agreed, having read who asks (`asked_by`, as the authority is called) and which
    /// `days` of exposure are to be proven.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::AskedBy`], [`EvidenceError::AskedByNotPlain`], [`EvidenceError::NoDay`].
    pub fn new(
        asked_by: impl Into<String>,
        request: EvidenceRequest,
        days: impl IntoIterator<Item = UtcDay>,
    ) -> Result<Self, EvidenceError> {
        let (asked_by, days) = (asked_by.into(), BTreeSet::from_iter(days));
        if !has_name_length(&asked_by) {
            let got = asked_by.len();
            return Err(EvidenceError::AskedBy { got });
        }
        if !is_plain(&asked_by) {
            return Err(EvidenceError::AskedByNotPlain);
        }
        if days.is_empty() {
            return Err(EvidenceError::NoDay);
        }
        Ok(Self {
            asked_by,
            request,
            days,
        })
    }
}

pub(super) fn has_name_length(asked_by: &str) -> bool {
    (1..=ASKED_BY_MAX).contains(&asked_by.len())
}

/// How near, coarsely: the classes of SwissCovid's two thresholds from 11 September 2020, 55 and 63 dB of attenuation.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Strength {
    /// No strength or no power is known.
    Unknown,
    /// From 63 dB.
    Far,
    /// From 55 to below 63 dB.
    Middle,
    /// Below 55 dB.
    Near,
}

impl Strength {
    pub(super) fn of(attenuation: Option<Attenuation>) -> Self {
        match attenuation.map(Attenuation::db) {
            None => Self::Unknown,
            Some(..55) => Self::Near,
            Some(55..63) => Self::Middle,
            Some(63..) => Self::Far,
        }
    }
}

/// An identifier of a published key that was heard in one slot.
#[derive(Clone, Copy, Eq, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct Contact {
    /// Of which protocol.
    pub protocol: ProtocolKind,
    /// Of which key.
    pub key: KeyReference,
    /// In which slot, by this device's clock: GAEN's interval number, or quarters of an hour since 1970.
    pub slot: u32,
    /// Which identifier.
    pub id: EphemeralId,
    /// From the first to the last frame in that slot, in minutes begun: 1 to 10, in Bluezone 15.
    pub minutes: u8,
    /// How near.
    pub strength: Strength,
}

impl Contact {
    /// The order in which contacts stand.
    pub(super) fn place(&self) -> (ProtocolKind, u32, KeyReference, EphemeralId) {
        (self.protocol, self.slot, self.key, self.id)
    }

    /// When the slot begins.
    pub fn slot_start(&self) -> Timestamp {
        slot_start(self.protocol, self.slot)
    }

    /// The UTC day.
    pub fn day(&self) -> UtcDay {
        slot_day(self.protocol, self.slot)
    }
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contact")
            .field("protocol", &self.protocol)
            .field("slot", &self.slot)
            .field("minutes", &self.minutes)
            .field("strength", &self.strength)
            .finish_non_exhaustive()
    }
}

/// What a contact gives an authority that has asked: what it heard of published keys, and openings of its own
/// identifiers. [The module](super) says what it proves.
pub struct ContactEvidence {
    pub(super) request: EvidenceRequest,
    pub(super) asked_by: String,
    /// In order, none twice, at most [`CONTACTS_MAX`].
    pub(super) contacts: Vec<Contact>,
    /// In order of protocol and time, no two of one slot, at most [`OPENINGS_MAX`].
    pub(super) openings: Vec<Opening>,
}

/// What evidence gives away of this device, for its owner to see before it is sent: whoever has recorded
/// identifiers can tell which of these were this device's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Disclosure {
    /// Of which protocol.
    pub protocol: ProtocolKind,
    /// From when this device's identifiers can be computed.
    pub from: Timestamp,
    /// Until when: the end of the day, or of what its key was used for.
    pub until: Timestamp,
}

impl ContactEvidence {
    /// The request that it answers.
    pub fn request(&self) -> EvidenceRequest {
        self.request
    }

    /// Who asked, as its owner was told.
    pub fn asked_by(&self) -> &str {
        &self.asked_by
    }

    /// What was heard, in order of protocol and time.
    pub fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// What it gives away of this device: in Bluezone from the slot before the first needed one to the end of the day, in
    /// GAEN the whole day.
    pub fn disclosures(&self) -> Vec<Disclosure> {
        let disclosure = |opening: &Opening| {
            let protocol = opening.protocol();
            let slots = slots_per_day(protocol);
            let midnight = opening.first / slots * slots;
            let from = match protocol {
                ProtocolKind::Bluezone => opening.first.saturating_sub(1).max(midnight),
                ProtocolKind::Gaen => midnight,
            };
            Disclosure {
                protocol,
                from: slot_start(protocol, from),
                until: slot_day(protocol, opening.first).end(),
            }
        };
        self.openings.iter().map(disclosure).collect()
    }
}

impl fmt::Debug for ContactEvidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactEvidence")
            .field("contacts", &self.contacts.len())
            .field("openings", &self.openings.len())
            .finish_non_exhaustive()
    }
}

/// No evidence can be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// Nobody is named who asked, or at too great a length.
    #[error("expected 1 to {ASKED_BY_MAX} bytes that say who asked, got {got}")]
    AskedBy {
        /// Bytes there are.
        got: usize,
    },
    /// A name that is blank, or has characters that are unseen, control a terminal, or turn the direction of the text.
    #[error("expected a name of who asks that shows as it is")]
    AskedByNotPlain,
    /// Consent to no day.
    #[error("expected consent to at least one day, got none")]
    NoDay,
    /// None of the exposures is of a day to which the owner consents, or none can be found in the log.
    #[error("no exposure on the days consented to is in the log")]
    NoContact,
    /// An exposure's key is not among those given.
    #[error(
        "expected the keys that were matched, got {keys} of them and an exposure to number {key_index}"
    )]
    KeysDiffer {
        /// Which key.
        key_index: usize,
        /// How many there are.
        keys: usize,
    },
    /// More contacts than evidence holds: prove fewer days.
    #[error("expected at most {CONTACTS_MAX} contacts, got {got}: fewer days are needed")]
    TooManyContacts {
        /// How many there are.
        got: usize,
    },
    /// An own key of that day is still advertised. It has to be given up first, by releasing the day and dropping what
    /// that gives: what is opened would tell the rest of the day.
    #[error("the key of {day} is still advertised: release it first")]
    KeyInUse {
        /// Which day.
        day: UtcDay,
    },
    /// The own keys cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An own identifier could not be derived.
    #[error(transparent)]
    Derivation(#[from] FrameError),
    /// It could not be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It is longer than a record may be, which its limits exclude.
    #[error("the evidence cannot be encoded")]
    Encoding,
}
