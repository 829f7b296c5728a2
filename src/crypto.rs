//! The primitives, and the only place that names ring, aes, sha2, p256, hpke and argon2.
//!
//! Everything else asks for a primitive by what it is in a specification; which library computes it
//! is decided here.

use aes::Aes128Enc;
use aes::cipher::{Block, BlockCipherEncrypt, KeyInit};
use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use ring::rand::SecureRandom;
use ring::signature::KeyPair;
use ring::{aead, digest, hkdf, rand, signature};

use crate::secret::Secret;

mod compact;
mod hmac;
mod sealed;
mod short;

pub(crate) use compact::{ecdsa_p256_verify_compact, p256_decompressed, signature_without_der};
pub(crate) use hmac::{hmac_sha256, hmac_sha256_verify};
pub(crate) use sealed::{ENCAPSULATED_BYTES, open_sealed, public_key, seal_to, step};
#[cfg(target_arch = "x86_64")]
pub(crate) use short::{INNER_PAD, OUTER_PAD, SHA256_START};
pub(crate) use short::{UnsaltedHkdf, sha256_short};

/// Bytes that sealing adds: the Poly1305 tag.
pub(crate) const TAG_BYTES: usize = 16;

/// The primitive could not be computed; ring tells no more, on purpose.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the cryptographic operation failed")]
pub(crate) struct CryptoError;

impl From<ring::error::Unspecified> for CryptoError {
    fn from(_: ring::error::Unspecified) -> Self {
        Self
    }
}

pub(crate) fn system_random(out: &mut [u8]) -> Result<(), CryptoError> {
    Ok(rand::SystemRandom::new().fill(out)?)
}

/// SHA-256 over bytes that come in parts. A copy goes its own way from there on.
#[derive(Clone)]
pub(crate) struct Sha256(digest::Context);

impl Sha256 {
    pub(crate) fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

/// SHA-256 over the concatenation of `parts`.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finish()
}

/// `HKDF(ikm, salt, info, N)` with SHA-256, RFC 5869. An empty `salt` is "no salt".
pub(crate) fn hkdf_sha256<const N: usize>(
    ikm: &[u8],
    salt: &[u8],
    info: &[&[u8]],
) -> Result<Secret<N>, CryptoError> {
    struct Length(usize);
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let mut out = zeroize::Zeroizing::new([0; N]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(ikm)
        .expand(info, Length(N))?
        .fill(out.as_mut())?;
    Ok(Secret::new(*out))
}

/// Argon2id, version 0x13 (RFC 9106), without a secret or associated data: `memory_kib` KiB, filled
/// `iterations` times in `lanes` lanes. They are computed one after the other, and wiped.
///
/// An error is a parameter that RFC 9106 forbids, or memory that cannot be had.
#[cfg(feature = "passphrase")]
pub(crate) fn argon2id(
    passphrase: &[u8],
    salt: &[u8; 16],
    (memory_kib, iterations, lanes): (u32, u32, u32),
) -> Result<Secret<32>, CryptoError> {
    use argon2::{Algorithm, Argon2, Block, Params, Version};
    let params = Params::new(memory_kib, iterations, lanes, Some(32)).map_err(|_| CryptoError)?;
    let blocks = params.block_count();
    let mut memory = zeroize::Zeroizing::new(Vec::new());
    memory.try_reserve_exact(blocks).map_err(|_| CryptoError)?;
    memory.resize(blocks, Block::default());
    let mut out = zeroize::Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, out.as_mut(), memory.as_mut_slice())
        .map_err(|_| CryptoError)?;
    Ok(Secret::new(*out))
}

/// A scheduled AES-128 key that encrypts whole blocks (FIPS 197); the schedule is wiped on drop.
pub(crate) struct Aes128Key(Aes128Enc);

impl Aes128Key {
    pub(crate) fn new(key: &Secret<16>) -> Self {
        Self(Aes128Enc::new(key.expose().into()))
    }

    pub(crate) fn encrypt_block(&self, block: &mut [u8; 16]) {
        self.0.encrypt_block(block.into());
    }

    /// Encrypts each block by itself; several at once where the processor can.
    pub(crate) fn encrypt_blocks(&self, blocks: &mut [[u8; 16]]) {
        self.0
            .encrypt_blocks(Block::<Aes128Enc>::cast_slice_from_core_mut(blocks));
    }
}

/// Encrypts each block of `from` by itself into its place in `to`, under a key that is no secret: nothing is
/// wiped, which would take a tenth of the time.
pub(crate) fn aes128_published<const N: usize>(
    key: &[u8; 16],
    from: &[[u8; 16]; N],
    to: &mut [[u8; 16]; N],
) {
    let key = std::mem::ManuallyDrop::new(Aes128Enc::new(key.into()));
    let from = Block::<Aes128Enc>::cast_slice_from_core(from);
    let to = Block::<Aes128Enc>::cast_slice_from_core_mut(to);
    let same_length = key.encrypt_blocks_b2b(from, to);
    debug_assert!(same_length.is_ok());
}

/// ChaCha20-Poly1305 (RFC 8439) under one key. Chosen over AES-GCM because it is constant-time on
/// processors without AES instructions, which cheap phones still are.
pub(crate) struct AeadKey(aead::LessSafeKey);

