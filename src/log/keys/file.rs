//! Keys in a file.

use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use zeroize::Zeroizing;

use super::private::{Bytes, FILE_BYTES_MAX, PrivateFile};
use super::{KeyError, KeyProvider, KeyPurpose, Keys};
use crate::crypto::sha256;
use crate::secret::Secret;

/// Keys in a file that its owner alone may read.
///
/// For test harnesses and servers. It protects a log that is copied or backed up without it, and
/// nothing from whoever can read both; a phone has better places.
///
/// One file is for one log. Each change is written beside the file, synced, and put in its place; the old
/// bytes are then overwritten and their file is gone. That is all a program can do: flash memory, a
/// file system that copies on write and a backup may keep the old keys all the same, and
/// with them what was erased by forgetting them. A file that cannot be replaced because nothing may be
/// written beside it is [`KeyError::Io`].
///
/// What `docs/log-format.md` calls version 1, a single key, is read as the
/// [`Logging`](KeyPurpose::Logging) key and rewritten at the first change.
#[derive(Debug)]
pub struct KeyFile {
    place: PrivateFile,
}

const PREFIX_1: &str = "truyvet-key-1 ";
const PREFIX: &str = "truyvet-keys-";
const VERSION: u16 = 2;

impl KeyFile {
    /// The keys in the file at `path`, which is made, without a key, if it is not there.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if the file cannot be read or made, is malformed, or (on Unix) can be read by
    /// others.
    pub fn open_or_create(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        Self::checked(PrivateFile::open_or_create(path.into())?)
    }

    /// The keys in the file at `path`, which must be there.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Self::open_or_create).
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, KeyError> {
        Self::checked(PrivateFile::open(path.into())?)
    }

    fn checked(place: PrivateFile) -> Result<Self, KeyError> {
        parse(&place.read()?, place.path())?;
        Ok(Self { place })
    }
}

impl KeyProvider for KeyFile {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        Ok(parse(&self.place.read()?, self.place.path())?.of(purpose))
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        self.place.update(|old| {
            let mut keys = parse(old, self.place.path())?;
            keys.set(purpose, key);
            Ok(Some(print(&keys)))
        })
    }

    fn erase(&self) -> Result<(), KeyError> {
        self.place.erase()
    }
}

/// Version 2: a line that says so, one for each key that is there, and one with the SHA-256 of all
/// before it.
fn print(keys: &Keys) -> Bytes {
    let mut text = Bytes::new(Vec::with_capacity(FILE_BYTES_MAX));
    text.extend_from_slice(format!("{PREFIX}{VERSION}\n").as_bytes());
    for (name, key) in [("logging", &keys.logging), ("reading", &keys.reading)] {
        if let Some(key) = key {
            print_line(&mut text, name, key.expose());
        }
    }
    let check = sha256(&[&text]);
    print_line(&mut text, "check", &check);
    text
}

fn print_line(text: &mut Vec<u8>, name: &str, bytes: &[u8; 32]) {
    let mut digits = Zeroizing::new([0; 64]);
    HEXLOWER.encode_mut(bytes, digits.as_mut());
    text.extend_from_slice(name.as_bytes());
    text.push(b' ');
    text.extend_from_slice(digits.as_ref());
    text.push(b'\n');
}

fn parse(text: &[u8], path: &Path) -> Result<Keys, KeyError> {
    if text.is_empty() {
        return Ok(Keys::default());
    }
    if let Some(digits) = text.strip_prefix(PREFIX_1.as_bytes()) {
        let digits = digits.strip_suffix(b"\n").unwrap_or(digits);
        let key = parse_key(digits).ok_or_else(|| {
            KeyError::malformed(
                path,
                "64 hexadecimal digits do not follow \"truyvet-key-1\"",
            )
        })?;
        return Ok(Keys {
            logging: Some(key),
            reading: None,
        });
    }
    parse_lines(text, path)
}

fn parse_lines(text: &[u8], path: &Path) -> Result<Keys, KeyError> {
    let malformed = |what| KeyError::malformed(path, what);
    if text.starts_with(b"\x89TVP") {
        return Err(malformed("a passphrase seals it, PassphraseFile opens it"));
    }
    let rest = text
        .strip_prefix(PREFIX.as_bytes())
        .ok_or_else(|| malformed("it does not begin with \"truyvet-keys-2\""))?;
    let (version, mut rest) =
        split_at_newline(rest).ok_or_else(|| malformed("its first line is cut"))?;
    let version = std::str::from_utf8(version).map_err(|_| malformed("it has no version"))?;
    match version.parse() {
        Ok(VERSION) => {}
        Ok(newer) if newer > VERSION => {
            return Err(KeyError::UnsupportedVersion {
                path: path.to_owned(),
                newest: VERSION,
            });
        }
        _ => return Err(malformed("it has no version")),
    }
    let logging = take_line(&mut rest, "logging");
    let reading = take_line(&mut rest, "reading");
    let checked = text.strip_suffix(rest).unwrap_or_default();
    let check = take_line(&mut rest, "check")
        .ok_or_else(|| malformed("it is cut, or a line in it is not as it was written"))?;
    if !rest.is_empty() {
        return Err(malformed("something follows its last line"));
    }
    if check.expose() != &sha256(&[checked]) {
        return Err(malformed("it is not as it was written"));
    }
    Ok(Keys { logging, reading })
}

/// The key of the line `name`, if `text` begins with one, which is then taken off it.
fn take_line(text: &mut &[u8], name: &str) -> Option<Secret<32>> {
    let rest = text.strip_prefix(name.as_bytes())?.strip_prefix(b" ")?;
    let (digits, rest) = split_at_newline(rest)?;
    let key = parse_key(digits)?;
    *text = rest;
    Some(key)
}

fn split_at_newline(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = text.split_at_checked(end)?;
    Some((line, rest.strip_prefix(b"\n")?))
}

fn parse_key(digits: &[u8]) -> Option<Secret<32>> {
    if digits.len() != 64 {
        return None;
    }
    let mut key = Zeroizing::new([0; 32]);
    HEXLOWER.decode_mut(digits, key.as_mut()).ok()?;
    Some(Secret::new(*key))
}

#[cfg(test)]
mod tests;
