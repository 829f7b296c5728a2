//! The device's own daily keys: secret until their owner releases them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::bluezone::{self, PublishedEntry};
use super::gaen::{self, DiagnosisKey, IntervalNumber, TemporaryExposureKey};
use super::{FrameError, InvalidKey, ProtocolKind, PublishedKey};
use crate::entropy::{Entropy, EntropyError, random_secret};
use crate::secret::Secret;
use crate::time::{Timestamp, UtcDay};

/// A daily key of this device, and when it advertises.
#[derive(Debug)]
pub struct OwnKey {
    secret: DailySecret,
    valid_from: Timestamp,
    valid_until: Timestamp,
    released: bool,
}

#[derive(Debug)]
pub(crate) enum DailySecret {
    Bluezone(bluezone::DailyKey),
    Gaen(TemporaryExposureKey),
}

impl OwnKey {
    /// A fresh key that is valid from `from` to the end of its UTC day.
    pub(crate) fn draw(
        kind: ProtocolKind,
        entropy: &mut dyn Entropy,
        from: Timestamp,
    ) -> Result<Self, EntropyError> {
        let secret = match kind {
            ProtocolKind::Bluezone => {
                DailySecret::Bluezone(bluezone::DailyKey::new(random_secret(entropy)?))
            }
            ProtocolKind::Gaen => {
                DailySecret::Gaen(TemporaryExposureKey::new(random_secret(entropy)?))
            }
        };
        Ok(Self {
            secret,
            valid_from: from,
            valid_until: from.utc_day().end(),
            released: false,
        })
    }

    /// Whose protocol it serves.
    pub fn protocol(&self) -> ProtocolKind {
        match self.secret {
            DailySecret::Bluezone(_) => ProtocolKind::Bluezone,
            DailySecret::Gaen(_) => ProtocolKind::Gaen,
        }
    }

    /// The UTC day it belongs to.
    pub fn day(&self) -> UtcDay {
        self.valid_from.utc_day()
    }

    /// The first moment it is advertised.
    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// The first moment it is no longer advertised.
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// Whether its owner has given it out. It is never advertised again then.
    pub fn is_released(&self) -> bool {
        self.released
    }

    /// The identifier advertised in the slot of `time`, which is shown to the owner and compared
    /// with other implementations.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotValidAt`] if the key is not valid at `time`.
    pub fn identifier(&self, time: Timestamp) -> Result<super::EphemeralId, FrameError> {
        self.require_valid(time)?;
        Ok(match &self.secret {
            DailySecret::Bluezone(key) => key.identifier(bluezone::slot_index(time)).into(),
            DailySecret::Gaen(tek) => {
                let rpik = tek.rolling_proximity_identifier_key()?;
                rpik.identifier(IntervalNumber::at(time)).into()
            }
        })
    }

    pub(crate) fn secret(&self) -> &DailySecret {
        &self.secret
    }

    pub(crate) fn require_valid(&self, time: Timestamp) -> Result<(), FrameError> {
        match self.covers(time) {
            true => Ok(()),
            false => Err(FrameError::NotValidAt { time }),
        }
    }

    pub(crate) fn covers(&self, time: Timestamp) -> bool {
        (self.valid_from..self.valid_until).contains(&time)
    }

    /// Marks the key as given out at `now` and gives what is to be published of it; `None` if its
    /// time has not begun. A key still in use ends with its current slot, so that the rest of its
    /// day is nobody's to compute; one that was given out before is given again as it was.
    pub(crate) fn release(&mut self, now: Timestamp) -> Option<Result<PublishedKey, InvalidKey>> {
        if self.released {
            return Some(self.published(self.valid_until));
        }
        if now < self.valid_from {
            return None;
        }
        let end = self.valid_until.min(self.protocol().slot_at(now).end);
        let published = self.published(end);
        if published.is_ok() {
            self.valid_until = end;
            self.released = true;
        }
        Some(published)
    }

    fn published(&self, end: Timestamp) -> Result<PublishedKey, InvalidKey> {
        match &self.secret {
            // Bluezone counts slots from midnight even if the key was first used later.
            DailySecret::Bluezone(key) => Ok(PublishedKey::Bluezone(PublishedEntry::new(
                *key.secret().expose(),
                self.day().start().unix_seconds(),
                end.unix_seconds().saturating_sub(1),
                bluezone::SLOTS_PER_DAY,
            )?)),
            DailySecret::Gaen(tek) => {
                let start = IntervalNumber::at(self.valid_from);
                let end = IntervalNumber::at(end);
                Ok(PublishedKey::Gaen(DiagnosisKey::new(
                    *tek.secret().expose(),
                    start,
                    end.0.saturating_sub(start.0).min(gaen::ROLLING_PERIOD),
                )?))
            }
        }
    }

    /// The form in which the log seals it.
    pub(crate) fn to_stored(&self) -> StoredOwnKey {
        StoredOwnKey {
            protocol: self.protocol(),
            secret: match &self.secret {
                DailySecret::Bluezone(key) => key.secret().expose().to_vec(),
                DailySecret::Gaen(tek) => tek.secret().expose().to_vec(),
            },
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            released: self.released,
        }
    }
}

