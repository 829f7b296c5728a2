//! Which identifier is advertised when, and the own keys it comes from.

use super::neighbours::Outcome;
use super::{Action, Engine, Event, State, chance};
use crate::protocol::{OwnKey, ProtocolKind, Slot};
use crate::time::{Moment, Timestamp, UtcDay};

/// Own keys held at most. Chosen: a retention of both protocols with a release every day, eight
/// times over. A clock that is set back and forth can draw keys without end; the oldest gives way.
const OWN_KEYS_MAX: usize = 512;

/// Own identifiers kept to be recognised when they come back. Chosen: those of the two hours and more
/// in which a replay of one could still match.
const OWN_IDS_KEPT: usize = 16;

impl Engine {
    /// Advertises the identifier of the current slot, or of one that begins now, from a key that has
    /// not been released; says nothing until the next slot if the current slot's key has been.
    pub(super) fn rotate(&mut self, now: Moment) {
        let protocol = self.config.advertise.clone();
        let kind = protocol.kind();
        let goes_on = |slot: &Slot| (slot.start..slot.end).contains(&now.wall);
        let slot = match self.slot.filter(goes_on) {
            Some(slot) => slot,
            None => self.slot_from(kind, now.wall),
        };
        self.slot = Some(slot);
        let index = match self.key_for(kind, slot) {
            Ok(Some(index)) => index,
            Ok(None) => {
                self.slot = Some(kind.slot_at(now.wall));
                self.health.own_identifier = None;
                return self.fall_silent(now);
            }
            Err(reason) => return self.cannot_advertise(now, reason),
        };
        let Some(key) = self.own_keys.get(index) else {
            return;
        };
        let until = slot.end.min(key.valid_until());
        match protocol.advertised(key, slot.start) {
            Ok((frame, id)) => {
                self.slot = Some(Slot { end: until, ..slot });
                self.actions.push_back(Action::Advertise { frame, until });
                if self.health.advertising.state == State::Stopped {
                    self.set_advertising(State::Starting, now);
                }
                if self.own_ids.back() != Some(&id) {
                    self.own_ids.push_back(id);
                    let surplus = self.own_ids.len().saturating_sub(OWN_IDS_KEPT);
                    self.own_ids.drain(..surplus);
                    let protocol = kind;
                    self.announcement = Some(Event::Rotated { protocol, until });
                    // Its key may be on another device as well, or a clock may have gone back to it.
                    let mut out = Outcome::default();
                    self.neighbours.let_go(id, &mut out);
                    self.take(now, out);
                }
            }
            Err(error) => self.cannot_advertise(now, error.to_string()),
        }
    }

    /// The slot in which an identifier is advertised that begins at `now`. Bluezone's are the same for
    /// everybody; in GAEN address and identifier live for a random time of 10 to 20 minutes, and the
    /// identifier is that of the interval in which it began (Exposure Notification Bluetooth
    /// Specification v1.2; Cryptography Specification v1.2, "Rolling Proximity Identifier").
    fn slot_from(&mut self, kind: ProtocolKind, now: Timestamp) -> Slot {
        match kind {
            ProtocolKind::Bluezone => kind.slot_at(now),
            ProtocolKind::Gaen => {
                let least = kind.slot_length();
                let jitter = least.mul_f64(chance(self.entropy.as_mut()));
                Slot {
                    start: now,
                    end: now.saturating_add(least).saturating_add(jitter),
                }
            }
        }
    }

    /// Advertises nothing for a while, on purpose.
    pub(super) fn fall_silent(&mut self, now: Moment) {
        self.actions.push_back(Action::StopAdvertising);
        self.set_advertising(State::Resting, now);
    }

    fn cannot_advertise(&mut self, now: Moment, reason: String) {
        self.actions.push_back(Action::StopAdvertising);
        self.advertise_result(now, Err(reason));
    }

    /// Drops own keys of days before `oldest`.
    pub(super) fn forget_before(&mut self, oldest: UtcDay) {
        let before = self.own_keys.len();
        self.own_keys.retain(|key| key.day() >= oldest);
        if self.own_keys.len() < before {
            self.actions.push_back(Action::SaveKeys);
        }
    }

    /// Where the key of `slot` stands, which is drawn if there is none; nowhere if it has been
    /// released.
    fn key_for(&mut self, kind: ProtocolKind, slot: Slot) -> Result<Option<usize>, String> {
        let serves = |key: &OwnKey| key.protocol() == kind && key.covers(slot.start);
        let keys = &self.own_keys;
        if keys.iter().any(|key| serves(key) && key.is_released()) {
            return Ok(None);
        }
        if let Some(index) = keys.iter().position(serves) {
            return Ok(Some(index));
        }
        let from = self.first_free_moment(kind, slot);
        let key = OwnKey::draw(kind, self.entropy.as_mut(), from).map_err(|e| e.to_string())?;
        if self.own_keys.len() >= OWN_KEYS_MAX {
            self.own_keys.remove(0);
        }
        self.own_keys.push(key);
        // Saving may take its time, and the identifier before has had its own.
        if self.health.advertising.state == State::Working {
            self.actions.push_back(Action::StopAdvertising);
        }
        self.actions.push_back(Action::SaveKeys);
        Ok(Some(self.own_keys.len() - 1))
    }

    /// From when a new key may serve: midnight, as both protocols have it, or the end of the day's
    /// last released key, so that no two keys stand for one slot.
    fn first_free_moment(&self, kind: ProtocolKind, slot: Slot) -> Timestamp {
        let day = slot.start.utc_day();
        let released = self.own_keys.iter().filter(|key| {
            key.protocol() == kind && key.day() == day && key.valid_until() <= slot.start
        });
        let ends = released.map(OwnKey::valid_until);
        ends.max().unwrap_or(day.start())
    }
}
