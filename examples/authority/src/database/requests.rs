//! Contacts who were asked, what became of it, and which days of their own they opened; and days that are nobody's own
//! any more, because they were published.

use rusqlite::{Connection, OptionalExtension};

use super::{DatabaseError, execute_each};
use crate::settings::{OWN_DAY_KEPT_S, REQUEST_KEPT_S, REQUEST_LIFETIME_S, REQUESTS_OPEN_MAX};

/// A keyed hash: of a request, or of a day that was opened. The database alone gives neither away.
pub type Tag = [u8; 32];

/// How asking ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asking {
    /// The request is open.
    Open,
    /// The contact was to be one who was asked before, and no such request is known.
    ContactUnknown,
    /// As many are open as may be.
    TooManyOpen,
}

/// What has become of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Nothing has come yet.
    Waiting {
        /// The first request to the same contact: this one, if there was none before.
        contact: Tag,
        /// Unix seconds.
        expires_at: u64,
    },
    /// Nothing came in time.
    Expired,
    /// Evidence came. What it is worth, as staff is told: JSON.
    Settled(String),
}

/// Keeps a request, to a contact who was asked `before` or to a new one.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn ask(
    connection: &Connection,
    request: &Tag,
    before: Option<&Tag>,
    now: u64,
) -> Result<Asking, DatabaseError> {
    let open: u32 = connection
        .prepare_cached("SELECT count(*) FROM requests WHERE verdict IS NULL AND expires_at > ?1")?
        .query_row([now], |row| row.get(0))?;
    if open >= REQUESTS_OPEN_MAX {
        return Ok(Asking::TooManyOpen);
    }
    let contact = match before {
        None => Some(*request),
        Some(before) => connection
            .prepare_cached("SELECT contact FROM requests WHERE tag = ?1")?
            .query_row([before], |row| row.get(0))
            .optional()?,
    };
    let Some(contact): Option<Tag> = contact else {
        return Ok(Asking::ContactUnknown);
    };
    connection
        .prepare_cached(
            "INSERT INTO requests (tag, contact, expires_at, keep_until) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((
            request,
            contact,
            now.saturating_add(REQUEST_LIFETIME_S),
            now.saturating_add(REQUEST_KEPT_S),
        ))?;
    Ok(Asking::Open)
}

/// What has become of `request` at `now`; none if it was never asked, or is forgotten.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn standing(
    connection: &Connection,
    request: &Tag,
    now: u64,
) -> Result<Option<Standing>, DatabaseError> {
    let standing = connection
        .prepare_cached("SELECT contact, expires_at, verdict FROM requests WHERE tag = ?1")?
        .query_row([request], |row| {
            let expires_at = row.get(1)?;
            Ok(match row.get::<_, Option<String>>(2)? {
                Some(verdict) => Standing::Settled(verdict),
                None if now >= expires_at => Standing::Expired,
                None => Standing::Waiting {
                    contact: row.get(0)?,
                    expires_at,
                },
            })
        });
    Ok(standing.optional()?)
}

/// Notes what the evidence is worth that came for `request`.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn settle(connection: &Connection, request: &Tag, verdict: &str) -> Result<(), DatabaseError> {
    connection
        .prepare_cached("UPDATE requests SET verdict = ?2 WHERE tag = ?1")?
        .execute((request, verdict))?;
    Ok(())
}

/// Whether the own key of `day` was opened by somebody else than `contact`.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn is_anothers(
    connection: &Connection,
    day: &Tag,
    contact: &Tag,
) -> Result<bool, DatabaseError> {
    let opener = connection
        .prepare_cached("SELECT contact FROM own_days WHERE tag = ?1")?
        .query_row([day], |row| row.get::<_, Tag>(0))
        .optional()?;
    Ok(opener.is_some_and(|opener| opener != *contact))
}

/// Notes that `contact` opened the own keys of `days`.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn note_days(
    connection: &Connection,
    days: &[Tag],
    contact: &Tag,
    now: u64,
) -> Result<(), DatabaseError> {
    let keep_until = now.saturating_add(OWN_DAY_KEPT_S);
    let mut statement = connection
        .prepare_cached("REPLACE INTO own_days (tag, contact, keep_until) VALUES (?1, ?2, ?3)")?;
    for day in days {
        statement.execute((day, contact, keep_until))?;
    }
    Ok(())
}

/// Whether the key of `day` was published.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn is_published(connection: &Connection, day: &Tag) -> Result<bool, DatabaseError> {
    let found = connection
        .prepare_cached("SELECT 1 FROM published_days WHERE tag = ?1")?
        .query_row([day], |row| row.get::<_, u8>(0));
    Ok(found.optional()?.is_some())
}

