//! The identifiers of a log, each with its sightings, so that those of published keys can be looked for.
//!
//! Of a thousand identifiers computed from keys, a thousand are usually of nobody who was near. So what is
//! asked first is cheap and says no: whether anything was heard near the key's day, then that day's
//! [filter](super::filter), and only then the table here, which is exact.
//!
//! The table is the sightings themselves in order of their identifiers, and where each bucket of first bits begins.
//! Senders choose the identifiers that are stored, but gain nothing by it: a bucket that is full of theirs is
//! searched by halves, and those looked for are spread over buckets by AES or SHA-256, not by them.

use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use super::filter::DayFilters;
use crate::protocol::EphemeralId;
use crate::sighting::Sighting;

/// Buckets, as powers of two: one for each sighting, and at most 16 million, 128 MiB.
const BUCKETS_LOG2: RangeInclusive<u32> = 1..=24;

/// Sightings of identifiers of one length.
pub(super) struct Index {
    /// In order of identifiers; those of one in the order in which they came.
    sightings: Vec<Sighting>,
    /// Where each bucket begins, and after the last where it ends.
    starts: Vec<usize>,
    shift: u32,
    filters: DayFilters,
}

impl Index {
    /// An index of sightings that match what was advertised within `tolerance`.
    pub(super) fn new(tolerance: Duration, mut sightings: Vec<Sighting>) -> Self {
        let days = DayFilters::days_of(tolerance, &sightings);
        let log2 = sightings.len().max(1).ilog2();
        let shift = 32 - log2.clamp(*BUCKETS_LOG2.start(), *BUCKETS_LOG2.end());
        let starts = into_buckets(&mut sightings, shift);
        for bounds in starts.windows(2) {
            if let [start, end] = *bounds
                && end - start > 1
                && let Some(bucket) = sightings.get_mut(start..end)
            {
                bucket.sort_by_key(|sighting| sighting.id);
            }
        }
        let filters = DayFilters::new(tolerance, days, &sightings);
        Self {
            sightings,
            starts,
            shift,
            filters,
        }
    }

    /// The filters that say which identifiers need not be looked for.
    pub(super) fn filters(&self) -> &DayFilters {
        &self.filters
    }

    /// The places of the sightings of `id`.
    pub(super) fn places(&self, id: &EphemeralId) -> Range<usize> {
        let bucket = bucket_of(id, self.shift);
        let bounds = self.starts.get(bucket).zip(self.starts.get(bucket + 1));
        let Some((start, end)) = bounds else {
            return 0..0;
        };
        let sightings = self.sightings.get(*start..*end).unwrap_or_default();
        let first = sightings.partition_point(|sighting| sighting.id < *id);
        let of_id = sightings.get(first..).unwrap_or_default();
        let count = match of_id.first() {
            Some(sighting) if sighting.id == *id => {
                of_id.partition_point(|sighting| sighting.id == *id)
            }
            _ => 0,
        };
        start + first..start + first + count
    }

    /// How far outside its time an identifier may have been heard.
    pub(super) fn tolerance(&self) -> Duration {
        self.filters.tolerance()
    }

    /// The sighting at a place.
    pub(super) fn at(&self, place: usize) -> Option<&Sighting> {
        self.sightings.get(place)
    }
}

/// Puts the sightings in the order of their buckets, in each in the order in which they came, and gives where
/// the buckets begin.
fn into_buckets(sightings: &mut [Sighting], shift: u32) -> Vec<usize> {
    let mut bounds = vec![0; (1 << (32 - shift)) + 1];
    for sighting in &*sightings {
        if let Some(count) = bounds.get_mut(bucket_of(&sighting.id, shift)) {
            *count += 1;
        }
    }
    let mut sum = 0;
    for bound in &mut bounds {
        sum += *bound;
        *bound = sum;
    }
    // Where each goes. From behind, so that each bucket's end becomes its beginning.
    let mut places = vec![0; sightings.len()];
    for (place, sighting) in places.iter_mut().zip(&*sightings).rev() {
        if let Some(bound) = bounds.get_mut(bucket_of(&sighting.id, shift)) {
            *bound -= 1;
            *place = *bound;
        }
    }
    for here in 0..places.len() {
        // Each exchange puts one sighting where it stays.
        while let Some(there) = places.get(here).copied().filter(|there| *there != here) {
            sightings.swap(here, there);
            places.swap(here, there);
        }
    }
    bounds
}

/// By an identifier's first bits, so that buckets are in the order of identifiers.
fn bucket_of(id: &EphemeralId, shift: u32) -> usize {
    let first = id.as_bytes().first_chunk().copied().unwrap_or_default();
    (u32::from_be_bytes(first) >> shift) as usize
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::protocol::ProtocolKind;
    use crate::sighting::Source;
    use crate::time::Timestamp;

    fn sighting(id: [u8; 16], frames: u16) -> Sighting {
        let first = Timestamp::from_unix_seconds(1_596_844_800);
        Sighting {
            protocol: ProtocolKind::Gaen,
            id: id.into(),
            metadata: None,
            first,
            last: first,
            frames,
            rssi: None,
            source: Source::ServiceData,
        }
    }

    fn found(index: &Index, id: &EphemeralId) -> Vec<u16> {
        let places = index.places(id);
        places
            .map(|place| index.at(place).unwrap().frames)
            .collect()
    }

    fn holds_what_a_map_holds(sightings: Vec<Sighting>) {
        let mut map: HashMap<EphemeralId, Vec<u16>> = HashMap::new();
        for sighting in &sightings {
            map.entry(sighting.id).or_default().push(sighting.frames);
        }
        let index = Index::new(Duration::from_secs(7_200), sightings);
        for (id, frames) in &map {
            assert_eq!(&found(&index, id), frames);
            let mut other: [u8; 16] = id.as_bytes().try_into().unwrap();
            other[15] ^= 1;
            let other = EphemeralId::from(other);
            assert_eq!(
                found(&index, &other),
                map.get(&other).cloned().unwrap_or_default()
            );
        }
    }

    #[test]
    fn nothing_is_in_an_empty_index() {
        let index = Index::new(Duration::ZERO, Vec::new());
        assert_eq!(index.places(&[0; 16].into()), 0..0);
        assert_eq!(index.places(&[0xFF; 16].into()), 0..0);
    }

    #[test]
    fn identifiers_that_share_all_but_their_last_byte() {
        let id = |number: usize| [[7; 15].as_slice(), &[number as u8]].concat();
        let sightings = (0..1_000).map(|number| {
            let id = <[u8; 16]>::try_from(id(number * 37 % 256)).unwrap();
            sighting(id, number as u16)
        });
        holds_what_a_map_holds(sightings.collect());
    }

    #[test]
    fn identifiers_at_both_ends() {
        let ids = [[0; 16], [0xFF; 16], [0x80; 16], [0x7F; 16], [0; 16]];
        holds_what_a_map_holds(ids.map(|id| sighting(id, 1)).to_vec());
    }

    proptest::proptest! {
        #[test]
        fn an_index_holds_what_a_map_holds(ids in proptest::collection::vec(0_u32..200, 0..400)) {
            let spread = |number: u32| {
                let mut id = [0; 16];
                id[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B9).to_be_bytes());
                id
            };
            let sightings = ids.iter().zip(0..).map(|(id, frames)| sighting(spread(*id), frames));
            holds_what_a_map_holds(sightings.collect());
        }
    }
}
