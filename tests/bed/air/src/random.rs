//! Numbers by chance that are the same in every run: xorshift64* (Marsaglia 2003, Vigna 2016).

#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        // The one state it could not leave is zero; an odd constant, the golden ratio's, spreads small
        // seeds.
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// From 0 up to, but not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        // The 53 bits that a double has.
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Normally distributed, with mean 0 and standard deviation 1 (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// A non-resolvable private address: the two highest bits are zero (Volume 6, Part B, 1.3.2.2).
    pub(crate) fn address(&mut self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = self.next().to_le_bytes();
        [a, b, c, d, e, f & 0x3f]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_has_the_mean_and_the_deviation_that_it_says() {
        let mut random = Random::new(1);
        let drawn: Vec<f64> = (0..10_000).map(|_| random.normal()).collect();
        let mean = drawn.iter().sum::<f64>() / 10_000.0;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 10_000.0;
        // Five standard errors.
        assert!(mean.abs() < 0.05, "{mean}");
        assert!((variance - 1.0).abs() < 0.071, "{variance}");
    }
}
