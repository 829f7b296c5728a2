//! A tracer with a second adapter that listens to it.

use super::*;

/// A second adapter, which is the app's own.
struct Beside(AirDevice);

impl Scanner for Beside {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        self.0.listen(Some((filter, sink)));
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        self.0.listen(None);
        Ok(())
    }
}

/// One that never answers.
struct Hung;

impl Scanner for Hung {
    async fn start(&mut self, _: Filter, _: RadioSink) -> Result<(), RadioError> {
        std::future::pending().await
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        std::future::pending().await
    }
}

async fn traced(radio: Radio, directory: &Path) -> Tracer {
    Tracer::builder(EncounterLog::open(directory, key()).unwrap(), radio)
        .advertise(Protocol::gaen())
        .entropy(Box::new(SeededEntropy::new(1)))
        .start()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_witness_hears_the_own_identifier_and_logs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    let own = air.place(0.0, 0.0);
    let radio = own.radio().with_witness(Beside(air.place(0.1, 0.0)));
    let tracer = traced(radio, dir.path()).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let health = tracer.stop().await.unwrap();
    let heard = health.own_heard.unwrap();
    assert!(air.clock().now().wall.since(heard) < Duration::from_secs(10));
    assert_eq!(health.counters.frames, 0);
    assert!(stored(dir.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_witness_that_hangs_delays_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let air = air();
    let own = air.place(0.0, 0.0);
    let tracer = traced(own.radio().with_witness(Hung), dir.path()).await;
    let begun = tokio::time::Instant::now();
    let mut events = tracer.events();
    wait_for(&mut events, |event| match event {
        Event::Health(health) => health.advertising.state == State::Working,
        _ => false,
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(1));
    tracer.stop().await.unwrap();
}
