//! SHA-256 and HKDF over keys that an authority has published, block by block.
//!
//! Such keys are no secrets any more and come by the hundred thousand, so nothing here is wiped or put on
//! the heap, and what all of them begin with is computed once.

use sha2::block_api::compress256;

/// H(0), the state before the first block (FIPS 180-4, 5.3.3).
pub(crate) const SHA256_START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// HMAC's inner and outer pad (RFC 2104).
pub(crate) const INNER_PAD: u8 = 0x36;
pub(crate) const OUTER_PAD: u8 = 0x5C;

/// SHA-256 of a message that fits into one block with its padding: 55 bytes at most.
pub(crate) fn sha256_short<const N: usize>(message: &[u8; N]) -> [u8; 32] {
    let mut state = SHA256_START;
    compress256(&mut state, &[last_block(message, 0)]);
    to_bytes(&state)
}

/// HKDF-SHA256 without a salt (RFC 5869), for 16-byte keys: what the salt's two pads leave behind.
#[derive(Clone, Debug)]
pub(crate) struct UnsaltedHkdf {
    /// The inner hash's state after the salt's block.
    pub(crate) inner: [u32; 8],
    /// The outer hash's.
    pub(crate) outer: [u32; 8],
}

impl UnsaltedHkdf {
    pub(crate) fn new() -> Self {
        // No salt is 32 zero bytes, which HMAC fills up to a block of zeros.
        Self {
            inner: keyed(&[0; 32], INNER_PAD),
            outer: keyed(&[0; 32], OUTER_PAD),
        }
    }

    /// `HKDF(ikm, NULL, info, 16)` for an `info` whose last byte is the block's number, 1: six
    /// compressions.
    pub(crate) fn derive<const N: usize>(&self, ikm: &[u8; 16], info: &[u8; N]) -> [u8; 16] {
        let key = hmac(self.inner, self.outer, ikm);
        let (inner, outer) = (keyed(&key, INNER_PAD), keyed(&key, OUTER_PAD));
        let [out, _] = halves(hmac(inner, outer, info));
        out
    }
}

/// The state of one of HMAC's hashes after its key's block.
fn keyed(key: &[u8; 32], pad: u8) -> [u32; 8] {
    let mut block = [pad; 64];
    for (byte, key) in block.iter_mut().zip(key) {
        *byte ^= key;
    }
    let mut state = SHA256_START;
    compress256(&mut state, &[block]);
    state
}

/// HMAC of a short `message` under a key whose pads have been hashed.
fn hmac<const N: usize>(inner: [u32; 8], outer: [u32; 8], message: &[u8; N]) -> [u8; 32] {
    let (mut inner, mut outer) = (inner, outer);
    compress256(&mut inner, &[last_block(message, 64)]);
    compress256(&mut outer, &[last_block(&to_bytes(&inner), 64)]);
    to_bytes(&outer)
}

/// The last block of a message of which `before` bytes have been hashed and `rest` is left.
fn last_block<const N: usize>(rest: &[u8; N], before: u64) -> [u8; 64] {
    const { assert!(N <= 55, "it and its padding take one block") };
    let mut block = [0; 64];
    if let Some(start) = block.first_chunk_mut() {
        *start = *rest;
    }
    if let Some(mark) = block.get_mut(N) {
        *mark = 0x80;
    }
    if let Some(bits) = block.last_chunk_mut() {
        *bits = (8 * (before + N as u64)).to_be_bytes();
    }
    block
}

fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (to, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *to = word.to_be_bytes();
    }
    bytes
}

fn halves(bytes: [u8; 32]) -> [[u8; 16]; 2] {
    let mut halves = [[0; 16]; 2];
    for (to, from) in halves.as_flattened_mut().iter_mut().zip(bytes) {
        *to = from;
    }
    halves
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::{hkdf_sha256, sha256};

    proptest! {
        #[test]
        fn a_short_hash_is_the_hash(message: [u8; 32], salted in any::<[u8; 45]>(), full in any::<[u8; 55]>()) {
            prop_assert_eq!(sha256_short(&message), sha256(&[&message]));
            prop_assert_eq!(sha256_short(&salted), sha256(&[&salted]));
            prop_assert_eq!(sha256_short(&full), sha256(&[&full]));
            prop_assert_eq!(sha256_short(&[]), sha256(&[]));
        }

        #[test]
        fn hkdf_of_a_block_is_hkdf(key: [u8; 16]) {
            let expected = hkdf_sha256::<16>(&key, &[], &[b"EN-RPIK"]).unwrap();
            let derived = UnsaltedHkdf::new().derive(&key, b"EN-RPIK\x01");
            prop_assert_eq!(&derived, expected.expose());
        }
    }
}
