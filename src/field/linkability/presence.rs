//! What was on the air, in pairs of an address and an identifier: from when to when, and how.

use std::collections::{BTreeMap, BTreeSet};

use crate::field::capture::{Address, AddressKind, Broadcast, Form, HeardAdvertisement};
use crate::protocol::{EphemeralId, ProtocolKind};

use super::fields::{Field, Place, Read, Trait};

/// Spaces between frames that are kept of each. Chosen: their mean is then known to half a millisecond.
const GAPS_MAX: usize = 64;
/// Values of one pair that are kept. Chosen: as many as 31 bytes and a scan response hold in practice, twice over.
const TRAITS_MAX: usize = 24;
/// Times on the air that are kept of one pair, of an own broadcast that was switched on and off. Chosen: one a minute of a slot.
const SENT_MAX: usize = 16;

/// Who sent or heard: a controller of a capture.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Source {
    pub(super) capture: u32,
    pub(super) adapter: u16,
}

/// An address with an identifier.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    pub(super) protocol: ProtocolKind,
    pub(super) address: Address,
    pub(super) id: EphemeralId,
    pub(super) first_us: u64,
    pub(super) last_us: u64,
    /// Frames heard, by everybody.
    pub(super) frames: u64,
    /// By whom it was heard first, whose times are kept: another one's clock and delay are others.
    pub(super) ear: Option<Source>,
    pub(super) heard_us: Option<(u64, u64)>,
    pub(super) gaps_us: Vec<u32>,
    /// Whose own broadcast it is, if the capture is of its host.
    pub(super) source: Option<Source>,
    pub(super) sent_us: Vec<(u64, u64)>,
    pub(super) traits: BTreeSet<Trait>,
}

impl Presence {
    pub(super) fn overlaps(&self, other: &Self, tolerance_us: u64) -> bool {
        let (first, last) = (
            self.first_us.max(other.first_us),
            self.last_us.min(other.last_us),
        );
        first.saturating_add(tolerance_us) < last
    }
}

/// All pairs, and what else their addresses sent.
#[derive(Debug)]
pub(super) struct Presences {
    max: usize,
    pairs: BTreeMap<(Address, EphemeralId), Presence>,
    /// Of addresses, tracers' or not, what they advertised without an identifier.
    beside: BTreeMap<Address, BTreeSet<Trait>>,
    pub(super) first_us: Option<u64>,
    pub(super) last_us: u64,
    pub(super) totals: Counted,
}

/// What could not be taken in.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counted {
    /// Frames with an identifier.
    pub(super) frames: u64,
    /// Frames and broadcasts of a protocol without one that can be read.
    pub(super) unreadable: u64,
    /// Frames of others.
    pub(super) strangers: u64,
    /// Broadcasts under an address that the capture does not tell.
    pub(super) unaddressed: u64,
    /// Frames, broadcasts and values beyond those that are remembered, and what the capture itself has lost.
    pub(super) left_out: u64,
}

