//! The main job: trace contacts, and show live what is heard.
//!
//! On the machine's own Bluetooth it runs until it is told to end. On the virtual radio it brings neighbours
//! along, runs sped up, has one of them report an infection, and ends with the exposure found.

#[path = "../support/mod.rs"]
pub(crate) mod support;

pub(crate) mod aftermath;
pub(crate) mod authority;
mod display;
pub(crate) mod ending;
pub(crate) mod handover;
mod schedule;
pub(crate) mod show;
pub(crate) mod story;

use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use truyvet::engine::Schedule;
use truyvet::radio::replay::Recording;
use truyvet::radio::{Radio, RadioError};
use truyvet::time::{Clock, SimulatedClock, SystemClock};
use truyvet::{EncounterLog, Protocol, Tracer};

use authority::Authority;
use display::Display;
use ending::asked_to_end;
use schedule::{InWords, ScheduleArgs};
use show::{Show, Watched, follow};
use support::{Error, LogArgs, count, read_text, say, warn};

#[derive(Parser)]
#[command(
    about = "Trace contacts, and show live what is heard",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example trace\n      \
        this machine's Bluetooth if it works, else a simulated crowd\n  \
        cargo run --release --example trace -- --radio virtual --protocol gaen\n      \
        a simulated crowd that speaks GAEN\n  \
        cargo run --release --example trace -- --radio system --seconds 600\n      \
        ten minutes of this machine's Bluetooth\n  \
        cargo run --release --example trace -- --radio system --notice 99%/60s\n      \
        saving power, and yet noticing nearly everybody within a minute\n  \
        cargo run --release --example trace -- --radio replay \
        --recording examples/recordings/passer-by.jsonl\n      \
        a recording, sixty times as fast as life\n  \
        cargo run --release --example trace -- --screen\n      \
        the same on a live screen; the first time, it builds that (examples/screen)\n  \
        cargo run --release --example trace -- --authority http://127.0.0.1:8088\n      \
        a simulated crowd, and a health authority that is really there; before it, in another terminal:\n      \
        cargo run --release -p authority -- --demonstration\n\n\
        Ctrl-C, SIGTERM or, on Linux, a closed terminal ends it in order: what was heard is stored."
)]
pub(crate) struct Args {
    /// On a live screen in place of lines
    #[arg(long)]
    screen: bool,
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
    /// A second adapter, by name or address, that listens to what the first one sends
    #[arg(long, value_name = "NAME")]
    witness: Option<String>,
    /// Connect to iPhones with Bluezone and read their identifiers; they learn this machine's address
    #[arg(long)]
    read_iphones: bool,
    /// The recording to replay
    #[arg(long, value_name = "FILE", required_if_eq("radio", "replay"))]
    recording: Option<PathBuf>,
    /// How many times faster than life a simulation (75 if not given) or a replay (60) runs, 1 to 1000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    speed: Option<u32>,
    /// A health authority's service, which the patient of a simulated crowd reports to
    #[arg(long, value_name = "URL")]
    authority: Option<String>,
    /// The file with its staff's token, for the health worker's part of the story
    #[arg(
        long,
        value_name = "FILE",
        default_value = "authority-data/keys/staff-token",
        requires = "authority"
    )]
    staff_token: PathBuf,
    #[command(flatten)]
    schedule: ScheduleArgs,
    /// End after so many seconds; of the recording, in a replay
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
}

/// How many times faster than life a replay runs, unless told.
const REPLAY_SPEED: u32 = 60;

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
    let matches = Args::command().get_matches();
    let result = match Args::from_arg_matches(&matches) {
        Ok(args) if args.screen => match handover::to_screen() {
            Ok(status) => return status,
            Err(error) => Err(error),
        },
        Ok(args) => run(&args, &matches, &mut Display::default()).await,
        Err(error) => error.exit(),
    };
    support::run(result)
}

pub(crate) async fn run(
    args: &Args,
    matches: &ArgMatches,
    show: &mut impl Show,
) -> Result<(), Error> {
    // Before the morning, so that nobody waits for it in vain.
    let authority = match &args.authority {
        Some(url) => Some(Authority::at(url, &args.staff_token)?),
        None => None,
    };
    let (radio, why) = match args.radio {
        RadioChoice::Auto if authority.is_some() => {
            (None, ", for the authority's patient".to_owned())
        }
        RadioChoice::Replay => {
            let unused = ["adapter", "witness", "read_iphones", "authority"];
            say_unused("replay", &unused, matches);
            return replay(args, show).await;
        }
        RadioChoice::Virtual => (None, String::new()),
        RadioChoice::System => (Some(system_radio(args).await?), String::new()),
        // Whoever names a second adapter wants no simulation of it.
        RadioChoice::Auto if args.witness.is_some() => {
            (Some(system_radio(args).await?), String::new())
        }
        RadioChoice::Auto => match system_radio(args).await {
            Ok(radio) => (Some(radio), ", because it works".to_owned()),
            Err(reason) => (None, format!(", because {reason}")),
        },
    };
    let Some(radio) = radio else {
        say!("radio: virtual, a simulated crowd{why}");
        let unused = [
            "log",
            "key",
            "adapter",
            "witness",
            "read_iphones",
            "recording",
            "schedule",
            "notice",
            "seconds",
        ];
        say_unused("virtual", &unused, matches);
        let authority = authority.as_ref();
        return story::tell(args.protocol.protocol(), args.speed, authority, show).await;
    };
    say!(
        "radio: system, this machine's Bluetooth{why}; Ctrl-C ends, --radio virtual shows a crowd"
    );
    say_unused("system", &["recording", "speed", "authority"], matches);
    let clock = Arc::new(SystemClock::default());
    trace(args, radio, clock, args.seconds, show).await
}

