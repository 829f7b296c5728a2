//! A phone app's side of the engine: the system owns Bluetooth, and the app drives `Engine` by hand.
//!
//! No runtime, no threads, no waiting: what `Phone` does here in a loop, an app does in the callbacks of
//! Android or iOS. The virtual air stands in for Bluetooth, and a clock moved by hand for the hours.

mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use tempfile::TempDir;
use truyvet::engine::{Action, Config, Event, Schedule};
use truyvet::entropy::SystemEntropy;
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::MemoryKey;
use truyvet::protocol::Heard;
use truyvet::protocol::bluezone::WireProfile;
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::radio::{Advertised, Filter, GattRequest, Peer, RadioEvent, RadioEvents, RadioSink};
use truyvet::sighting::Rssi;
use truyvet::time::{Clock, ClockReading, ManualClock, Moment, Timestamp};
use truyvet::{Advertisement, EncounterLog, Engine, EphemeralId, Protocol};

use support::{Error, count, say};

#[derive(Parser)]
#[command(
    about = "Drive the engine by hand, as a phone app does whose system owns Bluetooth",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release --example embedded_app\n      \
        two phones meet for ten minutes; one gives out its key, the other finds it\n  \
        cargo run --release --example embedded_app -- --protocol gaen --minutes 45\n      \
        the same for longer, with GAEN's frames\n  \
        cargo run --release --example embedded_app -- --schedule background\n      \
        the same with pauses, as an app in the background saves power\n  \
        cargo run --release --example embedded_app -- --iphone\n      \
        Binh has an iPhone: its identifier is read over a connection\n\n\
        Nothing is sent by this machine's Bluetooth, and nothing waits: it ends at once."
)]
struct Args {
    /// The protocol
    #[arg(long, value_enum, default_value = "bluezone")]
    protocol: ProtocolChoice,
    /// How long the two are near each other
    #[arg(long, value_name = "MINUTES", default_value = "10",
          value_parser = clap::value_parser!(u64).range(1..=600))]
    minutes: u64,
    /// When the radio is on
    #[arg(long, value_enum, default_value = "foreground")]
    schedule: ScheduleChoice,
    /// Binh has an iPhone with Bluezone, whose identifier is not on the air but read over a connection
    #[arg(long)]
    iphone: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProtocolChoice {
    Bluezone,
    Gaen,
}

#[derive(Clone, Copy, ValueEnum)]
enum ScheduleChoice {
    /// Always on
    Foreground,
    /// As the protocol's own app does in the background
    Background,
}

/// 2020-08-08T10:00Z: far enough from midnight for the longest meeting.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_880_800);

/// Frames that wait to be taken. Chosen: more than a phone hears between two looks.
const QUEUE: usize = 1_024;

/// How often the system hands on what it has heard. Chosen: as scan results come in batches.
const STEP: Duration = Duration::from_millis(500);

/// How long the story goes on after they part: more than it takes to notice.
const AFTERWARDS: Duration = Duration::from_secs(600);

/// By what a system names the phone that the other hears: there are but two.
const THE_OTHER: Peer = Peer::from_system_id([1; 16]);

/// An app on a phone: the engine, its log, and the system's Bluetooth.
struct Phone {
    name: &'static str,
    engine: Engine,
    log: EncounterLog,
    /// Gone with the story; an app has a directory of its own.
    _directory: TempDir,
    bluetooth: AirDevice,
    /// Whether it offers its identifier to whoever connects, in place of advertising it.
    iphone: bool,
    /// What is read by whoever connects.
    offered: Option<EphemeralId>,
    /// What its system is to read.
    asked: Option<GattRequest>,
    filter: Filter,
    sink: RadioSink,
    scan_results: RadioEvents,
}

impl Phone {
    fn new(name: &'static str, config: Config, air: &Air, x_m: f64) -> Result<Self, Error> {
        let directory = tempfile::tempdir()?;
        // An app keeps the log's key in the system's keystore: `KeyProvider` is what it implements.
        let log = EncounterLog::open(directory.path(), MemoryKey::random()?)?;
        let (sink, scan_results) = RadioSink::new(air.clock(), QUEUE);
        Ok(Self {
            name,
            filter: Filter::of(&config.listen),
            engine: Engine::new(config, log.own_keys()?, Box::new(SystemEntropy)),
            log,
            _directory: directory,
            bluetooth: air.place(x_m, 0.0),
            iphone: false,
            offered: None,
            asked: None,
            sink,
            scan_results,
        })
    }

    /// The app is opened.
    fn on_start(&mut self, now: Moment) {
        // By what the clocks said when the log was last written: was one set while the app was closed?
        if let Some(last) = self.log.last_clock() {
            self.engine.resume_clock(last, reading(now));
        }
        self.engine.start(now);
        self.carry_out(now);
    }

