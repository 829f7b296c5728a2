//! Sightings as an authority gets them: one record an identifier, a bounded number of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::{EphemeralId, ProtocolKind};
use crate::sighting::{Rssi, RssiSummary, Sighting};
use crate::time::Timestamp;

/// Encounters in a report. Chosen: what fits into the largest envelope beside keys and certificate; two weeks
/// of eight hours a day beside eleven people.
pub const ENCOUNTERS_MAX: usize = 5_000;

/// What was heard of one identifier.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct HeardEncounter {
    /// Whose identifier it is.
    pub protocol: ProtocolKind,
    /// The identifier.
    pub id: EphemeralId,
    /// When its first frame was heard.
    pub first: Timestamp,
    /// When its last frame was heard.
    pub last: Timestamp,
    /// Frames heard.
    pub frames: u32,
    /// Their strengths; `None` if the radio measured none.
    pub rssi: Option<RssiSummary>,
}

/// No identifier is printed.
impl fmt::Debug for HeardEncounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeardEncounter(..)")
    }
}

/// What was heard on the days consented to.
#[derive(Clone, Eq, PartialEq, Deserialize, Serialize)]
pub struct Encounters {
    /// The encounters, by their beginning; at most [`ENCOUNTERS_MAX`].
    pub heard: Vec<HeardEncounter>,
    /// How many more there were, all of them shorter.
    pub left_out: u32,
}

impl fmt::Debug for Encounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encounters")
            .field("heard", &self.heard.len())
            .field("left_out", &self.left_out)
            .finish()
    }
}

/// The encounters that `sightings` make. If there are too many, the longest are kept.
pub(super) fn gather(sightings: impl Iterator<Item = Sighting>) -> Encounters {
    let mut by_id: HashMap<(ProtocolKind, EphemeralId), Gathered> = HashMap::new();
    for sighting in sightings {
        let entry = by_id.entry((sighting.protocol, sighting.id));
        entry.or_default().add(&sighting);
    }
    let mut heard: Vec<_> = by_id
        .into_iter()
        .map(|((protocol, id), gathered)| gathered.encounter(protocol, id))
        .collect();
    heard.sort_unstable_by_key(|it| (Reverse(it.last.since(it.first)), it.first, it.id));
    let left_out = heard.len().saturating_sub(ENCOUNTERS_MAX);
    heard.truncate(ENCOUNTERS_MAX);
    heard.sort_unstable_by_key(|it| (it.first, it.id));
    Encounters {
        heard,
        left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
    }
}

/// What the sightings of one identifier come to.
#[derive(Default)]
struct Gathered {
    times: Option<(Timestamp, Timestamp)>,
    frames: u32,
    measured: Option<Measured>,
}

#[derive(Clone, Copy)]
struct Measured {
    min: Rssi,
    max: Rssi,
    /// The sum of the strengths of all frames.
    sum_dbm: i64,
    frames: i64,
}

impl Gathered {
    fn add(&mut self, sighting: &Sighting) {
        let (first, last) = self.times.unwrap_or((sighting.first, sighting.last));
        self.times = Some((first.min(sighting.first), last.max(sighting.last)));
        self.frames = self.frames.saturating_add(u32::from(sighting.frames));
        if let Some(rssi) = sighting.rssi {
            let frames = i64::from(sighting.frames.max(1));
            let so_far = self.measured.unwrap_or(Measured {
                min: rssi.min,
                max: rssi.max,
                sum_dbm: 0,
                frames: 0,
            });
            self.measured = Some(Measured {
                min: so_far.min.min(rssi.min),
                max: so_far.max.max(rssi.max),
                sum_dbm: so_far.sum_dbm + i64::from(rssi.mean.dbm()) * frames,
                frames: so_far.frames + frames,
            });
        }
    }

    fn encounter(self, protocol: ProtocolKind, id: EphemeralId) -> HeardEncounter {
        let start = Timestamp::from_unix_millis(0);
        let (first, last) = self.times.unwrap_or((start, start));
        HeardEncounter {
            protocol,
            id,
            first,
            last,
            frames: self.frames,
            rssi: self.measured.and_then(Measured::summary),
        }
    }
}

impl Measured {
    fn summary(self) -> Option<RssiSummary> {
        let mean = (self.sum_dbm as f64 / self.frames as f64).round();
        Some(RssiSummary {
            min: self.min,
            mean: Rssi::from_dbm(mean as i32)?,
            max: self.max,
        })
    }
}
