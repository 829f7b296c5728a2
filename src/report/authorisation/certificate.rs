//! What an authority signs: that somebody's test was so, and to which keys he is bound.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::codec::{CodecError, decode, encode_into};
use crate::crypto::sha256;
use crate::entropy::{Entropy, EntropyError};
use crate::protocol::ReportType;
use crate::publication::signature::{KeyError, SigningKey, VerificationKey};
use crate::report::keys::Commitment;
use crate::time::{Timestamp, UtcDay};

/// The version of the certificate written here.
const VERSION: u8 = 1;

/// What is signed begins with it, so that no signature of another kind passes for a certificate's.
const SIGNED_START: &[u8] = b"truyvet certificate 1";

/// How old a test or the onset of symptoms may be. Chosen: four weeks, as Google's server has it
/// (MaxSymptomOnsetReportDays, 28); nobody is infectious for longer.
pub const DIAGNOSIS_DAYS_MAX: u32 = 28;

/// How long a certificate may be valid, and is by default. Chosen: the device uses it at once, if it is not out
/// of reach; longer than a day is for those who wait for a network.
pub(super) const LIFETIME_MAX: Duration = Duration::from_secs(7 * 86_400);
const LIFETIME: Duration = Duration::from_secs(86_400);

/// Bytes of an ECDSA signature on P-256, X9.62 DER, at most.
const SIGNATURE_BYTES_MAX: usize = 72;

/// What a health worker knows.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Diagnosis {
    /// How the infection was established, or that it was not: [`ReportType::Revoked`].
    pub report_type: ReportType,
    /// The UTC day of the test, if there was one.
    pub test_date: Option<UtcDay>,
    /// The UTC day on which symptoms began, if it is known.
    pub onset: Option<UtcDay>,
}

impl fmt::Debug for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Diagnosis(..)")
    }
}

/// A certificate's random name.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CertificateId([u8; 16]);

impl CertificateId {
    /// The name with these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Debug for CertificateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateId(..)")
    }
}

/// An authority's word that the holder of some keys was tested, with its signature.
#[derive(Clone, Eq, PartialEq)]
pub struct Certificate {
    pub(super) claims: Claims,
    pub(super) signature: Vec<u8>,
    bytes: Vec<u8>,
}

/// Not what it says, which its bytes do too.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("issued_at", &self.issued_at())
            .field("expires_at", &self.expires_at())
            .finish_non_exhaustive()
    }
}

/// What is signed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Claims {
    /// Which key is said to have signed.
    pub(super) signer: [u8; 4],
    pub(super) id: CertificateId,
    pub(super) commitment: Commitment,
    pub(super) diagnosis: Diagnosis,
    pub(super) issued_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

impl Certificate {
    /// Its random name.
    pub fn id(&self) -> CertificateId {
        self.claims.id
    }

    /// The keys it is for.
    pub fn commitment(&self) -> Commitment {
        self.claims.commitment
    }

    /// What it says.
    pub fn diagnosis(&self) -> &Diagnosis {
        &self.claims.diagnosis
    }

    /// When it was signed.
    pub fn issued_at(&self) -> Timestamp {
        self.claims.issued_at
    }

    /// The first moment at which it is not valid any more.
    pub fn expires_at(&self) -> Timestamp {
        self.claims.expires_at
    }

    /// The certificate as bytes, under 200: `docs/report-format.md` has them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The certificate in `bytes`, whoever may have made it: nothing is verified.
    ///
    /// # Errors
    ///
    /// [`MalformedCertificate`], by name.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedCertificate> {
        let (version, record) = bytes.split_first().ok_or(MalformedCertificate::Layout)?;
        if *version != VERSION {
            return Err(MalformedCertificate::Version { got: *version });
        }
        let record: CertificateRecord = decode(record).map_err(|_| MalformedCertificate::Layout)?;
        let got = record.signature.len();
        if got > SIGNATURE_BYTES_MAX {
            return Err(MalformedCertificate::Signature { got });
        }
        Ok(Self {
            claims: record.claims.to_claims()?,
            signature: record.signature,
            bytes: bytes.to_vec(),
        })
    }

    fn of(claims: Claims, signature: Vec<u8>) -> Result<Self, CodecError> {
        let record = CertificateRecord {
            claims: ClaimsRecord::of(&claims),
            signature,
        };
        Ok(Self {
            bytes: encode_into(vec![VERSION], &record)?,
            claims,
            signature: record.signature,
        })
    }
}

