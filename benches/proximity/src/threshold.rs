//! A decision by attenuation alone, frame by frame, as SwissCovid was set up by.

use truyvet::sighting::Attenuation;

use crate::scenes::Frame;

/// How often a threshold is right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// Of what was called near, the share that was.
    pub precision: f64,
    /// Of what was near, the share that was called so.
    pub recall: f64,
}

/// What comes of calling near whatever lost `threshold` at most, where near is up to `within_m` metres.
///
/// A frame at exactly `within_m` is counted as near and as far, as DP-3T's evaluation does it
/// (bt-measurements, `figures.py`); SwissCovid's published table was made with it.
pub fn precision_recall<'a>(
    frames: impl IntoIterator<Item = &'a Frame>,
    threshold: Attenuation,
    within_m: f64,
) -> PrecisionRecall {
    let (mut hits, mut false_alarms, mut misses) = (0_u32, 0_u32, 0_u32);
    for frame in frames {
        let called = frame.attenuation <= threshold;
        if frame.distance_m <= within_m {
            *(if called { &mut hits } else { &mut misses }) += 1;
        }
        if frame.distance_m >= within_m && called {
            false_alarms += 1;
        }
    }
    let share = |part: u32, rest: u32| f64::from(part) / f64::from(part + rest);
    PrecisionRecall {
        precision: share(hits, false_alarms),
        recall: share(hits, misses),
    }
}
