//! Frames become sightings: who is near, since when and how strong.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::{Event, NeighbourId};
use crate::protocol::{EphemeralId, ProtocolKind};
use crate::sighting::{Rssi, RssiSummary, Sighting, Source};
use crate::time::{Moment, Timestamp};

/// Neighbours held at once. Chosen: more than one radio hears in a stadium, and about a megabyte.
/// When another appears, the one whose next look is nearest gives way; what was heard of it is stored
/// first.
const NEIGHBOURS_MAX: usize = 4_096;

/// A neighbour not heard for so long, beside the pauses of the scan, has left. Chosen: six of BlueZ's
/// ten-second repeats may be lost before it is said.
pub(super) const GONE_AFTER: Duration = Duration::from_secs(60);

const SPAN_MAX: Duration = Duration::from_secs(Sighting::SPAN_MAX_S);

/// What tells one neighbour from another: nothing but its frame, for addresses are not kept. The
/// metadata is part of it, so that a forger cannot put false metadata on another's sightings.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    protocol: ProtocolKind,
    id: EphemeralId,
    metadata: Option<[u8; 4]>,
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
    /// Where it stands among the looks.
    look_at: Duration,
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

type Looks = BTreeMap<(Duration, NeighbourId), Key>;

/// All neighbours of the moment.
#[derive(Debug)]
pub(super) struct Neighbours {
    pub(super) gone_after: Duration,
    known: HashMap<Key, Neighbour>,
    /// When each neighbour is looked at next, exactly one entry a neighbour.
    looks: Looks,
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
            looks: BTreeMap::new(),
            next_number: 0,
            evicted: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn heard(&mut self, now: Moment, frame: &Frame, out: &mut Outcome) {
        let key = Key {
            protocol: frame.protocol,
            id: frame.id,
            metadata: frame.metadata,
        };
        // The key is hashed once for each frame of a neighbour that is known.
        if let Some(neighbour) = self.known.get_mut(&key) {
            let opened = neighbour.opened();
            neighbour.hear(now, frame, key, out);
            // Most frames go into the sighting that is open.
            if neighbour.opened() != opened {
                self.looks.remove(&(neighbour.look_at, neighbour.number));
                neighbour.enter(key, self.gone_after, &mut self.looks);
            }
            return;
        }
        self.make_room(out);
        self.appear(now, key, frame, out);
    }

    /// Closes sightings that are full and lets go of neighbours that have left.
    pub(super) fn look(&mut self, now: Duration, out: &mut Outcome) {
        while let Some(look) = self.looks.first_entry() {
            if look.key().0 > now {
                return;
            }
            let key = look.remove();
            let Some(neighbour) = self.known.get_mut(&key) else {
                continue;
            };
            let absent = neighbour.open.is_none();
            neighbour.close(key, out);
            if absent && now.saturating_sub(neighbour.last_heard) >= self.gone_after {
                out.events.push(neighbour.left());
                self.known.remove(&key);
            } else {
                neighbour.enter(key, self.gone_after, &mut self.looks);
            }
        }
    }

    /// Closes every open sighting, in the order of their looks; the neighbours stay.
    pub(super) fn close_all(&mut self, out: &mut Outcome) {
        for (_, key) in std::mem::take(&mut self.looks) {
            if let Some(neighbour) = self.known.get_mut(&key) {
                neighbour.close(key, out);
                neighbour.enter(key, self.gone_after, &mut self.looks);
            }
        }
    }

    pub(super) fn next_look(&self) -> Option<Duration> {
        let ((due, _), _) = self.looks.first_key_value()?;
        Some(*due)
    }

    fn appear(&mut self, now: Moment, key: Key, frame: &Frame, out: &mut Outcome) {
        self.next_number += 1;
        let number = NeighbourId(self.next_number);
        let mut neighbour = Neighbour {
            number,
            appeared: now.monotonic,
            last_heard: now.monotonic,
            open: None,
            look_at: now.monotonic,
        };
        neighbour.hear(now, frame, key, out);
        neighbour.enter(key, self.gone_after, &mut self.looks);
        self.known.insert(key, neighbour);
        out.events.push(Event::NeighbourAppeared {
            neighbour: number,
            protocol: key.protocol,
            id: key.id,
            rssi: frame.rssi,
        });
    }

    fn make_room(&mut self, out: &mut Outcome) {
        if self.known.len() < NEIGHBOURS_MAX {
            return;
        }
        let Some((_, key)) = self.looks.pop_first() else {
            return;
        };
        if let Some(mut neighbour) = self.known.remove(&key) {
            neighbour.close(key, out);
            out.events.push(neighbour.left());
            self.evicted += 1;
        }
    }
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

    fn opened(&self) -> Option<Duration> {
        self.open.as_ref().map(|open| open.opened)
    }

