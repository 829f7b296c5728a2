//! Where the log's key comes from.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError, SystemEntropy, random_secret};
use crate::secret::Secret;

/// Keeps a log's keys.
pub trait KeyProvider: Send + Sync {
    /// Loads.
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError>;
    /// Replaces.
    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError>;
    /// Erases.
    fn erase(&self) -> Result<(), KeyError>;
}

/// What for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeyPurpose {
    /// Logging.
    Logging,
    /// Reading.
    Reading,
}

impl<T: KeyProvider + ?Sized> KeyProvider for std::sync::Arc<T> {
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

/// The log's key cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key file cannot be read or made.
    #[error("the key file {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The key file is not one.
    #[error(
        "{} is not a key file: expected \"truyvet-key-1\" and 64 hexadecimal digits",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
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
    /// No random bytes for a new key.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// It cannot be replaced.
    #[error("the key cannot be replaced")]
    CannotReplace,
    /// The provider's own reason.
    #[error("the key is not available: {0}")]
    Unavailable(String),
}

/// Keys in memory.
#[derive(Debug)]
pub struct MemoryKey(std::sync::Mutex<[Option<Secret<32>>; 2]>, bool);

impl MemoryKey {
    /// A provider of these bytes.
    pub fn new(key: Secret<32>) -> Self {
        let reading =
            crate::crypto::hkdf_sha256(key.expose(), &[], &[b"truyvet memory reading key"]).ok();
        Self(std::sync::Mutex::new([Some(key), reading]), true)
    }

    /// A provider of a random key.
    ///
    /// # Errors
    ///
    /// [`KeyError::Entropy`].
    pub fn random() -> Result<Self, KeyError> {
        let mut it = Self::new(random_secret(&mut SystemEntropy)?);
        it.1 = false;
        Ok(it)
    }
}

impl KeyProvider for MemoryKey {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        let keys = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let [a, b] = &*keys;
        Ok(if purpose == KeyPurpose::Logging { a } else { b }
            .as_ref()
            .map(Secret::duplicate))
    }
    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        if self.1 {
            return Err(KeyError::CannotReplace);
        }
        let mut keys = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let [a, b] = &mut *keys;
        *(if purpose == KeyPurpose::Logging { a } else { b }) = Some(key.duplicate());
        Ok(())
    }
    fn erase(&self) -> Result<(), KeyError> {
        *self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = [None, None];
        Ok(())
    }
}

/// A random key in a file that its owner alone may read.
///
/// For test harnesses and servers. It protects a log that is copied or backed up without it, and
/// nothing from whoever can read both; a phone has better places.
#[derive(Debug)]
pub struct KeyFile {
    path: PathBuf,
}

const PREFIX: &str = "truyvet-key-1 ";

/// A key file is one line of this many bytes; no more than one beyond is ever read.
const FILE_BYTES: u64 = 14 + 64 + 1;

impl KeyFile {
    /// The key in the file at `path`, which is made with a fresh key if it is not there.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the file cannot be read or made, is malformed, or (on Unix) can be read by
    /// others.
    pub fn open_or_create(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        let provider = Self { path: path.into() };
        if !provider.path.exists() {
            provider.create()?;
        }
        provider.key_encryption_key()?;
        Ok(provider)
    }