/// Notes that the keys of `days` are published.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn note_published(
    connection: &Connection,
    days: &[Tag],
    now: u64,
) -> Result<(), DatabaseError> {
    let keep_until = now.saturating_add(OWN_DAY_KEPT_S);
    let mut statement = connection
        .prepare_cached("REPLACE INTO published_days (tag, keep_until) VALUES (?1, ?2)")?;
    for day in days {
        statement.execute((day, keep_until))?;
    }
    Ok(())
}

/// Forgets what is over.
pub(super) fn sweep(connection: &Connection, now: u64) -> Result<(), DatabaseError> {
    let over = [
        "DELETE FROM requests WHERE keep_until <= ?1",
        "DELETE FROM own_days WHERE keep_until <= ?1",
        "DELETE FROM published_days WHERE keep_until <= ?1",
    ];
    execute_each(connection, &over, now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::migrations;
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection).unwrap();
        connection
    }

    fn contact_of(db: &Connection, request: u8) -> Tag {
        match standing(db, &[request; 32], NOW).unwrap() {
            Some(Standing::Waiting { contact, .. }) => contact,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn a_request_waits_expires_and_is_forgotten() {
        let db = database();
        assert_eq!(ask(&db, &[1; 32], None, NOW).unwrap(), Asking::Open);
        let at = |now| standing(&db, &[1; 32], now).unwrap();
        let last = NOW + REQUEST_LIFETIME_S - 1;
        assert!(matches!(at(last), Some(Standing::Waiting { .. })));
        assert_eq!(at(last + 1), Some(Standing::Expired));
        sweep(&db, NOW + REQUEST_KEPT_S - 1).unwrap();
        assert_eq!(at(last + 1), Some(Standing::Expired));
        sweep(&db, NOW + REQUEST_KEPT_S).unwrap();
        assert_eq!(at(last + 1), None);
    }

    #[test]
    fn a_verdict_outlasts_the_requests_expiry() {
        let db = database();
        ask(&db, &[1; 32], None, NOW).unwrap();
        settle(&db, &[1; 32], "{}").unwrap();
        let late = standing(&db, &[1; 32], NOW + REQUEST_LIFETIME_S).unwrap();
        assert_eq!(late, Some(Standing::Settled("{}".to_owned())));
    }

    #[test]
    fn whoever_was_asked_before_is_the_same_contact_at_every_turn() {
        let db = database();
        ask(&db, &[1; 32], None, NOW).unwrap();
        ask(&db, &[2; 32], Some(&[1; 32]), NOW).unwrap();
        ask(&db, &[3; 32], Some(&[2; 32]), NOW).unwrap();
        assert_eq!(contact_of(&db, 3), [1; 32]);
        let unknown = ask(&db, &[4; 32], Some(&[9; 32]), NOW).unwrap();
        assert_eq!(unknown, Asking::ContactUnknown);
    }

    #[test]
    fn a_day_is_its_openers_alone_until_it_is_forgotten() {
        let db = database();
        note_days(&db, &[[5; 32]], &[1; 32], NOW).unwrap();
        let of = |contact: u8| is_anothers(&db, &[5; 32], &[contact; 32]).unwrap();
        assert_eq!([of(1), of(2)], [false, true]);
        sweep(&db, NOW + OWN_DAY_KEPT_S - 1).unwrap();
        assert!(of(2));
        sweep(&db, NOW + OWN_DAY_KEPT_S).unwrap();
        assert!(!of(2));
    }

    #[test]
    fn a_published_day_is_known_until_no_evidence_refers_to_it() {
        let db = database();
        note_published(&db, &[[5; 32]], NOW).unwrap();
        let known = |day: u8| is_published(&db, &[day; 32]).unwrap();
        sweep(&db, NOW + OWN_DAY_KEPT_S - 1).unwrap();
        assert_eq!([known(5), known(6)], [true, false]);
        sweep(&db, NOW + OWN_DAY_KEPT_S).unwrap();
        assert!(!known(5));
    }

    #[test]
    fn as_many_requests_are_open_as_may_be() {
        let db = database();
        let tag = |number: u32| {
            let mut tag = [0; 32];
            tag[..4].copy_from_slice(&number.to_le_bytes());
            tag
        };
        for number in 0..REQUESTS_OPEN_MAX {
            let inserted = "INSERT INTO requests (tag, contact, expires_at, keep_until)
                            VALUES (?1, ?1, ?2, ?2)";
            let row = (tag(number), NOW + 1);
            db.prepare_cached(inserted).unwrap().execute(row).unwrap();
        }
        let one_more = |now| ask(&db, &tag(u32::MAX), None, now).unwrap();
        assert_eq!(one_more(NOW), Asking::TooManyOpen);
        assert_eq!(one_more(NOW + 1), Asking::Open);
    }
}
