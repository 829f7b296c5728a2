//! How many reports a second the service takes on one processor, and how long one waits.
//!
//! A process of the service's own, kept to one processor (`taskset`, where there is one), takes reports that were
//! certified and sealed before the clock was started. First as fast as it can, then with the answer grid as it is chosen.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../tests/service/device.rs"]
#[allow(dead_code)]
mod device;
#[path = "../tests/service/process.rs"]
#[allow(dead_code)]
mod process;

use std::fs;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use truyvet::report::answer::Answer;
use truyvet::report::sealed::SizeClass;
use truyvet::time::{Clock, SystemClock};

use process::{Http, Process};

const REPORTS: u64 = 1_000;
const KEYS: u32 = 14;

/// Connections that send side by side. Chosen: what a proxy holds open.
const CONNECTIONS: usize = 64;

fn main() {
    for grid_ms in [0, 250] {
        let folder = tempfile::tempdir().unwrap();
        let service = Process::start_on(folder.path(), 0, grid_ms, Some("0"));
        let (certified, _) = timed("exchange", &service, exchanges(&service.http));
        let to = service.http.envelope_key().unwrap();
        let envelopes = certified
            .into_iter()
            .map(|(prepared, answer)| {
                let certificate = device::certificate(&answer);
                let report = prepared.authorised(certificate).unwrap();
                ((), report.seal(&to).unwrap())
            })
            .collect();
        println!("answer grid {grid_ms} ms:");
        let (answers, rate) = timed("reports", &service, envelopes);
        for ((), answer) in answers {
            assert_eq!(Answer::from_bytes(&answer).unwrap(), Answer::Accepted);
        }
        println!(
            "  of {KEYS} keys, {} bytes each, {rate:.0} a second",
            SizeClass::Kib4.envelope_bytes()
        );
    }
}

type Prepared = truyvet::report::diagnosis::PreparedReport;

/// As many code exchanges as there will be reports.
fn exchanges(http: &Http) -> Vec<(Prepared, Vec<u8>)> {
    let to = http.envelope_key().unwrap();
    let now = SystemClock::default().now().wall;
    let today = now.utc_day();
    let asked = json!({ "report_type": "confirmed_test", "test_date": today.to_string() });
    let exchange = |seed| {
        let (_, issued) = http.post_json("/v1/codes", &asked).unwrap();
        let code = issued["code"].as_str().unwrap().parse().unwrap();
        let prepared = device::prepare(device::keys(seed, today, KEYS), now);
        let envelope = prepared.code_exchange(&code, &to).unwrap();
        (prepared, envelope)
    };
    (0..REPORTS).map(exchange).collect()
}

/// Sends all envelopes and prints how long it took; what was answered, and how many a second.
fn timed<T: Send>(
    name: &str,
    service: &Process,
    envelopes: Vec<(T, Vec<u8>)>,
) -> (Vec<(T, Vec<u8>)>, f64) {
    let count = envelopes.len();
    let waiting = Mutex::new(envelopes);
    let answered = Mutex::new(Vec::new());
    let used_before = service.processor_time();
    let begun = Instant::now();
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let http = service.http.clone();
                loop {
                    let Some((what, envelope)) = waiting.lock().unwrap().pop() else {
                        return;
                    };
                    let sent = Instant::now();
                    let (status, answer) = http.message(&envelope).unwrap();
                    assert_eq!(status, 200);
                    answered
                        .lock()
                        .unwrap()
                        .push((sent.elapsed(), what, answer));
                }
            });
        }
    });
    let took = begun.elapsed();
    let used = service.processor_time().saturating_sub(used_before);
    let answered = answered.into_inner().unwrap();
    let mut waits: Vec<_> = answered.iter().map(|(wait, ..)| *wait).collect();
    waits.sort();
    let rate = count as f64 / took.as_secs_f64();
    println!(
        "  {name}: {count} in {took:.2?}: {rate:.0} a second by the wall, {:.0} a second of one processor's time; \
         p50 {:.1?}, p99 {:.1?}",
        count as f64 / used.as_secs_f64(),
        waits[count / 2],
        waits[count * 99 / 100],
    );
    let answers = answered.into_iter().map(|(_, what, answer)| (what, answer));
    (answers.collect(), rate)
}

impl Process {
    /// Processor time that it has used. Linux alone says it so.
    fn processor_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // utime and stime, the 14th and 15th of the line, of which two have been cut off.
        let fields = after_name.split(' ').skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(10 * ticks)
    }
}
