//! Radios that fail, hang, die or end.

use super::*;

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

/// A radio that works, and that hears and is heard by nobody: its days are short.
pub(super) fn quiet() -> Radio {
    let half = || Fragile {
        broken: Arc::default(),
        on: Arc::default(),
    };
    Radio::new(half(), half())
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
