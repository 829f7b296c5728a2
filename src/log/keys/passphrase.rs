//! Keys in a file that a passphrase seals.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

mod sealed;

use super::private::PrivateFile;
use super::{KeyError, KeyProvider, KeyPurpose, Keys};
use crate::secret::Secret;
use sealed::{Master, Sealed};

/// Keys in a file that a passphrase seals, and that its owner alone may read.
///
/// The passphrase is asked for once: [`open`](Self::open) derives a key from it with Argon2id and keeps
/// that in memory until the provider is dropped or erased, not the passphrase. A change of the keys
/// therefore needs neither the passphrase nor Argon2id's time; each is sealed under a key of its own.
///
/// What is replaced is forgotten as by [`KeyFile`](super::KeyFile), which is only as good as the
/// file system's forgetting: **whoever has all bytes that were ever written to the disk, and the
/// passphrase, opens the older keys** and what the log erased by forgetting them. A new passphrase
/// does not help against one who knows the one before and has kept the old file.
///
/// A passphrase is bytes. Text that people type is to be brought into one form first (RFC 8265), lest the
/// same letters from another keyboard be another passphrase.
///
/// ```no_run
/// use truyvet::EncounterLog;
/// use truyvet::log::PassphraseFile;
///
/// # let typed_in = "correct horse battery staple";
/// let keys = PassphraseFile::open_or_create("my-log.key", typed_in)?;
/// let log = EncounterLog::open("my-log", keys)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// `docs/log-format.md` has every byte of the file.
#[derive(Debug)]
pub struct PassphraseFile {
    place: PrivateFile,
    /// `None` after an erasure.
    master: Mutex<Option<Master>>,
}

impl PassphraseFile {
    /// The keys in the file at `path`, which is made, without a key, if it is not there: under
    /// `passphrase` and the default [`Argon2Parameters`].
    ///
    /// # Errors
    ///
    /// - [`KeyError::WrongPassphrase`] if it was made under another.
    /// - [`KeyError::Malformed`] if it is damaged or cut, or no such file.
    /// - [`KeyError::Argon2Parameters`] if it asks for more than is computed.
    /// - [`KeyError::EmptyPassphrase`], [`KeyError::Io`], [`KeyError::ReadableByOthers`],
    ///   [`KeyError::UnsupportedVersion`], [`KeyError::Entropy`].
    /// - [`KeyError::Unavailable`] if the memory that Argon2id takes cannot be had.
    pub fn open_or_create(
        path: impl Into<PathBuf>,
        passphrase: impl AsRef<[u8]>,
    ) -> Result<Self, KeyError> {
        Self::with_parameters(path, passphrase, Argon2Parameters::default())
    }

    /// As [`open_or_create`](Self::open_or_create), with `parameters` for a file that is made. One that
    /// is there keeps its own; [`change_passphrase`](Self::change_passphrase) raises them.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create).
    pub fn with_parameters(
        path: impl Into<PathBuf>,
        passphrase: impl AsRef<[u8]>,
        parameters: Argon2Parameters,
    ) -> Result<Self, KeyError> {
        let passphrase = nonempty(passphrase.as_ref())?;
        let place = PrivateFile::open_or_create(path.into())?;
        let mut made = None;
        if place.read()?.is_empty() {
            let master = Master::new(passphrase, parameters)?;
            let bytes = master.seal(&Keys::default())?;
            // Another process may have been quicker.
            place.update(|old| Ok(old.is_empty().then_some(bytes)))?;
            made = Some(master);
        }
        Self::opened(place, passphrase, made)
    }

