//! Keys beside the disk, replaced in the same sequence of operations.

use truyvet::Secret;
use truyvet::log::{KeyError, KeyProvider, KeyPurpose};

use crate::disk::CrashDisk;

/// Atomic and durable.
#[derive(Clone)]
pub(crate) struct CrashKeys(pub(crate) CrashDisk);

fn slot(purpose: KeyPurpose) -> usize {
    usize::from(purpose == KeyPurpose::Reading)
}

fn unavailable(error: std::io::Error) -> KeyError {
    KeyError::Unavailable(error.to_string())
}

impl KeyProvider for CrashKeys {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        let key = self.0.key(slot(purpose)).map_err(unavailable)?;
        Ok(key.map(Secret::new))
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        let replaced = self.0.replace_key(slot(purpose), *key.expose());
        replaced.map_err(unavailable)
    }

    fn erase(&self) -> Result<(), KeyError> {
        self.0.erase_keys().map_err(unavailable)
    }
}
