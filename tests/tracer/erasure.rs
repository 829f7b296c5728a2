//! What a tracer forgets, and what is told if it cannot.

use truyvet::engine::Batch;
use truyvet::log::{FileStorage, KeyError, KeyProvider, KeyPurpose, LogOptions};

use super::*;

/// A phone's keystore: while it is locked it gives and takes no key that opens what was heard.
#[derive(Clone)]
struct Keystore {
    keys: Arc<MemoryKey>,
    locked: Arc<AtomicBool>,
}

impl Keystore {
    fn new(locked: bool) -> Self {
        Self {
            keys: Arc::new(MemoryKey::empty()),
            locked: Arc::new(AtomicBool::new(locked)),
        }
    }

    fn lock(&self, locked: bool) {
        self.locked.store(locked, Ordering::SeqCst);
    }

    fn check(&self, purpose: KeyPurpose) -> Result<(), KeyError> {
        match purpose == KeyPurpose::Reading && self.locked.load(Ordering::SeqCst) {
            true => Err(KeyError::Unavailable("the phone is locked".to_owned())),
            false => Ok(()),
        }
    }

    fn reading_key(&self) -> [u8; 32] {
        let key = self.keys.load(KeyPurpose::Reading).unwrap();
        *key.unwrap().expose()
    }
}

impl KeyProvider for Keystore {
    fn load(&self, purpose: KeyPurpose) -> Result<Option<Secret<32>>, KeyError> {
        self.check(purpose)?;
        self.keys.load(purpose)
    }

    fn replace(&self, purpose: KeyPurpose, key: &Secret<32>) -> Result<(), KeyError> {
        self.check(purpose)?;
        self.keys.replace(purpose, key)
    }

    fn erase(&self) -> Result<(), KeyError> {
        self.keys.erase()
    }
}

/// A tracer near nobody.
async fn alone(log: EncounterLog) -> Tracer {
    let clock = Arc::new(SimulatedClock::new(START, 1));
    let builder = Tracer::builder(log, radio::quiet()).clock(clock);
    let builder = builder.advertise(Protocol::gaen());
    builder.start().await.unwrap()
}

fn erasure(event: &Event, wanted: fn(&State) -> bool) -> bool {
    matches!(event, Event::Health(health) if wanted(&health.erasure.state))
}

#[tokio::test(start_paused = true)]
async fn keys_that_could_not_be_renewed_are_renewed_once_the_device_is_unlocked() {
    let (dir, keystore) = (tempfile::tempdir().unwrap(), Keystore::new(false));
    // Made while it is unlocked.
    let log = EncounterLog::open(dir.path(), keystore.clone()).unwrap();
    keystore.lock(true);
    let before = keystore.reading_key();
    let tracer = alone(log).await;
    let mut events = tracer.events();
    let failing = |event: &Event| erasure(event, |state| matches!(state, State::Failing(_)));
    let told = wait_for(&mut events, failing).await;
    let Event::Health(health) = told else {
        panic!("{told:?}")
    };
    assert!(
        health.to_string().contains("the phone is locked"),
        "{health}"
    );
    assert!(health.is_well(), "{health}");
    // Over midnight.
    tokio::time::sleep(Duration::from_secs(20 * 3_600)).await;
    assert_eq!(keystore.reading_key(), before);
    assert!(tracer.log_reader().is_err());
    assert_eq!(tracer.health().log.state, State::Working);
    keystore.lock(false);
    let unlocked = tokio::time::Instant::now();
    let working = |event: &Event| erasure(event, |state| *state == State::Working);
    wait_for(&mut events, working).await;
    assert!(unlocked.elapsed() <= Duration::from_secs(3_601));
    assert_ne!(keystore.reading_key(), before);
    assert!(tracer.log_reader().is_ok());
    tracer.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn keys_that_can_never_be_replaced_are_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let log = EncounterLog::open(dir.path(), key()).unwrap();
    let tracer = alone(log).await;
    let mut events = tracer.events();
    let unsupported =
        |event: &Event| erasure(event, |state| matches!(state, State::Unsupported(_)));
    wait_for(&mut events, unsupported).await;
    let since = tracer.health().erasure.since;
    tokio::time::sleep(Duration::from_secs(3 * 86_400)).await;
    let health = tracer.stop().await.unwrap();
    assert_eq!(health.erasure.since, since);
    assert!(health.to_string().contains("never forgotten"), "{health}");
}

#[tokio::test(start_paused = true)]
async fn own_keys_are_kept_for_as_long_as_the_log_is() {
    let dir = tempfile::tempdir().unwrap();
    let options = LogOptions::default().with_retention_days(3).unwrap();
    let storage = FileStorage::new(dir.path());
    let log = EncounterLog::open_on(storage, key(), options).unwrap();
    let tracer = alone(log).await;
    tokio::time::sleep(Duration::from_secs(6 * 86_400)).await;
    tracer.stop().await.unwrap();
    let keys = LogReader::open(dir.path(), &key()).unwrap().own_keys();
    assert_eq!(keys.unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn sightings_are_stored_in_batches_as_wanted() {
    let air = air();
    let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let other = start(
        dirs[2].path(),
        &air,
        &air.place(0.0, 0.0),
        Protocol::gaen(),
        2,
    )
    .await;
    let mut tracers = Vec::new();
    for (dir, batch) in dirs.iter().zip([
        Batch::new(1, Duration::ZERO),
        Batch::new(4_096, Batch::AGE_MAX),
    ]) {
        let log = EncounterLog::open(dir.path(), key()).unwrap();
        let builder = Tracer::builder(log, air.place(1.0, 0.0).radio());
        let builder = builder.advertise(Protocol::gaen()).batch(batch.unwrap());
        tracers.push(builder.start().await.unwrap());
    }
    tokio::time::sleep(Duration::from_secs(600)).await;
    // They hear the one beside them, and each other.
    assert!(stored(dirs[0].path()).len() >= 36);
    assert_eq!(stored(dirs[1].path()), []);
    for tracer in tracers {
        tracer.stop().await.unwrap();
    }
    assert!(stored(dirs[1].path()).len() >= 36);
    other.stop().await.unwrap();
}
