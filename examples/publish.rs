//! Gives out this device's own keys of chosen days, as an authority would publish them.

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use truyvet::EncounterLog;
use truyvet::entropy::SystemEntropy;
use truyvet::log::KeyFile;
use truyvet::protocol::{OwnKey, ProtocolKind, PublishedKey};
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{ExportOptions, ExportWriter};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::time::UtcDay;

use support::{Error, LogArgs, ask, count, now, refuse_if_there, say, signing_key, write_new};

#[derive(Parser)]
#[command(
    about = "Give out this device's own keys of chosen days",
    long_about = "Give out this device's own keys of chosen days, as an authority would publish \
        them: a Bluezone list (published.json) and a signed GAEN export (published.zip), whichever \
        there are keys for.\n\n\
        Who has these files knows where this device was heard on those days. Today's key is never \
        advertised again; the rest of today gets a new one. Nothing is sent anywhere.",
    after_help = "Examples, to be typed in the checkout, once trace has advertised:\n\n  \
        cargo run --release --example publish\n      \
        today's keys, after asking\n  \
        cargo run --release --example publish -- --from 2026-11-20 --to 2026-11-22 --yes\n      \
        three days' keys, without asking\n  \
        cargo run --release --example publish -- --out to-authority --signing-key authority.pem\n      \
        into a directory, signed with a key that is kept; its public half is authority.pub.pem"
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
    /// The authority's signing key (PKCS#8 PEM); made if it is not there. Its public half stands
    /// beside it and ends in .pub.pem
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
    if from > to {
        return Err(format!("the first day, {from}, is after the last, {to}").into());
    }
    // Read first: only what is a log already is opened to be written to.
    args.log.reader()?;
    let mut log = EncounterLog::open(&args.log.log, KeyFile::open(&args.log.key)?)?;
    let keys = log.own_keys()?;
    let chosen: Vec<ProtocolKind> = keys
        .iter()
        .filter(|key| (from..=to).contains(&key.day()))
        .map(OwnKey::protocol)
        .collect();
    if chosen.is_empty() {
        return Err(format!("this device has no own keys from {from} to {to}").into());
    }
    say!("{} from {from} to {to}.", count(chosen.len(), "own key"));
    if !args.yes && !consent()? {
        say!("Nothing was given out.");
        return Ok(());
    }
    // All that may fail goes first, for a key that was given out cannot be taken back.
    let files = Files::prepare(args, &chosen)?;
    let released = log.release_own_keys(now(), from.through(to))?;
    let options = ExportOptions::new(&args.region, from.start(), to.end());
    files.write(released, options)
}

/// Where the released keys go.
struct Files {
    bluezone: PathBuf,
    gaen: PathBuf,
    /// The signing key and its public half's file, if there is something to sign.
    authority: Option<(SigningKey, PathBuf)>,
}

impl Files {
    fn prepare(args: &Args, chosen: &[ProtocolKind]) -> Result<Self, Error> {
        fs::create_dir_all(&args.out).map_err(|e| format!("{}: {e}", args.out.display()))?;
        let files = Self {
            bluezone: args.out.join("published.json"),
            gaen: args.out.join("published.zip"),
            authority: match chosen.contains(&ProtocolKind::Gaen) {
                true => {
                    let (key, public) = signing_key(&args.signing_key)?;
                    Some((key.named(KeyName::new("452", "v1")), public))
                }
                false => None,
            },
        };
        refuse_if_there(&files.bluezone)?;
        refuse_if_there(&files.gaen)?;
        Ok(files)
    }

    fn write(self, released: Vec<PublishedKey>, options: ExportOptions) -> Result<(), Error> {
        let (mut entries, mut diagnosis_keys) = (Vec::new(), Vec::new());
        for key in released {
            match key {
                PublishedKey::Bluezone(entry) => entries.push(entry),
                PublishedKey::Gaen(key) => diagnosis_keys.push(key),
                _ => {}
            }
        }
        if !entries.is_empty() {
            let list = bluezone_json::write(&entries);
            write_new(&self.bluezone, list.as_bytes(), false)?;
            say!(
                "{}: {}; match it with: check {0}",
                self.bluezone.display(),
                count(entries.len(), "entry")
            );
        }
        if let (Some((key, public)), false) = (self.authority, diagnosis_keys.is_empty()) {
            let real = count(diagnosis_keys.len(), "key");
            let writer = ExportWriter::new(options).keys(diagnosis_keys);
            let zip = writer.write(&[&key], &mut SystemEntropy)?;
            write_new(&self.gaen, &zip, false)?;
            say!(
                "{}: {real} among padding; match it with: check --trust {} {0}",
                self.gaen.display(),
                public.display()
            );
        }
        Ok(())
    }
}

fn consent() -> Result<bool, Error> {
    let question =
        "Who has them knows where this device was heard on those days. Give them out? (yes/no) ";
    Ok(ask(question)?.as_deref() == Some("yes"))
}