/// Says which of `options` were given in vain.
fn say_unused(radio: &str, options: &[&str], matches: &ArgMatches) {
    let given: Vec<String> = options
        .iter()
        .filter(|option| matches.value_source(option) == Some(ValueSource::CommandLine))
        .map(|option| format!("--{}", option.replace('_', "-")))
        .collect();
    match given.as_slice() {
        [] => {}
        [one] => warn(&format!("note: {one} is not used by the {radio} radio")),
        all => warn(&format!(
            "note: {} are not used by the {radio} radio",
            all.join(", ")
        )),
    }
}

#[cfg(feature = "ble")]
async fn system_radio(args: &Args) -> Result<Radio, RadioError> {
    use truyvet::radio::{SystemOptions, btleplug::BtleplugScanner, system};

    let mut options = SystemOptions::default();
    options.adapter = args.adapter.clone();
    options.read_identifiers = args.read_iphones;
    let radio = system(options.clone()).await?;
    if args.witness.is_none() {
        return Ok(radio);
    }
    options.adapter = args.witness.clone();
    Ok(radio.with_witness(BtleplugScanner::open(&options).await?))
}

#[cfg(not(feature = "ble"))]
async fn system_radio(_: &Args) -> Result<Radio, RadioError> {
    Err(RadioError::Unsupported {
        why: "built without the feature `ble`",
    })
}

async fn replay(args: &Args, show: &mut impl Show) -> Result<(), Error> {
    let path = args.recording.as_ref().ok_or("give --recording FILE")?;
    let recording =
        Recording::parse(&read_text(path)?).map_err(|e| format!("{}: {e}", path.display()))?;
    let speed = args.speed.unwrap_or(REPLAY_SPEED);
    say!(
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
        show,
    )
    .await
}

async fn trace(
    args: &Args,
    radio: Radio,
    clock: Arc<dyn Clock>,
    seconds: Option<u64>,
    show: &mut impl Show,
) -> Result<(), Error> {
    let mut asked_to_end = pin!(asked_to_end()?);
    let schedule = args.schedule.chosen()?;
    let log = EncounterLog::open(&args.log.log, args.log.open_or_create_key()?)?;
    say!(
        "log:   {}, sealed under the key in {}",
        args.log.log.display(),
        args.log.key.display()
    );
    if schedule != Schedule::continuous() {
        say!("radio: {}", InWords(schedule));
    }
    let tracer = Tracer::builder(log, radio)
        .advertise(args.protocol.protocol())
        .also_listen(args.protocol.other())
        .schedule(schedule)
        .clock(Arc::clone(&clock))
        .start()
        .await?;
    let watched = Watched {
        tracer: &tracer,
        clock: clock.as_ref(),
        radio: match args.radio {
            RadioChoice::Replay => "a recording",
            _ => "this machine's Bluetooth",
        },
        length: seconds.map(Duration::from_secs),
        step: Duration::from_millis(200),
    };
    let shown = follow(&watched, show, asked_to_end.as_mut(), |_| None).await;
    // Whatever became of what shows it, what was heard is stored.
    let health = tracer.stop().await?;
    shown?;
    let counters = health.counters;
    say!(
        "heard {} of neighbours ({} malformed, {} of iPhones not read, {} missed, {} dropped)",
        count(counters.frames as usize, "frame"),
        counters.malformed_frames,
        counters.unread_frames,
        counters.missed_frames,
        counters.dropped_frames
    );
    if args.read_iphones {
        say!(
            "read {} of iPhones, and failed to read {}",
            count(counters.reads as usize, "identifier"),
            counters.failed_reads
        );
    }
    match health.own_heard {
        Some(at) => say!("the own identifier was last heard at {at}"),
        None if args.witness.is_some() => say!("the witness never heard the own identifier"),
        None => {}
    }
    say!("match what is stored: cargo run --release --example check -- --help");
    Ok(())
}
