//! Which keys an export revises.

/// The keys of `revised_keys`, each with the place at which it stands last.
#[derive(Clone, Debug, Default)]
pub(super) struct Revisions(Vec<([u8; 16], u32)>);

impl Revisions {
    /// How many are made room for at once. Chosen: a vector that doubled would take twice what it needs
    /// of the little memory that a reader has.
    const STEP: usize = 32 * 1024;

    /// Notes the revision of `key` at `place`. To be [`sorted`](Self::sorted) before it is asked.
    pub(super) fn push(&mut self, key: [u8; 16], place: u32) {
        if self.0.len() == self.0.capacity() {
            // The first ones, which are mostly all, take no more than a few.
            self.0.reserve_exact(self.0.len().clamp(16, Self::STEP));
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
        let at = self.0.binary_search_by(|(revised, _)| revised.cmp(key)).ok()?;
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
                revisions.push([key; 16], place);
                expected.insert(key, place);
            }
            let found = revisions.sorted().last_of(&[asked; 16]);
            prop_assert_eq!(found, expected.get(&asked).copied());
        }
    }
}
