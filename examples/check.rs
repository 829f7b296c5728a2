//! Published files against the log: verify, match, tell.

mod support;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use data_encoding::HEXLOWER_PERMISSIVE as HEX;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use truyvet::exposure::{Exposure, MatchConfig, Matcher, PowerBasis};
use truyvet::protocol::PublishedKey;
use truyvet::publication::signature::VerificationKey;

use support::{Error, LogArgs, Published, Trust, Trusted, count, picture, read_published};

#[derive(Parser)]
#[command(
    about = "Match published files against the log, or only verify them",
    after_help = "Examples:\n  \
        check published.json                             a Bluezone list against the log\n  \
        check --trust authority.pem keys.zip             a GAEN export, its signature verified\n  \
        check --verify-only --trust authority.pem *.zip  no log needed\n  \
        check --verify-only --identifier 3d37… export.bin   whose identifier is it?\n\n\
        Exit status: 0 if nothing failed, 1 if a file or the log could not be used, \
        2 for a wrong call.\n\
        A file whose signature does not hold is never matched."
)]
struct Args {
    #[command(flatten)]
    log: LogArgs,
    /// The authority's public key (PEM); may be given again
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
    /// Say what the files hold and who signed them, without a log
    #[arg(long)]
    verify_only: bool,
    /// Say which of the keys an identifier, in hexadecimal, comes from
    #[arg(long, value_name = "HEX")]
    identifier: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Published files: Bluezone lists, GAEN exports (zip), bare export.bin
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    support::run(check(&Args::parse()))
}

fn check(args: &Args) -> Result<(), Error> {
    let trusted = read_trusted(&args.trust)?;
    let files = read_files(args, &trusted)?;
    if !args.json {
        files.iter().for_each(print_file);
    }
    let identifier = args.identifier.as_deref();
    let found = identifier.map(|hex| find(hex, &files)).transpose()?;
    if let (Some(places), false) = (&found, args.json) {
        println!("identifier: found {}", count(places.len(), "time"));
        places.iter().for_each(|place| println!("  {place}"));
    }
    let refused = files
        .iter()
        .filter(|file| matches!(file.trust, Trust::Refused(_)))
        .count();
    let exposures = match args.verify_only {
        true => None,
        false => Some(match_files(args, &files)?),
    };
    if args.json {
        println!(
            "{:#}",
            report(&files, found.as_deref(), exposures.as_deref())
        );
    }
    match refused {
        0 => Ok(()),
        n => Err(format!("{n} of {} files have no signature that holds", files.len()).into()),
    }
}

fn read_trusted(paths: &[PathBuf]) -> Result<Vec<Trusted>, Error> {
    let read = |path: &PathBuf| -> Result<_, Error> {
        let pem = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let key = VerificationKey::from_pem(&pem);
        Ok(Trusted {
            name: path.display().to_string(),
            key: key.map_err(|e| format!("{}: {e}", path.display()))?,
        })
    };
    paths.iter().map(read).collect()
}

fn read_files(args: &Args, trusted: &[Trusted]) -> Result<Vec<Published>, Error> {
    args.files
        .iter()
        .map(|path| read_published(path, trusted))
        .collect()
}

fn print_file(file: &Published) {
    let trust = match &file.trust {
        Trust::Signed(by) => format!("signature holds, by {by}"),
        Trust::Unsigned => "unsigned".to_owned(),
        Trust::Refused(why) => format!("NOT VERIFIED: {why}"),
    };
    println!(
        "{}: {}, {trust}",
        file.path.display(),
        count(file.keys.len(), "key")
    );
}

/// Every key and time that gives the identifier `hex`.
fn find(hex: &str, files: &[Published]) -> Result<Vec<String>, Error> {
    let wanted = HEX.decode(hex.as_bytes())?;
    let mut places = Vec::new();
    for file in files {
        for (index, key) in file.keys.iter().enumerate() {
            key.for_each_candidate(|candidate| {
                if candidate.id.as_bytes() == wanted {
                    places.push(format!(
                        "{} key {index}, advertised from {}",
                        file.path.display(),
                        candidate.first
                    ));
                }
            });
        }
    }
    Ok(places)
}

fn match_files(args: &Args, files: &[Published]) -> Result<Vec<Exposure>, Error> {
    let matcher = Matcher::from_log(MatchConfig::default(), &args.log.reader()?)?;
    for damage in matcher.damage() {
        eprintln!("warning: {damage}; what it held could not be matched");
    }
    let believed = |file: &&Published| !matches!(file.trust, Trust::Refused(_));
    let keys: Vec<&PublishedKey> = files
        .iter()
        .filter(believed)
        .flat_map(|file| &file.keys)
        .collect();
    let style = ProgressStyle::with_template("matching {bar:40} {pos}/{len} keys")?;
    let bar = ProgressBar::new(keys.len() as u64).with_style(style);
    let exposures = matcher.exposures(bar.wrap_iter(keys.iter().copied()));
    bar.finish_and_clear();
    if !args.json {
        println!(
            "\n{} against {}: {}",
            count(keys.len(), "key"),
            count(matcher.sighting_count(), "sighting"),
            count(exposures.len(), "exposure")
        );
        for exposure in &exposures {
            println!("\n{exposure}\n    |{}|", picture(exposure));
        }
    }
    Ok(exposures)
}

fn report(
    files: &[Published],
    found: Option<&[String]>,
    exposures: Option<&[Exposure]>,
) -> serde_json::Value {
    let files: Vec<_> = files
        .iter()
        .map(|file| {
            let (verified, detail) = match &file.trust {
                Trust::Signed(by) => (Some(true), by.as_str()),
                Trust::Unsigned => (None, "unsigned"),
                Trust::Refused(why) => (Some(false), why.as_str()),
            };
            json!({
                "file": file.path.display().to_string(),
                "keys": file.keys.len(),
                "verified": verified,
                "detail": detail,
            })
        })
        .collect();
    let exposures = exposures.map(|list| list.iter().map(exposure_json).collect::<Vec<_>>());
    json!({ "files": files, "identifier_found": found, "exposures": exposures })
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
