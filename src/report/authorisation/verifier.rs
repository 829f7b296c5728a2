//! The publisher's check: nothing is published but what an authority certified, and once.

use std::fmt;
use std::time::Duration;

use super::certificate::{Certificate, CertificateId, Diagnosis, LIFETIME_MAX, signer_id};
use super::used::{UseOfCertificate, UsedCertificates};
use crate::protocol::{PublishedKey, ReportType};
use crate::publication::signature::VerificationKey;
use crate::report::diagnosis::{Contacts, DiagnosisReport};
use crate::report::keys::{Commitment, InvalidKeys, KeyDigest, days_of};
use crate::time::{Timestamp, UtcDay};

/// How far the clocks of authority and publisher may differ. Chosen: machines that set their clocks over a
/// network are within a second; two minutes are a machine that has lost it for a day.
const CLOCKS_DIFFER: Duration = Duration::from_secs(120);

/// GAEN's bound of days since the onset of symptoms; beyond it they are unknown.
const DAYS_SINCE_ONSET_MAX: i64 = 14;

/// Authorises reports.
#[derive(Clone, Debug)]
pub struct CertificateVerifier {
    keys: Vec<VerificationKey>,
    retention_days: u32,
}

impl CertificateVerifier {
    /// Believes certificates that one of `keys` has signed, of keys of the fourteen days before.
    pub fn new(keys: impl IntoIterator<Item = VerificationKey>) -> Self {
        Self {
            keys: keys.into_iter().collect(),
            retention_days: 14,
        }
    }

    /// Takes keys of so many days before the certificate was issued.
    #[must_use]
    pub fn retention_days(self, retention_days: u32) -> Self {
        Self {
            retention_days,
            ..self
        }
    }

    /// Whether `certificate` is signed and valid at `now`. Its keys are another matter.
    ///
    /// # Errors
    ///
    /// [`Refusal::WrongSigner`], [`Refusal::Changed`], [`Refusal::LivesTooLong`], [`Refusal::NotYetValid`],
    /// [`Refusal::Expired`].
    pub fn verify(&self, certificate: &Certificate, now: Timestamp) -> Result<(), Refusal> {
        let claims = &certificate.claims;
        let message = claims.to_signed().map_err(|_| Refusal::Changed)?;
        let mut signers = self
            .keys
            .iter()
            .filter(|key| signer_id(key) == claims.signer)
            .peekable();
        if signers.peek().is_none() {
            return Err(Refusal::WrongSigner);
        }
        if !signers.any(|key| key.verify(&message, &certificate.signature)) {
            return Err(Refusal::Changed);
        }
        let lifetime = claims.expires_at.since(claims.issued_at);
        if lifetime > LIFETIME_MAX {
            let got_s = lifetime.as_secs();
            return Err(Refusal::LivesTooLong { got_s });
        }
        if now.saturating_add(CLOCKS_DIFFER) < claims.issued_at {
            let from = claims.issued_at;
            return Err(Refusal::NotYetValid { from });
        }
        if now >= claims.expires_at {
            let at = claims.expires_at;
            return Err(Refusal::Expired { at });
        }
        Ok(())
    }

    /// Whether `report` may be published at `now`; if so, that is noted in `used`, and it may not again.
    ///
    /// # Errors
    ///
    /// [`NotAuthorised::Refused`] by name, after which nothing is noted, or whatever `used` fails with.
    pub fn authorise<U: UsedCertificates>(
        &self,
        report: DiagnosisReport,
        now: Timestamp,
        used: &mut U,
    ) -> Result<AuthorisedReport, NotAuthorised<U::Error>> {
        let certificate = report.certificate();
        self.verify(certificate, now)?;
        let commitment = certificate.commitment();
        if !report.is_committed_to(&commitment) {
            return Err(Refusal::OtherKeys.into());
        }
        let days = days_of(report.keys()).map_err(Refusal::from)?;
        self.require_allowed(&days, certificate.issued_at(), now)?;
        let replaces = revised(&report, used)?;
        let use_of_it = UseOfCertificate {
            id: certificate.id(),
            commitment,
            keys: report.keys().iter().map(KeyDigest::of).collect(),
            report_type: certificate.diagnosis().report_type,
            keep_until: self.keep_until(certificate),
        };
        used.note(&use_of_it).map_err(NotAuthorised::Used)?;
        Ok(AuthorisedReport::of(report, &days, replaces))
    }

