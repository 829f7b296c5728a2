//! Days to measure the encounter log with: one model, shared by this folder's benches (`mod days;`) and by
//! the package `peers`, which takes it by its path.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "not all that use it need every day, and to a bench it is private"
)]
#![allow(
    clippy::unwrap_used,
    reason = "its numbers are chosen so that all hold"
)]

use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::sighting::{Rssi, RssiSummary, Source};
use truyvet::time::Timestamp;
use truyvet::{ProtocolKind, Sighting};

/// Sightings of a day. Chosen: a busy one, on a bus, in an office and in a market.
pub const SIGHTINGS: u64 = 50_000;

/// Sightings given to the log at a time, each time synced to disk: the engine stores as many at once.
pub const BATCH: usize = 64;

/// Days in a full log: as many as both protocols look back.
pub const DAYS: u64 = 14;

/// The first day begins then: 2020-08-08T00:00Z.
pub const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

const DAY_MS: u64 = 86_400_000;
const SEATS: u64 = 17;
const STAY_MS: u64 = 80 * 60_000;
const ROTATION_MS: u64 = 900_000;

/// Day `day` from 0, a busy one: sightings of half a minute each, of 300 neighbours of whom seventeen
/// are there at a time, for eighty minutes each; all change their identifiers every quarter of an hour.
pub fn busy(day: u64) -> Vec<Sighting> {
    sightings(day, |number, ms| {
        let (rotation, stay, seat) = (ms / ROTATION_MS, ms / STAY_MS, number % SEATS);
        (rotation << 32 | stay << 16 | seat) + 1
    })
}

/// Day `day` from 0, a hostile one: every sighting is of somebody else.
pub fn hostile(day: u64) -> Vec<Sighting> {
    sightings(day, |number, _| day * SIGHTINGS + number + 1)
}

/// A day; sighting `number`, so many milliseconds after [`START`], is of `who(number, milliseconds)`.
fn sightings(day: u64, who: impl Fn(u64, u64) -> u64) -> Vec<Sighting> {
    (0..SIGHTINGS)
        .map(|number| {
            let ms = day * DAY_MS + number * DAY_MS / SIGHTINGS;
            half_minute(who(number, ms), number, START.unix_millis() + ms)
        })
        .collect()
}

/// What is heard of `who` in the half minute that begins at `first_ms`, Unix milliseconds; `number`
/// varies its details.
pub fn half_minute(who: u64, number: u64, first_ms: u64) -> Sighting {
    let rssi = |dbm: u64| Rssi::from_dbm(-(dbm as i32)).unwrap();
    let mut drawn = [0; 20];
    SeededEntropy::new(who).fill(&mut drawn).unwrap();
    let [id @ .., a, b, c, d] = drawn;
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: id.into(),
        metadata: Some([a, b, c, d]),
        first: Timestamp::from_unix_millis(first_ms),
        last: Timestamp::from_unix_millis(first_ms + 29_000 + number % 997),
        frames: 90 + (number % 20) as u16,
        rssi: Some(RssiSummary {
            min: rssi(90 + number % 7),
            mean: rssi(70 + number % 13),
            max: rssi(55 + number % 11),
        }),
        source: Source::ServiceData,
    }
}
