//! The evaluation as tables in Markdown, as docs/proximity.md has them.

use crate::evaluation::{HeldOut, Method, WITHIN_M, mean_auc, pooled, pooled_scores, teach_by_one};
use crate::score::{reliability, scores};
use crate::windows::Window;
use crate::{Result, chart};

/// Bins of the reliability diagram.
const BINS: u32 = 10;

/// All windows together.
pub fn pooled_table(held_out: &[HeldOut]) -> String {
    let mut table =
        Table::new("within | by | AUC, all | AUC, mean of scenes | Brier | precision | recall");
    for within_m in WITHIN_M {
        for method in Method::ALL {
            let scores = pooled_scores(held_out, method, within_m);
            // To compare shares of different scenes says nothing of the windows.
            let aucs = match method {
                Method::Share => [f64::NAN, f64::NAN],
                _ => [scores.auc, mean_auc(held_out, method, within_m)],
            };
            let rest = [scores.brier, scores.precision, scores.recall];
            let figures: Vec<f64> = aucs.into_iter().chain(rest).collect();
            table.row(&format!("{within_m} m | {}", method.name()), &figures);
        }
    }
    table.0
}

/// Each scene by itself.
pub fn scene_table(held_out: &[HeldOut]) -> String {
    let mut table = Table::new(
        "held out | windows | within | share | AUC | Brier | precision | recall | AUC, law | Brier, law",
    );
    for scene in held_out {
        for within_m in WITHIN_M {
            let forecasts = scene.forecasts(Method::Model, within_m);
            let near = forecasts.iter().filter(|forecast| forecast.near).count();
            let model = scores(&forecasts);
            let law = scores(&scene.forecasts(Method::Law, within_m));
            table.row(
                &format!("{} | {} | {within_m} m", scene.scene, forecasts.len()),
                &[
                    near as f64 / forecasts.len() as f64,
                    model.auc,
                    model.brier,
                    model.precision,
                    model.recall,
                    law.auc,
                    law.brier,
                ],
            );
        }
    }
    table.0
}

/// How often the distance was in the interval.
pub fn interval_table(held_out: &[HeldOut]) -> String {
    let mut table = Table::new("held out | in the 80 % interval | in the law's");
    for scene in held_out {
        table.row(scene.scene, &scene.inside_intervals());
    }
    table.0
}

/// What holds when a single scene teaches.
///
/// # Errors
///
/// A fit that fails.
pub fn transfer_table(scenes: &[(&'static str, Vec<Window>)]) -> Result<String> {
    let mut table = Table::new(
        "taught by | within | AUC elsewhere | Brier | precision | recall | Brier, law | Brier, share",
    );
    for told in teach_by_one(scenes)? {
        for within_m in WITHIN_M {
            let by = |method| scores(&told.forecasts(method, within_m));
            let model = by(Method::Model);
            table.row(
                &format!("{} | {within_m} m", told.scene),
                &[
                    model.auc,
                    model.brier,
                    model.precision,
                    model.recall,
                    by(Method::Law).brier,
                    by(Method::Share).brier,
                ],
            );
        }
    }
    Ok(table.0)
}

/// The reliability diagram of the held-out forecasts, as SVG.
pub fn diagram(held_out: &[HeldOut]) -> String {
    let curves = WITHIN_M.map(|within_m| {
        let forecasts = pooled(held_out, Method::Model, within_m);
        (
            format!("within {within_m} m"),
            reliability(&forecasts, BINS),
        )
    });
    chart::reliability_svg(&curves)
}

struct Table(String);

impl Table {
    fn new(head: &str) -> Self {
        let columns = head.split('|').count();
        Self(format!("| {head} |\n|{}\n", "---|".repeat(columns)))
    }

    fn row(&mut self, name: &str, figures: &[f64]) {
        let cells: Vec<String> = figures.iter().copied().map(cell).collect();
        self.0 += &format!("| {name} | {} |\n", cells.join(" | "));
    }
}

/// Three digits, or a dash for what there is none of.
fn cell(value: f64) -> String {
    if value.is_nan() {
        "-".into()
    } else {
        format!("{value:.3}")
    }
}
