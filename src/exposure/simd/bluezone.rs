//! Bluezone's identifiers: the chains of sixteen days side by side.

use std::arch::x86_64::*;

use super::super::derivation::{EntryDay, Suspect, salted};
use super::super::filter::DayFilters;
use super::sha256::{State, compress, last_block, start};
use super::vector::{Vector, load, splat, store};

/// Gives the identifiers of `days` that their filters let pass.
#[target_feature(enable = "avx512f")]
pub(super) fn suspects(days: &[EntryDay], filters: &DayFilters, out: &mut Vec<Suspect>) {
    let mut number = 0;
    for sixteen in days.chunks(16) {
        let slots = sixteen.iter().map(|day| day.count).max().unwrap_or(0);
        let mut sub_keys = compress(&start(), first_block(sixteen));
        for slot in 0..slots {
            if slot > 0 {
                sub_keys = compress(&start(), last_block(sub_keys, 32));
            }
            let mut words = [[0; 16]; 3];
            for (to, from) in words.iter_mut().zip(picked(&sub_keys)) {
                store(from, to);
            }
            give(&words, (number, slot), sixteen, filters, out);
        }
        number += 16;
    }
}

/// The blocks whose hashes are the first sub-keys.
#[target_feature(enable = "avx512f")]
fn first_block(days: &[EntryDay]) -> [Vector; 16] {
    let mut words = [[0; 16]; 16];
    for (lane, day) in days.iter().enumerate() {
        let mut block = [0; 64];
        for (to, from) in block
            .iter_mut()
            .zip(salted(&day.daily_key).iter().chain(&[0x80]))
        {
            *to = *from;
        }
        for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
            if let Some(word) = word.get_mut(lane) {
                *word = u32::from_be_bytes(*bytes);
            }
        }
    }
    let mut block = [_mm512_setzero_si512(); 16];
    for (to, from) in block.iter_mut().zip(&words) {
        *to = load(from);
    }
    block[15] = splat(8 * 45);
    block
}

/// The bytes on the air, four in each word, the first the lowest: bytes 0 of the first four words, and bytes 0
/// and 2 of the others.
#[target_feature(enable = "avx512f")]
#[inline]
fn picked(&[a, b, c, d, e, f, g, h]: &State) -> [Vector; 3] {
    // In place of its byte 0, which is the highest, another word's byte, moved to where it belongs.
    let whole = or4(
        _mm512_srli_epi32::<24>(a),
        _mm512_and_si512(_mm512_srli_epi32::<16>(b), splat(0xFF00)),
        _mm512_and_si512(_mm512_srli_epi32::<8>(c), splat(0xFF_0000)),
        _mm512_and_si512(d, splat(0xFF00_0000)),
    );
    [whole, pairs(e, f), pairs(g, h)]
}

/// Bytes 0 and 2 of two words.
#[target_feature(enable = "avx512f")]
#[inline]
fn pairs(first: Vector, second: Vector) -> Vector {
    or4(
        _mm512_srli_epi32::<24>(first),
        _mm512_and_si512(first, splat(0xFF00)),
        _mm512_and_si512(_mm512_srli_epi32::<8>(second), splat(0xFF_0000)),
        _mm512_and_si512(_mm512_slli_epi32::<16>(second), splat(0xFF00_0000)),
    )
}

#[target_feature(enable = "avx512f")]
#[inline]
fn or4(a: Vector, b: Vector, c: Vector, d: Vector) -> Vector {
    _mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d))
}

/// Gives those of a slot's identifiers that pass.
fn give(
    [start, middle, end]: &[[u32; 16]; 3],
    (first_day, slot): (u32, u32),
    days: &[EntryDay],
    filters: &DayFilters,
    out: &mut Vec<Suspect>,
) {
    let words = start.iter().zip(middle).zip(end);
    for ((number, day), ((start, middle), end)) in (first_day..).zip(days).zip(words) {
        let passes = || {
            filters
                .at(day.filter)
                .is_some_and(|filter| filter.may_hold(*end))
        };
        if slot < day.count && passes() {
            let mut id = [0; 12];
            let (quarters, _) = id.as_chunks_mut();
            for (to, word) in quarters.iter_mut().zip([start, middle, end]) {
                *to = word.to_le_bytes();
            }
            out.push(Suspect {
                day: number,
                slot,
                id: id.into(),
            });
        }
    }
}
