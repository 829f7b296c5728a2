//! What came, as it came: sealed, with the answer it was given.

use rusqlite::{Connection, OptionalExtension};

use super::{DatabaseError, codes, execute_each, filed, requests};
use crate::settings::INBOX_BYTES_MAX;

/// What is left to do with a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// Nothing.
    Done,
    /// Publish its keys. It stays sealed afterwards, for evidence that refers to it.
    Publish,
    /// Staff has a use for it.
    ForStaff,
}

impl Work {
    fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Publish => 1,
            Self::ForStaff => 2,
        }
    }
}

/// A message as it is kept.
pub struct Arrival<'a> {
    /// SHA-256 of the envelope: the same bytes again get the same answer.
    pub envelope_hash: [u8; 32],
    /// The envelope.
    pub envelope: &'a [u8],
    /// What it was answered.
    pub answer: &'a [u8],
    /// What is left to do.
    pub work: Work,
    /// The report type that was said of the same keys before.
    pub replaces: Option<u8>,
    /// Unix seconds.
    pub received_at: u64,
    /// Unix seconds until which the answer may be wanted again.
    pub keep_until: u64,
}

/// A sealed message that waits.
pub struct Waiting {
    /// Its number: later ones have higher.
    pub id: i64,
    /// Unix seconds.
    pub received_at: u64,
    /// Unix seconds before which nothing of it is published: no run has closed the hour to which they belong.
    pub publish_after: u64,
    /// The report type that was said of the same keys before.
    pub replaces: Option<u8>,
    /// The envelope.
    pub envelope: Vec<u8>,
}

/// The answer that the envelope with this hash was given before, if it still stands at `now`, Unix seconds: of a
/// report that waits it always does.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn answered(
    connection: &Connection,
    envelope_hash: &[u8; 32],
    now: u64,
) -> Result<Option<Vec<u8>>, DatabaseError> {
    Ok(connection
        .prepare_cached(
            "SELECT answer FROM inbox
             WHERE envelope_hash = ?1 AND (keep_until > ?2 OR work = 1)",
        )?
        .query_row((envelope_hash, now), |row| row.get(0))
        .optional()?)
}

/// Keeps `arrival`, and gives the number of its row. Every message writes as much, a dummy too; [`sweep`] then drops what
/// nobody needs.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn keep(connection: &Connection, arrival: &Arrival<'_>) -> Result<i64, DatabaseError> {
    connection
        .prepare_cached(
            "REPLACE INTO inbox
                 (envelope_hash, work, replaces, answer, received_at, keep_until, envelope, publish_after)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, max(?5, (SELECT closed_until FROM publishing)))",
        )?
        .execute((
            arrival.envelope_hash,
            arrival.work.number(),
            arrival.replaces,
            arrival.answer,
            arrival.received_at,
            arrival.keep_until,
            arrival.envelope,
        ))?;
    Ok(connection.last_insert_rowid())
}

/// Up to `count` reports that wait to be published, those after `id` in the order they came.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn waiting_reports(
    connection: &Connection,
    after: i64,
    count: usize,
) -> Result<Vec<Waiting>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT id, received_at, publish_after, replaces, envelope FROM inbox
         WHERE work = 1 AND id > ?1 ORDER BY id LIMIT ?2",
    )?;
    let rows = statement.query_map((after, count), |row| {
        Ok(Waiting {
            id: row.get(0)?,
            received_at: row.get(1)?,
            publish_after: row.get(2)?,
            replaces: row.get(3)?,
            envelope: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that a run closes the hours before `until`, Unix seconds: what comes from now on belongs to a later one, whatever
/// the clock says. The run reads the inbox afterwards.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn close(connection: &Connection, until: u64) -> Result<(), DatabaseError> {
    connection
        .prepare_cached("UPDATE publishing SET closed_until = max(closed_until, ?1)")?
        .execute([until])?;
    Ok(())
}

/// Bytes that are kept for staff, with their answers.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn for_staff_bytes(connection: &Connection) -> Result<u64, DatabaseError> {
    Ok(connection
        .prepare_cached("SELECT bytes FROM for_staff")?
        .query_row((), |row| row.get(0))?)
}

/// Notes that these are published.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn done(connection: &Connection, ids: &[i64]) -> Result<(), DatabaseError> {
    let mut statement = connection.prepare_cached("UPDATE inbox SET work = 3 WHERE id = ?1")?;
    for id in ids {
        statement.execute([id])?;
    }
    Ok(())
}

/// Reports that wait to be published.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn waiting_count(connection: &Connection) -> Result<u64, DatabaseError> {
    Ok(connection
        .prepare_cached("SELECT count(*) FROM inbox WHERE work = 1")?
        .query_row((), |row| row.get(0))?)
}

/// Whether the database has grown so far that nothing more is taken.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn is_full(connection: &Connection) -> Result<bool, DatabaseError> {
    let pragma = |name| connection.query_row(name, (), |row| row.get::<_, u64>(0));
    let used = pragma("PRAGMA page_count")?.saturating_sub(pragma("PRAGMA freelist_count")?);
    Ok(used.saturating_mul(pragma("PRAGMA page_size")?) > INBOX_BYTES_MAX)
}

/// Forgets what nobody needs any more: envelopes of which nothing is left to do, answers that nobody will ask for
/// again, certificates that have expired, codes and requests that are over.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn sweep(connection: &Connection, now: u64) -> Result<(), DatabaseError> {
    let over = [
        "DELETE FROM inbox WHERE keep_until <= ?1 AND work <> 1",
        "UPDATE inbox SET envelope = x'' WHERE work = 0 AND envelope <> x'' AND keep_until > ?1",
        "DELETE FROM used_certificates WHERE keep_until <= ?1",
        "DELETE FROM used_commitments WHERE keep_until <= ?1",
        "DELETE FROM used_keys WHERE keep_until <= ?1",
    ];
    execute_each(connection, &over, now)?;
    filed::sweep(connection, now)?;
    requests::sweep(connection, now)?;
    codes::sweep(connection, now)
}
