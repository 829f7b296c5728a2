//! Killed at random points and started again: nothing that was answered is lost, and nothing is published twice.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::publication::index::Cycle;
use truyvet::publication::publisher::ReportId;
use truyvet::publication::signature::{KeyName, SigningKey, VerificationKey};
use truyvet::publication::store::FolderStore;
use truyvet::publication::update::{Cursor, Update, UpdateOptions};
use truyvet::report::answer::Answer;
use truyvet::report::authorisation::VerificationCode;
use truyvet::report::diagnosis::PreparedReport;
use truyvet::report::sealed::AuthorityPublicKey;
use truyvet::time::{Clock, SystemClock, Timestamp};

use crate::device::{bytes_of, certificate, keys, prepare};
use crate::process::{Http, Process};

const KILLS: u32 = 200;

/// Keys of a report here.
const DAYS: u32 = 4;

/// Longest life of a service, as many times as long as what it should have time for. Chosen: a third of the lives end before
/// it, and in many of the others it is done more than once.
const LIVES: u32 = 3;

/// One life of so many is measured by a publication that rolls a day up, the others by a report and an hour's publication.
/// Chosen: no day ends in a short life, and a long one costs as much as ten.
const LONG_LIVES_ONE_IN: u64 = 16;

/// A day without kills comes before, so many reports and publications.
const HOURS: u64 = 24;

/// How far a report has come.
enum Stage {
    Code,
    Exchange(Box<PreparedReport>, Vec<u8>),
    Report(Vec<u8>),
    Accepted,
}

/// Somebody who reports, whatever happens to the service.
struct Owner {
    seed: u64,
    stage: Stage,
    keys: Vec<Vec<u8>>,
}

impl Owner {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            stage: Stage::Code,
            keys: Vec::new(),
        }
    }

    /// One step further, or none if the service was killed. The same bytes are sent until they are answered.
    fn step(
        &mut self,
        http: &Http,
        to: &AuthorityPublicKey,
        now: Timestamp,
    ) -> Result<(), ureq::Error> {
        match &self.stage {
            Stage::Code => {
                let code = issue(http, now)?;
                let reported = keys(self.seed, now.utc_day(), DAYS);
                self.keys = reported.iter().map(bytes_of).collect();
                let prepared = prepare(reported, now);
                let exchange = prepared.code_exchange(&code, to).unwrap();
                self.stage = Stage::Exchange(Box::new(prepared), exchange);
            }
            Stage::Exchange(_, exchange) => {
                let (status, answer) = http.message(exchange)?;
                assert_eq!(status, 200);
                let certificate = certificate(&answer);
                if let Stage::Exchange(prepared, _) =
                    std::mem::replace(&mut self.stage, Stage::Code)
                {
                    let report = prepared.authorised(certificate).unwrap();
                    self.stage = Stage::Report(report.seal(to).unwrap());
                }
            }
            Stage::Report(envelope) => {
                let (status, answer) = http.message(envelope)?;
                assert_eq!(status, 200);
                assert_eq!(Answer::from_bytes(&answer).unwrap(), Answer::Accepted);
                self.stage = Stage::Accepted;
            }
            Stage::Accepted => {}
        }
        Ok(())
    }
}

fn issue(http: &Http, now: Timestamp) -> Result<VerificationCode, ureq::Error> {
    let today = now.utc_day().to_string();
    let asked = json!({ "report_type": "confirmed_test", "test_date": today });
    let (status, issued) = http.post_json("/v1/codes", &asked)?;
    assert_eq!(status, 201, "{issued}");
    Ok(issued["code"].as_str().unwrap().parse().unwrap())
}

/// A device that reads what is new after each kill.
struct Reader {
    store: FolderStore,
    trusted: Vec<VerificationKey>,
    cursor: Cursor,
    /// How often each key was read, from packages of hours and from packages of days, which roll those up.
    read: BTreeMap<(Vec<u8>, Cycle), u32>,
}

impl Reader {
    fn of(data: &Path) -> Self {
        let pem = std::fs::read_to_string(data.join("keys/publication.pem")).unwrap();
        let key = SigningKey::from_pkcs8_pem(&pem).unwrap();
        let name = KeyName::new("publication", "v1");
        Self {
            store: FolderStore::new(data.join("published")),
            trusted: vec![key.verification_key().clone().named(name)],
            cursor: Cursor::default(),
            read: BTreeMap::new(),
        }
    }

    fn read_what_is_new(&mut self, now: Timestamp) {
        let options = UpdateOptions::default();
        let fetched = Update::fetch(&self.store, &self.trusted, &self.cursor, options, now);
        let mut update = fetched.unwrap();
        while let Some(cycle) = update.next_package().map(|package| package.cycle) {
            let batch = update.next_batch().unwrap().unwrap();
            for key in batch.into_keys(&self.trusted).unwrap() {
                *self.read.entry((bytes_of(&key), cycle)).or_default() += 1;
            }
            update.matched();
        }
        self.cursor = update.cursor().clone();
    }
}

/// The service's clock, whose hours ahead outlive its kills.
#[derive(Default)]
struct Ahead {
    hours: u32,
    /// The hours were let go by for a publication that no service has answered yet. The clock stands until one has, or
    /// kills would take it further than a publisher goes on after.
    asked: bool,
    published: u32,
}

impl Ahead {
    fn now(&self) -> Timestamp {
        let hour = Duration::from_secs(3600);
        SystemClock::default()
            .now()
            .wall
            .saturating_add(hour * self.hours)
    }

