//! What a visitor's device does.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use truyvet::EncounterLog;
use truyvet::log::{KeyFile, LogEntry};
use truyvet::place::{
    CheckIns, LIST_BYTES_MAX, PlaceExposure, PlaceList, PlaceMatchConfig, PlaceMessage,
    PlaceSigner, Visit,
};
use truyvet::time::UtcDay;

use super::support::{Error, count, now, say, trusted_keys, warn};
use super::{LogArgs, ScannedArgs, ago, minutes};

#[derive(Args)]
pub(super) struct CheckInArgs {
    /// What was scanned or, after an @, the file it is in
    #[arg(value_name = "TEXT")]
    scanned: String,
    #[command(flatten)]
    by: ScannedArgs,
    #[command(flatten)]
    log: LogArgs,
    /// How many minutes ago, for who scans late
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    ago: u64,
}

pub(super) fn check_in(args: &CheckInArgs) -> Result<(), Error> {
    let place = args.by.place(&args.scanned)?;
    let at = ago(args.ago);
    let key = args.log.open_or_create_key()?;
    let log = EncounterLog::open(&args.log.log, key)?;
    append(log, place.check_in(at)?)?;
    say!(
        "Checked in at {at}: {} ({}).",
        place.name(),
        match place.signer() {
            PlaceSigner::Authority => "signed by a trusted authority",
            PlaceSigner::Owner => "signed by its owner, for whom nobody vouches",
        }
    );
    say!("It stands in {} alone, sealed.", args.log.log.display());
    Ok(())
}

#[derive(Args)]
pub(super) struct CheckOutArgs {
    #[command(flatten)]
    log: LogArgs,
    /// How many minutes ago
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    ago: u64,
}

pub(super) fn check_out(args: &CheckOutArgs) -> Result<(), Error> {
    let at = ago(args.ago);
    let check_ins = read(&args.log)?;
    let visit = check_ins
        .open_at(now())
        .ok_or("there is no visit to check out of")?;
    let entry = visit.check_out(at)?;
    let log = EncounterLog::open(&args.log.log, KeyFile::open(&args.log.key)?)?;
    append(log, entry)?;
    say!("Checked out at {at}: {}.", visit.name);
    Ok(())
}

#[derive(Args)]
pub(super) struct VisitsArgs {
    #[command(flatten)]
    log: LogArgs,
    /// Those of one day, UTC; all if not given
    #[arg(long)]
    day: Option<UtcDay>,
}

pub(super) fn visits(args: &VisitsArgs) -> Result<(), Error> {
    let check_ins = read(&args.log)?;
    let visits: Vec<&Visit> = match args.day {
        Some(day) => check_ins.on(day).collect(),
        None => check_ins.visits().iter().collect(),
    };
    for visit in &visits {
        let end = if visit.checked_out { "" } else { "assumed, " };
        say!("{} to {end}{}: {}", visit.from, visit.until, visit.name);
    }
    say!("{}.", count(visits.len(), "visit"));
    Ok(())
}

#[derive(Args)]
pub(super) struct CheckArgs {
    /// The published list
    #[arg(value_name = "LIST")]
    list: PathBuf,
    /// The authority's public key (PEM); may be given again
    #[arg(long, required = true, value_name = "PEM")]
    trust: Vec<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
    /// Where the highest number of a list seen is kept, so that no older one is taken again
    #[arg(long, value_name = "FILE", default_value = "places.seen")]
    seen: PathBuf,
    /// By how many minutes the list's times are widened, 60 at most
    #[arg(long, value_name = "MINUTES", default_value_t = 0)]
    tolerance: u64,
}

pub(super) fn check(args: &CheckArgs) -> Result<(), Error> {
    let bytes = read_list(&args.list)?;
    let seen = read_seen(&args.seen)?;
    let list = PlaceList::verify(&bytes, &trusted_keys(&args.trust)?, now(), seen)?;
    let config = PlaceMatchConfig {
        tolerance: minutes(args.tolerance),
        ..PlaceMatchConfig::default()
    };
    let check_ins = read(&args.log)?;
    let exposures = list.exposures(check_ins.visits(), &config)?;
    fs::write(&args.seen, format!("{}\n", list.sequence()))
        .map_err(|e| format!("{}: {e}", args.seen.display()))?;
    for exposure in &exposures {
        say!("{exposure}");
        advise(exposure);
    }
    say!(
        "List {} of {}, {}: {}.",
        list.sequence(),
        list.published_at(),
        count(check_ins.visits().len(), "visit"),
        count(exposures.len(), "exposure")
    );
    Ok(())
}

/// Texts for the keys that this example publishes.
fn advise(exposure: &PlaceExposure) {
    let texts = match &exposure.message {
        PlaceMessage::Key(key) if key == "place.monitor" => [
            "Một ca bệnh đã ở đó cùng lúc với bạn. Hãy theo dõi sức khoẻ trong 14 ngày.",
            "A case was there while you were. Watch your health for 14 days.",
        ],
        PlaceMessage::Key(key) if key == "place.test" => [
            "Một ca bệnh đã ở đó cùng lúc với bạn. Hãy đi xét nghiệm.",
            "A case was there while you were. Please get tested.",
        ],
        _ => return,
    };
    for text in texts {
        say!("  {text}");
    }
}

fn append(mut log: EncounterLog, entry: LogEntry) -> Result<(), Error> {
    log.append_entries(&[entry])?;
    Ok(log.close()?)
}

fn read(log: &LogArgs) -> Result<CheckIns, Error> {
    let check_ins = CheckIns::read(&log.reader()?)?;
    for error in check_ins.damage() {
        warn(&format!("warning: {error}; visits in it are missing"));
    }
    Ok(check_ins)
}

/// The list's bytes, as many as tell that it is too long.
fn read_list(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |e| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let read = file.take(LIST_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map_err(failed)?;
    Ok(bytes)
}

fn read_seen(path: &Path) -> Result<Option<u32>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => {
            let number = text.trim().parse();
            number
                .map(Some)
                .map_err(|_| format!("{}: expected a list's number", path.display()).into())
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(format!("{}: {e}", path.display()).into()),
    }
}
