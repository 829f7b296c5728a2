//! Prints what each engine takes: on the disk, of the disk's writes, of memory, of time.
//!
//! The bench has the same times with their spread, but measures one engine after the other: on a machine
//! with other work to do, that work falls on one of them. Here they take turns.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use clap::{Parser, Subcommand, ValueEnum};
use truyvet_peers::days::{self, BATCH, DAYS, SIGHTINGS};
use truyvet_peers::engines::{ENGINES, Engine};
use truyvet_peers::{Result, measure};

/// What the encounter log and databases take for the same sightings, all synced every 64.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo run --release -p truyvet-peers --bin log_size")]
struct Args {
    /// Where to write, on the disk that is to be measured [default: beside the program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Only these engines, for instance truyvet,redb [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    engines: Vec<String>,
    #[command(subcommand)]
    step: Option<Step>,
}

/// What is measured has a process of its own: the system counts writes and memory by process.
#[derive(Subcommand)]
enum Step {
    /// Stores a day or a log; prints the bytes written to the disk, and the microseconds it took.
    #[command(hide = true)]
    Store {
        engine: String,
        days: Days,
        dir: PathBuf,
    },
    /// Reads all; prints microseconds to the first sighting and to the last, sightings, KiB of memory
    /// at most.
    #[command(hide = true)]
    Read { engine: String, dir: PathBuf },
    /// Prints the memory of a process that does nothing else.
    #[command(hide = true)]
    Idle,
}

#[derive(Clone, Copy, ValueEnum)]
enum Days {
    Busy,
    Hostile,
    /// Fourteen busy ones.
    Full,
}

/// Openings of which the middle one is told. Chosen: odd, and a slow one among them does no harm.
const OPENINGS: usize = 5;

/// Rounds of which the fastest is told of each engine. Chosen: enough that each has a quiet one.
const ROUNDS: usize = 9;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match &args.step {
        Some(step) => run(step),
        None => compare(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("log_size: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(step: &Step) -> Result<()> {
    match step {
        Step::Store { engine, days, dir } => store(Engine::named(engine)?, *days, dir),
        Step::Read { engine, dir } => read(Engine::named(engine)?, dir),
        Step::Idle => {
            println!("{}", measure::peak_resident_kib()?);
            Ok(())
        }
    }
}

fn store(engine: Engine, days: Days, dir: &Path) -> Result<()> {
    let (count, day): (u64, fn(u64) -> _) = match days {
        Days::Busy => (1, days::busy),
        Days::Hostile => (1, days::hostile),
        Days::Full => (DAYS, days::busy),
    };
    let what = days.to_possible_value();
    let what = what.map_or_else(String::new, |what| what.get_name().to_owned());
    let bar = measure::progress(format!("{} {what}", engine.name), count * SIGHTINGS);
    let before = measure::bytes_written()?;
    let begun = Instant::now();
    let mut writer = (engine.open)(dir)?;
    let mut took = begun.elapsed();
    for number in 0..count {
        // Not in the time: what there is to store has to be made up.
        let sightings = day(number);
        let begun = Instant::now();
        for batch in sightings.chunks(BATCH) {
            writer.append(batch)?;
            bar.inc(batch.len() as u64);
        }
        took += begun.elapsed();
    }
    let begun = Instant::now();
    writer.close()?;
    took += begun.elapsed();
    bar.finish_and_clear();
    let written = measure::bytes_written()? - before;
    println!("{written} {}", took.as_micros());
    Ok(())
}

fn read(engine: Engine, dir: &Path) -> Result<()> {
    let begun = Instant::now();
    let mut first = None;
    let mut count = 0_u64;
    (engine.read)(dir, &mut |sighting| {
        first.get_or_insert_with(|| begun.elapsed());
        count += 1;
        black_box(sighting);
    })?;
    let (first, last) = (first.ok_or("nothing in it")?, begun.elapsed());
    let peak = measure::peak_resident_kib()?;
    println!("{} {} {count} {peak}", first.as_micros(), last.as_micros());
    Ok(())
}

/// The numbers that a step of this program prints.
fn child(args: &[&str], dir: Option<&Path>) -> Result<Vec<u64>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(args).args(dir).stderr(Stdio::inherit());
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("{}: {}", args.join(" "), output.status).into());
    }
    let printed = String::from_utf8(output.stdout)?;
    let numbers = printed.split_whitespace().map(str::parse);
    Ok(numbers.collect::<std::result::Result<_, _>>()?)
}

