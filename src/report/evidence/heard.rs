//! What a confirmed case heard, as digests that only who already has an identifier can test.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{KeyReference, code_of, half, slot_day, slot_number};
use crate::codec;
use crate::crypto::sha256;
use crate::entropy::{Entropy, EntropyError};
use crate::log::{LogError, LogReader};
use crate::protocol::{EphemeralId, ProtocolKind, PublishedKey};
use crate::report::diagnosis::ReportError;
use crate::sighting::Sighting;
use crate::time::UtcDay;

/// How many digests there may be: as many as these, random ones among them, so that the number tells a size class at
/// most. Chosen: a report with them fills an envelope of 16, 64 or 256 KiB, with an eighth left for the rest.
pub const DIGEST_CLASSES: [usize; 3] = [896, 3_584, 14_336];

const VERSION: u8 = 1;

const LABEL: &[u8; 15] = b"truyvet heard 1";
const REPORT_LABEL: &[u8; 19] = b"truyvet heard for 1";

type Digest = [u8; 16];

/// Salted digests of the identifiers that a confirmed case heard, each with the slot in which it was heard. A report is
/// given them by [`PreparedReport::with_heard_from`](crate::report::diagnosis::PreparedReport::with_heard_from).
///
/// Identifiers are 96 or 128 random bits, so that nobody finds one by trying. **Whoever has an identifier from
/// elsewhere can test whether it was heard, and in which slot**: the authority that gets this can do so with other
/// cases' published keys, with what contacts open to it, and with what antennas of its own have recorded.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "Stored")]
pub struct HeardDigests {
    salt: [u8; 16],
    report: Digest,
    /// In order, none twice.
    digests: Vec<Digest>,
}

/// As somebody sent it.
#[derive(Deserialize)]
struct Stored {
    salt: [u8; 16],
    report: Digest,
    digests: Vec<Digest>,
}

impl HeardDigests {
    /// Digests of what `log` heard on `days`, for the report that gives out `keys`.
    ///
    /// If more was heard than fits, those of which the fewest frames were heard are left out. Parts of the log that are
    /// damaged are passed over.
    pub(in crate::report) fn of_log(
        log: &LogReader,
        days: impl IntoIterator<Item = UtcDay>,
        keys: &[PublishedKey],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, HeardError> {
        let mut heard = Heard::default();
        let days = BTreeSet::from_iter(days);
        for day in &days {
            for sighting in log.sightings_of(*day, *day)?.flatten() {
                heard.add(&sighting, &days);
            }
        }
        heard.digests(keys, entropy)
    }

    /// As [`of_log`](Self::of_log), of `sightings` of any kind of which those of `days` count.
    #[cfg(test)]
    pub(super) fn of_sightings<'s>(
        sightings: impl IntoIterator<Item = &'s Sighting>,
        days: impl IntoIterator<Item = UtcDay>,
        keys: &[PublishedKey],
        entropy: &mut dyn Entropy,
    ) -> Result<Self, HeardError> {
        let mut heard = Heard::default();
        let days = BTreeSet::from_iter(days);
        for sighting in sightings {
            heard.add(sighting, &days);
        }
        heard.digests(keys, entropy)
    }

    /// As they stand in a report: a version, the salt, what ties them to the report, and the digests.
    ///
    /// # Errors
    ///
    /// [`HeardError::Record`], which their number excludes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, HeardError> {
        codec::encode_into(vec![VERSION], self).map_err(|_| HeardError::Record)
    }

    /// Digests that stood in a report.
    ///
    /// # Errors
    ///
    /// [`HeardError::Version`], [`HeardError::Record`], which wrong numbers and orders are too.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeardError> {
        match bytes.split_first() {
            Some((&VERSION, record)) => codec::decode(record).map_err(|_| HeardError::Record),
            Some((found, _)) => Err(HeardError::Version { found: *found }),
            None => Err(HeardError::Record),
        }
    }

    /// How many there are, random ones included: one of [`DIGEST_CLASSES`].
    pub fn digest_count(&self) -> usize {
        self.digests.len()
    }

    /// Whether they were made for the report that gives out `keys`, in whatever order.
    pub fn are_for(&self, keys: &[PublishedKey]) -> bool {
        self.report == report_of(&self.salt, keys)
    }

    /// Whether `id` was heard in `slot`.
    pub(super) fn hold(&self, protocol: ProtocolKind, id: &EphemeralId, slot: u32) -> bool {
        let digest = digest(&self.salt, protocol, id, slot);
        self.digests.binary_search(&digest).is_ok()
    }
}