impl AeadKey {
    pub(crate) fn new(key: &Secret<32>) -> Result<Self, CryptoError> {
        let key = aead::UnboundKey::new(&aead::CHACHA20_POLY1305, key.expose())?;
        Ok(Self(aead::LessSafeKey::new(key)))
    }

    /// Seals `plaintext` where it stands and appends the tag. A nonce must never be used for two
    /// plaintexts under one key.
    pub(crate) fn seal(
        &self,
        nonce: u64,
        aad: &[u8],
        plaintext: &mut Vec<u8>,
    ) -> Result<(), CryptoError> {
        let aad = aead::Aad::from(aad);
        Ok(self
            .0
            .seal_in_place_append_tag(nonce_bytes(nonce), aad, plaintext)?)
    }

    /// Opens `sealed` where it stands and gives the plaintext in it.
    pub(crate) fn open<'a>(
        &self,
        nonce: u64,
        aad: &[u8],
        sealed: &'a mut [u8],
    ) -> Result<&'a [u8], CryptoError> {
        let aad = aead::Aad::from(aad);
        Ok(self.0.open_in_place(nonce_bytes(nonce), aad, sealed)?)
    }
}

fn nonce_bytes(counter: u64) -> aead::Nonce {
    let mut bytes = [0; aead::NONCE_LEN];
    for (to, from) in bytes.iter_mut().zip(counter.to_le_bytes()) {
        *to = from;
    }
    aead::Nonce::assume_unique_for_key(bytes)
}

/// Whether `signature` (X9.62 DER) is an ECDSA-P256-SHA256 signature, by the holder of `public_key`
/// (the 65-byte uncompressed point), of the message whose SHA-256 is `digest`.
pub(crate) fn ecdsa_p256_verify(
    public_key: &[u8; 65],
    digest: &[u8; 32],
    signature: &[u8],
) -> bool {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public_key);
    let signature = p256::ecdsa::Signature::from_der(signature);
    match (key, signature) {
        (Ok(key), Ok(signature)) => key.verify_prehash(digest, &signature).is_ok(),
        _ => false,
    }
}

/// Whether `point` (65 bytes, uncompressed) lies on P-256.
pub(crate) fn p256_point_is_valid(point: &[u8; 65]) -> bool {
    p256::ecdsa::VerifyingKey::from_sec1_bytes(point).is_ok()
}

/// An ECDSA P-256 key pair, which signs without random numbers (RFC 6979): the same message has the same
/// signature, and a generator that fails cannot give the key away.
pub(crate) struct EcdsaP256KeyPair(p256::ecdsa::SigningKey);

impl EcdsaP256KeyPair {
    /// A new key as its PKCS#8 v1 document (RFC 5958).
    pub(crate) fn generate_pkcs8() -> Result<zeroize::Zeroizing<Vec<u8>>, CryptoError> {
        let document = signature::EcdsaKeyPair::generate_pkcs8(
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            &rand::SystemRandom::new(),
        )?;
        Ok(zeroize::Zeroizing::new(document.as_ref().to_vec()))
    }

    /// The key of a PKCS#8 document, which must hold the public key too; `scalar` is the private key in it.
    pub(crate) fn from_pkcs8(pkcs8: &[u8], scalar: &[u8]) -> Result<Self, CryptoError> {
        // ring checks that the document's two halves belong together.
        let checked = signature::EcdsaKeyPair::from_pkcs8(
            &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            pkcs8,
            &rand::SystemRandom::new(),
        )
        .map_err(|_| CryptoError)?;
        let key = Self(p256::ecdsa::SigningKey::from_slice(scalar).map_err(|_| CryptoError)?);
        match checked.public_key().as_ref() == key.public_key()?.as_slice() {
            true => Ok(key),
            false => Err(CryptoError),
        }
    }

    /// The uncompressed point of the public key.
    pub(crate) fn public_key(&self) -> Result<[u8; 65], CryptoError> {
        let point = self.0.verifying_key().to_sec1_point(false);
        point.as_bytes().try_into().map_err(|_| CryptoError)
    }

