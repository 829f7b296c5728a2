//! Sightings as an authority gets them: one record an identifier, a bounded number of them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

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
    /// How many more there were, all of them heard for a shorter time.
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

/// The encounters that `sightings` make. If there are too many, those are kept that were heard for the longest time: not
/// those with the longest time between first and last, which somebody makes who repeats an identifier in the evening.
pub(super) fn gather(sightings: impl Iterator<Item = Sighting>) -> Encounters {
    let mut by_id: HashMap<(ProtocolKind, EphemeralId), Gathered> = HashMap::new();
    for sighting in sightings {
        let entry = by_id.entry((sighting.protocol, sighting.id));
        entry.or_default().add(&sighting);
    }
    let mut heard: Vec<(Duration, HeardEncounter)> = by_id
        .into_iter()
        .map(|((protocol, id), gathered)| (gathered.during, gathered.encounter(protocol, id)))
        .collect();
    heard.sort_unstable_by_key(|(during, it)| (Reverse(*during), it.first, it.id));
    let left_out = heard.len().saturating_sub(ENCOUNTERS_MAX);
    heard.truncate(ENCOUNTERS_MAX);
    let mut heard: Vec<_> = heard.into_iter().map(|(_, it)| it).collect();
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
    /// The sightings' durations together.
    during: Duration,
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
        let during = sighting.last.since(sighting.first);
        self.during = self.during.saturating_add(during);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sighting::Source;

    fn sighting(number: u16, from_s: u64, for_s: u64) -> Sighting {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&number.to_be_bytes());
        Sighting {
            protocol: ProtocolKind::Gaen,
            id: id.into(),
            metadata: None,
            first: Timestamp::from_unix_seconds(from_s),
            last: Timestamp::from_unix_seconds(from_s + for_s),
            frames: 1,
            rssi: None,
            source: Source::ServiceData,
        }
    }

    #[test]
    fn brief_replays_far_apart_do_not_outrank_true_encounters() {
        let number = |number: usize| u16::try_from(number).unwrap();
        let true_ones = (0..ENCOUNTERS_MAX).map(|of| sighting(number(of), 40_000, 600));
        let replayed = (ENCOUNTERS_MAX..2 * ENCOUNTERS_MAX).flat_map(|of| {
            let at = |from_s| sighting(number(of), from_s, 1);
            [at(20_000), at(70_000)]
        });
        let gathered = gather(replayed.chain(true_ones));
        assert_eq!(gathered.heard.len(), ENCOUNTERS_MAX);
        assert_eq!(gathered.left_out as usize, ENCOUNTERS_MAX);
        let during = |it: &HeardEncounter| it.last.since(it.first);
        let ten_minutes = Duration::from_secs(600);
        assert!(gathered.heard.iter().all(|it| during(it) == ten_minutes));
    }

    #[test]
    fn the_times_of_one_identifier_count_together() {
        let pauses = (0..10).map(|of| sighting(0, 1_000 * of, 61));
        let others = (1..=5_000).map(|of| sighting(of, 5_000, 600));
        let gathered = gather(pauses.chain(others));
        assert_eq!(gathered.left_out, 1);
        let first = gathered.heard.first().unwrap();
        assert_eq!(first.last, Timestamp::from_unix_seconds(9_061));
    }
}
