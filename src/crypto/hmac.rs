//! HMAC-SHA256 (RFC 2104, FIPS 198-1).

use ring::hmac;

use crate::secret::Secret;

/// `HMAC-SHA256(key, message)`.
pub(crate) fn hmac_sha256(key: &Secret<32>, message: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    let mut out = [0; 32];
    out.copy_from_slice(hmac::sign(&key, message).as_ref());
    out
}

/// Whether `tag` is `HMAC-SHA256(key, message)`; it takes as long wherever they differ.
pub(crate) fn hmac_sha256_verify(key: &Secret<32>, message: &[u8], tag: &[u8; 32]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose());
    hmac::verify(&key, message, tag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 1, whose key of 20 bytes HMAC fills up with zeros.
    #[test]
    fn hmac_test_case_1() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let key = Secret::new(key);
        let mut tag = hmac_sha256(&key, b"Hi There");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&tag),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
        assert!(hmac_sha256_verify(&key, b"Hi There", &tag));
        assert!(!hmac_sha256_verify(&key, b"Hi Their", &tag));
        tag[31] ^= 1;
        assert!(!hmac_sha256_verify(&key, b"Hi There", &tag));
    }
}