/// Releases the keys of `days` that have begun. Those of other days are neither given nor marked.
pub(crate) fn release_days(
    keys: &mut [OwnKey],
    now: Timestamp,
    days: &BTreeSet<UtcDay>,
) -> Vec<PublishedKey> {
    keys.iter_mut()
        .filter(|key| days.contains(&key.day()))
        .filter_map(|key| key.release(now)?.ok())
        .collect()
}

/// An own key as bytes; wiped when dropped.
#[derive(Deserialize, Serialize)]
pub(crate) struct StoredOwnKey {
    protocol: ProtocolKind,
    secret: Vec<u8>,
    valid_from: Timestamp,
    valid_until: Timestamp,
    released: bool,
}

impl Drop for StoredOwnKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.secret);
    }
}

impl StoredOwnKey {
    /// The key; `None` if its secret has the wrong length for its protocol.
    pub(crate) fn to_own_key(&self) -> Option<OwnKey> {
        let secret = self.secret.as_slice();
        Some(OwnKey {
            secret: match self.protocol {
                ProtocolKind::Bluezone => DailySecret::Bluezone(bluezone::DailyKey::new(
                    Secret::new(secret.try_into().ok()?),
                )),
                ProtocolKind::Gaen => DailySecret::Gaen(TemporaryExposureKey::new(Secret::new(
                    secret.try_into().ok()?,
                ))),
            },
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            released: self.released,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::entropy::SeededEntropy;

    const NOON: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 12 * 3_600);

    fn draw(kind: ProtocolKind, from: Timestamp) -> OwnKey {
        OwnKey::draw(kind, &mut SeededEntropy::new(1), from).unwrap()
    }

    #[test]
    fn debug_shows_no_secret() {
        for kind in [ProtocolKind::Bluezone, ProtocolKind::Gaen] {
            let text = format!("{:?}", draw(kind, NOON));
            assert!(text.contains("Secret(..)"), "{text}");
        }
    }

    #[test]
    fn a_key_released_at_noon_ends_with_its_slot() {
        let mut key = draw(ProtocolKind::Gaen, NOON.utc_day().start());
        let time = NOON.saturating_add(Duration::from_secs(1));
        let Some(Ok(PublishedKey::Gaen(published))) = key.release(time) else {
            panic!("a diagnosis key")
        };
        assert_eq!(published.rolling_period(), 73);
        assert_eq!(
            key.valid_until(),
            NOON.saturating_add(Duration::from_secs(600))
        );

        let mut key = draw(ProtocolKind::Bluezone, NOON.utc_day().start());
        let Some(Ok(PublishedKey::Bluezone(entry))) = key.release(time) else {
            panic!("an entry")
        };
        assert_eq!(entry.time_end(), NOON.unix_seconds() + 899);
        assert!(key.is_released());
    }

    #[test]
    fn a_key_released_again_is_given_as_it_was() {
        let mut key = draw(ProtocolKind::Gaen, NOON.utc_day().start());
        let first = key.release(NOON).unwrap().unwrap();
        let earlier = NOON.saturating_sub(Duration::from_secs(6 * 3_600));
        assert_eq!(key.release(earlier).unwrap().unwrap(), first);
        assert_eq!(key.release(NOON.utc_day().end()).unwrap().unwrap(), first);
    }

    #[test]
    fn a_key_of_tomorrow_is_not_released() {
        let mut key = draw(ProtocolKind::Gaen, NOON.utc_day().end());
        assert!(key.release(NOON).is_none());
        assert!(!key.is_released());
    }

    #[test]
    fn days_taken_out_are_neither_given_nor_marked() {
        let day = |days| UtcDay::from_unix_days(NOON.utc_day().unix_days() - days);
        let mut keys: Vec<_> = (0..4)
            .map(|days| draw(ProtocolKind::Gaen, day(days).start()))
            .collect();
        let published = release_days(&mut keys, NOON, &[day(3), day(1), day(0)].into());
        assert_eq!(published.len(), 3);
        for key in &keys {
            assert_eq!(key.is_released(), key.day() != day(2));
        }
    }

    #[test]
    fn a_key_drawn_at_noon_publishes_what_it_advertised() {
        for kind in [ProtocolKind::Bluezone, ProtocolKind::Gaen] {
            let mut key = draw(kind, NOON);
            let id = key.identifier(NOON).unwrap();
            let published = key.release(NOON.utc_day().end()).unwrap().unwrap();
            let mut found = Vec::new();
            published.for_each_candidate(|candidate| {
                if candidate.id == id {
                    found.push(candidate.first);
                }
            });
            assert_eq!(found, [NOON]);
        }
    }

    #[test]
    fn stored_secret_of_the_wrong_length() {
        let mut stored = draw(ProtocolKind::Gaen, NOON).to_stored();
        assert!(stored.to_own_key().is_some());
        stored.secret.push(0);
        assert!(stored.to_own_key().is_none());
    }
}
