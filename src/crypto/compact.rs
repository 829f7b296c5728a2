//! P-256 in its shortest forms, for texts where each byte counts: points of 33 bytes, signatures of 64.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

/// The uncompressed form of the compressed `point`, if it lies on P-256 (SEC 1, 2.3.4).
pub(crate) fn p256_decompressed(point: &[u8; 33]) -> Option<[u8; 65]> {
    // p256 also reads tag 5, another's form, which would give a key two encodings.
    let [2 | 3, ..] = point else {
        return None;
    };
    let key = VerifyingKey::from_sec1_bytes(point).ok()?;
    key.to_sec1_point(false).as_bytes().try_into().ok()
}

/// The signature of X9.62 DER as r and s, 32 bytes each (IEEE P1363).
pub(crate) fn signature_without_der(der: &[u8]) -> Option<[u8; 64]> {
    Some(Signature::from_der(der).ok()?.to_bytes().into())
}

/// As [`ecdsa_p256_verify`](super::ecdsa_p256_verify), of a signature that is r and s.
pub(crate) fn ecdsa_p256_verify_compact(
    public_key: &[u8; 65],
    digest: &[u8; 32],
    signature: &[u8; 64],
) -> bool {
    let key = VerifyingKey::from_sec1_bytes(public_key);
    match (key, Signature::from_slice(signature)) {
        (Ok(key), Ok(signature)) => key.verify_prehash(digest, &signature).is_ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{EcdsaP256KeyPair, sha256};
    use super::*;

    #[test]
    fn short_forms_say_the_same_as_the_long_ones() {
        let pkcs8 = EcdsaP256KeyPair::generate_pkcs8().unwrap();
        // Where ring's template of the document has the private key.
        let pair = EcdsaP256KeyPair::from_pkcs8(&pkcs8, &pkcs8[36..68]).unwrap();
        let point = pair.public_key().unwrap();
        let mut short = [0; 33];
        short[0] = 2 | (point[64] & 1);
        short[1..].copy_from_slice(&point[1..33]);
        assert_eq!(p256_decompressed(&short), Some(point));

        let (digest, other) = (sha256(&[b"message"]), sha256(&[b"massage"]));
        let der = pair.sign(b"message").unwrap();
        let signature = signature_without_der(&der).unwrap();
        assert!(ecdsa_p256_verify_compact(&point, &digest, &signature));
        assert!(!ecdsa_p256_verify_compact(&point, &other, &signature));
        assert!(!ecdsa_p256_verify_compact(&point, &digest, &[0; 64]));
        assert_eq!(signature_without_der(&der[1..]), None);
    }

    #[test]
    fn what_is_no_compressed_point_is_none() {
        assert_eq!(p256_decompressed(&[0; 33]), None);
        assert_eq!(p256_decompressed(&[0xFF; 33]), None);
        // x = 5 with an even y lies on the curve; the same x under another tag does not count.
        for tag in [0, 1, 4, 5, 6, 7] {
            let mut point = [0; 33];
            (point[0], point[32]) = (tag, 5);
            assert_eq!(p256_decompressed(&point), None, "tag {tag}");
        }
    }
}
