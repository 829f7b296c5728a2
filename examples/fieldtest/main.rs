//! Field tests: devices side by side write down what they hear of one another, and a report tells how well.
//!
//! docs/field-test.md is the plan of a test, and says how windows are counted.

#[path = "../support/mod.rs"]
mod support;

mod calibrate;
#[path = "../trace/ending.rs"]
mod ending;
mod linkability;
mod machine;
mod page;
mod report;
mod run;
mod tables;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    about = "Test in the field how well devices hear one another",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example fieldtest -- run --radio virtual --out rehearsal\n      \
        three devices on the virtual air, half an hour in half a minute\n  \
        cargo run --release --example fieldtest -- report rehearsal --html rehearsal.html\n      \
        who heard whom, in how many windows of half a minute, with what pauses\n  \
        cargo run --release --example fieldtest -- run --out field/anna --name anna --minutes 30\n      \
        on this machine's Bluetooth; on the others too, with the same field/test.key\n  \
        cargo run --release --example fieldtest -- linkability tests/vectors/captures/two-tracers.btsnoop\n      \
        what an observer could link in a capture: here, nothing\n\n\
        docs/field-test.md is the plan of a test: distances, poses, durations, and how to read the report."
)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Take part in a test: trace contacts, and write down every frame
    Run(run::RunArgs),
    /// Tell from the devices' folders, or from Herald's, how well they heard one another
    Report(report::ReportArgs),
    /// Make a model's row for the calibration table from a run at known distances
    Calibrate(calibrate::CalibrateArgs),
    /// Say what an observer could link in captures of Bluetooth, and for how long
    Linkability(linkability::LinkabilityArgs),
}

fn main() -> ExitCode {
    support::run(match Args::parse().command {
        Command::Run(args) => run::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Linkability(args) => linkability::run(&args),
    })
}