    /// The key in the file at `path`, which must be there.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        let provider = Self { path: path.into() };
        provider.key_encryption_key()?;
        Ok(provider)
    }

    /// Makes the file with a fresh key, unless it is there.
    ///
    /// It is written whole under another name first: whoever opens it at the same time, or after a
    /// crash, finds all of it or nothing.
    fn create(&self) -> Result<(), KeyError> {
        let mut tag = [0; 8];
        SystemEntropy.fill(&mut tag)?;
        let mut new = self.path.clone().into_os_string();
        new.push(format!(".{}.new", HEXLOWER.encode(&tag)));
        let new = PathBuf::from(new);
        let made = self.write_key(&new).and_then(|()| {
            // Unlike a rename, a link does not replace a key that another process has just made.
            fs::hard_link(&new, &self.path).map_err(|e| self.io(e))
        });
        // Under its own name or not at all.
        let _ = fs::remove_file(&new);
        match made {
            Err(KeyError::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Ok(())
            }
            made => made.and_then(|()| self.sync_parent()),
        }
    }

    fn write_key(&self, new: &Path) -> Result<(), KeyError> {
        let mut key = Zeroizing::new([0; 32]);
        SystemEntropy.fill(key.as_mut())?;
        let mut line = Zeroizing::new([0; FILE_BYTES as usize]);
        let (prefix, rest) = line.split_at_mut(PREFIX.len());
        let (digits, end) = rest.split_at_mut(64);
        prefix.copy_from_slice(PREFIX.as_bytes());
        HEXLOWER.encode_mut(key.as_ref(), digits);
        end.copy_from_slice(b"\n");
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(new).map_err(|e| self.io(e))?;
        file.write_all(line.as_ref()).map_err(|e| self.io(e))?;
        file.sync_all().map_err(|e| self.io(e))
    }

    /// Has the system put the file's name on the disk: a log must not outlive its key.
    fn sync_parent(&self) -> Result<(), KeyError> {
        #[cfg(unix)]
        {
            let parent = self.path.parent().filter(|parent| *parent != Path::new(""));
            let parent = File::open(parent.unwrap_or(Path::new(".")));
            parent
                .and_then(|parent| parent.sync_all())
                .map_err(|e| self.io(e))?;
        }
        Ok(())
    }

    fn io(&self, source: io::Error) -> KeyError {
        KeyError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

impl KeyProvider for KeyFile {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        let _ = purpose;
        self.key_encryption_key().map(Some)
    }
    fn replace(&self, _: KeyPurpose, _: &Secret<32>) -> Result<(), KeyError> {
        Err(KeyError::Unavailable("later".to_owned()))
    }
    fn erase(&self) -> Result<(), KeyError> {
        Ok(())
    }
}
impl KeyFile {
    fn key_encryption_key(&self) -> Result<Secret<32>, KeyError> {
        let file = File::open(&self.path).map_err(|e| self.io(e))?;
        refuse_if_readable_by_others(&file, &self.path)?;
        // Exactly the room needed: a growing buffer would leave copies of the key behind.
        let mut line = Zeroizing::new(Vec::with_capacity(FILE_BYTES as usize + 1));
        let read = file.take(FILE_BYTES + 1).read_to_end(&mut line);
        read.map_err(|e| self.io(e))?;
        parse_key(&line).ok_or_else(|| KeyError::Malformed {
            path: self.path.clone(),
        })
    }
}

fn parse_key(line: &[u8]) -> Option<Secret<32>> {
    let digits = line.strip_prefix(PREFIX.as_bytes())?;
    let digits = digits.strip_suffix(b"\n").unwrap_or(digits);
    if digits.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    HEXLOWER.decode_mut(digits, key.as_mut()).ok()?;
    Some(Secret::new(*key))
}

#[cfg(unix)]
fn refuse_if_readable_by_others(file: &File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })?;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(KeyError::ReadableByOthers {
            path: path.to_owned(),
            mode,
        }),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_if_readable_by_others(_: &File, _: &Path) -> Result<(), KeyError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_file_keeps_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let key = |provider: &KeyFile| *provider.key_encryption_key().unwrap().expose();
        let made = KeyFile::open_or_create(&path).unwrap();
        let again = KeyFile::open_or_create(&path).unwrap();
        assert_eq!(key(&made), key(&again));
        assert_ne!(key(&made), [0; 32]);
        assert_eq!(key(&made), key(&KeyFile::open(&path).unwrap()));
    }

    #[test]
    fn everybody_who_starts_at_once_gets_the_same_key() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let open = || {
                let provider = KeyFile::open_or_create(dir.path().join("key")).unwrap();
                *provider.key_encryption_key().unwrap().expose()
            };
            let keys: Vec<_> = std::thread::scope(|scope| {
                let threads = [(); 4].map(|()| scope.spawn(open));
                threads.map(|thread| thread.join().unwrap()).into()
            });
            assert!(keys.iter().all(|key| *key == keys[0]));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn key_file_absent() {
        let dir = tempfile::tempdir().unwrap();
        let error = KeyFile::open(dir.path().join("key")).unwrap_err();
        assert!(matches!(error, KeyError::Io { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn key_file_readable_by_others() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        KeyFile::open_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = KeyFile::open(&path).unwrap_err();
        assert!(matches!(
            error,
            KeyError::ReadableByOthers { mode: 0o640, .. }
        ));
    }

    #[test]
    fn key_file_malformed() {
        let good = format!("{PREFIX}{}\n", "ab".repeat(32));
        assert!(parse_key(good.as_bytes()).is_some());
        assert!(parse_key(good.trim_end().as_bytes()).is_some());
        for bad in [
            String::new(),
            PREFIX.to_owned(),
            good[1..].to_owned(),
            good.replace('a', "g"),
            format!("{good}\n"),
            format!("{PREFIX}{}\n", "ab".repeat(31)),
        ] {
            assert!(parse_key(bad.as_bytes()).is_none(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse_key(&bytes);
        }
    }
}
