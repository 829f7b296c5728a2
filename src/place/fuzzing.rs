//! What only who holds a key could make, for the fuzzer: codes and lists of any content whose signatures and seals
//! hold.

use data_encoding::BASE32_NOPAD;

use super::PlaceId;
use super::code::{self, SCHEME};
use super::list::{self, EntryKeys, MAGIC, PLAIN_BYTES, SALT_BYTES};
use crate::publication::signature::{KeyError, SigningKey};
use crate::time::UtcDay;

/// The place whose entries are sealed.
pub const PLACE: PlaceId = PlaceId::from_bytes([1; 16]);

/// A code's text around `body`, signed.
///
/// # Errors
///
/// [`KeyError::Crypto`].
pub fn code_around(body: &[u8], key: &SigningKey) -> Result<String, KeyError> {
    let signature = key.sign_compact(&[code::DOMAIN, body].concat())?;
    let bytes = [body, &signature].concat();
    Ok(format!("{SCHEME}{}", BASE32_NOPAD.encode(&bytes)))
}

/// A list of magic, the key's fingerprint, and `rest`, signed.
///
/// # Errors
///
/// [`KeyError::Crypto`].
pub fn list_around(rest: &[u8], key: &SigningKey) -> Result<Vec<u8>, KeyError> {
    let fingerprint = key.verification_key().fingerprint();
    let mut bytes = [&MAGIC[..], &fingerprint, rest].concat();
    let signature = key.sign_compact(&[list::DOMAIN, &bytes].concat())?;
    bytes.extend(signature);
    Ok(bytes)
}

/// List 1, published at the end of `day`, with what is sealed for [`PLACE`]: 128 bytes of each of `plaintexts`, or
/// fewer and zeros.
///
/// # Errors
///
/// [`KeyError::Crypto`].
pub fn list_of(plaintexts: &[&[u8]], day: UtcDay, key: &SigningKey) -> Result<Vec<u8>, KeyError> {
    let salt = [9; SALT_BYTES];
    let keys = EntryKeys::derive(&salt, &PLACE, day)?;
    let published_s = day.end().unix_seconds() as u32;
    let count = plaintexts.len() as u32;
    let mut rest = [1u32, published_s].map(u32::to_be_bytes).concat();
    rest.extend(salt);
    rest.extend(count.to_be_bytes());
    for (index, plaintext) in plaintexts.iter().enumerate() {
        let mut plaintext = plaintext.to_vec();
        plaintext.resize(PLAIN_BYTES, 0);
        rest.extend(keys.seal(index, plaintext)?);
    }
    list_around(&rest, key)
}
