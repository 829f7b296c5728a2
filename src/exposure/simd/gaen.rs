//! GAEN's identifiers: HKDF of sixteen keys at once, then each key's intervals, 48 at once.

use std::arch::x86_64::*;

use super::super::derivation::{KeyDay, RPIK_INFO, Suspect};
use super::super::filter::{DayFilters, Filter};
use super::aes::{ABREAST, Schedules, encrypt};
use super::sha256::{State, compress, everywhere, last_block, start};
use super::vector::{Vector, load_blocks, splat, store_blocks, swap_bytes, transpose};
use crate::crypto::{INNER_PAD, OUTER_PAD, UnsaltedHkdf};
use crate::protocol::gaen::padded;
use crate::time::IntervalNumber;

/// Identifiers whose probes are tested at once, in four vectors.
const PROBED: u32 = 16;

/// Gives the identifiers of `days` that their filters let pass.
#[target_feature(enable = "avx512f,avx512bw,vaes")]
pub(super) fn suspects(
    hkdf: &UnsaltedHkdf,
    days: &[KeyDay],
    filters: &DayFilters,
    out: &mut Vec<Suspect>,
) {
    let mut number = 0;
    for sixteen in days.chunks(16) {
        let mut teks = [[0; 16]; 16];
        for (tek, day) in teks.iter_mut().zip(sixteen) {
            *tek = day.tek;
        }
        let schedules = Schedules::new(rpiks(hkdf, &teks));
        for (lane, day) in sixteen.iter().enumerate() {
            if let Some(filter) = filters.at(day.filter) {
                suspects_of(&schedules.of(lane), number, day, filter, out);
            }
            number += 1;
        }
    }
}

/// RPIK of each key, in their order.
#[target_feature(enable = "avx512f,avx512bw")]
fn rpiks(hkdf: &UnsaltedHkdf, teks: &[[u8; 16]; 16]) -> [Vector; 4] {
    let mut words = [_mm512_setzero_si512(); 4];
    for (to, quarter) in words.iter_mut().zip(teks.as_chunks::<4>().0) {
        *to = swap_bytes(load_blocks(quarter));
    }
    // Extract: HMAC under the salt, none.
    let hash = compress(&everywhere(&hkdf.inner), last_block(transpose(words), 80));
    let key = compress(&everywhere(&hkdf.outer), last_block(hash, 96));
    // Expand: HMAC under what was extracted, of the info and 1.
    let inner = compress(&start(), keyed(&key, INNER_PAD));
    let outer = compress(&start(), keyed(&key, OUTER_PAD));
    let [i0, i1, i2, i3, i4, i5, i6, i7] = *RPIK_INFO;
    let info = [[i0, i1, i2, i3], [i4, i5, i6, i7]].map(u32::from_be_bytes);
    let hash = compress(&inner, last_block([splat(info[0]), splat(info[1])], 72));
    let [a, b, c, d, ..] = compress(&outer, last_block(hash, 96));
    let mut keys = transpose([a, b, c, d]);
    for key in &mut keys {
        *key = swap_bytes(*key);
    }
    keys
}

/// HMAC's block of a 32-byte key.
#[target_feature(enable = "avx512f")]
#[inline]
fn keyed(key: &State, pad: u8) -> [Vector; 16] {
    let pad = _mm512_set1_epi8(pad.cast_signed());
    let mut block = [pad; 16];
    for (word, key) in block.iter_mut().zip(key) {
        *word = _mm512_xor_si512(*word, *key);
    }
    block
}

/// Gives the identifiers of one day that the filter lets pass.
#[target_feature(enable = "avx512f,vaes")]
#[inline]
fn suspects_of(
    keys: &[Vector; 11],
    number: u32,
    day: &KeyDay,
    filter: &Filter,
    out: &mut Vec<Suspect>,
) {
    let mut interval = day.first.0;
    let mut slot = 0;
    while slot < day.count {
        let identifiers = encrypt(keys, intervals_from(interval));
        interval = interval.wrapping_add(4 * ABREAST as u32);
        for four in identifiers.as_chunks::<4>().0 {
            let passed = passing(four, filter);
            if passed != 0 {
                give(passed, four, (number, slot, day.count), out);
            }
            slot += PROBED;
        }
    }
}

/// The blocks of 48 intervals.
#[target_feature(enable = "avx512f")]
#[inline]
fn intervals_from(interval: u32) -> [Vector; ABREAST] {
    let first = u128::from_le_bytes(padded(IntervalNumber(interval))).cast_signed();
    let [low, high] = [first as i64, (first >> 64) as i64];
    let template = _mm512_broadcast_i32x4(_mm_set_epi64x(high, low));
    let offsets = _mm512_set_epi32(3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);
    let step = _mm512_set_epi32(4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0);
    let mut next = _mm512_add_epi32(template, offsets);
    let mut blocks = [next; ABREAST];
    for block in &mut blocks {
        *block = next;
        next = _mm512_add_epi32(next, step);
    }
    blocks
}

/// A bit for each of sixteen identifiers that the filter lets pass, in the order in which [`transpose`] has them:
/// bit `4 * quarter + vector`.
#[target_feature(enable = "avx512f")]
#[inline]
fn passing(identifiers: &[Vector; 4], filter: &Filter) -> u16 {
    let [_, _, probes, _] = transpose(*identifiers);
    let places = _mm512_srl_epi32(probes, _mm_cvtsi32_si128(filter.shift().cast_signed()));
    // SAFETY: a filter has as many words as there are values of a probe shifted so, fewer than 2^31.
    let words = unsafe { _mm512_i32gather_epi32::<4>(places, filter.words().as_ptr().cast()) };
    // Rotation goes by the lowest five bits.
    let low = _mm512_rolv_epi32(splat(1), probes);
    let high = _mm512_rolv_epi32(splat(1), _mm512_srli_epi32::<5>(probes));
    let bits = _mm512_or_si512(low, high);
    _mm512_cmpeq_epi32_mask(_mm512_and_si512(words, bits), bits)
}

#[cold]
#[target_feature(enable = "avx512f")]
fn give(
    passed: u16,
    identifiers: &[Vector; 4],
    (day, first_slot, count): (u32, u32, u32),
    out: &mut Vec<Suspect>,
) {
    let mut ids = [[[0; 16]; 4]; 4];
    for (to, from) in ids.iter_mut().zip(identifiers) {
        store_blocks(*from, to);
    }
    for (offset, id) in (0..PROBED).zip(ids.as_flattened()) {
        let (vector, quarter) = (offset / 4, offset % 4);
        let slot = first_slot + offset;
        if passed & 1 << (4 * quarter + vector) != 0 && slot < count {
            out.push(Suspect {
                day,
                slot,
                id: (*id).into(),
            });
        }
    }
}
