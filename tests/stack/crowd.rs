//! Eight tracers in a row, each within reach of its nearest neighbours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use truyvet::protocol::OwnKey;
use truyvet::radio::ScanMode;
use truyvet::time::{Clock, SimulatedClock, Timestamp};
use truyvet::{EphemeralId, Protocol, Sighting};

use super::bed::{Traced, holds, on_bed, setting, until};
use super::snoop::{Broadcast, Snoop, assert_each_has_its_own};

const TRACERS: usize = 8;

/// A GAEN identifier lasts ten to twenty seconds, one of Bluezone's fifteen.
const SPEED: u32 = 60;

/// 2026-11-24T08:00Z: ten minutes of the world end before midnight.
const START: Timestamp = Timestamp::from_unix_seconds(1_795_507_200);

/// Steps along the row beyond which nothing is heard.
const REACH: usize = 4;

const NOISE_DB: f64 = 3.0;

/// The set strength from one tracer to another; `None` if out of range. Not the same both ways.
fn strength_dbm(from: usize, to: usize) -> Option<i32> {
    let steps = from.abs_diff(to);
    let dbm = -48 - 7 * steps as i32 - (from % 3) as i32;
    (steps <= REACH).then_some(dbm)
}

/// By how much the mean of `frames` strengths may differ from what was set: 4.5 standard errors, which
/// one table in 2,500 exceeds by chance, and half a dBm by which each sighting's mean is rounded.
fn tolerance_db(frames: u64) -> f64 {
    4.5 * NOISE_DB / (frames as f64).sqrt() + 0.5
}

/// What one tracer has stored of another.
struct Pair {
    expected: usize,
    stored: usize,
    frames: u64,
    mean_dbm: f64,
}

impl Pair {
    fn new(
        log: &HashMap<EphemeralId, Vec<Sighting>>,
        all: &[EphemeralId],
        whole: &[EphemeralId],
    ) -> Self {
        let of_all = all.iter().filter_map(|id| log.get(id)).flatten();
        let strengths: Vec<(f64, u64)> = of_all
            .filter_map(|sighting| {
                let mean = f64::from(sighting.rssi?.mean.dbm());
                Some((mean, u64::from(sighting.frames)))
            })
            .collect();
        let frames = strengths.iter().map(|(_, frames)| frames).sum();
        let sum: f64 = strengths.iter().map(|(dbm, n)| dbm * *n as f64).sum();
        Self {
            expected: whole.len(),
            stored: whole.iter().filter(|id| log.contains_key(id)).count(),
            frames,
            mean_dbm: sum / frames as f64,
        }
    }
}

/// A tracer's identifiers: all that its controller has sent, and those of them whose time lies wholly
/// within the run.
#[derive(Default)]
struct Identifiers {
    all: Vec<EphemeralId>,
    whole: Vec<EphemeralId>,
}

/// What the controller has sent says which identifiers there were, as not every interval of GAEN has
/// one on the air; the own keys say which bytes of it they are.
///
/// `before` were on the air until everybody listened.
fn identifiers(keys: &[OwnKey], snoop: &Snoop, adapter: u16, before: usize) -> Identifiers {
    let broadcasts = snoop.broadcasts(adapter);
    // Address and identifier change together.
    assert_each_has_its_own(&broadcasts);
    let mut own = Identifiers::default();
    for id in keys.iter().flat_map(all_of_day) {
        let has_it = |broadcast: &Broadcast| holds(&broadcast.data, &id);
        if let Some(index) = broadcasts.iter().position(has_it) {
            own.all.push(id);
            // The last was cut short.
            if (before..broadcasts.len() - 1).contains(&index) {
                own.whole.push(id);
            }
        }
    }
    assert_eq!(
        own.all.len(),
        broadcasts.len(),
        "one broadcast an identifier"
    );
    own
}

/// Every identifier that `key` has.
fn all_of_day(key: &OwnKey) -> Vec<EphemeralId> {
    let slot = key.protocol().slot_length();
    let slots = Duration::from_secs(86_400).as_secs() / slot.as_secs();
    let begins = (0..slots as u32).map(|index| key.day().start().saturating_add(slot * index));
    begins
        .filter_map(|time| key.identifier(time).ok())
        .collect()
}

type Log = HashMap<EphemeralId, Vec<Sighting>>;

