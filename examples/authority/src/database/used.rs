//! What was reported before, so that each certificate and each key counts once.

use rusqlite::{Connection, OptionalExtension, Params, types::FromSql};
use truyvet::protocol::ReportType;
use truyvet::report::authorisation::{CertificateId, UseOfCertificate, UsedCertificates};
use truyvet::report::keys::{Commitment, KeyDigest};

use super::DatabaseError;
use crate::codes::{report_type, report_type_number};

/// The used certificates of the transaction that is open on this connection.
pub struct Used<'c>(pub &'c Connection);

impl Used<'_> {
    fn one<T: FromSql>(
        &self,
        query: &str,
        params: impl Params,
    ) -> Result<Option<T>, DatabaseError> {
        let mut statement = self.0.prepare_cached(query)?;
        Ok(statement.query_row(params, |row| row.get(0)).optional()?)
    }
}

impl UsedCertificates for Used<'_> {
    type Error = DatabaseError;

    fn is_used(&mut self, id: &CertificateId) -> Result<bool, DatabaseError> {
        let query = "SELECT 1 FROM used_certificates WHERE id = ?1";
        Ok(self.one::<u8>(query, [id.to_bytes()])?.is_some())
    }

    fn report_type_of(
        &mut self,
        commitment: &Commitment,
    ) -> Result<Option<ReportType>, DatabaseError> {
        let query = "SELECT report_type FROM used_commitments WHERE commitment = ?1";
        Ok(self.one(query, [commitment.to_bytes()])?.map(report_type))
    }

    fn reported_with(&mut self, key: &KeyDigest) -> Result<Option<Commitment>, DatabaseError> {
        let query = "SELECT commitment FROM used_keys WHERE digest = ?1";
        let commitment = self.one(query, [key.to_bytes()])?;
        Ok(commitment.map(Commitment::from_bytes))
    }

    fn note(&mut self, used: &UseOfCertificate) -> Result<(), DatabaseError> {
        let until = used.keep_until.unix_seconds();
        let commitment = used.commitment.to_bytes();
        self.0
            .prepare_cached("REPLACE INTO used_certificates (id, keep_until) VALUES (?1, ?2)")?
            .execute((used.id.to_bytes(), until))?;
        self.0
            .prepare_cached(
                "REPLACE INTO used_commitments (commitment, report_type, keep_until)
                 VALUES (?1, ?2, ?3)",
            )?
            .execute((commitment, report_type_number(used.report_type), until))?;
        let mut statement = self.0.prepare_cached(
            "REPLACE INTO used_keys (digest, commitment, keep_until) VALUES (?1, ?2, ?3)",
        )?;
        for key in &used.keys {
            statement.execute((key.to_bytes(), commitment, until))?;
        }
        Ok(())
    }
}
