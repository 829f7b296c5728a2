//! Keys and signatures in their shortest forms, for codes that people scan and lists that phones fetch.

use super::{KeyError, SigningKey, VerificationKey};
use crate::crypto::{ecdsa_p256_verify_compact, p256_decompressed, sha256, signature_without_der};

/// Bytes of a compressed point on P-256: 2 or 3, and x (SEC 1, 2.3.3).
pub const COMPRESSED_POINT_BYTES: usize = 33;

/// Bytes of a signature as r and s (IEEE P1363).
pub const COMPACT_SIGNATURE_BYTES: usize = 64;

impl VerificationKey {
    /// The key with this compressed public point.
    ///
    /// # Errors
    ///
    /// [`KeyError::NotOnCurve`].
    pub fn from_compressed_point(point: &[u8; COMPRESSED_POINT_BYTES]) -> Result<Self, KeyError> {
        let point = p256_decompressed(point).ok_or(KeyError::NotOnCurve)?;
        Self::from_uncompressed_point(&point)
    }

    /// The 33 bytes of the compressed point.
    pub fn to_compressed_point(&self) -> [u8; COMPRESSED_POINT_BYTES] {
        let [_, coordinates @ ..] = &self.point;
        let mut compressed = [0; COMPRESSED_POINT_BYTES];
        let odd = coordinates.last().map_or(0, |last| last & 1);
        for (to, from) in compressed
            .iter_mut()
            .zip(std::iter::once(&(2 | odd)).chain(coordinates))
        {
            *to = *from;
        }
        compressed
    }

    /// Four bytes by which a signature names its key, so that a reader with several tries few: the first
    /// of the SHA-256 of the uncompressed point. Another key may have the same; only the signature tells.
    pub fn fingerprint(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = sha256(&[&self.point]);
        [a, b, c, d]
    }

    /// Whether `signature` (r and s) is this key's over the SHA-256 of the concatenated `parts`.
    pub(crate) fn verify_compact(
        &self,
        parts: &[&[u8]],
        signature: &[u8; COMPACT_SIGNATURE_BYTES],
    ) -> bool {
        ecdsa_p256_verify_compact(&self.point, &sha256(parts), signature)
    }
}

impl SigningKey {
    /// The signature (r and s) over the SHA-256 of `message`.
    pub(crate) fn sign_compact(
        &self,
        message: &[u8],
    ) -> Result<[u8; COMPACT_SIGNATURE_BYTES], KeyError> {
        signature_without_der(&self.sign(message)?).ok_or(KeyError::Crypto)
    }
}
