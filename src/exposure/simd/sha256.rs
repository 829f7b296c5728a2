//! SHA-256 (FIPS 180-4) of sixteen messages side by side, word for word in a vector's places.

use std::arch::x86_64::*;

use super::vector::{Vector, splat};
use crate::crypto::SHA256_START;

/// A hash's eight words, or the first of a block.
pub(super) type State = [Vector; 8];

/// K(t), FIPS 180-4, 4.2.2.
const ROUND_CONSTANTS: [u32; 64] = [
    0x428a_2f98,
    0x7137_4491,
    0xb5c0_fbcf,
    0xe9b5_dba5,
    0x3956_c25b,
    0x59f1_11f1,
    0x923f_82a4,
    0xab1c_5ed5,
    0xd807_aa98,
    0x1283_5b01,
    0x2431_85be,
    0x550c_7dc3,
    0x72be_5d74,
    0x80de_b1fe,
    0x9bdc_06a7,
    0xc19b_f174,
    0xe49b_69c1,
    0xefbe_4786,
    0x0fc1_9dc6,
    0x240c_a1cc,
    0x2de9_2c6f,
    0x4a74_84aa,
    0x5cb0_a9dc,
    0x76f9_88da,
    0x983e_5152,
    0xa831_c66d,
    0xb003_27c8,
    0xbf59_7fc7,
    0xc6e0_0bf3,
    0xd5a7_9147,
    0x06ca_6351,
    0x1429_2967,
    0x27b7_0a85,
    0x2e1b_2138,
    0x4d2c_6dfc,
    0x5338_0d13,
    0x650a_7354,
    0x766a_0abb,
    0x81c2_c92e,
    0x9272_2c85,
    0xa2bf_e8a1,
    0xa81a_664b,
    0xc24b_8b70,
    0xc76c_51a3,
    0xd192_e819,
    0xd699_0624,
    0xf40e_3585,
    0x106a_a070,
    0x19a4_c116,
    0x1e37_6c08,
    0x2748_774c,
    0x34b0_bcb5,
    0x391c_0cb3,
    0x4ed8_aa4a,
    0x5b9c_ca4f,
    0x682e_6ff3,
    0x748f_82ee,
    0x78a5_636f,
    0x84c8_7814,
    0x8cc7_0208,
    0x90be_fffa,
    0xa450_6ceb,
    0xbef9_a3f7,
    0xc671_78f2,
];

/// `vpternlogd`'s truth tables.
const XOR3: i32 = 0x96;
const CHOOSE: i32 = 0xCA;
const MAJORITY: i32 = 0xE8;

#[target_feature(enable = "avx512f")]
#[inline]
fn add(a: Vector, b: Vector) -> Vector {
    _mm512_add_epi32(a, b)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotations<const A: i32, const B: i32, const C: i32>(x: Vector) -> Vector {
    let (a, b, c) = (
        _mm512_ror_epi32::<A>(x),
        _mm512_ror_epi32::<B>(x),
        _mm512_ror_epi32::<C>(x),
    );
    _mm512_ternarylogic_epi32::<XOR3>(a, b, c)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rotations_and_shift<const A: i32, const B: i32, const C: u32>(x: Vector) -> Vector {
    let (a, b, c) = (
        _mm512_ror_epi32::<A>(x),
        _mm512_ror_epi32::<B>(x),
        _mm512_srli_epi32::<C>(x),
    );
    _mm512_ternarylogic_epi32::<XOR3>(a, b, c)
}

/// One round (6.2.2, step 3), with the eight variables named as they are in it.
macro_rules! round {
    ($w:ident $k:ident $t:literal: $a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident) => {
        let input = add(add($h, splat($k[$t])), $w[$t]);
        let chosen = _mm512_ternarylogic_epi32::<CHOOSE>($e, $f, $g);
        let t1 = add(add(input, chosen), rotations::<6, 11, 25>($e));
        let majority = _mm512_ternarylogic_epi32::<MAJORITY>($a, $b, $c);
        $d = add($d, t1);
        $h = add(t1, add(majority, rotations::<2, 13, 22>($a)));
    };
}

/// W(t) for the next sixteen rounds (6.2.2, step 1) in the place of W(t - 16).
macro_rules! schedule {
    ($w:ident: $($t:literal)*) => {$(
        let early = rotations_and_shift::<7, 18, 3>($w[($t + 1) % 16]);
        let late = rotations_and_shift::<17, 19, 10>($w[($t + 14) % 16]);
        $w[$t] = add(add($w[$t], early), add($w[($t + 9) % 16], late));
    )*};
}

/// The compression function. `words` are the block's, as numbers.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn compress(state: &State, mut words: [Vector; 16]) -> State {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    let (sixteens, _) = ROUND_CONSTANTS.as_chunks::<16>();
    for (number, k) in sixteens.iter().enumerate() {
        if number > 0 {
            schedule!(words: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        }
        round!(words k 0: a b c d e f g h);
        round!(words k 1: h a b c d e f g);
        round!(words k 2: g h a b c d e f);
        round!(words k 3: f g h a b c d e);
        round!(words k 4: e f g h a b c d);
        round!(words k 5: d e f g h a b c);
        round!(words k 6: c d e f g h a b);
        round!(words k 7: b c d e f g h a);
        round!(words k 8: a b c d e f g h);
        round!(words k 9: h a b c d e f g);
        round!(words k 10: g h a b c d e f);
        round!(words k 11: f g h a b c d e);
        round!(words k 12: e f g h a b c d);
        round!(words k 13: d e f g h a b c);
        round!(words k 14: c d e f g h a b);
        round!(words k 15: b c d e f g h a);
    }
    let [a0, b0, c0, d0, e0, f0, g0, h0] = *state;
    [
        add(a, a0),
        add(b, b0),
        add(c, c0),
        add(d, d0),
        add(e, e0),
        add(f, f0),
        add(g, g0),
        add(h, h0),
    ]
}

/// The same state in all sixteen places.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn everywhere(state: &[u32; 8]) -> State {
    let [a, b, c, d, e, f, g, h] = *state;
    [
        splat(a),
        splat(b),
        splat(c),
        splat(d),
        splat(e),
        splat(f),
        splat(g),
        splat(h),
    ]
}

/// The state before the first block.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn start() -> State {
    everywhere(&SHA256_START)
}

/// The last block of messages of `bytes` bytes in all, whose last `N` words, up to 13, are `rest`.
#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn last_block<const N: usize>(rest: [Vector; N], bytes: u32) -> [Vector; 16] {
    let mut block = [_mm512_setzero_si512(); 16];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = from;
    }
    if let Some(mark) = block.get_mut(N) {
        *mark = splat(0x8000_0000);
    }
    block[15] = splat(8 * bytes);
    block
}
