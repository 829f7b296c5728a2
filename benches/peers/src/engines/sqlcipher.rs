//! SQLCipher 4 through rusqlite: SQLite whose pages are encrypted (AES-256-CBC) and authenticated (HMAC).
//!
//! - The key is given raw, as its performance guide has it for an app that holds a random key: a
//!   passphrase would cost 256,000 rounds of PBKDF2 at every opening.
//! - A write-ahead log, `synchronous = FULL`: the fastest setting in which a transaction that was
//!   committed outlives a power cut (with NORMAL it may not, says SQLite of a write-ahead log).
//! - One transaction a batch, one prepared statement: both guides ask for them first.
//! - A table of records under SQLite's own row numbers, which grow with time, so that there is no second
//!   index to write; a page has encrypted all of it. Page size and cache are left at SQLCipher's 4 KiB
//!   and SQLite's 2 MB.

use std::path::Path;

use rusqlite::Connection;
use truyvet::Sighting;

use super::{Engine, KEY, Writer};
use crate::Result;
use crate::record;

pub(super) const ENGINE: Engine = Engine {
    name: "sqlcipher",
    open: |dir| {
        let connection = connect(dir)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS sighting (number INTEGER PRIMARY KEY, record BLOB NOT NULL)",
        )?;
        Ok(Box::new(connection))
    },
    read,
};

fn connect(dir: &Path) -> Result<Connection> {
    let connection = Connection::open(dir.join("sightings.db"))?;
    let key: String = KEY.iter().map(|byte| format!("{byte:02x}")).collect();
    connection.execute_batch(&format!("PRAGMA key = \"x'{key}'\""))?;
    // A library without encryption would have ignored the key without a word.
    let version: String = connection.query_row("PRAGMA cipher_version", [], |row| row.get(0))?;
    if version.is_empty() {
        return Err("expected SQLCipher, got a plain SQLite".into());
    }
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    Ok(connection)
}

fn read(dir: &Path, each: &mut dyn FnMut(Sighting)) -> Result<()> {
    let connection = connect(dir)?;
    let mut select = connection.prepare("SELECT record FROM sighting ORDER BY number")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        each(record::decode(row.get_ref(0)?.as_blob()?)?);
    }
    Ok(())
}

impl Writer for Connection {
    fn append(&mut self, sightings: &[Sighting]) -> Result<()> {
        let transaction = self.transaction()?;
        let mut insert = transaction.prepare_cached("INSERT INTO sighting (record) VALUES (?1)")?;
        for sighting in sightings {
            insert.execute([record::encode(sighting)?])?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        // The last connection moves the write-ahead log into the database and removes it.
        Self::close(*self).map_err(|(_, error)| error.into())
    }
}