    /// "I heard these bytes at this RSSI": Android's `onScanResult`, `didDiscover` on iOS.
    fn on_scan_result(&mut self, at: Moment, from: Peer, bytes: &[u8], rssi_dbm: Option<i8>) {
        // What is no advertisement is a stranger's mistake, and none of the app's.
        if let Ok(frame) = Advertisement::parse(bytes) {
            let rssi = rssi_dbm.and_then(Rssi::from_dbm);
            self.engine.heard_from(at, from, &frame, rssi);
        }
    }

    /// The system has read what it was asked to, or has not: `onCharacteristicRead` on Android,
    /// `didUpdateValueFor` on iOS. The app has disconnected.
    fn on_read(&mut self, now: Moment, from: Peer, read: Option<EphemeralId>) {
        let result = match &read {
            Some(id) => {
                self.say(now, format_args!("reads an iPhone's identifier: {id}"));
                Ok(id.as_bytes())
            }
            None => Err("it has gone".to_owned()),
        };
        self.engine.read_result(now, from, result);
        self.carry_out(now);
    }

    /// An alarm that the app has set for `Engine::next_deadline`; one too many does no harm.
    fn on_alarm(&mut self, now: Moment) {
        let due = self.engine.next_deadline();
        if due.is_some_and(|due| due <= now.monotonic) {
            self.engine.tick(now);
        }
        self.carry_out(now);
    }

    /// The app is closed.
    fn on_stop(&mut self, now: Moment) {
        self.engine.stop(now);
        self.carry_out(now);
    }

    /// Does what the engine asks for, and tells it how that went.
    fn carry_out(&mut self, now: Moment) {
        while let Some(action) = self.engine.next_action() {
            // What is stored is stored beside the time, so that a false one can be told later.
            self.log.observe(reading(now));
            let stored = match action {
                Action::Advertise { frame, until } => {
                    let sent = match self.iphone {
                        true => self.offer(&frame),
                        false => frame,
                    };
                    let bytes = sent.as_bytes().len();
                    self.say(now, format_args!("advertises {bytes} bytes until {until}"));
                    self.bluetooth.send(Some(sent));
                    self.engine.advertise_result(now, Ok(Advertised::default()));
                    continue;
                }
                Action::StopAdvertising => {
                    self.offered = None;
                    self.bluetooth.send(None);
                    continue;
                }
                Action::Scan(on) => {
                    let to = on.then(|| (self.filter.clone(), self.sink.clone()));
                    self.bluetooth.listen(to);
                    if on {
                        self.engine.scan_result(now, Ok(()));
                    }
                    continue;
                }
                // The system is asked, and the engine told in `on_read`, `within` which it is not too late.
                Action::ReadIdentifier { request, .. } => {
                    self.asked = Some(request);
                    continue;
                }
                Action::Tell(event) => {
                    if matches!(event, Event::ClockJumped { .. }) {
                        self.engine.clock_reading(now, reading(now));
                    }
                    self.tell(now, &event);
                    continue;
                }
                Action::SaveKeys => self.log.save_own_keys(self.engine.own_keys()).err(),
                Action::StoreGap(gap) => self.log.append_gaps(&[gap]).err(),
                Action::Purge(today) => match self.log.purge(today) {
                    Ok(purged) => {
                        self.engine.erasure_result(now, &purged.keys);
                        None
                    }
                    Err(error) => {
                        // It is asked for again in an hour.
                        self.engine.erasure_failed(now, error.to_string());
                        Some(error)
                    }
                },
                Action::Store(sightings) => match self.log.append(&sightings) {
                    Ok(()) => None,
                    Err(refused) => {
                        // An app would keep them and try again; what it gives up on is counted.
                        self.engine.count_lost_sightings(sightings.len() as u64);
                        let reason = Err(refused.to_string());
                        self.engine.log_result(now, reason);
                        continue;
                    }
                },
                // What a later version may want.
                _ => continue,
            };
            let result = stored.map_or(Ok(()), |error| Err(error.to_string()));
            self.engine.log_result(now, result);
        }
    }

    /// What an iPhone advertises in place of `frame`, whose identifier it lets others read.
    fn offer(&mut self, frame: &Advertisement) -> Advertisement {
        let profile = WireProfile::default();
        let Ok(Some(Heard::Identifier { id, .. })) = profile.parse(frame) else {
            return *frame;
        };
        let mut listed = Advertisement::new();
        if listed.push_service_uuid128(profile.ios_service).is_ok() {
            self.offered = Some(id);
        }
        listed
    }

