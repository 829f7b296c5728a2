//! An encounter log whose keys are in the operating system's keyring.

mod provider;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use keyring_core::CredentialStore;
use truyvet::EncounterLog;
use truyvet::log::{KeyProvider, LogReader};
use truyvet::protocol::{EphemeralId, ProtocolKind};
use truyvet::sighting::{Sighting, Source};
use truyvet::time::{Clock, SystemClock};

use provider::Keyring;

type Error = Box<dyn std::error::Error>;

#[derive(Parser)]
#[command(
    about = "Store a sighting in a log whose keys are in the system's keyring, and read all back",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run -p truyvet-keyring\n      \
        keys in the kernel's keyring; once more, and there are two sightings\n  \
        cargo run -p truyvet-keyring -- --erase\n      \
        forget the keys: nobody opens what was stored any more\n  \
        cargo run -p truyvet-keyring --features secret-service -- --log desktop --store secret-service\n      \
        keys in the desktop's keyring (GNOME Keyring, KWallet), which is to be unlocked\n\n\
        The kernel keeps its keyring in memory: what is sealed under it is lost when the machine is\n\
        switched off, and when a user who has logged out does not come back for three days."
)]
struct Args {
    /// The log's directory
    #[arg(long, value_name = "DIR", default_value = "truyvet-keyring-log")]
    log: PathBuf,
    /// Where the keys are
    #[arg(long, value_enum, default_value = "kernel")]
    store: StoreChoice,
    /// Forget the keys instead
    #[arg(long)]
    erase: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum StoreChoice {
    /// The Linux kernel's
    Kernel,
    /// The desktop's, over D-Bus
    #[cfg(feature = "secret-service")]
    SecretService,
}

fn main() -> ExitCode {
    let printed = run(&Args::parse()).and_then(|text| {
        match io::stdout().write_all(text.as_bytes()) {
            // Whoever reads has seen enough.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            printed => Ok(printed?),
        }
    });
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done about a standard error that is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<String, Error> {
    let directory = std::path::absolute(&args.log)?;
    let keys = Keyring::new(&open(args.store)?, &directory)?;
    match args.erase {
        true => {
            keys.erase()?;
            Ok(format!(
                "The keys of {} are forgotten.\n",
                directory.display()
            ))
        }
        false => store_and_read(&directory, &Arc::new(keys)),
    }
}

#[cfg(target_os = "linux")]
fn open(store: StoreChoice) -> Result<Arc<CredentialStore>, Error> {
    Ok(match store {
        StoreChoice::Kernel => {
            let store: Arc<CredentialStore> = linux_keyutils_keyring_store::Store::new()?;
            // A process that no login gave a session keyring (a service, a container) gets one with its
            // first entry, which itself is then in another; those after it are in the new one.
            keyring_core::Entry::new_in_store(&store, "truyvet", "session")?;
            store
        }
        #[cfg(feature = "secret-service")]
        StoreChoice::SecretService => dbus_secret_service_keyring_store::Store::new()?,
    })
}

/// The crates apple-native-keyring-store and windows-native-keyring-store have stores that are opened
/// in the same way, and `Keyring` works on each.
#[cfg(not(target_os = "linux"))]
fn open(_: StoreChoice) -> Result<Arc<CredentialStore>, Error> {
    Err("this example opens the keyrings of Linux alone".into())
}

/// What an app does: it opens the log with its provider, and hands the same one to whoever reads.
fn store_and_read(directory: &Path, keys: &Arc<Keyring>) -> Result<String, Error> {
    let mut log = EncounterLog::open(directory, Arc::clone(keys))?;
    log.append(&[made_up()])?;

    let mut text = String::new();
    let mut count = 0;
    for sighting in LogReader::open(directory, keys)?.sightings()? {
        let Sighting { id, first, .. } = sighting?;
        writeln!(text, "{first}  {id}")?;
        count += 1;
    }
    let (plural, directory) = (if count == 1 { "" } else { "s" }, directory.display());
    writeln!(
        text,
        "{count} sighting{plural} in {directory}, under keys of the keyring."
    )?;
    Ok(text)
}

/// A neighbour that nobody has heard.
fn made_up() -> Sighting {
    let now = SystemClock::default().now().wall;
    let mut id = *b"made up.....";
    for (to, from) in id.iter_mut().skip(8).zip(now.unix_millis().to_le_bytes()) {
        *to = from;
    }
    Sighting {
        protocol: ProtocolKind::Bluezone,
        id: EphemeralId::from(id),
        metadata: None,
        first: now,
        last: now,
        frames: 1,
        rssi: None,
        source: Source::ServiceData,
    }
}
