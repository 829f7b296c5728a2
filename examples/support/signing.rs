//! Signing keys in files, and files that are not there yet.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use truyvet::publication::signature::{SigningKey, VerificationKey};

use super::{Error, create_new, read_text, refuse_if_there};

/// The key in `path`, made if it is not there, and where its public half is.
pub(crate) fn signing_key(path: &Path) -> Result<(SigningKey, PathBuf), Error> {
    let public = path.with_extension("pub.pem");
    if public == path {
        return Err(format!("{}: not a file's name", path.display()).into());
    }
    let key = match fs::read_to_string(path) {
        Ok(pem) => {
            SigningKey::from_pkcs8_pem(&pem).map_err(|e| format!("{}: {e}", path.display()))?
        }
        Err(e) if e.kind() == ErrorKind::NotFound => {
            refuse_if_there(&public)?;
            let key = SigningKey::generate()?;
            write_new(path, key.to_pkcs8_pem().as_bytes(), true)?;
            key
        }
        Err(e) => return Err(format!("{}: {e}", path.display()).into()),
    };
    let pem = key.verification_key().to_pem();
    match fs::read_to_string(&public) {
        Ok(there) if there == pem => {}
        Err(e) if e.kind() == ErrorKind::NotFound => write_new(&public, pem.as_bytes(), false)?,
        Ok(_) => {
            return Err(format!(
                "{} is not the public half of {}: move it away, and it is made anew",
                public.display(),
                path.display()
            )
            .into());
        }
        Err(e) => return Err(format!("{}: {e}", public.display()).into()),
    }
    Ok((key, public))
}

/// The public keys in these files.
pub(crate) fn trusted_keys(paths: &[PathBuf]) -> Result<Vec<VerificationKey>, Error> {
    let key = |path: &PathBuf| {
        let key = VerificationKey::from_pem(&read_text(path)?);
        key.map_err(|e| format!("{}: {e}", path.display()).into())
    };
    paths.iter().map(key).collect()
}

/// Writes a file that is not there yet; a secret one is its owner's alone to read.
pub(crate) fn write_new(path: &Path, bytes: &[u8], secret: bool) -> Result<(), Error> {
    let mut file = create_new(path, secret)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|e| format!("{}: {e}", path.display()).into())
}
