//! Evidence as bytes: a version, and a record of codec.rs.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::contact::{ASKED_BY_MAX, OPENINGS_MAX, has_name_length};
use super::opening::{Opened, Opening};
use super::{CONTACTS_MAX, Contact, ContactEvidence, EvidenceError, EvidenceRequest, KeyReference};
use crate::codec;
use crate::place::is_plain;
use crate::protocol::ProtocolKind;
use crate::report::sealed::{AuthorityPublicKey, MessageKind, Opened as Envelope, seal_usual};
use crate::secret::Secret;

const VERSION: u8 = 1;

/// More than evidence ever has, so that no secret is left behind where a vector grew.
fn room_for(evidence: &ContactEvidence) -> usize {
    const FIXED: usize = 1 + 16 + 3 * 8 + ASKED_BY_MAX;
    const CONTACT: usize = 64;
    const OPENING: usize = 64;
    FIXED + evidence.contacts.len() * CONTACT + evidence.openings.len() * OPENING
}

#[derive(Deserialize, Serialize)]
struct Stored {
    request: [u8; 16],
    asked_by: String,
    contacts: Vec<Contact>,
    openings: Vec<StoredOpening>,
}

/// An opening as bytes; wiped when dropped.
#[derive(Deserialize, Serialize)]
struct StoredOpening {
    protocol: ProtocolKind,
    first: u32,
    last: u32,
    secret: Vec<u8>,
}

impl Drop for StoredOpening {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl StoredOpening {
    fn of(opening: &Opening) -> Self {
        Self {
            protocol: opening.protocol(),
            first: opening.first,
            last: opening.last,
            secret: match &opening.secret {
                Opened::Bluezone(secret) => secret.expose().to_vec(),
                Opened::Gaen(secret) => secret.expose().to_vec(),
            },
        }
    }

    fn to_opening(&self) -> Result<Opening, MalformedEvidence> {
        let got = self.secret.len();
        let wrong = |expected| MalformedEvidence::SecretLength { expected, got };
        let secret = self.secret.as_slice();
        let secret = match self.protocol {
            ProtocolKind::Bluezone => {
                Opened::Bluezone(Secret::new(secret.try_into().map_err(|_| wrong(32))?))
            }
            ProtocolKind::Gaen => {
                Opened::Gaen(Secret::new(secret.try_into().map_err(|_| wrong(16))?))
            }
        };
        let opening = Opening {
            first: self.first,
            last: self.last,
            secret,
        };
        match opening.is_within_a_day() {
            true => Ok(opening),
            false => Err(MalformedEvidence::OpeningSpan {
                first: self.first,
                last: self.last,
            }),
        }
    }
}

impl ContactEvidence {
    /// As it is sealed: `docs/evidence.md` has each byte.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Encoding`], which its limits exclude.
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, EvidenceError> {
        let mut bytes = Vec::with_capacity(room_for(self));
        bytes.push(VERSION);
        let stored = Stored {
            request: self.request.to_bytes(),
            asked_by: self.asked_by.clone(),
            contacts: self.contacts.clone(),
            openings: self.openings.iter().map(StoredOpening::of).collect(),
        };
        let bytes = codec::encode_into(bytes, &stored).map_err(|_| EvidenceError::Encoding)?;
        Ok(Zeroizing::new(bytes))
    }

    /// Sealed to the authority that asked, as it leaves the device: in [the usual size](crate::report::sealed::SizeClass::USUAL), and in a larger
    /// one only if there are more than some 80 contacts.
    ///
    /// # Errors
    ///
    /// [`EvidenceError::Seal`], [`EvidenceError::Encoding`].
    pub fn seal(&self, to: &AuthorityPublicKey) -> Result<Vec<u8>, EvidenceError> {
        let bytes = self.to_bytes()?;
        Ok(seal_usual(to, MessageKind::ContactEvidence, &bytes)?)
    }

