//! `fieldtest run`: a real tracer, and beside it everything that passes its radio, written down.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::watch;
use tokio::task::JoinSet;
use truyvet::engine::{Schedule, State};
use truyvet::field::participants::{ShortName, TestKey};
use truyvet::field::recorder::{Recorder, RunStart};
use truyvet::field::sightings::{DeviceState, Lost};
use truyvet::field::tap::{Tap, tap};
use truyvet::log::MemoryKey;
use truyvet::radio::air::{Air, AirConfig};
use truyvet::radio::{Radio, RadioError};
use truyvet::time::{Clock, SimulatedClock, SystemClock};
use truyvet::{EncounterLog, Health, Protocol, Tracer};

use crate::ending::asked_to_end;
use crate::machine;
use crate::support::{Error, count, create_new, now, read_text, say, warn};

#[derive(Args)]
pub(crate) struct RunArgs {
    /// The folder to write to; it must have no run in it yet
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to hear with
    #[arg(long, value_enum, default_value = "system")]
    radio: RadioChoice,
    /// The Bluetooth adapter, by name or address
    #[arg(long, value_name = "NAME")]
    adapter: Option<String>,
    /// What this device is called, in up to six letters; drawn at random if not given
    #[arg(long, value_name = "NAME")]
    name: Option<ShortName>,
    /// The protocol to advertise; both are listened for
    #[arg(long, value_enum, default_value = "bluezone")]
    protocol: ProtocolChoice,
    /// When the radio is on
    #[arg(long, value_enum, default_value = "continuous")]
    schedule: ScheduleChoice,
    /// End after so many minutes; on the virtual radio, 30 if not given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=44_640))]
    minutes: Option<u32>,
    /// The file with the test's key, made if it is not there; test.key beside the folder if not given
    #[arg(long, value_name = "FILE")]
    test_key: Option<PathBuf>,
    /// How many devices there are on the virtual radio, two metres from one another
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(2..=20))]
    devices: u32,
    /// How many times faster than life the virtual radio runs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=200))]
    speed: u32,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum RadioChoice {
    /// The machine's Bluetooth
    System,
    /// Some devices of this program on the virtual air: a rehearsal
    Virtual,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolChoice {
    Bluezone,
    Gaen,
}

impl ProtocolChoice {
    /// What is advertised, and what is listened for too.
    fn protocols(self) -> [Protocol; 2] {
        match self {
            Self::Bluezone => [Protocol::bluezone(), Protocol::gaen()],
            Self::Gaen => [Protocol::gaen(), Protocol::bluezone()],
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleChoice {
    /// Always on
    Continuous,
    /// Bluezone 3's in the background
    BluezoneBackground,
    /// Bluezone 3's on the screen
    BluezoneForeground,
    /// Google's of GAEN
    Gaen,
}

impl ScheduleChoice {
    fn schedule(self) -> Schedule {
        match self {
            Self::Continuous => Schedule::continuous(),
            Self::BluezoneBackground => Schedule::bluezone_background(),
            Self::BluezoneForeground => Schedule::bluezone_foreground(),
            Self::Gaen => Schedule::gaen(),
        }
    }
}

/// How often a device says how it is: as often as Herald's phones note their battery.
const STATE_EVERY: Duration = Duration::from_secs(30);

/// An error that may come of another task.
type Failure = Box<dyn std::error::Error + Send + Sync>;

pub(crate) fn run(args: &RunArgs) -> Result<(), Error> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(take_part(args))
}

async fn take_part(args: &RunArgs) -> Result<(), Error> {
    let mut asked_to_end = pin!(asked_to_end()?);
    let parent = args.out.parent().unwrap_or(Path::new("."));
    let key_path = args
        .test_key
        .clone()
        .unwrap_or_else(|| parent.join("test.key"));
    let key = test_key(&key_path)?;
    let (clock, devices) = devices(args).await?;
    let minutes = match args.radio {
        RadioChoice::Virtual => Some(args.minutes.unwrap_or(30)),
        RadioChoice::System => args.minutes,
    };
    let (stop, stopped) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for (place, name, radio) in devices {
        let device = Device::start(args, &place, name, &key, radio, Arc::clone(&clock)).await?;
        tasks.spawn(device.follow(stopped.clone()));
    }
    say!(
        "test:  {}, the key is in {}",
        key.name(),
        key_path.display()
    );
    let bar = bar(minutes);
    let began = clock.now().monotonic;
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    let mut failed = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {
                let elapsed_s = clock.now().monotonic.saturating_sub(began).as_secs();
                bar.set_position(elapsed_s);
                if minutes.is_some_and(|minutes| elapsed_s >= u64::from(minutes) * 60) {
                    break;
                }
            }
            // One that cannot write ends the test.
            Some(ended) = tasks.join_next() => {
                failed = Some(ended);
                break;
            }
            () = &mut asked_to_end => break,
        }
    }
    stop.send_replace(true);
    bar.finish_and_clear();
    while let Some(ended) = failed.take().or(tasks.join_next().await) {
        let told = ended?.map_err(|error| -> Error { error })?;
        say!("{told}");
    }
    say!(
        "report: cargo run --release --example fieldtest -- report {}",
        match args.radio {
            RadioChoice::Virtual => args.out.display().to_string(),
            RadioChoice::System => "DIR…, with the folders of all devices".to_owned(),
        }
    );
    Ok(())
}

/// The key in `path`, made if there is none.
fn test_key(path: &Path) -> Result<TestKey, Error> {
    if path.exists() {
        let key = TestKey::from_text(&read_text(path)?);
        return key
            .ok_or_else(|| format!("{}: expected 64 hexadecimal digits", path.display()).into());
    }
    let key = TestKey::random()?;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::io::Write::write_all(&mut create_new(path, true)?, key.to_text().as_bytes())?;
    say!(
        "note: {} is new: bring it to the test's other devices",
        path.display()
    );
    Ok(key)
}

/// The clock, and of each device the folder, the name and the radio.
async fn devices(
    args: &RunArgs,
) -> Result<(Arc<dyn Clock>, Vec<(PathBuf, ShortName, Radio)>), Error> {
    if args.radio == RadioChoice::System {
        let name = match &args.name {
            Some(name) => name.clone(),
            None => TestKey::random()?.name().to_string()[..6].parse()?,
        };
        let device = (args.out.clone(), name, system_radio(args).await?);
        return Ok((Arc::new(SystemClock::default()), vec![device]));
    }
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(now(), args.speed));
    let air = Air::new(AirConfig::default(), Arc::clone(&clock));
    let mut devices = Vec::new();
    for number in 1..=args.devices {
        let name: ShortName = format!("dev{number}").parse()?;
        // In a circle, so that each is two metres from the next.
        let turn = std::f64::consts::TAU * f64::from(number) / f64::from(args.devices);
        let radius_m = 1.0 / (std::f64::consts::PI / f64::from(args.devices)).sin();
        let device = air.place(radius_m * turn.cos(), radius_m * turn.sin());
        devices.push((args.out.join(name.as_str()), name, device.radio()));
    }
    Ok((clock, devices))
}

