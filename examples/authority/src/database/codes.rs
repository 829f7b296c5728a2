//! Codes: issued, burnt, guessed at.

use rusqlite::{Connection, OptionalExtension, Row};

use super::DatabaseError;
use super::buckets::{self, Rate};
use crate::settings::{CODE_KEPT_S, WRONG_ENDINGS_MAX};

const WRONG_CODES: &str = "wrong codes";

/// What the page of whoever issued a code calls it by: random, and no way to the code.
pub type Handle = [u8; 16];

/// Keyed hashes of a code's first characters and of all of it.
#[derive(Clone, Copy)]
pub struct CodeHashes {
    /// Of the first: no two open codes share it.
    pub head: [u8; 32],
    /// Of all.
    pub digest: [u8; 32],
}

/// What a health worker knows of a test, as the database keeps it. Days since 1970.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Findings {
    /// As [`crate::codes`] numbers it.
    pub report_type: u8,
    /// When the sample was taken.
    pub test_date: Option<u32>,
    /// When symptoms began.
    pub onset: Option<u32>,
}

/// A code to be issued.
#[derive(Clone, Copy)]
pub struct NewCode {
    /// What its page calls it.
    pub handle: Handle,
    /// What it is known by when it comes.
    pub hashes: CodeHashes,
    /// What it stands for.
    pub findings: Findings,
    /// Unix seconds.
    pub expires_at: u64,
}

/// How issuing ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Issued {
    /// The code is open.
    Open,
    /// Another open one begins alike: make another.
    BeginsAlike,
    /// As many are open as may be.
    TooManyOpen,
}

/// What has become of a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CodeState {
    /// Nobody has used it, until these Unix seconds.
    Unused {
        /// When it expires.
        expires_at: u64,
    },
    /// A certificate was given for it.
    Used,
    /// It is too late for it.
    Expired,
    /// It was guessed at too often.
    Blocked,
}

/// What a code that came is worth.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exchange {
    /// It is burnt now, and stood for this: a certificate is to be [noted](certify).
    Accepted(Findings),
    /// It was burnt for the same keys, which got this certificate.
    Again(Vec<u8>),
    /// There is no such code.
    Unknown,
    /// It was used before, for other keys.
    Replayed,
    /// It came too late.
    Expired,
    /// It was guessed at too often.
    Blocked,
    /// Too many wrong codes came of late: this one was not looked at.
    TooManyAttempts,
}

struct Stored {
    digest: [u8; 32],
    findings: Findings,
    expires_at: u64,
    wrong_endings: u32,
    /// The keys it was burnt for, and their certificate.
    commitment: Option<[u8; 32]>,
    certificate: Option<Vec<u8>>,
}

impl Stored {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            digest: row.get(0)?,
            findings: Findings {
                report_type: row.get(1)?,
                test_date: row.get(2)?,
                onset: row.get(3)?,
            },
            expires_at: row.get(4)?,
            wrong_endings: row.get(5)?,
            commitment: row.get(6)?,
            certificate: row.get(7)?,
        })
    }

    fn state(&self, now: u64) -> CodeState {
        if self.commitment.is_some() {
            CodeState::Used
        } else if self.wrong_endings >= WRONG_ENDINGS_MAX {
            CodeState::Blocked
        } else if now >= self.expires_at {
            CodeState::Expired
        } else {
            CodeState::Unused {
                expires_at: self.expires_at,
            }
        }
    }
}

const COLUMNS: &str =
    "digest, report_type, test_date, onset, expires_at, wrong_endings, commitment, certificate";

/// Keeps `code`, unless it cannot be open beside those there are.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn issue(
    connection: &Connection,
    code: &NewCode,
    open_max: u32,
    now: u64,
) -> Result<Issued, DatabaseError> {
    let open: u32 = connection
        .prepare_cached("SELECT count(*) FROM codes WHERE expires_at > ?1 AND commitment IS NULL")?
        .query_row([now], |row| row.get(0))?;
    if open >= open_max {
        return Ok(Issued::TooManyOpen);
    }
    let inserted = connection
        .prepare_cached(
            "INSERT INTO codes (handle, head, digest, report_type, test_date, onset, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (head) DO NOTHING",
        )?
        .execute((
            code.handle,
            code.hashes.head,
            code.hashes.digest,
            code.findings.report_type,
            code.findings.test_date,
            code.findings.onset,
            code.expires_at,
        ))?;
    Ok(if inserted == 1 {
        Issued::Open
    } else {
        Issued::BeginsAlike
    })
}

