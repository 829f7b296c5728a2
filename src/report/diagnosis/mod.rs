//! The report of somebody who was tested: the keys of the days he agreed to, and what he gave beside them.
//!
//! It is made in two steps, because its code is exchanged in between: [`DiagnosisReport::prepare`] takes a
//! [`Consent`] and the released keys, and gives a [`PreparedReport`] whose commitment a certificate is issued
//! for; with that it becomes a [`DiagnosisReport`], which is sealed and sent.

use std::fmt;

use super::authorisation::{Certificate, VerificationCode};
use super::consent::{Consent, Scope};
use super::evidence::{HeardDigests, HeardError};
use super::keys::{Commitment, InvalidKeys, days_of};
use super::sealed::{AuthorityPublicKey, MessageKind, SealError, seal_usual};
use crate::entropy::{Entropy, EntropyError, SystemEntropy, random_secret};
use crate::log::LogReader;
use crate::protocol::PublishedKey;
use crate::secret::Secret;
use crate::sighting::Sighting;
use crate::time::UtcDay;

mod encounters;
mod wire;

pub use encounters::{ENCOUNTERS_MAX, Encounters, HeardEncounter};
pub use wire::{CodeExchange, MalformedReport};

use encounters::gather;

/// Bytes of heard digests. Chosen: what the largest envelope takes beside keys and certificate.
pub const HEARD_BYTES_MAX: usize = 240 << 10;

/// What an owner gives beside the keys.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Contacts {
    /// Nothing.
    None,
    /// Digests of the identifiers heard, in a form of their own, at most [`HEARD_BYTES_MAX`] bytes.
    HeardDigests(Vec<u8>),
    /// What was heard on the days consented to.
    Encounters(Encounters),
}

impl fmt::Debug for Contacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::HeardDigests(bytes) => write!(f, "HeardDigests({} bytes)", bytes.len()),
            Self::Encounters(encounters) => encounters.fmt(f),
        }
    }
}

/// A report that waits for its certificate.
pub struct PreparedReport {
    consent: Consent,
    keys: Vec<PublishedKey>,
    secret: Secret<32>,
    contacts: Contacts,
}

/// The report of somebody who was tested.
pub struct DiagnosisReport {
    keys: Vec<PublishedKey>,
    secret: Secret<32>,
    certificate: Certificate,
    contacts: Contacts,
}

impl DiagnosisReport {
    /// Begins a report of `released`, the keys of the days that `consent` covers, and spends the consent.
    ///
    /// # Errors
    ///
    /// [`ReportError::DayNotConsented`] if there is a key of another day; [`ReportError::Keys`],
    /// [`ReportError::Entropy`].
    pub fn prepare(
        consent: Consent,
        released: Vec<PublishedKey>,
    ) -> Result<PreparedReport, ReportError> {
        let days = days_of(&released)?;
        if let Some(day) = days.iter().find(|day| !consent.covers(**day)) {
            return Err(ReportError::DayNotConsented { day: *day });
        }
        Ok(PreparedReport {
            consent,
            keys: released,
            secret: random_secret(&mut SystemEntropy)?,
            contacts: Contacts::None,
        })
    }

    /// The same keys under a later certificate: a test that confirms what was said before, or a revocation.
    /// What was given beside the keys was given once, and is not in it.
    ///
    /// # Errors
    ///
    /// [`ReportError::OtherCommitment`] if the certificate is for other keys.
    pub fn revised(self, certificate: Certificate) -> Result<Self, ReportError> {
        if certificate.commitment() != self.certificate.commitment() {
            return Err(ReportError::OtherCommitment);
        }
        Ok(Self {
            certificate,
            contacts: Contacts::None,
            ..self
        })
    }

    /// Seals the code that revises this report, to be exchanged for a later certificate.
    ///
    /// # Errors
    ///
    /// [`ReportError::Seal`].
    pub fn code_exchange(
        &self,
        code: &VerificationCode,
        to: &AuthorityPublicKey,
    ) -> Result<Vec<u8>, ReportError> {
        exchange(code, self.certificate.commitment(), to)
    }

    /// Seals the report to an authority: in [the usual size](super::sealed::SizeClass::USUAL), and in a larger one only if
    /// it says who was near.
    ///
    /// # Errors
    ///
    /// [`ReportError::Seal`].
    pub fn seal(&self, to: &AuthorityPublicKey) -> Result<Vec<u8>, ReportError> {
        Ok(seal_usual(
            to,
            MessageKind::DiagnosisReport,
            &self.to_bytes()?,
        )?)
    }

    /// Its keys.
    pub fn keys(&self) -> &[PublishedKey] {
        &self.keys
    }

    /// Its certificate, which only a [verifier](super::authorisation::CertificateVerifier) believes.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What its owner gave beside the keys.
    pub fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// Whether `commitment` is to these keys, all of them.
    pub(super) fn is_committed_to(&self, commitment: &Commitment) -> bool {
        commitment.is_to(&self.keys, &self.secret)
    }

    pub(super) fn into_parts(self) -> (Vec<PublishedKey>, Contacts) {
        (self.keys, self.contacts)
    }
}

