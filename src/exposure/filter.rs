//! Which identifiers cannot be among those stored: a filter for each UTC day, small enough for the
//! processor's cache.

use std::time::Duration;

use crate::protocol::EphemeralId;
use crate::sighting::Sighting;
use crate::time::UtcDay;

/// Bits of a filter for each identifier in it, at least. Chosen: with two bits in one word of so sparse a filter
/// one or two of a thousand strangers pass, and a day's 100,000 identifiers still take half of a 2 MiB cache.
const BITS_PER_ID: usize = 64;

/// Words of a filter, as powers of two. Chosen: a cache line at least, and at most 1 MiB, half of this
/// generation's second-level caches; past 131,072 identifiers a day more strangers pass instead.
const WORDS_LOG2: std::ops::RangeInclusive<u32> = 4..=18;

/// What is looked for in a filter: bytes 8 to 11 of an identifier, which those of both protocols have.
/// They are as random as the rest of it, and the table behind the filter goes by the others.
pub(super) fn probe(id: &[u8]) -> u32 {
    let bytes = id.get(8..12).and_then(|bytes| bytes.try_into().ok());
    u32::from_le_bytes(bytes.unwrap_or_default())
}

/// A set of identifiers that forgets which they were: it lets all of them pass, and few others.
///
/// A probe's highest bits choose a word, its lowest ten two bits in it. Whoever sends chosen identifiers to fill
/// it gets two bits for each, as anybody does, and at worst as many full words as make one of
/// [`BITS_PER_ID`]/2 strangers pass: those looked for are AES's or SHA-256's output, which the sender does not
/// choose.
pub(super) struct Filter {
    /// `1 << (32 - shift)` of them.
    words: Vec<u32>,
    shift: u32,
}

impl Filter {
    /// An empty filter with room for `count` identifiers.
    fn with_room(count: usize) -> Self {
        let words = (count.saturating_mul(BITS_PER_ID) / 32).max(1);
        let log2 = words.next_power_of_two().ilog2();
        let log2 = log2.clamp(*WORDS_LOG2.start(), *WORDS_LOG2.end());
        Self {
            words: vec![0; 1 << log2],
            shift: 32 - log2,
        }
    }

    fn insert(&mut self, probe: u32) {
        if let Some(word) = self.words.get_mut((probe >> self.shift) as usize) {
            let [low, high] = places(probe);
            *word |= 1 << low | 1 << high;
        }
    }

    /// Whether an identifier with this probe may have been put in.
    pub(super) fn may_hold(&self, probe: u32) -> bool {
        let word = self.words.get((probe >> self.shift) as usize);
        let [low, high] = places(probe);
        word.is_some_and(|word| word >> low & word >> high & 1 != 0)
    }

    /// Its words, as many as there are values of a probe shifted right by [`shift`](Self::shift).
    #[cfg(target_arch = "x86_64")]
    pub(super) fn words(&self) -> &[u32] {
        &self.words
    }

    /// By how much a probe is shifted right to be the number of its word.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn shift(&self) -> u32 {
        self.shift
    }
}

/// The places in a word of the two bits that an identifier sets.
fn places(probe: u32) -> [u32; 2] {
    [probe & 31, probe >> 5 & 31]
}

/// A filter for each day on which an identifier may have been advertised that has been heard.
pub(super) struct DayFilters {
    tolerance: Duration,
    /// In order; one, for whatever day, if the tolerance makes days pointless.
    days: Vec<UtcDay>,
    filters: Vec<Filter>,
}

/// With a tolerance above this, one filter holds all days: each identifier would be in several.
const DAILY_UP_TO: Duration = Duration::from_secs(86_400);

impl DayFilters {
    /// Filters of sightings that are in order of their identifiers. `days` are theirs.
    pub(super) fn new(tolerance: Duration, days: Vec<UtcDay>, sightings: &[Sighting]) -> Self {
        let mut filters = Self {
            tolerance,
            days,
            filters: Vec::new(),
        };
        let probes = filters.probes(sightings);
        let mut counts = vec![0; filters.days.len()];
        for (place, _) in &probes {
            if let Some(count) = counts.get_mut(*place as usize) {
                *count += 1;
            }
        }
        filters.filters = counts.into_iter().map(Filter::with_room).collect();
        for (place, probe) in probes {
            if let Some(filter) = filters.filters.get_mut(place as usize) {
                filter.insert(probe);
            }
        }
        filters
    }

