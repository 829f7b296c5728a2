//! Where the identifier of a hash stands.
//!
//! The standard map would hash a name four times for each that comes and one that goes, hold each name twice,
//! and stop to rehash all of them when enough have gone. Here a place takes eight bytes, what goes
//! leaves nothing behind, and the caller keeps the hash.

use super::slab::NONE;

/// A number, and the hash it is found by.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    number: u32,
}

const EMPTY: Place = Place {
    hash: 0,
    number: NONE,
};

/// Numbers by hash, at most half as many as there are places. The next free place is taken from where the
/// hash points on (linear probing); hashes must be keyed, so that nobody can aim at one place.
#[derive(Debug)]
pub(super) struct Index {
    /// A power of two, or none.
    places: Vec<Place>,
}

impl Index {
    /// Takes no memory.
    pub(super) const fn new() -> Self {
        Self { places: Vec::new() }
    }

    /// Makes room for `max` numbers, and is empty then.
    pub(super) fn reserve(&mut self, max: usize) {
        self.places = vec![EMPTY; (2 * max).next_power_of_two()];
    }

    pub(super) fn is_reserved(&self) -> bool {
        !self.places.is_empty()
    }

    /// The number under `hash` that `is_it`.
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        self.taken_from(hash)
            .map(|(_, place)| place)
            .find(|place| place.hash == hash && is_it(place.number))
            .map(|place| place.number)
    }

    pub(super) fn insert(&mut self, hash: u32, number: u32) {
        let taken = self.taken_from(hash).count();
        let at = self.behind(self.home(hash), taken);
        self.set(at, Place { hash, number });
    }

    pub(super) fn remove(&mut self, hash: u32, number: u32) {
        let found = self
            .taken_from(hash)
            .find(|(_, place)| place.number == number);
        let Some((mut hole, _)) = found else {
            return;
        };
        // What stands behind and would not be found across the hole moves up into it.
        let mut at = self.behind(hole, 1);
        while let Some(place) = self.taken(at) {
            let from_home = self.distance(self.home(place.hash), at);
            if from_home >= self.distance(hole, at) {
                self.set(hole, place);
                hole = at;
            }
            at = self.behind(at, 1);
        }
        self.set(hole, EMPTY);
    }

    /// The taken places from where `hash` points to the next free one.
    fn taken_from(&self, hash: u32) -> impl Iterator<Item = (usize, Place)> {
        let home = self.home(hash);
        (0..self.places.len()).map_while(move |distance| {
            let at = self.behind(home, distance);
            Some((at, self.taken(at)?))
        })
    }

    fn taken(&self, at: usize) -> Option<Place> {
        let place = self.places.get(at).copied();
        place.filter(|place| place.number != NONE)
    }

    fn set(&mut self, at: usize, place: Place) {
        if let Some(old) = self.places.get_mut(at) {
            *old = place;
        }
    }

    fn home(&self, hash: u32) -> usize {
        self.behind(0, usize::try_from(hash).unwrap_or(0))
    }

    fn behind(&self, at: usize, by: usize) -> usize {
        at.wrapping_add(by) & self.places.len().wrapping_sub(1)
    }

    fn distance(&self, from: usize, to: usize) -> usize {
        self.behind(to, from.wrapping_neg())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let taken = self.places.iter().filter(|place| place.number != NONE);
        taken.count()
    }

    /// Bytes that are reserved.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.places.capacity() * size_of::<Place>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let mut index = Index::new();
        assert_eq!(index.find(7, |_| true), None);
        index.remove(7, 1);
        index.reserve(4);
        index.remove(7, 1);
        assert_eq!(index.find(7, |_| true), None);
    }

    proptest! {
        /// Few places, and hashes that meet and go round the end.
        #[test]
        fn an_index_does_as_a_map(
            steps in proptest::collection::vec((any::<bool>(), 0_u32..8, 0_u32..6), 0..200),
        ) {
            let mut index = Index::new();
            index.reserve(8);
            let mut map: HashMap<u32, u32> = HashMap::new();
            for (insert, number, home) in steps {
                let hash = (home + 13) % 16 + 16 * number;
                if insert && !map.contains_key(&number) {
                    index.insert(hash, number);
                    map.insert(number, hash);
                } else if let Some(hash) = map.remove(&number) {
                    index.remove(hash, number);
                }
                prop_assert_eq!(index.len(), map.len());
                for (number, hash) in &map {
                    prop_assert_eq!(index.find(*hash, |found| found == *number), Some(*number));
                }
            }
        }
    }
}
