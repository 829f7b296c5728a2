//! Published files against the log: verify, match, tell.

mod support;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use truyvet::exposure::{Exposure, MatchConfig, Matcher, NotCounted, PowerBasis};
use truyvet::protocol::EphemeralId;
use truyvet::publication::gaen_export::check_batches;
use truyvet::publication::signature::VerificationKey;

use support::{
    Error, LogArgs, Progress, Published, Trust, Trusted, count, picture, read_published, read_text,
    say, warn,
};

#[derive(Parser)]
#[command(
    about = "Match published files against the log, or only verify them",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example check -- examples/recordings/passer-by.published.json\n      \
        a Bluezone list against the log that trace has made\n  \
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
    /// Published files: Bluezone lists, GAEN exports (zip), bare export.bin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A file, or why it could not be read.
type File = Result<Published, String>;

fn main() -> ExitCode {
    support::run(check(&Args::parse()))
}

fn check(args: &Args) -> Result<(), Error> {
    let trusted = read_trusted(&args.trust)?;
    let files: Vec<File> = args
        .files
        .iter()
        .map(|path| read(path, &trusted, args))
        .collect();
    let readable: Vec<&Published> = files.iter().flatten().collect();
    let believed = readable.iter().filter(|file| file.is_believed());
    if let Err(error) = check_batches(believed.filter_map(|file| file.header.as_ref())) {
        warn(&format!(
            "warning: {error}; keys in other files cannot be matched"
        ));
    }
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
        let report = report(args, &files, found.as_deref(), matched.as_ref());
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
    /// How many sightings of the keys were found and are no exposure, by reason.
    not_counted: NotCounted,
    /// What of the log could not be read.
    damage: Vec<String>,
    torn_bytes: u64,
}

fn match_files(args: &Args, files: &[&Published]) -> Result<Matched, Error> {
    let matcher = Matcher::from_log(MatchConfig::default(), &args.log.reader()?)?;
    for damage in matcher.damage() {
        warn(&format!(
            "warning: {damage}; what it held could not be matched"
        ));
    }
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
    let findings = search.findings()?;
    drop(progress);
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
    Ok(Matched {
        exposures,
        not_counted,
        damage: matcher.damage().iter().map(ToString::to_string).collect(),
        torn_bytes: matcher.torn_bytes(),
    })
}

fn report(
    args: &Args,
    files: &[File],
    found: Option<&[String]>,
    matched: Option<&Matched>,
) -> serde_json::Value {
    let files: Vec<_> = args.files.iter().zip(files).map(file_json).collect();
    let exposures = matched.map(|matched| {
        let exposures = matched.exposures.iter().map(exposure_json);
        exposures.collect::<Vec<_>>()
    });
    json!({
        "files": files,
        "identifier_found": found,
        "exposures": exposures,
        "not_counted": matched.map(|matched| {
            json!({
                "replayed": matched.not_counted.replayed,
                "after_publication": matched.not_counted.after_publication,
                "clock_jump": matched.not_counted.clock_jump,
            })
        }),
        "log_damage": matched.map(|matched| &matched.damage),
        "log_torn_bytes": matched.map(|matched| matched.torn_bytes),
    })
}

fn file_json((path, file): (&PathBuf, &File)) -> serde_json::Value {
    let (keys, verified, detail) = match file {
        Ok(file) => match &file.trust {
            Trust::Signed(by) => (Some(file.key_count()), Some(true), by.as_str()),
            Trust::Unsigned => (Some(file.key_count()), None, "unsigned"),
            Trust::Refused(why) => (Some(file.key_count()), Some(false), why.as_str()),
        },
        Err(why) => (None, Some(false), why.as_str()),
    };
    json!({
        "file": path.display().to_string(),
        "read": file.is_ok(),
        "keys": keys,
        "keys_refused": file.as_ref().ok().map(|file| file.refused.still_valid),
        "verified": verified,
        "detail": detail,
    })
}

fn exposure_json(exposure: &Exposure) -> serde_json::Value {
    let attenuation = exposure.attenuation.map(|attenuation| {
        let confidence = match attenuation.basis {
            PowerBasis::Advertised { confidence } => confidence,
            _ => None,
        };
        json!({
            "min_db": attenuation.min.db(),
            "mean_db": attenuation.mean.db(),
            "max_db": attenuation.max.db(),
            "power_assumed": attenuation.basis == PowerBasis::Assumed,
            "calibration_confidence": confidence,
        })
    });
    let rssi = exposure.rssi.map(|rssi| {
        json!({
            "min_dbm": rssi.min.dbm(),
            "mean_dbm": rssi.mean.dbm(),
            "max_dbm": rssi.max.dbm(),
        })
    });
    let sightings: Vec<_> = exposure
        .sightings
        .iter()
        .map(|sighting| {
            json!({
                "first": sighting.first.to_string(),
                "last": sighting.last.to_string(),
                "frames": sighting.frames,
                "rssi_mean_dbm": sighting.rssi.map(|rssi| rssi.mean.dbm()),
                "tx_power_dbm": sighting.tx_power_dbm,
            })
        })
        .collect();
    json!({
        "key": exposure.key_index,
        "protocol": exposure.protocol.to_string(),
        "day": exposure.day.to_string(),
        "duration_s": exposure.duration.as_secs(),
        "first": exposure.first().to_string(),
        "last": exposure.last().to_string(),
        "frames": exposure.frames(),
        "identifiers": exposure.identifiers,
        "rssi": rssi,
        "attenuation": attenuation,
        "report_type": format!("{:?}", exposure.report_type),
        "transmission_risk": exposure.transmission_risk,
        "days_since_onset": exposure.days_since_onset,
        "sightings": sightings,
    })
}
