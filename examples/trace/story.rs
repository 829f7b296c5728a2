//! A morning in an office, simulated: four people with tracers of their own pass by, one of them is
//! diagnosed and publishes, and this device finds out how long and how near.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use truyvet::entropy::SystemEntropy;
use truyvet::exposure::{MatchConfig, Matcher};
use truyvet::log::{LogReader, MemoryKey};
use truyvet::protocol::PublishedKey;
use truyvet::publication::bluezone_json;
use truyvet::publication::gaen_export::{ExportOptions, ExportWriter};
use truyvet::publication::signature::{KeyName, SigningKey};
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::time::{Clock, SimulatedClock, Timestamp};
use truyvet::{EncounterLog, Protocol, ProtocolKind, Tracer};

use crate::aftermath;
use crate::authority::Authority;
use crate::ending::asked_to_end;
use crate::show::{Show, Watched, follow};
use crate::support::{Error, Trust, Trusted, count, now, picture, read_published, say};

/// How long the morning is.
const MINUTES: u64 = 45;
/// How much faster than life it passes: 45 minutes in 36 seconds.
const SPEED: u32 = 75;
/// Where nobody is heard, metres.
const AWAY: f64 = 9_000.0;

/// A neighbour: near for some of the minutes, at some metres.
struct Person {
    name: &'static str,
    minutes: std::ops::Range<u64>,
    distance_m: f64,
}

const PEOPLE: [Person; 4] = [
    Person {
        name: "Lan, at the next desk",
        minutes: 2..38,
        distance_m: 1.5,
    },
    Person {
        name: "Minh, who comes to talk",
        minutes: 8..26,
        distance_m: 1.0,
    },
    Person {
        name: "Hoa, who passes by",
        minutes: 15..17,
        distance_m: 4.0,
    },
    Person {
        name: "Tuấn, across the room",
        minutes: 0..45,
        distance_m: 9.0,
    },
];
/// Who falls ill: Minh.
const PATIENT: usize = 1;

pub(crate) struct Neighbour {
    device: AirDevice,
    pub(crate) tracer: Tracer,
}

pub(crate) async fn tell(
    protocol: Protocol,
    speed: Option<u32>,
    authority: Option<&Authority>,
    show: &mut impl Show,
) -> Result<(), Error> {
    let mut asked_to_end = pin!(asked_to_end()?);
    let home = tempfile::tempdir()?;
    let speed = speed.unwrap_or(SPEED);
    // Nine in the morning, so that every identifier is of one day: of yesterday where a real authority reads its own
    // clock, and publishes no key before its day has ended.
    let today = now().utc_day();
    let day = match authority {
        Some(_) => today.saturating_sub(1),
        None => today,
    };
    let start = day.start().saturating_add(Duration::from_secs(9 * 3_600));
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(start, speed));
    let air = Air::new(AirConfig::default(), Arc::clone(&clock));
    introduce(speed);

    let own = air.place(0.0, 0.0);
    let log = EncounterLog::open(home.path().join("mine"), MemoryKey::random()?)?;
    let tracer = start_tracer(log, &own, &air, &protocol).await?;
    let mut neighbours = Vec::new();
    for (index, _) in PEOPLE.iter().enumerate() {
        let device = air.place(AWAY * (index as f64 + 1.0), AWAY);
        let log = EncounterLog::open(
            home.path().join(format!("neighbour-{index}")),
            MemoryKey::random()?,
        )?;
        let tracer = start_tracer(log, &device, &air, &protocol).await?;
        neighbours.push(Neighbour { device, tracer });
    }
    let whole = live(
        &tracer,
        &neighbours,
        clock.as_ref(),
        show,
        asked_to_end.as_mut(),
    )
    .await?;

    let mut published = Vec::new();
    for (index, neighbour) in neighbours.into_iter().enumerate() {
        match authority {
            _ if index != PATIENT || !whole => {}
            Some(authority) => aftermath::report(authority, &neighbour, day).await?,
            None => published = neighbour.tracer.release([day]).await?,
        }
        neighbour.tracer.stop().await?;
    }
    let reader = tracer.log_reader()?;
    tracer.stop().await?;
    if !whole {
        say!("Ended before the morning was over.");
        return Ok(());
    }

    if let Some(authority) = authority {
        aftermath::publish(authority)?;
        let (keys, exposures) = aftermath::find_out(authority, &reader)?;
        aftermath::declare(authority, now())?;
        return aftermath::prove(authority, &keys, &exposures, &reader);
    }
    say!("\nIn the evening one of them tests positive, and consents to publish today's key.");
    let (file, trusted) = publish(home.path(), protocol.kind(), published, start)?;
    find_out(&file, &trusted, &reader)
}

/// Says who will be near, and how long.
fn introduce(speed: u32) {
    say!("log:   in a temporary directory, sealed, and deleted at the end");
    say!("story: {MINUTES} minutes in an office, {speed} times as fast as life, with");
    for person in &PEOPLE {
        let Person {
            name,
            minutes,
            distance_m,
        } = person;
        say!(
            "       {name} ({} min at {distance_m} m)",
            minutes.end - minutes.start
        );
    }
    say!();
}

