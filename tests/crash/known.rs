//! What is known of a log from what it has acknowledged, and whether that is what is read.

use std::fmt::Display;

use truyvet::log::LogReader;
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
            keys: vec![Vec::new()],
            purging: None,
            forgotten: None,
        }
    }
}

fn told(what: &str) -> impl Fn(&dyn Display) -> String {
    move |e| format!("{what} cannot be read: {e}")
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
            }
            Mark::Died => {
                self.sightings.abandon();
                self.gaps.abandon();
            }
        }
    }

    /// Compares with what is read.
    pub(crate) fn compare(&self, reader: &LogReader) -> Result<(), String> {
        self.read(reader).map(drop)
    }

    /// After a power cut nothing is under way: what is read now is what there is.
    pub(crate) fn settle(&mut self, reader: &LogReader) -> Result<(), String> {
        let (sightings, gaps, keys) = self.read(reader)?;
        self.sightings = sightings.into_iter().collect();
        self.gaps = gaps.into_iter().collect();
        self.keys = vec![keys];
        Ok(())
    }

    #[allow(clippy::type_complexity)]
    fn read(
        &self,
        reader: &LogReader,
    ) -> Result<(Vec<Sighting>, Vec<ScanGap>, Vec<KeyPrint>), String> {
        let sightings = reader.sightings().map_err(|e| told("sightings")(&e))?;
        let sightings: Result<Vec<_>, _> = sightings.collect();
        let sightings = sightings.map_err(|e| told("sightings")(&e))?;
        self.sightings.compare(&sightings, self.purging)?;
        let mut gaps = Vec::new();
        // Each reading takes its time.
        if !self.gaps.is_empty() {
            gaps = reader.gaps().map_err(|e| told("gaps")(&e))?;
            self.gaps.compare(&gaps, self.purging)?;
        }
        let keys = reader.own_keys().map_err(|e| told("own keys")(&e))?;
        let keys = KeyPrint::all(&keys);
        match self.keys.contains(&keys) {
            true => Ok((sightings, gaps, keys)),
            false => Err(format!(
                "own keys: expected one of {:#?}, got {keys:#?}",
                self.keys
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
