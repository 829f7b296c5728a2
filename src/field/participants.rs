//! Who takes part in a test, and how its devices know one another again though their identifiers rotate.

use std::fmt;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};

use crate::crypto::hmac_sha256;
use crate::entropy::{EntropyError, SystemEntropy, random_secret};
use crate::protocol::{EphemeralId, ProtocolKind};
use crate::radio::Peer;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Under which the devices of one test hash what they write down. Whoever does not have it cannot tell whose an
/// identifier in a field log was, not from published keys either: the strangers who passed by are in it too.
#[derive(Debug)]
pub struct TestKey(Secret<32>);

impl TestKey {
    /// A fresh one.
    ///
    /// # Errors
    ///
    /// [`EntropyError`].
    pub fn random() -> Result<Self, EntropyError> {
        Ok(Self(random_secret(&mut SystemEntropy)?))
    }

    /// What [`to_text`](Self::to_text) wrote: 64 hexadecimal digits. `None` for anything else.
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok()?;
        Some(Self(Secret::new(bytes.try_into().ok()?)))
    }

    /// As a file holds it, to be brought to the test's other devices.
    pub fn to_text(&self) -> String {
        format!("{}\n", HEXLOWER.encode(self.0.expose()))
    }

    /// What stands for an identifier in the test's logs.
    pub fn identifier(&self, id: &EphemeralId) -> Hash {
        self.hash(b"identifier", id.as_bytes())
    }

    /// What stands for a peer's address.
    pub fn peer(&self, peer: &Peer) -> Hash {
        self.hash(b"peer", peer.bytes())
    }

    /// By which runs under one key are told from others.
    pub fn name(&self) -> Hash {
        self.hash(b"test", b"")
    }

    fn hash(&self, what: &[u8], bytes: &[u8]) -> Hash {
        let mut message = what.to_vec();
        message.push(0);
        message.extend_from_slice(bytes);
        let tag = hmac_sha256(&self.0, &message);
        let mut hash = [0; 8];
        for (to, from) in hash.iter_mut().zip(tag) {
            *to = from;
        }
        Hash(hash)
    }
}

/// The first eight bytes of an HMAC-SHA256 under the [`TestKey`]; in files, 16 hexadecimal digits. Among a million
/// identifiers, two have the same one with a chance of one to 40 million.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 8]);

impl Hash {
    /// Six letters, as Herald's phones have in place of a name until it is known whose hash it is.
    pub fn short(&self) -> String {
        BASE64.encode(&self.0).chars().take(6).collect()
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

impl TryFrom<String> for Hash {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes());
        let bytes = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| format!("expected 16 hexadecimal digits, got {} bytes", text.len()))
    }
}

/// What a device is called in a test: one to six letters, digits and `+/-_`. Herald's own analysis looks at six.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShortName(String);

impl ShortName {
    /// Letters of a name at most.
    pub const LETTERS_MAX: usize = 6;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for ShortName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let letter = |letter: u8| letter.is_ascii_alphanumeric() || b"+/-_".contains(&letter);
        match (1..=Self::LETTERS_MAX).contains(&text.len()) && text.bytes().all(letter) {
            true => Ok(Self(text.to_owned())),
            false => Err(format!(
                "expected a name of 1 to 6 letters, digits or +/-_, got {} bytes",
                text.len()
            )),
        }
    }
}

impl TryFrom<String> for ShortName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ShortName> for String {
    fn from(name: ShortName) -> Self {
        name.0
    }
}

/// A device that takes part, as it says of itself in `own.json`.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Participant {
    /// The form of the file: 1.
    pub version: u32,
    /// What it is called.
    pub name: ShortName,
    /// The [name](TestKey::name) of its test's key.
    pub test: Hash,
    /// Its model.
    pub model: String,
    /// Its system.
    pub system: String,
    /// The system's version.
    pub system_version: String,
    /// What it advertises.
    pub protocol: ProtocolKind,
    /// Its radio.
    pub radio: String,
    /// When its run began.
    pub from: Timestamp,
    /// When it ended; nothing if it did not end well, or has not ended.
    pub until: Option<Timestamp>,
    /// What it has advertised, and when it was.
    pub identifiers: Vec<Advertised>,
}

/// An identifier that a device has advertised.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Advertised {
    /// What stands for it.
    pub identifier: Hash,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// The form of `own.json` that is written, and read.
pub const OWN_VERSION: u32 = 1;

/// Bytes of an `own.json` at most. Chosen: half a year of identifiers.
pub const OWN_BYTES_MAX: u64 = 4 << 20;

impl Participant {
    /// Reads an `own.json`.
    ///
    /// # Errors
    ///
    /// One of [`io::ErrorKind::InvalidData`] if it is none, is too long or of another version; any other if the file
    /// cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
        let mut text = Vec::new();
        let file = fs::File::open(path)?;
        file.take(OWN_BYTES_MAX + 1).read_to_end(&mut text)?;
        if text.len() as u64 > OWN_BYTES_MAX {
            return Err(invalid(format!(
                "expected at most {OWN_BYTES_MAX} bytes, got more"
            )));
        }
        // Not in serde's words, which hold the file's.
        let own: Self = serde_json::from_slice(&text).map_err(|e| {
            let (line, column) = (e.line(), e.column());
            invalid(format!("no own.json at line {line}, column {column}"))
        })?;
        match own.version {
            OWN_VERSION => Ok(own),
            other => Err(invalid(format!(
                "expected version {OWN_VERSION}, got {other}"
            ))),
        }
    }

    /// Writes it in place of the one that is there, whole or not at all.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let beside = path.with_extension("json.new");
        // What a run that was killed has left there, or somebody else has put there.
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::File::create_new(&beside)?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        drop(file);
        fs::rename(&beside, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = TestKey::random().unwrap();
        let id = EphemeralId::from([7; 12]);
        let read = TestKey::from_text(&key.to_text()).unwrap();
        assert_eq!(read.identifier(&id), key.identifier(&id));
        assert_eq!(format!("{key:?}"), "TestKey(Secret(..))");
        for text in ["", "00", &"g".repeat(64), &"0".repeat(66)] {
            assert!(TestKey::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn another_test_has_other_hashes() {
        let [one, other] = [TestKey::random(), TestKey::random()].map(Result::unwrap);
        let id = EphemeralId::from([7; 16]);
        assert_ne!(one.identifier(&id), other.identifier(&id));
        assert_ne!(one.name(), other.name());
        assert_ne!(
            one.identifier(&id).to_string(),
            one.peer(&Peer::from_system_id([7; 16])).to_string()
        );
    }

    #[test]
    fn names_that_are_none() {
        for text in ["", "sevenxx", "a b", "a,b", "é", "a\"b", ".."] {
            assert!(text.parse::<ShortName>().is_err(), "{text}");
        }
        assert!("EVoq+A".parse::<ShortName>().is_ok());
    }
}