/// What this device does with the published file.
fn find_out(file: &Path, trusted: &[Trusted], log: &LogReader) -> Result<(), Error> {
    let read = read_published(file, trusted, false, &ProgressBar::hidden())?;
    match &read.trust {
        Trust::Signed(by) => say!(
            "The authority's file: {}, signed by {by}: verified.",
            count(read.keys.len(), "key")
        ),
        Trust::Unsigned => say!("The authority's list: {}.", count(read.keys.len(), "entry")),
        Trust::Refused(why) => return Err(why.clone().into()),
    }
    let matcher = Matcher::from_log(MatchConfig::default(), log)?;
    let exposures = matcher.exposures(&read.keys);
    say!(
        "Matched on this device, against {}: {}.\n",
        count(matcher.sighting_count(), "sighting"),
        count(exposures.len(), "exposure")
    );
    for exposure in &exposures {
        say!("{exposure}\n\n    |{}| a bar a minute\n", picture(exposure));
    }
    say!("Nothing left this device: the file came in, the answer stays here.");
    Ok(())
}

async fn start_tracer(
    log: EncounterLog,
    device: &AirDevice,
    air: &Air,
    protocol: &Protocol,
) -> Result<Tracer, Error> {
    let builder = Tracer::builder(log, device.radio())
        .advertise(protocol.clone())
        .clock(air.clock());
    Ok(builder.start().await?)
}

/// Lets the morning pass: moves people, shows events. Tells whether it passed to its end.
async fn live(
    tracer: &Tracer,
    neighbours: &[Neighbour],
    clock: &dyn Clock,
    show: &mut impl Show,
    asked_to_end: Pin<&mut impl Future<Output = ()>>,
) -> Result<bool, Error> {
    let length = Duration::from_secs(MINUTES * 60);
    let watched = Watched {
        tracer,
        clock,
        radio: "the virtual air, a simulated crowd",
        length: Some(length),
        step: Duration::from_millis(20),
    };
    let mut minute = None;
    let passed = follow(&watched, show, asked_to_end, |elapsed| {
        let this_minute = elapsed.as_secs() / 60;
        if minute.replace(this_minute) == Some(this_minute) {
            return None;
        }
        place_people(neighbours, this_minute);
        Some(what_is_next(this_minute))
    });
    Ok(passed.await? >= length)
}

/// What the story is about to do after `minute`.
fn what_is_next(minute: u64) -> String {
    let comes = |person: &Person| (person.minutes.start, person.name, "comes");
    let goes = |person: &Person| (person.minutes.end, person.name, "goes");
    let turns = PEOPLE.iter().flat_map(|it| [comes(it), goes(it)]);
    let to_come = turns.filter(|(at, ..)| (minute + 1..MINUTES).contains(at));
    match to_come.min_by_key(|(at, ..)| *at) {
        Some((at, name, what)) => format!("{name}, {what} in {} min", at - minute),
        None => format!("the morning ends in {} min", MINUTES - minute),
    }
}

fn place_people(neighbours: &[Neighbour], minute: u64) {
    for (index, (person, neighbour)) in PEOPLE.iter().zip(neighbours).enumerate() {
        match person.minutes.contains(&minute) {
            true => {
                // Each on their own side, so that they are not on top of each other.
                let angle = index as f64 * std::f64::consts::FRAC_PI_2;
                let (sin, cos) = angle.sin_cos();
                neighbour
                    .device
                    .move_to(person.distance_m * cos, person.distance_m * sin);
            }
            false => neighbour.device.move_to(AWAY * (index as f64 + 1.0), AWAY),
        }
    }
}

/// What the authority does: a Bluezone list, or a GAEN export signed with its key.
fn publish(
    home: &Path,
    kind: ProtocolKind,
    keys: Vec<PublishedKey>,
    start: Timestamp,
) -> Result<(PathBuf, Vec<Trusted>), Error> {
    if kind == ProtocolKind::Bluezone {
        let entries: Vec<_> = keys
            .into_iter()
            .filter_map(PublishedKey::into_bluezone)
            .collect();
        let file = home.join("published.json");
        std::fs::write(&file, bluezone_json::write(&entries))?;
        return Ok((file, Vec::new()));
    }
    let keys = keys.into_iter().filter_map(PublishedKey::into_gaen);
    let authority = SigningKey::generate()?.named(KeyName::new("452", "v1"));
    let day = start.utc_day();
    let zip = ExportWriter::new(ExportOptions::new("VN", day.start(), day.end()))
        .keys(keys)
        .write(&[&authority], &mut SystemEntropy)?;
    let file = home.join("published.zip");
    std::fs::write(&file, zip)?;
    let trusted = Trusted {
        name: "the authority".to_owned(),
        key: authority.verification_key().clone(),
    };
    Ok((file, vec![trusted]))
}
