//! Which certificates have been used, and for what: so that each counts once.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;

use super::CertificateId;
use crate::protocol::ReportType;
use crate::report::keys::{Commitment, KeyDigest};
use crate::time::Timestamp;

/// A report that was authorised.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct UseOfCertificate {
    /// The certificate's name.
    pub id: CertificateId,
    /// The keys it was for, as one.
    pub commitment: Commitment,
    /// Each of them.
    pub keys: Vec<KeyDigest>,
    /// What it said of them: from now on, what counts for the commitment.
    pub report_type: ReportType,
    /// Until when it is to be known. Later the keys are too old to be reported again.
    pub keep_until: Timestamp,
}

/// Not what was said of the keys.
impl fmt::Debug for UseOfCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseOfCertificate")
            .field("keys", &self.keys.len())
            .field("keep_until", &self.keep_until)
            .finish_non_exhaustive()
    }
}

/// What is known of earlier reports: a table of a publisher's database, or [`UsedInMemory`].
///
/// [`note`](Self::note) and whatever the publisher keeps of the report belong into one transaction, which has
/// begun before [`CertificateVerifier::authorise`](super::CertificateVerifier::authorise) is called: then no crash
/// loses a report or counts it twice, and two at a time do not pass each other.
pub trait UsedCertificates {
    /// How the database fails.
    type Error;

    /// Whether the certificate of this name was used.
    ///
    /// # Errors
    ///
    /// The database's.
    fn is_used(&mut self, id: &CertificateId) -> Result<bool, Self::Error>;

    /// What was noted last of these keys; `None` if they have not been reported.
    ///
    /// # Errors
    ///
    /// The database's.
    fn report_type_of(
        &mut self,
        commitment: &Commitment,
    ) -> Result<Option<ReportType>, Self::Error>;

    /// With which keys `key` was reported; `None` if it was not.
    ///
    /// # Errors
    ///
    /// The database's.
    fn reported_with(&mut self, key: &KeyDigest) -> Result<Option<Commitment>, Self::Error>;

    /// Notes a use.
    ///
    /// # Errors
    ///
    /// The database's.
    fn note(&mut self, used: &UseOfCertificate) -> Result<(), Self::Error>;
}

/// Used certificates in memory: for a publisher that reads all its reports anew whenever it starts, and for
/// tests.
#[derive(Clone, Debug, Default)]
pub struct UsedInMemory {
    ids: HashMap<CertificateId, Timestamp>,
    commitments: HashMap<Commitment, (ReportType, Timestamp)>,
    keys: HashMap<KeyDigest, (Commitment, Timestamp)>,
}

impl UsedInMemory {
    /// Forgets what needs not be known any more at `now`.
    pub fn forget(&mut self, now: Timestamp) {
        self.ids.retain(|_, until| *until > now);
        self.commitments.retain(|_, (_, until)| *until > now);
        self.keys.retain(|_, (_, until)| *until > now);
    }
}

impl UsedCertificates for UsedInMemory {
    type Error = Infallible;

    fn is_used(&mut self, id: &CertificateId) -> Result<bool, Infallible> {
        Ok(self.ids.contains_key(id))
    }

    fn report_type_of(
        &mut self,
        commitment: &Commitment,
    ) -> Result<Option<ReportType>, Infallible> {
        let noted = self.commitments.get(commitment);
        Ok(noted.map(|(report_type, _)| *report_type))
    }

    fn reported_with(&mut self, key: &KeyDigest) -> Result<Option<Commitment>, Infallible> {
        Ok(self.keys.get(key).map(|(commitment, _)| *commitment))
    }

    fn note(&mut self, used: &UseOfCertificate) -> Result<(), Infallible> {
        let until = used.keep_until;
        self.ids.insert(used.id, until);
        let noted = (used.report_type, until);
        self.commitments.insert(used.commitment, noted);
        let keys = used.keys.iter();
        self.keys
            .extend(keys.map(|key| (*key, (used.commitment, until))));
        Ok(())
    }
}
