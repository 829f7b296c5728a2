//! From published keys to those of their identifiers that may be among the ones stored, on any processor.
//!
//! The keys' days are given in the order of their filters, so that each filter is fetched into the cache
//! once. [`simd`](super::simd) does the same with what some processors have beyond that.

use super::filter::{DayFilters, probe};
use crate::crypto::{UnsaltedHkdf, aes128_published, sha256_short};
use crate::protocol::bluezone::{self, PublishedEntry};
use crate::protocol::gaen::{self, DiagnosisKey, ROLLING_PERIOD};
use crate::protocol::{Candidate, EphemeralId};
use crate::time::{IntervalNumber, Timestamp};

/// HKDF's info for RPIK, and the number of its only block.
pub(super) const RPIK_INFO: &[u8; 8] = b"EN-RPIK\x01";

/// The intervals of a GAEN key that begin in one UTC day.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeyDay {
    /// Which of the keys it is of.
    pub(super) key: u32,
    /// The day's filter.
    pub(super) filter: u32,
    pub(super) first: IntervalNumber,
    /// At most [`ROLLING_PERIOD`].
    pub(super) count: u32,
    pub(super) tek: [u8; 16],
}

/// The slots of one UTC day of a Bluezone entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct EntryDay {
    /// Which of the keys it is of.
    pub(super) key: u32,
    /// The day's filter.
    pub(super) filter: u32,
    /// The day's midnight, Unix seconds.
    pub(super) start: u64,
    /// A slot's length in seconds.
    pub(super) step: u64,
    /// At least 1.
    pub(super) count: u32,
    pub(super) daily_key: [u8; 32],
}

/// An identifier that a filter let pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Suspect {
    /// Which of the days given it is of.
    pub(super) day: u32,
    /// Which of the day's intervals or slots it is of.
    pub(super) slot: u32,
    pub(super) id: EphemeralId,
}

/// A day of a key of either protocol.
pub(super) trait Day {
    fn key(&self) -> u32;
    fn filter(&self) -> u32;
    /// `suspect` with the time in which it was advertised.
    fn candidate(&self, suspect: &Suspect) -> Option<Candidate>;
}

impl Day for KeyDay {
    fn key(&self) -> u32 {
        self.key
    }

    fn filter(&self) -> u32 {
        self.filter
    }

    fn candidate(&self, suspect: &Suspect) -> Option<Candidate> {
        let id = suspect.id.as_bytes().try_into().ok()?;
        let interval = self.first.saturating_add(suspect.slot);
        Some(Candidate::in_interval(id, interval))
    }
}

impl Day for EntryDay {
    fn key(&self) -> u32 {
        self.key
    }

    fn filter(&self) -> u32 {
        self.filter
    }

    fn candidate(&self, suspect: &Suspect) -> Option<Candidate> {
        let id = suspect.id.as_bytes().try_into().ok()?;
        let start = self.start + u64::from(suspect.slot) * self.step;
        Some(Candidate::in_slot(id, start, self.step))
    }
}

/// Gives the days of a GAEN key near which something was heard: two if it does not begin at midnight.
pub(super) fn days_of_key(
    key: &DiagnosisKey,
    number: u32,
    filters: &DayFilters,
    out: &mut Vec<KeyDay>,
) {
    let mut first = key.rolling_start();
    let mut left = key.rolling_period();
    while left > 0 {
        // Intervals past the last day there is are all that day's.
        let count = left.min(ROLLING_PERIOD - first.0 % ROLLING_PERIOD);
        if let Some(filter) = filters.place(first.start().utc_day()) {
            out.push(KeyDay {
                key: number,
                filter,
                first,
                count,
                tek: *key.key(),
            });
        }
        first = first.saturating_add(count);
        left -= count;
    }
}

