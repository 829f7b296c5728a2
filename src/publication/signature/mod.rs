//! The keys with which an authority signs what it publishes: ECDSA on P-256 with SHA-256.
//!
//! A public key travels as PEM of its SubjectPublicKeyInfo (RFC 5480, RFC 7468) or as its
//! uncompressed point; a private key as PKCS#8 (RFC 5958), which `openssl genpkey -algorithm EC
//! -pkeyopt ec_paramgen_curve:P-256` writes.

mod compact;
mod encoding;

use std::fmt;

use zeroize::Zeroizing;

use encoding::{
    BIT_STRING, INTEGER, PRIVATE_LABEL, PUBLIC_LABEL, SEQUENCE, SPKI_PREFIX, der_value, pem_block,
    pem_text, private_scalar, require_p256,
};

pub use compact::{COMPACT_SIGNATURE_BYTES, COMPRESSED_POINT_BYTES};

use crate::crypto::{
    CryptoError, EcdsaP256KeyPair, ecdsa_p256_verify, p256_point_is_valid, sha256,
};

/// Bytes of an uncompressed point on P-256: 4, x, y (SEC 1, 2.3.3).
pub const POINT_BYTES: usize = 65;

/// A key that cannot be read or used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No PEM, PEM of something else, or more than one block.
    #[error("expected one PEM block of a {label}")]
    NotPem {
        /// The label it should bear.
        label: &'static str,
    },
    /// The bytes are not the structure that their label promises.
    #[error("expected the DER of a {label}")]
    NotDer {
        /// What was expected.
        label: &'static str,
    },
    /// A key of another algorithm, such as RSA.
    #[error("expected an elliptic curve key (1.2.840.10045.2.1), got another algorithm")]
    Algorithm,
    /// A key on another curve.
    #[error("expected a key on P-256 (1.2.840.10045.3.1.7), got another curve")]
    Curve,
    /// A point of the wrong length, such as a compressed one.
    #[error("expected an uncompressed point of {POINT_BYTES} bytes, got {got}")]
    Length {
        /// Bytes there are.
        got: usize,
    },
    /// 65 bytes that are no point of the curve.
    #[error("expected a point on P-256, got none")]
    NotOnCurve,
    /// A private key whose parts do not fit together, or without its public key.
    #[error("expected a consistent private key that includes its public key")]
    Inconsistent,
    /// A primitive failed, or the system's random number generator did.
    #[error("the cryptographic operation failed")]
    Crypto,
}

impl From<CryptoError> for KeyError {
    fn from(_: CryptoError) -> Self {
        Self::Crypto
    }
}

/// A public key that verifies an authority's signatures.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerificationKey {
    point: [u8; POINT_BYTES],
    name: KeyName,
}

/// What an authority calls a key, so that a device with several finds the one that signed.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct KeyName {
    /// Its identifier: in GAEN mostly the mobile country code, `"262"`.
    pub id: Option<String>,
    /// Its version, `"v1"`.
    pub version: Option<String>,
}

impl KeyName {
    /// The name of both parts.
    pub fn new(id: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            id: Some(id.into()),
            version: Some(version.into()),
        }
    }

    /// Whether a signature that names `claimed` may be this key's: a part that this key leaves open
    /// admits any.
    pub(super) fn admits(&self, claimed: &Self) -> bool {
        let part = |ours: &Option<String>, theirs| ours.is_none() || ours == theirs;
        part(&self.id, &claimed.id) && part(&self.version, &claimed.version)
    }
}

/// The parts in quotes, so that text from a file cannot pass for the rest of a message.
impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.id, &self.version) {
            (Some(id), Some(version)) => write!(f, "key {id:?} version {version:?}"),
            (Some(id), None) => write!(f, "key {id:?}"),
            (None, Some(version)) => write!(f, "key without id, version {version:?}"),
            (None, None) => f.write_str("key without a name"),
        }
    }
}

