//! Whole tracers on the virtual air, under tokio's paused time: simulated hours in moments.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "tracer/clocks.rs"]
mod clocks;
#[path = "tracer/erasure.rs"]
mod erasure;
#[path = "tracer/radio.rs"]
mod radio;
#[path = "tracer/reading.rs"]
mod reading;
#[path = "tracer/schedules.rs"]
mod schedules;
#[path = "tracer/storing.rs"]
mod storing;
#[path = "tracer/witness.rs"]
mod witness;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use truyvet::engine::State;
use truyvet::entropy::SeededEntropy;
use truyvet::exposure::{Exposure, MatchConfig, Matcher, PowerBasis};
use truyvet::log::{EntryKind, LogEntry, LogError, LogReader, MemoryKey};
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::radio::replay::Recording;
use truyvet::radio::{Advertised, Advertiser, Filter, Radio, RadioError, RadioSink, Scanner};
use truyvet::time::{Clock, SimulatedClock, Timestamp};
use truyvet::{
    Advertisement, EncounterLog, Event, Events, Health, Protocol, PublishedKey, Secret, Sighting,
    Tracer, TracerError,
};

/// 2020-08-08T10:05Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_300);

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([3; 32]))
}

fn air() -> Air {
    Air::new(
        AirConfig::default(),
        Arc::new(SimulatedClock::new(START, 1)),
    )
}

async fn start(
    directory: &Path,
    air: &Air,
    device: &AirDevice,
    protocol: Protocol,
    seed: u64,
) -> Tracer {
    Tracer::builder(
        EncounterLog::open(directory, key()).unwrap(),
        device.radio(),
    )
    .advertise(protocol)
    .clock(air.clock())
    .entropy(Box::new(SeededEntropy::new(seed)))
    .start()
    .await
    .unwrap()
}

fn stored(directory: &Path) -> Vec<Sighting> {
    let reader = LogReader::open(directory, &key()).unwrap();
    reader
        .sightings()
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn exposures(directory: &Path, keys: &[PublishedKey]) -> Vec<Exposure> {
    let reader = LogReader::open(directory, &key()).unwrap();
    let matcher = Matcher::from_log(MatchConfig::default(), &reader).unwrap();
    assert!(matcher.damage().is_empty());
    matcher.exposures(keys)
}

async fn release_today(tracer: &Tracer) -> Vec<PublishedKey> {
    let today = START.utc_day();
    tracer.release([today]).await.unwrap()
}

/// Two tracers a metre apart.
async fn side_by_side() -> ([tempfile::TempDir; 2], Tracer, Tracer) {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let first = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
    let second = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    (dirs, first, second)
}

async fn wait_for(events: &mut Events, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        match events.next().await {
            Some(event) if wanted(&event) => return event,
            Some(_) => {}
            None => panic!("the tracer ended"),
        }
    }
}

