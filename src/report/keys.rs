//! The keys of a report: their form on the wire, the one text that is committed to, and what makes them
//! unfit to be reported.

use std::collections::HashSet;
use std::fmt;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::crypto::{hmac_sha256, hmac_sha256_verify, sha256};
use crate::protocol::bluezone::PublishedEntry;
use crate::protocol::gaen::DiagnosisKey;
use crate::protocol::{InvalidKey, PublishedKey};
use crate::secret::Secret;
use crate::time::{IntervalNumber, Timestamp, UtcDay};

/// Keys in a report. Chosen: 21 days of both protocols, with half as many again for days on which keys were
/// given out before; all of them fit into [the usual size](super::sealed::SizeClass::USUAL).
pub const KEYS_MAX: usize = 64;

/// What the committed text begins with.
const CANONICAL_START: &str = "truyvet keys 1";

/// `HMAC-SHA256(report secret, the keys' canonical text)`: it binds a certificate to keys that whoever signs
/// it does not see.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Commitment([u8; 32]);

impl Commitment {
    /// The commitment with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    pub(super) fn to_keys(keys: &[PublishedKey], secret: &Secret<32>) -> Self {
        Self(hmac_sha256(secret, canonical(keys).as_bytes()))
    }

    pub(super) fn is_to(&self, keys: &[PublishedKey], secret: &Secret<32>) -> bool {
        hmac_sha256_verify(secret, canonical(keys).as_bytes(), &self.0)
    }
}

impl fmt::Debug for Commitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Commitment(..)")
    }
}

/// SHA-256 over a key's protocol and bytes: by it a publisher knows a key that was reported before.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The digest of `key`, whenever it is valid.
    pub fn of(key: &PublishedKey) -> Self {
        Self(match key {
            PublishedKey::Bluezone(entry) => sha256(&[b"truyvet key B", entry.daily_key()]),
            PublishedKey::Gaen(key) => sha256(&[b"truyvet key G", key.key()]),
        })
    }

    /// The digest with these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(..)")
    }
}

/// Keys that cannot be reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKeys {
    /// None.
    #[error("expected at least one key, got none")]
    NoKeys,
    /// Over [`KEYS_MAX`].
    #[error("expected at most {KEYS_MAX} keys, got {got}")]
    TooManyKeys {
        /// Keys there are.
        got: usize,
    },
    /// A key that is valid on more than one day, so that it tells more than its day.
    #[error("expected keys of one UTC day each, got one that begins on {day} and ends later")]
    SpansDays {
        /// The day it begins on.
        day: UtcDay,
    },
    /// The same key twice, or two GAEN keys for one interval. Bluezone's begin at midnight all.
    #[error("two keys of {day} overlap")]
    Overlap {
        /// The day of both.
        day: UtcDay,
    },
}

/// The UTC day that `key` is valid on.
pub(super) fn day_of(key: &PublishedKey) -> Result<UtcDay, InvalidKeys> {
    let (first, last) = match key {
        PublishedKey::Bluezone(entry) => (
            Timestamp::from_unix_seconds(entry.time_start()),
            Timestamp::from_unix_seconds(entry.time_end()),
        ),
        PublishedKey::Gaen(key) => {
            let last = key.rolling_start().saturating_add(key.rolling_period() - 1);
            (key.rolling_start().start(), last.start())
        }
    };
    let day = first.utc_day();
    match last.utc_day() == day {
        true => Ok(day),
        false => Err(InvalidKeys::SpansDays { day }),
    }
}