/// What has become of the code with `handle`; none if it was never issued, or has been forgotten.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn state(
    connection: &Connection,
    handle: Handle,
    now: u64,
) -> Result<Option<CodeState>, DatabaseError> {
    let stored = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM codes WHERE handle = ?1"))?
        .query_row([handle], Stored::from_row)
        .optional()?;
    Ok(stored.map(|stored| stored.state(now)))
}

/// Burns the code that `hashes` are of for the keys of `commitment`, if it is open. A wrong one is counted, against
/// all of the `wrong_tries_per_hour`, and against the code that begins as it does.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn exchange(
    connection: &Connection,
    hashes: &CodeHashes,
    commitment: &[u8; 32],
    wrong_tries_per_hour: u32,
    now: u64,
) -> Result<Exchange, DatabaseError> {
    let rate = Rate::per_hour(wrong_tries_per_hour);
    if buckets::left(connection, WRONG_CODES, rate, now)? == 0 {
        return Ok(Exchange::TooManyAttempts);
    }
    let stored = connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM codes WHERE head = ?1"))?
        .query_row([hashes.head], Stored::from_row)
        .optional()?;
    let outcome = match stored {
        None => Exchange::Unknown,
        // A keyed hash: where it first differs says nothing of the code.
        Some(stored) if stored.digest != hashes.digest => {
            connection
                .prepare_cached(
                    "UPDATE codes SET wrong_endings = wrong_endings + 1 WHERE head = ?1",
                )?
                .execute([hashes.head])?;
            Exchange::Unknown
        }
        Some(stored) => redeem(connection, stored, hashes, commitment, now)?,
    };
    if !matches!(outcome, Exchange::Accepted(_) | Exchange::Again(_)) {
        buckets::take(connection, WRONG_CODES, rate, now)?;
    }
    Ok(outcome)
}

fn redeem(
    connection: &Connection,
    stored: Stored,
    hashes: &CodeHashes,
    commitment: &[u8; 32],
    now: u64,
) -> Result<Exchange, DatabaseError> {
    match (stored.state(now), stored.certificate) {
        (CodeState::Unused { .. }, _) => {
            connection
                .prepare_cached("UPDATE codes SET commitment = ?2 WHERE head = ?1")?
                .execute((hashes.head, commitment))?;
            Ok(Exchange::Accepted(stored.findings))
        }
        // An answer may get lost.
        (CodeState::Used, Some(certificate))
            if stored.commitment == Some(*commitment) && now < stored.expires_at =>
        {
            Ok(Exchange::Again(certificate))
        }
        (CodeState::Used, _) => Ok(Exchange::Replayed),
        (CodeState::Expired, _) => Ok(Exchange::Expired),
        (CodeState::Blocked, _) => Ok(Exchange::Blocked),
    }
}

/// Notes the certificate that the code was burnt for.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn certify(
    connection: &Connection,
    hashes: &CodeHashes,
    certificate: &[u8],
) -> Result<(), DatabaseError> {
    connection
        .prepare_cached("UPDATE codes SET certificate = ?2 WHERE head = ?1")?
        .execute((hashes.head, certificate))?;
    Ok(())
}

