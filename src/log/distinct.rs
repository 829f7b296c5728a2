//! How many different identifiers there were, in bounded memory.

use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};

use crate::protocol::{EphemeralId, ProtocolKind};

/// How many different things there were.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DistinctCount {
    /// So many.
    Exact(u64),
    /// About so many: there were too many to remember each.
    Estimated(u64),
}

impl DistinctCount {
    /// The number, exact or not.
    pub const fn value(self) -> u64 {
        match self {
            Self::Exact(count) | Self::Estimated(count) => count,
        }
    }

    /// Whether it is no estimate.
    pub const fn is_exact(self) -> bool {
        matches!(self, Self::Exact(_))
    }
}

/// `1822`, or `about 104000`.
impl fmt::Display for DistinctCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(count) => write!(f, "{count}"),
            Self::Estimated(count) => write!(f, "about {count}"),
        }
    }
}

/// An identifier and whose it is.
pub(super) type Name = (ProtocolKind, EphemeralId);

/// Counts identifiers, each once: exactly as long as it may remember them, then by a sketch.
pub(super) struct DistinctCounter {
    exact_max: usize,
    registers: usize,
    seen: Seen,
}

enum Seen {
    Each(HashSet<Name>),
    Sketch(Sketch),
}

impl DistinctCounter {
    /// Remembers `exact_max` identifiers; then it has `registers` bytes, a power of two, and a standard error
    /// of `1.04 / sqrt(registers)`.
    pub(super) fn new(exact_max: usize, registers: usize) -> Self {
        Self {
            exact_max,
            registers,
            seen: Seen::Each(HashSet::new()),
        }
    }

    pub(super) fn insert(&mut self, name: Name) {
        match &mut self.seen {
            Seen::Each(names) => {
                names.insert(name);
                if names.len() > self.exact_max {
                    let mut sketch = Sketch::new(self.registers, names.hasher().clone());
                    names.iter().for_each(|name| sketch.insert(name));
                    self.seen = Seen::Sketch(sketch);
                }
            }
            Seen::Sketch(sketch) => sketch.insert(&name),
        }
    }

    pub(super) fn count(&self) -> DistinctCount {
        match &self.seen {
            Seen::Each(names) => DistinctCount::Exact(names.len() as u64),
            Seen::Sketch(sketch) => DistinctCount::Estimated(sketch.estimate()),
        }
    }
}

/// A HyperLogLog: Flajolet et al., *HyperLogLog: the analysis of a near-optimal cardinality estimation
/// algorithm* (2007), with 64 bits of hash. The hash is keyed at random, so that nobody can choose identifiers
/// that mislead it.
struct Sketch {
    hasher: RandomState,
    /// Of those hashes whose last bits are the register's index, the most zeros that one began with, and one
    /// more; 0 if there was none.
    registers: Vec<u8>,
}

impl Sketch {
    fn new(registers: usize, hasher: RandomState) -> Self {
        Self {
            hasher,
            registers: vec![0; registers],
        }
    }

    fn insert(&mut self, name: &Name) {
        let hash = self.hasher.hash_one(name);
        let index = hash as usize & (self.registers.len() - 1);
        // The bit keeps the zeros from reaching into those that were the index.
        let zeros = (hash | 1 << (self.index_bits() - 1)).leading_zeros();
        let rank = zeros as u8 + 1;
        if let Some(register) = self.registers.get_mut(index) {
            *register = rank.max(*register);
        }
    }

    fn index_bits(&self) -> u32 {
        self.registers.len().trailing_zeros()
    }

    fn rank_max(&self) -> u32 {
        u64::BITS - self.index_bits() + 1
    }

    /// Ertl, *New cardinality estimation algorithms for HyperLogLog sketches* (2017), algorithm 6: without the
    /// bias that the original has for small counts.
    fn estimate(&self) -> u64 {
        let m = self.registers.len() as f64;
        let mut ranks = [0_u32; u64::BITS as usize + 2];
        for register in &self.registers {
            if let Some(count) = ranks.get_mut(usize::from(*register)) {
                *count += 1;
            }
        }
        let count = |rank: u32| f64::from(ranks.get(rank as usize).copied().unwrap_or_default());
        let mut z = m * tau(1.0 - count(self.rank_max()) / m);
        for rank in (1..self.rank_max()).rev() {
            z = 0.5 * (z + count(rank));
        }
        z += m * sigma(count(0) / m);
        (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
    }
}

/// `x + sum of x^(2^k) 2^(k-1) over k >= 1`.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight *= 2.0;
        if sum <= before {
            return sum;
        }
    }
}

/// `(1 - x - sum of (1 - x^(2^-k))^2 2^-k over k >= 1) / 3`.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x).powi(2) * weight;
        if sum >= before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> Name {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        (ProtocolKind::Gaen, id.into())
    }

    fn counted(numbers: impl Iterator<Item = u64>) -> DistinctCount {
        let mut counter = DistinctCounter::new(100, 1 << 12);
        numbers.for_each(|number| counter.insert(name(number)));
        counter.count()
    }

    #[test]
    fn exact_as_long_as_each_is_remembered() {
        assert_eq!(counted(0..0), DistinctCount::Exact(0));
        assert_eq!(counted((0..100).chain(0..100)), DistinctCount::Exact(100));
        assert!(!counted(0..101).is_exact());
    }

    #[test]
    fn the_same_bytes_of_another_protocol_are_another_identifier() {
        let mut counter = DistinctCounter::new(100, 1 << 12);
        counter.insert(name(1));
        counter.insert((ProtocolKind::Bluezone, name(1).1));
        assert_eq!(counter.count(), DistinctCount::Exact(2));
    }

    /// The standard error is 1.6 %: six of them are chance once in a thousand million.
    #[test]
    fn an_estimate_is_near_whatever_the_number() {
        for number in [101, 500, 3_000, 10_000, 30_000, 200_000] {
            let count = counted((0..number).chain(0..number));
            let off = count.value() as f64 / number as f64 - 1.0;
            assert!(!count.is_exact() && off.abs() < 0.1, "{number}: {count}");
        }
    }

    #[test]
    fn a_sketch_takes_no_more_than_it_was_given() {
        let mut sketch = Sketch::new(1 << 10, RandomState::new());
        assert_eq!(sketch.estimate(), 0);
        (0..10_000).for_each(|number| sketch.insert(&name(number)));
        assert_eq!(sketch.registers.len(), 1 << 10);
        assert!(
            sketch
                .registers
                .iter()
                .all(|rank| u32::from(*rank) <= sketch.rank_max())
        );
        // As good as it gets, and no overflow.
        let full = sketch.rank_max() as u8;
        sketch.registers.fill(full);
        assert!(sketch.estimate() > 1 << 60);
    }

    #[test]
    fn counts_say_whether_they_are_exact() {
        assert_eq!(DistinctCount::Exact(3).to_string(), "3");
        assert_eq!(DistinctCount::Estimated(3).to_string(), "about 3");
    }
}