impl Claims {
    /// The bytes that are signed.
    pub(super) fn to_signed(&self) -> Result<Vec<u8>, CodecError> {
        encode_into(SIGNED_START.to_vec(), &ClaimsRecord::of(self))
    }
}

/// What a certificate names its signer by: the first four bytes of SHA-256("truyvet certificate key" || its
/// uncompressed point).
pub(super) fn signer_id(key: &VerificationKey) -> [u8; 4] {
    let [a, b, c, d, ..] = sha256(&[b"truyvet certificate key", key.as_uncompressed_point()]);
    [a, b, c, d]
}

#[derive(Deserialize, Serialize)]
struct CertificateRecord {
    claims: ClaimsRecord,
    signature: Vec<u8>,
}

/// The claims in their one form. Times are Unix seconds, days those since 1970-01-01.
#[derive(Deserialize, Serialize)]
struct ClaimsRecord {
    signer: [u8; 4],
    id: [u8; 16],
    commitment: [u8; 32],
    report_type: u8,
    test_day: Option<u32>,
    onset_day: Option<u32>,
    issued_at: u64,
    expires_at: u64,
}

impl ClaimsRecord {
    fn of(claims: &Claims) -> Self {
        Self {
            signer: claims.signer,
            id: claims.id.0,
            commitment: claims.commitment.to_bytes(),
            report_type: number_of(claims.diagnosis.report_type),
            test_day: claims.diagnosis.test_date.map(UtcDay::unix_days),
            onset_day: claims.diagnosis.onset.map(UtcDay::unix_days),
            issued_at: claims.issued_at.unix_seconds(),
            expires_at: claims.expires_at.unix_seconds(),
        }
    }

    fn to_claims(&self) -> Result<Claims, MalformedCertificate> {
        let got = self.report_type;
        Ok(Claims {
            signer: self.signer,
            id: CertificateId(self.id),
            commitment: Commitment::from_bytes(self.commitment),
            diagnosis: Diagnosis {
                report_type: report_type_of(got).ok_or(MalformedCertificate::ReportType { got })?,
                test_date: self.test_day.map(day).transpose()?,
                onset: self.onset_day.map(day).transpose()?,
            },
            issued_at: time(self.issued_at)?,
            expires_at: time(self.expires_at)?,
        })
    }
}

/// Days and times past the year 9999 would come back as others.
fn day(days: u32) -> Result<UtcDay, MalformedCertificate> {
    let day = UtcDay::from_unix_days(days);
    let kept = day.unix_days() == days;
    kept.then_some(day).ok_or(MalformedCertificate::Time)
}

fn time(seconds: u64) -> Result<Timestamp, MalformedCertificate> {
    let time = Timestamp::from_unix_seconds(seconds);
    let kept = time.unix_seconds() == seconds;
    kept.then_some(time).ok_or(MalformedCertificate::Time)
}

/// GAEN's numbers, of the report types that an authority may certify; 0 for others, which are not signed.
const fn number_of(report_type: ReportType) -> u8 {
    match report_type {
        ReportType::ConfirmedTest => 1,
        ReportType::ConfirmedClinicalDiagnosis => 2,
        ReportType::SelfReport => 3,
        ReportType::Revoked => 5,
        ReportType::Unknown | ReportType::Recursive => 0,
    }
}

const fn report_type_of(number: u8) -> Option<ReportType> {
    match number {
        1 => Some(ReportType::ConfirmedTest),
        2 => Some(ReportType::ConfirmedClinicalDiagnosis),
        3 => Some(ReportType::SelfReport),
        5 => Some(ReportType::Revoked),
        _ => None,
    }
}

