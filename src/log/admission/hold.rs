//! Identifiers that are watched, and what was heard of them and waits.

use std::hash::RandomState;

use super::index::Index;
use super::share::Proof;
use super::slab::{NONE, Slab};
use super::watched::{CLASSES, LIFE, Name, Record, UNLINKED, Watched, apart};
use crate::sighting::Sighting;
use crate::time::Timestamp;

/// Sightings that wait at most. Chosen: what the identifiers below bring, with some to spare for those
/// that are heard again, and 4 MiB.
const RECORDS_MAX: usize = 131_072;

/// Identifiers watched at most. Chosen: at the 2,600 advertisements a second that a channel carries, each
/// another identifier, 44 seconds of them: longer than the half minute after which a true neighbour
/// is heard again.
const WATCHED_MAX: usize = 114_688;

/// Sightings of one identifier that wait at most. Chosen: eight minutes of one each two seconds, which is
/// how often a flood makes the engine close them.
const RECORDS_EACH_MAX: u16 = 240;

/// Identifiers whose proofs are alike, the one heard longest ago first.
#[derive(Clone, Copy, Debug)]
struct Class {
    front: u32,
    back: u32,
    /// Its identifiers and what waits of them, together.
    weight: usize,
}

impl Class {
    const EMPTY: Self = Self {
        front: NONE,
        back: NONE,
        weight: 0,
    };
}

/// How much may be held.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) watched: usize,
    pub(super) records: usize,
    pub(super) records_each: u16,
}

impl Limits {
    pub(super) const FULL: Self = Self {
        watched: WATCHED_MAX,
        records: RECORDS_MAX,
        records_each: RECORDS_EACH_MAX,
    };
}

/// What became of a sighting that was counted.
pub(super) enum Heard {
    /// What the identifier of this number has proven by now.
    Proven(u32, Proof),
    /// The identifier of this number has lived longer than one does, and the sighting is not counted.
    Over(u32),
    NoRoom,
}

pub(super) struct Hold {
    limits: Limits,
    keys: RandomState,
    index: Index,
    watched: Slab<Watched>,
    records: Slab<Record>,
    classes: [Class; CLASSES],
    /// Sightings that gave way.
    pub(super) dropped: u64,
}

