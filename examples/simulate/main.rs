//! A town of simulated people with real tracers, an infection, and attackers: what was so, beside what the library said.

#[path = "../support/mod.rs"]
pub(crate) mod support;

pub(crate) mod page;
pub(crate) mod terminal;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use truyvet::ProtocolKind;
use truyvet::sim::{self, Mobility, Outcome, Scenario};

use support::{Error, Progress, create_new, refuse_if_there, say};

#[derive(Parser)]
#[command(
    about = "Simulate a town of people with real tracers, an infection and attackers, and draw what comes of it",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example simulate\n      \
        four weeks of a town, without the app and with several shares of its people who have it\n  \
        cargo run --release --example simulate -- --quick --force\n      \
        fewer people and days: a look in seconds, over the page that is there\n  \
        cargo run --release --example simulate -- --seed 7 --adoption 30,60,90 --html adoption.html --json adoption.json\n      \
        another town, and other shares; the same seed gives the same bytes\n\n\
        It is a model to compare with, and no medical advice: docs/simulation.md has what it assumes, and from where."
)]
struct Args {
    /// From which all random numbers come: the same seed gives the same bytes
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many people
    #[arg(long, value_name = "N")]
    people: Option<u32>,
    /// How many days
    #[arg(long, value_name = "N")]
    days: Option<u32>,
    /// Who uses the app, in per cent, one world each: 13.66 in the letter of Bình Định's province
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = percent)]
    adoption: Vec<f64>,
    /// What the devices speak
    #[arg(long, value_enum, default_value = "bluezone")]
    protocol: ProtocolChoice,
    /// Where people are, in place of the town
    #[arg(long, value_name = "FILE.csv")]
    mobility: Option<PathBuf>,
    /// Threads; they change nothing but the time it takes
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Write all of it as JSON too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The page with the pictures
    #[arg(long, value_name = "FILE", default_value = "simulation.html")]
    html: PathBuf,
    /// Write over files that are there
    #[arg(long)]
    force: bool,
    /// Leave out the attackers, or the comparison of schedules
    #[arg(long, value_enum, value_name = "PARTS", value_delimiter = ',')]
    without: Vec<Part>,
    /// Fewer people and days, where they are not given
    #[arg(long)]
    quick: bool,
}

/// What `--quick` takes. Chosen: enough for every picture to have something in it.
const QUICK_PEOPLE: u32 = 100;
const QUICK_DAYS: u32 = 12;
const QUICK_ADOPTION: f64 = 0.6;

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolChoice {
    Bluezone,
    Gaen,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Attacks,
    Schedules,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "expected a number")?;
    match (0.0..=100.0).contains(&percent) {
        true => Ok(percent / 100.0),
        false => Err(format!("expected 0 to 100, got {percent}")),
    }
}

fn main() -> ExitCode {
    support::run(simulate(&Args::parse()))
}

fn simulate(args: &Args) -> Result<(), Error> {
    // Before minutes of work, so that they are not in vain.
    let paths = args.json.iter().chain([&args.html]);
    if !args.force {
        paths
            .clone()
            .try_for_each(|path| refuse_if_there(path).map_err(or_force))?;
    }
    let scenario = scenario(args)?;
    let outcome = run(&scenario)
        .map_err(|error| format!("{error}; --seed {} does it again", scenario.seed))?;
    terminal::show(&outcome);
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&outcome)?;
        write(path, args.force, &(json + "\n"))?;
        say!("{}: all of it as JSON", path.display());
    }
    write(&args.html, args.force, &page::page(&outcome))?;
    say!(
        "{}: the pictures, to be opened in a browser",
        args.html.display()
    );
    Ok(())
}

fn or_force(error: Error) -> Error {
    format!("{error}, or --force").into()
}

fn scenario(args: &Args) -> Result<Scenario, Error> {
    let mut scenario = Scenario::new(args.seed);
    if args.quick {
        scenario.people = QUICK_PEOPLE;
        scenario.days = QUICK_DAYS;
        scenario.adoptions = vec![0.0, QUICK_ADOPTION];
    }
    scenario.people = args.people.unwrap_or(scenario.people);
    scenario.days = args.days.unwrap_or(scenario.days);
    scenario.threads = args.threads.unwrap_or(scenario.threads);
    scenario.attacks = !args.without.contains(&Part::Attacks);
    scenario.schedules = !args.without.contains(&Part::Schedules);
    if !args.adoption.is_empty() {
        scenario.adoptions.clone_from(&args.adoption);
    }
    scenario.protocol = match args.protocol {
        ProtocolChoice::Bluezone => ProtocolKind::Bluezone,
        ProtocolChoice::Gaen => ProtocolKind::Gaen,
    };
    if let Some(path) = &args.mobility {
        let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let mut csv = String::new();
        // A byte more than there may be, which is refused as too many.
        let most = Mobility::BYTES_MAX as u64 + 1;
        let read = File::open(path).and_then(|file| file.take(most).read_to_string(&mut csv));
        read.map_err(|e| failed(&e))?;
        scenario.mobility = Some(Mobility::parse(&csv).map_err(|e| failed(&e))?);
    }
    Ok(scenario)
}

fn run(scenario: &Scenario) -> Result<Outcome, Error> {
    let bar = ProgressBar::new(1);
    bar.set_style(ProgressStyle::with_template(
        "{wide_bar} {percent} %, {eta} left, {msg}",
    )?);
    let progress = Progress::new(bar);
    let bar = progress.bar();
    Ok(sim::run(scenario, &|done, total, what| {
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(what.to_owned());
    })?)
}

fn write(path: &Path, force: bool, text: &str) -> Result<(), Error> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut file = match force {
        true => File::create(path).map_err(failed)?,
        false => create_new(path, false)?,
    };
    Ok(file.write_all(text.as_bytes()).map_err(failed)?)
}
