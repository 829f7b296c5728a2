//! Every byte of a file that a passphrase seals. `docs/log-format.md` has the same as a table; a change
//! to one is a change to both.

use std::path::Path;

use zeroize::Zeroizing;

use super::Argon2Parameters;
use crate::crypto::{AeadKey, CryptoError, TAG_BYTES, argon2id, hkdf_sha256, sha256};
use crate::entropy::{Entropy, SystemEntropy};
use crate::log::keys::private::Bytes;
use crate::log::keys::{KeyError, Keys};
use crate::secret::Secret;

/// In PNG's manner, as the log's other files.
const MAGIC: [u8; 8] = *b"\x89TVP\r\n\x1A\n";
const VERSION: u16 = 1;
/// Magic 8, version 2, zero 2, parameters 12, salt 16, write salt 16.
const HEADER_BYTES: usize = 56;
/// Which keys there are 1, both keys.
const PAYLOAD_BYTES: usize = 1 + 2 * 32;
const FILE_BYTES: usize = HEADER_BYTES + PAYLOAD_BYTES + TAG_BYTES + 32;

/// What Argon2id makes of the passphrase, and with what.
#[derive(Debug)]
pub(super) struct Master {
    parameters: Argon2Parameters,
    salt: [u8; 16],
    key: Secret<32>,
}

impl Master {
    /// Under a salt of its own.
    pub(super) fn new(passphrase: &[u8], parameters: Argon2Parameters) -> Result<Self, KeyError> {
        Self::derive(passphrase, parameters, fresh_salt()?)
    }

    pub(super) fn derive(
        passphrase: &[u8],
        parameters: Argon2Parameters,
        salt: [u8; 16],
    ) -> Result<Self, KeyError> {
        let Argon2Parameters {
            memory_kib,
            iterations,
            lanes,
        } = parameters;
        let key = argon2id(passphrase, &salt, (memory_kib, iterations, lanes)).map_err(|_| {
            KeyError::Unavailable(format!("the {memory_kib} KiB for Argon2id cannot be had"))
        })?;
        Ok(Self {
            parameters,
            salt,
            key,
        })
    }

    /// The whole file with `keys`, under a key that seals this once.
    pub(super) fn seal(&self, keys: &Keys) -> Result<Bytes, KeyError> {
        let write_salt = fresh_salt()?;
        let mut bytes = Bytes::new(Vec::with_capacity(FILE_BYTES));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        let Argon2Parameters {
            memory_kib,
            iterations,
            lanes,
        } = self.parameters;
        for number in [memory_kib, iterations, lanes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.salt);
        bytes.extend_from_slice(&write_salt);

        // With room for the tag: a buffer that grew would leave the keys behind.
        let mut payload = Bytes::new(Vec::with_capacity(PAYLOAD_BYTES + TAG_BYTES));
        let there = u8::from(keys.logging.is_some()) | u8::from(keys.reading.is_some()) << 1;
        payload.push(there);
        for key in [&keys.logging, &keys.reading] {
            payload.extend_from_slice(key.as_ref().map_or(&[0; 32], |key| key.expose()));
        }
        self.file_key(&write_salt)
            .and_then(|key| key.seal(0, &bytes, &mut payload))
            .map_err(|e| KeyError::Unavailable(e.to_string()))?;
        bytes.extend_from_slice(&payload);
        let check = sha256(&[&bytes]);
        bytes.extend_from_slice(&check);
        Ok(bytes)
    }

    /// `HKDF(master, write salt, "truyvet passphrase file v1", 32)`.
    fn file_key(&self, write_salt: &[u8; 16]) -> Result<AeadKey, CryptoError> {
        let info: [&[u8]; 1] = [b"truyvet passphrase file v1"];
        AeadKey::new(&hkdf_sha256(self.key.expose(), write_salt, &info)?)
    }
}

fn fresh_salt() -> Result<[u8; 16], KeyError> {
    let mut salt = [0; 16];
    SystemEntropy.fill(&mut salt)?;
    Ok(salt)
}

/// A file that is whole.
pub(super) struct Sealed<'a> {
    header: &'a [u8; HEADER_BYTES],
    pub(super) parameters: Argon2Parameters,
    pub(super) salt: [u8; 16],
    write_salt: [u8; 16],
    payload: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub(super) fn parse(bytes: &'a [u8], path: &Path) -> Result<Self, KeyError> {
        let malformed = |what| Err(KeyError::malformed(path, what));
        if bytes.is_empty() {
            return malformed("it is empty, its keys were erased or never put there");
        }
        if bytes.starts_with(b"truyvet-key") {
            return malformed("no passphrase seals it, KeyFile opens it");
        }
        let mut fields = Fields(bytes);
        if fields.take() != Some(MAGIC) {
            return malformed("it is none that a passphrase seals");
        }
        match fields.take().map(u16::from_le_bytes) {
            Some(VERSION) => {}
            Some(newer) if newer > VERSION => {
                return Err(KeyError::UnsupportedVersion {
                    path: path.to_owned(),
                    newest: VERSION,
                });
            }
            _ => return malformed("it has no version"),
        }
        let (Some((body, check)), FILE_BYTES) = (bytes.split_last_chunk::<32>(), bytes.len())
        else {
            return malformed("it is cut, or something follows");
        };
        if check != &sha256(&[body]) || fields.take() != Some([0; 2]) {
            return malformed("it is not as it was written");
        }
        let [memory_kib, iterations, lanes] =
            [(); 3].map(|()| fields.take().map_or(0, u32::from_le_bytes));
        let parameters = Argon2Parameters::new(memory_kib, iterations, lanes)?;
        let (Some(salt), Some(write_salt)) = (fields.take(), fields.take()) else {
            return malformed("it is cut");
        };
        let Some((header, payload)) = body.split_first_chunk() else {
            return malformed("it is cut");
        };
        Ok(Self {
            header,
            parameters,
            salt,
            write_salt,
            payload,
        })
    }

    pub(super) fn is_under(&self, master: &Master) -> bool {
        (self.parameters, self.salt) == (master.parameters, master.salt)
    }

    pub(super) fn open(&self, master: &Master, path: &Path) -> Result<Keys, KeyError> {
        // The file is whole, so what does not open it is the key: this one's, or because another
        // process has sealed it under another passphrase meanwhile.
        let wrong = || KeyError::WrongPassphrase {
            path: path.to_owned(),
        };
        if !self.is_under(master) {
            return Err(wrong());
        }
        let mut payload = Zeroizing::new(self.payload.to_vec());
        let opened = master
            .file_key(&self.write_salt)
            .and_then(|key| key.open(0, self.header, &mut payload).map(<[u8]>::len))
            .map_err(|_| wrong())?;
        let keys = payload.get(..opened).and_then(|payload| {
            let ([there @ 0..4], keys) = payload.split_first_chunk()? else {
                return None;
            };
            let (logging, reading) = keys.split_first_chunk()?;
            let kept = |bit: u8, key: &[u8; 32]| (there & bit != 0).then(|| Secret::new(*key));
            Some(Keys {
                logging: kept(1, logging),
                reading: kept(2, reading.try_into().ok()?),
            })
        });
        keys.ok_or_else(|| KeyError::malformed(path, "what it seals is not two keys"))
    }
}

/// Fields of a fixed length, one after the other.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }
}
