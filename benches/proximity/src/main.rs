//! Prints how well near is told from far in scenes that taught nothing of it, or the constants that all
//! scenes together give.

use std::path::PathBuf;

use clap::Parser;
use truyvet_proximity::evaluation::hold_out;
use truyvet_proximity::windows::Window;
use truyvet_proximity::{Result, fit, report, scenes, windows};

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

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let Some(scenes) = scenes::all()? else {
        return Err("the recordings are not beside the checkout".into());
    };
    let scenes = windows::by_scene(&scenes);
    if arguments.fit {
        return print_fit(&scenes);
    }
    let held_out = hold_out(&scenes)?;
    let count: usize = held_out.iter().map(|scene| scene.windows.len()).sum();
    println!("Each scene held out in turn, {count} windows together:\n");
    println!("{}", report::pooled_table(&held_out));
    println!("{}", report::scene_table(&held_out));
    println!("{}", report::interval_table(&held_out));
    println!("One scene teaches, all others are told:\n");
    println!("{}", report::transfer_table(&scenes)?);
    if let Some(file) = arguments.svg {
        std::fs::write(&file, report::diagram(&held_out))?;
        println!("reliability diagram: {}", file.display());
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
