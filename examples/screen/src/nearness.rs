//! How near a neighbour may be, in words that promise nothing.

use truyvet::exposure::{MatchConfig, Proximity, ProximityModel};
use truyvet::sighting::{Attenuation, Rssi};

/// Near is within so many metres: what health authorities asked about.
pub(crate) const NEAR_M: f64 = 2.0;

/// From this probability on it is said, with a question mark. Chosen: twice as probable as not.
const SAID_FROM: f64 = 2.0 / 3.0;

/// Seconds of the last sightings that are looked at: no recording that the model learnt from is longer.
const LOOKED_AT_S: u32 = 1_800;

/// The power taken for the sender's, dBm: Bluezone's frames do not tell it, and GAEN's seal it until the key is published.
pub(crate) fn assumed_power_dbm() -> i8 {
    MatchConfig::default().bluezone_tx_power_dbm
}

/// What the last of `sightings` say of the distance: strengths and seconds, the newest last. `None` if none has a strength.
pub(crate) fn nearness<'a>(
    sightings: impl DoubleEndedIterator<Item = &'a (Option<Rssi>, u32)>,
) -> Option<Proximity> {
    let mut seconds_left = LOOKED_AT_S;
    let mut scans = Vec::new();
    for (rssi, seconds) in sightings.rev() {
        if seconds_left == 0 {
            break;
        }
        seconds_left = seconds_left.saturating_sub(*seconds);
        if let Some(rssi) = rssi {
            scans.push((Attenuation::between(assumed_power_dbm(), *rssi), *seconds));
        }
    }
    ProximityModel::SCENES.estimate(&scans)
}

/// In a word or three.
pub(crate) fn word(nearness: &Proximity) -> &'static str {
    match nearness.within(NEAR_M) {
        near if near >= SAID_FROM => "near?",
        near if near <= 1.0 - SAID_FROM => "far?",
        _ => "near or far",
    }
}

/// From where to where it lies four times in five.
pub(crate) fn range(nearness: &Proximity) -> String {
    let (from, to) = nearness.interval_80_m();
    format!("{from:.1} to {to:.1} m")
}
