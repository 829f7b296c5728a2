//! The tables, as they came to be.

use rusqlite::Connection;

use super::DatabaseError;

/// One text a version, never changed once released: a file of version n is brought on by those from n.
const MIGRATIONS: [&str; 4] = [
    "
    -- A code that was issued. Its text is nowhere: head and digest are keyed hashes of its beginning and of all of it.
    CREATE TABLE codes (
        handle BLOB PRIMARY KEY,
        head BLOB NOT NULL UNIQUE,
        digest BLOB NOT NULL,
        report_type INTEGER NOT NULL,
        -- Days since 1970, where they are known.
        test_date INTEGER,
        onset INTEGER,
        expires_at INTEGER NOT NULL,
        wrong_endings INTEGER NOT NULL DEFAULT 0,
        -- The keys that it was burnt for, which the authority has not seen, and their certificate.
        commitment BLOB,
        certificate BLOB
    ) STRICT;
    CREATE INDEX codes_by_expiry ON codes (expires_at);

    -- Envelopes as they came, still sealed, and what they were answered.
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY,
        envelope_hash BLOB NOT NULL UNIQUE,
        -- 0: nothing is left to do; 1: a report to be published; 2: for staff.
        work INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        -- Of a report that follows another of the same keys: the other's report type.
        replaces INTEGER,
        answer BLOB NOT NULL,
        keep_until INTEGER NOT NULL,
        envelope BLOB NOT NULL
    ) STRICT;
    CREATE INDEX inbox_by_work ON inbox (work, id);
    CREATE INDEX inbox_by_keeping ON inbox (keep_until);

    -- What was reported, until it cannot come again.
    CREATE TABLE used_certificates (
        id BLOB PRIMARY KEY,
        keep_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE used_commitments (
        commitment BLOB PRIMARY KEY,
        report_type INTEGER NOT NULL,
        keep_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE used_keys (
        digest BLOB PRIMARY KEY,
        commitment BLOB NOT NULL,
        keep_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;

    -- Rates that a restart does not reset.
    CREATE TABLE buckets (
        name TEXT PRIMARY KEY,
        tokens INTEGER NOT NULL,
        filled_at INTEGER NOT NULL
    ) STRICT;
",
    "
    -- In the inbox, work 3: a report that has been published, still sealed, for evidence that refers to it.

    -- Which report has a key; evidence names a key by the first half of its digest.
    CREATE TABLE report_keys (
        reference BLOB PRIMARY KEY,
        inbox INTEGER NOT NULL,
        keep_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX report_keys_by_keeping ON report_keys (keep_until);

    -- Declarations by a number that none has twice. What was kept for staff before may be evidence too.
    CREATE TABLE declarations (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        inbox INTEGER NOT NULL,
        keep_until INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX declarations_by_keeping ON declarations (keep_until);
    INSERT INTO declarations (inbox, keep_until)
        SELECT id, keep_until FROM inbox WHERE work = 2 ORDER BY id;

    -- A contact who was asked: a keyed hash of the request, and of the first one to the same contact.
    CREATE TABLE requests (
        tag BLOB PRIMARY KEY,
        contact BLOB NOT NULL,
        expires_at INTEGER NOT NULL,
        keep_until INTEGER NOT NULL,
        -- What the evidence was worth that came, as staff is told: JSON.
        verdict TEXT
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX requests_by_keeping ON requests (keep_until);

    -- Own days that were opened, by keyed hashes of their fingerprints, and by whom.
    CREATE TABLE own_days (
        tag BLOB PRIMARY KEY,
        contact BLOB NOT NULL,
        keep_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX own_days_by_keeping ON own_days (keep_until);
",
    "
    -- Days of published keys, by keyed hashes of their fingerprints: whoever has read such a key can open its day as his.
    CREATE TABLE published_days (
        tag BLOB PRIMARY KEY,
        keep_until INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX published_days_by_keeping ON published_days (keep_until);
",
    "
    -- The hour until which publishing has closed all hours, or is about to: Unix seconds. One row.
    CREATE TABLE publishing (closed_until INTEGER NOT NULL) STRICT;
    INSERT INTO publishing VALUES (0);
    -- Of a report: when it came, or that hour as it was then if the clock has been set back since.
    ALTER TABLE inbox ADD COLUMN publish_after INTEGER NOT NULL DEFAULT 0;
    UPDATE inbox SET publish_after = received_at;

    -- Bytes of envelopes and answers that are kept for staff. One row.
    CREATE TABLE for_staff (bytes INTEGER NOT NULL) STRICT;
    INSERT INTO for_staff
        SELECT coalesce(sum(length(envelope) + length(answer)), 0) FROM inbox WHERE work = 2;
    CREATE TRIGGER for_staff_comes AFTER INSERT ON inbox WHEN new.work = 2 BEGIN
        UPDATE for_staff SET bytes = bytes + length(new.envelope) + length(new.answer);
    END;
    CREATE TRIGGER for_staff_goes AFTER DELETE ON inbox WHEN old.work = 2 BEGIN
        UPDATE for_staff SET bytes = bytes - length(old.envelope) - length(old.answer);
    END;
",
];

/// The version of a file that this release has brought up to date.
pub const SCHEMA_VERSION: usize = MIGRATIONS.len();

/// Brings `connection`'s file up to date, whole or not at all.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), DatabaseError> {
    // A row that is replaced is deleted for triggers too.
    connection.pragma_update(None, "recursive_triggers", "ON")?;
    let transaction = connection.transaction()?;
    let version: usize = transaction.query_row("PRAGMA user_version", (), |row| row.get(0))?;
    let Some(missing) = MIGRATIONS.get(version..) else {
        return Err(DatabaseError::Version {
            expected: SCHEMA_VERSION,
            got: version,
        });
    };
    for migration in missing {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{filed, inbox};
    use super::*;

    /// A file of the first release, with a code, a report that waits and a declaration.
    fn of_before() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO codes (handle, head, digest, report_type, expires_at)
                     VALUES (zeroblob(16), zeroblob(32), zeroblob(32), 1, 200);
                 INSERT INTO inbox (envelope_hash, work, received_at, answer, keep_until, envelope)
                     VALUES (x'01', 1, 100, x'', 200, x'0101'), (x'02', 2, 100, x'', 200, x'0202');",
            )
            .unwrap();
        connection
    }

    #[test]
    fn a_database_of_before_goes_on() {
        let mut db = of_before();
        migrate(&mut db).unwrap();
        let code = super::super::codes::state(&db, [0; 16], 100).unwrap();
        assert!(code.is_some());
        let reports = inbox::waiting_reports(&db, 0, 9).unwrap();
        assert_eq!(reports[0].envelope, [1, 1]);
        assert_eq!(reports[0].publish_after, 100);
        assert_eq!(inbox::for_staff_bytes(&db).unwrap(), 2);
        let declarations = filed::declarations_after(&db, 0, 9).unwrap();
        assert_eq!(
            (declarations[0].number, &declarations[0].envelope[..]),
            (1, &[2, 2][..])
        );
        inbox::done(&db, &[reports[0].id]).unwrap();
        inbox::sweep(&db, 200).unwrap();
        let left: u32 = db
            .query_row("SELECT count(*) FROM inbox", (), |row| row.get(0))
            .unwrap();
        assert_eq!(left, 0);
        assert_eq!(inbox::for_staff_bytes(&db).unwrap(), 0);
        migrate(&mut db).unwrap();
    }
}