/// The days of `keys`, if they can be reported.
pub(super) fn days_of(keys: &[PublishedKey]) -> Result<Vec<UtcDay>, InvalidKeys> {
    if keys.is_empty() {
        return Err(InvalidKeys::NoKeys);
    }
    if keys.len() > KEYS_MAX {
        return Err(InvalidKeys::TooManyKeys { got: keys.len() });
    }
    let days = keys.iter().map(day_of).collect::<Result<Vec<_>, _>>()?;
    let mut known = HashSet::new();
    for (key, day) in keys.iter().zip(&days) {
        if !known.insert(KeyDigest::of(key)) {
            return Err(InvalidKeys::Overlap { day: *day });
        }
    }
    let mut spans: Vec<_> = keys
        .iter()
        .filter_map(|key| match key {
            PublishedKey::Gaen(key) => Some((key.rolling_start(), key.rolling_period())),
            PublishedKey::Bluezone(_) => None,
        })
        .collect();
    spans.sort_unstable();
    for pair in spans.windows(2) {
        if let [(start, period), (next, _)] = pair
            && start.saturating_add(*period) > *next
        {
            let day = next.start().utc_day();
            return Err(InvalidKeys::Overlap { day });
        }
    }
    Ok(days)
}

/// The keys as one text, whatever their order: a line each, sorted by bytes, joined by commas behind
/// "truyvet keys 1". A GAEN key is `G.base64(key).rolling start.rolling period`, an entry of Bluezone
/// `B.base64(daily key).time_start.time_end.slots a day`, numbers in decimal.
fn canonical(keys: &[PublishedKey]) -> Zeroizing<String> {
    let mut lines = Zeroizing::new(keys.iter().map(line).collect::<Vec<_>>());
    lines.sort_unstable();
    let length = lines.iter().map(|line| line.len() + 1).sum::<usize>();
    let mut text = Zeroizing::new(String::with_capacity(CANONICAL_START.len() + length));
    text.push_str(CANONICAL_START);
    for line in lines.iter() {
        text.push(',');
        text.push_str(line);
    }
    text
}

fn line(key: &PublishedKey) -> String {
    match key {
        PublishedKey::Bluezone(entry) => format!(
            "B.{}.{}.{}.{}",
            BASE64.encode(entry.daily_key()),
            entry.time_start(),
            entry.time_end(),
            entry.slots_per_day()
        ),
        PublishedKey::Gaen(key) => format!(
            "G.{}.{}.{}",
            BASE64.encode(key.key()),
            key.rolling_start().0,
            key.rolling_period()
        ),
    }
}

/// A key on the wire. What an authority says of a key is not the device's to say, and not in it.
#[derive(Deserialize, Serialize)]
pub(super) enum KeyRecord {
    Bluezone {
        daily_key: [u8; 32],
        time_start: u64,
        time_end: u64,
        slots_per_day: u32,
    },
    Gaen {
        key: [u8; 16],
        rolling_start: u32,
        rolling_period: u32,
    },
}

impl KeyRecord {
    pub(super) fn of(key: &PublishedKey) -> Self {
        match key {
            PublishedKey::Bluezone(entry) => Self::Bluezone {
                daily_key: *entry.daily_key(),
                time_start: entry.time_start(),
                time_end: entry.time_end(),
                slots_per_day: entry.slots_per_day(),
            },
            PublishedKey::Gaen(key) => Self::Gaen {
                key: *key.key(),
                rolling_start: key.rolling_start().0,
                rolling_period: key.rolling_period(),
            },
        }
    }

    pub(super) fn to_key(&self) -> Result<PublishedKey, InvalidKey> {
        Ok(match self {
            Self::Bluezone {
                daily_key,
                time_start,
                time_end,
                slots_per_day,
            } => PublishedEntry::new(*daily_key, *time_start, *time_end, *slots_per_day)?.into(),
            Self::Gaen {
                key,
                rolling_start,
                rolling_period,
            } => DiagnosisKey::new(*key, IntervalNumber(*rolling_start), *rolling_period)?.into(),
        })
    }
}

