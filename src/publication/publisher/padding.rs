//! Random numbers that come out the same when the same package is made again.

use crate::crypto::{Aes128Key, hkdf_sha256};
use crate::entropy::{Entropy, EntropyError};
use crate::protocol::ProtocolKind;
use crate::secret::Secret;
use crate::time::Timestamp;

/// AES-128 in counter mode under a key that HKDF-SHA256 makes of the publisher's secret and of what the
/// package is and holds. A publisher that was killed makes the very package that it made before: of two
/// with other padding, whoever saw both would know which keys are real.
pub(super) struct PackageEntropy {
    key: Aes128Key,
    counter: u128,
}

impl PackageEntropy {
    /// For the package of `protocol` and `hour` whose keys have the hash `digest`.
    pub(super) fn new(
        secret: &Secret<32>,
        protocol: ProtocolKind,
        hour: Timestamp,
        digest: &[u8; 32],
    ) -> Result<Self, EntropyError> {
        let protocol: &[u8] = match protocol {
            ProtocolKind::Gaen => b"gaen",
            ProtocolKind::Bluezone => b"bluezone",
        };
        let hour = hour.unix_seconds().to_be_bytes();
        let info: [&[u8]; 4] = [b"truyvet padding 1 ", &hour, protocol, digest];
        let key = hkdf_sha256(secret.expose(), &[], &info).map_err(|_| EntropyError)?;
        Ok(Self {
            key: Aes128Key::new(&key),
            counter: 0,
        })
    }
}

impl Entropy for PackageEntropy {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in out.chunks_mut(16) {
            let mut block = self.counter.to_be_bytes();
            self.counter += 1;
            self.key.encrypt_block(&mut block);
            for (to, from) in chunk.iter_mut().zip(block) {
                *to = from;
            }
        }
        Ok(())
    }
}
