//! Where random bytes come from: the operating system, or a seed for simulation.

use crate::crypto;
use crate::secret::Secret;

/// A source of random bytes.
///
/// Whatever feeds a real device must be a cryptographically secure generator: daily keys are drawn
/// from it and nothing else protects them.
pub trait Entropy: Send {
    /// Fills `out` with random bytes.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] when the source has nothing to give; no key is made then.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError>;
}

/// The random source could not be read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system's random number generator gave no bytes")]
pub struct EntropyError;

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        crypto::system_random(out).map_err(|_| EntropyError)
    }
}

/// SHA-256 in counter mode over a seed: the same seed gives the same bytes for ever.
///
/// For simulations and tests; never for a device that advertises to the world.
#[derive(Clone, Debug)]
pub struct SeededEntropy {
    seed: u64,
    block_index: u64,
}

impl SeededEntropy {
    /// A generator that begins at the start of `seed`'s sequence.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            block_index: 0,
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(32) {
            let block = crypto::sha256(&[
                b"truyvet seeded entropy",
                &self.seed.to_le_bytes(),
                &self.block_index.to_le_bytes(),
            ]);
            self.block_index += 1;
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
        Ok(())
    }
}

/// `N` random bytes as a secret.
pub(crate) fn random_secret<const N: usize>(
    entropy: &mut dyn Entropy,
) -> Result<Secret<N>, EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    let secret = Secret::new(bytes);
    zeroize::Zeroize::zeroize(&mut bytes);
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_another_does_not() {
        let draw = |seed| {
            let mut out = [0; 100];
            SeededEntropy::new(seed).fill(&mut out).unwrap();
            out
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn system_entropy_does_not_repeat() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemEntropy.fill(&mut a).unwrap();
        SystemEntropy.fill(&mut b).unwrap();
        assert_ne!(a, b);
    }
}