    /// What was in an envelope.
    ///
    /// # Errors
    ///
    /// [`MalformedEvidence`].
    pub fn from_envelope(envelope: &Envelope) -> Result<Self, MalformedEvidence> {
        match envelope.kind {
            MessageKind::ContactEvidence => Self::from_bytes(&envelope.payload),
            found => Err(MalformedEvidence::Kind { found }),
        }
    }

    /// Evidence that has been opened, as somebody sent it.
    ///
    /// # Errors
    ///
    /// [`MalformedEvidence`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedEvidence> {
        let (version, record) = bytes.split_first().ok_or(MalformedEvidence::Record)?;
        if *version != VERSION {
            return Err(MalformedEvidence::Version { found: *version });
        }
        let stored: Stored = codec::decode(record).map_err(|_| MalformedEvidence::Record)?;
        if !has_name_length(&stored.asked_by) {
            let got = stored.asked_by.len();
            return Err(MalformedEvidence::AskedBy { got });
        }
        if !is_plain(&stored.asked_by) {
            return Err(MalformedEvidence::AskedByNotPlain);
        }
        if stored.contacts.len() > CONTACTS_MAX {
            let got = stored.contacts.len();
            return Err(MalformedEvidence::TooManyContacts { got });
        }
        if stored.openings.len() > OPENINGS_MAX {
            let got = stored.openings.len();
            return Err(MalformedEvidence::TooManyOpenings { got });
        }
        let openings = stored.openings.iter().map(StoredOpening::to_opening);
        let evidence = Self {
            request: EvidenceRequest::from_bytes(stored.request),
            openings: openings.collect::<Result<_, _>>()?,
            asked_by: stored.asked_by,
            contacts: stored.contacts,
        };
        match evidence.is_in_order() {
            true => Ok(evidence),
            false => Err(MalformedEvidence::Order),
        }
    }

    fn is_in_order(&self) -> bool {
        self.contacts.is_sorted_by(|a, b| a.place() < b.place())
            && self
                .openings
                .is_sorted_by(|a, b| (a.protocol(), a.last) < (b.protocol(), b.first))
    }
}

impl Serialize for KeyReference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KeyReference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Deserialize::deserialize(deserializer).map(Self)
    }
}

/// Bytes that are no evidence.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedEvidence {
    /// The envelope held something else.
    #[error("expected contact evidence in the envelope, got {found:?}")]
    Kind {
        /// What it held.
        found: MessageKind,
    },
    /// Of a version that is not known.
    #[error("expected evidence of version {VERSION}, got {found}")]
    Version {
        /// Which.
        found: u8,
    },
    /// Cut, too long, or no record.
    #[error("the evidence is no record of its version")]
    Record,
    /// Nobody is named who asked, or at too great a length.
    #[error("expected 1 to {ASKED_BY_MAX} bytes that say who asked, got {got}")]
    AskedBy {
        /// Bytes there are.
        got: usize,
    },
    /// A name that is blank, or has characters that are unseen, control a terminal, or turn the direction of the text.
    #[error("expected a name of who asked that shows as it is")]
    AskedByNotPlain,
    /// Too many contacts.
    #[error("expected at most {CONTACTS_MAX} contacts, got {got}")]
    TooManyContacts {
        /// How many there are.
        got: usize,
    },
    /// Too many openings.
    #[error("expected at most {OPENINGS_MAX} openings, got {got}")]
    TooManyOpenings {
        /// How many there are.
        got: usize,
    },
    /// An opening's secret of another protocol's length.
    #[error("expected an opening of {expected} bytes, got {got}")]
    SecretLength {
        /// Bytes it should have.
        expected: usize,
        /// Bytes it has.
        got: usize,
    },
    /// An opening that ends before it begins, or reaches over midnight.
    #[error("expected an opening within one day, got the slots {first} to {last}")]
    OpeningSpan {
        /// Its first slot.
        first: u32,
        /// Its last slot.
        last: u32,
    },
    /// Contacts or openings that are not in order, or come twice.
    #[error("expected contacts and openings in order, none twice")]
    Order,
}
