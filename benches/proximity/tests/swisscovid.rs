//! SwissCovid's published precision and recall, from the recordings and the library's own types.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;

use truyvet::sighting::Attenuation;
use truyvet_proximity::{scenes, threshold};

#[path = "../../../tests/conformance/mod.rs"]
mod conformance;

/// Precision and recall by threshold, at 1.5, 2 and 3 m (SwissCovid-ExposureScore.pdf of 2020-09-11,
/// admin-ch/PT-System-Documents).
const PUBLISHED: &str = "proximity/swisscovid_published_precision_recall_20200911.csv";
const HEADER: &str = "att_thr_db,p_1.5m,r_1.5m,p_2.0m,r_2.0m,p_3.0m,r_3.0m";
const WITHIN_M: [f64; 3] = [1.5, 2.0, 3.0];

/// The published figures have three digits.
const TOLERANCE: f64 = 0.001;

#[test]
fn published_precision_and_recall() {
    let (Some(published), Some(scenes)) = (
        conformance::conformance_file(PUBLISHED),
        scenes::all().unwrap(),
    ) else {
        return;
    };
    let frames: Vec<_> = scenes.iter().flat_map(|scene| &scene.frames).collect();
    assert_eq!(frames.len(), 20_719);

    let published = fs::read_to_string(published).unwrap();
    let mut lines = published.lines();
    assert_eq!(lines.next(), Some(HEADER));
    let (mut cells, mut wrong) = (0, Vec::new());
    for line in lines {
        let (threshold, figures) = line.split_once(',').unwrap();
        let threshold = Attenuation::from_db(threshold.parse().unwrap());
        let figures: Vec<f64> = figures
            .split(',')
            .map(|cell| cell.parse().unwrap())
            .collect();
        assert_eq!(figures.len(), 2 * WITHIN_M.len(), "{line}");
        for (pair, within_m) in figures.chunks(2).zip(WITHIN_M) {
            let got = threshold::precision_recall(frames.iter().copied(), threshold, within_m);
            for (got, expected) in [got.precision, got.recall].into_iter().zip(pair) {
                cells += 1;
                if (got - expected).abs() > TOLERANCE {
                    wrong.push(format!(
                        "{threshold}, {within_m} m: {expected}, got {got:.4}"
                    ));
                }
            }
        }
    }
    assert_eq!(cells, 186);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