    /// The days in which an identifier that was heard then, one after the other, may have been advertised,
    /// in order.
    pub(super) fn days_of(tolerance: Duration, sightings: &[Sighting]) -> Vec<UtcDay> {
        let mut days = Vec::new();
        let mut last = None;
        for sighting in sightings {
            let range = days_around(tolerance, sighting);
            // A log is in order of time, but for few.
            if last != Some(range) {
                let (from, to) = range;
                days.extend((from.unix_days()..=to.unix_days()).map(UtcDay::from_unix_days));
                last = Some(range);
            }
            if tolerance > DAILY_UP_TO {
                break;
            }
        }
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The probe of each identifier with its filter's place, once for each run of sightings of it in a day.
    fn probes(&self, sightings: &[Sighting]) -> Vec<(u32, u32)> {
        let mut probes = Vec::with_capacity(sightings.len());
        let mut before: Option<(EphemeralId, (UtcDay, UtcDay))> = None;
        for sighting in sightings {
            let (from, to) = days_around(self.tolerance, sighting);
            if before == Some((sighting.id, (from, to))) {
                continue;
            }
            before = Some((sighting.id, (from, to)));
            let probe = probe(sighting.id.as_bytes());
            let first = self.first_from(from);
            let days = self.days.get(first as usize..).unwrap_or_default();
            let places = (first..).zip(days.iter().take_while(|day| **day <= to));
            probes.extend(places.map(|(place, _)| (place, probe)));
        }
        probes
    }

    /// The place of the first day that is not before `day`. There are no more days than a [`UtcDay`] can tell.
    fn first_from(&self, day: UtcDay) -> u32 {
        // Days in a log mostly follow each other.
        let start = self.days.first().map_or(0, |day| day.unix_days());
        let guess = day.unix_days().saturating_sub(start);
        match self.days.get(guess as usize) {
            Some(there) if *there == day => guess,
            _ => self.days.partition_point(|there| *there < day) as u32,
        }
    }

    pub(super) fn tolerance(&self) -> Duration {
        self.tolerance
    }

    /// The place of the filter for identifiers advertised on `day`; `None` if nothing was heard near it.
    pub(super) fn place(&self, day: UtcDay) -> Option<u32> {
        let day = if self.tolerance > DAILY_UP_TO {
            UtcDay::from_unix_days(0)
        } else {
            day
        };
        let place = self.first_from(day);
        (self.days.get(place as usize) == Some(&day)).then_some(place)
    }

    /// The filter at `place`.
    pub(super) fn at(&self, place: u32) -> Option<&Filter> {
        self.filters.get(place as usize)
    }
}

#[cfg(test)]
impl DayFilters {
    /// A filter for any day that lets everything pass.
    pub(super) fn of_everything() -> Self {
        let mut filter = Filter::with_room(0);
        filter.words.fill(u32::MAX);
        Self {
            tolerance: Duration::MAX,
            days: vec![UtcDay::from_unix_days(0)],
            filters: vec![filter],
        }
    }
}

/// The first and the last day on which an identifier can have been advertised that matches this sighting.
fn days_around(tolerance: Duration, sighting: &Sighting) -> (UtcDay, UtcDay) {
    if tolerance > DAILY_UP_TO {
        return (UtcDay::from_unix_days(0), UtcDay::from_unix_days(0));
    }
    // Bluezone's slots have midnight in them, at which the next day begins.
    let earliest = sighting
        .first
        .saturating_sub(tolerance)
        .saturating_sub(Duration::from_millis(1));
    let latest = sighting.first.saturating_add(tolerance);
    (earliest.utc_day(), latest.utc_day())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_put_in_passes(probes in proptest::collection::vec(any::<u32>(), 0..300)) {
            let mut filter = Filter::with_room(probes.len());
            probes.iter().for_each(|probe| filter.insert(*probe));
            prop_assert!(probes.iter().all(|probe| filter.may_hold(*probe)));
        }
    }

    #[test]
    fn an_empty_filter_lets_nothing_pass() {
        let filter = Filter::with_room(0);
        assert_eq!(filter.words().len(), 1 << (32 - filter.shift()));
        assert!(
            ![0, 1, 31, u32::MAX]
                .iter()
                .any(|probe| filter.may_hold(*probe))
        );
    }

    #[test]
    fn the_largest_filter_is_a_mebibyte() {
        assert_eq!(Filter::with_room(usize::MAX).words().len() * 4, 1 << 20);
    }

    /// Half full words, which an attacker makes of chosen identifiers, against the same number of random ones.
    #[test]
    fn chosen_identifiers_let_few_strangers_pass() {
        let passing = |put_in: &dyn Fn(u32) -> u32| {
            let mut filter = Filter::with_room(4096);
            (0..4096).for_each(|number| filter.insert(put_in(number)));
            let strangers =
                (0..100_000_u32).map(|number| number.wrapping_mul(0x9E37_79B9) ^ 0x5bd1);
            strangers.filter(|probe| filter.may_hold(*probe)).count()
        };
        // Two of each word's bits with each identifier, word after word.
        let chosen = |number: u32| {
            let (word, pair) = (number / 16, number % 16);
            word << 19 | ((2 * pair + 1) << 5) | (2 * pair)
        };
        let random = |number: u32| number.wrapping_mul(0x85EB_CA6B).rotate_left(13) ^ 0xC2B2_AE35;
        assert!(passing(&chosen) <= 100_000 / 32 + 500);
        assert!(passing(&random) <= 100_000 / 100);
    }
}