/// Ends a tracer; gives what it has stored, and its keys.
async fn end(traced: Traced) -> (Log, Vec<OwnKey>) {
    let reader = traced.tracer.log_reader().unwrap();
    let health = traced.tracer.stop().await.unwrap();
    let counters = health.counters;
    println!("{health}, {} frames dropped", counters.dropped_frames);
    if health.scan_mode == Some(ScanMode::EveryFrame) {
        assert_eq!(counters.dropped_frames + counters.missed_frames, 0);
    }
    let mut log = Log::new();
    for sighting in reader.sightings().unwrap() {
        let sighting = sighting.unwrap();
        log.entry(sighting.id).or_default().push(sighting);
    }
    (log, reader.own_keys().unwrap())
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn eight_tracers() {
    on_bed(async |bed| {
        for (from, to) in pairs() {
            let dbm = strength_dbm(from, to).map(|dbm| format!("{dbm} {NOISE_DB} 0.1"));
            let dbm = dbm.unwrap_or("off".to_owned());
            bed.air(&format!("link {from} {to} {dbm}"));
        }
        let snoop = Snoop::start().await;
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(START, SPEED));
        let mut tracers = Vec::new();
        for adapter in 0..TRACERS {
            let protocol = match adapter % 2 {
                0 => Protocol::gaen(),
                _ => Protocol::bluezone(),
            };
            tracers.push(Traced::start(adapter, protocol, Arc::clone(&clock)).await);
        }
        let adapters = (0_u16..).take(TRACERS);
        let before: Vec<_> = adapters.map(|it| snoop.broadcasts(it).len()).collect();
        let minutes = setting("TRUYVET_BED_MINUTES", 1);
        watch(&tracers, Duration::from_secs(60 * minutes)).await;
        println!("after {minutes} minutes on the air:");

        for traced in &tracers {
            assert!(traced.works(), "{}", traced.tracer.health());
        }
        // All at once, so that nobody goes on to a new identifier that another does not hear any more.
        let ended = join_all(tracers.into_iter().map(end)).await;
        let (logs, keys): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
        let mut own = Vec::new();
        for (keys, adapter) in keys.iter().zip(0..) {
            until("the air is silent", async || snoop.is_silent(adapter)).await;
            let before = before[usize::from(adapter)];
            own.push(identifiers(keys, &snoop, adapter, before));
        }
        compare(&logs, &own);
    });
}

/// Lets time pass, and says who fails meanwhile, and why.
async fn watch(tracers: &[Traced], time: Duration) {
    let begun = Instant::now();
    let mut told = vec![String::new(); tracers.len()];
    while begun.elapsed() < time {
        for ((traced, told), adapter) in tracers.iter().zip(&mut told).zip(0..) {
            let health = traced.tracer.health();
            let state = format!(
                "scanning {}, advertising {}",
                health.scanning.state, health.advertising.state
            );
            if *told != state {
                println!("{adapter} after {:.1?}: {state}", begun.elapsed());
                *told = state;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = (0..TRACERS).flat_map(|from| (0..TRACERS).map(move |to| (from, to)));
    all.filter(|(from, to)| from != to)
}

fn compare(logs: &[Log], own: &[Identifiers]) {
    println!("from to  identifiers  set dBm  mean dBm  frames  allowed");
    let mut wrong = Vec::new();
    for (from, to) in pairs() {
        let pair = Pair::new(&logs[to], &own[from].all, &own[from].whole);
        let (stored, expected) = (pair.stored, pair.expected);
        let Some(set) = strength_dbm(from, to) else {
            println!("{from:4} {to:2}  {stored:5} of {expected:2}  out of range");
            if pair.frames > 0 || stored > 0 {
                wrong.push(format!("{to} has stored {from}, which is out of range"));
            }
            continue;
        };
        let allowed = tolerance_db(pair.frames);
        let (mean, frames) = (pair.mean_dbm, pair.frames);
        println!(
            "{from:4} {to:2}  {stored:5} of {expected:2}  {set:7}  {mean:8.1}  {frames:6}  {allowed:7.1}"
        );
        if stored < expected || expected == 0 {
            wrong.push(format!("{to} has {stored} of {from}'s {expected}"));
        }
        if (mean - f64::from(set)).abs() > allowed {
            wrong.push(format!("{to} has heard {from} at {mean:.1}, not {set} dBm"));
        }
    }
    for (log, to) in logs.iter().zip(0..) {
        let known = |id| own.iter().any(|identifiers| identifiers.all.contains(id));
        let strange = log.keys().filter(|id| !known(id)).count();
        if strange > 0 {
            wrong.push(format!("{to} has {strange} identifiers that nobody had"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