impl Drop for KeyRecord {
    fn drop(&mut self) {
        match self {
            Self::Bluezone { daily_key, .. } => daily_key.zeroize(),
            Self::Gaen { key, .. } => key.zeroize(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: UtcDay = UtcDay::from_unix_days(18_482);

    fn gaen(byte: u8, start: u32, period: u32) -> PublishedKey {
        let start = IntervalNumber(DAY.unix_days() * 144 + start);
        DiagnosisKey::new([byte; 16], start, period).unwrap().into()
    }

    fn bluezone(byte: u8, seconds: u64) -> PublishedKey {
        let start = DAY.start().unix_seconds();
        PublishedEntry::new([byte; 32], start, start + seconds, 96)
            .unwrap()
            .into()
    }

    #[test]
    fn the_committed_text_is_pinned() {
        let expected = "truyvet keys 1,\
            B.AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=.1596844800.1596931199.96,\
            G.AQEBAQEBAQEBAQEBAQEBAQ==.2661408.144";
        let keys = [gaen(1, 0, 144), bluezone(2, 86_399)];
        assert_eq!(*canonical(&keys), expected);
        let [a, b] = keys;
        let other_order = [b, a];
        assert_eq!(*canonical(&other_order), expected);
        let secret = Secret::new([9; 32]);
        // Python: hmac.new(bytes([9] * 32), text, "sha256").
        assert_eq!(
            data_encoding::HEXLOWER.encode(&Commitment::to_keys(&other_order, &secret).0),
            "80ae29f1352651bfe1bd21d41f10e6dd57273a44c42137a5224022e916f77c78"
        );
    }

    #[test]
    fn every_field_is_committed_to() {
        let secret = Secret::new([9; 32]);
        let commitment = Commitment::to_keys(&[gaen(1, 0, 100)], &secret);
        assert!(commitment.is_to(&[gaen(1, 0, 100)], &secret));
        assert!(!commitment.is_to(&[gaen(1, 0, 100)], &Secret::new([8; 32])));
        for other in [gaen(2, 0, 100), gaen(1, 1, 100), gaen(1, 0, 101)] {
            assert!(!commitment.is_to(&[other], &secret));
        }
        let commitment = Commitment::to_keys(&[bluezone(1, 899)], &secret);
        for other in [bluezone(2, 899), bluezone(1, 900)] {
            assert!(!commitment.is_to(&[other], &secret));
        }
    }

    #[test]
    fn what_an_authority_says_of_a_key_is_not_committed_to() {
        let mut key = gaen(1, 0, 144).into_gaen().unwrap();
        let before = line(&key.clone().into());
        key.days_since_onset = Some(3);
        key.report_type = crate::protocol::ReportType::ConfirmedTest;
        assert_eq!(line(&key.into()), before);
    }

    #[test]
    fn no_keys_and_too_many() {
        assert_eq!(days_of(&[]), Err(InvalidKeys::NoKeys));
        let many: Vec<_> = (0..65).map(|byte| bluezone(byte, 899)).collect();
        assert_eq!(days_of(&many), Err(InvalidKeys::TooManyKeys { got: 65 }));
        assert_eq!(days_of(&many[..64]).unwrap(), vec![DAY; 64]);
    }

    #[test]
    fn a_key_of_two_days() {
        let spans = Err(InvalidKeys::SpansDays { day: DAY });
        assert_eq!(days_of(&[gaen(1, 1, 144)]), spans);
        assert_eq!(days_of(&[gaen(1, 1, 143)]), Ok(vec![DAY]));
        assert_eq!(days_of(&[bluezone(1, 86_400)]), spans);
        assert_eq!(days_of(&[bluezone(1, 86_399)]), Ok(vec![DAY]));
    }

    #[test]
    fn keys_overlapping() {
        let overlap = Err(InvalidKeys::Overlap { day: DAY });
        assert_eq!(days_of(&[gaen(2, 60, 84), gaen(1, 0, 61)]), overlap);
        assert_eq!(days_of(&[gaen(1, 0, 10), gaen(1, 20, 10)]), overlap);
        assert_eq!(days_of(&[bluezone(1, 899), bluezone(1, 1_799)]), overlap);
        assert!(days_of(&[gaen(2, 60, 84), gaen(1, 0, 60)]).is_ok());
        // A device that gave out its key at noon has a second one, and Bluezone counts both from midnight.
        assert!(days_of(&[bluezone(1, 43_199), bluezone(2, 86_399)]).is_ok());
    }

    #[test]
    fn keys_come_back_from_the_wire() {
        for key in [gaen(1, 3, 100), bluezone(2, 1_000)] {
            assert_eq!(KeyRecord::of(&key).to_key(), Ok(key));
        }
    }
}
