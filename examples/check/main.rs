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
use clap::builder::PossibleValuesParser;
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use indicatif::{ProgressBar, ProgressStyle};
use truyvet::exposure::risk::{self, Assessment, RiskModel};
use truyvet::exposure::{
    Exposure, Findings, MatchConfig, Matcher, NotCounted, WindowConfig, exposure_windows,
};
use truyvet::log::{DayStatistics, LogReader};
use truyvet::protocol::EphemeralId;
use truyvet::publication::gaen_export::check_batches;
use truyvet::publication::signature::VerificationKey;
use truyvet::time::UtcDay;

use support::{
    Error, LogArgs, Progress, Published, Trust, Trusted, count, create_new, now, picture,
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
        cargo run --release --example check -- --model bluezone --explain --today 2020-08-09 \
        examples/recordings\n      \
        what it comes to by Bluezone's rule, window by window\n  \
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
    /// Say what the exposures come to by a risk model
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(risk::NAMES))]
    model: Option<String>,
    /// The model's configuration, as JSON; what is not in it is as by default
    #[arg(long, value_name = "FILE", requires = "model")]
    model_config: Option<PathBuf>,
    /// Say of each exposure window what the model makes of it, and why
    #[arg(long, requires = "model")]
    explain: bool,
    /// The UTC day on which the model looks back, if not today's
    #[arg(long, value_name = "DAY", requires = "model")]
    today: Option<UtcDay>,
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
    let model = chosen_model(args)?;
    let trusted = read_trusted(&args.trust)?;
    let paths = published_files(&args.files)?;
    let files: Vec<File> = paths
        .iter()
        .map(|path| read(path, &trusted, args))
        .collect();
    let readable: Vec<&Published> = files.iter().flatten().collect();
    let missing = not_looked_for(&files);
    let found = args.identifier.map(|id| find(id, &readable));
    if let (Some(places), false) = (&found, args.json) {
        say!("identifier: found {}", count(places.len(), "time"));
        for place in places {
            say!("  {place}");
        }
    }
    let matched = match args.verify_only {
        true => None,
        false => Some(match_files(args, &readable, model.as_deref(), &missing)?),
    };
    if args.json {
        let found = found.as_deref();
        let report = json::report(&paths, &files, &missing, found, matched.as_ref());
        say!("{report:#}");
    }
    if matched.is_some_and(|matched| !matched.damage.is_empty()) {
        return Err("part of the log is damaged, and an exposure may have been in it".into());
    }
    match missing.is_empty() {
        true => Ok(()),
        false => {
            let files = count(files.len(), "file");
            Err(format!("of {files}, {}", missing.join(" and ")).into())
        }
    }
}

/// What may hold keys that were not looked for, so that nothing found means less.
fn not_looked_for(files: &[File]) -> Vec<String> {
    let refused = files.iter().flatten().filter(|file| !file.is_believed());
    let unread = files.iter().filter(|file| file.is_err());
    let counted = [
        (unread.count(), "could not be read"),
        (refused.count(), "had no signature that holds"),
    ];
    let counted = counted.into_iter().filter(|(number, _)| *number > 0);
    let mut missing: Vec<String> = counted
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    let believed = files.iter().flatten().filter(|file| file.is_believed());
    let mut headers: Vec<_> = believed.filter_map(|file| file.header.as_ref()).collect();
    // The same file twice lacks nothing, and its keys count once.
    headers.sort_by_key(|it| (it.start, it.end, &it.region, it.batch_num));
    headers.dedup();
    if let Err(error) = check_batches(headers) {
        warn(&format!("warning: {error}"));
        missing.push(error.to_string());
    }
    missing
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
    // The file's length is known once it is open; a GAEN export is gone over up to three times.
    let style = ProgressStyle::with_template("reading {msg} {bar:40} {bytes}/{total_bytes}");
    let bar = ProgressBar::new(0).with_message(path.display().to_string());
    let progress = Progress::new(match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    });
    let file = read_published(path, trusted, args.allow_unsigned, progress.bar());
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
    let refused = match file.refused.still_valid {
        0 => String::new(),
        _ => format!(" ({})", file.refused),
    };
    let keys = count(file.key_count(), "key");
    say!("{}: {keys}{refused}, {trust}", file.path.display());
}

