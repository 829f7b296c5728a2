//! The encounter log. The one file of this package that names its interface.

use std::path::Path;

use truyvet::log::{EncounterLog, LogOptions, LogReader, MemoryKey};
use truyvet::{Secret, Sighting};

use super::{Engine, KEY, Writer};
use crate::Result;

/// The encounter log as it is: it has nothing to set.
pub const ENGINE: Engine = Engine {
    name: "truyvet",
    open: |dir| Ok(Box::new(EncounterLog::open(dir, key())?)),
    read,
};

/// Bytes that a log may take at most, unless told otherwise.
pub fn budget_bytes() -> u64 {
    LogOptions::default().budget_bytes()
}

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new(KEY))
}

fn read(dir: &Path, each: &mut dyn FnMut(Sighting)) -> Result<()> {
    let reader = LogReader::open(dir, &key())?;
    for sighting in reader.sightings()? {
        each(sighting?);
    }
    Ok(())
}

impl Writer for EncounterLog {
    fn append(&mut self, sightings: &[Sighting]) -> Result<()> {
        Ok(Self::append(self, sightings)?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(Self::close(*self)?)
    }
}
