//! The log's keys as two entries of a keyring.

use std::path::Path;
use std::sync::Arc;

use keyring_core::{CredentialStore, Entry, Error};
use truyvet::Secret;
use truyvet::log::{KeyError, KeyProvider, KeyPurpose};
use zeroize::Zeroizing;

/// The service under which the entries stand; an app takes its own name.
const SERVICE: &str = "truyvet";

/// The keys of one log in a keyring, an entry each.
#[derive(Debug)]
pub(crate) struct Keyring {
    logging: Entry,
    reading: Entry,
}

impl Keyring {
    /// The keys of the log in `directory`, an absolute path: it is part of the entries' names, so that
    /// two logs never share their keys.
    pub(crate) fn new(store: &Arc<CredentialStore>, directory: &Path) -> Result<Self, KeyError> {
        let directory = directory.to_str().ok_or_else(|| {
            KeyError::Unavailable("the log's path is not Unicode, as an entry's name is".to_owned())
        })?;
        let entry = |purpose: &str| {
            Entry::new_in_store(store, SERVICE, &format!("{purpose} {directory}"))
                .map_err(unavailable)
        };
        Ok(Self {
            logging: entry("logging")?,
            reading: entry("reading")?,
        })
    }

    fn entry(&self, purpose: KeyPurpose) -> Result<&Entry, KeyError> {
        match purpose {
            KeyPurpose::Logging => Ok(&self.logging),
            KeyPurpose::Reading => Ok(&self.reading),
            _ => Err(KeyError::Unavailable(format!(
                "this program knows no key for {purpose:?}"
            ))),
        }
    }
}

impl KeyProvider for Keyring {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        let bytes = match self.entry(purpose)?.get_secret() {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(Error::NoEntry) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        };
        match bytes.as_slice().try_into() {
            Ok(key) => Ok(Some(Secret::new(key))),
            Err(_) => Err(KeyError::Unavailable(format!(
                "the keyring's entry has {} bytes, not 32: another program has written it",
                bytes.len()
            ))),
        }
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        let entry = self.entry(purpose)?;
        // Found first, because the kernel's keyring then overwrites the old key where it is. It would
        // otherwise put a second one beside that of another login.
        match entry.get_secret().map(Zeroizing::new) {
            Ok(_) | Err(Error::NoEntry) => {}
            Err(error) => return Err(unavailable(error)),
        }
        entry.set_secret(key.expose()).map_err(unavailable)
    }

    fn erase(&self) -> Result<(), KeyError> {
        // Both are tried, whatever becomes of the first.
        let [logging, reading] =
            [&self.logging, &self.reading].map(|entry| match entry.delete_credential() {
                Ok(()) | Err(Error::NoEntry) => Ok(()),
                Err(error) => Err(unavailable(error)),
            });
        logging.and(reading)
    }
}

/// What the keyring says, without what an entry holds: some of its errors bear that.
fn unavailable(error: Error) -> KeyError {
    KeyError::Unavailable(match error {
        Error::NoStorageAccess(cause) => {
            format!("the keyring gives no access, unlock it or log in: {cause}")
        }
        Error::BadEncoding(_) | Error::BadDataFormat(..) => {
            "the keyring's entry is not one of this program's".to_owned()
        }
        Error::Ambiguous(entries) => format!(
            "the keyring has {} entries of that name, leave one",
            entries.len()
        ),
        error => format!("the keyring refuses: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use keyring_core::mock;

    use super::*;

    /// The mock keyring that comes with keyring-core, whose entries can be told to fail.
    fn store() -> Arc<CredentialStore> {
        mock::Store::new().unwrap()
    }

    fn keyring(store: &Arc<CredentialStore>, directory: &str) -> Keyring {
        Keyring::new(store, Path::new(directory)).unwrap()
    }

    fn load(keys: &Keyring, purpose: KeyPurpose) -> Option<[u8; 32]> {
        keys.load(purpose).unwrap().map(|key| *key.expose())
    }

    fn fail(entry: &Entry, error: Error) {
        let mock: &mock::Cred = entry.as_any().downcast_ref().unwrap();
        mock.set_error(error);
    }

    #[test]
    fn replaced_key_is_kept_over_a_reopening() {
        let store = store();
        let keys = keyring(&store, "/log");
        assert_eq!(load(&keys, KeyPurpose::Logging), None);
        for byte in [1, 2] {
            keys.replace(KeyPurpose::Logging, &Secret::new([byte; 32]))
                .unwrap();
            let again = keyring(&store, "/log");
            assert_eq!(load(&again, KeyPurpose::Logging), Some([byte; 32]));
            assert_eq!(load(&again, KeyPurpose::Reading), None);
        }
    }

    #[test]
    fn two_logs_have_their_own_keys() {
        let store = store();
        let (one, other) = (keyring(&store, "/one"), keyring(&store, "/other"));
        one.replace(KeyPurpose::Reading, &Secret::new([1; 32]))
            .unwrap();
        assert_eq!(load(&other, KeyPurpose::Reading), None);
    }

    #[test]
    fn erase_leaves_nothing_and_can_be_repeated() {
        let store = store();
        let keys = keyring(&store, "/log");
        keys.erase().unwrap();
        for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
            keys.replace(purpose, &Secret::new([1; 32])).unwrap();
        }
        keys.erase().unwrap();
        keys.erase().unwrap();
        assert_eq!(load(&keys, KeyPurpose::Logging), None);
        assert_eq!(load(&keys, KeyPurpose::Reading), None);
    }

    #[test]
    fn a_failed_erasure_tries_the_other_key() {
        let store = store();
        let keys = keyring(&store, "/log");
        for purpose in [KeyPurpose::Logging, KeyPurpose::Reading] {
            keys.replace(purpose, &Secret::new([1; 32])).unwrap();
        }
        fail(&keys.logging, Error::NoStorageAccess("locked".into()));
        let error = keys.erase().unwrap_err();
        assert!(error.to_string().contains("unlock it"), "{error}");
        assert_eq!(load(&keys, KeyPurpose::Reading), None);
    }

    #[test]
    fn a_locked_keyring_is_no_keyring_without_a_key() {
        let store = store();
        let keys = keyring(&store, "/log");
        fail(&keys.reading, Error::NoStorageAccess("locked".into()));
        let error = keys.load(KeyPurpose::Reading).unwrap_err();
        assert!(matches!(error, KeyError::Unavailable(_)), "{error}");
        fail(&keys.reading, Error::NoStorageAccess("locked".into()));
        let key = Secret::new([1; 32]);
        assert!(keys.replace(KeyPurpose::Reading, &key).is_err());
        assert_eq!(load(&keys, KeyPurpose::Reading), None);
    }

    #[test]
    fn an_entry_of_another_length() {
        let store = store();
        let keys = keyring(&store, "/log");
        keys.logging.set_secret(&[1; 31]).unwrap();
        let error = keys.load(KeyPurpose::Logging).unwrap_err();
        assert!(error.to_string().contains("31 bytes, not 32"), "{error}");
    }

    #[test]
    fn no_error_bears_a_secret() {
        let bytes = b"secret".to_vec();
        let cause = || Box::<dyn std::error::Error + Send + Sync>::from("cause");
        for error in [
            Error::BadEncoding(bytes.clone()),
            Error::BadDataFormat(bytes, cause()),
        ] {
            let shown = format!("{:?}", unavailable(error));
            assert!(
                !shown.contains("secret") && !shown.contains("115"),
                "{shown}"
            );
        }
    }
}
