//! Random numbers of a simulation: each thing has a stream of its own, so that what one draws changes no other's.

/// SplitMix64 (Steele, Lea and Flood, 2014), which is fast and good enough for noise.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream(u64);

/// What a stream is for; the same thing draws for each from another place.
pub(super) mod purpose {
    pub(in crate::sim) const ADOPTION: u64 = 1;
    pub(in crate::sim) const ATTACKER: u64 = 2;
    pub(in crate::sim) const CLOCK: u64 = 3;
    pub(in crate::sim) const COMPLIANCE: u64 = 4;
    pub(in crate::sim) const COURSE: u64 = 5;
    pub(in crate::sim) const DEVICE: u64 = 6;
    pub(in crate::sim) const EAR: u64 = 17;
    pub(in crate::sim) const ENGINE: u64 = 7;
    pub(in crate::sim) const FIRST_INFECTED: u64 = 8;
    pub(in crate::sim) const HOUSEHOLD: u64 = 9;
    pub(in crate::sim) const INFECTION: u64 = 10;
    pub(in crate::sim) const PERSON: u64 = 11;
    pub(in crate::sim) const PLAN: u64 = 12;
    pub(in crate::sim) const PUBLICATION: u64 = 13;
    pub(in crate::sim) const RESTART: u64 = 14;
    pub(in crate::sim) const SHADOW: u64 = 15;
    pub(in crate::sim) const WALK: u64 = 16;
}

const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

fn mix(value: u64) -> u64 {
    let mut mixed = value;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Stream {
    /// That of two numbers for one purpose.
    pub(super) fn of(seed: u64, purpose: u64, a: u64, b: u64) -> Self {
        let mut state = seed;
        for part in [purpose, a, b] {
            state = mix(state.wrapping_add(STEP) ^ mix(part.wrapping_add(STEP)));
        }
        Self(state)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Uniform in 0..1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform in `from..to`.
    pub(super) fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.uniform()
    }

    /// Uniform in 0..`count`; 0 for none.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        // The bias is of one in four thousand million.
        u32::try_from((u64::from(count) * (self.next() >> 32)) >> 32).unwrap_or(0)
    }

    /// Normal, mean 0 and deviation 1 (Box and Muller, 1958).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Nearly normal, mean 0 and deviation 1, of one number: the sum of its four parts. For the fading of frames, of
    /// which there are hundreds of millions.
    pub(super) fn noise(&mut self) -> f32 {
        let bits = self.next();
        let parts = [bits, bits >> 16, bits >> 32, bits >> 48];
        let sum: u32 = parts.iter().map(|part| (part & 0xFFFF) as u32).sum();
        // Four uniforms of 0..65536 have the mean 131,070 and the deviation 65,536/√3.
        (sum as f32 - 131_070.0) / 37_837.2
    }

    /// Fills `out`.
    pub(super) fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_of_other_things_differ() {
        let first = |a, b| Stream::of(1, 2, a, b).next();
        assert_eq!(first(3, 4), first(3, 4));
        assert_ne!(first(3, 4), first(4, 3));
        assert_ne!(first(0, 0), Stream::of(2, 2, 0, 0).next());
    }

    #[test]
    fn moments_are_right() {
        let mut stream = Stream::of(1, 0, 0, 0);
        for draw in [
            |stream: &mut Stream| stream.normal(),
            |stream: &mut Stream| f64::from(stream.noise()),
        ] {
            let values: Vec<f64> = (0..100_000).map(|_| draw(&mut stream)).collect();
            let mean = values.iter().sum::<f64>() / 1e5;
            let square = values.iter().map(|value| value * value).sum::<f64>() / 1e5;
            assert!(mean.abs() < 0.02, "{mean}");
            assert!((square - 1.0).abs() < 0.02, "{square}");
        }
        let below: Vec<u32> = (0..1_000).map(|_| stream.below(7)).collect();
        assert!((0..7).all(|value| below.contains(&value)) && below.iter().all(|value| *value < 7));
        assert_eq!(stream.below(0), 0);
    }
}
