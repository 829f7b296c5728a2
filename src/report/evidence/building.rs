//! From exposures, the log and the own keys to evidence.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::contact::OPENINGS_MAX;
use super::opening::Opening;
use super::{
    CONTACTS_MAX, Contact, ContactEvidence, EvidenceConsent, EvidenceError, KeyReference, Strength,
    slot_number, slots_around,
};
use crate::exposure::{CountedSighting, Exposure};
use crate::log::LogReader;
use crate::protocol::{EphemeralId, OwnKey, ProtocolKind, PublishedKey};
use crate::sighting::{Attenuation, Sighting};
use crate::time::Timestamp;

impl ContactEvidence {
    /// Evidence of those of `exposures` to whose days the owner consents. `published` are the keys that were matched,
    /// `log` is the log in which the exposures were found, and its own keys prove what this device was called then.
    ///
    /// Identifiers that were heard more than a slot off their time are left out; slots in which this device advertised
    /// nothing have no proof.
    ///
    /// If today's key is among those that are needed, it must not be advertised any more: release today first
    /// ([`Tracer::release`](crate::Tracer::release), [`Engine::release`](crate::Engine::release)) and drop what that
    /// gives, which is for a diagnosis alone.
    ///
    /// # Errors
    ///
    /// [`EvidenceError`]; the consent is spent then too.
    pub fn build(
        consent: EvidenceConsent,
        now: Timestamp,
        published: &[PublishedKey],
        exposures: &[Exposure],
        log: &LogReader,
    ) -> Result<Self, EvidenceError> {
        let heard = heard(&consent, published, exposures, log)?;
        if heard.is_empty() {
            return Err(EvidenceError::NoContact);
        }
        if heard.len() > CONTACTS_MAX {
            let got = heard.len();
            return Err(EvidenceError::TooManyContacts { got });
        }
        let openings = openings(&heard, &log.own_keys()?, now)?;
        Ok(Self {
            request: consent.request,
            asked_by: consent.asked_by,
            contacts: heard.iter().map(contact).collect(),
            openings,
        })
    }
}

/// In the order of [`Contact::place`].
type Place = (ProtocolKind, u32, KeyReference, EphemeralId);

/// What was heard of an identifier in a slot.
struct Stay {
    first: Timestamp,
    last: Timestamp,
    /// Sum over frames, and of how many the attenuation is known.
    attenuation: (u64, u64),
}

fn heard(
    consent: &EvidenceConsent,
    published: &[PublishedKey],
    exposures: &[Exposure],
    log: &LogReader,
) -> Result<BTreeMap<Place, Stay>, EvidenceError> {
    let mut heard = BTreeMap::new();
    for exposure in exposures {
        if !consent.days.contains(&exposure.day) {
            continue;
        }
        let keys = published.len();
        let key_index = exposure.key_index;
        let key = published
            .get(key_index)
            .ok_or(EvidenceError::KeysDiffer { key_index, keys })?;
        hear(exposure, key, log, &mut heard)?;
    }
    Ok(heard)
}

/// Finds in the log what counted towards `exposure`: it does not tell identifiers. Damage was told when it was matched.
fn hear(
    exposure: &Exposure,
    key: &PublishedKey,
    log: &LogReader,
    heard: &mut BTreeMap<Place, Stay>,
) -> Result<(), EvidenceError> {
    let protocol = key.protocol();
    let reference = KeyReference::of(key);
    let mut slots: HashMap<EphemeralId, u32> = HashMap::new();
    key.for_each_candidate(|candidate| {
        slots.insert(candidate.id, slot_number(protocol, candidate.first));
    });
    let counted: HashMap<_, &CountedSighting> = exposure
        .sightings
        .iter()
        .map(|it| ((it.first, it.last, it.frames), it))
        .collect();
    for sighting in log.sightings_of(exposure.day, exposure.day)?.flatten() {
        let Sighting { first, last, .. } = sighting;
        let slot = slot_number(protocol, first);
        let sent = slots.get(&sighting.id);
        if !sent.is_some_and(|sent| slots_around(protocol, *sent).contains(&slot)) {
            continue;
        }
        let Some(counted) = counted.get(&(first, last, sighting.frames)) else {
            continue;
        };
        let stay = heard.entry((protocol, slot, reference, sighting.id));
        stay.or_insert(Stay {
            first,
            last,
            attenuation: (0, 0),
        })
        .take(counted);
    }
    Ok(())
}

impl Stay {
    fn take(&mut self, counted: &CountedSighting) {
        self.first = self.first.min(counted.first);
        self.last = self.last.max(counted.last);
        if let Some(attenuation) = counted.attenuation {
            let (sum, frames) = &mut self.attenuation;
            *sum += u64::from(attenuation.mean.db()) * u64::from(counted.frames);
            *frames += u64::from(counted.frames);
        }
    }

    fn minutes(&self, protocol: ProtocolKind) -> u8 {
        let minutes = self.last.since(self.first).as_secs() / 60 + 1;
        let most = protocol.slot_length().as_secs() / 60;
        u8::try_from(minutes.min(most)).unwrap_or(u8::MAX)
    }

    fn strength(&self) -> Strength {
        let (sum, frames) = self.attenuation;
        let mean = sum.checked_div(frames);
        let mean = mean.map(|db| u8::try_from(db).unwrap_or(u8::MAX));
        Strength::of(mean.map(Attenuation::from_db))
    }
}

fn contact((&(protocol, slot, key, id), stay): (&Place, &Stay)) -> Contact {
    Contact {
        protocol,
        key,
        slot,
        id,
        minutes: stay.minutes(protocol),
        strength: stay.strength(),
    }
}

/// An opening for each own key that was advertised while something was heard, from the first such slot to the last.
fn openings(
    heard: &BTreeMap<Place, Stay>,
    keys: &[OwnKey],
    now: Timestamp,
) -> Result<Vec<Opening>, EvidenceError> {
    // By the key's place among the own keys.
    let mut needed: BTreeMap<usize, (u32, u32)> = BTreeMap::new();
    let mut opened = HashSet::new();
    for (&(protocol, slot, ..), stay) in heard {
        let serves = |key: &OwnKey| key.protocol() == protocol && key.covers(stay.first);
        let Some(place) = keys.iter().position(serves) else {
            continue;
        };
        // One key for each slot: of a device whose clock was set, two may have it.
        if opened.insert((protocol, slot)) {
            let (_, last) = needed.entry(place).or_insert((slot, slot));
            *last = slot;
        }
    }
    let mut openings = Vec::new();
    for (place, (first, last)) in needed {
        let Some(key) = keys.get(place) else {
            continue;
        };
        if !key.is_released() && key.valid_until() > now {
            return Err(EvidenceError::KeyInUse { day: key.day() });
        }
        openings.push(Opening::of(key, first, last)?);
    }
    openings.sort_by_key(|opening| (opening.protocol(), opening.first));
    // Two keys whose times overlap, as a clock that was set leaves them, would be two openings of one slot.
    let mut free = (ProtocolKind::Bluezone, 0);
    openings.retain(|opening| {
        let from = (opening.protocol(), opening.first);
        let fits = from >= free;
        if fits {
            free = (opening.protocol(), opening.last.saturating_add(1));
        }
        fits
    });
    openings.truncate(OPENINGS_MAX);
    Ok(openings)
}
