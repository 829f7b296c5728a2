//! A place's poster, a visitor's check-ins, and an authority's list of places.

mod authority;
#[path = "../support/mod.rs"]
mod support;
mod visitor;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use truyvet::place::{CODE_CHARS_MAX, Place, PlaceCode, SCANNED_BYTES_MAX};
use truyvet::time::Timestamp;

use support::{Error, LogArgs, now, trusted_keys};

#[derive(Parser)]
#[command(
    about = "Make a place's poster, check in and out, and compare with an authority's list",
    long_about = "A place's code is signed by the place's owner (trust on first use) or, with --authority, by \
        an authority. Check-ins stand in the encrypted log and are sent to nobody. An authority's list names \
        places only to those who hold their codes, and is compared with the log on the device.",
    after_help = "Examples, to be typed in the checkout, one after the other:\n\n  \
        cargo run --release --example place -- poster --name \"Phở Thìn\" --out poster.svg\n      \
        the owner's poster, and its code's text in poster.txt; the key, place.key, is made\n  \
        cargo run --release --example place -- check-in @poster.txt --ago 40\n      \
        came 40 minutes ago; the text itself, as a scanner gives it, does as well\n  \
        cargo run --release --example place -- check-out --ago 10\n  \
        cargo run --release --example place -- visits\n  \
        cargo run --release --example place -- publish-list --code @poster.txt --ago 60 --minutes 60 --out places.list\n      \
        an authority's list: a case was there for an hour until now; its key, authority.key, is made\n  \
        cargo run --release --example place -- check places.list --trust authority.pub.pem\n      \
        the list against the log"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a place's code and its poster
    Poster(authority::PosterArgs),
    /// Check in with a scanned code
    CheckIn(visitor::CheckInArgs),
    /// Check out of the last visit
    CheckOut(visitor::CheckOutArgs),
    /// List the visits
    Visits(visitor::VisitsArgs),
    /// Sign an authority's list of places
    PublishList(authority::PublishArgs),
    /// Compare a published list with the log
    Check(visitor::CheckArgs),
}

/// A scanned code, and whom it may be signed by.
#[derive(Args)]
struct ScannedArgs {
    /// An authority's public key (PEM), for codes that one has signed; may be given again
    #[arg(long, value_name = "PEM")]
    trust: Vec<PathBuf>,
}

fn main() -> ExitCode {
    support::run(match Arguments::parse().command {
        Command::Poster(args) => authority::poster(&args),
        Command::CheckIn(args) => visitor::check_in(&args),
        Command::CheckOut(args) => visitor::check_out(&args),
        Command::Visits(args) => visitor::visits(&args),
        Command::PublishList(args) => authority::publish_list(&args),
        Command::Check(args) => visitor::check(&args),
    })
}

impl ScannedArgs {
    /// The place whose code is `scanned`, or the file's after an `@`.
    fn place(&self, scanned: &str) -> Result<Place, Error> {
        let text = match scanned.strip_prefix('@') {
            Some(path) => read_start(Path::new(path))?,
            None => scanned.to_owned(),
        };
        let trusted = trusted_keys(&self.trust)?;
        Ok(PlaceCode::parse(text.trim_end())?.verify(&trusted, now())?)
    }
}

/// As much text of the file as tells that it is too long.
fn read_start(path: &Path) -> Result<String, Error> {
    let mut bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    bytes.truncate(SCANNED_BYTES_MAX.max(CODE_CHARS_MAX) + 1);
    String::from_utf8(bytes).map_err(|e| format!("{}: {e}", path.display()).into())
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes.saturating_mul(60))
}

fn ago(minutes_ago: u64) -> Timestamp {
    now().saturating_sub(minutes(minutes_ago))
}
