//! Keys in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{KeyError, KeyProvider, KeyPurpose, Keys};
use crate::crypto::hkdf_sha256;
use crate::entropy::{SystemEntropy, random_secret};
use crate::secret::Secret;

/// Keys in memory: for tests, and for apps that get the bytes from elsewhere.
#[derive(Debug)]
pub struct MemoryKey {
    keys: Mutex<Keys>,
    /// Whether they can be replaced.
    fixed: bool,
}

impl MemoryKey {
    /// A provider whose [`Logging`](KeyPurpose::Logging) key is these bytes, and whose
    /// [`Reading`](KeyPurpose::Reading) key is derived from them:
    /// `HKDF-SHA256(key, "truyvet memory reading key")`.
    ///
    /// Both stay the same for ever, as whoever has the bytes has no others: a log with this provider deletes
    /// what is too old, and cannot have its key forgotten ([`KeyError::CannotReplace`]).
    pub fn new(key: Secret<32>) -> Self {
        // It fails for more than 8,160 bytes alone (RFC 5869, 2.3).
        let reading = hkdf_sha256(key.expose(), &[], &[b"truyvet memory reading key"]).ok();
        Self {
            keys: Mutex::new(Keys {
                logging: Some(key),
                reading,
            }),
            fixed: true,
        }
    }

    /// A provider of two random keys, lost with the process.
    ///
    /// # Errors
    ///
    /// [`KeyError::Entropy`].
    pub fn random() -> Result<Self, KeyError> {
        Ok(Self {
            keys: Mutex::new(Keys {
                logging: Some(random_secret(&mut SystemEntropy)?),
                reading: Some(random_secret(&mut SystemEntropy)?),
            }),
            fixed: false,
        })
    }

    /// A provider of no keys yet, lost with the process: a log puts its own there.
    pub fn empty() -> Self {
        Self {
            keys: Mutex::default(),
            fixed: false,
        }
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // Each change is one assignment: what a thread that died left is whole.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyProvider for MemoryKey {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        Ok(self.keys().of(purpose))
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        match self.fixed {
            true => Err(KeyError::CannotReplace),
            false => {
                self.keys().set(purpose, key);
                Ok(())
            }
        }
    }

    fn erase(&self) -> Result<(), KeyError> {
        *self.keys() = Keys::default();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;

    use super::*;

    fn load(provider: &MemoryKey, purpose: KeyPurpose) -> Option<[u8; 32]> {
        provider.load(purpose).unwrap().map(|key| *key.expose())
    }

    #[test]
    fn two_providers_of_the_same_bytes_agree_for_ever() {
        let [a, b] = [(); 2].map(|()| MemoryKey::new(Secret::new([7; 32])));
        assert_eq!(load(&a, KeyPurpose::Logging), Some([7; 32]));
        let other = Secret::new([8; 32]);
        for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
            let refused = a.replace(purpose, &other);
            assert!(matches!(refused, Err(KeyError::CannotReplace)));
            assert_eq!(load(&a, purpose), load(&b, purpose));
        }
    }

    #[test]
    fn a_key_that_is_replaced_is_forgotten() {
        let provider = MemoryKey::empty();
        for byte in [1, 2] {
            let key = Secret::new([byte; 32]);
            provider.replace(KeyPurpose::Reading, &key).unwrap();
            assert_eq!(load(&provider, KeyPurpose::Reading), Some([byte; 32]));
        }
        assert_eq!(load(&provider, KeyPurpose::Logging), None);
    }

    /// By Python's hmac: `prk = HMAC(32 zeros, key)`, `HMAC(prk, info || 01)`.
    #[test]
    fn the_derived_reading_key_is_pinned() {
        let reading = load(&MemoryKey::new(Secret::new([7; 32])), KeyPurpose::Reading);
        assert_eq!(
            HEXLOWER.encode(&reading.unwrap()),
            "91fa0aa176f66e6f8d01e727dfe98fea771c3e6f81c48539aef72a453676ce10"
        );
    }

    #[test]
    fn random_keys_are_two_and_differ() {
        let provider = MemoryKey::random().unwrap();
        let (logging, reading) = (
            load(&provider, KeyPurpose::Logging).unwrap(),
            load(&provider, KeyPurpose::Reading).unwrap(),
        );
        let derived = MemoryKey::new(Secret::new(logging));
        assert_ne!(logging, reading);
        assert_ne!(load(&derived, KeyPurpose::Reading), Some(reading));
    }

    #[test]
    fn erase_leaves_nothing() {
        let provider = MemoryKey::random().unwrap();
        provider.erase().unwrap();
        provider.erase().unwrap();
        assert_eq!(load(&provider, KeyPurpose::Logging), None);
        assert_eq!(load(&provider, KeyPurpose::Reading), None);
    }

    #[test]
    fn debug_prints_no_secret() {
        let printed = format!("{:?}", MemoryKey::new(Secret::new([0xAB; 32])));
        assert!(printed.contains("Secret(..)"), "{printed}");
        assert!(!printed.contains("171"), "{printed}");
    }
}
