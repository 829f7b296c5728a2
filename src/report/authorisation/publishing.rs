//! From an authorised report to what a publisher takes.

use super::AuthorisedReport;
use crate::protocol::ReportType;
use crate::publication::publisher::{AcceptedKey, ReportId};
use crate::time::Timestamp;

impl AuthorisedReport {
    /// Its keys for a [`Publisher`](crate::publication::publisher::Publisher): accepted at `accepted_at`, under
    /// the number that whoever keeps them has for the report. Those of a report that replaces another are
    /// revisions.
    pub fn into_accepted_keys(
        self,
        accepted_at: Timestamp,
        report: ReportId,
    ) -> impl Iterator<Item = AcceptedKey> {
        let revokes = self.diagnosis.report_type == ReportType::Revoked;
        let revises = self.replaces.is_some();
        self.keys.into_iter().map(move |key| match revises {
            _ if revokes => AcceptedKey::revocation(key, accepted_at, report),
            true => AcceptedKey::revision(key, accepted_at, report),
            false => AcceptedKey::new(key, accepted_at, report),
        })
    }
}
