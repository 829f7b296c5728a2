//! The main job: trace contacts, and show live what is heard.
//!
//! On the machine's own Bluetooth it runs until Ctrl-C. On the virtual radio it brings neighbours
//! along, runs sped up, has one of them report an infection, and ends with the exposure found.

#[path = "../support/mod.rs"]
mod support;

mod display;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use truyvet::log::KeyFile;
use truyvet::radio::replay::Recording;
use truyvet::radio::{Radio, RadioError};
use truyvet::time::{Clock, SimulatedClock, SystemClock};
use truyvet::{EncounterLog, Event, Protocol, Tracer};

use display::Display;
use support::{Error, LogArgs};

#[derive(Parser)]
#[command(
    about = "Trace contacts, and show live what is heard",
    after_help = "Examples:\n  \
        trace                                    this machine's Bluetooth, or a simulated one\n  \
        trace --radio virtual --protocol gaen    a simulated crowd that speaks GAEN\n  \
        trace --radio system --seconds 600       ten minutes of this machine's Bluetooth\n  \
        trace --radio replay --recording FILE    a recorded file, ten times as fast"
)]
struct Args {
    /// What to hear with
    #[arg(long, value_enum, default_value = "auto")]
    radio: RadioChoice,
    /// The protocol to advertise; both are listened for
    #[arg(long, value_enum, default_value = "bluezone")]
    protocol: ProtocolChoice,
    #[command(flatten)]
    log: LogArgs,
    /// The Bluetooth adapter, by name or address
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// The recording to replay
    #[arg(long, value_name = "FILE", required_if_eq("radio", "replay"))]
    recording: Option<PathBuf>,
    /// How many times faster than life a simulation or a replay runs
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: Option<u32>,
    /// End after so many seconds
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum RadioChoice {
    /// The machine's Bluetooth if it works, else the virtual radio
    Auto,
    /// The machine's Bluetooth
    System,
    /// A simulated crowd
    Virtual,
    /// A recorded file
    Replay,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolChoice {
    Bluezone,
    Gaen,
}

impl ProtocolChoice {
    fn protocol(self) -> Protocol {
        match self {
            Self::Bluezone => Protocol::bluezone(),
            Self::Gaen => Protocol::gaen(),
        }
    }

    fn other(self) -> Protocol {
        match self {
            Self::Bluezone => Protocol::gaen(),
            Self::Gaen => Protocol::bluezone(),
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    support::run(run(&Args::parse()).await)
}

async fn run(args: &Args) -> Result<(), Error> {
    match args.radio {
        RadioChoice::Virtual => {
            println!("radio: virtual, a simulated crowd");
            story::tell(args.protocol.protocol(), args.speed).await
        }
        RadioChoice::Replay => replay(args).await,
        RadioChoice::System => {
            let radio = system_radio(args).await?;
            println!("radio: system, this machine's Bluetooth; Ctrl-C ends");
            trace(args, radio, Arc::new(SystemClock::default()), args.seconds).await
        }
        RadioChoice::Auto => match system_radio(args).await {
            Ok(radio) => {
                println!("radio: system, because this machine's Bluetooth works; Ctrl-C ends");
                println!("       (nobody near? see the whole story with --radio virtual)");
                trace(args, radio, Arc::new(SystemClock::default()), args.seconds).await
            }
            Err(reason) => {
                println!("radio: virtual, a simulated crowd, because {reason}");
                story::tell(args.protocol.protocol(), args.speed).await
            }
        },
    }
}

#[cfg(feature = "ble")]
async fn system_radio(args: &Args) -> Result<Radio, RadioError> {
    let mut options = truyvet::radio::SystemOptions::default();
    options.adapter = args.adapter.clone();
    truyvet::radio::system(options).await
}

#[cfg(not(feature = "ble"))]
async fn system_radio(_: &Args) -> Result<Radio, RadioError> {
    Err(RadioError::Unsupported {
        why: "built without the feature `ble`",
    })
}

async fn replay(args: &Args) -> Result<(), Error> {
    let path = args.recording.as_ref().ok_or("give --recording FILE")?;
    let text = std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let recording = Recording::parse(&text)?;
    let speed = args.speed.unwrap_or(10);
    println!(
        "radio: replay of {} from {}, {speed} times as fast",
        path.display(),
        recording.start()
    );
    let clock = Arc::new(SimulatedClock::new(recording.start(), speed));
    let seconds = recording.duration().as_secs();
    trace(
        args,
        recording.radio(),
        clock,
        Some(args.seconds.unwrap_or(seconds + 60)),
    )
    .await
}

async fn trace(
    args: &Args,
    radio: Radio,
    clock: Arc<dyn Clock>,
    seconds: Option<u64>,
) -> Result<(), Error> {
    let log = EncounterLog::open(&args.log.log, &KeyFile::open_or_create(&args.log.key)?)?;
    println!(
        "log:   {}, sealed under the key in {}",
        args.log.log.display(),
        args.log.key.display()
    );
    let tracer = Tracer::builder(log, radio)
        .advertise(args.protocol.protocol())
        .also_listen(args.protocol.other())
        .clock(Arc::clone(&clock))
        .start()
        .await?;
    let mut events = tracer.events();
    let began = clock.now().monotonic;
    let mut display = Display::new(seconds.map(Duration::from_secs));
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Event::RadioFinished) | None => break,
                Some(event) => display.event(clock.now().wall, &event),
            },
            _ = tick.tick() => {
                let elapsed = clock.now().monotonic.saturating_sub(began);
                display.progress(elapsed);
                if seconds.is_some_and(|seconds| elapsed.as_secs() >= seconds) {
                    break;
                }
            }
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    let health = tracer.health();
    tracer.stop().await?;
    display.finish();
    let counters = health.counters;
    println!(
        "heard {} frames of neighbours ({} malformed, {} of iPhones not read, {} dropped)",
        counters.frames, counters.malformed_frames, counters.unread_frames, counters.dropped_frames
    );
    println!("match what is stored: cargo run --release --example check -- --help");
    Ok(())
}
