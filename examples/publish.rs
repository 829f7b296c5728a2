//! Gives out this device's own keys of chosen days, as an authority would publish them.

mod support;

use std::fs;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use truyvet::EncounterLog;
use truyvet::entropy::SystemEntropy;
use truyvet::log::KeyFile;
use truyvet::protocol::PublishedKey;
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::DiagnosisKey;
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{ExportOptions, ExportWriter};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::time::UtcDay;

use support::{Error, LogArgs, count, now};

#[derive(Parser)]
#[command(
    about = "Give out this device's own keys of chosen days",
    long_about = "Give out this device's own keys of chosen days, as an authority would publish \
        them: a Bluezone list (published.json) and a signed GAEN export (published.zip), whichever \
        there are keys for.\n\n\
        Who has these files knows where this device was heard on those days. Today's key is never \
        advertised again; the rest of today gets a new one. Nothing is sent anywhere.",
    after_help = "Examples:\n  \
        publish                                          today's keys, after asking\n  \
        publish --from 2026-11-20 --to 2026-11-22 --yes  three days' keys\n  \
        publish --out to-authority --signing-key authority.key"
)]
struct Args {
    #[command(flatten)]
    log: LogArgs,
    /// The first day, UTC; today if not given
    #[arg(long, value_name = "DAY")]
    from: Option<UtcDay>,
    /// The last day, UTC; today if not given
    #[arg(long, value_name = "DAY")]
    to: Option<UtcDay>,
    /// Where the files go
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// The authority's signing key (PKCS#8 PEM); made, with its public key beside it, if it is not
    /// there
    #[arg(long, value_name = "FILE", default_value = "authority.key")]
    signing_key: PathBuf,
    /// The region named in the export
    #[arg(long, default_value = "VN")]
    region: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

fn main() -> ExitCode {
    support::run(publish(&Args::parse()))
}

fn publish(args: &Args) -> Result<(), Error> {
    let today = now().utc_day();
    let (from, to) = (args.from.unwrap_or(today), args.to.unwrap_or(today));
    let mut log = EncounterLog::open(&args.log.log, &KeyFile::open(&args.log.key)?)?;
    let keys = log.own_keys()?;
    let chosen = keys
        .iter()
        .filter(|key| (from..=to).contains(&key.day()))
        .count();
    if chosen == 0 {
        return Err(format!("this device has no own keys from {from} to {to}").into());
    }
    println!("{} from {from} to {to}.", count(chosen, "own key"));
    if !args.yes && !consent()? {
        println!("Nothing was given out.");
        return Ok(());
    }
    let (mut entries, mut diagnosis_keys) = (Vec::new(), Vec::new());
    for key in log.release_own_keys(now(), from, to)? {
        match key {
            PublishedKey::Bluezone(entry) => entries.push(entry),
            PublishedKey::Gaen(key) => diagnosis_keys.push(key),
            _ => {}
        }
    }
    fs::create_dir_all(&args.out)?;
    if !entries.is_empty() {
        write_bluezone(&args.out, &entries)?;
    }
    if !diagnosis_keys.is_empty() {
        write_gaen(args, diagnosis_keys, from, to)?;
    }
    Ok(())
}

fn consent() -> Result<bool, Error> {
    print!(
        "Who has them knows where this device was heard on those days. Give them out? (yes/no) "
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim() == "yes")
}

fn write_bluezone(out: &Path, entries: &[PublishedEntry]) -> Result<(), Error> {
    let path = out.join("published.json");
    fs::write(&path, bluezone_json::write(entries))?;
    println!(
        "{}: {} entries; match it with: check {0}",
        path.display(),
        entries.len()
    );
    Ok(())
}

fn write_gaen(args: &Args, keys: Vec<DiagnosisKey>, from: UtcDay, to: UtcDay) -> Result<(), Error> {
    let (authority, public) = signing_key(&args.signing_key)?;
    let real = count(keys.len(), "key");
    let zip = ExportWriter::new(ExportOptions::new(&args.region, from.start(), to.end()))
        .keys(keys)
        .write(&[&authority], &mut SystemEntropy)?;
    let path = args.out.join("published.zip");
    fs::write(&path, zip)?;
    println!(
        "{}: {real} among padding; match it with: check --trust {} {0}",
        path.display(),
        public.display()
    );
    Ok(())
}

/// The key in `path`, made if it is not there, and where its public half is.
fn signing_key(path: &Path) -> Result<(SigningKey, PathBuf), Error> {
    let public = path.with_extension("pem");
    let key = match fs::read_to_string(path) {
        Ok(pem) => SigningKey::from_pkcs8_pem(&pem)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let key = SigningKey::generate()?;
            let mut options = fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            options
                .open(path)?
                .write_all(key.to_pkcs8_pem().as_bytes())?;
            fs::write(&public, key.verification_key().to_pem())?;
            key
        }
        Err(e) => return Err(format!("{}: {e}", path.display()).into()),
    };
    Ok((key.named(KeyName::new("452", "v1")), public))
}
