//! The engines, each behind the same three functions, in a file of its own that says how it is set up
//! and why.

use std::path::Path;

use ::truyvet::Sighting;

use crate::Result;

#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "redb")]
mod redb;
#[cfg(any(feature = "redb", feature = "fjall"))]
mod seal;
#[cfg(feature = "sqlcipher")]
mod sqlcipher;
pub mod truyvet;

/// What sightings are kept in.
#[derive(Clone, Copy)]
pub struct Engine {
    /// As it stands in the ids of benches and in tables.
    pub name: &'static str,
    /// Opens what is in a directory to write to it, or makes it there.
    pub open: fn(&Path) -> Result<Box<dyn Writer>>,
    /// Opens what is in a directory and gives each sighting in it, in the order in which they came.
    pub read: fn(&Path, &mut dyn FnMut(Sighting)) -> Result<()>,
}

/// What is written to.
pub trait Writer {
    /// Appends `sightings`, and returns once they are on the disk.
    ///
    /// # Errors
    ///
    /// The engine's own.
    fn append(&mut self, sightings: &[Sighting]) -> Result<()>;

    /// Ends it in an orderly way, as an app does that is closed.
    ///
    /// # Errors
    ///
    /// The engine's own.
    fn close(self: Box<Self>) -> Result<()>;
}

/// Every engine that is compiled in, the encounter log first.
pub const ENGINES: &[Engine] = &[
    truyvet::ENGINE,
    #[cfg(feature = "sqlcipher")]
    sqlcipher::ENGINE,
    #[cfg(feature = "redb")]
    redb::ENGINE,
    #[cfg(feature = "fjall")]
    fjall::ENGINE,
];

impl Engine {
    /// The engine of that name.
    ///
    /// # Errors
    ///
    /// If there is none, or it is not compiled in; says which there are.
    pub fn named(name: &str) -> Result<Self> {
        let found = ENGINES.iter().find(|engine| engine.name == name);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = ENGINES.iter().map(|engine| engine.name).collect();
            format!("expected one of {}, got {name}", names.join(", ")).into()
        })
    }

    /// Keeps `sightings` in `dir`, `batch` at a time, from opening to closing.
    ///
    /// # Errors
    ///
    /// The engine's own.
    pub fn store(&self, dir: &Path, sightings: &[Sighting], batch: usize) -> Result<()> {
        let mut writer = (self.open)(dir)?;
        for batch in sightings.chunks(batch) {
            writer.append(batch)?;
        }
        writer.close()
    }
}

/// The key that everything here is encrypted with. A measurement has nothing to hide.
const KEY: [u8; 32] = [7; 32];
