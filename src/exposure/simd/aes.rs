//! AES-128 (FIPS 197) with four blocks in a vector.

use std::arch::x86_64::*;

use super::vector::Vector;

/// Vectors encrypted side by side. Chosen: 48 blocks are a third of a key's, and leave room for the round keys
/// in the registers.
pub(super) const ABREAST: usize = 12;

/// Rcon of rounds 1 to 10.
const ROUND_CONSTANTS: [i32; 10] = [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x1B, 0x36];

/// The round keys of sixteen keys.
pub(super) struct Schedules([[__m128i; 16]; 11]);

impl Schedules {
    /// Of the keys in `keys`, four in each.
    #[target_feature(enable = "avx512f,avx512bw,vaes")]
    #[inline]
    pub(super) fn new(mut keys: [Vector; 4]) -> Self {
        let mut rounds = [[_mm_setzero_si128(); 16]; 11];
        let mut constants = ROUND_CONSTANTS.into_iter();
        for round in &mut rounds {
            let (quarters, _) = round.as_chunks_mut::<4>();
            for (quarter, key) in quarters.iter_mut().zip(keys) {
                *quarter = [
                    _mm512_extracti32x4_epi32::<0>(key),
                    _mm512_extracti32x4_epi32::<1>(key),
                    _mm512_extracti32x4_epi32::<2>(key),
                    _mm512_extracti32x4_epi32::<3>(key),
                ];
            }
            let Some(constant) = constants.next() else {
                break;
            };
            for key in &mut keys {
                *key = next_round_key(*key, constant);
            }
        }
        Self(rounds)
    }

    /// The round keys of key `number`, up to 15, each in all four places.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn of(&self, number: usize) -> [Vector; 11] {
        let mut keys = [_mm512_setzero_si512(); 11];
        for (key, round) in keys.iter_mut().zip(&self.0) {
            if let Some(of_number) = round.get(number) {
                *key = _mm512_broadcast_i32x4(*of_number);
            }
        }
        keys
    }
}

/// FIPS 197, 5.2, for four keys.
#[target_feature(enable = "avx512f,avx512bw,vaes")]
#[inline]
fn next_round_key(key: Vector, constant: i32) -> Vector {
    // The last word, rotated, in each column: ShiftRows moves nothing then, and AES's last round is SubWord.
    let last = _mm512_shuffle_epi8(key, _mm512_set1_epi32(0x0C0F_0E0D));
    let word = _mm512_aesenclast_epi128(last, _mm512_set1_epi32(constant));
    // Each word is the sum of all before it.
    let key = _mm512_xor_si512(key, _mm512_bslli_epi128::<4>(key));
    let key = _mm512_xor_si512(key, _mm512_bslli_epi128::<8>(key));
    _mm512_xor_si512(key, word)
}

/// Encrypts each block by itself.
#[target_feature(enable = "avx512f,vaes")]
#[inline]
pub(super) fn encrypt(keys: &[Vector; 11], mut blocks: [Vector; ABREAST]) -> [Vector; ABREAST] {
    let [first, middle @ .., last] = keys;
    for block in &mut blocks {
        *block = _mm512_xor_si512(*block, *first);
    }
    for key in middle {
        for block in &mut blocks {
            *block = _mm512_aesenc_epi128(*block, *key);
        }
    }
    for block in &mut blocks {
        *block = _mm512_aesenclast_epi128(*block, *last);
    }
    blocks
}