/// What is told of an engine, in this order.
const COLUMNS: [&str; 9] = [
    "busy day: at rest",
    "written",
    "hostile day: at rest",
    "written",
    "14 days: at rest",
    "to the first, ms",
    "memory at most, MB",
    "busy day: append, ms",
    "read, ms",
];

fn compare(args: &Args) -> Result<()> {
    let engines: Vec<Engine> = if args.engines.is_empty() {
        ENGINES.to_vec()
    } else {
        let named = args.engines.iter().map(|name| Engine::named(name));
        named.collect::<Result<_>>()?
    };
    println!("bytes a sighting; in brackets, how many times the first row's");
    println!("| engine | {} |", COLUMNS.join(" | "));
    println!("|---|{}", "---:|".repeat(COLUMNS.len()));
    let home = args.dir.as_deref();
    let mut rows = Vec::with_capacity(engines.len());
    for engine in &engines {
        rows.push(measured(*engine, home)?);
    }
    for (row, fastest) in rows.iter_mut().zip(in_turn(&engines, home)?) {
        row.extend(fastest);
    }
    let base = rows.first().cloned().unwrap_or_default();
    for (engine, row) in engines.iter().zip(&rows) {
        let cells = row.iter().zip(base.iter());
        let cells = cells.map(|(value, base)| format!("{value:.1} ({:.1})", value / base));
        println!(
            "| {} | {} |",
            engine.name,
            cells.collect::<Vec<_>>().join(" | ")
        );
    }
    let idle = child(&["idle"], None)?;
    let idle_mb = idle.first().map_or(0.0, |kib| *kib as f64 * 1_024.0 / 1e6);
    println!("a process that opens nothing holds {idle_mb:.1} MB");
    Ok(())
}

/// Milliseconds to append a busy day and to read it, of each engine.
fn in_turn(engines: &[Engine], home: Option<&Path>) -> Result<Vec<[f64; 2]>> {
    let mut fastest = vec![[f64::INFINITY; 2]; engines.len()];
    for _ in 0..ROUNDS {
        for (engine, fastest) in engines.iter().zip(&mut fastest) {
            let dir = measure::fresh(home)?;
            let stored = child(&["store", engine.name, "busy"], Some(dir.path()))?;
            let read = child(&["read", engine.name], Some(dir.path()))?;
            let (&[_, append_us], &[_, read_us, ..]) = (&*stored, &*read) else {
                return Err("expected more numbers of a step".into());
            };
            for (fastest, us) in fastest.iter_mut().zip([append_us, read_us]) {
                *fastest = fastest.min(us as f64 / 1e3);
            }
        }
    }
    Ok(fastest)
}

fn measured(engine: Engine, home: Option<&Path>) -> Result<Vec<f64>> {
    let mut row = Vec::with_capacity(COLUMNS.len());
    for days in ["busy", "hostile"] {
        let dir = measure::fresh(home)?;
        let written = child(&["store", engine.name, days], Some(dir.path()))?;
        let at_rest = measure::at_rest(dir.path())?;
        let written = written.first().copied().unwrap_or_default();
        row.extend([at_rest, written].map(|bytes| bytes as f64 / SIGHTINGS as f64));
    }

    let dir = measure::fresh(home)?;
    child(&["store", engine.name, "full"], Some(dir.path()))?;
    row.push(measure::at_rest(dir.path())? as f64 / (DAYS * SIGHTINGS) as f64);
    // By time to the first sighting, so that the middle one is found.
    let mut openings = BTreeMap::new();
    for opening in 0..OPENINGS {
        let [first_us, _, count, peak_kib] = *child(&["read", engine.name], Some(dir.path()))?
        else {
            return Err("expected four numbers of a reader".into());
        };
        if count != DAYS * SIGHTINGS {
            let expected = DAYS * SIGHTINGS;
            return Err(format!(
                "{}: expected {expected} sightings, got {count}",
                engine.name
            )
            .into());
        }
        openings.insert((first_us, opening), peak_kib);
    }
    if let Some(((first_us, _), peak_kib)) = openings.into_iter().nth(OPENINGS / 2) {
        row.extend([first_us as f64 / 1e3, peak_kib as f64 * 1_024.0 / 1e6]);
    }
    Ok(row)
}
