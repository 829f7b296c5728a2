//! Sealing to a public key (RFC 9180, HPKE, base mode), and keys that only go forward.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{Infallible, TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use ring::hkdf;
use zeroize::Zeroizing;

use super::{CryptoError, sha256, system_random};
use crate::secret::Secret;

/// Bytes of an encapsulated key, `Nenc` of DHKEM(X25519, HKDF-SHA256).
pub(crate) const ENCAPSULATED_BYTES: usize = 32;

type Suite = X25519HkdfSha256;

/// The X25519 public key of `private`, any 32 random bytes.
pub(crate) fn public_key(private: &Secret<32>) -> Result<[u8; 32], CryptoError> {
    let public = Suite::sk_to_pk(&private_key(private)?);
    Ok(public.to_bytes().into())
}

fn private_key(private: &Secret<32>) -> Result<<Suite as Kem>::PrivateKey, CryptoError> {
    <Suite as Kem>::PrivateKey::from_bytes(private.expose()).map_err(|_| CryptoError)
}

/// `enc, ct = SealBase(pkR, info, aad, pt)` with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and
/// ChaCha20-Poly1305.
pub(crate) fn seal_to(
    public: &[u8; 32],
    info: &[u8],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<([u8; ENCAPSULATED_BYTES], Vec<u8>), CryptoError> {
    let recipient = <Suite as Kem>::PublicKey::from_bytes(public).map_err(|_| CryptoError)?;
    let mut random = Drawn::new()?;
    let (encapsulated, sealed) =
        hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, Suite>(
            &OpModeS::Base,
            &recipient,
            info,
            plaintext,
            aad,
            &mut random,
        )
        .map_err(|_| CryptoError)?;
    Ok((encapsulated.to_bytes().into(), sealed))
}

/// `pt = OpenBase(enc, skR, info, aad, ct)`, the other side of [`seal_to`].
pub(crate) fn open_sealed(
    private: &Secret<32>,
    encapsulated: &[u8; ENCAPSULATED_BYTES],
    info: &[u8],
    aad: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let encapsulated =
        <Suite as Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| CryptoError)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, Suite>(
        &OpModeR::Base,
        &private_key(private)?,
        &encapsulated,
        info,
        sealed,
        aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| CryptoError)
}

/// `HKDF-Expand(PRK = key, info, 64)` (RFC 5869), halved: what is used now, and the key that comes next.
/// Neither tells the other, nor `key`.
pub(crate) fn step(key: &Secret<32>, info: &[u8]) -> Result<[Secret<32>; 2], CryptoError> {
    struct Length;
    impl hkdf::KeyType for Length {
        fn len(&self) -> usize {
            64
        }
    }
    let mut out = Zeroizing::new([[0; 32]; 2]);
    hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, key.expose())
        .expand(&[info], Length)?
        .fill(out.as_flattened_mut())?;
    Ok(out.map(Secret::new))
}

/// Random bytes for `hpke`, which knows no failing generator: SHA-256 in counter mode over what the
/// system's has given beforehand.
struct Drawn {
    seed: Zeroizing<[u8; 32]>,
    block_index: u64,
}

impl Drawn {
    fn new() -> Result<Self, CryptoError> {
        let mut seed = Zeroizing::new([0; 32]);
        system_random(seed.as_mut())?;
        Ok(Self {
            seed,
            block_index: 0,
        })
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let index = self.block_index.to_le_bytes();
            let block = Zeroizing::new(sha256(&[self.seed.as_ref(), &index]));
            self.block_index += 1;
            for (to, from) in chunk.iter_mut().zip(block.iter()) {
                *to = *from;
            }
        }
    }
}

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.array()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.array()))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        self.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER as HEX;

    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        HEX.decode(text.as_bytes()).unwrap().try_into().unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_private_key_alone() {
        let (private, other) = (Secret::new([1; 32]), Secret::new([2; 32]));
        let public = public_key(&private).unwrap();
        let (enc, sealed) = seal_to(&public, b"info", b"aad", b"root").unwrap();
        let open = |private, info: &[u8], aad: &[u8], sealed: &[u8]| {
            open_sealed(private, &enc, info, aad, sealed)
        };
        assert_eq!(
            **open(&private, b"info", b"aad", &sealed).as_ref().unwrap(),
            *b"root"
        );
        assert!(open(&other, b"info", b"aad", &sealed).is_err());
        assert!(open(&private, b"other", b"aad", &sealed).is_err());
        assert!(open(&private, b"info", b"other", &sealed).is_err());
        assert!(open(&private, b"info", b"aad", &sealed[1..]).is_err());
        let again = seal_to(&public, b"info", b"aad", b"root").unwrap();
        assert_ne!((enc, sealed), again);
    }

    /// RFC 7748, section 6.1: Alice's keys.
    #[test]
    fn public_keys_are_those_of_x25519() {
        let private = hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = hex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(public_key(&Secret::new(private)).unwrap(), public);
    }

    /// RFC 9180, appendix A.2.1 (DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305), first message.
    #[test]
    fn hpke_base_mode_of_the_rfc() {
        let private = Secret::new(hex(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb",
        ));
        let enc = hex("1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a");
        let info = HEX
            .decode(b"4f6465206f6e2061204772656369616e2055726e")
            .unwrap();
        let sealed = HEX
            .decode(
                b"1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28",
            )
            .unwrap();
        let opened = open_sealed(&private, &enc, &info, b"Count-0", &sealed).unwrap();
        assert_eq!(*opened, b"Beauty is truth, truth beauty");
    }

    #[test]
    fn a_step_tells_nothing_of_where_it_came_from() {
        let key = Secret::new([3; 32]);
        let [now, next] = step(&key, b"info").unwrap();
        let all = [key.expose(), now.expose(), next.expose()];
        assert!(
            all.iter()
                .enumerate()
                .all(|(i, a)| all[..i].iter().all(|b| a != b))
        );
        assert_eq!(step(&key, b"info").unwrap()[1].expose(), next.expose());
        assert_ne!(step(&key, b"other").unwrap()[1].expose(), next.expose());
    }
}