/// Gives the days of a Bluezone entry near which something was heard.
pub(super) fn days_of_entry(
    entry: &PublishedEntry,
    number: u32,
    filters: &DayFilters,
    out: &mut Vec<EntryDay>,
) {
    let step = bluezone::DAY_SECONDS / u64::from(entry.slots_per_day());
    let mut daily_key = *entry.daily_key();
    let mut start = entry.time_start();
    let mut left = entry.candidate_count();
    while left > 0 {
        let count = left.min(u64::from(entry.slots_per_day()));
        let day = Timestamp::from_unix_seconds(start).utc_day();
        if let (Some(filter), Ok(count)) = (filters.place(day), u32::try_from(count)) {
            out.push(EntryDay {
                key: number,
                filter,
                start,
                step,
                count,
                daily_key,
            });
        }
        start += bluezone::DAY_SECONDS;
        left -= count;
        if left > 0 {
            daily_key = sha256_short(&daily_key);
        }
    }
}

/// What the derivation of GAEN's identifiers keeps from key to key.
pub(super) struct Derivation {
    hkdf: UnsaltedHkdf,
    /// The blocks whose encryptions are the identifiers, from `start` on; most keys have the day's.
    blocks: [[u8; 16]; ROLLING_PERIOD as usize],
    start: IntervalNumber,
    identifiers: [[u8; 16]; ROLLING_PERIOD as usize],
}

impl Derivation {
    pub(super) fn new() -> Self {
        Self {
            hkdf: UnsaltedHkdf::new(),
            blocks: blocks_from(IntervalNumber(0)),
            start: IntervalNumber(0),
            identifiers: [[0; 16]; ROLLING_PERIOD as usize],
        }
    }

    /// HKDF's states for keys without a salt.
    pub(super) fn hkdf(&self) -> &UnsaltedHkdf {
        &self.hkdf
    }

    /// Gives the identifiers of `days` that their filters let pass.
    pub(super) fn gaen(&mut self, days: &[KeyDay], filters: &DayFilters, out: &mut Vec<Suspect>) {
        for (number, day) in (0..).zip(days) {
            let Some(filter) = filters.at(day.filter) else {
                continue;
            };
            if self.start != day.first {
                self.blocks = blocks_from(day.first);
                self.start = day.first;
            }
            let rpik = self.hkdf.derive(&day.tek, RPIK_INFO);
            aes128_published(&rpik, &self.blocks, &mut self.identifiers);
            for (slot, id) in (0..day.count).zip(&self.identifiers) {
                if filter.may_hold(probe(id)) {
                    out.push(Suspect {
                        day: number,
                        slot,
                        id: (*id).into(),
                    });
                }
            }
        }
    }
}

fn blocks_from(start: IntervalNumber) -> [[u8; 16]; ROLLING_PERIOD as usize] {
    let mut interval = start.0;
    [(); ROLLING_PERIOD as usize].map(|()| {
        let block = gaen::padded(IntervalNumber(interval));
        // Past the last interval there is no key's; what stands there is not looked at.
        interval = interval.wrapping_add(1);
        block
    })
}

/// Gives the identifiers of `days` that their filters let pass.
pub(super) fn bluezone(days: &[EntryDay], filters: &DayFilters, out: &mut Vec<Suspect>) {
    for (number, day) in (0..).zip(days) {
        let Some(filter) = filters.at(day.filter) else {
            continue;
        };
        let mut sub_key = sha256_short(&salted(&day.daily_key));
        for slot in 0..day.count {
            if slot > 0 {
                sub_key = sha256_short(&sub_key);
            }
            let id = bluezone::pick(&sub_key);
            if filter.may_hold(probe(&id)) {
                out.push(Suspect {
                    day: number,
                    slot,
                    id: id.into(),
                });
            }
        }
    }
}

/// What the day's first sub-key is the hash of.
pub(super) fn salted(daily_key: &[u8; 32]) -> [u8; 45] {
    let mut message = [0; 45];
    let parts = daily_key.iter().chain(bluezone::SALT);
    for (to, from) in message.iter_mut().zip(parts) {
        *to = *from;
    }
    message
}