fn chosen_model(args: &Args) -> Result<Option<Box<dyn RiskModel>>, Error> {
    let Some(name) = &args.model else {
        return Ok(None);
    };
    let config = args.model_config.as_deref().map(read_text).transpose()?;
    let model = risk::by_name(name, config.as_deref().map(str::as_bytes));
    let model = model.map_err(|e| match &args.model_config {
        Some(path) => format!("{}: {e}", path.display()),
        None => e.to_string(),
    });
    Ok(Some(model?))
}

/// The first line of an assessment, and one for each day.
fn in_short(assessment: &Assessment) -> String {
    let text = assessment.to_string();
    let lines = text.lines().filter(|line| !line.starts_with(' '));
    lines.collect::<Vec<_>>().join("\n")
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
    /// What they come to by the model, if one was chosen.
    assessment: Option<Assessment>,
    /// How many sightings of the keys were found and are no exposure, by reason.
    not_counted: NotCounted,
    /// What of the log could not be read.
    damage: Vec<String>,
    torn_bytes: u64,
}

fn match_files(
    args: &Args,
    files: &[&Published],
    model: Option<&dyn RiskModel>,
    missing: &[String],
) -> Result<Matched, Error> {
    let reader = args.log.reader()?;
    let matcher = Matcher::from_log(MatchConfig::default(), &reader)?;
    for damage in matcher.damage() {
        warn(&format!(
            "warning: {damage}; what it held could not be matched"
        ));
    }
    let (key_count, findings) = search(&matcher, files)?;
    let (not_counted, exposures) = (findings.not_counted(), findings.exposures);
    if !args.json {
        say!(
            "\n{} against {}: {}",
            count(key_count, "key"),
            count(matcher.sighting_count(), "sighting"),
            count(exposures.len(), "exposure")
        );
        if not_counted.total() > 0 {
            say!("{not_counted}");
        }
        for exposure in &exposures {
            say!("\n{exposure}\n    |{}|", picture(exposure));
        }
    }
    let assessment = model.map(|model| {
        let windows = exposure_windows(&exposures, &WindowConfig::default());
        let today = args.today.unwrap_or_else(|| now().utc_day());
        model.assess(&windows, today)
    });
    if let (Some(assessment), false) = (&assessment, args.json) {
        match args.explain {
            true => say!("\n{assessment}"),
            false => say!("\n{}", in_short(assessment)),
        }
    }
    let matched = Matched {
        exposures,
        assessment,
        not_counted,
        damage: matcher.damage().iter().map(ToString::to_string).collect(),
        torn_bytes: matcher.torn_bytes(),
    };
    if let Some(path) = &args.html {
        write_page(path, &reader, key_count, &matched, missing)?;
        if !args.json {
            say!("\n{}: the same as a page for a browser", path.display());
        }
    }
    Ok(matched)
}

/// How many keys are believed, and what the log has of them.
fn search(matcher: &Matcher, files: &[&Published]) -> Result<(usize, Findings), Error> {
    let believed = || files.iter().filter(|file| file.is_believed());
    let key_count: usize = believed().map(|file| file.keys.len()).sum();
    let style = ProgressStyle::with_template("matching {bar:40} {pos}/{len} keys")?;
    let progress = Progress::new(ProgressBar::new(key_count as u64).with_style(style));
    let mut search = matcher.search();
    for file in believed() {
        // When a list was got nobody knows.
        search.published_at(file.header.as_ref().map(|header| header.end));
        search.add(progress.bar().wrap_iter(file.keys.iter()))?;
    }
    Ok((key_count, search.findings()?))
}

fn write_page(
    path: &Path,
    reader: &LogReader,
    keys: usize,
    matched: &Matched,
    missing: &[String],
) -> Result<(), Error> {
    let days: Vec<DayStatistics> = reader.stats()?.collect();
    let page = html::page(&days, keys, matched, missing);
    let written = create_new(path, true)?.write_all(page.as_bytes());
    written.map_err(|e| format!("{}: {e}", path.display()).into())
}
