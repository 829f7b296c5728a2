//! Whole tracers on the virtual air, under tokio's paused time: simulated hours in moments.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "tracer/reading.rs"]
mod reading;
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
use truyvet::log::{LogReader, MemoryKey};
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
    tracer.release(today, today).await.unwrap()
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

#[tokio::test(start_paused = true)]
async fn a_dropped_tracer_stores_what_it_held() {
    let (dirs, tracer, other) = side_by_side().await;
    let mut events = tracer.events();
    tokio::time::sleep(Duration::from_secs(10)).await;
    drop(tracer);
    while events.next().await.is_some() {}
    assert_eq!(stored(dirs[0].path()).len(), 1);
    other.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_recording_is_played_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for second in 0..100 {
        let time = START.unix_millis() + second * 1_000;
        let frame = format!("0fffb522{}", "0a".repeat(12));
        text += &format!("{{\"time_ms\":{time},\"rssi_dbm\":-70,\"frame\":\"{frame}\"}}\n");
    }
    let recording = Recording::parse(&text).unwrap();
    let clock = Arc::new(SimulatedClock::new(recording.start(), 10));
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let tracer = Tracer::builder(log, recording.radio())
        .clock(clock)
        .start()
        .await
        .unwrap();
    let mut events = tracer.events();
    wait_for(&mut events, |event| *event == Event::RadioFinished).await;
    assert!(matches!(
        tracer.health().advertising.state,
        State::Unsupported(_)
    ));
    tracer.stop().await.unwrap();
    let sightings = stored(dir.path());
    assert_eq!(sightings.iter().map(|s| s.frames).sum::<u16>(), 100);
    assert_eq!(sightings[0].first, START);
}

/// A radio whose both halves fail while `broken`, and that says what is on.
struct Fragile {
    broken: Arc<AtomicBool>,
    on: Arc<AtomicBool>,
}

impl Fragile {
    fn result(&self, on: bool) -> Result<(), RadioError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(RadioError::NoAdapter);
        }
        self.on.store(on, Ordering::SeqCst);
        Ok(())
    }
}

impl Scanner for Fragile {
    async fn start(&mut self, _: Filter, _: RadioSink) -> Result<(), RadioError> {
        self.result(true)
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        self.result(false)
    }
}

