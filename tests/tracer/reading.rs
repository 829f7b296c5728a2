//! A tracer whose radio reads from peers.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use truyvet::protocol::bluezone::WireProfile;
use truyvet::radio::{GattReader, GattRequest, Peer};
use truyvet::sighting::Source;

use super::*;

const PHONE: Peer = Peer::from_system_id([1; 16]);
const DEADLY_PHONE: Peer = Peer::from_system_id([3; 16]);
const OTHER_PHONE: Peer = Peer::from_system_id([2; 16]);

/// The app's own Bluetooth: what it hears is what a test hands to its sink.
#[derive(Clone, Default)]
struct Host {
    sink: Arc<Mutex<Option<RadioSink>>>,
    reads: Arc<AtomicUsize>,
    disconnected: Arc<AtomicUsize>,
}

/// Reads `PHONE` at once; it dies of `DEADLY_PHONE`, and any other keeps it waiting for ever.
struct HostReader(Host);

impl Host {
    /// A tracer that scans, and what happens from then on.
    async fn start(&self, directory: &Path) -> (Tracer, Events) {
        let log = EncounterLog::open(directory, key()).unwrap();
        let radio = Radio::scan_only(self.clone(), "a listener");
        let clock = Arc::new(SimulatedClock::new(START, 1));
        let builder = Tracer::builder(log, radio.with_reader(HostReader(self.clone())));
        let tracer = builder.clock(clock).start().await.unwrap();
        let mut events = tracer.events();
        scans(&mut events).await;
        (tracer, events)
    }

    fn hear(&self, peer: Peer) {
        let mut frame = Advertisement::new();
        let service = WireProfile::default().ios_service;
        frame.push_service_uuid128(service).unwrap();
        let sink = self.sink.lock().unwrap();
        sink.as_ref().unwrap().heard_from(peer, frame, None);
    }

    fn disconnected(&self) -> usize {
        self.disconnected.load(Ordering::SeqCst)
    }
}

impl Scanner for Host {
    async fn start(&mut self, _: Filter, sink: RadioSink) -> Result<(), RadioError> {
        *self.sink.lock().unwrap() = Some(sink);
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        Ok(())
    }
}

impl GattReader for HostReader {
    async fn read(&mut self, request: GattRequest) -> Result<Vec<u8>, RadioError> {
        self.0.reads.fetch_add(1, Ordering::SeqCst);
        match request.peer {
            PHONE => Ok(vec![7; 12]),
            DEADLY_PHONE => panic!("as the test wants"),
            _ => std::future::pending().await,
        }
    }

    async fn disconnect(&mut self) {
        self.0.disconnected.fetch_add(1, Ordering::SeqCst);
    }
}

async fn appears(events: &mut Events) {
    wait_for(events, |event| {
        matches!(event, Event::NeighbourAppeared { .. })
    })
    .await;
}

async fn scans(events: &mut Events) {
    wait_for(events, |event| match event {
        Event::Health(health) => health.scanning.state == State::Working,
        _ => false,
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_read_from_a_phone_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::default();
    let (tracer, mut events) = host.start(dir.path()).await;
    host.hear(PHONE);
    appears(&mut events).await;
    tracer.stop().await.unwrap();
    let stored = stored(dir.path());
    assert_eq!(stored[0].source, Source::GattRead);
    assert_eq!(stored[0].id, truyvet::EphemeralId::from([7; 12]));
    assert_eq!(host.disconnected(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_phone_that_never_answers_is_given_up_and_others_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::default();
    let (tracer, mut events) = host.start(dir.path()).await;
    host.hear(OTHER_PHONE);
    while host.disconnected() == 0 {
        // Simulated: it leaps to the time limit.
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    host.hear(PHONE);
    appears(&mut events).await;
    let counters = tracer.stop().await.unwrap().counters;
    assert_eq!((counters.reads, counters.failed_reads), (1, 1));
    assert_eq!(host.disconnected(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_a_read_but_for_its_connection_to_end() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::default();
    let (tracer, _events) = host.start(dir.path()).await;
    host.hear(OTHER_PHONE);
    while host.reads.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    let before = tokio::time::Instant::now();
    tracer.stop().await.unwrap();
    assert_eq!(host.disconnected(), 1);
    assert!(before.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_has_died_shows() {
    let dir = tempfile::tempdir().unwrap();
    let host = Host::default();
    let (tracer, _events) = host.start(dir.path()).await;
    host.hear(DEADLY_PHONE);
    let state = loop {
        tokio::task::yield_now().await;
        let reading = tracer.health().reading.unwrap();
        if reading.state != State::Stopped {
            break reading.state;
        }
    };
    let State::Failing(reason) = state else {
        panic!("{state:?}")
    };
    assert!(reason.contains("has died"), "{reason}");
    tracer.stop().await.unwrap();
}