impl Presences {
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            pairs: BTreeMap::new(),
            beside: BTreeMap::new(),
            first_us: None,
            last_us: 0,
            totals: Counted::default(),
        }
    }

    /// A frame; `anew` unless the same was heard of its address just before.
    pub(super) fn heard(
        &mut self,
        heard: &HeardAdvertisement,
        ear: Source,
        read: &Read,
        anew: bool,
    ) {
        let at_us = heard.at_us;
        self.seen(at_us, at_us);
        let Some(identifier) = read.identifier else {
            let place = match heard.form.scan_response {
                true => Place::Answer,
                false => Place::Beside,
            };
            self.totals.unreadable += u64::from(read.unreadable);
            self.totals.strangers += u64::from(!read.unreadable);
            if anew {
                self.stranger(heard.address, place, read);
            }
            return;
        };
        self.totals.frames += 1;
        let Some(presence) = self.presence(heard.address, identifier, at_us) else {
            return;
        };
        presence.frames += 1;
        presence.first_us = presence.first_us.min(at_us);
        presence.last_us = presence.last_us.max(at_us);
        if *presence.ear.get_or_insert(ear) == ear {
            let (first, last) = presence.heard_us.unwrap_or((at_us, at_us));
            let gap = at_us.saturating_sub(last);
            if presence.gaps_us.len() < GAPS_MAX && gap > 0 {
                presence
                    .gaps_us
                    .push(u32::try_from(gap).unwrap_or(u32::MAX));
            }
            presence.heard_us = Some((first.min(at_us), last.max(at_us)));
        }
        if !anew {
            return;
        }
        let power = heard.tx_power_dbm.map(|it| it.to_le_bytes());
        let power = power.map(|it| Trait::common(Field::TxPower, &it));
        let dropped = presence.add(read.traits.iter().copied().chain(power))
            + presence.add(of_sender(heard.address, heard.form));
        self.totals.left_out += dropped;
    }

    pub(super) fn sent(&mut self, sent: &Broadcast, source: Source, read: &Read) {
        let Some(identifier) = read.identifier else {
            self.totals.unreadable += u64::from(read.unreadable);
            self.totals.strangers += u64::from(!read.unreadable);
            if let Some(address) = sent.address {
                self.stranger(address, Place::Beside, read);
            }
            return;
        };
        let ended_us = sent.known_until_us.max(sent.begun_us);
        self.seen(sent.begun_us, ended_us);
        let Some(address) = sent.address else {
            self.totals.unaddressed += 1;
            return;
        };
        let Some(presence) = self.presence(address, identifier, sent.begun_us) else {
            return;
        };
        presence.first_us = presence.first_us.min(sent.begun_us);
        presence.last_us = presence.last_us.max(ended_us);
        presence.source.get_or_insert(source);
        if presence.sent_us.len() >= SENT_MAX {
            // The first and the last are what overlaps with another.
            presence.sent_us.pop();
        }
        presence.sent_us.push((sent.begun_us, ended_us));
        let dropped =
            presence.add(read.traits.iter().copied()) + presence.add(of_sender(address, sent.form));
        self.totals.left_out += dropped;
    }

    /// An own broadcast answers scans so.
    pub(super) fn answered(&mut self, sent: &Broadcast, answer: &Read) {
        if let Some(address) = sent.address {
            self.stranger(address, Place::Answer, answer);
        }
    }

    /// The pairs by address and identifier, each with what else its address sent.
    pub(super) fn into_pairs(self) -> Vec<Presence> {
        let mut pairs: Vec<Presence> = self.pairs.into_values().collect();
        for presence in &mut pairs {
            if let Some(beside) = self.beside.get(&presence.address) {
                presence.add(beside.iter().copied());
            }
        }
        pairs
    }

    fn seen(&mut self, from_us: u64, to_us: u64) {
        self.first_us = Some(self.first_us.map_or(from_us, |first| first.min(from_us)));
        self.last_us = self.last_us.max(to_us);
    }

    fn presence(
        &mut self,
        address: Address,
        (protocol, id): (ProtocolKind, EphemeralId),
        at_us: u64,
    ) -> Option<&mut Presence> {
        let key = (address, id);
        if self.pairs.len() >= self.max && !self.pairs.contains_key(&key) {
            self.totals.left_out += 1;
            return None;
        }
        Some(self.pairs.entry(key).or_insert_with(|| Presence {
            protocol,
            address,
            id,
            first_us: at_us,
            last_us: at_us,
            frames: 0,
            ear: None,
            heard_us: None,
            gaps_us: Vec::new(),
            source: None,
            sent_us: Vec::new(),
            traits: BTreeSet::new(),
        }))
    }

    fn stranger(&mut self, address: Address, place: Place, read: &Read) {
        if self.beside.len() >= self.max && !self.beside.contains_key(&address) {
            self.totals.left_out += 1;
            return;
        }
        let traits = self.beside.entry(address).or_default();
        for it in &read.traits {
            if traits.len() < TRAITS_MAX {
                traits.insert(Trait { place, ..*it });
            }
        }
    }
}

impl Presence {
    /// Gives how many were too many.
    fn add(&mut self, traits: impl IntoIterator<Item = Trait>) -> u64 {
        let mut dropped = 0;
        for it in traits {
            if self.traits.len() < TRAITS_MAX {
                self.traits.insert(it);
            } else {
                dropped += u64::from(!self.traits.contains(&it));
            }
        }
        dropped
    }

    /// Whether the address is its device's for good.
    pub(super) fn is_public(&self) -> bool {
        self.address.kind() == AddressKind::Public
    }
}

fn of_sender(address: Address, form: Form) -> [Trait; 2] {
    let kind = [address.kind() as u8];
    let bits = [
        form.connectable,
        form.scannable,
        form.directed,
        form.extended,
    ]
    .map(u8::from);
    [
        Trait::common(Field::AddressKind, &kind),
        Trait::common(Field::Form, &bits),
    ]
}