impl Advertiser for Fragile {
    async fn advertise(
        &mut self,
        _: &Advertisement,
        _: Duration,
    ) -> Result<Advertised, RadioError> {
        self.result(true).map(|()| Advertised::default())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        self.result(false)
    }
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_comes_back_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let broken = Arc::new(AtomicBool::new(true));
    let [scanning, advertising] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
    let half = |on: &Arc<AtomicBool>| Fragile {
        broken: Arc::clone(&broken),
        on: Arc::clone(on),
    };
    let radio = Radio::new(half(&scanning), half(&advertising));
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let clock = Arc::new(SimulatedClock::new(START, 1));
    let tracer = Tracer::builder(log, radio)
        .clock(clock)
        .start()
        .await
        .unwrap();
    let mut events = tracer.events();
    let health = |wanted: fn(&Health) -> bool| move |event: &Event| matches!(event, Event::Health(health) if wanted(health));
    let failing = |health: &Health| matches!(&health.scanning.state, State::Failing(why) if why.contains("no Bluetooth adapter"));
    wait_for(&mut events, health(failing)).await;
    broken.store(false, Ordering::SeqCst);
    let well = |health: &Health| {
        health.scanning.state == State::Working && health.advertising.state == State::Working
    };
    wait_for(&mut events, health(well)).await;
    assert!(scanning.load(Ordering::SeqCst) && advertising.load(Ordering::SeqCst));
    tracer.stop().await.unwrap();
    assert!(!scanning.load(Ordering::SeqCst) && !advertising.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_fails_is_told_and_loses_nothing_if_it_recovers() {
    let root = tempfile::tempdir().unwrap();
    let (home, away) = (root.path().join("log"), root.path().join("away"));
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let other = start(dir.path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let tracer = start(&home, &air, &devices[0], Protocol::gaen(), 1).await;
    let mut events = tracer.events();
    let working = |event: &Event| matches!(event, Event::Health(health) if health.log.state == State::Working);
    wait_for(&mut events, working).await;
    // The segment is not made before the first batch, so its directory can be taken away.
    std::fs::rename(&home, &away).unwrap();
    let failing = |event: &Event| matches!(event, Event::Health(health) if matches!(health.log.state, State::Failing(_)));
    wait_for(&mut events, failing).await;
    std::fs::rename(&away, &home).unwrap();
    wait_for(&mut events, working).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let sightings = tracer.health().counters.sightings;
    tracer.stop().await.unwrap();
    other.stop().await.unwrap();
    let found = stored(&home);
    assert!(found.len() as u64 >= sightings);
    let covered = found.last().unwrap().last.since(found[0].first);
    assert!(covered >= Duration::from_secs(300), "{covered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_log_that_stays_broken_is_an_error_at_the_end() {
    let root = tempfile::tempdir().unwrap();
    let home = root.path().join("log");
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let other = start(dir.path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let tracer = start(&home, &air, &devices[0], Protocol::gaen(), 1).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    std::fs::remove_dir_all(&home).unwrap();
    let error = tracer.stop().await.unwrap_err();
    assert!(
        matches!(error, TracerError::NotStored { sightings: 1, .. }),
        "{error}"
    );
    other.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_are_not_given_out_if_the_log_cannot_record_it() {
    let root = tempfile::tempdir().unwrap();
    let (home, away) = (root.path().join("log"), root.path().join("away"));
    let air = air();
    let tracer = start(&home, &air, &air.place(0.0, 0.0), Protocol::gaen(), 1).await;
    let mut events = tracer.events();
    wait_for(&mut events, |event| matches!(event, Event::Rotated { .. })).await;
    std::fs::rename(&home, &away).unwrap();
    let today = START.utc_day();
    let error = tracer.release(today, today).await.unwrap_err();
    assert!(matches!(error, TracerError::NotReleased), "{error}");
    std::fs::rename(&away, &home).unwrap();
    assert_eq!(release_today(&tracer).await.len(), 1);
    tracer.stop().await.unwrap();
    let keys = LogReader::open(&home, &key()).unwrap().own_keys().unwrap();
    assert!(keys[0].is_released());
}

#[tokio::test(start_paused = true)]
async fn frames_that_wait_when_the_end_is_asked_for_are_stored() {
    struct Burst;
    impl Scanner for Burst {
        async fn start(&mut self, _: Filter, sink: RadioSink) -> Result<(), RadioError> {
            let mut frame = Advertisement::new();
            frame.push_manufacturer_data(0x22B5, &[9; 12]).unwrap();
            for _ in 0..1_000 {
                sink.heard(frame, None);
            }
            Ok(())
        }

        async fn stop(&mut self) -> Result<(), RadioError> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let clock = Arc::new(SimulatedClock::new(START, 1));
    let builder = Tracer::builder(log, Radio::scan_only(Burst, "a burst")).clock(clock);
    let health = builder.start().await.unwrap().stop().await.unwrap();
    assert_eq!(health.counters.frames, 1_000);
    assert_eq!(stored(dir.path())[0].frames, 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_radio_that_never_answers_stops_nothing_else() {
    struct Silent;
    impl Advertiser for Silent {
        async fn advertise(
            &mut self,
            _: &Advertisement,
            _: Duration,
        ) -> Result<Advertised, RadioError> {
            std::future::pending().await
        }

        async fn stop(&mut self) -> Result<(), RadioError> {
            std::future::pending().await
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let on = Arc::new(AtomicBool::new(false));
    let scanner = Fragile {
        broken: Arc::new(AtomicBool::new(false)),
        on: Arc::clone(&on),
    };
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let clock = Arc::new(SimulatedClock::new(START, 1));
    let builder = Tracer::builder(log, Radio::new(scanner, Silent)).clock(clock);
    let tracer = builder.start().await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let state = tracer.health().advertising.state;
    assert!(
        matches!(&state, State::Failing(why) if why.contains("does not answer")),
        "{state}"
    );
    assert!(on.load(Ordering::SeqCst));
    let error = tracer.stop().await.unwrap_err();
    assert!(matches!(error, TracerError::StillAdvertising(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_day_that_cannot_be_stored_does_not_hold_the_others_up() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let start_time = Timestamp::from_unix_millis(START.utc_day().end().unix_millis() - 600_000);
    let air = Air::new(
        AirConfig::default(),
        Arc::new(SimulatedClock::new(start_time, 1)),
    );
    let devices = [air.place(0.0, 0.0), air.place(1.0, 0.0)];
    let other = start(dirs[1].path(), &air, &devices[1], Protocol::gaen(), 2).await;
    let tracer = start(dirs[0].path(), &air, &devices[0], Protocol::gaen(), 1).await;
    // The last number a segment of the day can have.
    std::fs::write(dirs[0].path().join("2020-08-08.9999.segment"), []).unwrap();
    tokio::time::sleep(Duration::from_secs(1_200)).await;
    other.stop().await.unwrap();
    let error = tracer.stop().await.unwrap_err();
    assert!(matches!(error, TracerError::NotStored { .. }), "{error}");
    let days: HashSet<_> = stored(dirs[0].path())
        .iter()
        .map(|s| s.first.utc_day())
        .collect();
    assert_eq!(days, HashSet::from([start_time.utc_day().end().utc_day()]));
}

#[tokio::test(start_paused = true)]
async fn a_segment_that_cannot_be_deleted_is_told_until_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    let expired = dir.path().join("2020-07-01.0000.segment");
    std::fs::create_dir(&expired).unwrap();
    let tracer = start(dir.path(), &air, &air.place(0.0, 0.0), Protocol::gaen(), 1).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let state = tracer.health().log.state;
    assert!(
        matches!(&state, State::Failing(why) if why.contains("2020-07-01")),
        "{state}"
    );
    // What is in its way goes away: a file can be deleted.
    std::fs::remove_dir(&expired).unwrap();
    std::fs::write(&expired, []).unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(tracer.health().log.state, State::Working);
    assert!(!expired.exists());
    tracer.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tracer_that_has_died_says_so() {
    struct Fatal;
    impl Scanner for Fatal {
        async fn start(&mut self, _: Filter, _: RadioSink) -> Result<(), RadioError> {
            panic!("a bug in an app's radio")
        }

        async fn stop(&mut self) -> Result<(), RadioError> {
            Ok(())
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let builder = Tracer::builder(log, Radio::scan_only(Fatal, "fatal"));
    let tracer = builder.start().await.unwrap();
    let mut events = tracer.events();
    while events.next().await.is_some() {}
    assert!(!tracer.health().is_well());
    assert!(matches!(tracer.stop().await, Err(TracerError::Ended)));
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