    /// The signature of `message`, X9.62 DER.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let signature: p256::ecdsa::Signature = self
            .0
            .sign_prehash(&sha256(&[message]))
            .map_err(|_| CryptoError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER_PERMISSIVE as HEX;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEX.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    fn pair(scalar: &[u8; 32]) -> EcdsaP256KeyPair {
        EcdsaP256KeyPair(p256::ecdsa::SigningKey::from_slice(scalar).unwrap())
    }

    /// FIPS 180-4 example "abc".
    #[test]
    fn sha256_of_parts_is_sha256_of_the_whole() {
        let expected = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(sha256(&[b"abc"]), expected);
        assert_eq!(sha256(&[b"a", b"", b"bc"]), expected);
    }

    /// RFC 5869, test case 1.
    #[test]
    fn hkdf_test_case_1() {
        let okm: Secret<42> = hkdf_sha256(
            &[0x0b; 22],
            &hex::<13>("000102030405060708090a0b0c"),
            &[&hex::<10>("f0f1f2f3f4f5f6f7f8f9")],
        )
        .unwrap();
        assert_eq!(
            okm.expose(),
            &hex(
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
            )
        );
    }

    /// FIPS 197, appendix C.1.
    #[test]
    fn aes_128_example() {
        let key = Aes128Key::new(&Secret::new(hex("000102030405060708090a0b0c0d0e0f")));
        let (plain, cipher) = (
            hex("00112233445566778899aabbccddeeff"),
            hex("69c4e0d86a7b0430d8cdb78070b4c55a"),
        );
        let mut block = plain;
        key.encrypt_block(&mut block);
        assert_eq!(block, cipher);
        let mut blocks = [plain; 20];
        key.encrypt_blocks(&mut blocks);
        assert_eq!(blocks, [cipher; 20]);
        let mut apart = [[0; 16]; 20];
        let published = hex("000102030405060708090a0b0c0d0e0f");
        aes128_published(&published, &[plain; 20], &mut apart);
        assert_eq!(apart, [cipher; 20]);
    }

    #[test]
    fn sealed_bytes_open_only_as_they_were_sealed() {
        let key = AeadKey::new(&Secret::new([1; 32])).unwrap();
        let mut sealed = b"sighting".to_vec();
        key.seal(7, b"aad", &mut sealed).unwrap();
        assert_eq!(sealed.len(), 8 + TAG_BYTES);
        assert_eq!(
            key.open(7, b"aad", &mut sealed.clone()).unwrap(),
            b"sighting"
        );
        assert!(key.open(8, b"aad", &mut sealed.clone()).is_err());
        assert!(key.open(7, b"AAD", &mut sealed.clone()).is_err());
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(key.open(7, b"aad", &mut flipped).is_err());
        }
    }

    #[test]
    fn signatures_verify_with_their_own_key_alone() {
        let (ours, other) = (pair(&[1; 32]), pair(&[2; 32]));
        let signature = ours.sign(b"message").unwrap();
        let key = ours.public_key().unwrap();
        let (digest, another) = (sha256(&[b"message"]), sha256(&[b"massage"]));
        assert!(ecdsa_p256_verify(&key, &digest, &signature));
        assert!(!ecdsa_p256_verify(&key, &another, &signature));
        assert!(!ecdsa_p256_verify(
            &other.public_key().unwrap(),
            &digest,
            &signature
        ));
        for bit in 0..signature.len() * 8 {
            let mut flipped = signature.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(!ecdsa_p256_verify(&key, &digest, &flipped));
        }
        for end in 0..signature.len() {
            assert!(!ecdsa_p256_verify(&key, &digest, &signature[..end]));
        }
        // (0, 0), which a verifier that forgets to look would take for any message.
        assert!(!ecdsa_p256_verify(
            &key,
            &digest,
            &[0x30, 6, 2, 1, 0, 2, 1, 0]
        ));
    }

    /// RFC 6979, A.2.5, "sample" with SHA-256.
    #[test]
    fn ecdsa_p256_example() {
        let point: [u8; 65] = hex(concat!(
            "04",
            "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
            "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
        ));
        let r: [u8; 32] = hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716");
        let s: [u8; 32] = hex("f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
        let signature = [&[0x30, 70, 2, 33, 0][..], &r, &[2, 33, 0], &s].concat();
        assert!(ecdsa_p256_verify(&point, &sha256(&[b"sample"]), &signature));
        assert!(!ecdsa_p256_verify(&point, &sha256(&[b"test"]), &signature));
        let scalar: [u8; 32] =
            hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
        let key = pair(&scalar);
        assert_eq!(key.public_key().unwrap(), point);
        assert_eq!(key.sign(b"sample").unwrap(), signature);
    }

    #[test]
    fn a_point_off_the_curve_is_known() {
        let mut point = pair(&[7; 32]).public_key().unwrap();
        assert!(p256_point_is_valid(&point));
        point[64] ^= 1;
        assert!(!p256_point_is_valid(&point));
        assert!(!p256_point_is_valid(&[4; 65]));
        assert!(!p256_point_is_valid(&[0; 65]));
    }

    /// By OpenSSL 3, through Python's `cryptography`; one lane and several.
    #[cfg(feature = "passphrase")]
    #[test]
    fn argon2id_is_argon2id() {
        let salt = b"somesaltsomesalt";
        for (parameters, expected) in [
            (
                (256, 2, 1),
                "cab746b4621993fdc91ec50787980b414a90a692f0bc68dfe19f9c25b3cba9ec",
            ),
            (
                (64, 1, 4),
                "9eb6d5bde0b23891ac2cf1667be5474dcab7b72afb111f7f909a09b152bab14a",
            ),
        ] {
            let key = argon2id(b"password", salt, parameters).unwrap();
            assert_eq!(key.expose(), &hex(expected));
        }
        // RFC 9106, 3.1: at least 8 KiB a lane, and at least one of each.
        for forbidden in [(15, 1, 2), (8, 0, 1), (8, 1, 0), (0, 0, 0)] {
            assert!(argon2id(b"password", salt, forbidden).is_err());
        }
    }
}
