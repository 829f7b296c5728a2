//! Floods the encounter log with identifiers that never repeat, and prints what becomes of fifty true
//! neighbours among them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use truyvet::time::Timestamp;
use truyvet::{EphemeralId, Sighting};
use truyvet_peers::days::{self, BATCH};
use truyvet_peers::engines::truyvet::{ENGINE, budget_bytes};
use truyvet_peers::{Result, measure};

/// Identifiers that never repeat, and true neighbours among them, into the encounter log.
#[derive(Parser)]
#[command(after_help = "Example:\n  cargo run --release -p truyvet-peers --bin flood")]
struct Args {
    /// Invented identifiers
    #[arg(long, default_value_t = 10_000_000)]
    fakes: u64,
    /// Frames in which each of them is heard, four a second
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=116))]
    frames: u16,
    /// Frames of invented identifiers a second
    // More than an adapter could report: a real bluetoothd gave up at 1,000 (CONTRIBUTING.md).
    #[arg(long, default_value_t = 2_600, value_parser = clap::value_parser!(u64).range(1..))]
    rate: u64,
    /// True neighbours, each heard all the time, with a new identifier every quarter of an hour
    #[arg(long, default_value_t = 50)]
    neighbours: u64,
    /// For how many hours they are there, from midnight on, when the flood begins
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=24))]
    hours: u64,
    /// Where to write, on a disk [default: beside the program]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    match flood(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flood: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Of neighbours' identifiers, the number of a neighbour is below, that of the quarter of an hour above.
const SEAT_BITS: u32 = 20;
const ROTATION_MS: u64 = 900_000;
/// Between two frames of an invented identifier.
const FRAME_MS: u64 = 250;
const SPAN_MS: u64 = 30_000;

impl Args {
    /// Milliseconds from the beginning to when invented identifier `fake` is heard first.
    fn heard_ms(&self, fake: u64) -> u64 {
        fake * 1_000 * u64::from(self.frames) / self.rate
    }

    fn fake(&self, fake: u64) -> Sighting {
        let first_ms = days::START.unix_millis() + self.heard_ms(fake);
        let mut sighting = days::half_minute(1 << 63 | fake, fake, first_ms);
        let lasted_ms = FRAME_MS * u64::from(self.frames - 1);
        sighting.last = Timestamp::from_unix_millis(first_ms + lasted_ms);
        sighting.frames = self.frames;
        sighting
    }

    /// What is heard of each neighbour in the half minute that begins `ms` after the beginning.
    fn neighbours(&self, ms: u64) -> impl Iterator<Item = (u64, Sighting)> {
        (0..self.neighbours).map(move |seat| {
            let who = (ms / ROTATION_MS) << SEAT_BITS | seat;
            let first_ms = days::START.unix_millis() + ms;
            (seat, days::half_minute(who, ms + seat, first_ms))
        })
    }
}

/// Minutes in which a neighbour was heard, and whose an identifier is.
#[derive(Default)]
struct Presence {
    minutes: HashSet<(u64, u64)>,
    whose: HashMap<EphemeralId, u64>,
}

impl Presence {
    fn add(&mut self, seat: u64, sighting: &Sighting) {
        let minute = |time: Timestamp| time.unix_seconds() / 60;
        for minute in minute(sighting.first)..=minute(sighting.last) {
            self.minutes.insert((seat, minute));
        }
    }
}

fn flood(args: &Args) -> Result<()> {
    let dir = measure::fresh(args.dir.as_deref())?;
    let mut given = Presence::default();
    let begun = Instant::now();
    let appended = append(args, &dir, &mut given)?;
    let appended_s = begun.elapsed().as_secs_f64();
    let peak_appending = measure::peak_resident_kib()?;

    let mut kept = Presence::default();
    let mut fakes_kept = 0_u64;
    let bar = measure::progress("reading".to_owned(), appended);
    (ENGINE.read)(dir.path(), &mut |sighting| {
        bar.inc(1);
        match given.whose.get(&sighting.id) {
            Some(seat) => kept.add(*seat, &sighting),
            None => fakes_kept += 1,
        }
    })?;
    bar.finish_and_clear();
    let size = measure::at_rest(dir.path())?;

    let mb = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let percent = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    let (minutes, of) = (kept.minutes.len() as u64, given.minutes.len() as u64);
    println!(
        "{} invented identifiers, {} frames each, {} frames a second; for {} minutes; {} neighbours for {} hours",
        args.fakes,
        args.frames,
        args.rate,
        args.heard_ms(args.fakes) / 60_000,
        args.neighbours,
        args.hours
    );
    println!("log on disk           {}", mb(size));
    println!("budget                {}", mb(budget_bytes()));
    println!(
        "neighbours' minutes   {minutes} of {of} kept ({:.2} %)",
        percent(minutes, of)
    );
    println!(
        "invented identifiers  {fakes_kept} of {} kept ({:.2} %)",
        args.fakes,
        percent(fakes_kept, args.fakes)
    );
    println!("sightings a second    {:.0}", appended as f64 / appended_s);
    println!(
        "memory at most        {} appending, {} with reading",
        mb(peak_appending * 1_024),
        mb(measure::peak_resident_kib()? * 1_024)
    );
    Ok(())
}

/// Gives everything to a log in `dir`, in the order in which it is heard; tells how many sightings.
fn append(args: &Args, dir: &tempfile::TempDir, given: &mut Presence) -> Result<u64> {
    let bar = measure::progress("appending".to_owned(), args.fakes);
    let mut writer = (ENGINE.open)(dir.path())?;
    let mut batch = Vec::with_capacity(BATCH);
    let mut appended = 0;
    let mut due_ms = 0;
    let mut give = |sighting| -> Result<()> {
        batch.push(sighting);
        if batch.len() == BATCH {
            writer.append(&batch)?;
            appended += batch.len() as u64;
            batch.clear();
        }
        Ok(())
    };
    let mut neighbours = |until_ms: u64, give: &mut dyn FnMut(Sighting) -> Result<()>| {
        while due_ms <= until_ms {
            for (seat, sighting) in args.neighbours(due_ms) {
                given.add(seat, &sighting);
                given.whose.insert(sighting.id, seat);
                give(sighting)?;
            }
            due_ms += SPAN_MS;
        }
        Result::Ok(())
    };
    for fake in 0..args.fakes {
        neighbours(args.heard_ms(fake), &mut give)?;
        give(args.fake(fake))?;
        bar.inc(1);
    }
    neighbours(args.hours * 3_600_000 - 1, &mut give)?;
    writer.append(&batch)?;
    appended += batch.len() as u64;
    writer.close()?;
    bar.finish_and_clear();
    Ok(appended)
}
