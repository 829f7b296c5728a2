//! Published files against the log: verify, match, tell.

mod html;
mod json;
#[path = "../support/mod.rs"]
mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use indicatif::{ProgressBar, ProgressStyle};
use truyvet::exposure::{Exposure, MatchConfig, Matcher};
use truyvet::log::{DayStatistics, LogReader};
use truyvet::protocol::{EphemeralId, PublishedKey};
use truyvet::publication::signature::VerificationKey;

use support::{
    Error, LogArgs, Progress, Published, Trust, Trusted, count, create_new, picture,
    read_published, read_text, refuse_if_there, say, warn,
};

#[derive(Parser)]
#[command(
    about = "Match published files against the log, or only verify them",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example check -- examples/recordings/passer-by.published.json\n      \
        a Bluezone list against the log that trace has made\n  \
        cargo run --release --example check -- --html exposures.html examples/recordings\n      \
        every list in a directory, and a page with a picture of each day\n  \
        cargo run --release --example check -- --verify-only \
        --trust tests/vectors/gaen/gens_testExport.public.pem \
        tests/vectors/gaen/gens_testExport-2-records-1-of-1.zip\n      \
        a GAEN export: does its signature hold? Without --verify-only it is matched too\n  \
        cargo run --release --example check -- --verify-only \
        --identifier 130CEA6472130C185D8643DF examples/recordings/passer-by.published.json\n      \
        which key an identifier is from\n\n\
        Exit status: 0 if nothing failed, 1 if a file or the log could not be used, \
        2 for a wrong call.\n\
        A GAEN export whose signature does not hold is never matched, nor is a bare export.bin \
        without --allow-unsigned.\n\
        Bluezone lists have no signature: get them over a channel you trust."
)]
struct Args {
    #[command(flatten)]
    log: LogArgs,
    /// The authority's public key (PEM); may be given again
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Use a bare export.bin, which has no signature
    #[arg(long)]
    allow_unsigned: bool,
    /// Say what the files hold and who signed them, without a log
    #[arg(long)]
    verify_only: bool,
    /// Say which of the keys an identifier, in hexadecimal, comes from
    #[arg(long, value_name = "HEX", value_parser = parse_identifier)]
    identifier: Option<EphemeralId>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write the report as a page for a browser, with a picture of each day; a file that is there is kept
    #[arg(long, value_name = "FILE", conflicts_with = "verify_only")]
    html: Option<PathBuf>,
    /// Published files, or directories of them: Bluezone lists, GAEN exports (zip), bare export.bin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file, or why it could not be read.
type File = Result<Published, String>;

fn main() -> ExitCode {
    support::run(check(&Args::parse()))
}

fn check(args: &Args) -> Result<(), Error> {
    if let Some(path) = &args.html {
        refuse_if_there(path)?;
    }
    let trusted = read_trusted(&args.trust)?;
    let paths = published_files(&args.files)?;
    let files: Vec<File> = paths
        .iter()
        .map(|path| read(path, &trusted, args))
        .collect();
    let readable: Vec<&Published> = files.iter().flatten().collect();
    let found = args.identifier.map(|id| find(id, &readable));
    if let (Some(places), false) = (&found, args.json) {
        say!("identifier: found {}", count(places.len(), "time"));
        for place in places {
            say!("  {place}");
        }
    }
    let matched = match args.verify_only {
        true => None,
        false => Some(match_files(args, &readable)?),
    };
    if args.json {
        let report = json::report(&paths, &files, found.as_deref(), matched.as_ref());
        say!("{report:#}");
    }
    if matched.is_some_and(|matched| !matched.damage.is_empty()) {
        return Err("part of the log is damaged, and an exposure may have been in it".into());
    }
    let refused = readable.iter().filter(|file| !file.is_believed()).count();
    let unread = files.len() - readable.len();
    let failures: Vec<String> = [
        (unread, "could not be read"),
        (refused, "had no signature that holds"),
    ]
    .into_iter()
    .filter(|(number, _)| *number > 0)
    .map(|(number, what)| format!("{number} {what}"))
    .collect();
    match failures.is_empty() {
        true => Ok(()),
        false => {
            let files = count(files.len(), "file");
            Err(format!("of {files}, {}", failures.join(" and ")).into())
        }
    }
}

fn parse_identifier(hex: &str) -> Result<EphemeralId, String> {
    let bytes = HEX.decode(hex.as_bytes()).map_err(|e| e.to_string())?;
    let bluezone = <[u8; 12]>::try_from(bytes.as_slice()).map(EphemeralId::from);
    let gaen = <[u8; 16]>::try_from(bytes.as_slice()).map(EphemeralId::from);
    bluezone.or(gaen).map_err(|_| {
        format!(
            "an identifier has 12 bytes in Bluezone and 16 in GAEN, this has {}",
            bytes.len()
        )
    })
}

fn read_trusted(paths: &[PathBuf]) -> Result<Vec<Trusted>, Error> {
    let read = |path: &PathBuf| -> Result<_, Error> {
        let key = VerificationKey::from_pem(&read_text(path)?);
        Ok(Trusted {
            name: path.display().to_string(),
            key: key.map_err(|e| format!("{}: {e}", path.display()))?,
        })
    };
    paths.iter().map(read).collect()
}

/// The files named, and those in the directories named, in the order of their names.
fn published_files(named: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let failed = |e| format!("{}: {e}", path.display());
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let kind = path.extension().and_then(|it| it.to_str());
            if path.is_file() && kind.is_some_and(|kind| ["zip", "json", "bin"].contains(&kind)) {
                found.push(path);
            }
        }
        if found.is_empty() {
            return Err(format!("{}: no .zip, .json or .bin in it", path.display()).into());
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
}

/// Reads a file, and says what it is.
fn read(path: &Path, trusted: &[Trusted], args: &Args) -> File {
    let spinner = ProgressBar::new_spinner().with_message(format!("reading {}", path.display()));
    let progress = Progress::new(spinner);
    let file = read_published(path, trusted, args.allow_unsigned);
    drop(progress);
    let file = file.map_err(|e| e.to_string());
    match &file {
        Ok(file) if !args.json => print_file(file),
        Ok(_) => {}
        Err(why) => warn(&format!("not read: {why}")),
    }
    file
}

fn print_file(file: &Published) {
    let trust = match &file.trust {
        Trust::Signed(by) => format!("signature holds, by {by}"),
        Trust::Unsigned => "unsigned".to_owned(),
        Trust::Refused(why) => format!("NOT VERIFIED: {why}"),
    };
    say!(
        "{}: {}, {trust}",
        file.path.display(),
        count(file.keys.len(), "key")
    );
}

/// Every key and time that gives the identifier `id`.
fn find(id: EphemeralId, files: &[&Published]) -> Vec<String> {
    let mut places = Vec::new();
    for file in files {
        for (index, key) in file.keys.iter().enumerate() {
            key.for_each_candidate(|candidate| {
                if candidate.id == id {
                    places.push(format!(
                        "{} key {index}, advertised from {}",
                        file.path.display(),
                        candidate.first
                    ));
                }
            });
        }
    }
    places
}

/// What came of the log.
struct Matched {
    exposures: Vec<Exposure>,
    /// What of the log could not be read.
    damage: Vec<String>,
    torn_bytes: u64,
}

fn match_files(args: &Args, files: &[&Published]) -> Result<Matched, Error> {
    let reader = args.log.reader()?;
    let matcher = Matcher::from_log(MatchConfig::default(), &reader)?;
    for damage in matcher.damage() {
        warn(&format!(
            "warning: {damage}; what it held could not be matched"
        ));
    }
    let keys: Vec<&PublishedKey> = files
        .iter()
        .filter(|file| file.is_believed())
        .flat_map(|file| &file.keys)
        .collect();
    let style = ProgressStyle::with_template("matching {bar:40} {pos}/{len} keys")?;
    let progress = Progress::new(ProgressBar::new(keys.len() as u64).with_style(style));
    let exposures = matcher.exposures(progress.bar().wrap_iter(keys.iter().copied()));
    drop(progress);
    if !args.json {
        say!(
            "\n{} against {}: {}",
            count(keys.len(), "key"),
            count(matcher.sighting_count(), "sighting"),
            count(exposures.len(), "exposure")
        );
        for exposure in &exposures {
            say!("\n{exposure}\n    |{}|", picture(exposure));
        }
    }
    let matched = Matched {
        exposures,
        damage: matcher.damage().iter().map(ToString::to_string).collect(),
        torn_bytes: matcher.torn_bytes(),
    };
    if let Some(path) = &args.html {
        write_page(path, &reader, keys.len(), &matched)?;
        if !args.json {
            say!("\n{}: the same as a page for a browser", path.display());
        }
    }
    Ok(matched)
}

fn write_page(
    path: &Path,
    reader: &LogReader,
    keys: usize,
    matched: &Matched,
) -> Result<(), Error> {
    let days: Vec<DayStatistics> = reader.stats()?.collect();
    let page = html::page(&days, keys, matched);
    let written = create_new(path, true)?.write_all(page.as_bytes());
    written.map_err(|e| format!("{}: {e}", path.display()).into())
}
