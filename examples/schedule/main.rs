//! How soon a neighbour is noticed under each schedule, and what that costs.

#[path = "../support/mod.rs"]
mod support;

mod svg;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use truyvet::engine::{Frames, Plan, Preset, RadioUse, Schedule, Target};

use support::{Error, block, create_new, refuse_if_there, say};

#[derive(Parser)]
#[command(
    about = "How soon a neighbour is noticed under each schedule of the radio, and what that costs",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example schedule\n      \
        the schedules of Bluezone and GAEN side by side\n  \
        cargo run --release --example schedule -- --notice 99%/60s\n      \
        and the cheapest that notices 99 of 100 within a minute\n  \
        cargo run --release --example schedule -- --loss 0.8 --until 60 --svg schedules.svg\n      \
        if four frames of five are lost; the first minute, as a picture too\n\n\
        A neighbour comes into range at a random moment of both cycles, and follows the same schedule. Energy is \
        that of a radio of one chip (nRF52832), without its processor: a phone takes far more."
)]
struct Args {
    /// Add the cheapest schedule that notices a neighbour so surely so soon, such as 99%/60s
    #[arg(long, value_name = "P/TIME")]
    notice: Option<Target>,
    /// The share of frames that are lost, 0 to 0.99
    #[arg(long, value_name = "SHARE", default_value_t = Frames::LOSS)]
    loss: f64,
    /// How many seconds the picture shows, 1 to 3600
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    until: u32,
    /// Write the picture to a file as well
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Columns of the picture in the terminal.
const COLUMNS: u32 = 52;

/// Beyond, it does not matter when somebody is noticed.
const LIMIT: Duration = Duration::from_secs(3_600);

/// A schedule, and what comes of it.
struct Row {
    name: String,
    plan: Plan,
    mah_per_day: f64,
}

fn main() -> ExitCode {
    support::run(compare(&Args::parse()))
}

fn compare(args: &Args) -> Result<(), Error> {
    if let Some(path) = &args.svg {
        refuse_if_there(path)?;
    }
    let mut rows = Vec::new();
    for preset in Preset::ALL {
        let frames = Frames::new(preset.frames().interval(), args.loss)?;
        let name = preset.to_string();
        rows.push(row(name, preset.schedule(), frames, preset.frame_bytes()));
    }
    if let Some(target) = args.notice {
        let frames = Frames::new(Frames::default().interval(), args.loss)?;
        let schedule = target.cheapest(frames)?;
        let (on, off) = (schedule.scan.on(), schedule.scan.off());
        match schedule.scan.is_continuous() {
            true => say!("To notice {target}, the radio must always be on."),
            false => say!(
                "To notice {target}, the cheapest is to scan {} s and rest {} s, and always advertise.",
                on.as_secs_f64(),
                off.as_secs_f64()
            ),
        }
        say!();
        rows.push(row("your target".to_owned(), schedule, frames, 31));
    }
    let until = Duration::from_secs(args.until.into());
    curves(&rows, until, args.loss);
    figures(&rows);
    if let Some(path) = &args.svg {
        let picture = svg::picture(&rows, until, args.loss);
        let written = create_new(path, false)?.write_all(picture.as_bytes());
        written.map_err(|e| format!("{}: {e}", path.display()))?;
        say!();
        say!("{}: the same as a picture", path.display());
    }
    Ok(())
}

fn row(name: String, schedule: Schedule, frames: Frames, frame_bytes: u8) -> Row {
    let used = schedule.radio_use(frame_bytes, frames.interval());
    Row {
        name,
        plan: Plan::between(&schedule, frames),
        mah_per_day: used.mah_per_day(RadioUse::RECEIVE_MA, RadioUse::SEND_MA),
    }
}

/// A line each: the higher, the more surely the neighbour is noticed by then.
fn curves(rows: &[Row], until: Duration, loss: f64) {
    let seconds = until.as_secs();
    say!(
        "How surely a neighbour is noticed until then, {} % of the frames being lost:",
        100.0 * loss
    );
    let width = COLUMNS as usize - 1;
    say!("{:20} 0{:>width$}", "", format!("{seconds} s"));
    for row in rows {
        let curve = row.plan.curve(until, COLUMNS);
        let picture: String = curve.iter().map(|noticed| height(*noticed)).collect();
        let last = curve.last().copied().unwrap_or_default();
        say!("{:20} {picture} {}", row.name, percent(last));
    }
    say!();
}

fn height(noticed: f64) -> char {
    match noticed {
        noticed if noticed < 0.005 => ' ',
        noticed => block((noticed * 7.999) as usize),
    }
}

/// Never 100 %, unless it is certain to be.
fn percent(share: f64) -> String {
    match share {
        share if share > 0.999_999 => "100 %".to_owned(),
        share => format!("{:.1} %", (share * 1_000.0).floor() / 10.0),
    }
}

fn figures(rows: &[Row]) {
    let dearest = rows.iter().map(|row| row.mah_per_day).fold(0.0, f64::max);
    say!(
        "{:20} {:>7} {:>8} {:>8} {:>9} {:>7} mAh a day",
        "",
        "half by",
        "99 % by",
        "at most",
        "a minute",
        ""
    );
    for row in rows {
        let by = |probability| duration(row.plan.time_to_notice(probability, LIMIT));
        say!(
            "{:20} {:>7} {:>8} {:>8} {:>9.1} {:>7.1} {}",
            row.name,
            by(0.5),
            by(0.99),
            duration(row.plan.worst_case()),
            row.plan.sightings_per_minute(),
            row.mah_per_day,
            bar(row.mah_per_day / dearest)
        );
    }
    say!();
    say!(
        "\"At most\" is without any loss of frames; \"a minute\" counts the frames heard of one neighbour."
    );
}

/// Of full length for 1, and to an eighth of a column.
fn bar(share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * 14.0 * 8.0).round().max(1.0) as usize;
    let rest = EIGHTHS.get(eighths % 8).copied().unwrap_or_default();
    "█".repeat(eighths / 8) + rest
}

/// Rounded up; a dash if there is no end to it.
fn duration(duration: Option<Duration>) -> String {
    match duration.map(|duration| duration.as_secs_f64()) {
        None => "-".to_owned(),
        Some(seconds) if seconds < 10.0 => format!("{:.1} s", (seconds * 10.0).ceil() / 10.0),
        Some(seconds) => format!("{:.0} s", seconds.ceil()),
    }
}
