//! What is known of a log from what it has acknowledged, and whether that is what is read.

use truyvet::log::{LogEntry, LogError, LogReader};
use truyvet::protocol::{EphemeralId, OwnKey};
use truyvet::sighting::ScanGap;
use truyvet::time::{Timestamp, UtcDay};
use truyvet::{ProtocolKind, Sighting};

use crate::days::Days;

/// An own key, as far as it shows itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KeyPrint {
    protocol: ProtocolKind,
    valid_from: Timestamp,
    valid_until: Timestamp,
    pub(crate) released: bool,
    first_id: EphemeralId,
}

impl KeyPrint {
    pub(crate) fn all(keys: &[OwnKey]) -> Vec<Self> {
        keys.iter().map(Self::of).collect()
    }

    fn of(key: &OwnKey) -> Self {
        Self {
            protocol: key.protocol(),
            valid_from: key.valid_from(),
            valid_until: key.valid_until(),
            released: key.is_released(),
            first_id: key.identifier(key.valid_from()).unwrap(),
        }
    }

    pub(crate) fn day(&self) -> UtcDay {
        self.valid_from.utc_day()
    }
}

/// What is done with a log.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    Opened,
    Appending(Vec<Sighting>),
    /// All of it but these.
    Appended(Vec<Sighting>),
    Noting(ScanGap),
    Noted {
        stored: bool,
    },
    Entering(LogEntry),
    Entered {
        stored: bool,
    },
    SavingKeys(Vec<KeyPrint>),
    SavedKeys,
    /// Days before this one.
    Purging(UtcDay),
    /// Deleted; and the keys that open it, if so.
    Purged {
        forgotten: bool,
    },
    /// The process has died: nothing more will be acknowledged of what was under way.
    Died,
}

/// What must be in a log, and what may be.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    made: bool,
    sightings: Days<Sighting>,
    gaps: Days<ScanGap>,
    entries: Days<LogEntry>,
    /// Any of these; the last was given last.
    keys: Vec<Vec<KeyPrint>>,
    /// Days before this one may be gone.
    purging: Option<UtcDay>,
    /// Those before this one cannot be read by anybody.
    forgotten: Option<UtcDay>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            made: false,
            sightings: Days::default(),
            gaps: Days::default(),
            entries: Days::default(),
            keys: vec![Vec::new()],
            purging: None,
            forgotten: None,
        }
    }
}

impl Known {
    pub(crate) fn is_made(&self) -> bool {
        self.made
    }

    /// The day until which the log has come.
    pub(crate) fn last_day(&self) -> Option<UtcDay> {
        self.sightings.last_day()
    }

    /// The oldest day of a purge that was begun or done.
    pub(crate) fn oldest(&self) -> Option<UtcDay> {
        self.purging.max(self.forgotten)
    }

    pub(crate) fn learn(&mut self, mark: &Mark) {
        match mark {
            Mark::Opened => self.made = true,
            Mark::Appending(batch) => self.sightings.begin(batch),
            Mark::Appended(failed) => self.sightings.end(failed),
            Mark::Noting(gap) => self.gaps.begin(&[*gap]),
            Mark::Noted { stored: true } => self.gaps.end(&[]),
            Mark::Noted { stored: false } => self.gaps.abandon(),
            Mark::Entering(entry) => self.entries.begin(std::slice::from_ref(entry)),
            Mark::Entered { stored: true } => self.entries.end(&[]),
            Mark::Entered { stored: false } => self.entries.abandon(),
            Mark::SavingKeys(keys) => self.keys.push(keys.clone()),
            Mark::SavedKeys => drop(self.keys.drain(..self.keys.len() - 1)),
            Mark::Purging(oldest) => self.purging = self.purging.max(Some(*oldest)),
            Mark::Purged { forgotten } => {
                let oldest = self.purging.take().unwrap();
                if *forgotten {
                    self.forgotten = self.forgotten.max(Some(oldest));
                }
                self.sightings.forget_before(oldest);
                self.gaps.forget_before(oldest);
                self.entries.forget_before(oldest);
            }
            Mark::Died => {
                self.sightings.abandon();
                self.gaps.abandon();
                self.entries.abandon();
            }
        }
    }

    /// Compares with what is read.
    pub(crate) fn compare(&self, reader: &LogReader) -> Result<(), String> {
        self.compared(reader).map(drop)
    }

    /// After a power cut nothing is under way: what is read now is what there is.
    pub(crate) fn settle(&mut self, reader: &LogReader) -> Result<(), String> {
        self.know(self.compared(reader)?);
        Ok(())
    }

    /// What a log has that was made by others.
    pub(crate) fn of(reader: &LogReader) -> Result<Self, String> {
        let mut known = Self {
            made: true,
            ..Self::default()
        };
        known.know(Contents::read(reader)?);
        Ok(known)
    }

    fn know(&mut self, contents: Contents) {
        self.sightings = contents.sightings.into_iter().collect();
        self.gaps = contents.gaps.into_iter().collect();
        self.entries = contents.entries.into_iter().collect();
        self.keys = vec![contents.keys];
    }

    fn compared(&self, reader: &LogReader) -> Result<Contents, String> {
        let contents = Contents::read(reader)?;
        self.sightings.compare(&contents.sightings, self.purging)?;
        self.gaps.compare(&contents.gaps, self.purging)?;
        self.entries.compare(&contents.entries, self.purging)?;
        match self.keys.contains(&contents.keys) {
            true => Ok(contents),
            false => Err(format!(
                "own keys: expected one of {:#?}, got {:#?}",
                self.keys, contents.keys
            )),
        }
    }

    /// That nothing is read of days that are not there any more, however much else cannot be read.
    pub(crate) fn forgot(&self, reader: &LogReader) -> Result<(), String> {
        let Ok(read) = reader.sightings() else {
            return Ok(());
        };
        let gone = |it: &Sighting| Some(it.first.utc_day()) < self.forgotten;
        match read.flatten().find(gone) {
            Some(found) => Err(format!("it was purged, and can be read: {found:?}")),
            None => Ok(()),
        }
    }
}

/// All that is read of a log.
struct Contents {
    sightings: Vec<Sighting>,
    gaps: Vec<ScanGap>,
    entries: Vec<LogEntry>,
    keys: Vec<KeyPrint>,
}

impl Contents {
    fn read(reader: &LogReader) -> Result<Self, String> {
        let sightings = reader.sightings().map_err(told("sightings"))?;
        let sightings: Result<Vec<_>, _> = sightings.collect();
        let entries = reader.entries().map_err(told("entries"))?;
        let entries: Result<Vec<_>, _> = entries.collect();
        let keys = reader.own_keys().map_err(told("own keys"))?;
        Ok(Self {
            sightings: sightings.map_err(told("sightings"))?,
            gaps: reader.gaps().map_err(told("gaps"))?,
            entries: entries.map_err(told("entries"))?,
            keys: KeyPrint::all(&keys),
        })
    }
}

fn told(what: &str) -> impl Fn(LogError) -> String {
    move |e| format!("{what} cannot be read: {e}")
}
