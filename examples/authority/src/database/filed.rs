//! Where sealed messages of the inbox are found again: reports by their keys, declarations by their number.

use rusqlite::{Connection, OptionalExtension, Row};

use super::{DatabaseError, execute_each};

/// Under what a message is found again.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Filing {
    /// It is not looked for.
    #[default]
    Nowhere,
    /// A report, by the references of its keys.
    Report(Vec<[u8; 16]>),
    /// A declaration, by the next number.
    Declaration,
}

/// A declaration, still sealed.
pub struct SealedDeclaration {
    /// Its number: later ones have higher, and none is given twice.
    pub number: i64,
    /// Unix seconds.
    pub received_at: u64,
    /// The envelope.
    pub envelope: Vec<u8>,
}

impl SealedDeclaration {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            received_at: row.get(1)?,
            envelope: row.get(2)?,
        })
    }
}

/// Files the message of the inbox's row `inbox`. Keys that were reported before belong to the later report from now on.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn file(
    connection: &Connection,
    inbox: i64,
    filing: &Filing,
    keep_until: u64,
) -> Result<(), DatabaseError> {
    match filing {
        Filing::Nowhere => {}
        Filing::Report(keys) => {
            let mut statement = connection.prepare_cached(
                "REPLACE INTO report_keys (reference, inbox, keep_until) VALUES (?1, ?2, ?3)",
            )?;
            for key in keys {
                statement.execute((key, inbox, keep_until))?;
            }
        }
        Filing::Declaration => {
            connection
                .prepare_cached("INSERT INTO declarations (inbox, keep_until) VALUES (?1, ?2)")?
                .execute((inbox, keep_until))?;
        }
    }
    Ok(())
}

/// The envelope of the latest report that has the key with this reference.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn report_with(
    connection: &Connection,
    reference: &[u8; 16],
) -> Result<Option<Vec<u8>>, DatabaseError> {
    let envelope = connection
        .prepare_cached(
            "SELECT envelope FROM report_keys JOIN inbox ON inbox.id = report_keys.inbox
             WHERE reference = ?1",
        )?
        .query_row([reference], |row| row.get(0));
    Ok(envelope.optional()?)
}

/// Up to `count` declarations after the one of that number.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn declarations_after(
    connection: &Connection,
    number: i64,
    count: usize,
) -> Result<Vec<SealedDeclaration>, DatabaseError> {
    let mut statement = connection.prepare_cached(
        "SELECT number, received_at, envelope FROM declarations
         JOIN inbox ON inbox.id = declarations.inbox
         WHERE number > ?1 ORDER BY number LIMIT ?2",
    )?;
    let rows = statement.query_map((number, count), SealedDeclaration::from_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The declaration of this number.
///
/// # Errors
///
/// [`DatabaseError`].
pub fn declaration(
    connection: &Connection,
    number: i64,
) -> Result<Option<SealedDeclaration>, DatabaseError> {
    let row = connection
        .prepare_cached(
            "SELECT number, received_at, envelope FROM declarations
             JOIN inbox ON inbox.id = declarations.inbox WHERE number = ?1",
        )?
        .query_row([number], SealedDeclaration::from_row);
    Ok(row.optional()?)
}

/// Forgets where what is deleted stood.
pub(super) fn sweep(connection: &Connection, now: u64) -> Result<(), DatabaseError> {
    let over = [
        "DELETE FROM report_keys WHERE keep_until <= ?1",
        "DELETE FROM declarations WHERE keep_until <= ?1",
    ];
    execute_each(connection, &over, now)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::inbox::{self, Arrival, Work};
    use super::super::migrations;
    use super::*;

    const NOW: u64 = 1_700_000_000;
    const LATER: u64 = NOW + 100;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrations::migrate(&mut connection).unwrap();
        connection
    }

    fn arrive(db: &Connection, hash: u8, work: Work, filing: &Filing) -> i64 {
        let arrival = Arrival {
            envelope_hash: [hash; 32],
            envelope: &[hash],
            answer: &[],
            work,
            replaces: None,
            received_at: NOW,
            keep_until: LATER,
        };
        let id = inbox::keep(db, &arrival).unwrap();
        file(db, id, filing, LATER).unwrap();
        id
    }

    fn report(db: &Connection, hash: u8, keys: &[[u8; 16]]) -> i64 {
        arrive(db, hash, Work::Publish, &Filing::Report(keys.to_vec()))
    }

    #[test]
    fn a_report_is_found_by_each_key_and_outlasts_its_publication() {
        let db = database();
        let id = report(&db, 1, &[[5; 16], [6; 16]]);
        inbox::done(&db, &[id]).unwrap();
        inbox::sweep(&db, LATER - 1).unwrap();
        for key in [[5; 16], [6; 16]] {
            assert_eq!(report_with(&db, &key).unwrap(), Some(vec![1]));
        }
        assert_eq!(report_with(&db, &[7; 16]).unwrap(), None);
        inbox::sweep(&db, LATER).unwrap();
        assert_eq!(report_with(&db, &[5; 16]).unwrap(), None);
    }

    #[test]
    fn the_later_report_of_the_same_keys_counts() {
        let db = database();
        report(&db, 1, &[[5; 16]]);
        report(&db, 2, &[[5; 16]]);
        assert_eq!(report_with(&db, &[5; 16]).unwrap(), Some(vec![2]));
    }

    #[test]
    fn no_number_is_given_twice() {
        let db = database();
        let numbers = |after: i64| -> Vec<i64> {
            let all = declarations_after(&db, after, 2).unwrap();
            all.iter().map(|it| it.number).collect()
        };
        for hash in 1..=3 {
            arrive(&db, hash, Work::ForStaff, &Filing::Declaration);
        }
        assert_eq!((numbers(0), numbers(2)), (vec![1, 2], vec![3]));
        inbox::sweep(&db, LATER).unwrap();
        assert!(numbers(0).is_empty());
        arrive(&db, 4, Work::ForStaff, &Filing::Declaration);
        assert_eq!(numbers(3), vec![4]);
        assert_eq!(declaration(&db, 4).unwrap().unwrap().envelope, [4]);
        assert!(declaration(&db, 3).unwrap().is_none());
    }
}