    /// The keys in the file at `path`, which must be there.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open(path: impl Into<PathBuf>, passphrase: impl AsRef<[u8]>) -> Result<Self, KeyError> {
        let passphrase = nonempty(passphrase.as_ref())?;
        Self::opened(PrivateFile::open(path.into())?, passphrase, None)
    }

    /// `made` is what the file was perhaps made under just now.
    fn opened(
        place: PrivateFile,
        passphrase: &[u8],
        made: Option<Master>,
    ) -> Result<Self, KeyError> {
        let bytes = place.read()?;
        let sealed = Sealed::parse(&bytes, place.path())?;
        let master = match made {
            Some(made) if sealed.is_under(&made) => made,
            _ => Master::derive(passphrase, sealed.parameters, sealed.salt)?,
        };
        sealed.open(&master, place.path())?;
        Ok(Self {
            place,
            master: Mutex::new(Some(master)),
        })
    }

    /// Seals the same keys under another passphrase, or under the same with other `parameters`.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create); the file opens with the old passphrase then or, if
    /// only the last step failed, with the new one.
    pub fn change_passphrase(
        &self,
        passphrase: impl AsRef<[u8]>,
        parameters: Argon2Parameters,
    ) -> Result<(), KeyError> {
        let new = Master::new(nonempty(passphrase.as_ref())?, parameters)?;
        let mut master = self.master();
        let old = required(&master)?;
        self.place
            .update(|bytes| new.seal(&self.keys(bytes, old)?).map(Some))?;
        *master = Some(new);
        Ok(())
    }

    fn keys(&self, bytes: &[u8], master: &Master) -> Result<Keys, KeyError> {
        match bytes {
            [] => Ok(Keys::default()),
            _ => Sealed::parse(bytes, self.place.path())?.open(master, self.place.path()),
        }
    }

    fn master(&self) -> MutexGuard<'_, Option<Master>> {
        // It changes in one assignment: what a thread that died left is whole.
        self.master.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyProvider for PassphraseFile {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        let bytes = self.place.read()?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let master = self.master();
        Ok(self.keys(&bytes, required(&master)?)?.of(purpose))
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        let master = self.master();
        let master = required(&master)?;
        self.place.update(|bytes| {
            let mut keys = self.keys(bytes, master)?;
            keys.set(purpose, key);
            master.seal(&keys).map(Some)
        })
    }

    /// Forgets what the passphrase gave as well: after it, the file is to be made anew by
    /// [`open_or_create`](Self::open_or_create).
    fn erase(&self) -> Result<(), KeyError> {
        *self.master() = None;
        self.place.erase()
    }
}

fn nonempty(passphrase: &[u8]) -> Result<&[u8], KeyError> {
    match passphrase {
        [] => Err(KeyError::EmptyPassphrase),
        _ => Ok(passphrase),
    }
}

fn required(master: &Option<Master>) -> Result<&Master, KeyError> {
    master.as_ref().ok_or_else(|| {
        KeyError::Unavailable("it was erased; open the file again with a passphrase".to_owned())
    })
}

/// What one guess at a passphrase costs.
///
/// The default is what RFC 9106, section 4, recommends second, for where 2 GiB cannot be had: 64 MiB, 3
/// iterations, 4 lanes. Lanes are computed one after the other, on the thread that opens the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Argon2Parameters {
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
}

impl Argon2Parameters {
    /// What is computed at most, so that a hostile file cannot take a device's memory or hours. Chosen:
    /// sixteen times the default's memory and ten times its iterations, 170 times its work.
    const MAX: Self = Self {
        memory_kib: 1 << 20,
        iterations: 32,
        lanes: 16,
    };

    /// `memory_kib` KiB, 8 a lane to 1,048,576; filled 1 to 32 times; in 1 to 16 lanes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Argon2Parameters`] if they are outside these bounds.
    pub fn new(memory_kib: u32, iterations: u32, lanes: u32) -> Result<Self, KeyError> {
        let bounded = (1..=Self::MAX.lanes).contains(&lanes)
            && (1..=Self::MAX.iterations).contains(&iterations)
            && (8 * lanes..=Self::MAX.memory_kib).contains(&memory_kib);
        match bounded {
            true => Ok(Self {
                memory_kib,
                iterations,
                lanes,
            }),
            false => Err(KeyError::Argon2Parameters {
                memory_kib,
                iterations,
                lanes,
            }),
        }
    }
}

impl Default for Argon2Parameters {
    fn default() -> Self {
        Self {
            memory_kib: 1 << 16,
            iterations: 3,
            lanes: 4,
        }
    }
}

#[cfg(test)]
mod tests;