    /// Puts it among `looks`: when its sighting will be full, or it will have left if it has none.
    fn enter(&mut self, key: Key, gone_after: Duration, looks: &mut Looks) {
        self.look_at = match self.opened() {
            Some(opened) => opened.saturating_add(SPAN_MAX),
            None => self.last_heard.saturating_add(gone_after),
        };
        looks.insert((self.look_at, self.number), key);
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
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

    fn at(ms: u64) -> Moment {
        let since = Duration::from_millis(ms);
        Moment {
            wall: START.saturating_add(since),
            monotonic: since,
        }
    }

    fn frame(number: u32, dbm: i32) -> Frame {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_le_bytes());
        Frame {
            protocol: ProtocolKind::Gaen,
            id: id.into(),
            metadata: Some([0; 4]),
            source: Source::ServiceData,
            rssi: Rssi::from_dbm(dbm),
        }
    }

    #[test]
    fn four_frames_a_second_make_one_sighting_in_half_a_minute() {
        let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
        for ms in (0..60_000).step_by(250) {
            neighbours.look(at(ms).monotonic, &mut out);
            neighbours.heard(at(ms), &frame(1, -60 - (ms / 250 % 3) as i32), &mut out);
        }
        neighbours.close_all(&mut out);
        assert_eq!(out.sightings.len(), 2);
        for (index, sighting) in out.sightings.iter().enumerate() {
            assert_eq!(sighting.first, at(index as u64 * 30_000).wall);
            assert_eq!(sighting.last, at(index as u64 * 30_000 + 29_750).wall);
            assert_eq!(sighting.frames, 120);
            let rssi = sighting.rssi.unwrap();
            assert_eq!(
                [rssi.min, rssi.mean, rssi.max].map(Rssi::dbm),
                [-62, -61, -60]
            );
        }
    }

    #[test]
    fn no_sighting_is_longer_than_half_a_minute_though_nobody_looks() {
        let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
        for ms in (0..300_000).step_by(7_000) {
            neighbours.heard(at(ms), &frame(1, -60), &mut out);
        }
        neighbours.close_all(&mut out);
        assert_eq!(out.sightings.iter().map(|s| s.frames).sum::<u16>(), 43);
        for sighting in out.sightings {
            assert!(sighting.last.since(sighting.first) <= SPAN_MAX);
        }
    }

    #[test]
    fn the_mean_rounds_to_the_nearest_dbm() {
        let mean = |values: &[i32]| {
            let mut sum = None;
            for value in values {
                sum = Some(RssiSum::with(sum, Rssi::from_dbm(*value).unwrap()));
            }
            sum.unwrap().summary().unwrap().mean.dbm()
        };
        assert_eq!(mean(&[-60]), -60);
        assert_eq!(mean(&[-60, -61]), -61);
        assert_eq!(mean(&[-60, -60, -61]), -60);
        assert_eq!(mean(&[0, 1]), 1);
        assert_eq!(mean(&[-127, 20]), -54);
    }

    #[test]
    fn a_frame_without_strength_counts_as_heard() {
        let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
        neighbours.heard(at(0), &frame(1, 127), &mut out);
        neighbours.close_all(&mut out);
        assert_eq!(out.sightings[0].frames, 1);
        assert_eq!(out.sightings[0].rssi, None);
    }

    #[test]
    fn a_silent_neighbour_leaves() {
        let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
        neighbours.heard(at(0), &frame(1, -60), &mut out);
        neighbours.heard(at(20_000), &frame(1, -60), &mut out);
        for ms in (0..=90_000).step_by(1_000) {
            neighbours.look(at(ms).monotonic, &mut out);
        }
        assert_eq!(neighbours.len(), 0);
        let left = Event::NeighbourLeft {
            neighbour: NeighbourId(1),
            duration: Duration::from_secs(20),
        };
        assert_eq!(out.events.last(), Some(&left));
        assert_eq!(out.sightings.len(), 1);
    }

    #[test]
    fn other_metadata_is_another_neighbour() {
        let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
        neighbours.heard(at(0), &frame(1, -60), &mut out);
        let mut forged = frame(1, -60);
        forged.metadata = Some([1; 4]);
        neighbours.heard(at(1), &forged, &mut out);
        assert_eq!(neighbours.len(), 2);
    }

    #[test]
    fn a_flood_stays_within_bounds_and_loses_nothing() {
        let (mut neighbours, mut out) = (Neighbours::new(GONE_AFTER), Outcome::default());
        for number in 0..20_000 {
            neighbours.heard(at(u64::from(number)), &frame(number, -60), &mut out);
            assert!(neighbours.len() <= NEIGHBOURS_MAX);
            assert_eq!(neighbours.looks.len(), neighbours.len());
        }
        neighbours.close_all(&mut out);
        assert_eq!(out.sightings.len(), 20_000);
        assert_eq!(neighbours.evicted, 20_000 - NEIGHBOURS_MAX as u64);
    }
}