/// Two tracers two metres apart for 40 minutes, then out of range for 20; a third out of range all
/// the time.
async fn an_hour(protocol: Protocol) {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [(0.0, 0.0), (2.0, 0.0), (9_000.0, 0.0)].map(|(x, y)| air.place(x, y));
    let mut tracers = Vec::new();
    for (seed, (dir, device)) in dirs.iter().zip(&devices).enumerate() {
        let seed = seed as u64;
        tracers.push(start(dir.path(), &air, device, protocol.clone(), seed).await);
    }
    tokio::time::sleep(Duration::from_secs(40 * 60)).await;
    devices[1].move_to(-9_000.0, 0.0);
    tokio::time::sleep(Duration::from_secs(20 * 60)).await;

    let mut published = Vec::new();
    for tracer in tracers {
        assert!(tracer.health().is_well(), "{}", tracer.health());
        published.push(release_today(&tracer).await);
        tracer.stop().await.unwrap();
    }

    // Both identifiers of every slot are in the log.
    let ids: HashSet<_> = stored(dirs[0].path())
        .iter()
        .map(|sighting| sighting.id)
        .collect();
    // Bluezone's slots are everybody's; GAEN's last 10 to 20 minutes.
    let slots = match protocol {
        Protocol::Bluezone(_) => 3..=3,
        _ => 3..=5,
    };
    assert!(slots.contains(&ids.len()), "{} identifiers", ids.len());

    let found = exposures(dirs[0].path(), &published[1]);
    let [exposure] = &found[..] else {
        panic!("{found:?}")
    };
    let minutes = exposure.duration.as_secs_f64() / 60.0;
    assert!((39.5..=40.2).contains(&minutes), "{minutes}");
    assert_eq!(exposure.day, START.utc_day());
    // -59 dBm at a metre, 6 dB less at two, 7.5 dB of noise averaged away.
    assert_eq!(exposure.rssi.unwrap().mean.dbm(), -65);
    let attenuation = exposure.attenuation.unwrap();
    match protocol {
        Protocol::Bluezone(_) => {
            assert_eq!(attenuation.basis, PowerBasis::Assumed);
            assert_eq!(attenuation.mean.db(), 50);
        }
        _ => {
            let confidence = Some(0);
            assert_eq!(attenuation.basis, PowerBasis::Advertised { confidence });
            assert_eq!(attenuation.mean.db(), 39);
        }
    }

    // The other way round too, and nothing to or from the stranger.
    assert_eq!(exposures(dirs[1].path(), &published[0]).len(), 1);
    assert_eq!(exposures(dirs[0].path(), &published[2]), []);
    assert_eq!(exposures(dirs[2].path(), &published[0]), []);
    assert_eq!(stored(dirs[2].path()), []);
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_bluezone() {
    an_hour(Protocol::bluezone()).await;
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_gaen() {
    an_hour(Protocol::gaen()).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_seeds_give_the_same_log() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let air = air();
        let devices = [air.place(0.0, 0.0), air.place(3.0, 0.0)];
        let first = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
        // The air is the same if things happen in the same order; two starts at once have none.
        let mut events = first.events();
        wait_for(&mut events, |event| matches!(event, Event::Rotated { .. })).await;
        let second = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
        tokio::time::sleep(Duration::from_secs(1_800)).await;
        first.stop().await.unwrap();
        second.stop().await.unwrap();
        runs.push(stored(dirs[0].path()));
    }
    assert!(runs[0].len() > 50);
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test(start_paused = true)]
async fn both_protocols_are_heard_while_one_is_advertised() {
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let log = EncounterLog::open(dirs[0].path(), key()).unwrap();
    let listener = Tracer::builder(log, air.place(0.0, 0.0).radio())
        .also_listen(Protocol::gaen())
        .clock(air.clock())
        .start()
        .await
        .unwrap();
    let bluezone = air.place(1.0, 0.0);
    let bluezone = start(dirs[1].path(), &air, &bluezone, Protocol::bluezone(), 2).await;
    let gaen = air.place(0.0, 1.0);
    let gaen = start(dirs[2].path(), &air, &gaen, Protocol::gaen(), 3).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    listener.stop().await.unwrap();
    bluezone.stop().await.unwrap();
    gaen.stop().await.unwrap();
    let protocols: HashSet<_> = stored(dirs[0].path()).iter().map(|s| s.protocol).collect();
    assert_eq!(protocols.len(), 2);
    let protocols: HashSet<_> = stored(dirs[1].path()).iter().map(|s| s.protocol).collect();
    assert_eq!(protocols.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_app_is_told_what_happens() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let tracer = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
    let mut events = tracer.events();
    assert!(matches!(events.next().await, Some(Event::Health(_))));
    let other = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    wait_for(&mut events, |event| {
        matches!(event, Event::NeighbourAppeared { .. })
    })
    .await;
    let grown = wait_for(&mut events, |event| {
        matches!(event, Event::ContactGrowing { .. })
    })
    .await;
    let Event::ContactGrowing { duration, .. } = grown else {
        panic!("{grown:?}")
    };
    assert!((29..=31).contains(&duration.as_secs()), "{duration:?}");
    wait_for(&mut events, |event| matches!(event, Event::Rotated { .. })).await;
    other.stop().await.unwrap();
    wait_for(&mut events, |event| {
        matches!(event, Event::NeighbourLeft { .. })
    })
    .await;
    tracer.stop().await.unwrap();
    while events.next().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn an_app_that_does_not_listen_is_told_how_much_it_missed() {
    let (_dirs, tracer, other) = side_by_side().await;
    let mut events = tracer.events();
    // Two sightings a minute: the queue of 1,024 overflows after some nine hours.
    tokio::time::sleep(Duration::from_secs(12 * 3_600)).await;
    for _ in 0..1_024 {
        assert!(!matches!(
            events.next().await,
            Some(Event::Missed(_)) | None
        ));
    }
    let Event::Missed(missed) =
        wait_for(&mut events, |event| matches!(event, Event::Missed(_))).await
    else {
        panic!("no count")
    };
    assert!(missed > 100, "{missed}");
    tracer.stop().await.unwrap();
    other.stop().await.unwrap();
}

#[test]
fn handles_can_be_sent_and_shared() {
    fn send_and_sync<T: Send + Sync + 'static>() {}
    fn send<T: Send + 'static>() {}
    send_and_sync::<Tracer>();
    send_and_sync::<EncounterLog>();
    send_and_sync::<LogReader>();
    send_and_sync::<Matcher>();
    send_and_sync::<Air>();
    send_and_sync::<SimulatedClock>();
    send_and_sync::<RadioSink>();
    send::<Events>();
    send::<Radio>();
    send::<truyvet::Engine>();
    let clock: Box<dyn Clock> = Box::new(truyvet::time::SystemClock::default());
    assert!(clock.now().wall > START);
}
