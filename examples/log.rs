//! A log in its owner's hands: what it says of each day, whether it is whole, all of it as JSON, and its end.

mod support;

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use indicatif::{DecimalBytes, ProgressBar, ProgressStyle};
use truyvet::log::{
    self, DayStatistics, Exported, KeyFile, KeyProvider, LogReader, MemoryKey, NotExported,
    OwnersConsent, STRONG_FROM_DBM, SegmentVerification, Verification,
};

use support::{
    Error, LogArgs, Progress, ask, block, count, create_new, refuse_if_there, say, warn,
};

#[derive(Parser)]
#[command(
    about = "Look at the log, verify it, write it out, or destroy it",
    after_help = "Examples, to be typed in the checkout, once trace has made a log:\n\n  \
        cargo run --release --example log -- stats\n      \
        each day as a picture and in numbers; identifiers are counted, and none is shown\n  \
        cargo run --release --example log -- verify --each\n      \
        does everything open? Exit status 1 if it does not\n  \
        cargo run --release --example log -- export --yes --out my-data.json\n      \
        all of it as JSON, for its owner; without --yes it says what that is, and asks\n  \
        cargo run --release --example log -- wipe --yes\n      \
        destroys the log and its keys; without --yes it has you type a word"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Each day as a picture and in numbers
    Stats {
        #[command(flatten)]
        log: LogArgs,
    },
    /// Say whether everything opens, and what does not
    Verify {
        #[command(flatten)]
        log: LogArgs,
        /// Name every segment, not only those that are damaged
        #[arg(long)]
        each: bool,
    },
    /// Write all that the log holds as one JSON object
    Export(ExportArgs),
    /// Destroy the log and its keys
    Wipe {
        #[command(flatten)]
        log: LogArgs,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Write this device's own keys as well, which are secrets
    #[arg(long)]
    own_keys: bool,
    /// The file, which must not be there yet; standard output if not given
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

const DAMAGED: &str = "part of the log is damaged; log verify says which";

fn main() -> ExitCode {
    support::run(match Arguments::parse().command {
        Command::Stats { log } => stats(&log),
        Command::Verify { log, each } => verify(&log, each),
        Command::Export(args) => export(&args),
        Command::Wipe { log, yes } => wipe(&log, yes),
    })
}

fn stats(log: &LogArgs) -> Result<(), Error> {
    let spinner = Progress::new(ProgressBar::new_spinner().with_message("reading the log"));
    let mut days: Vec<DayStatistics> = log.reader()?.stats()?.collect();
    drop(spinner);
    days.reverse();
    if days.is_empty() {
        say!("The log is empty: nothing has been heard yet.");
        return Ok(());
    }
    let most = days.iter().map(DayStatistics::present_max).max();
    let most = most.unwrap_or_default();
    say!("Identifiers heard in five minutes, the most of each hour; a full bar is {most}.\n");
    say!("{:10}  0     6     12    18    24 h UTC", "");
    for day in &days {
        print_day(day, most);
    }
    let damage: Vec<_> = days.iter().flat_map(|day| &day.damage).collect();
    for error in &damage {
        warn(&format!("warning: {error}; what it held is not counted"));
    }
    match damage.is_empty() {
        true => Ok(()),
        false => Err(DAMAGED.into()),
    }
}

fn print_day(day: &DayStatistics, most: u64) {
    let hours = day.present.chunks(12);
    let picture: String = hours
        .map(|hour| match hour.iter().max() {
            None | Some(0) => ' ',
            Some(present) => block((present * 8).div_ceil(most.max(1)) as usize - 1),
        })
        .collect();
    say!(
        "{} |{picture}| heard in {} min; {} of {}",
        day.day,
        day.minutes_heard,
        count(day.sightings as usize, "sighting"),
        match day.identifiers.value() {
            1 => "1 identifier".to_owned(),
            _ => format!("{} identifiers", day.identifiers),
        },
    );
    let strong = match day.strengths.strong_share() {
        Some(share) => format!("{:.0} % at {STRONG_FROM_DBM} dBm or more", share * 100.0),
        None => "no strengths".to_owned(),
    };
    say!(
        "{:37} {} there at once, {:.1} on average over the day; {strong}",
        "",
        day.present_max(),
        day.present_mean(),
    );
    say!(
        "{:37} {} of gaps; {}",
        "",
        match day.gaps.as_secs() {
            0 => "no minute".to_owned(),
            seconds => format!("{:.1} min", seconds as f64 / 60.0),
        },
        DecimalBytes(day.bytes_at_rest),
    );
}

fn verify(log: &LogArgs, each: bool) -> Result<(), Error> {
    let style = ProgressStyle::with_template("verifying {bar:40} {percent} %")?;
    let progress = Progress::new(ProgressBar::new(1_000).with_style(style));
    let verification = log.reader()?.verify(|share| {
        progress.bar().set_position((share * 1_000.0) as u64);
    })?;
    drop(progress);
    for segment in &verification.segments {
        print_segment(segment, each);
    }
    for name in &verification.strangers {
        say!("{name}: not the log's");
    }
    say!("{}", summary(&verification));
    if verification.is_well() {
        say!("Everything opens.");
        return Ok(());
    }
    for error in verification.damage() {
        say!("DAMAGED: {error}");
    }
    let number = verification.damage().count();
    Err(format!(
        "{} not as written. What opens is matched all the same, and log export saves it. If the \
         disk is sound, somebody else has changed these files; they go with their day, and log \
         wipe ends the log at once",
        match number {
            1 => "1 file is".to_owned(),
            _ => format!("{number} files are"),
        }
    )
    .into())
}

fn print_segment(segment: &SegmentVerification, each: bool) {
    if each {
        say!(
            "{}: {}, {} with {} and {}",
            segment.name,
            DecimalBytes(segment.bytes),
            count(segment.chunks as usize, "chunk"),
            count(segment.sightings as usize, "sighting"),
            count(segment.gaps as usize, "gap"),
        );
    }
    if segment.torn_bytes > 0 {
        say!(
            "{}: ends in {} of a write that was cut short, of which nothing was promised",
            segment.name,
            count(segment.torn_bytes as usize, "byte"),
        );
    }
}

fn summary(verification: &Verification) -> String {
    let files = verification
        .files
        .iter()
        .filter(|file| file.bytes.is_some());
    format!(
        "{} and {}, {}: {}, {}",
        count(verification.segments.len(), "segment"),
        count(files.count(), "sealed file"),
        DecimalBytes(verification.bytes()),
        count(verification.sightings() as usize, "sighting"),
        count(verification.own_keys, "own key"),
    )
}

fn export(args: &ExportArgs) -> Result<(), Error> {
    let reader = args.log.reader()?;
    if let Some(path) = &args.out {
        refuse_if_there(path)?;
    }
    let Some(consent) = consent(args)? else {
        warn("Nothing was written.");
        return Ok(());
    };
    let exported = match &args.out {
        Some(path) => Some(export_to_file(&reader, consent, path)?),
        None => match reader.export_json(consent, &mut io::stdout().lock()) {
            // Whoever reads it has seen enough.
            Err(NotExported::Write(e)) if e.kind() == ErrorKind::BrokenPipe => None,
            exported => Some(exported?),
        },
    };
    let Some(exported) = exported else {
        return Ok(());
    };
    let place = args.out.as_deref().map(Path::display);
    warn(&format!(
        "{}: {}, {} and {}",
        place.map_or("written".to_owned(), |place| place.to_string()),
        count(exported.sightings as usize, "sighting"),
        count(exported.gaps as usize, "gap"),
        count(exported.own_keys.unwrap_or_default() as usize, "own key"),
    ));
    match exported.is_complete() {
        true => Ok(()),
        false => Err(format!("{DAMAGED}, and the export what is missing in it").into()),
    }
}

/// What the owner agrees to; `None` if to nothing.
fn consent(args: &ExportArgs) -> Result<Option<OwnersConsent>, Error> {
    let (consent, own_keys) = match args.own_keys {
        true => (
            OwnersConsent::to_what_was_heard().and_own_keys(),
            " It also holds this device's own keys: who has them can tell where it was heard, and \
             can pretend to be it today.",
        ),
        false => (OwnersConsent::to_what_was_heard(), ""),
    };
    if args.yes {
        return Ok(Some(consent));
    }
    let answer = ask(&format!(
        "This writes, in plain: every identifier that was heard, when, and how strong; when \
         nothing could be heard; what the clocks said; and what you have entered of your health and \
         of places. Who has it can tell when you were among \
         people, and whether you met somebody whose identifiers they know.{own_keys}\n\
         Write it? (yes/no) "
    ))?;
    match answer.as_deref() {
        Some("yes") => Ok(Some(consent)),
        Some(_) => Ok(None),
        None => Err("nobody answers: --yes writes it without asking".into()),
    }
}

/// A file that is not whole does not stay.
fn export_to_file(
    reader: &LogReader,
    consent: OwnersConsent,
    path: &Path,
) -> Result<Exported, Error> {
    let mut file = create_new(path, true)?;
    let exported = reader
        .export_json(consent, &mut file)
        .and_then(|exported| Ok(file.sync_all().map(|()| exported)?));
    if exported.is_err() {
        // The error that is told is the first one.
        let _ = fs::remove_file(path);
    }
    exported.map_err(|e| format!("{}: {e}", path.display()).into())
}

fn wipe(args: &LogArgs, yes: bool) -> Result<(), Error> {
    let (log, key) = (args.log.display(), args.key.display());
    let keys: Box<dyn KeyProvider> = match args.key.exists() {
        true => Box::new(KeyFile::open(&args.key)?),
        // Nothing to forget, and files that nobody can open.
        false if args.log.is_dir() => Box::new(MemoryKey::empty()),
        false => return Err(format!("there is neither a log in {log} nor its key {key}").into()),
    };
    if !yes {
        let answer = ask(&format!(
            "This destroys the log in {log} and its keys in {key}, for ever. No copy of the log \
             opens after that, unless there is a copy of the key file too.\n\
             Type the word wipe to go on: "
        ))?;
        match answer.as_deref() {
            Some("wipe") => {}
            Some(_) => {
                say!("Nothing was destroyed.");
                return Ok(());
            }
            None => return Err("nobody answers: --yes destroys it without asking".into()),
        }
    }
    log::wipe(&args.log, &keys)?;
    say!("The log in {log} is destroyed: its keys are erased, and its files deleted.");
    Ok(())
}
