//! Frames become sightings: who is near, since when and how strong.

use std::collections::{BTreeMap, HashMap};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::{Event, NeighbourId};
use crate::protocol::{EphemeralId, ProtocolKind};
use crate::sighting::{Rssi, RssiSummary, Sighting, Source};
use crate::time::{Moment, Timestamp};

/// Neighbours held at once. Chosen: more than one radio hears in a stadium, and about a megabyte.
/// When another appears, the one that has been silent for longest gives way, else the one whose sighting is
/// full first; what was heard of it is stored before.
const NEIGHBOURS_MAX: usize = 4_096;

/// A neighbour not heard for so long, beside the pauses of the scan, has left. Chosen: five of BlueZ's
/// ten-second repeats may be lost before it is said.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(60);

const SPAN_MAX: Duration = Duration::from_secs(Sighting::SPAN_MAX_S);

/// What tells one neighbour from another: nothing but its frame, for addresses are not kept. The
/// metadata is part of it, so that a forger cannot put false metadata on another's sightings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Key {
    protocol: ProtocolKind,
    id: EphemeralId,
    metadata: Option<[u8; 4]>,
}

impl Key {
    fn of(frame: &Frame) -> Self {
        Self {
            protocol: frame.protocol,
            id: frame.id,
            metadata: frame.metadata,
        }
    }
}

impl Hash for Key {
    /// In one write, where field by field it takes five to seven: each frame is looked up.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (len, id) = self.id.into();
        let metadata = self.metadata.map(u32::from_le_bytes);
        let rest = u64::from(metadata.unwrap_or_default())
            | u64::from(len) << 32
            | u64::from(self.protocol == ProtocolKind::Gaen) << 40
            | u64::from(metadata.is_some()) << 48;
        let mut bytes = [0; 24];
        let (front, back) = bytes.split_at_mut(id.len());
        front.copy_from_slice(&id);
        back.copy_from_slice(&rest.to_le_bytes());
        state.write(&bytes);
    }
}

/// A frame that carried an identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) protocol: ProtocolKind,
    pub(super) id: EphemeralId,
    pub(super) metadata: Option<[u8; 4]>,
    pub(super) source: Source,
    pub(super) rssi: Option<Rssi>,
}

#[derive(Debug)]
struct Neighbour {
    number: NeighbourId,
    appeared: Duration,
    last_heard: Duration,
    open: Option<OpenSighting>,
}

#[derive(Debug)]
struct OpenSighting {
    opened: Duration,
    first: Timestamp,
    last: Timestamp,
    frames: u16,
    source: Source,
    rssi: Option<RssiSum>,
}

/// Running figures of the frames that had a strength.
#[derive(Clone, Copy, Debug)]
struct RssiSum {
    min: Rssi,
    max: Rssi,
    sum_dbm: i64,
    count: i64,
}

impl RssiSum {
    fn with(sum: Option<Self>, rssi: Rssi) -> Self {
        let dbm = i64::from(rssi.dbm());
        match sum {
            None => Self {
                min: rssi,
                max: rssi,
                sum_dbm: dbm,
                count: 1,
            },
            Some(sum) => Self {
                min: sum.min.min(rssi),
                max: sum.max.max(rssi),
                sum_dbm: sum.sum_dbm + dbm,
                count: sum.count + 1,
            },
        }
    }

    fn summary(self) -> Option<RssiSummary> {
        // Rounded half away from zero.
        let doubled = 2 * self.sum_dbm;
        let mean = (doubled + self.count * doubled.signum()) / (2 * self.count);
        Some(RssiSummary {
            min: self.min,
            mean: Rssi::from_dbm(i32::try_from(mean).ok()?)?,
            max: self.max,
        })
    }
}

/// Neighbours in the order in which something is due, one entry each.
type Due = BTreeMap<(Duration, NeighbourId), Key>;

/// All neighbours of the moment.
#[derive(Debug)]
pub(super) struct Neighbours {
    gone_after: Duration,
    known: HashMap<Key, Neighbour>,
    /// Those that have an open sighting, by when it is full.
    open: Due,
    /// The others, by when they will have left.
    silent: Due,
    next_number: u64,
    /// Neighbours that gave way to others.
    pub(super) evicted: u64,
}

/// What came of a step, for the engine to pass on.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) sightings: Vec<Sighting>,
    pub(super) events: Vec<Event>,
}

