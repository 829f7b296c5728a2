//! The database: one file, one connection, one thread, and one sync for all that waits.

mod buckets;
pub mod codes;
pub mod filed;
pub mod inbox;
mod migrations;
pub mod requests;
pub mod used;
mod writer;

pub use migrations::SCHEMA_VERSION;
pub use writer::Database;

use rusqlite::Connection;

/// What the database did not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// SQLite says so.
    #[error("the database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// It was written by a later release.
    #[error("expected a database of version {expected} or earlier, got {got}")]
    Version {
        /// The version that this release writes.
        expected: usize,
        /// The version of the file.
        got: usize,
    },
    /// Another process has it.
    #[error("the database is open in another process")]
    InUse,
    /// Its lock file cannot be made.
    #[error("the database's lock file: {0}")]
    Lock(#[from] std::io::Error),
    /// The service is stopping.
    #[error("the database is closed")]
    Closed,
    /// The transaction that this was part of was not committed.
    #[error("the transaction was not committed")]
    NotCommitted,
    /// A mistake of ours in this work, which was undone.
    #[error("the work panicked")]
    Panicked,
}

/// Executes each of `statements` as of `now`, in Unix seconds, their only parameter.
fn execute_each(
    connection: &Connection,
    statements: &[&str],
    now: u64,
) -> Result<(), DatabaseError> {
    for statement in statements {
        connection.prepare_cached(statement)?.execute([now])?;
    }
    Ok(())
}