/// Forgets what is over.
pub(super) fn sweep(connection: &Connection, now: u64) -> Result<(), DatabaseError> {
    connection
        .prepare_cached("DELETE FROM codes WHERE expires_at <= ?1")?
        .execute([now.saturating_sub(CODE_KEPT_S)])?;
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::migrations;
    use super::*;

    const NOW: u64 = 1_700_000_000;
    const FINDINGS: Findings = Findings {
        report_type: 1,
        test_date: Some(19_000),
        onset: None,
    };

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection).unwrap();
        connection
    }

    const KEYS: [u8; 32] = [7; 32];
    const TRIES: u32 = 600;

    fn hashes(head: u8, digest: u8) -> CodeHashes {
        CodeHashes {
            head: [head; 32],
            digest: [digest; 32],
        }
    }

    fn issue_one(connection: &Connection, head: u8, digest: u8) -> Issued {
        let code = NewCode {
            handle: [digest; 16],
            hashes: hashes(head, digest),
            findings: FINDINGS,
            expires_at: NOW + 100,
        };
        issue(connection, &code, 2, NOW).unwrap()
    }

    fn come(connection: &Connection, hashes: CodeHashes, now: u64) -> Exchange {
        exchange(connection, &hashes, &KEYS, TRIES, now).unwrap()
    }

    #[test]
    fn code_replayed() {
        let db = database();
        issue_one(&db, 1, 1);
        assert_eq!(come(&db, hashes(1, 1), NOW), Exchange::Accepted(FINDINGS));
        certify(&db, &hashes(1, 1), b"certificate").unwrap();
        let others = exchange(&db, &hashes(1, 1), &[8; 32], TRIES, NOW).unwrap();
        assert_eq!(others, Exchange::Replayed);
        assert_eq!(state(&db, [1; 16], NOW).unwrap(), Some(CodeState::Used));
    }

    #[test]
    fn the_same_keys_get_the_same_certificate_until_the_code_expires() {
        let db = database();
        issue_one(&db, 1, 1);
        come(&db, hashes(1, 1), NOW);
        certify(&db, &hashes(1, 1), b"certificate").unwrap();
        let again = Exchange::Again(b"certificate".to_vec());
        assert_eq!(come(&db, hashes(1, 1), NOW + 99), again);
        assert_eq!(come(&db, hashes(1, 1), NOW + 100), Exchange::Replayed);
    }

    #[test]
    fn code_expired() {
        let db = database();
        issue_one(&db, 1, 1);
        assert_eq!(come(&db, hashes(1, 1), NOW + 100), Exchange::Expired);
        assert_eq!(
            come(&db, hashes(1, 1), NOW + 99),
            Exchange::Accepted(FINDINGS)
        );
    }

    #[test]
    fn code_unknown() {
        let db = database();
        issue_one(&db, 1, 1);
        assert_eq!(come(&db, hashes(2, 1), NOW), Exchange::Unknown);
        assert_eq!(come(&db, hashes(1, 2), NOW), Exchange::Unknown);
        assert_eq!(state(&db, [9; 16], NOW).unwrap(), None);
    }

    #[test]
    fn a_code_whose_endings_are_guessed_is_dead() {
        let db = database();
        issue_one(&db, 1, 1);
        for _ in 0..WRONG_ENDINGS_MAX {
            assert_eq!(come(&db, hashes(1, 2), NOW), Exchange::Unknown);
        }
        assert_eq!(come(&db, hashes(1, 1), NOW), Exchange::Blocked);
    }

    #[test]
    fn guessing_is_stopped_and_may_go_on_later() {
        let db = database();
        issue_one(&db, 1, 1);
        for _ in 0..TRIES {
            assert_eq!(come(&db, hashes(2, 2), NOW), Exchange::Unknown);
        }
        assert_eq!(come(&db, hashes(1, 1), NOW), Exchange::TooManyAttempts);
        assert_eq!(come(&db, hashes(2, 2), NOW + 5), Exchange::TooManyAttempts);
        assert_eq!(come(&db, hashes(2, 2), NOW + 6), Exchange::Unknown);
        assert_eq!(come(&db, hashes(1, 1), NOW + 6), Exchange::TooManyAttempts);
        assert_eq!(
            come(&db, hashes(1, 1), NOW + 12),
            Exchange::Accepted(FINDINGS)
        );
    }

    #[test]
    fn as_many_codes_are_open_as_may_be_and_no_two_begin_alike() {
        let db = database();
        assert_eq!(issue_one(&db, 1, 1), Issued::Open);
        assert_eq!(issue_one(&db, 1, 2), Issued::BeginsAlike);
        assert_eq!(issue_one(&db, 2, 2), Issued::Open);
        assert_eq!(issue_one(&db, 3, 3), Issued::TooManyOpen);
        come(&db, hashes(2, 2), NOW);
        assert_eq!(issue_one(&db, 3, 3), Issued::Open);
        sweep(&db, NOW + 100 + CODE_KEPT_S).unwrap();
        assert_eq!(issue_one(&db, 1, 4), Issued::Open);
    }
}