impl Hold {
    /// Takes no memory before an identifier is watched.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            keys: RandomState::new(),
            index: Index::new(),
            watched: Slab::new(limits.watched),
            records: Slab::new(limits.records),
            classes: [Class::EMPTY; CLASSES],
            dropped: 0,
        }
    }

    /// Sightings that wait.
    pub(super) fn waiting(&self) -> usize {
        self.records.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.watched.len() == 0
    }

    /// Gives all memory back if nothing is watched.
    pub(super) fn shrink(&mut self) {
        if self.is_empty() && self.index.is_reserved() {
            *self = Self {
                dropped: self.dropped,
                ..Self::new(self.limits)
            };
        }
    }

    pub(super) fn find(&self, sighting: &Sighting) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let name = Name::from(sighting);
        self.find_name(&name, name.hash(&self.keys))
    }

    fn find_name(&self, name: &Name, hash: u32) -> Option<u32> {
        let is_it = |number| {
            let watched = self.watched.get(number);
            watched.is_some_and(|watched| watched.name == *name)
        };
        self.index.find(hash, is_it)
    }

    /// Watches the identifier of `sighting`, if it is not watched already, and counts the sighting towards
    /// its proof.
    pub(super) fn hear(&mut self, sighting: &Sighting) -> Heard {
        let name = Name::from(sighting);
        let hash = name.hash(&self.keys);
        let number = match self.find_name(&name, hash) {
            Some(number) => number,
            None => match self.watch(name, hash, sighting.first) {
                Some(number) => number,
                None => return Heard::NoRoom,
            },
        };
        if self.is_over(number, sighting.first) {
            return Heard::Over(number);
        }
        self.unlink(number);
        let Some(watched) = self.watched.get_mut(number) else {
            return Heard::NoRoom;
        };
        watched.hear(sighting);
        let proven = watched.proven;
        self.link(number);
        Heard::Proven(number, proven)
    }

    fn watch(&mut self, name: Name, hash: u32, begun: Timestamp) -> Option<u32> {
        if self.watched.is_full() {
            self.give_way();
        }
        if !self.index.is_reserved() {
            self.index.reserve(self.limits.watched);
        }
        let number = self.watched.insert(Watched::new(name, hash, begun))?;
        self.index.insert(hash, number);
        Some(number)
    }

    /// Lets `sighting` of the identifier `number` wait.
    pub(super) fn hold(&mut self, number: u32, sighting: &Sighting) {
        if self.records.is_full() {
            self.give_way();
        }
        let held = self.try_hold(number, sighting);
        if held.is_none() {
            self.dropped += 1;
        }
    }

    fn try_hold(&mut self, number: u32, sighting: &Sighting) -> Option<()> {
        let watched = self.watched.get_mut(number)?;
        // It may have given way itself.
        if watched.class == UNLINKED || watched.held >= self.limits.records_each {
            return None;
        }
        let record = self.records.insert(Record::from(sighting))?;
        watched.held += 1;
        if watched.oldest == NONE {
            watched.oldest = record;
        } else {
            self.records.get_mut(watched.newest)?.next = record;
        }
        watched.newest = record;
        self.classes.get_mut(usize::from(watched.class))?.weight += 1;
        Some(())
    }

    /// What waits of the identifier `number`, in the order in which it came, goes to `give`. It stays
    /// watched.
    pub(super) fn release(&mut self, number: u32, mut give: impl FnMut(Sighting)) {
        let Some(watched) = self.watched.get_mut(number) else {
            return;
        };
        if let Some(class) = self.classes.get_mut(usize::from(watched.class)) {
            class.weight -= usize::from(watched.held);
        }
        let (mut next, name) = (watched.oldest, watched.name);
        (watched.held, watched.oldest, watched.newest) = (0, NONE, NONE);
        while let Some(record) = self.records.get(next).copied() {
            self.records.give_back(next);
            give(record.sighting(name));
            next = record.next;
        }
    }

    /// Watches the identifier `number` no longer; what waits of it gives way.
    pub(super) fn forget(&mut self, number: u32) {
        let mut dropped = 0;
        self.release(number, |_| dropped += 1);
        self.dropped += dropped;
        self.unlink(number);
        if let Some(watched) = self.watched.get(number) {
            self.index.remove(watched.hash, number);
            self.watched.give_back(number);
        }
    }

    /// Whether the identifier `number`, heard again at `now`, has lived longer than one does.
    fn is_over(&self, number: u32, now: Timestamp) -> bool {
        let watched = self.watched.get(number);
        watched.is_some_and(|watched| apart(watched.begun, now) > LIFE)
    }

    /// The identifier of the class `turn` that was heard longest ago, if that is longer than one lives.
    pub(super) fn expired(&self, turn: usize, now: Timestamp) -> Option<u32> {
        let front = self.classes.get(turn % CLASSES)?.front;
        let watched = self.watched.get(front)?;
        (apart(watched.latest, now) > LIFE).then_some(front)
    }

    /// Any identifier, those least proven first.
    pub(super) fn any(&self) -> Option<u32> {
        let mut fronts = self.classes.iter().map(|class| class.front);
        fronts.find(|front| *front != NONE)
    }

    /// What the identifier `number` has proven, and when its newest waiting sighting was heard.
    pub(super) fn proof_of(&self, number: u32) -> Option<(Proof, Timestamp)> {
        let watched = self.watched.get(number)?;
        let newest = self.records.get(watched.newest)?;
        Some((watched.proven, newest.first))
    }

    /// Of the class that takes most room the identifier that was heard longest ago gives way.
    fn give_way(&mut self) {
        let heaviest = self.classes.iter().max_by_key(|class| class.weight);
        if let Some(front) = heaviest.map(|class| class.front) {
            self.forget(front);
        }
    }

    fn link(&mut self, number: u32) {
        let Some(watched) = self.watched.get_mut(number) else {
            return;
        };
        watched.class = watched.evidence();
        let Some(class) = self.classes.get_mut(usize::from(watched.class)) else {
            return;
        };
        class.weight += 1 + usize::from(watched.held);
        (watched.before, watched.after) = (class.back, NONE);
        let before = std::mem::replace(&mut class.back, number);
        match self.watched.get_mut(before) {
            Some(before) => before.after = number,
            None => class.front = number,
        }
    }

    fn unlink(&mut self, number: u32) {
        let Some(watched) = self.watched.get_mut(number) else {
            return;
        };
        let Some(class) = self.classes.get_mut(usize::from(watched.class)) else {
            return;
        };
        class.weight -= 1 + usize::from(watched.held);
        watched.class = UNLINKED;
        let (before, after) = (watched.before, watched.after);
        match self.watched.get_mut(before) {
            Some(before) => before.after = after,
            None => class.front = after,
        }
        match self.watched.get_mut(after) {
            Some(after) => after.before = before,
            None => class.back = before,
        }
    }
}

#[cfg(test)]
impl Hold {
    /// Bytes that are reserved.
    pub(super) fn bytes(&self) -> usize {
        self.index.bytes() + self.watched.bytes() + self.records.bytes()
    }

    /// Panics if lists, weights and table do not agree.
    pub(super) fn assert_sound(&self) {
        let (mut watched, mut records) = (0, 0);
        for (number, class) in self.classes.iter().enumerate() {
            let (mut next, mut before, mut weight) = (class.front, NONE, 0);
            while let Some(entry) = self.watched.get(next) {
                assert_eq!(usize::from(entry.class), number);
                assert_eq!(entry.before, before);
                assert_eq!(self.find_name(&entry.name, entry.hash), Some(next));
                let mut held = 0;
                let mut record = entry.oldest;
                while let Some(found) = self.records.get(record) {
                    held += 1;
                    assert!(found.next != NONE || entry.newest == record);
                    record = found.next;
                }
                assert_eq!(entry.held, held);
                assert!(held <= self.limits.records_each);
                weight += 1 + usize::from(held);
                records += usize::from(held);
                watched += 1;
                (before, next) = (next, entry.after);
            }
            assert_eq!((class.back, class.weight), (before, weight));
        }
        assert_eq!((watched, records), (self.watched.len(), self.records.len()));
        assert_eq!(watched, self.index.len());
        assert!(watched <= self.limits.watched && records <= self.limits.records);
    }
}
