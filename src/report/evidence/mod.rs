//! A contact's evidence: whether two devices heard each other, for an authority that asks, without giving it
//! either log.
//!
//! The confirmed case (F0) may add [`HeardDigests`] to its report: salted digests of what it heard. A contact
//! (F1) may answer an authority's [`EvidenceRequest`] with [`ContactEvidence`]: in which slots it heard which of F0's
//! identifiers, and openings from which its own identifiers of these slots can be computed. The authority
//! [confirms](confirm) what fits together.
//!
//! # What it proves, and what not
//!
//! - **F0 heard F1** is proven by a digest of an identifier of F1's, made before anybody was told that F0 was ill: an
//!   opening cannot be made up around an identifier that was overheard. Of a key that is published, everybody can make
//!   one: an authority refuses those that it [knows](DayFingerprint::of_published). It is as good as F0's digests are: F0 may have
//!   let some out, and heard F1 through a relay, or from afar.
//! - **F1 heard F0** is F1's word. Its identifiers follow from F0's keys, which are published by then, so that
//!   everybody can compute them; what is checked is only that the word is possible.
//! - Nothing is proven of distance and of duration. Who shares an opening, shares what it proves.
//!
//! `docs/evidence.md` in the repository has each byte, and `docs/threat-model.md` what the authority learns.

use std::fmt;

use crate::entropy::{Entropy, EntropyError};
use crate::protocol::{ProtocolKind, PublishedKey};
use crate::report::keys::KeyDigest;
use crate::time::{Timestamp, UtcDay};

mod building;
mod confirmation;
mod contact;
mod heard;
mod opening;
#[cfg(test)]
mod tests;
mod wire;

pub use confirmation::{CaseReport, Confirmation, EvidenceRefused, Extent, KnownDay, confirm};
pub use contact::{
    ASKED_BY_MAX, CONTACTS_MAX, Contact, ContactEvidence, Disclosure, EvidenceConsent,
    EvidenceError, Strength,
};
pub use heard::{DIGEST_CLASSES, HeardDigests, HeardError};
pub use opening::DayFingerprint;
pub use wire::MalformedEvidence;

/// By how many slots two clocks may differ. Chosen: a clock that is wrong by more than 10 minutes is rare, and GAEN's own
/// two hours would let a replay of that age count as heard.
const CLOCKS_APART_SLOTS: u32 = 1;

/// How many slots after its own an identifier may still be advertised. In GAEN it lasts for up to 20 minutes from any moment
/// of its interval (Bluetooth Specification v1.2), which end in the second after.
const fn kept_slots(protocol: ProtocolKind) -> u32 {
    match protocol {
        ProtocolKind::Bluezone => 0,
        ProtocolKind::Gaen => 2,
    }
}

/// An authority's question to one contact, by sixteen random bytes; evidence answers one of them.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct EvidenceRequest([u8; 16]);

/// Who has its bytes can answer it.
impl fmt::Debug for EvidenceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EvidenceRequest(..)")
    }
}

impl EvidenceRequest {
    /// A new one.
    ///
    /// # Errors
    ///
    /// [`EntropyError`].
    pub fn draw(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The request with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// Which published key is meant: the first half of its [`KeyDigest`]. An authority finds the report by it.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyReference([u8; 16]);

impl fmt::Debug for KeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyReference(..)")
    }
}

impl KeyReference {
    /// Bytes of a reference.
    pub const LEN: usize = 16;

    /// The reference of `key`. How long it is valid and what else is said of it makes no difference.
    pub fn of(key: &PublishedKey) -> Self {
        Self(half(KeyDigest::of(key).to_bytes()))
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// What stands for a protocol where bytes are hashed.
const fn code_of(protocol: ProtocolKind) -> u8 {
    match protocol {
        ProtocolKind::Bluezone => 0,
        ProtocolKind::Gaen => 1,
    }
}

fn half(digest: [u8; 32]) -> [u8; 16] {
    let mut first = [0; 16];
    for (to, from) in first.iter_mut().zip(digest) {
        *to = from;
    }
    first
}

/// The number of the slot of `protocol` in which `time` lies, counted from 1970: GAEN's interval number, or as many
/// quarters of an hour.
fn slot_number(protocol: ProtocolKind, time: Timestamp) -> u32 {
    let slot = time.unix_seconds() / protocol.slot_length().as_secs().max(1);
    u32::try_from(slot).unwrap_or(u32::MAX)
}

/// When the slot of that number begins.
fn slot_start(protocol: ProtocolKind, slot: u32) -> Timestamp {
    Timestamp::from_unix_seconds(u64::from(slot) * protocol.slot_length().as_secs())
}

fn slot_day(protocol: ProtocolKind, slot: u32) -> UtcDay {
    slot_start(protocol, slot).utc_day()
}

/// The slots in which an identifier of `slot` may have been heard.
fn slots_around(protocol: ProtocolKind, slot: u32) -> std::ops::RangeInclusive<u32> {
    let after = kept_slots(protocol) + CLOCKS_APART_SLOTS;
    slot.saturating_sub(CLOCKS_APART_SLOTS)..=slot.saturating_add(after)
}
