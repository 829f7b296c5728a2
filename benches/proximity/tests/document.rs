//! docs/proximity.md says what the evaluation prints, and what it concludes is so.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::Path;

use truyvet_proximity::evaluation::{HeldOut, Method, WITHIN_M, hold_out, pooled_scores};
use truyvet_proximity::{report, scenes, windows};

type Scenes = Vec<(&'static str, Vec<windows::Window>)>;

fn evaluated() -> Option<(Scenes, Vec<HeldOut>)> {
    let scenes = windows::by_scene(&scenes::all().unwrap()?);
    let held_out = hold_out(&scenes).unwrap();
    Some((scenes, held_out))
}

#[test]
fn tables_and_diagram_are_what_is_printed() {
    let Some((scenes, held_out)) = evaluated() else {
        return;
    };
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let document = fs::read_to_string(docs.join("proximity.md")).unwrap();
    for table in [
        report::pooled_table(&held_out),
        report::scene_table(&held_out),
        report::interval_table(&held_out),
        report::transfer_table(&scenes).unwrap(),
    ] {
        assert!(
            document.contains(&table),
            "not in docs/proximity.md:\n{table}"
        );
    }
    let diagram = fs::read_to_string(docs.join("proximity.svg")).unwrap();
    assert_eq!(diagram, report::diagram(&held_out));
}

#[test]
fn probabilities_are_better_than_the_baselines_in_scenes_held_out() {
    let Some((_, held_out)) = evaluated() else {
        return;
    };
    for within_m in WITHIN_M {
        let brier = |method| pooled_scores(&held_out, method, within_m).brier;
        for other in [
            Method::LossAlone,
            Method::Law,
            Method::Threshold(55),
            Method::Threshold(63),
            Method::Share,
        ] {
            assert!(
                brier(Method::Model) < brier(other),
                "{within_m} m, {other:?}"
            );
        }
    }
}
