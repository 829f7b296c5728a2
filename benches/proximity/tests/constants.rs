//! The constants that truyvet ships are those that the recordings give.
#![allow(clippy::unwrap_used, missing_docs)]

use truyvet::exposure::{LogDistance, ProximityModel};
use truyvet_proximity::{fit, scenes, windows};

/// Half of the last digit that is shipped.
const THREE_DIGITS: f64 = 0.000_5 + 1e-9;

#[test]
fn shipped_constants_are_the_fit_to_all_scenes() {
    let Some(scenes) = scenes::all().unwrap() else {
        return;
    };
    let windows: Vec<_> = scenes.iter().flat_map(windows::of).collect();
    assert_eq!(windows.len(), 1_207);

    let (model, shipped) = (
        fit::proximity_model(&windows).unwrap(),
        ProximityModel::SCENES,
    );
    let law = fit::log_distance(&windows).unwrap();
    for (fitted, shipped) in [
        (model.middle, shipped.middle),
        (model.per_10_db, shipped.per_10_db),
        (model.per_doubling, shipped.per_doubling),
        (model.spread, shipped.spread),
        (law.at_1_m_db, LogDistance::SCENES.at_1_m_db),
        (law.exponent, LogDistance::SCENES.exponent),
        (law.deviation_db, LogDistance::SCENES.deviation_db),
    ] {
        assert!((fitted - shipped).abs() < THREE_DIGITS, "{model:?} {law:?}");
    }
}
