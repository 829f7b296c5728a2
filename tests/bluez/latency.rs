//! How long a frame takes from BlueZ's signal to the app. Nothing is asserted of it; the figures come with
//! `cargo test --release --test bluez latency -- --nocapture`.

use std::time::Instant;

use tempfile::TempDir;
use truyvet::log::MemoryKey;
use truyvet::{EncounterLog, Event, Events, Tracer};

use super::*;

const FRAMES: usize = 200;
const DEVICES: u32 = 50;

fn print(what: &str, mut taken: Vec<Duration>) {
    taken.sort_unstable();
    let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
    println!(
        "{what}: median {:?}, 90 % within {:?}, longest {:?} of {}",
        at(50),
        at(90),
        at(100),
        taken.len(),
    );
}

async fn started() -> (Tracer, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let key = MemoryKey::new(Secret::new([3; 32]));
    let log = EncounterLog::open(directory.path(), key).unwrap();
    let radio = system(on("hci1")).await.unwrap();
    let builder = Tracer::builder(log, radio).also_listen(Protocol::gaen());
    (builder.start().await.unwrap(), directory)
}

async fn appeared(events: &mut Events, frame: &Advertisement) {
    while !matches!(
        events.next().await.unwrap(),
        Event::NeighbourAppeared { id, .. } if id == identifier(frame)
    ) {}
}

#[test]
fn latency_of_a_neighbour_that_is_known() {
    with_bluez(2, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.hear_from(&mut mouth, &gaen_frame(1)).await;
        // The fake tells of a frame every 20 ms, so the last it has told of is the one that is heard.
        let mut taken = Vec::new();
        while taken.len() < FRAMES {
            ears.hear(&gaen_frame(1)).await;
            taken.push(Instant::now().duration_since(bluez.told()));
        }
        print("signal to radio event, of a known neighbour", taken);
    });
}

#[test]
fn latency_of_a_neighbour_that_is_new() {
    with_bluez(2, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let (tracer, _directory) = started().await;
        let mut events = tracer.events();
        let mut taken = Vec::new();
        for interval in 1..=DEVICES {
            let frame = gaen_frame(interval);
            mouth.advertise(&frame, SLOT).await.unwrap();
            appeared(&mut events, &frame).await;
            taken.push(Instant::now().duration_since(bluez.told()));
        }
        tracer.stop().await.unwrap();
        print("signal to `NeighbourAppeared`, of a new one", taken);
    });
}