impl std::fmt::Debug for HeardDigests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HeardDigests")
            .field("digests", &self.digests.len())
            .finish_non_exhaustive()
    }
}

impl TryFrom<Stored> for HeardDigests {
    type Error = HeardError;

    fn try_from(stored: Stored) -> Result<Self, HeardError> {
        let Stored {
            salt,
            report,
            digests,
        } = stored;
        if !DIGEST_CLASSES.contains(&digests.len()) {
            let got = digests.len();
            return Err(HeardError::Number { got });
        }
        match digests.is_sorted_by(|a, b| a < b) {
            true => Ok(Self {
                salt,
                report,
                digests,
            }),
            false => Err(HeardError::Order),
        }
    }
}

/// No digests of what was heard can be made, added or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeardError {
    /// The report does not take them: its owner did not agree to that.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The log could not be listed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// There are no random bytes for the salt.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// Of a version that is not known.
    #[error("expected digests of version {VERSION}, got {found}")]
    Version {
        /// Which.
        found: u8,
    },
    /// Cut, too long, or no record of digests.
    #[error("the digests are no record of their version")]
    Record,
    /// A number that is no size class.
    #[error("expected {DIGEST_CLASSES:?} digests, got {got}")]
    Number {
        /// How many there are.
        got: usize,
    },
    /// They are not in order, or one comes twice.
    #[error("expected digests in ascending order, none twice")]
    Order,
}

/// What was heard in which slot, and how many frames of it.
#[derive(Default)]
struct Heard(BTreeMap<(ProtocolKind, u32, EphemeralId), u64>);

impl Heard {
    fn add(&mut self, sighting: &Sighting, days: &BTreeSet<UtcDay>) {
        let protocol = sighting.protocol;
        let first = slot_number(protocol, sighting.first);
        let last = slot_number(protocol, sighting.last);
        for slot in [Some(first), (last != first).then_some(last)]
            .into_iter()
            .flatten()
        {
            if days.contains(&slot_day(protocol, slot)) {
                let frames = self.0.entry((protocol, slot, sighting.id)).or_default();
                *frames += u64::from(sighting.frames);
            }
        }
    }

    fn digests(
        self,
        keys: &[PublishedKey],
        entropy: &mut dyn Entropy,
    ) -> Result<HeardDigests, HeardError> {
        let mut salt = [0; 16];
        entropy.fill(&mut salt)?;
        let mut heard: Vec<_> = self.0.into_iter().collect();
        let [.., most] = DIGEST_CLASSES;
        if heard.len() > most {
            heard.sort_by_key(|(_, frames)| std::cmp::Reverse(*frames));
            heard.truncate(most);
        }
        let mut digests: BTreeSet<Digest> = heard
            .into_iter()
            .map(|((protocol, slot, id), _)| digest(&salt, protocol, &id, slot))
            .collect();
        let class = DIGEST_CLASSES
            .into_iter()
            .find(|class| digests.len() <= *class)
            .unwrap_or(most);
        pad(&mut digests, class, entropy)?;
        Ok(HeardDigests {
            report: report_of(&salt, keys),
            salt,
            digests: digests.into_iter().collect(),
        })
    }
}

/// Adds random digests until there are `class`.
fn pad(
    digests: &mut BTreeSet<Digest>,
    class: usize,
    entropy: &mut dyn Entropy,
) -> Result<(), EntropyError> {
    // A source that repeats itself is none: of random ones no two are the same.
    for _ in digests.len()..class {
        let mut random = [0; 16];
        entropy.fill(&mut random)?;
        if !digests.insert(random) {
            return Err(EntropyError);
        }
    }
    Ok(())
}

fn digest(salt: &[u8; 16], protocol: ProtocolKind, id: &EphemeralId, slot: u32) -> Digest {
    let parts: [&[u8]; 5] = [
        LABEL,
        salt,
        &[code_of(protocol)],
        &slot.to_le_bytes(),
        id.as_bytes(),
    ];
    half(sha256(&parts))
}

/// What ties digests to the keys beside which they were reported.
fn report_of(salt: &[u8; 16], keys: &[PublishedKey]) -> Digest {
    let keys: BTreeSet<_> = keys.iter().map(KeyReference::of).collect();
    let keys: Vec<_> = keys.into_iter().map(KeyReference::to_bytes).collect();
    half(sha256(&[REPORT_LABEL, salt, keys.as_flattened()]))
}