    fn require_allowed(
        &self,
        days: &[UtcDay],
        issued_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let first = issued_at.utc_day().saturating_sub(self.retention_days);
        let last = now.utc_day();
        match days.iter().find(|day| !(first..=last).contains(day)) {
            Some(day) => Err(Refusal::Day {
                day: *day,
                first,
                last,
            }),
            None => Ok(()),
        }
    }

    /// Until no later certificate could admit its keys any more.
    fn keep_until(&self, certificate: &Certificate) -> Timestamp {
        // Its last key is of the day on which it expires at the latest. The last certificate that could admit that key is
        // issued at the end of so many days later, and lives as long as one may.
        let days = u64::from(self.retention_days) + 1;
        let issued = Duration::from_secs(days * 86_400);
        certificate
            .expires_at()
            .saturating_add(issued)
            .saturating_add(LIFETIME_MAX)
    }
}

/// What was said of the report's keys before; a refusal if this may not be said afterwards.
fn revised<U: UsedCertificates>(
    report: &DiagnosisReport,
    used: &mut U,
) -> Result<Option<ReportType>, NotAuthorised<U::Error>> {
    let certificate = report.certificate();
    let is_used = used.is_used(&certificate.id());
    if is_used.map_err(NotAuthorised::Used)? {
        return Err(Refusal::Replayed.into());
    }
    let commitment = certificate.commitment();
    for key in report.keys() {
        let reported_with = used.reported_with(&KeyDigest::of(key));
        match reported_with.map_err(NotAuthorised::Used)? {
            Some(other) if other != commitment => return Err(Refusal::ReportedBefore.into()),
            _ => {}
        }
    }
    let earlier = used.report_type_of(&commitment);
    let earlier = earlier.map_err(NotAuthorised::Used)?;
    match (earlier, certificate.diagnosis().report_type) {
        (None, ReportType::Revoked) => Err(Refusal::NothingToRevoke.into()),
        (Some(from), to) if weight(to) <= weight(from) => {
            Err(Refusal::GoesBack { from, to }.into())
        }
        (earlier, _) => Ok(earlier),
    }
}

/// A later certificate must weigh more: a test more than a doctor's word, and that more than the patient's; a
/// revocation is the last.
const fn weight(report_type: ReportType) -> u8 {
    match report_type {
        ReportType::Unknown | ReportType::Recursive => 0,
        ReportType::SelfReport => 1,
        ReportType::ConfirmedClinicalDiagnosis => 2,
        ReportType::ConfirmedTest => 3,
        ReportType::Revoked => 4,
    }
}

/// A report that an authority stands behind. Nothing else makes one than
/// [`CertificateVerifier::authorise`].
#[derive(Clone)]
#[non_exhaustive]
pub struct AuthorisedReport {
    /// The name of its certificate.
    pub certificate: CertificateId,
    /// Its keys as one: what a revision has in common with what it replaces.
    pub commitment: Commitment,
    /// What the authority says.
    pub diagnosis: Diagnosis,
    /// Its keys, GAEN's with report type and days since the onset of symptoms from the certificate. A key of today is among them; it
    /// is not to be published before it has expired.
    pub keys: Vec<PublishedKey>,
    /// What was said of the same keys before, if this revises it.
    pub replaces: Option<ReportType>,
    /// What its owner gave beside the keys.
    pub contacts: Contacts,
}

/// Neither diagnosis nor keys.
impl fmt::Debug for AuthorisedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorisedReport")
            .field("keys", &self.keys.len())
            .field("contacts", &self.contacts)
            .finish_non_exhaustive()
    }
}