impl Neighbours {
    pub(super) fn new(gone_after: Duration) -> Self {
        Self {
            gone_after,
            known: HashMap::new(),
            open: Due::new(),
            silent: Due::new(),
            next_number: 0,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// From now on a neighbour has left after so long, those that are silent already too.
    pub(super) fn set_gone_after(&mut self, gone_after: Duration) {
        self.gone_after = gone_after;
        for (_, key) in std::mem::take(&mut self.silent) {
            self.enter(key);
        }
    }

    /// Whether the frame is of a neighbour that is known; it has been heard then.
    pub(super) fn heard_again(&mut self, now: Moment, frame: &Frame, out: &mut Outcome) -> bool {
        let key = Key::of(frame);
        // The key is hashed once for each frame that goes into an open sighting, as most do.
        let Some(neighbour) = self.known.get_mut(&key) else {
            return false;
        };
        let (was_open, was_due) = (neighbour.open.is_some(), neighbour.due(self.gone_after));
        neighbour.hear(now, frame, key, out);
        let due = neighbour.due(self.gone_after);
        if (true, due) != (was_open, was_due) {
            let before = match was_open {
                true => &mut self.open,
                false => &mut self.silent,
            };
            before.remove(&(was_due, neighbour.number));
            self.open.insert((due, neighbour.number), key);
        }
        true
    }

    /// A neighbour appears, of which nothing is known.
    pub(super) fn appear(&mut self, now: Moment, frame: &Frame, out: &mut Outcome) {
        self.make_room(out);
        let key = Key::of(frame);
        self.next_number += 1;
        let number = NeighbourId(self.next_number);
        let mut neighbour = Neighbour {
            number,
            appeared: now.monotonic,
            last_heard: now.monotonic,
            open: None,
        };
        neighbour.hear(now, frame, key, out);
        self.known.insert(key, neighbour);
        self.enter(key);
        out.events.push(Event::NeighbourAppeared {
            neighbour: number,
            protocol: key.protocol,
            id: key.id,
            rssi: frame.rssi,
        });
    }

    /// Lets go of all under an identifier that has become this device's own; what was heard of it is stored.
    pub(super) fn let_go(&mut self, id: EphemeralId, out: &mut Outcome) {
        let mut all = Vec::new();
        for due in [&mut self.open, &mut self.silent] {
            due.retain(|_, key| {
                if key.id == id {
                    all.push(*key);
                }
                key.id != id
            });
        }
        for key in all {
            self.leave(key, out);
        }
    }

    /// Closes sightings that are full and lets go of neighbours that have left.
    pub(super) fn look(&mut self, now: Duration, out: &mut Outcome) {
        while let Some(key) = take_due(&mut self.open, now) {
            self.close(key, out);
        }
        while let Some(key) = take_due(&mut self.silent, now) {
            self.leave(key, out);
        }
    }

    /// Closes every open sighting, in the order in which they would be full; the neighbours stay.
    pub(super) fn close_all(&mut self, out: &mut Outcome) {
        for (_, key) in std::mem::take(&mut self.open) {
            self.close(key, out);
        }
    }

    pub(super) fn next_look(&self) -> Option<Duration> {
        let first = |due: &Due| due.first_key_value().map(|((at, _), _)| *at);
        [&self.open, &self.silent]
            .into_iter()
            .filter_map(first)
            .min()
    }

    /// Closes the sighting of a neighbour that is among neither.
    fn close(&mut self, key: Key, out: &mut Outcome) {
        if let Some(neighbour) = self.known.get_mut(&key) {
            neighbour.close(key, out);
            self.enter(key);
        }
    }

    /// Puts a neighbour among those of its kind.
    fn enter(&mut self, key: Key) {
        let Some(neighbour) = self.known.get(&key) else {
            return;
        };
        let due = (neighbour.due(self.gone_after), neighbour.number);
        match neighbour.open {
            Some(_) => self.open.insert(due, key),
            None => self.silent.insert(due, key),
        };
    }

    fn make_room(&mut self, out: &mut Outcome) {
        if self.known.len() < NEIGHBOURS_MAX {
            return;
        }
        let silent = self.silent.pop_first();
        let Some((_, key)) = silent.or_else(|| self.open.pop_first()) else {
            return;
        };
        self.leave(key, out);
        self.evicted += 1;
    }

    /// Forgets a neighbour that is among neither; what is open of it is closed.
    fn leave(&mut self, key: Key, out: &mut Outcome) {
        if let Some(mut neighbour) = self.known.remove(&key) {
            neighbour.close(key, out);
            out.events.push(neighbour.left());
        }
    }
}

/// Takes the first if its time has come.
fn take_due(due: &mut Due, now: Duration) -> Option<Key> {
    let first = due.first_entry()?;
    (first.key().0 <= now).then(|| first.remove())
}

impl Neighbour {
    fn hear(&mut self, now: Moment, frame: &Frame, key: Key, out: &mut Outcome) {
        self.last_heard = now.monotonic;
        let full = |open: &OpenSighting| now.monotonic.saturating_sub(open.opened) >= SPAN_MAX;
        if self.open.as_ref().is_some_and(full) {
            self.close(key, out);
        }
        let open = self.open.get_or_insert(OpenSighting {
            opened: now.monotonic,
            first: now.wall,
            last: now.wall,
            frames: 0,
            source: frame.source,
            rssi: None,
        });
        open.last = open.last.max(now.wall);
        open.frames = open.frames.saturating_add(1);
        if let Some(rssi) = frame.rssi {
            open.rssi = Some(RssiSum::with(open.rssi, rssi));
        }
    }

    /// When its open sighting is full, or it will have left if it has none.
    fn due(&self, gone_after: Duration) -> Duration {
        match &self.open {
            Some(open) => open.opened.saturating_add(SPAN_MAX),
            None => self.last_heard.saturating_add(gone_after),
        }
    }

    fn close(&mut self, key: Key, out: &mut Outcome) {
        let Some(open) = self.open.take() else {
            return;
        };
        let rssi = open.rssi.and_then(RssiSum::summary);
        out.events.push(Event::ContactGrowing {
            neighbour: self.number,
            duration: self.duration(),
            rssi,
        });
        out.sightings.push(Sighting {
            protocol: key.protocol,
            id: key.id,
            metadata: key.metadata,
            first: open.first,
            last: open.last,
            frames: open.frames,
            rssi,
            source: open.source,
        });
    }

    fn left(&self) -> Event {
        Event::NeighbourLeft {
            neighbour: self.number,
            duration: self.duration(),
        }
    }

    fn duration(&self) -> Duration {
        self.last_heard.saturating_sub(self.appeared)
    }
}

#[cfg(test)]
mod tests;
