//! Identifiers offered and read over connections, on the real Bluetooth stack. They run on the bed with
//! controllers that have connections, see CONTRIBUTING.md.
#![cfg(all(feature = "ble", target_os = "linux"))]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use truyvet::engine::State;
use truyvet::log::{LogReader, MemoryKey};
use truyvet::protocol::bluezone::WireProfile;
use truyvet::radio::{Caveat, SystemOptions, system};
use truyvet::sighting::Source;
use truyvet::time::{Clock, SimulatedClock, Timestamp};
use truyvet::{EncounterLog, EphemeralId, Health, Protocol, Secret, Sighting, Tracer};

/// How long anything may take. Chosen: an emulated machine under load, many times over.
const DEADLINE: Duration = Duration::from_secs(90);

/// 2026-11-24T08:14:20Z: a slot of Bluezone ends forty seconds later.
const START: Timestamp = Timestamp::from_unix_seconds(1_795_508_060);

struct Side {
    tracer: Tracer,
    directory: TempDir,
}

impl Side {
    async fn start(
        adapter: &str,
        clock: &Arc<dyn Clock>,
        change: impl FnOnce(&mut SystemOptions),
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = EncounterLog::open(directory.path(), key()).unwrap();
        let mut options = SystemOptions::default();
        options.adapter = Some(adapter.to_owned());
        change(&mut options);
        let radio = system(options).await.unwrap();
        let tracer = Tracer::builder(log, radio)
            .advertise(Protocol::bluezone())
            .clock(Arc::clone(clock))
            .start()
            .await
            .unwrap();
        Self { tracer, directory }
    }

    async fn until(&self, what: &str, condition: impl Fn(&Health) -> bool) {
        let mut events = self.tracer.events();
        let reached = async {
            while !condition(&self.tracer.health()) {
                // Whatever happens, the health may have changed with it.
                let _ = tokio::time::timeout(Duration::from_millis(100), events.next()).await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, reached).await;
        assert!(
            in_time.is_ok(),
            "still waiting: {what}; {} {:?}",
            self.tracer.health(),
            self.tracer.health().counters
        );
    }

    async fn stop(self) -> Vec<Sighting> {
        let health = self.tracer.stop().await.unwrap();
        println!("{:?}", health.counters);
        let reader = LogReader::open(self.directory.path(), &key()).unwrap();
        let sightings = reader.sightings().unwrap();
        sightings.collect::<Result<_, _>>().unwrap()
    }
}

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([3; 32]))
}

fn works(health: &Health) -> bool {
    health.scanning.state == State::Working && health.advertising.state == State::Working
}

/// `bluetoothd` keeps a folder for each adapter; in it, a folder for each device that it has connected to,
/// and one file of a cache.
fn assert_nothing_is_remembered() {
    for adapter in fs::read_dir("/var/lib/bluetooth").unwrap() {
        for entry in fs::read_dir(adapter.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(
                path.is_file() || is_empty_folder(&path),
                "{}",
                path.display()
            );
        }
    }
}

fn is_empty_folder(path: &Path) -> bool {
    fs::read_dir(path).unwrap().next().is_none()
}

#[tokio::test]
#[ignore = "needs the bed with btvirt"]
async fn an_identifier_is_offered_read_once_a_slot_and_forgotten_by_bluez() {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::new(START, 1));
    let offering = Side::start("hci0", &clock, |options| {
        options.gatt_server = Some(WireProfile::default());
    })
    .await;
    offering.until("the server works", works).await;
    let advertised = offering.tracer.health().advertised.unwrap();
    let linkable = |caveat: &Caveat| matches!(caveat, Caveat::LinkableAddress { .. });
    assert!(advertised.caveats.iter().any(linkable));
    let reading = Side::start("hci1", &clock, |options| options.read_identifiers = true).await;
    reading.until("the reader works", works).await;
    let read = |times: u64| move |health: &Health| health.counters.reads >= times;
    reading.until("the first read", read(1)).await;
    reading.until("the second slot's read", read(2)).await;
    let today = START.utc_day();
    let keys = offering.tracer.release([today]).await.unwrap();
    let stored = reading.stop().await;
    offering.stop().await;
    let mut own = HashSet::new();
    keys[0].for_each_candidate(|candidate| {
        own.insert(candidate.id);
    });
    let ids: HashSet<EphemeralId> = stored.iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids.is_subset(&own));
    for sighting in &stored {
        assert_eq!(sighting.source, Source::GattRead);
    }
    assert_nothing_is_remembered();
}
