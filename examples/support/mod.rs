//! What the examples share: where the log is, and published files of any kind.

#![allow(dead_code, unused_imports, reason = "each example uses a part")]

mod asking;
mod output;
mod progress;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use truyvet::exposure::Exposure;
use truyvet::log::{KeyFile, LogReader};
use truyvet::protocol::PublishedKey;
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{self, ExportError, UnverifiedExport};
use truyvet::publication::signature::VerificationKey;
use truyvet::time::{Clock, SystemClock, Timestamp};

pub(crate) use asking::{ask, create_new, refuse_if_there};
pub(crate) use output::{is_closed, print, print_line, say};
pub(crate) use progress::Progress;

pub(crate) type Error = Box<dyn std::error::Error>;

/// Where the log is and where its key.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct LogArgs {
    /// The log's directory
    #[arg(long, value_name = "DIR", default_value = "truyvet-log")]
    pub(crate) log: PathBuf,
    /// The file with the log's key; trace makes it and the log if they are not there
    #[arg(long, value_name = "FILE", default_value = "truyvet-log.key")]
    pub(crate) key: PathBuf,
}

impl LogArgs {
    /// The key, made with the log if neither is there.
    pub(crate) fn open_or_create_key(&self) -> Result<KeyFile, Error> {
        // A fresh key would not open a log that is there already.
        match self.log.join("log.meta").exists() {
            true => Ok(KeyFile::open(&self.key)?),
            false => Ok(KeyFile::open_or_create(&self.key)?),
        }
    }

    pub(crate) fn reader(&self) -> Result<LogReader, Error> {
        if !self.key.exists() && !self.log.join("log.meta").exists() {
            let (log, key) = (self.log.display(), self.key.display());
            let what_to_do = "trace makes both; or name yours with --log and --key";
            return Err(
                format!("there is no log {log} and no key file {key}: {what_to_do}").into(),
            );
        }
        Ok(LogReader::open(&self.log, &KeyFile::open(&self.key)?)?)
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock::default().now().wall
}

/// Turns the result of an example into its exit status: an error becomes one line and status 1, a
/// reader of our output that has seen enough is no error.
pub(crate) fn run(result: Result<(), Error>) -> ExitCode {
    match result.and_then(|()| Ok(output::failure()?)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            warn(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// A line beside the output, for a person.
pub(crate) fn warn(text: &str) {
    // Nobody is there to be told if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The text in the file at `path`.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// `1 key`, `2 keys`, `1 entry`, `2 entries`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) if !what.ends_with("ey") => format!("{number} {stem}ies"),
        _ => format!("{number} {what}s"),
    }
}

/// An authority's public key, and the file it is from.
pub(crate) struct Trusted {
    pub(crate) name: String,
    pub(crate) key: VerificationKey,
}

/// A published file, and whether its content may be believed.
pub(crate) struct Published {
    pub(crate) path: PathBuf,
    pub(crate) keys: Vec<PublishedKey>,
    pub(crate) trust: Trust,
}

impl Published {
    /// Whether its keys may be matched.
    pub(crate) fn is_believed(&self) -> bool {
        !matches!(self.trust, Trust::Refused(_))
    }
}

/// Who vouches for a file.
pub(crate) enum Trust {
    /// A signature holds, by this key.
    Signed(String),
    /// There is no signature: whoever gave the file vouches for it.
    Unsigned,
    /// There should be a signature that holds, and is none.
    Refused(String),
}

/// Reads a Bluezone list, a GAEN export or a bare export.bin, whichever it is. A Bluezone list has no
/// signature by its format; a bare export.bin has lost its own, and is believed only if
/// `allow_unsigned`.
pub(crate) fn read_published(
    path: &Path,
    trusted: &[Trusted],
    allow_unsigned: bool,
) -> Result<Published, Error> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let (keys, trust) = if bytes.starts_with(b"PK") {
        let unverified = UnverifiedExport::read(&bytes).map_err(|e| failed(&e))?;
        verified(&unverified, trusted).map_err(|e| failed(&e))?
    } else if bytes.starts_with(gaen_export::HEADER) {
        let export = gaen_export::parse_unsigned_bin(&bytes).map_err(|e| failed(&e))?;
        let trust = match allow_unsigned {
            true => Trust::Unsigned,
            false => Trust::Refused(
                "a bare export.bin has no signature; --allow-unsigned uses it all the same".into(),
            ),
        };
        (export.into_published_keys(), trust)
    } else {
        let entries = bluezone_json::parse(&bytes).map_err(|e| failed(&e))?;
        let keys = entries.into_iter().map(PublishedKey::Bluezone).collect();
        (keys, Trust::Unsigned)
    };
    Ok(Published {
        path: path.to_owned(),
        keys,
        trust,
    })
}

fn verified(
    unverified: &UnverifiedExport,
    trusted: &[Trusted],
) -> Result<(Vec<PublishedKey>, Trust), ExportError> {
    for Trusted { name, key } in trusted {
        if let Ok(export) = unverified.verify(std::slice::from_ref(key)) {
            return Ok((export.into_published_keys(), Trust::Signed(name.clone())));
        }
    }
    let keys: Vec<VerificationKey> = trusted.iter().map(|trusted| trusted.key.clone()).collect();
    match unverified.verify(&keys) {
        Err(refusal @ ExportError::NotVerified { .. }) => {
            let keys = unverified
                .parse_without_verification()?
                .into_published_keys();
            Ok((keys, Trust::Refused(refusal.to_string())))
        }
        other => Ok((other?.into_published_keys(), Trust::Signed(String::new()))),
    }
}

/// The stay as a picture: a bar for each minute, the stronger the higher.
pub(crate) fn picture(exposure: &Exposure) -> String {
    let minute = |time: Timestamp| time.unix_seconds() / 60;
    let (first, last) = (minute(exposure.first()), minute(exposure.last()));
    // A day at most, and no more than fits a line.
    let step = (last - first) / 70 + 1;
    let mut strongest = vec![None; ((last - first) / step + 1) as usize];
    for sighting in &exposure.sightings {
        let place = ((minute(sighting.first) - first) / step) as usize;
        if let (Some(bar), Some(rssi)) = (strongest.get_mut(place), sighting.rssi) {
            *bar = (*bar).max(Some(rssi.mean.dbm()));
        }
    }
    strongest.into_iter().map(bar).collect()
}

/// A strength as a bar: from -95 dBm, hardly heard, to -50 dBm, side by side.
pub(crate) fn bar(dbm: Option<i8>) -> char {
    match dbm {
        None => ' ',
        Some(dbm) => {
            let height = (i32::from(dbm) + 95) * 7 / 45;
            block(height.clamp(0, 7) as usize)
        }
    }
}

/// A bar of a height from 0, hardly seen, to 7, full.
pub(crate) fn block(height: usize) -> char {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    BLOCKS.get(height).copied().unwrap_or(' ')
}