impl PreparedReport {
    /// Adds what was heard on the days consented to; what `sightings` has of other days is left out.
    ///
    /// # Errors
    ///
    /// [`ReportError::OutOfScope`] unless that was agreed to ([`Scope::WithSightings`]).
    pub fn with_sightings(
        self,
        sightings: impl IntoIterator<Item = Sighting>,
    ) -> Result<Self, ReportError> {
        self.require(Scope::WithSightings)?;
        let consented = sightings.into_iter().filter(|sighting| {
            let (first, last) = (sighting.first.utc_day(), sighting.last.utc_day());
            self.consent.covers(first) && self.consent.covers(last)
        });
        let contacts = Contacts::Encounters(gather(consented));
        Ok(Self { contacts, ..self })
    }

    /// Adds digests of what `log` heard on the days consented to, and on no other. If more was heard than
    /// [fits](super::evidence::DIGEST_CLASSES), those of which the fewest frames were heard are left out. Parts of the log
    /// that are damaged are passed over.
    ///
    /// # Errors
    ///
    /// [`HeardError::Report`] with [`ReportError::OutOfScope`] unless that was agreed to
    /// ([`Scope::WithHeardDigests`]); [`HeardError::Log`], [`HeardError::Entropy`].
    pub fn with_heard_from(
        self,
        log: &LogReader,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, HeardError> {
        self.require(Scope::WithHeardDigests)?;
        let heard = HeardDigests::of_log(log, self.consent.days(), &self.keys, entropy)?;
        Ok(self.with_heard_digests(heard.to_bytes()?)?)
    }

    fn with_heard_digests(self, digests: Vec<u8>) -> Result<Self, ReportError> {
        self.require(Scope::WithHeardDigests)?;
        let (got, max) = (digests.len(), HEARD_BYTES_MAX);
        if got > max {
            return Err(ReportError::HeardTooLong { got, max });
        }
        let contacts = Contacts::HeardDigests(digests);
        Ok(Self { contacts, ..self })
    }

    fn require(&self, wanted: Scope) -> Result<(), ReportError> {
        match self.consent.scope() == wanted {
            true => Ok(()),
            false => Err(ReportError::OutOfScope),
        }
    }

    /// What a certificate is wanted for.
    pub fn commitment(&self) -> Commitment {
        Commitment::to_keys(&self.keys, &self.secret)
    }

    /// What its owner gives beside the keys.
    pub fn contacts(&self) -> &Contacts {
        &self.contacts
    }

    /// The consent that this report spends.
    pub fn consent(&self) -> &Consent {
        &self.consent
    }

    /// Seals the code and the commitment, to be exchanged for a certificate.
    ///
    /// # Errors
    ///
    /// [`ReportError::Seal`].
    pub fn code_exchange(
        &self,
        code: &VerificationCode,
        to: &AuthorityPublicKey,
    ) -> Result<Vec<u8>, ReportError> {
        exchange(code, self.commitment(), to)
    }

    /// The report, with the certificate that came for the code.
    ///
    /// # Errors
    ///
    /// [`ReportError::OtherCommitment`] if it is for other keys.
    pub fn authorised(self, certificate: Certificate) -> Result<DiagnosisReport, ReportError> {
        if certificate.commitment() != self.commitment() {
            return Err(ReportError::OtherCommitment);
        }
        Ok(DiagnosisReport {
            keys: self.keys,
            secret: self.secret,
            certificate,
            contacts: self.contacts,
        })
    }
}

fn exchange(
    code: &VerificationCode,
    commitment: Commitment,
    to: &AuthorityPublicKey,
) -> Result<Vec<u8>, ReportError> {
    let bytes = CodeExchange::encode(code, commitment)?;
    Ok(seal_usual(to, MessageKind::CodeExchange, &bytes)?)
}

/// No key is printed.
impl fmt::Debug for PreparedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreparedReport")
            .field("keys", &self.keys.len())
            .field("contacts", &self.contacts)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DiagnosisReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiagnosisReport")
            .field("keys", &self.keys.len())
            .field("contacts", &self.contacts)
            .finish_non_exhaustive()
    }
}

/// No report is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A key of a day that its owner did not agree to, or took out.
    #[error("expected keys of the days consented to, got one of {day}")]
    DayNotConsented {
        /// Its day.
        day: UtcDay,
    },
    /// Keys that cannot be reported.
    #[error(transparent)]
    Keys(#[from] InvalidKeys),
    /// What its owner did not agree to.
    #[error("the consent does not cover this")]
    OutOfScope,
    /// Too many digests.
    #[error("the digests have {got} bytes, expected at most {max}")]
    HeardTooLong {
        /// Bytes they have.
        got: usize,
        /// Bytes they may have.
        max: usize,
    },
    /// The certificate is for other keys.
    #[error("the certificate was issued for other keys")]
    OtherCommitment,
    /// The report cannot be encoded, which no report known leads to.
    #[error("the report cannot be encoded")]
    Encode,
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There are no random numbers.
    #[error("the system's random number generator gave no bytes")]
    Entropy,
}

impl From<EntropyError> for ReportError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

#[cfg(test)]
pub(super) mod tests;
