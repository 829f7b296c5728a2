//! What is known of one identifier, and what it proves.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::share::Proof;
use super::slab::NONE;
pub(super) use crate::log::packing::Name;
use crate::sighting::{RssiSummary, Sighting, Source};
use crate::time::Timestamp;

/// What an identifier lives at most: 15 minutes in Bluezone, 20 in GAEN (its addresses, and identifiers
/// with them, change each 10 to 20 minutes: Exposure Notification Bluetooth Specification v1.2).
pub(super) const LIFE: Duration = Duration::from_secs(1_200);

/// As much of the silence before a sighting counts as time heard. Chosen: the longest rest of a schedule
/// that ships; a neighbour is there in it, and nobody proves a stay by two frames. No jump of the
/// clock proves more either.
const SILENCE_MAX_MS: u64 = 300_000;

/// How long each proof takes. `Stay` must fit into GAEN's slot of ten minutes with some room; `Minutes` is
/// two scans of Google's schedule, 210 to 300 s apart.
const MINUTE_MS: u32 = 60_000;
const MINUTES_MS: u32 = 240_000;
const STAY_MS: u32 = 480_000;

/// No single sighting is heard for longer.
const ONCE_MS: u32 = 30_000;
const _: () = assert!(ONCE_MS as u64 == Sighting::SPAN_MAX_S * 1000);

/// Weaker on average is not near. Chosen: 54 dB below the -26 dBm that phones send at (the median of GAEN's
/// calibration list), within the 55 dB that SwissCovid and Corona-Warn-App counted in full.
const NEAR_DBM: i64 = -80;

/// Of what is known, by time heard (four) and strength (two).
pub(super) const CLASSES: usize = 8;

/// In no class.
pub(super) const UNLINKED: u8 = u8::MAX;

impl Name {
    /// Under random keys, so that nobody can choose names that meet.
    pub(super) fn hash(&self, keys: &RandomState) -> u32 {
        let (len, id) = self.id.into();
        let metadata = self.metadata.map_or(0, u32::from_le_bytes);
        let kinds = [len, self.protocol as u8, self.metadata.is_some().into(), 0];
        let mut hasher = keys.build_hasher();
        hasher.write_u128(u128::from_le_bytes(id));
        hasher.write_u64(u64::from(metadata) << 32 | u64::from(u32::from_le_bytes(kinds)));
        // Its lower half is as good as the whole.
        hasher.finish() as u32
    }
}

/// What is known of an identifier.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    pub(super) name: Name,
    pub(super) hash: u32,
    pub(super) proven: Proof,
    pub(super) class: u8,
    pub(super) held: u16,
    pub(super) begun: Timestamp,
    pub(super) latest: Timestamp,
    pub(super) heard_ms: u32,
    pub(super) strengths: u32,
    pub(super) strength_sum_dbm: i64,
    /// Its waiting sightings.
    pub(super) oldest: u32,
    pub(super) newest: u32,
    /// Its neighbours in its class.
    pub(super) before: u32,
    pub(super) after: u32,
}

/// A sighting that waits, but for its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) frames: u16,
    pub(super) rssi: Option<RssiSummary>,
    pub(super) source: Source,
    pub(super) next: u32,
}

impl Watched {
    pub(super) const fn new(name: Name, hash: u32, begun: Timestamp) -> Self {
        Self {
            name,
            hash,
            proven: Proof::Heard,
            class: UNLINKED,
            held: 0,
            begun,
            latest: begun,
            heard_ms: 0,
            strengths: 0,
            strength_sum_dbm: 0,
            oldest: NONE,
            newest: NONE,
            before: NONE,
            after: NONE,
        }
    }

    pub(super) fn hear(&mut self, sighting: &Sighting) {
        // Whatever it claims.
        let span = Duration::from_secs(Sighting::SPAN_MAX_S);
        let last = sighting.last.min(sighting.first.saturating_add(span));
        let more = last.unix_millis().saturating_sub(self.latest.unix_millis());
        let more = u32::try_from(more.min(SILENCE_MAX_MS)).unwrap_or(u32::MAX);
        self.heard_ms = self.heard_ms.saturating_add(more);
        self.latest = self.latest.max(last);
        if let Some(rssi) = sighting.rssi {
            self.strengths = self.strengths.saturating_add(1);
            self.strength_sum_dbm += i64::from(rssi.mean.dbm());
        }
        self.proven = self.proven.max(self.proof());
    }

    fn proof(&self) -> Proof {
        match self.heard_ms {
            STAY_MS.. if self.is_near() => Proof::Stay,
            MINUTES_MS.. => Proof::Minutes,
            MINUTE_MS.. => Proof::Minute,
            _ => Proof::Heard,
        }
    }

    /// Unknown strengths show nothing.
    fn is_near(&self) -> bool {
        self.strengths > 0 && self.strength_sum_dbm >= NEAR_DBM * i64::from(self.strengths)
    }

    pub(super) fn evidence(&self) -> u8 {
        let time = match self.heard_ms {
            STAY_MS.. => 3,
            MINUTES_MS.. => 2,
            // In one sighting, whoever sends it.
            ..=ONCE_MS => 0,
            _ => 1,
        };
        2 * time + u8::from(self.is_near())
    }
}

impl From<&Sighting> for Record {
    fn from(sighting: &Sighting) -> Self {
        Self {
            first: sighting.first,
            last: sighting.last,
            frames: sighting.frames,
            rssi: sighting.rssi,
            source: sighting.source,
            next: NONE,
        }
    }
}

impl Record {
    pub(super) fn sighting(self, name: Name) -> Sighting {
        Sighting {
            protocol: name.protocol,
            id: name.id,
            metadata: name.metadata,
            first: self.first,
            last: self.last,
            frames: self.frames,
            rssi: self.rssi,
            source: self.source,
        }
    }
}

pub(super) fn apart(a: Timestamp, b: Timestamp) -> Duration {
    a.since(b).max(b.since(a))
}