impl VerificationKey {
    /// The key in `pem`, a block `-----BEGIN PUBLIC KEY-----`. Text around the block is ignored.
    ///
    /// # Errors
    ///
    /// [`KeyError`], by name.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_spki_der(&pem_block(pem, PUBLIC_LABEL)?)
    }

    /// The key in a SubjectPublicKeyInfo.
    ///
    /// # Errors
    ///
    /// [`KeyError`], by name.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::NotDer {
            label: PUBLIC_LABEL,
        };
        let (info, rest) = der_value(der, SEQUENCE).ok_or(malformed)?;
        let (algorithm, bits) = der_value(info, SEQUENCE).ok_or(malformed)?;
        require_p256(algorithm, malformed)?;
        let (bits, after) = der_value(bits, BIT_STRING).ok_or(malformed)?;
        match bits.split_first() {
            Some((0, point)) if rest.is_empty() && after.is_empty() => {
                Self::from_uncompressed_point(point)
            }
            _ => Err(malformed),
        }
    }

    /// The key with this public point: 65 bytes that begin with 4.
    ///
    /// # Errors
    ///
    /// [`KeyError::Length`] or [`KeyError::NotOnCurve`].
    pub fn from_uncompressed_point(point: &[u8]) -> Result<Self, KeyError> {
        let point: [u8; POINT_BYTES] = point
            .try_into()
            .map_err(|_| KeyError::Length { got: point.len() })?;
        if !p256_point_is_valid(&point) {
            return Err(KeyError::NotOnCurve);
        }
        Ok(Self {
            point,
            name: KeyName::default(),
        })
    }

    /// The same key under `name`: it is then tried only on signatures that bear the name.
    #[must_use]
    pub fn named(self, name: KeyName) -> Self {
        Self { name, ..self }
    }

    /// What the authority calls it.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The 65 bytes of the uncompressed point.
    pub fn as_uncompressed_point(&self) -> &[u8; POINT_BYTES] {
        &self.point
    }

    /// The key as PEM, without its name.
    pub fn to_pem(&self) -> String {
        let der = [SPKI_PREFIX.as_slice(), &self.point].concat();
        pem_text(PUBLIC_LABEL, &der).to_string()
    }

    /// Whether `signature` (X9.62 DER) is this key's over the SHA-256 of `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.verify_digest(&sha256(&[message]), signature)
    }

    /// [`verify`](Self::verify) of a message whose SHA-256 is known, because it is too long to be held.
    pub(super) fn verify_digest(&self, digest: &[u8; 32], signature: &[u8]) -> bool {
        ecdsa_p256_verify(&self.point, digest, signature)
    }
}

/// A private key with which an authority signs. Its bytes are wiped when dropped and never printed.
pub struct SigningKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: EcdsaP256KeyPair,
    public: VerificationKey,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl SigningKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] if the system has none to give.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pkcs8_der(&EcdsaP256KeyPair::generate_pkcs8()?)
    }

    /// The key in `pem`, a block `-----BEGIN PRIVATE KEY-----`. `EC PRIVATE KEY`, OpenSSL's older
    /// form, is refused: `openssl pkcs8 -topk8 -nocrypt` turns it into this one.
    ///
    /// # Errors
    ///
    /// [`KeyError`], by name.
    pub fn from_pkcs8_pem(pem: &str) -> Result<Self, KeyError> {
        Self::from_pkcs8_der(&pem_block(pem, PRIVATE_LABEL)?)
    }

    /// The key in a PKCS#8 document, which must include the public key.
    ///
    /// # Errors
    ///
    /// [`KeyError`], by name.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::NotDer {
            label: PRIVATE_LABEL,
        };
        let (info, _) = der_value(der, SEQUENCE).ok_or(malformed)?;
        let (_, after_version) = der_value(info, INTEGER).ok_or(malformed)?;
        let (algorithm, key) = der_value(after_version, SEQUENCE).ok_or(malformed)?;
        require_p256(algorithm, malformed)?;
        let scalar = private_scalar(key).ok_or(malformed)?;
        let pair = EcdsaP256KeyPair::from_pkcs8(der, scalar).map_err(|_| KeyError::Inconsistent)?;
        Ok(Self {
            pkcs8: Zeroizing::new(der.to_vec()),
            public: VerificationKey::from_uncompressed_point(&pair.public_key()?)?,
            pair,
        })
    }

    /// The same key under `name`, which its signatures will bear.
    #[must_use]
    pub fn named(mut self, name: KeyName) -> Self {
        self.public = self.public.named(name);
        self
    }

    /// The public half, with the name.
    pub fn verification_key(&self) -> &VerificationKey {
        &self.public
    }

    /// The key as a PKCS#8 document.
    pub fn as_pkcs8_der(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The key as PEM, without its name.
    pub fn to_pkcs8_pem(&self) -> Zeroizing<String> {
        pem_text(PRIVATE_LABEL, &self.pkcs8)
    }

    /// The signature (X9.62 DER) over the SHA-256 of `message`, the same each time (RFC 6979).
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`], which does not happen with a key that was read.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.pair.sign(message)?)
    }
}

#[cfg(test)]
mod tests;
