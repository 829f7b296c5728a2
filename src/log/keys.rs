//! Where the log's keys are kept.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

mod file;
mod memory;
#[cfg(feature = "passphrase")]
mod passphrase;
mod private;

pub use file::KeyFile;
pub use memory::MemoryKey;
#[cfg(feature = "passphrase")]
pub use passphrase::{Argon2Parameters, PassphraseFile};

use crate::entropy::EntropyError;
use crate::secret::Secret;

/// Keeps the two keys under which a log is sealed.
///
/// An app implements it on what its system keeps secrets in (Keystore, Keychain, a keyring, a TPM).
/// In the box are [`KeyFile`] and [`MemoryKey`], and with the feature `passphrase`
/// `PassphraseFile`; `examples/keyring` is one on the system's keyring.
///
/// The log makes the keys itself and puts them here: at its first opening, and again each day when its
/// oldest day is erased. A provider that forgets what was replaced is what makes that erasure real:
/// all that was ever on the disk and all present keys then open nothing older. One provider
/// is for one log alone, which calls [`replace`](Self::replace) while it holds its own lock; a second
/// log on the same keys would lose them at the first one's next renewal.
///
/// Its methods never wait for a person, for a fingerprint or a passphrase: they are called from where the log is
/// written, and a tracer hears, stores and rotates nothing until they return. Where somebody has to be asked, answer
/// [`KeyError::Unavailable`] at once; the log goes on, and asks again each hour and when a day begins.
pub trait KeyProvider: Send + Sync {
    /// The key kept for `purpose`; `None` if none has been put there yet.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it cannot be had, for instance because the device is locked, or its owner would have to
    /// be asked: [`KeyError::Unavailable`] then, and at once. `None` is never the answer then: it has the log
    /// make a key anew.
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError>;

    /// Keeps `key` for `purpose` in place of the one before, durably and atomically (a power cut leaves
    /// the old or the new, whole), and forgets the old one as well as the place allows.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when it cannot be kept; [`KeyError::Unavailable`], at once, where its owner would have to be
    /// asked. The old key is then there still or, if only the last step
    /// failed, the new one; [`load`](Self::load) tells.
    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError>;

    /// Forgets both, for a panic wipe. Fine if there is none.
    ///
    /// # Errors
    ///
    /// [`KeyError`] when a key may still be there.
    fn erase(&self) -> Result<(), KeyError>;
}

/// What a key is for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// Opens the small sealed files that the logging process needs: the device's own daily keys. It must
    /// be available while the device is locked.
    Logging,
    /// The X25519 private key (RFC 7748) that alone opens what was heard. Needed only to read and to
    /// renew; it may ask for an unlocked device, or for what its owner has unlocked before it is needed.
    Reading,
}

macro_rules! provider_behind {
    ($pointer:ident) => {
        impl<T: KeyProvider + ?Sized> KeyProvider for $pointer<T> {
            fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
                (**self).load(purpose)
            }

            fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
                (**self).replace(purpose, key)
            }

            fn erase(&self) -> Result<(), KeyError> {
                (**self).erase()
            }
        }
    };
}

provider_behind!(Arc);
provider_behind!(Box);

/// The log's keys cannot be had, or cannot be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file cannot be read, made or written.
    #[error("the key file {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key file is not one, or it is damaged or cut.
    #[error("{} is no whole key file: {what}; put back a copy of it if there is one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        what: &'static str,
    },
    /// The key file was written by a newer version of this crate.
    #[error(
        "the key file {} has a format version newer than {newest}: update this program",
        path.display()
    )]
    UnsupportedVersion {
        /// The file.
        path: PathBuf,
        /// The newest known.
        newest: u16,
    },
    /// Others than its owner may read the key file.
    #[error(
        "others may read the key file {} (mode {mode:03o}): run chmod 600 on it",
        path.display()
    )]
    ReadableByOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The passphrase is not the one under which the file was sealed.
    #[error("the passphrase does not open {}: type it again", path.display())]
    WrongPassphrase {
        /// The file.
        path: PathBuf,
    },
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty: give one")]
    EmptyPassphrase,
    /// Argon2id is asked for more than this crate computes, or for less than it is defined for.
    #[error(
        "Argon2id with {memory_kib} KiB, {iterations} iterations and {lanes} lanes is not \
         computed: at most 1048576 KiB, 32 iterations and 16 lanes are, and at least 8 KiB a lane"
    )]
    Argon2Parameters {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes over it.
        iterations: u32,
        /// Lanes in it.
        lanes: u32,
    },
    /// No random bytes for a new key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The provider cannot put a new key in the old one's place, so that nothing could be erased.
    #[error(
        "the keys cannot be replaced here: nothing could be erased; use a provider that can, for \
         instance KeyFile"
    )]
    CannotReplace,
    /// The provider's own reason.
    #[error("the key is not available: {0}")]
    Unavailable(String),
}

impl KeyError {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }

    fn malformed(path: &Path, what: &'static str) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            what,
        }
    }
}

/// What a provider keeps.
#[derive(Debug, Default)]
struct Keys {
    logging: Option<Secret<32>>,
    reading: Option<Secret<32>>,
}

impl Keys {
    fn of(&self, purpose: KeyPurpose) -> Option<Secret<32>> {
        let kept = match purpose {
            KeyPurpose::Logging => &self.logging,
            KeyPurpose::Reading => &self.reading,
        };
        kept.as_ref().map(Secret::duplicate)
    }

    fn set(&mut self, purpose: KeyPurpose, key: &Secret<32>) {
        let kept = match purpose {
            KeyPurpose::Logging => &mut self.logging,
            KeyPurpose::Reading => &mut self.reading,
        };
        *kept = Some(key.duplicate());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_behind_a_pointer_is_the_provider() {
        let provider: Arc<Box<dyn KeyProvider>> = Arc::new(Box::new(MemoryKey::empty()));
        let same = Arc::clone(&provider);
        same.replace(KeyPurpose::Reading, &Secret::new([1; 32]))
            .unwrap();
        let load = |purpose| provider.load(purpose).unwrap();
        assert_eq!(load(KeyPurpose::Reading).unwrap().expose(), &[1; 32]);
        assert!(load(KeyPurpose::Logging).is_none());
        provider.erase().unwrap();
        assert!(load(KeyPurpose::Reading).is_none());
    }

    #[test]
    fn messages_say_what_to_do() {
        let path = PathBuf::from("the/key");
        let message = |error: KeyError| error.to_string();
        assert!(message(KeyError::malformed(&path, "it is cut")).contains("the/key"));
        assert!(message(KeyError::CannotReplace).contains("KeyFile"));
        let mode = 0o644;
        let error = KeyError::ReadableByOthers { path, mode };
        assert!(message(error).contains("(mode 644): run chmod 600"));
    }
}
