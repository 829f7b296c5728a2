//! A day's identifiers, to compare with another implementation.

mod support;

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use data_encoding::{HEXLOWER_PERMISSIVE as HEX, HEXUPPER};
use truyvet::Secret;
use truyvet::protocol::ProtocolKind;
use truyvet::protocol::bluezone::{DailyKey, SLOT_LENGTH};
use truyvet::protocol::gaen::{Config, Metadata, ROLLING_PERIOD, TemporaryExposureKey};
use truyvet::time::{IntervalNumber, UtcDay};

use support::{Error, LogArgs, now, say};

#[derive(Parser)]
#[command(
    about = "Print a day's identifiers, to compare with another implementation",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example keys -- --day 2020-08-08\n      \
        Bluezone's identifiers of a day, from the key of this project's test vectors\n  \
        cargo run --release --example keys -- --daily-key \
        101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f\n      \
        the same of today, from a key of your own\n  \
        cargo run --release --example keys -- --protocol gaen \
        --daily-key 75c734c6dd1a782de7a965da5eb93125 --day 2020-04-02\n      \
        GAEN's identifiers and metadata, from a TEK\n  \
        cargo run --release --example keys -- --own\n      \
        this device's own of today, once trace has advertised\n\n\
        Without --own and --daily-key, the key of the published test vectors is used."
)]
struct Args {
    /// The protocol
    #[arg(long, value_enum, default_value = "bluezone")]
    protocol: ProtocolChoice,
    /// The daily key in hexadecimal: 32 bytes in Bluezone, 16 in GAEN (the TEK)
    #[arg(long, value_name = "HEX", conflicts_with = "own")]
    daily_key: Option<String>,
    /// This device's own keys, from its log
    #[arg(long)]
    own: bool,
    /// The UTC day; today if not given
    #[arg(long, value_name = "DAY")]
    day: Option<UtcDay>,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum ProtocolChoice {
    Bluezone,
    Gaen,
}

/// The base key of this project's Bluezone vectors.
const BLUEZONE_VECTOR: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// The TEK of the GAEN test vectors.
const GAEN_VECTOR: &str = "75c734c6dd1a782de7a965da5eb93125";

fn main() -> ExitCode {
    support::run(keys(&Args::parse()))
}

fn keys(args: &Args) -> Result<(), Error> {
    let day = args.day.unwrap_or_else(|| now().utc_day());
    let mut out = String::new();
    match (args.own, args.protocol) {
        (true, _) => own(args, day, &mut out),
        (false, ProtocolChoice::Bluezone) => bluezone(
            args.daily_key.as_deref().unwrap_or(BLUEZONE_VECTOR),
            day,
            &mut out,
        ),
        (false, ProtocolChoice::Gaen) => gaen(
            args.daily_key.as_deref().unwrap_or(GAEN_VECTOR),
            day,
            &mut out,
        ),
    }?;
    say!("{}", out.trim_end());
    Ok(())
}

fn own(args: &Args, day: UtcDay, out: &mut String) -> Result<(), Error> {
    let kind = match args.protocol {
        ProtocolChoice::Bluezone => ProtocolKind::Bluezone,
        ProtocolChoice::Gaen => ProtocolKind::Gaen,
    };
    let keys = args.log.reader()?.own_keys()?;
    let mut keys = keys
        .iter()
        .filter(|key| key.protocol() == kind && key.day() == day)
        .peekable();
    if keys.peek().is_none() {
        return Err(format!("the log has no {kind} key of {day}: run trace first").into());
    }
    for key in keys {
        writeln!(
            out,
            "# {kind}, {day}{}",
            if key.is_released() { ", released" } else { "" }
        )?;
        let mut time = key.valid_from();
        while time < key.valid_until() {
            writeln!(
                out,
                "{time}  {}",
                HEXUPPER.encode(key.identifier(time)?.as_bytes())
            )?;
            time = kind.slot_at(time).end;
        }
    }
    Ok(())
}

fn bluezone(hex: &str, day: UtcDay, out: &mut String) -> Result<(), Error> {
    let key = DailyKey::new(Secret::new(bytes(hex)?));
    writeln!(out, "# Bluezone, {day}, daily key {hex}")?;
    let mut time = day.start();
    while time < day.end() {
        let slot = truyvet::protocol::bluezone::slot_index(time);
        writeln!(
            out,
            "{time}  slot {slot:>2}  {}",
            HEXUPPER.encode(&key.identifier(slot))
        )?;
        time = time.saturating_add(SLOT_LENGTH);
    }
    Ok(())
}

fn gaen(hex: &str, day: UtcDay, out: &mut String) -> Result<(), Error> {
    let tek = TemporaryExposureKey::new(Secret::new(bytes(hex)?));
    let rpik = tek.rolling_proximity_identifier_key()?;
    let aemk = tek.associated_encrypted_metadata_key()?;
    let metadata: Metadata = Config::default().metadata;
    writeln!(out, "# GAEN, {day}, TEK {hex}")?;
    writeln!(
        out,
        "# time                 interval  RPI                               AEM of {:?} dBm",
        metadata.tx_power_dbm
    )?;
    let start = IntervalNumber::at(day.start());
    for offset in 0..ROLLING_PERIOD {
        let interval = start.saturating_add(offset);
        let rpi = rpik.identifier(interval);
        let aem = aemk.apply(&rpi, metadata.to_bytes());
        writeln!(
            out,
            "{}   {:>8}  {}  {}",
            interval.start(),
            interval.0,
            HEX.encode(&rpi),
            HEX.encode(&aem)
        )?;
    }
    Ok(())
}

fn bytes<const N: usize>(hex: &str) -> Result<[u8; N], Error> {
    let bytes = HEX.decode(hex.as_bytes())?;
    let len = bytes.len();
    bytes.try_into().map_err(|_| {
        format!(
            "expected a key of {N} bytes, {} hexadecimal digits; got {len} bytes",
            2 * N
        )
        .into()
    })
}
