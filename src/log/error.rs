//! What can go wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

use super::{KeyError, LogEntry, SEGMENTS_PER_DAY_MAX};
use crate::entropy::EntropyError;
use crate::sighting::Sighting;
use crate::time::UtcDay;

/// Sightings that could not be stored, and why.
#[derive(Debug, thiserror::Error)]
#[error("{} sightings could not be stored: {source}", sightings.len())]
pub struct NotAppended {
    /// Those of the days that could not be stored.
    pub sightings: Vec<Sighting>,
    /// The first failure.
    pub source: LogError,
}

/// The log cannot be used, or part of it cannot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The log was made with another key.
    #[error(
        "the key does not open the log in {}: it was made with another, or log.meta is damaged",
        directory.display()
    )]
    WrongKey {
        /// Where the log is.
        directory: PathBuf,
    },
    /// The log's keys have been made anew since the reader was opened.
    #[error("the log's keys have been made anew since this reader was opened: open it again")]
    Renewed,
    /// It is open already.
    #[error("the log in {} is open already, here or in another process: close it first", directory.display())]
    InUse {
        /// Where the log is.
        directory: PathBuf,
    },
    /// There is no log.
    #[error("there is no log in {}", directory.display())]
    NoLog {
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The directory holds things that are not a log's.
    #[error(
        "{} holds {found} but no log: give an empty or a new directory",
        directory.display()
    )]
    NotALog {
        /// The directory.
        directory: PathBuf,
        /// One of the things.
        found: String,
    },
    /// A file is not as it was written.
    #[error("{segment} is damaged at byte {offset}: {what}")]
    Corrupted {
        /// The file's name.
        segment: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// A file was written by a newer version of this crate.
    #[error(
        "{file} has format version {found}, of which this release reads 1 to {newest}: update it"
    )]
    UnsupportedVersion {
        /// The file's name.
        file: String,
        /// Its version.
        found: u16,
        /// The newest known.
        newest: u16,
    },
    /// The log was opened too often on one day.
    #[error(
        "{day} has {SEGMENTS_PER_DAY_MAX} segments, no more are made: is something restarting?"
    )]
    TooManySegments {
        /// The day.
        day: UtcDay,
    },
    /// An entry is too long.
    #[error(
        "expected an entry of at most {} bytes, got {len}",
        LogEntry::BYTES_MAX
    )]
    EntryTooLong {
        /// Its length.
        len: usize,
    },
    /// An entry is of a day that is not kept, or that is still to come.
    #[error("expected an entry of a day from {first} to {last}, got one of {day}")]
    EntryDay {
        /// Its day.
        day: UtcDay,
        /// The oldest day that is kept.
        first: UtcDay,
        /// The last day allowed: tomorrow.
        last: UtcDay,
    },
    /// An entry does not fit into what the log may take up.
    #[error("{day} has taken its part of the log's budget, no more entries are stored in it")]
    DayFull {
        /// The day.
        day: UtcDay,
    },
    /// The system refuses.
    #[error("cannot {doing} at {}: {source}{}", path.display(), advice(source))]
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No random bytes.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A log was to be destroyed, and its keys may still be there.
    #[error(
        "the log's files are deleted as far as they could be, but its keys may still be there, and open any copy: \
         {0}; try again, or erase them by hand"
    )]
    NotErased(KeyError),
    /// A log was to be destroyed, and not all of its files could be deleted.
    #[error(
        "the log's keys are erased, and nothing of it opens any more, but files of it are left: {0}"
    )]
    NotDeleted(Box<LogError>),
    /// The thread that wrote to the log has panicked.
    #[error("the writer of the log has died: restart, and report it")]
    WriterDied,
    /// A record could not be encoded or sealed, or is too large; what the crate itself writes never is.
    #[error("a record could not be sealed")]
    Crypto,
}

/// What the owner can do about it, where that is known; to be put behind the system's words.
fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space",
        io::ErrorKind::PermissionDenied => {
            "; let this user read and write there, or give another directory"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            "; it can only be read: mount it to be written to, or give another directory"
        }
        io::ErrorKind::NotFound => "; was it deleted, or is its disk not mounted?",
        _ => "",
    }
}

impl LogError {
    pub(crate) fn io(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn corrupted(segment: &str, offset: u64, what: &'static str) -> Self {
        Self::Corrupted {
            segment: segment.to_owned(),
            offset,
            what,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_what_to_do() {
        use io::ErrorKind as Kind;
        for (kind, advice) in [
            (Kind::StorageFull, "; free some space"),
            (Kind::QuotaExceeded, "; free some space"),
            (Kind::PermissionDenied, "; let this user read and write"),
            (Kind::ReadOnlyFilesystem, "; it can only be read"),
            (Kind::NotFound, "; was it deleted"),
        ] {
            let error = LogError::io("write to", Path::new("the/log"), kind.into()).to_string();
            assert!(error.starts_with("cannot write to at the/log: "), "{error}");
            assert!(error.contains(advice), "{error}");
        }
        let error = LogError::io("sync", Path::new("the/log"), Kind::Other.into());
        assert!(!error.to_string().contains(';'), "{error}");
    }
}