#[cfg(feature = "ble")]
async fn system_radio(args: &RunArgs) -> Result<Radio, RadioError> {
    use truyvet::radio::{SystemOptions, system};

    let mut options = SystemOptions::default();
    options.adapter = args.adapter.clone();
    system(options).await
}

#[cfg(not(feature = "ble"))]
async fn system_radio(_: &RunArgs) -> Result<Radio, RadioError> {
    Err(RadioError::Unsupported {
        why: "built without the feature `ble`",
    })
}

fn bar(minutes: Option<u32>) -> ProgressBar {
    let template = match minutes {
        Some(_) => "{bar:40} {pos}/{len} s",
        None => "{spinner} {pos} s; Ctrl-C ends",
    };
    let bar = ProgressBar::new(u64::from(minutes.unwrap_or(0)) * 60);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// One that takes part.
struct Device {
    name: ShortName,
    folder: PathBuf,
    tracer: Tracer,
    tap: Tap,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    /// Whether this process and its time are this device's alone.
    alone: bool,
    /// What its owner has been told does not work.
    told: [Option<String>; 2],
    /// The tracer's own log, which is of no use to the test: sealed under a key that nobody keeps, and gone with the run.
    _log: tempfile::TempDir,
}

impl Device {
    async fn start(
        args: &RunArgs,
        folder: &Path,
        name: ShortName,
        key: &TestKey,
        radio: Radio,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let [advertise, other] = args.protocol.protocols();
        let start = RunStart {
            name: name.clone(),
            model: machine::model(),
            system: std::env::consts::OS.to_owned(),
            system_version: machine::system_version(),
            radio: match args.radio {
                RadioChoice::Virtual => "virtual".to_owned(),
                RadioChoice::System => args.adapter.clone().unwrap_or_else(|| "system".to_owned()),
            },
            at: clock.now().wall,
            advertise: advertise.clone(),
            also_listen: vec![other.clone()],
        };
        let key = TestKey::from_text(&key.to_text()).ok_or("the key is none")?;
        let recorder = Recorder::create(folder, key, start)
            .map_err(|e| format!("{}: {e}: choose another --out", folder.display()))?;
        let (radio, tap) = tap(radio, Arc::clone(&clock));
        let log_folder = tempfile::tempdir()?;
        let log = EncounterLog::open(log_folder.path(), MemoryKey::random()?)?;
        let tracer = Tracer::builder(log, radio)
            .advertise(advertise)
            .also_listen(other)
            .schedule(args.schedule.schedule())
            .clock(Arc::clone(&clock))
            .start()
            .await?;
        say!("{name}: writes to {}", folder.display());
        Ok(Self {
            name,
            folder: folder.to_owned(),
            tracer,
            tap,
            recorder,
            clock,
            alone: args.radio == RadioChoice::System,
            told: [None, None],
            _log: log_folder,
        })
    }

    /// Writes down what passes until told to stop, and says what came of it.
    async fn follow(mut self, mut stopped: watch::Receiver<bool>) -> Result<String, Failure> {
        let mut next_state = self.clock.now().monotonic;
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        loop {
            tokio::select! {
                biased;
                _ = stopped.changed() => break,
                _ = tick.tick() => {
                    let now = self.clock.now();
                    if now.monotonic >= next_state {
                        next_state = now.monotonic.saturating_add(STATE_EVERY);
                        let health = self.tracer.health();
                        self.tell(&health);
                        let state = state(&health, self.tap.lost(), self.alone);
                        self.recorder.state(now.wall, state)?;
                    }
                }
                tapped = self.tap.next() => match tapped {
                    Some(tapped) => self.recorder.take(&tapped)?,
                    None => break,
                },
            }
        }
        self.tell(&self.tracer.health());
        let health = self.tracer.stop().await?;
        while let Some(tapped) = self.tap.try_next() {
            self.recorder.take(&tapped)?;
        }
        let last = state(&health, self.tap.lost(), self.alone);
        self.recorder.finish(self.clock.now().wall, last)?;
        let counters = health.counters;
        let heard = count(counters.frames as usize, "frame");
        let lost = counters.dropped_frames + counters.missed_frames + last.lost.unwritten;
        let (name, folder) = (&self.name, self.folder.display());
        Ok(format!(
            "{name}: {heard} heard, {lost} lost, written to {folder}"
        ))
    }

    /// Says once what does not work, and why.
    fn tell(&mut self, health: &Health) {
        let both = [
            ("it does not hear", &health.scanning),
            ("it is not heard", &health.advertising),
        ];
        for (told, (what, status)) in self.told.iter_mut().zip(both) {
            if let State::Failing(why) | State::Unsupported(why) = &status.state
                && told.as_ref() != Some(why)
            {
                warn(&format!("{}: {what}: {why}", self.name));
                *told = Some(why.clone());
            }
        }
    }
}

/// What a device says of itself; `alone` if the process and its time are its own.
fn state(health: &Health, unwritten: u64, alone: bool) -> DeviceState {
    let counters = &health.counters;
    DeviceState {
        cpu_ms: machine::cpu_ms().filter(|_| alone),
        scanning: health.scanning.state == State::Working,
        advertising: health.advertising.state == State::Working,
        lost: Lost {
            dropped: counters.dropped_frames,
            missed: counters.missed_frames,
            malformed: counters.malformed_frames,
            unread: counters.unread_frames,
            unwritten,
        },
        ..machine::state()
    }
}
