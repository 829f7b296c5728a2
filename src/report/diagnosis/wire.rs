//! A report and a code exchange as bytes, before they are sealed: a version, and a record behind it.

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::encounters::{ENCOUNTERS_MAX, Encounters};
use super::{Contacts, DiagnosisReport, HEARD_BYTES_MAX, ReportError};
use crate::codec::{decode, encode_into};
use crate::protocol::InvalidKey;
use crate::report::authorisation::{
    Certificate, InvalidCode, MalformedCertificate, VerificationCode,
};
use crate::report::keys::{Commitment, InvalidKeys, KEYS_MAX, KeyRecord};
use crate::secret::Secret;

/// The version of both written here.
const VERSION: u8 = 1;

/// Room for a report without contacts, so that the vector does not grow and leave copies behind.
const USUAL_BYTES: usize = 4 << 10;

/// Bytes of an encounter, at most.
const ENCOUNTER_BYTES: usize = 45;

/// A message that is not what it should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedReport {
    /// Too few bytes, too many, or others than there should be.
    #[error("expected a message of its kind, got bytes of another layout")]
    Layout,
    /// Of another version.
    #[error("expected a message of version {VERSION}, got version {got}")]
    Version {
        /// Its version.
        got: u8,
    },
    /// No certificate.
    #[error(transparent)]
    Certificate(#[from] MalformedCertificate),
    /// A key that breaks its protocol's rules.
    #[error(transparent)]
    Key(#[from] InvalidKey),
    /// Too many keys, or none.
    #[error(transparent)]
    Keys(#[from] InvalidKeys),
    /// No code.
    #[error(transparent)]
    Code(#[from] InvalidCode),
    /// More of what was heard than a report may have.
    #[error("expected at most {max} {what}, got {got}")]
    TooMuchHeard {
        /// Of what.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        max: usize,
    },
}

/// What is sent for a certificate.
#[derive(Debug)]
#[non_exhaustive]
pub struct CodeExchange {
    /// The code that was typed.
    pub code: VerificationCode,
    /// The keys that a certificate is wanted for.
    pub commitment: Commitment,
}

#[derive(Deserialize, Serialize)]
struct ExchangeRecord {
    code: Vec<u8>,
    commitment: [u8; 32],
}

impl Drop for ExchangeRecord {
    fn drop(&mut self) {
        self.code.zeroize();
    }
}

impl CodeExchange {
    /// The exchange in an opened message.
    ///
    /// # Errors
    ///
    /// [`MalformedReport`], by name.
    pub fn from_bytes(payload: &[u8]) -> Result<Self, MalformedReport> {
        let record: ExchangeRecord =
            decode(record_in(payload)?).map_err(|_| MalformedReport::Layout)?;
        let text = std::str::from_utf8(&record.code).map_err(|_| MalformedReport::Layout)?;
        let code: VerificationCode = text.parse()?;
        // As it is written, and in no other of the ways in which it may be typed.
        if *code.to_bytes() != record.code {
            return Err(MalformedReport::Layout);
        }
        Ok(Self {
            code,
            commitment: Commitment::from_bytes(record.commitment),
        })
    }

    pub(super) fn encode(
        code: &VerificationCode,
        commitment: Commitment,
    ) -> Result<Zeroizing<Vec<u8>>, ReportError> {
        let record = ExchangeRecord {
            code: code.to_bytes().to_vec(),
            commitment: commitment.to_bytes(),
        };
        encode_behind_version(&record, 128)
    }
}

#[derive(Deserialize, Serialize)]
struct ReportRecord {
    secret: [u8; 32],
    certificate: Vec<u8>,
    keys: Vec<KeyRecord>,
    contacts: ContactsRecord,
}

#[derive(Deserialize, Serialize)]
enum ContactsRecord {
    None,
    HeardDigests(Vec<u8>),
    Encounters(Encounters),
}

impl Drop for ReportRecord {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl DiagnosisReport {
    /// The report in an opened message, or in what a device has kept of its own to revise it later. Nothing
    /// of it is verified.
    ///
    /// # Errors
    ///
    /// [`MalformedReport`], by name.
    pub fn from_bytes(payload: &[u8]) -> Result<Self, MalformedReport> {
        let mut record: ReportRecord =
            decode(record_in(payload)?).map_err(|_| MalformedReport::Layout)?;
        let got = record.keys.len();
        if got > KEYS_MAX {
            return Err(InvalidKeys::TooManyKeys { got }.into());
        }
        if got == 0 {
            return Err(InvalidKeys::NoKeys.into());
        }
        let keys = record.keys.iter().map(KeyRecord::to_key);
        Ok(Self {
            keys: keys.collect::<Result<_, _>>()?,
            secret: Secret::new(record.secret),
            certificate: Certificate::from_bytes(&record.certificate)?,
            contacts: contacts(std::mem::replace(
                &mut record.contacts,
                ContactsRecord::None,
            ))?,
        })
    }

    /// The report as bytes, which a device keeps sealed in its own way to revise it later.
    ///
    /// # Errors
    ///
    /// [`ReportError::Encode`].
    pub fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, ReportError> {
        let (contacts, contacts_bytes) = match &self.contacts {
            Contacts::None => (ContactsRecord::None, 0),
            Contacts::HeardDigests(digests) => {
                let record = ContactsRecord::HeardDigests(digests.clone());
                (record, digests.len())
            }
            Contacts::Encounters(encounters) => {
                let record = ContactsRecord::Encounters(encounters.clone());
                (record, encounters.heard.len() * ENCOUNTER_BYTES)
            }
        };
        let record = ReportRecord {
            secret: *self.secret.expose(),
            certificate: self.certificate.as_bytes().to_vec(),
            keys: self.keys.iter().map(KeyRecord::of).collect(),
            contacts,
        };
        encode_behind_version(&record, USUAL_BYTES + contacts_bytes)
    }
}

fn contacts(record: ContactsRecord) -> Result<Contacts, MalformedReport> {
    Ok(match record {
        ContactsRecord::None => Contacts::None,
        ContactsRecord::HeardDigests(digests) => {
            require_bounded("bytes of digests", digests.len(), HEARD_BYTES_MAX)?;
            Contacts::HeardDigests(digests)
        }
        ContactsRecord::Encounters(encounters) => {
            require_bounded("encounters", encounters.heard.len(), ENCOUNTERS_MAX)?;
            Contacts::Encounters(encounters)
        }
    })
}

fn require_bounded(what: &'static str, got: usize, max: usize) -> Result<(), MalformedReport> {
    match got <= max {
        true => Ok(()),
        false => Err(MalformedReport::TooMuchHeard { what, got, max }),
    }
}

fn record_in(payload: &[u8]) -> Result<&[u8], MalformedReport> {
    match payload.split_first() {
        Some((&VERSION, record)) => Ok(record),
        Some((got, _)) => Err(MalformedReport::Version { got: *got }),
        None => Err(MalformedReport::Layout),
    }
}

fn encode_behind_version(
    record: &impl Serialize,
    room: usize,
) -> Result<Zeroizing<Vec<u8>>, ReportError> {
    let mut bytes = Vec::with_capacity(room);
    bytes.push(VERSION);
    let encoded = encode_into(bytes, record).map_err(|_| ReportError::Encode)?;
    Ok(Zeroizing::new(encoded))
}
