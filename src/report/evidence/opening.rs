//! Proof that identifiers are one's own: a secret that they follow from, and that nobody finds who heard them.

use std::fmt;

use super::{code_of, half, kept_slots};
use crate::crypto::sha256;
use crate::protocol::bluezone::{DAY_SECONDS, DailyKey, SALT, SLOTS_PER_DAY, pick};
use crate::protocol::gaen::{ROLLING_PERIOD, RollingProximityIdentifierKey, TemporaryExposureKey};
use crate::protocol::own_key::DailySecret;
use crate::protocol::{EphemeralId, FrameError, OwnKey, ProtocolKind, PublishedKey};
use crate::secret::Secret;
use crate::time::IntervalNumber;

/// The link of Bluezone's chain by which a day is noted, the day's first sub-key being 0: at least a day beyond any
/// link that an opening begins with, however many of its slots it lies about.
const NOTED: usize = 2 * SLOTS_PER_DAY as usize - 1;

/// The identifiers that one own key had from slot `first` to slot `last`, of one UTC day.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) secret: Opened,
}

/// What is given away.
#[derive(Debug)]
pub(super) enum Opened {
    /// The preimage of the first slot's sub-key: S(n,i-1), or D(n) if i is 0. The sub-key itself would prove nothing of
    /// its own slot: twelve of its bytes were on the air, and the other twenty could be any.
    Bluezone(Secret<32>),
    /// RPIK. The metadata of the day stays closed.
    Gaen(Secret<16>),
}

/// Names the own key behind an opening, so that an authority notices one that comes again from somebody else, or that
/// was published. The same for all openings of one key, whichever slots they are of, and for the published key.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DayFingerprint([u8; 16]);

impl DayFingerprint {
    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// Those of a published key, one for each day that it covers: who has the key can open these days as if they
    /// were his own.
    pub fn of_published(key: &PublishedKey) -> Vec<Self> {
        match key {
            PublishedKey::Bluezone(entry) => {
                let days = (entry.time_end() - entry.time_start()) / DAY_SECONDS + 1;
                let first = DailyKey::new(Secret::new(*entry.daily_key()));
                let keys = std::iter::successors(Some(first), |key| Some(key.next_in_chain()));
                (0..days)
                    .zip(keys)
                    .filter_map(|(_, key)| {
                        let noted = sub_keys(key.secret(), 0).nth(NOTED)?;
                        Some(Self::by(ProtocolKind::Bluezone, noted.expose()))
                    })
                    .collect()
            }
            PublishedKey::Gaen(key) => {
                let tek = TemporaryExposureKey::new(Secret::new(*key.key()));
                let rpik = tek.rolling_proximity_identifier_key();
                let by = |rpik: &Secret<16>| Self::by(ProtocolKind::Gaen, rpik.expose());
                rpik.iter().map(|rpik| by(rpik.secret())).collect()
            }
        }
    }

    fn by(protocol: ProtocolKind, secret: &[u8]) -> Self {
        Self(half(sha256(&[
            b"truyvet own day 1",
            &[code_of(protocol)],
            secret,
        ])))
    }
}

impl fmt::Debug for DayFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DayFingerprint(..)")
    }
}

impl Opening {
    /// Opens what `key` advertised from slot `first` to slot `last`.
    pub(super) fn of(key: &OwnKey, first: u32, last: u32) -> Result<Self, FrameError> {
        let secret = match key.secret() {
            DailySecret::Bluezone(key) => {
                let before = (first % SLOTS_PER_DAY).checked_sub(1);
                let sub_key = before.and_then(|slot| key.sub_keys().nth(slot as usize));
                Opened::Bluezone(match sub_key {
                    Some(sub_key) => sub_key.secret().duplicate(),
                    None => key.secret().duplicate(),
                })
            }
            DailySecret::Gaen(tek) => {
                let rpik = tek.rolling_proximity_identifier_key()?;
                Opened::Gaen(rpik.secret().duplicate())
            }
        };
        Ok(Self {
            first,
            last,
            secret,
        })
    }

    pub(super) fn protocol(&self) -> ProtocolKind {
        match self.secret {
            Opened::Bluezone(_) => ProtocolKind::Bluezone,
            Opened::Gaen(_) => ProtocolKind::Gaen,
        }
    }

    /// Whether its slots are in order and of one day.
    pub(super) fn is_within_a_day(&self) -> bool {
        let slots = slots_per_day(self.protocol());
        self.first <= self.last && self.first / slots == self.last / slots
    }

    /// The identifiers that may have been advertised in its slots, each with its own slot: no more than a day has.
    pub(super) fn identifiers(&self) -> Vec<(u32, EphemeralId)> {
        match &self.secret {
            Opened::Bluezone(before) => {
                let slots = self.first..=self.last;
                let sub_keys = sub_keys(before, self.first);
                let ids = sub_keys.map(|sub_key| pick(sub_key.expose()).into());
                slots.zip(ids.take(SLOTS_PER_DAY as usize)).collect()
            }
            Opened::Gaen(rpik) => {
                let rpik = RollingProximityIdentifierKey::new(rpik.duplicate());
                let midnight = self.first / ROLLING_PERIOD * ROLLING_PERIOD;
                let kept = kept_slots(ProtocolKind::Gaen);
                let first = self.first.saturating_sub(kept).max(midnight);
                (first..=self.last)
                    .take(ROLLING_PERIOD as usize)
                    .map(|slot| (slot, rpik.identifier(IntervalNumber(slot)).into()))
                    .collect()
            }
        }
    }

    pub(super) fn fingerprint(&self) -> Option<DayFingerprint> {
        let all = self.fingerprints();
        all.get(all.len() / 2).copied()
    }

    /// All by which its key may have been noted. Of a chain nobody can tell where in the day it stands, and F0's clock may
    /// be false: an opening that lies about its slots by any number less than a day is known all the same. GAEN's
    /// identifiers are of one interval each, and its key has one fingerprint.
    pub(super) fn fingerprints(&self) -> Vec<DayFingerprint> {
        let protocol = self.protocol();
        match &self.secret {
            Opened::Bluezone(before) => {
                let day = SLOTS_PER_DAY as usize;
                let to_midnight = SLOTS_PER_DAY - self.first % SLOTS_PER_DAY;
                sub_keys(before, self.first)
                    .skip(to_midnight as usize)
                    .take(2 * (NOTED - day) + 1)
                    .map(|sub_key| DayFingerprint::by(protocol, sub_key.expose()))
                    .collect()
            }
            Opened::Gaen(rpik) => vec![DayFingerprint::by(protocol, rpik.expose())],
        }
    }
}

/// S(n,i), S(n,i+1), … without end, from what stands before S(n,i), where i is the index of `slot` in its day.
fn sub_keys(before: &Secret<32>, slot: u32) -> impl Iterator<Item = Secret<32>> + use<> {
    let first = match slot % SLOTS_PER_DAY {
        0 => sha256(&[before.expose(), SALT]),
        _ => sha256(&[before.expose()]),
    };
    std::iter::successors(Some(Secret::new(first)), |sub_key| {
        Some(Secret::new(sha256(&[sub_key.expose()])))
    })
}

pub(super) const fn slots_per_day(protocol: ProtocolKind) -> u32 {
    match protocol {
        ProtocolKind::Bluezone => SLOTS_PER_DAY,
        ProtocolKind::Gaen => ROLLING_PERIOD,
    }
}
