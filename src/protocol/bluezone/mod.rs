//! Bluezone version 3, as its public Android and iOS clients computed it in 2020 and as captured
//! uploads of that time confirm. Restated from the algorithm; `docs/protocols.md` has the sources.
//!
//! ```text
//! D(n)      32 bytes, the daily key of UTC day n          D(n+1) = SHA-256(D(n))
//! S(n,0)    = SHA-256(D(n) || "bluzonesubkey")            (sic)
//! S(n,i)    = SHA-256(S(n,i-1))                           i = 1..=95
//! BLID(n,i) = bytes 0,4,8,12,16,18,20,22,24,26,28,30 of S(n,i)
//! i         = floor(seconds since UTC midnight / 900)
//! ```
//!
//! Bluezone walks the chain D(n) for ever from one key; whoever learns D(n) learns every later day.
//! This crate draws a fresh daily key each day instead, which gives the same bytes on the air and
//! the same published entries without that, and follows the chain only when it matches an entry
//! that spans several days.

use std::time::Duration;

mod wire;

pub(crate) use wire::APPLE_COMPANY;
pub use wire::WireProfile;
pub(super) use wire::uuid_of;

use super::{Candidate, InvalidKey};
use crate::crypto::sha256;
use crate::secret::Secret;
use crate::time::Timestamp;

/// Identifiers a day, one every 15 minutes.
pub const SLOTS_PER_DAY: u32 = 96;

/// How long one identifier is advertised.
pub const SLOT_LENGTH: Duration = Duration::from_secs(86_400 / SLOTS_PER_DAY as u64);

/// How far outside its slot an identifier may be heard and still match, by default. Bluezone itself
/// allows nothing. Chosen: its clients overran a slot by up to 30 seconds, and 90 more allow for
/// clocks set by hand; it stays far below a slot, so that a replay gains little.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(120);

pub(crate) const SALT: &[u8; 13] = b"bluzonesubkey";
const PICKED_BYTES: [usize; 12] = [0, 4, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30];
pub(crate) const DAY_SECONDS: u64 = 86_400;

/// Slots a day that an entry may claim. Bluezone's server could set the number: it was 96 in version
/// 3 and 144 in version 2.
const SLOTS_PER_DAY_MAX: u32 = 144;

/// The longest time an entry may span. Chosen: the retention's upper limit.
const ENTRY_SPAN_MAX: Duration = Duration::from_secs(21 * DAY_SECONDS);

/// The slot of the UTC day in which `time` lies, 0..=95.
pub fn slot_index(time: Timestamp) -> u32 {
    let second_of_day = time.unix_seconds() % DAY_SECONDS;
    u32::try_from(second_of_day / SLOT_LENGTH.as_secs()).unwrap_or(0)
}

/// D(n): the secret from which one UTC day's identifiers come.
#[derive(Debug)]
pub struct DailyKey(Secret<32>);

impl DailyKey {
    /// The daily key with these bytes.
    pub fn new(secret: Secret<32>) -> Self {
        Self(secret)
    }

    /// The bytes, as an authority publishes them.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// D(n+1), the next day's key in Bluezone's chain.
    pub fn next_in_chain(&self) -> Self {
        Self(Secret::new(sha256(&[self.0.expose()])))
    }

    /// S(n,0), S(n,1), … without end; a day has the first 96.
    pub fn sub_keys(&self) -> impl Iterator<Item = SubKey> + use<> {
        let first = SubKey(Secret::new(sha256(&[self.0.expose(), SALT])));
        std::iter::successors(Some(first), |sub_key| {
            Some(SubKey(Secret::new(sha256(&[sub_key.0.expose()]))))
        })
    }

    /// BLID(n,`slot`), what is advertised in that slot of the day. Slots past the day's last, 95,
    /// repeat it.
    pub fn identifier(&self, slot: u32) -> [u8; 12] {
        let mut sub_key = sha256(&[self.0.expose(), SALT]);
        for _ in 0..slot.min(SLOTS_PER_DAY - 1) {
            sub_key = sha256(&[&sub_key]);
        }
        pick(&sub_key)
    }
}

/// S(n,i): the secret behind one identifier. 20 of its 32 bytes are never sent; they are what keeps
/// a listener from computing the next.
#[derive(Debug)]
pub struct SubKey(Secret<32>);

impl SubKey {
    /// BLID(n,i): the twelve bytes on the air.
    pub fn identifier(&self) -> [u8; 12] {
        pick(self.0.expose())
    }

    /// The sub-key's bytes.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }
}

/// The twelve bytes of `sub_key` that are on the air.
pub(crate) fn pick(sub_key: &[u8; 32]) -> [u8; 12] {
    PICKED_BYTES.map(|index| sub_key.get(index).copied().unwrap_or(0))
}

