//! The keys with which an authority signs what it publishes: ECDSA on P-256 with SHA-256.
//!
//! A public key travels as PEM of its SubjectPublicKeyInfo (RFC 5480, RFC 7468) or as its
//! uncompressed point; a private key as PKCS#8 (RFC 5958), which `openssl genpkey -algorithm EC
//! -pkeyopt ec_paramgen_curve:P-256` writes.

mod encoding;

use std::fmt;

use zeroize::Zeroizing;

use encoding::{
    BIT_STRING, INTEGER, PRIVATE_LABEL, PUBLIC_LABEL, SEQUENCE, SPKI_PREFIX, der_value, pem_block,
    pem_text, require_p256,
};

use crate::crypto::{CryptoError, EcdsaP256KeyPair, ecdsa_p256_verify, p256_point_is_valid};

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
    /// The system's random number generator failed.
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
        if !p256_point_is_valid(&point)? {
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
        ecdsa_p256_verify(&self.point, message, signature)
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
        let (algorithm, _) = der_value(after_version, SEQUENCE).ok_or(malformed)?;
        require_p256(algorithm, malformed)?;
        let pair = EcdsaP256KeyPair::from_pkcs8(der).map_err(|_| KeyError::Inconsistent)?;
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

    /// The signature (X9.62 DER) over the SHA-256 of `message`.
    ///
    /// # Errors
    ///
    /// [`KeyError::Crypto`] if the system has no random numbers to give.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.pair.sign(message)?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// google/exposure-notifications-server, examples/export.
    const GOOGLE: &str = include_str!("../../../tests/vectors/gaen/gens_testExport.public.pem");

    /// The SubjectPublicKeyInfo of an RSA key begins with this AlgorithmIdentifier (RFC 8017, A.1).
    const RSA_ALGORITHM: [u8; 15] = [
        0x30, 0x0D, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01, 0x05, 0x00,
    ];

    fn spki() -> Vec<u8> {
        pem_block(GOOGLE, PUBLIC_LABEL).unwrap().to_vec()
    }

    #[test]
    fn a_published_key_survives() {
        let key = VerificationKey::from_pem(GOOGLE).unwrap();
        assert_eq!(key.to_pem(), GOOGLE);
        assert_eq!(
            VerificationKey::from_uncompressed_point(key.as_uncompressed_point()).unwrap(),
            key
        );
        let windows = GOOGLE.replace('\n', "\r\n");
        let around = format!("subject: the authority\n{windows}the end\n");
        assert_eq!(VerificationKey::from_pem(&around).unwrap(), key);
    }

    #[test]
    fn not_pem() {
        let refused = |pem: &str| {
            let label = PUBLIC_LABEL;
            let error = VerificationKey::from_pem(pem).unwrap_err();
            assert_eq!(error, KeyError::NotPem { label }, "{pem}");
        };
        refused("");
        refused("key");
        refused(&GOOGLE.replace("PUBLIC KEY", "CERTIFICATE"));
        refused(&GOOGLE.replace("-----END PUBLIC KEY-----", ""));
        refused(&GOOGLE.replace("MFkw", "MFk!"));
        refused(&GOOGLE.replace("==", "="));
        refused(&GOOGLE.repeat(2));
        refused(&SigningKey::generate().unwrap().to_pkcs8_pem());
    }

    #[test]
    fn wrong_algorithm() {
        let rsa = [&[0x30, 0x11][..], &RSA_ALGORITHM, &[0x03, 0x00]].concat();
        assert_eq!(
            VerificationKey::from_spki_der(&rsa),
            Err(KeyError::Algorithm)
        );
        let rsa = [&[0x30, 0x12, 0x02, 0x01, 0x00][..], &RSA_ALGORITHM].concat();
        assert_eq!(
            SigningKey::from_pkcs8_der(&rsa).unwrap_err(),
            KeyError::Algorithm
        );
    }

    #[test]
    fn wrong_curve() {
        // 1.2.840.10045.3.1.1 is P-192.
        let mut der = spki();
        der[22] = 1;
        assert_eq!(VerificationKey::from_spki_der(&der), Err(KeyError::Curve));
    }

    #[test]
    fn wrong_length() {
        let point = spki()[SPKI_PREFIX.len()..].to_vec();
        for len in 0..point.len() {
            assert_eq!(
                VerificationKey::from_uncompressed_point(&point[..len]),
                Err(KeyError::Length { got: len })
            );
        }
        // A compressed point in an otherwise right structure.
        let mut compressed = spki()[..SPKI_PREFIX.len() + 33].to_vec();
        (compressed[1], compressed[24], compressed[26]) = (0x39, 0x22, 2);
        assert_eq!(
            VerificationKey::from_spki_der(&compressed),
            Err(KeyError::Length { got: 33 })
        );
    }

    #[test]
    fn not_on_curve() {
        let mut der = spki();
        der[90] ^= 1;
        assert_eq!(
            VerificationKey::from_spki_der(&der),
            Err(KeyError::NotOnCurve)
        );
        // The point's first byte names its form; 5 names none.
        der[90] ^= 1;
        der[26] = 5;
        assert_eq!(
            VerificationKey::from_spki_der(&der),
            Err(KeyError::NotOnCurve)
        );
    }

    #[test]
    fn truncated_everywhere_and_lengthened() {
        let der = spki();
        for end in 0..der.len() {
            assert!(VerificationKey::from_spki_der(&der[..end]).is_err());
        }
        assert!(VerificationKey::from_spki_der(&[&der[..], &[0]].concat()).is_err());
        let key = SigningKey::generate().unwrap();
        let der = key.as_pkcs8_der();
        for end in 0..der.len() {
            assert!(SigningKey::from_pkcs8_der(&der[..end]).is_err());
        }
    }

    #[test]
    fn a_signing_key_survives() {
        let key = SigningKey::generate()
            .unwrap()
            .named(KeyName::new("452", "v1"));
        let pem = key.to_pkcs8_pem();
        assert!(pem.lines().all(|line| line.len() <= 64));
        let again = SigningKey::from_pkcs8_pem(&pem).unwrap();
        assert_eq!(again.as_pkcs8_der(), key.as_pkcs8_der());
        let signature = again.sign(b"message").unwrap();
        assert!(key.verification_key().verify(b"message", &signature));
        assert!(!key.verification_key().verify(b"massage", &signature));
        assert_eq!(key.verification_key().name(), &KeyName::new("452", "v1"));
        assert_eq!(again.verification_key().name(), &KeyName::default());
    }

    fn framed(label: &str, lines: &[&str]) -> String {
        let body = lines.join("\n");
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn a_key_of_openssl() {
        // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256; made for this test, worth
        // nothing. Without its frame here, so that no search for leaked keys stumbles over it.
        let private = framed(
            "PRIVATE KEY",
            &[
                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTv8SACf0XOxT3kcX",
                "q4wEeIdkcNmbT+B9Jb+Rq7pVndShRANCAARfNfTVkug80/wyV5DWnwRR+imXunLb",
                "hqI8ix9OliXVMksWSKk+ez1ZJHT7J+aziBMBQoPRz+qs0WRg+z+VGk+U",
            ],
        );
        let public = framed(
            "PUBLIC KEY",
            &[
                "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEXzX01ZLoPNP8MleQ1p8EUfopl7py",
                "24aiPIsfTpYl1TJLFkipPns9WSR0+yfms4gTAUKD0c/qrNFkYPs/lRpPlA==",
            ],
        );
        let key = SigningKey::from_pkcs8_pem(&private).unwrap();
        assert_eq!(key.verification_key().to_pem(), public);
        assert_eq!(*key.to_pkcs8_pem(), private);
    }

    #[test]
    fn parts_that_do_not_fit() {
        let mut der = SigningKey::generate().unwrap().as_pkcs8_der().to_vec();
        let last = der.len() - 1;
        der[last] ^= 1;
        assert_eq!(
            SigningKey::from_pkcs8_der(&der).unwrap_err(),
            KeyError::Inconsistent
        );
    }

    #[test]
    fn a_signing_key_prints_nothing() {
        let key = SigningKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SigningKey(..)");
    }

    #[test]
    fn names_admit() {
        let (any, v1) = (KeyName::default(), KeyName::new("310", "v1"));
        assert!(any.admits(&v1) && any.admits(&any) && v1.admits(&v1));
        assert!(!v1.admits(&any));
        assert!(!v1.admits(&KeyName::new("310", "v2")));
        assert!(!v1.admits(&KeyName::new("311", "v1")));
        assert_eq!(v1.to_string(), "key \"310\" version \"v1\"");
    }

    proptest! {
        #[test]
        fn any_text(text: String, bytes: Vec<u8>) {
            let _ = VerificationKey::from_pem(&text);
            let _ = SigningKey::from_pkcs8_pem(&text);
            let _ = VerificationKey::from_spki_der(&bytes);
            let _ = SigningKey::from_pkcs8_der(&bytes);
        }

        /// Every single byte of the structure matters; those of the point make another key at most.
        #[test]
        fn mutations(at in 0..91usize, byte: u8) {
            let mut der = spki();
            let same = der[at] == byte;
            der[at] = byte;
            prop_assert_eq!(VerificationKey::from_spki_der(&der).is_ok(), same);
        }
    }
}
