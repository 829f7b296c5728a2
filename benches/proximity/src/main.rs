//! Prints how well near is told from far in scenes that taught nothing of it, or the constants that all
//! scenes together give.

use std::path::PathBuf;

use clap::Parser;
use truyvet_proximity::evaluation::{
    HeldOut, Method, WITHIN_M, hold_out, mean_auc, pooled, pooled_scores, teach_by_one,
};
use truyvet_proximity::score::{Scores, reliability, scores};
use truyvet_proximity::windows::Window;
use truyvet_proximity::{Result, chart, fit, scenes, windows};

/// How well truyvet tells near from far, on DP-3T's recordings beside the checkout.
#[derive(Parser)]
struct Arguments {
    /// Print the constants fitted to all scenes, as the crate ships them, and end.
    #[arg(long)]
    fit: bool,
    /// Also write a reliability diagram of the held-out forecasts to this file, as SVG.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

const BINS: u32 = 10;

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(scenes) = scenes::all()? else {
        return Err("the recordings are not beside the checkout".into());
    };
    let scenes: Vec<_> = scenes
        .iter()
        .map(|scene| (scene.name, windows::of(scene)))
        .collect();
    if arguments.fit {
        return print_fit(&scenes);
    }
    let held_out = hold_out(&scenes)?;
    print_pooled(&held_out);
    print_scenes(&held_out);
    print_transfer(&scenes);
    if let Some(file) = arguments.svg {
        let curves = WITHIN_M.map(|within_m| {
            let forecasts = pooled(&held_out, Method::Model, within_m);
            (
                format!("within {within_m} m"),
                reliability(&forecasts, BINS),
            )
        });
        std::fs::write(&file, chart::reliability_svg(&curves))?;
        println!("\nreliability diagram: {}", file.display());
    }
    Ok(())
}

fn print_fit(scenes: &[(&'static str, Vec<Window>)]) -> Result<()> {
    let all: Vec<Window> = scenes
        .iter()
        .flat_map(|(_, windows)| windows.iter().cloned())
        .collect();
    let model = fit::proximity_model(&all)?;
    println!("{} windows", all.len());
    println!("ProximityModel::SCENES");
    println!("  middle       {:6.3}", model.middle);
    println!("  per_10_db    {:6.3}", model.per_10_db);
    println!("  per_doubling {:6.3}", model.per_doubling);
    println!("  spread       {:6.3}", model.spread);
    let law = fit::log_distance(&all)?;
    println!("LogDistance::SCENES");
    println!("  at_1_m_db    {:6.3}", law.at_1_m_db);
    println!("  exponent     {:6.3}", law.exponent);
    println!("  deviation_db {:6.3}", law.deviation_db);
    Ok(())
}

fn print_pooled(held_out: &[HeldOut]) {
    let count: usize = held_out.iter().map(|scene| scene.windows.len()).sum();
    println!("Each scene held out in turn, {count} windows together\n");
    println!("| within | by | AUC, all | AUC, mean of scenes | Brier | precision | recall |");
    println!("|---|---|---|---|---|---|---|");
    for within_m in WITHIN_M {
        for method in Method::ALL {
            let scores = pooled_scores(held_out, method, within_m);
            let mean = mean_auc(held_out, method, within_m);
            // To compare shares of different scenes says nothing of the windows.
            let [all, mean] = match method {
                Method::Share => [f64::NAN, f64::NAN],
                _ => [scores.auc, mean],
            };
            let name = method.name();
            let cells = [all, mean, scores.brier, scores.precision, scores.recall].map(cell);
            println!("| {within_m} m | {name} | {} |", cells.join(" | "));
        }
    }
}

fn print_scenes(held_out: &[HeldOut]) {
    println!(
        "\n| held out | windows | within | share | AUC | Brier | precision | recall | AUC, law | Brier, law |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for scene in held_out {
        for within_m in WITHIN_M {
            let forecasts = scene.forecasts(Method::Model, within_m);
            let near = forecasts.iter().filter(|forecast| forecast.near).count();
            let Scores {
                auc,
                brier,
                precision,
                recall,
            } = scores(&forecasts);
            let law = scores(&scene.forecasts(Method::Law, within_m));
            let share = near as f64 / forecasts.len() as f64;
            let cells = [share, auc, brier, precision, recall, law.auc, law.brier].map(cell);
            let (name, count) = (scene.scene, forecasts.len());
            println!(
                "| {name} | {count} | {within_m} m | {} |",
                cells.join(" | ")
            );
        }
    }
    println!("\n| held out | in the 80 % interval | in the law's |");
    println!("|---|---|---|");
    for scene in held_out {
        let cells = scene.inside_intervals().map(cell);
        println!("| {} | {} |", scene.scene, cells.join(" | "));
    }
}

/// How much of it holds when a single scene teaches.
fn print_transfer(scenes: &[(&'static str, Vec<Window>)]) {
    println!(
        "\n| taught by | within | AUC elsewhere | Brier | precision | recall | Brier, law | Brier, share |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (scene, told) in teach_by_one(scenes) {
        let told = match told {
            Ok(told) => told,
            Err(error) => {
                println!("| {scene} | {error} | | | | | | |");
                continue;
            }
        };
        for within_m in WITHIN_M {
            let by = |method| scores(&told.forecasts(method, within_m));
            let (model, law, share) = (by(Method::Model), by(Method::Law), by(Method::Share));
            let cells = [
                model.auc,
                model.brier,
                model.precision,
                model.recall,
                law.brier,
                share.brier,
            ]
            .map(cell);
            println!("| {scene} | {within_m} m | {} |", cells.join(" | "));
        }
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
