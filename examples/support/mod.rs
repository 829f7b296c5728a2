//! What the examples share: where the log is, and published files of any kind.

#![allow(dead_code, unused_imports, reason = "each example uses a part")]

mod asking;
mod markup;
mod output;
mod progress;
mod signing;

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use indicatif::ProgressBar;
use truyvet::exposure::Exposure;
use truyvet::log::{KeyFile, LogReader};
use truyvet::protocol::PublishedKey;
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{
    self, ExportError, ExportHeader, ExportReader, RefusedKeys,
};
use truyvet::publication::signature::VerificationKey;
use truyvet::time::{Clock, SystemClock, Timestamp};

pub(crate) use asking::{ask, create_new, refuse_if_there};
pub(crate) use markup::Escaped;
pub(crate) use output::{is_closed, print, print_line, say};
pub(crate) use progress::Progress;
pub(crate) use signing::{signing_key, trusted_keys, write_new};

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

/// A line beside the output, for a person. What a file has put into it does not steer the terminal.
pub(crate) fn warn(text: &str) {
    let steers = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
    };
    let text: String = text
        .chars()
        .map(|c| {
            if steers(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect();
    // Nobody is there to be told if this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// The text in the file at `path`.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()).into())
}

/// `1 key`, `2 keys`, `2 days`, `1 entry`, `2 entries`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        _ if what.ends_with('s') => format!("{number} {what}es"),
        (_, Some(stem)) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{number} {stem}ies"),
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
    /// What an export says of itself.
    pub(crate) header: Option<ExportHeader>,
    /// Keys of an export that are not among those.
    pub(crate) refused: RefusedKeys,
}

impl Published {
    /// Keys that it holds, those among them that are not matched.
    pub(crate) fn key_count(&self) -> usize {
        self.keys.len() + self.refused.still_valid
    }

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

/// Reads a Bluezone list, a GAEN export or a bare export.bin, whichever it is; `bar` runs along with the
/// bytes. A Bluezone list has no signature by its format; a bare export.bin has lost its own, and is
/// believed only if `allow_unsigned`.
pub(crate) fn read_published(
    path: &Path,
    trusted: &[Trusted],
    allow_unsigned: bool,
    bar: &ProgressBar,
) -> Result<Published, Error> {
    let failed = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let mut file = File::open(path).map_err(|e| failed(&e))?;
    bar.set_length(file.metadata().map_err(|e| failed(&e))?.len());
    let mut start = Vec::new();
    let header_len = gaen_export::HEADER.len() as u64;
    let read = (&mut file).take(header_len).read_to_end(&mut start);
    read.and_then(|_| file.rewind()).map_err(|e| failed(&e))?;
    let mut file = bar.wrap_read(file);
    let mut published = Published {
        path: path.to_owned(),
        keys: Vec::new(),
        trust: Trust::Unsigned,
        header: None,
        refused: RefusedKeys::default(),
    };
    if start.starts_with(b"PK") {
        read_export(file, trusted, &mut published).map_err(|e| failed(&e))?;
    } else if start == gaen_export::HEADER {
        let mut bin = Vec::new();
        let most = gaen_export::BIN_BYTES_MAX as u64 + 1;
        let read = (&mut file).take(most).read_to_end(&mut bin);
        read.map_err(|e| failed(&e))?;
        let export = gaen_export::parse_unsigned_bin(&bin).map_err(|e| failed(&e))?;
        if !allow_unsigned {
            let why = "a bare export.bin has no signature; --allow-unsigned uses it all the same";
            published.trust = Trust::Refused(why.into());
        }
        (published.header, published.refused) = (Some(export.header()), export.refused);
        published.keys = export.into_published_keys();
    } else {
        let entries = bluezone_json::read(file).map_err(|e| failed(&e))?;
        published.keys = entries.into_iter().map(PublishedKey::Bluezone).collect();
    }
    Ok(published)
}

/// The keys of a GAEN export, which stream out of its zip, and whether their signature holds.
fn read_export(
    zip: impl Read + Seek,
    trusted: &[Trusted],
    into: &mut Published,
) -> Result<(), ExportError> {
    let mut reader = ExportReader::open(zip)?;
    let keys: Vec<VerificationKey> = trusted.iter().map(|trusted| trusted.key.clone()).collect();
    let refusal = match reader.verify(&keys) {
        Err(refusal @ ExportError::NotVerified { .. }) => Some(refusal.to_string()),
        other => other.map(|_| None)?,
    };
    let mut export = match refusal {
        Some(_) => reader.stream_without_verification()?,
        None => reader.verify(&keys)?,
    };
    let by = |key: &VerificationKey| trusted.iter().find(|trusted| &trusted.key == key);
    into.trust = match (refusal, export.signed_by().and_then(by)) {
        (Some(why), _) => Trust::Refused(why),
        (None, signer) => Trust::Signed(signer.map_or_else(String::new, |by| by.name.clone())),
    };
    while let Some(batch) = export.next_batch()? {
        into.keys.extend_from_slice(batch);
    }
    into.header = Some(export.header().clone());
    into.refused = export.refused();
    Ok(())
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
