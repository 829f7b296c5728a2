//! A storm of addresses, out of a BlueZ in a process of its own: memory is the tracer's alone.

use std::fs;
use std::io::{BufRead, BufReader, Write, stdin};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use truyvet::engine::State;
use truyvet::log::MemoryKey;
use truyvet::radio::system;
use truyvet::{EncounterLog, EphemeralId, Event, Protocol, Secret, Tracer};

use super::fake::Fake;
use super::on;
use super::private_bus::with_bus;

const TEST: &str = "storm::fifty_thousand_addresses";

const ADDRESSES: u32 = 50_000;

/// Those who come after the storm, one after the other until one is heard.
const AFTERWARDS: u32 = 10_000;

/// How often one of them comes.
const INTERVAL: Duration = Duration::from_millis(20);

/// How much more memory there may be at any time than before. Chosen: some queues, and the neighbours,
/// hold 4,096 of some hundred bytes each; the storm as a whole has ten times as many.
const GROWTH_MAX_KIB: u64 = 16_384;

/// Tells the process that is BlueZ.
const IS_BLUEZ: &str = "TRUYVET_TEST_STORM";

const READY: &str = "ready";

#[test]
fn fifty_thousand_addresses() {
    with_bus(TEST, |bus| async move {
        match std::env::var_os(IS_BLUEZ) {
            Some(_) => storm(&bus).await,
            None => endure().await,
        }
    });
}

/// GAEN's identifier and metadata of a device of the storm.
fn data_of(number: u32) -> Vec<u8> {
    let mut data = vec![0x5a; 20];
    data[..4].copy_from_slice(&number.to_be_bytes());
    data
}

/// The number of the device with this identifier.
fn number_of(id: &EphemeralId) -> Option<u32> {
    let (number, rest) = id.as_bytes().split_first_chunk()?;
    let is_ours = rest.iter().all(|byte| *byte == 0x5a);
    is_ours.then_some(u32::from_be_bytes(*number))
}

/// BlueZ: waits to be told to begin, and ends when its standard input does.
async fn storm(bus: &str) {
    let bluez = Fake::start(bus, 1).await;
    println!("{READY}");
    let line = || tokio::task::spawn_blocking(|| stdin().lock().read_line(&mut String::new()));
    line().await.unwrap().unwrap();
    let begun = Instant::now();
    bluez.storm(0..ADDRESSES, data_of);
    println!("the storm lasts {:.1?}", begun.elapsed());
    let mut ended = line();
    let mut interval = tokio::time::interval(INTERVAL);
    for number in ADDRESSES..ADDRESSES + AFTERWARDS {
        tokio::select! {
            _ = &mut ended => return,
            _ = interval.tick() => bluez.storm(number..number + 1, data_of),
        }
    }
}

struct Bluez {
    process: Child,
    orders: ChildStdin,
}

impl Bluez {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(IS_BLUEZ, "")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with(READY)));
        // What else it says is figures, and nobody may have it wait to be read.
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| println!("{line}"))
        });
        let orders = process.stdin.take().unwrap();
        Self { process, orders }
    }
}

/// A line of this process's `status`, in KiB.
fn memory_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn scans(event: &Event) -> bool {
    matches!(event, Event::Health(health) if health.scanning.state == State::Working)
}

/// A tracer on hci0: waits until it scans, has the storm begin, and waits until somebody is heard who
/// came after it.
async fn endure() {
    let mut bluez = Bluez::start();
    let directory = tempfile::tempdir().unwrap();
    let key = MemoryKey::new(Secret::new([3; 32]));
    let log = EncounterLog::open(directory.path(), key).unwrap();
    let started = Tracer::builder(log, system(on("hci0")).await.unwrap())
        .also_listen(Protocol::gaen())
        .start();
    let tracer = started.await.unwrap();
    let mut events = tracer.events();
    while !scans(&events.next().await.unwrap()) {}

    let before = memory_kib("VmRSS:");
    bluez.orders.write_all(b"go\n").unwrap();
    let is_last = |event: Event| match event {
        Event::NeighbourAppeared { id, .. } => number_of(&id) >= Some(ADDRESSES),
        _ => false,
    };
    while !is_last(events.next().await.unwrap()) {}
    let after = memory_kib("VmRSS:");
    drop(bluez.orders);
    assert!(bluez.process.wait().unwrap().success());

    let counters = tracer.stop().await.unwrap().counters;
    let most = memory_kib("VmHWM:");
    println!("{before} KiB before, {after} KiB after, {most} KiB at most; {counters:?}");
    assert!(most <= before + GROWTH_MAX_KIB);
    // Whatever is not heard is counted.
    let told = counters.frames + counters.dropped_frames + counters.missed_frames;
    let all = u64::from(ADDRESSES)..u64::from(ADDRESSES + AFTERWARDS);
    assert!(all.contains(&told), "{told}");
}