    fn tell(&self, now: Moment, event: &Event) {
        match event {
            Event::NeighbourAppeared { neighbour, id, .. } => {
                self.say(now, format_args!("hears a neighbour, {neighbour}: {id}"));
            }
            Event::NeighbourLeft {
                neighbour,
                duration,
            } => {
                let minutes = duration.as_secs() / 60;
                self.say(
                    now,
                    format_args!("hears {neighbour} no more; it was near for {minutes} min"),
                );
            }
            _ => {}
        }
    }

    fn say(&self, now: Moment, words: std::fmt::Arguments<'_>) {
        say!("{}  {:<4}  {words}", now.wall, self.name);
    }
}

/// What all clocks say. An app adds the time since the machine's start, with which a clock that was set can be
/// told from a phone that slept: `elapsedRealtime` and `BOOT_COUNT` on Android; on Linux `SystemClock` reads it.
fn reading(now: Moment) -> ClockReading {
    ClockReading {
        wall: now.wall,
        uptime: None,
    }
}

/// The world: time passes, the air carries frames, and the phones' systems call their apps.
fn pass(duration: Duration, clock: &ManualClock, air: &Air, phones: &mut [Phone]) {
    let end = clock.now().monotonic.saturating_add(duration);
    while clock.now().monotonic < end {
        clock.advance(STEP);
        air.catch_up();
        for phone in &mut *phones {
            while let Some(event) = phone.scan_results.try_next() {
                if let RadioEvent::Heard {
                    at, frame, rssi, ..
                } = event
                {
                    phone.on_scan_result(at, THE_OTHER, frame.as_bytes(), rssi.map(Rssi::dbm));
                }
            }
            phone.on_alarm(clock.now());
        }
        connect(clock.now(), phones);
    }
}

/// The systems connect those who have been asked to, and read: here, from the only other phone.
fn connect(now: Moment, phones: &mut [Phone]) {
    let offers: Vec<_> = phones.iter().map(|phone| phone.offered).collect();
    for (index, phone) in phones.iter_mut().enumerate() {
        if let Some(request) = phone.asked.take() {
            let others = offers
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != index);
            let read = others.filter_map(|(_, offered)| *offered).next();
            phone.on_read(now, request.peer, read);
        }
    }
}

fn story(args: &Args) -> Result<(), Error> {
    let protocol = match args.protocol {
        ProtocolChoice::Bluezone => Protocol::bluezone(),
        ProtocolChoice::Gaen => Protocol::gaen(),
    };
    let schedule = match (args.schedule, args.protocol) {
        (ScheduleChoice::Foreground, _) => Schedule::continuous(),
        (ScheduleChoice::Background, ProtocolChoice::Bluezone) => Schedule::bluezone_background(),
        (ScheduleChoice::Background, ProtocolChoice::Gaen) => Schedule::gaen(),
    };
    if args.iphone && matches!(args.protocol, ProtocolChoice::Gaen) {
        return Err("--iphone: only Bluezone's identifiers are read over a connection".into());
    }
    let mut config = Config::new(protocol).schedule(schedule);
    config.read_identifiers = args.iphone;
    let clock = ManualClock::new(START);
    let air = Air::new(AirConfig::default(), Arc::new(clock.clone()));
    let mut phones = [
        Phone::new("An", config.clone(), &air, 0.0)?,
        Phone::new("Binh", config, &air, 1.5)?,
    ];
    let [_, binh] = &mut phones;
    binh.iphone = args.iphone;
    for phone in &mut phones {
        phone.on_start(clock.now());
    }
    pass(
        Duration::from_secs(60 * args.minutes),
        &clock,
        &air,
        &mut phones,
    );
    let [_, binh] = &mut phones;
    binh.say(clock.now(), format_args!("goes home, 10 km away"));
    binh.bluetooth.move_to(10_000.0, 0.0);
    pass(AFTERWARDS, &clock, &air, &mut phones);

    let [an, binh] = &mut phones;
    let (now, today) = (clock.now(), START.utc_day());
    let published = binh.engine.release(now, [today]);
    let keys = count(published.len(), "key");
    binh.say(now, format_args!("is ill, and gives out {keys} of {today}"));
    for phone in [&mut *an, binh] {
        phone.on_stop(now);
    }
    let health = an.engine.health();
    an.say(
        now,
        format_args!("has heard {} frames", health.counters.frames),
    );
    let matcher = Matcher::from_log(MatchConfig::default(), &an.log.reader()?)?;
    let exposures = matcher.exposures(&published);
    for exposure in &exposures {
        an.say(now, format_args!("was near: {exposure}"));
    }
    say!("{}: {}.", keys, count(exposures.len(), "exposure"));
    match exposures.is_empty() {
        true => Err("they met, and An should have found it".into()),
        false => Ok(()),
    }
}

fn main() -> ExitCode {
    support::run(story(&Args::parse()))
}