    fn publish(&mut self, http: &Http, hours: u32) -> Result<(), ureq::Error> {
        let hours = match self.asked {
            true => 0,
            false => hours,
        };
        // Counted as done before it is: after a kill the clock is never set back.
        (self.hours, self.asked) = (self.hours + hours, true);
        let asked = json!({ "advance_hours": hours });
        let (status, answer) = http.post_json("/v1/publish", &asked)?;
        assert_eq!(status, 200, "{answer}");
        (self.published, self.asked) = (self.published + 1, false);
        Ok(())
    }
}

#[test]
fn killed_two_hundred_times_nothing_is_lost_and_nothing_published_twice() {
    let seed = env::var("AUTHORITY_KILL_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("AUTHORITY_KILL_SEED={seed}");
    let folder = tempfile::tempdir().unwrap();
    let mut entropy = SeededEntropy::new(seed);
    let mut chance = move |below: u64| {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes).unwrap();
        u64::from_le_bytes(bytes) % below
    };
    let mut ahead = Ahead::default();
    let (hour, day) = unkilled(folder.path(), &mut ahead);
    let mut owners = Vec::new();
    println!("a report and an hour's publication take {hour:?}, with a day's {day:?}");
    let mut reader = Reader::of(folder.path());
    let mut to = None;
    for _ in 0..KILLS {
        let mut service = Process::start(folder.path(), ahead.hours, 0);
        let http = service.http.clone();
        let life_max = LIVES
            * match chance(LONG_LIVES_ONE_IN) {
                0 => day,
                _ => hour,
            };
        let life = life_max.mul_f64(chance(1000) as f64 / 1000.0);
        let killer = thread::spawn(move || {
            thread::sleep(life);
            service.kill();
        });
        while live(&http, &mut to, &mut owners, &mut ahead, chance(6)).is_ok() {}
        killer.join().unwrap();
        reader.read_what_is_new(ahead.now());
    }
    finish(folder.path(), &mut owners, &mut ahead, &mut reader);
}

/// A day in which somebody reports every hour: how long a report and the hour's publication take at the least, and at the most,
/// which is when the day is over and its hours are rolled up.
fn unkilled(data: &Path, ahead: &mut Ahead) -> (Duration, Duration) {
    let service = Process::start(data, ahead.hours, 0);
    let to = service.http.envelope_key().unwrap();
    let hour = |number| {
        let begun = Instant::now();
        let mut owner = Owner::new(number);
        while !matches!(owner.stage, Stage::Accepted) {
            owner.step(&service.http, &to, ahead.now()).unwrap();
        }
        ahead.publish(&service.http, 1).unwrap();
        begun.elapsed()
    };
    let took: Vec<_> = (1..=HOURS).map(hour).collect();
    assert!(service.terminate().success());
    ahead.published = 0;
    (*took.iter().min().unwrap(), *took.iter().max().unwrap())
}

/// One thing that somebody does; `to` is the authority's key, once it is known. There is always somebody who reports: days
/// without are published in no time, and two weeks of them are more than a device may miss.
fn live(
    http: &Http,
    to: &mut Option<AuthorityPublicKey>,
    owners: &mut Vec<Owner>,
    ahead: &mut Ahead,
    chance: u64,
) -> Result<(), ureq::Error> {
    if chance == 0 {
        return ahead.publish(http, 1);
    }
    let to = match to {
        Some(to) => *to,
        None => *to.insert(http.envelope_key()?),
    };
    let now = ahead.now();
    // They report one after the other.
    if owners
        .last()
        .is_none_or(|owner| matches!(owner.stage, Stage::Accepted))
    {
        owners.push(Owner::new(HOURS + owners.len() as u64 + 1));
    }
    let reporting = owners.last_mut();
    reporting.map_or(Ok(()), |owner| owner.step(http, &to, now))
}

/// Everybody ends what he began, a day passes, and each key is read once.
fn finish(data: &Path, owners: &mut [Owner], ahead: &mut Ahead, reader: &mut Reader) {
    let service = Process::start(data, ahead.hours, 0);
    let to = service.http.envelope_key().unwrap();
    let accepted_before = owners
        .iter()
        .filter(|owner| matches!(owner.stage, Stage::Accepted))
        .count();
    for owner in owners.iter_mut() {
        while !matches!(owner.stage, Stage::Accepted) {
            owner.step(&service.http, &to, ahead.now()).unwrap();
        }
    }
    // Else the kills came before anything could be lost.
    let published_before = ahead.published;
    let share = KILLS / 4;
    assert!(
        accepted_before >= share as usize,
        "{accepted_before} of {share}"
    );
    assert!(published_before >= share, "{published_before} of {share}");
    let read = |reader: &Reader| {
        let keys = owners.iter().flat_map(|owner| &owner.keys);
        let cycles = [Cycle::Hourly, Cycle::Daily];
        let read = |key: &&Vec<u8>| {
            let mut either = cycles.into_iter();
            either.any(|cycle| reader.read.contains_key(&((*key).clone(), cycle)))
        };
        keys.filter(read).count()
    };
    let read_before = read(reader);
    // What a kill has interrupted is ended first.
    for hours in [0, 2, 26] {
        ahead.publish(&service.http, hours).unwrap();
        reader.read_what_is_new(ahead.now());
    }
    println!(
        "{KILLS} kills, {} reports, {accepted_before} of them accepted, {published_before} publications and {read_before} keys read in between, {} hours",
        owners.len(),
        ahead.hours
    );
    for owner in owners {
        for key in &owner.keys {
            let times = [Cycle::Hourly, Cycle::Daily].map(|cycle| {
                reader
                    .read
                    .get(&(key.clone(), cycle))
                    .copied()
                    .unwrap_or_default()
            });
            let once = [[1, 0], [0, 1], [1, 1]].contains(&times);
            assert!(once, "report {:?}: {times:?}", ReportId(owner.seed));
        }
    }
    let (_, metrics) = service.http.get("/metrics").unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(metrics.contains("authority_reports_waiting 0"), "{metrics}");
}
