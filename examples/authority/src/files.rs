//! Key files: made at first start, readable by their owner alone, and refused otherwise.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom, SystemRandom};
use truyvet::Secret;
use truyvet::publication::signature::{KeyError, KeyName, SigningKey};
use truyvet::report::authorisation::CodeKey;
use truyvet::report::sealed::AuthorityPrivateKey;
use zeroize::Zeroizing;

/// Larger than any key file. Chosen: twice a PEM of P-256.
const KEY_FILE_BYTES_MAX: u64 = 1024;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// It cannot be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("{}: expected mode 0600 or stricter, got {mode:04o}: others may have read this key", path.display())]
    ReadableByOthers {
        /// Which.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is not what this service wrote.
    #[error("{}: not the key that is expected there", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
    /// A key pair was not made or not read.
    #[error("a signing key: {0}")]
    Signing(#[from] KeyError),
    /// No random numbers.
    #[error("the system's random number generator gave no bytes")]
    Entropy,
}

/// All keys of the service.
pub struct Keys {
    /// Opens what devices seal.
    pub envelope: AuthorityPrivateKey,
    /// Signs certificates.
    pub certificate: SigningKey,
    /// Signs published files.
    pub publication: SigningKey,
    /// Hides how many keys are published among random ones.
    pub padding: Secret<32>,
    /// Hashes codes, so that the database alone gives none away.
    pub codes: CodeKey,
    /// What staff shows: base64url.
    pub staff_token: Zeroizing<String>,
}

impl Keys {
    /// The keys of `folder`, made if they are not there yet.
    ///
    /// # Errors
    ///
    /// [`KeyFileError`]: above all when others than their owner may read them.
    pub fn open_or_create(folder: &Path) -> Result<Self, KeyFileError> {
        create_folder(folder)?;
        let envelope = secret(&folder.join("envelope.key"))?;
        Ok(Self {
            envelope: AuthorityPrivateKey::from_bytes(envelope),
            certificate: signing_key(&folder.join("certificate.pem"), "certificate")?,
            publication: signing_key(&folder.join("publication.pem"), "publication")?,
            padding: secret(&folder.join("padding.key"))?,
            codes: CodeKey::from_bytes(secret(&folder.join("codes.key"))?),
            staff_token: Zeroizing::new(
                BASE64URL_NOPAD.encode(secret(&folder.join("staff-token"))?.expose()),
            ),
        })
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> KeyFileError + '_ {
    |source| KeyFileError::Io {
        path: path.to_owned(),
        source,
    }
}

/// 32 random bytes in base64url: the staff's token can be copied from its file.
fn secret(path: &Path) -> Result<Secret<32>, KeyFileError> {
    let text = read_or_create(path, || {
        let mut bytes = Zeroizing::new([0; 32]);
        SystemRandom::new()
            .fill(bytes.as_mut())
            .map_err(|_| KeyFileError::Entropy)?;
        Ok(Zeroizing::new(BASE64URL_NOPAD.encode(bytes.as_ref())))
    })?;
    let bytes = BASE64URL_NOPAD.decode(text.trim().as_bytes()).ok();
    let bytes = Zeroizing::new(bytes.unwrap_or_default());
    let bytes = <[u8; 32]>::try_from(bytes.as_slice());
    bytes.map(Secret::new).map_err(|_| KeyFileError::Malformed {
        path: path.to_owned(),
    })
}

fn signing_key(path: &Path, name: &str) -> Result<SigningKey, KeyFileError> {
    let pem = read_or_create(path, || Ok(SigningKey::generate()?.to_pkcs8_pem()))?;
    Ok(SigningKey::from_pkcs8_pem(&pem)?.named(KeyName::new(name, "v1")))
}

/// What `path` holds, or `make`'s text, which is on the disk before it is used.
fn read_or_create(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<String>, KeyFileError>,
) -> Result<Zeroizing<String>, KeyFileError> {
    match File::open(path) {
        Ok(file) => read(path, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let text = make()?;
            write_synced(path, text.as_bytes()).map_err(io_error(path))?;
            Ok(text)
        }
        Err(error) => Err(io_error(path)(error)),
    }
}

fn read(path: &Path, file: File) -> Result<Zeroizing<String>, KeyFileError> {
    refuse_readable_by_others(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    file.take(KEY_FILE_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(io_error(path))?;
    Ok(text)
}

#[cfg(unix)]
fn refuse_readable_by_others(path: &Path, file: &File) -> Result<(), KeyFileError> {
    use std::os::unix::fs::MetadataExt;

    let mode = file.metadata().map_err(io_error(path))?.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyFileError::ReadableByOthers {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
fn refuse_readable_by_others(_: &Path, _: &File) -> Result<(), KeyFileError> {
    Ok(())
}

/// Written whole under another name, synced, and only then named `path`: a start that is killed leaves no half key.
fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

fn create_folder(folder: &Path) -> Result<(), KeyFileError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(io_error(folder))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_second_start_has_the_same_keys() {
        let folder = tempfile::tempdir().unwrap();
        let keys = || Keys::open_or_create(&folder.path().join("keys")).unwrap();
        let (first, second) = (keys(), keys());
        assert_eq!(first.staff_token, second.staff_token);
        assert_eq!(
            first.codes.secret().expose(),
            second.codes.secret().expose()
        );
        assert_eq!(
            first.envelope.public_key().unwrap(),
            second.envelope.public_key().unwrap()
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        Keys::open_or_create(folder.path()).unwrap();
        for name in [
            "envelope.key",
            "certificate.pem",
            "staff-token",
            "codes.key",
        ] {
            let path = folder.path().join(name);
            let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o600
            );
            mode(0o640);
            assert!(matches!(
                Keys::open_or_create(folder.path()),
                Err(KeyFileError::ReadableByOthers { mode: 0o640, .. })
            ));
            mode(0o600);
        }
    }

    #[test]
    fn a_key_that_was_cut_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        Keys::open_or_create(folder.path()).unwrap();
        let path = folder.path().join("codes.key");
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(10)
            .unwrap();
        assert!(matches!(
            Keys::open_or_create(folder.path()),
            Err(KeyFileError::Malformed { .. })
        ));
    }
}
