//! Sealed records, for engines that do not encrypt: ChaCha20-Poly1305, as in the encounter log.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use truyvet::Sighting;

use super::KEY;
use crate::Result;
use crate::record;

/// A record and its tag. The nonce is the number that the record is stored under, which no other has, so
/// that it needs no place of its own.
pub(super) const SEALED_LEN: usize = record::LEN + 16;

pub(super) struct Sealer(LessSafeKey);

impl Sealer {
    pub(super) fn new() -> Result<Self> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &KEY).map_err(|e| e.to_string())?;
        Ok(Self(LessSafeKey::new(key)))
    }

    pub(super) fn seal(&self, number: u64, sighting: &Sighting) -> Result<[u8; SEALED_LEN]> {
        let mut record = record::encode(sighting)?;
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(number), Aad::empty(), &mut record)
            .map_err(|_| "a record could not be sealed")?;
        let mut sealed = [0; SEALED_LEN];
        for (to, from) in sealed.iter_mut().zip(record.iter().chain(tag.as_ref())) {
            *to = *from;
        }
        Ok(sealed)
    }

    pub(super) fn open(&self, number: u64, sealed: &[u8; SEALED_LEN]) -> Result<Sighting> {
        let mut sealed = *sealed;
        let record = self
            .0
            .open_in_place(nonce(number), Aad::empty(), &mut sealed)
            .map_err(|_| format!("record {number} does not open"))?;
        record::decode(record)
    }
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    for (to, from) in nonce.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::days;

    fn sealed() -> (Sealer, Sighting, [u8; SEALED_LEN]) {
        let sealer = Sealer::new().unwrap();
        let sighting = days::half_minute(1, 1, 1);
        let sealed = sealer.seal(9, &sighting).unwrap();
        assert_eq!(sealer.open(9, &sealed).unwrap(), sighting);
        (sealer, sighting, sealed)
    }

    #[test]
    fn every_byte_flipped() {
        let (sealer, _, sealed) = sealed();
        for at in 0..SEALED_LEN {
            let mut flipped = sealed;
            flipped[at] ^= 1;
            assert!(sealer.open(9, &flipped).is_err(), "byte {at}");
        }
    }

    #[test]
    fn moved_to_another_number() {
        let (sealer, _, sealed) = sealed();
        assert!(sealer.open(10, &sealed).is_err());
    }
}
