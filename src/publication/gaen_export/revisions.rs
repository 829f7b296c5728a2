//! Which keys an export revises.

use super::REVISED_KEYS_MAX;

/// The keys of `revised_keys`, each with the place at which it stands last.
#[derive(Clone, Debug, Default)]
pub(super) struct Revisions(Vec<([u8; 16], u32)>);

/// The bytes of a key in a list at least: its own 16, and two heads of two.
const KEY_BYTES_MIN: usize = 20;

impl Revisions {
    /// Notes the revision of `key` at `place`, behind which the file has `left` more bytes. To be
    /// [`sorted`](Self::sorted) before it is asked.
    pub(super) fn push(&mut self, key: [u8; 16], place: u32, left: usize) {
        if self.0.is_empty() {
            // All that can come, for a vector that grew would take twice what it needs of the little
            // memory that a reader has.
            let most = left / KEY_BYTES_MIN + 1;
            self.0.reserve_exact(most.min(REVISED_KEYS_MAX));
        }
        self.0.push((key, place));
    }

    pub(super) fn sorted(mut self) -> Self {
        self.0.sort_unstable();
        self.0.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                kept.1 = later.1;
            }
            same
        });
        self
    }

    /// The place of the last revision of `key`; `None` if it is not revised.
    #[inline]
    pub(super) fn last_of(&self, key: &[u8; 16]) -> Option<u32> {
        if self.0.is_empty() {
            return None;
        }
        let at = self
            .0
            .binary_search_by(|(revised, _)| revised.cmp(key))
            .ok()?;
        self.0.get(at).map(|(_, place)| *place)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_place_of_each(keys in prop::collection::vec(0u8..20, 0..60), asked in 0u8..25) {
            let mut revisions = Revisions::default();
            let mut expected = HashMap::new();
            for (place, key) in (0..).zip(keys) {
                revisions.push([key; 16], place, 100);
                expected.insert(key, place);
            }
            let found = revisions.sorted().last_of(&[asked; 16]);
            prop_assert_eq!(found, expected.get(&asked).copied());
        }
    }
}