/// Bytes that are no certificate.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedCertificate {
    /// Too few bytes, too many, or others than there should be.
    #[error("expected a certificate, got bytes of another layout")]
    Layout,
    /// Of another version.
    #[error("expected a certificate of version {VERSION}, got version {got}")]
    Version {
        /// Its version.
        got: u8,
    },
    /// A report type that no authority certifies.
    #[error("expected report type 1, 2, 3 or 5, got {got}")]
    ReportType {
        /// Its number.
        got: u8,
    },
    /// A day or time that there is not.
    #[error("expected days and times until the year 9999")]
    Time,
    /// A signature that is too long.
    #[error("expected a signature of at most {SIGNATURE_BYTES_MAX} bytes, got {got}")]
    Signature {
        /// Bytes it has.
        got: usize,
    },
}

/// Signs certificates.
#[derive(Debug)]
pub struct CertificateSigner {
    key: SigningKey,
    lifetime: Duration,
}

impl CertificateSigner {
    /// A signer of certificates that are valid for a day.
    pub fn new(key: SigningKey) -> Self {
        let lifetime = LIFETIME;
        Self { key, lifetime }
    }

    /// Certificates that are valid for `lifetime`, a minute to seven days.
    ///
    /// # Errors
    ///
    /// [`CertificateError::Lifetime`].
    pub fn lifetime(self, lifetime: Duration) -> Result<Self, CertificateError> {
        let got_s = lifetime.as_secs();
        if got_s < 60 || lifetime > LIFETIME_MAX {
            return Err(CertificateError::Lifetime { got_s });
        }
        Ok(Self { lifetime, ..self })
    }

    /// What verifies its certificates.
    pub fn verification_key(&self) -> &VerificationKey {
        self.key.verification_key()
    }

    /// Signs at `now` that the holder of the keys of `commitment` has `diagnosis`.
    ///
    /// # Errors
    ///
    /// [`CertificateError`], by name.
    pub fn sign(
        &self,
        diagnosis: &Diagnosis,
        commitment: Commitment,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Certificate, CertificateError> {
        require_plausible(diagnosis, now.utc_day())?;
        let mut id = [0; 16];
        entropy.fill(&mut id)?;
        let claims = Claims {
            signer: signer_id(self.verification_key()),
            id: CertificateId(id),
            commitment,
            diagnosis: *diagnosis,
            issued_at: whole_seconds(now),
            expires_at: whole_seconds(now.saturating_add(self.lifetime)),
        };
        let signature = self.key.sign(&claims.to_signed()?)?;
        Ok(Certificate::of(claims, signature)?)
    }
}

fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(time.unix_seconds())
}

fn require_plausible(diagnosis: &Diagnosis, today: UtcDay) -> Result<(), CertificateError> {
    if number_of(diagnosis.report_type) == 0 {
        return Err(CertificateError::ReportType);
    }
    let oldest = today.saturating_sub(DIAGNOSIS_DAYS_MAX);
    for (what, day) in [
        ("test date", diagnosis.test_date),
        ("onset", diagnosis.onset),
    ] {
        if let Some(day) = day
            && !(oldest..=today).contains(&day)
        {
            return Err(CertificateError::Day {
                what,
                day,
                oldest,
                today,
            });
        }
    }
    Ok(())
}

/// Nothing was signed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// A report type that says nothing, or that the format reserves.
    #[error(
        "expected a confirmed test, a clinical diagnosis, a self-report or a revocation, got another report type"
    )]
    ReportType,
    /// A day in the future, or too long ago.
    #[error("expected the {what} to be from {oldest} to {today}, got {day}")]
    Day {
        /// Which.
        what: &'static str,
        /// What was given.
        day: UtcDay,
        /// The oldest that is taken.
        oldest: UtcDay,
        /// Today.
        today: UtcDay,
    },
    /// Too short a time, or too long.
    #[error("expected a lifetime of 60 to 604,800 seconds, got {got_s}")]
    Lifetime {
        /// Seconds asked for.
        got_s: u64,
    },
    /// It cannot be signed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There are no random numbers.
    #[error("the system's random number generator gave no bytes")]
    Entropy,
    /// It cannot be encoded, which no certificate known leads to.
    #[error("the certificate cannot be encoded")]
    Encode,
}

impl From<CodecError> for CertificateError {
    fn from(_: CodecError) -> Self {
        Self::Encode
    }
}

impl From<EntropyError> for CertificateError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

#[cfg(test)]
mod tests;