impl AuthorisedReport {
    fn of(report: DiagnosisReport, days: &[UtcDay], replaces: Option<ReportType>) -> Self {
        let certificate = report.certificate();
        let diagnosis = *certificate.diagnosis();
        let (id, commitment) = (certificate.id(), certificate.commitment());
        let (mut keys, contacts) = report.into_parts();
        for (key, day) in keys.iter_mut().zip(days) {
            if let PublishedKey::Gaen(key) = key {
                key.report_type = diagnosis.report_type;
                key.days_since_onset = diagnosis.onset.and_then(|onset| days_since(onset, *day));
            }
        }
        Self {
            certificate: id,
            commitment,
            diagnosis,
            keys,
            replaces,
            contacts,
        }
    }
}

/// Days from `onset` to `day`, if GAEN has a number for them.
fn days_since(onset: UtcDay, day: UtcDay) -> Option<i8> {
    let days = i64::from(day.unix_days()) - i64::from(onset.unix_days());
    let known = -DAYS_SINCE_ONSET_MAX..=DAYS_SINCE_ONSET_MAX;
    known.contains(&days).then_some(())?;
    i8::try_from(days).ok()
}

/// A report that is not to be published.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Signed by a key that is not known here.
    #[error("the certificate is signed by another authority")]
    WrongSigner,
    /// What it says is not what was signed: another onset, say.
    #[error("the certificate is not as it was signed")]
    Changed,
    /// Valid for longer than any may be: what is noted of its keys would be forgotten before it expires.
    #[error("expected a certificate that is valid for {} seconds at most, got {got_s}", LIFETIME_MAX.as_secs())]
    LivesTooLong {
        /// Seconds for which it is valid.
        got_s: u64,
    },
    /// Of the future.
    #[error("the certificate is not valid before {from}")]
    NotYetValid {
        /// When it was issued.
        from: Timestamp,
    },
    /// Too old.
    #[error("the certificate expired at {at}")]
    Expired {
        /// When.
        at: Timestamp,
    },
    /// The keys are not those that the certificate is for: others, fewer, or more.
    #[error("the keys are not those that the certificate was issued for")]
    OtherKeys,
    /// Keys that nobody may report.
    #[error(transparent)]
    Keys(#[from] InvalidKeys),
    /// A key of a day that is not wanted.
    #[error("expected keys of days from {first} to {last}, got one of {day}")]
    Day {
        /// Its day.
        day: UtcDay,
        /// The first day allowed.
        first: UtcDay,
        /// The last day allowed.
        last: UtcDay,
    },
    /// The certificate was used before.
    #[error("the certificate was used before")]
    Replayed,
    /// A key was reported before, together with others.
    #[error("a key was reported before, in another report")]
    ReportedBefore,
    /// A revision that takes back more than it may.
    #[error("expected a report type that may follow {from:?}, got {to:?}")]
    GoesBack {
        /// What was said.
        from: ReportType,
        /// What is said now.
        to: ReportType,
    },
    /// A revocation of what was not reported.
    #[error("the keys to be revoked were not reported")]
    NothingToRevoke,
}

impl Refusal {
    /// Its name, in words that do not change: `"replayed"`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::WrongSigner => "wrong_signer",
            Self::Changed => "changed",
            Self::LivesTooLong { .. } => "lives_too_long",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Expired { .. } => "expired",
            Self::OtherKeys => "other_keys",
            Self::Keys(_) => "invalid_keys",
            Self::Day { .. } => "day_not_allowed",
            Self::Replayed => "replayed",
            Self::ReportedBefore => "reported_before",
            Self::GoesBack { .. } => "goes_back",
            Self::NothingToRevoke => "nothing_to_revoke",
        }
    }
}

/// A report is refused, or could not be looked up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAuthorised<E> {
    /// It may not be published.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What is known of earlier reports cannot be read or written.
    #[error("the used certificates are not to be had")]
    Used(#[source] E),
}

#[cfg(test)]
mod tests;
