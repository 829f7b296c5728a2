//! fjall 3, a log-structured merge tree, its values sealed.
//!
//! - One write batch a batch, persisted with `SyncData`: its journal is as long as it will be from the
//!   start, so that `fdatasync` is enough on Linux, as its documentation allows.
//! - Keys in big-endian order, as its README has it for numbers; running numbers and not times, because
//!   keys are in plain.
//! - A memtable of 8 MiB, of the "8 - 64 MiB, depending on how much memory is available" that it
//!   recommends, and a cache of 8 MiB. Chosen: what a phone app could give away.
//! - Blocks of 16 KiB, which it recommends for space, and no filters: nothing looks for a single key.

use std::path::Path;

use ::fjall::config::{BlockSizePolicy, FilterPolicy};
use ::fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use truyvet::Sighting;

use super::seal::{SEALED_LEN, Sealer};
use super::{Engine, Writer};
use crate::Result;

pub(super) const ENGINE: Engine = Engine {
    name: "fjall",
    open: |dir| Ok(Box::new(Fjall::open(dir)?)),
    read,
};

const CACHE_BYTES: u64 = 8 << 20;
const MEMTABLE_BYTES: u64 = 8 << 20;
const BLOCK_BYTES: u32 = 16 << 10;

struct Fjall {
    database: Database,
    sightings: Keyspace,
    sealer: Sealer,
    /// Of the next sighting.
    number: u64,
}

impl Fjall {
    fn open(dir: &Path) -> Result<Self> {
        let (database, sightings) = database(dir)?;
        let number = match sightings.last_key_value() {
            Some(entry) => number(&entry.key()?)? + 1,
            None => 0,
        };
        Ok(Self {
            database,
            sightings,
            sealer: Sealer::new()?,
            number,
        })
    }
}

fn database(dir: &Path) -> Result<(Database, Keyspace)> {
    let database = Database::builder(dir).cache_size(CACHE_BYTES).open()?;
    let sightings = database.keyspace("sightings", || {
        KeyspaceCreateOptions::default()
            .max_memtable_size(MEMTABLE_BYTES)
            .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
            .filter_policy(FilterPolicy::disabled())
    })?;
    Ok((database, sightings))
}

fn number(key: &[u8]) -> Result<u64> {
    Ok(u64::from_be_bytes(key.try_into()?))
}

fn read(dir: &Path, each: &mut dyn FnMut(Sighting)) -> Result<()> {
    let sealer = Sealer::new()?;
    let (_database, sightings) = database(dir)?;
    for entry in sightings.iter() {
        let (key, value) = entry.into_inner()?;
        let sealed: &[u8; SEALED_LEN] = value.as_ref().try_into()?;
        each(sealer.open(number(&key)?, sealed)?);
    }
    Ok(())
}

impl Writer for Fjall {
    fn append(&mut self, sightings: &[Sighting]) -> Result<()> {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for sighting in sightings {
            let sealed = self.sealer.seal(self.number, sighting)?;
            batch.insert(&self.sightings, self.number.to_be_bytes(), sealed);
            self.number += 1;
        }
        Ok(batch.commit()?)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }
}
