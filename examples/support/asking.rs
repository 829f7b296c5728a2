//! Asking, and files that are not there yet.

use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::Path;

use super::Error;

/// What is answered to `question`, which stands beside the output; `None` if nobody answers.
pub(crate) fn ask(question: &str) -> Result<Option<String>, Error> {
    let mut beside = io::stderr().lock();
    beside.write_all(question.as_bytes())?;
    beside.flush()?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer)?;
    Ok((read > 0).then(|| answer.trim().to_owned()))
}

pub(crate) fn refuse_if_there(path: &Path) -> Result<(), Error> {
    match path.symlink_metadata() {
        Ok(_) => Err(format!(
            "{} is there already, and is not overwritten: move it away, or choose another name",
            path.display()
        )
        .into()),
        Err(_) => Ok(()),
    }
}

/// Makes a file that is not there yet; a secret one is its owner's alone to read.
pub(crate) fn create_new(path: &Path, secret: bool) -> Result<File, Error> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if secret {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    // Elsewhere the folder's rights hold for what is in it.
    #[cfg(not(unix))]
    let _ = secret;
    let made = options.open(path);
    made.map_err(|e| format!("{}: {e}", path.display()).into())
}