/// What an authority publishes of one patient: the daily key of the day that begins at
/// `time_start`, and until when it and its successors in the chain are to be matched.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct PublishedEntry {
    daily_key: [u8; 32],
    time_start: u64,
    time_end: u64,
    slots_per_day: u32,
}

impl PublishedEntry {
    /// An entry of `daily_key` from `time_start` to `time_end`, both in Unix seconds, the last
    /// inclusive, with `slots_per_day` identifiers a day.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if `time_start` is no midnight UTC, the end is before it or over 21 days
    /// after, or `slots_per_day` is no divisor of a day in seconds within 1..=144.
    pub fn new(
        daily_key: [u8; 32],
        time_start: u64,
        time_end: u64,
        slots_per_day: u32,
    ) -> Result<Self, InvalidKey> {
        if !time_start.is_multiple_of(DAY_SECONDS) {
            return Err(InvalidKey::StartNotMidnight { time_start });
        }
        let span_s = time_end.checked_sub(time_start);
        // A time that a timestamp cannot hold is no time.
        let representable = Timestamp::from_unix_seconds(time_end).unix_seconds() == time_end;
        if !representable || span_s.is_none_or(|span_s| span_s > ENTRY_SPAN_MAX.as_secs()) {
            return Err(InvalidKey::Span {
                time_start,
                time_end,
            });
        }
        let in_range = (1..=SLOTS_PER_DAY_MAX).contains(&slots_per_day);
        if !in_range || !DAY_SECONDS.is_multiple_of(u64::from(slots_per_day)) {
            return Err(InvalidKey::SlotsPerDay { slots_per_day });
        }
        Ok(Self {
            daily_key,
            time_start,
            time_end,
            slots_per_day,
        })
    }

    /// The daily key of the first day.
    pub fn daily_key(&self) -> &[u8; 32] {
        &self.daily_key
    }

    /// Midnight UTC of the first day, Unix seconds.
    pub fn time_start(&self) -> u64 {
        self.time_start
    }

    /// The last second in which a slot may begin, Unix seconds.
    pub fn time_end(&self) -> u64 {
        self.time_end
    }

    /// Identifiers a day.
    pub fn slots_per_day(&self) -> u32 {
        self.slots_per_day
    }

    /// How many identifiers it stands for.
    pub fn candidate_count(&self) -> u64 {
        let step = DAY_SECONDS / u64::from(self.slots_per_day);
        (self.time_end - self.time_start) / step + 1
    }

    /// Calls `each` with every identifier and the time in which it was advertised, both ends
    /// inclusive as Bluezone's clients compare them.
    pub fn for_each_candidate(&self, mut each: impl FnMut(Candidate)) {
        let step = DAY_SECONDS / u64::from(self.slots_per_day);
        let mut daily_key = DailyKey::new(Secret::new(self.daily_key));
        let mut start = self.time_start;
        while start <= self.time_end {
            let sub_keys = daily_key.sub_keys();
            for sub_key in sub_keys.take(self.slots_per_day as usize) {
                if start > self.time_end {
                    return;
                }
                each(Candidate::in_slot(sub_key.identifier(), start, step));
                start += step;
            }
            daily_key = daily_key.next_in_chain();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_claim_too_much() {
        let day = 1_596_844_800;
        let entry = |start, end, max| PublishedEntry::new([0; 32], start, end, max);
        assert!(entry(day, day + 86_399, 96).is_ok());
        let refused = [
            (day + 1, day + 86_399, 96),
            (day, day - 1, 96),
            (day, day + 21 * 86_400 + 1, 96),
            (day, u64::MAX, 96),
            (day, day + 86_399, 0),
            (day, day + 86_399, 145),
            (u64::MAX - u64::MAX % 86_400, u64::MAX, 96),
            (253_402_214_400, 253_402_300_800, 96),
            (day, day + 86_399, 97),
        ];
        for (start, end, max) in refused {
            assert!(entry(start, end, max).is_err(), "{start} {end} {max}");
        }
    }

    #[test]
    fn a_day_has_96_identifiers_and_its_end_no_more() {
        let day = 1_596_844_800;
        let count = |end| {
            let mut count = 0;
            let entry = PublishedEntry::new([7; 32], day, end, 96).unwrap();
            entry.for_each_candidate(|_| count += 1);
            assert_eq!(entry.candidate_count(), count);
            count
        };
        assert_eq!(count(day), 1);
        assert_eq!(count(day + 86_399), 96);
        assert_eq!(count(day + 86_400), 97);
        assert_eq!(count(day + 2 * 86_400 - 1), 192);
    }
}
