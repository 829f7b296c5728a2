//! Controllers that begin to advertise only while they do not scan.

use std::sync::Arc;

use tempfile::TempDir;
use truyvet::engine::State;
use truyvet::log::MemoryKey;
use truyvet::radio::bluez::BluezAdvertiser;
use truyvet::radio::{Advertiser, RadioError, Scanner, system};
use truyvet::time::{SimulatedClock, Timestamp};
use truyvet::{EncounterLog, Event, Protocol, Secret, Tracer};

use super::stack::Stack;
use super::{Ears, SLOT, gaen_frame, on, with_bluez};

/// A GAEN identifier lasts one to two tenths of a second.
const SPEED: u32 = 6_000;

const ROTATIONS: usize = 5;

#[test]
fn the_scan_pauses_for_each_rotation() {
    with_bluez(1, async |bluez| {
        bluez.be_strict();
        rotates().await;
    });
}

#[test]
fn the_monitor_pauses_with_the_scan() {
    with_bluez(1, async |bluez| {
        bluez.be_strict();
        bluez.be_experimental();
        rotates().await;
        assert!(bluez.monitored().is_empty());
    });
}

/// A tracer on hci0 whose identifiers are short-lived.
async fn start(directory: &TempDir) -> Tracer {
    let key = MemoryKey::new(Secret::new([3; 32]));
    let log = EncounterLog::open(directory.path(), key).unwrap();
    let clock = SimulatedClock::new(Timestamp::from_unix_seconds(1_795_507_200), SPEED);
    let started = Tracer::builder(log, system(on("hci0")).await.unwrap())
        .advertise(Protocol::gaen())
        .clock(Arc::new(clock))
        .start();
    started.await.unwrap()
}

async fn until_advertising(tracer: &Tracer, is: impl Fn(&State) -> bool) {
    while !is(&tracer.health().advertising.state) {
        tokio::task::yield_now().await;
    }
}

/// Rotates several times while it scans.
async fn rotates() {
    let stack = Stack::open();
    let directory = tempfile::tempdir().unwrap();
    let tracer = start(&directory).await;
    let mut events = tracer.events();
    let mut rotations = 0;
    while rotations < ROTATIONS {
        if let Event::Rotated { .. } = events.next().await.unwrap() {
            rotations += 1;
        }
    }
    until_advertising(&tracer, |state| *state == State::Working).await;
    while !stack.is_discovering("hci0").await {}
    tracer.stop().await.unwrap();
    assert!(!stack.is_discovering("hci0").await);
    assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
}

#[test]
fn a_scan_that_is_refused_does_not_keep_identifiers_from_changing() {
    with_bluez(1, async |bluez| {
        bluez.be_strict();
        let directory = tempfile::tempdir().unwrap();
        let tracer = start(&directory).await;
        let mut events = tracer.events();
        let mut rotations = 0;
        while rotations < 2 * ROTATIONS {
            match events.next().await.unwrap() {
                Event::Rotated { .. } => rotations += 1,
                _ => continue,
            }
            if rotations == ROTATIONS {
                bluez.refuse_scans(u32::MAX);
            }
        }
        tracer.stop().await.unwrap();
    });
}

#[test]
fn another_programs_scan_is_named() {
    with_bluez(1, async |bluez| {
        let stack = Stack::open();
        bluez.be_strict();
        let mut ears = Ears::open("hci0").await;
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let refused = mouth.advertise(&gaen_frame(1), SLOT).await;
        assert!(
            matches!(refused, Err(RadioError::ScanInTheWay)),
            "{refused:?}"
        );
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
        ears.scanner.stop().await.unwrap();
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
    });
}

/// An advertisement that cannot begin is never told to work, whatever came before it.
#[test]
fn health_names_another_programs_scan() {
    with_bluez(1, async |bluez| {
        let stack = Stack::open();
        bluez.be_strict();
        let directory = tempfile::tempdir().unwrap();
        let tracer = start(&directory).await;
        for _ in 0..2 {
            until_advertising(&tracer, |state| *state == State::Working).await;
            stack.scan("hci0", true).await;
            let is_named = |state: &State| match state {
                State::Failing(why) => why.contains("another program's scan"),
                _ => false,
            };
            until_advertising(&tracer, is_named).await;
            stack.scan("hci0", false).await;
        }
        until_advertising(&tracer, |state| *state == State::Working).await;
        tracer.stop().await.unwrap();
    });
}
