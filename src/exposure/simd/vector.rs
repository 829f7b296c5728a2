//! Vectors of sixteen 32-bit words, to and from memory.

use std::arch::x86_64::*;

/// Sixteen words, or four blocks of sixteen bytes.
pub(super) type Vector = __m512i;

/// Of sixteen blocks the number `4 * vector + quarter`, and of its vector the number of its word: what lies where
/// after [`transpose`] is what lay at the same place with vector and word exchanged.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn transpose([a, b, c, d]: [Vector; 4]) -> [Vector; 4] {
    let (ab_low, ab_high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd_low, cd_high) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab_low, cd_low),
        _mm512_unpackhi_epi64(ab_low, cd_low),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// The word in all sixteen places.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn splat(word: u32) -> Vector {
    _mm512_set1_epi32(word.cast_signed())
}

/// The bytes of each word in the other order.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn swap_bytes(words: Vector) -> Vector {
    let order = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);
    _mm512_shuffle_epi8(words, _mm512_broadcast_i32x4(order))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(words: &[u32; 16]) -> Vector {
    // SAFETY: 64 bytes are read where the reference points to as many; no alignment is asked for.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load_blocks(blocks: &[[u8; 16]; 4]) -> Vector {
    // SAFETY: as in `load`.
    unsafe { _mm512_loadu_si512(blocks.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn store(vector: Vector, words: &mut [u32; 16]) {
    // SAFETY: 64 bytes are written where the reference points to as many; no alignment is asked for.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn store_blocks(vector: Vector, blocks: &mut [[u8; 16]; 4]) {
    // SAFETY: as in `store`.
    unsafe { _mm512_storeu_si512(blocks.as_mut_ptr().cast(), vector) }
}
