//! Runs on the virtual air: what is written is read again, by the reader of our form and by that of Herald's.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use truyvet::field::evaluation::{ContactEvent, Evaluation};
use truyvet::field::herald::{ContactsReader, Detection, What, battery_levels};
use truyvet::field::participants::{Participant, TestKey};
use truyvet::field::readings::{FieldError, FieldTest};
use truyvet::field::recorder::{Recorder, RunStart};
use truyvet::field::sightings::DeviceState;
use truyvet::field::tap::{Tapped, tap};
use truyvet::log::MemoryKey;
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::time::{SimulatedClock, Timestamp};
use truyvet::{EncounterLog, Protocol, Tracer};

/// 10:40 UTC: both protocols rotate within the next twenty minutes.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_883_200);

/// How long a run is.
const MINUTES: u64 = 20;

fn start(name: &str) -> RunStart {
    RunStart {
        name: name.parse().unwrap(),
        model: "Model, of a kind".to_owned(),
        system: "linux".to_owned(),
        system_version: "6.12".to_owned(),
        radio: "virtual".to_owned(),
        at: START,
        advertise: Protocol::bluezone(),
        also_listen: vec![Protocol::gaen()],
    }
}

/// Takes part until the test's end, and gives every identifier it has seen in the raw, as hexadecimal digits.
async fn take_part(
    folder: &Path,
    name: &str,
    key: TestKey,
    air: Air,
    device: AirDevice,
) -> Vec<String> {
    let mut recorder = Recorder::create(folder, key, start(name)).unwrap();
    let (radio, mut tap) = tap(device.radio(), air.clock());
    let log_folder = tempfile::tempdir().unwrap();
    let log = EncounterLog::open(log_folder.path(), MemoryKey::random().unwrap()).unwrap();
    let tracer = Tracer::builder(log, radio).also_listen(Protocol::gaen());
    let tracer = tracer.start().await.unwrap();
    let mut raw = Vec::new();
    for half_minute in 0..MINUTES * 2 {
        tokio::time::sleep(Duration::from_secs(30)).await;
        while let Some(tapped) = tap.try_next() {
            if let Tapped::Heard { frame, .. } | Tapped::Advertised { frame, .. } = tapped {
                let data = frame.manufacturer_data(0x22B5).unwrap_or_default();
                raw.push(data_encoding::HEXLOWER.encode(data));
            }
            recorder.take(&tapped).unwrap();
        }
        let state = DeviceState {
            cpu_ms: Some(half_minute * 300),
            battery_percent: Some(90.0 - half_minute as f32 / 10.0),
            external_power: Some(false),
            ..DeviceState::default()
        };
        recorder.state(air.clock().now().wall, state).unwrap();
    }
    tracer.stop().await.unwrap();
    assert_eq!(tap.lost(), 0);
    let now = air.clock().now().wall;
    recorder.finish(now, DeviceState::default()).unwrap();
    raw.sort();
    raw.dedup();
    raw
}

/// Two devices that take part, and a third that does not.
fn run(keys: [TestKey; 2]) -> (TempDir, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let raw = runtime.block_on(async {
        let air = Air::new(
            AirConfig::default(),
            Arc::new(SimulatedClock::new(START, 1)),
        );
        let stranger_log = tempfile::tempdir().unwrap();
        let log = EncounterLog::open(stranger_log.path(), MemoryKey::random().unwrap()).unwrap();
        let stranger = Tracer::builder(log, air.place(0.0, 3.0).radio());
        let stranger = stranger.start().await.unwrap();
        let [first, second] = keys;
        let (one, other) = (home.path().join("one"), home.path().join("other"));
        let (mut raw, _) = tokio::join!(
            take_part(&one, "one", first, air.clone(), air.place(0.0, 0.0)),
            take_part(&other, "other", second, air.clone(), air.place(2.0, 0.0)),
        );
        stranger.stop().await.unwrap();
        raw.retain(|it| !it.is_empty());
        raw
    });
    (home, raw)
}

fn shared() -> [TestKey; 2] {
    let key = TestKey::random().unwrap();
    let copy = TestKey::from_text(&key.to_text()).unwrap();
    [key, copy]
}

#[test]
fn a_run_is_read_again_in_both_forms() {
    let (home, raw) = run(shared());
    let folders = FieldTest::folders(&[home.path().to_owned()]).unwrap();
    let test = FieldTest::read(&folders, |_| {}).unwrap();
    let event = ContactEvent::of(&test);
    assert_eq!(event.duration().as_secs(), MINUTES * 60);
    let ours = Evaluation::of(&test, event).unwrap();
    assert_eq!(
        (ours.hit, ours.total),
        (80, 80),
        "continuous scanning misses nothing"
    );
    for (pair, device) in ours.pairs.iter().zip(&ours.devices) {
        // Frames each 250 to 260 ms, a tenth lost.
        let gaps = pair.gaps.unwrap();
        assert!((0.25..0.35).contains(&gaps.mean_s), "{gaps:?}");
        assert!(device.strangers > 3_000, "{}", device.strangers);
        assert_eq!(device.refused, 0);
        // 0.1 percentage points each half minute.
        let battery = device.battery_percent_per_hour.unwrap();
        assert!((battery - 12.0).abs() < 0.1, "{battery}");
    }

    // With names, Herald's reader finds the same.
    let herald = tempfile::tempdir().unwrap();
    FieldTest::complete(&folders, herald.path()).unwrap();
    let folders = FieldTest::folders(&[herald.path().to_owned()]).unwrap();
    let test = FieldTest::read(&folders, |_| {}).unwrap();
    let again = Evaluation::of(&test, event).unwrap();
    let told = |it: &Evaluation| -> Vec<_> {
        let pairs = it.pairs.iter();
        pairs
            .map(|it| (it.seer.clone(), it.windows.clone(), it.frames))
            .collect()
    };
    assert_eq!(told(&again), told(&ours));
    assert!(
        FieldTest::complete(&folders, herald.path()).is_ok(),
        "Herald's own need no names"
    );

    // A slot of Bluezone is a quarter of an hour: two identifiers of each of the three.
    assert_eq!(raw.len(), 6);
    for folder in ["one", "other"] {
        for file in fs::read_dir(home.path().join(folder)).unwrap() {
            let path = file.unwrap().path();
            let text = fs::read_to_string(&path).unwrap().to_lowercase();
            for raw in &raw {
                assert!(
                    !text.contains(&raw[8..]),
                    "{}: an identifier in the raw",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn a_runs_files_are_of_heralds_form() {
    let (home, _) = run(shared());
    let open = |name: &str| fs::File::open(home.path().join("one").join(name)).unwrap();
    let own = Participant::read(&home.path().join("one/own.json")).unwrap();
    assert_eq!(own.identifiers.len(), 2);
    assert!(
        own.identifiers
            .windows(2)
            .all(|it| it[0].until <= it[1].from)
    );
    assert_eq!(own.until.unwrap().since(own.from).as_secs(), MINUTES * 60);
    let detection = Detection::read(open("detection.csv")).unwrap();
    assert_eq!((detection.own.as_str(), detection.seen.len()), ("one", 4));
    assert_eq!(detection.model, "Model  of a kind");
    let mut contacts = ContactsReader::new(open("contacts.csv")).unwrap();
    let mut codes = [0; 3];
    while let Some(contact) = contacts.next().unwrap() {
        match contact.what {
            What::Detect => codes[0] += 1,
            What::Read(_) => codes[1] += 1,
            What::Measure { rssi, .. } => codes[2] += usize::from(rssi.is_some()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(&codes[..2], [4, 4], "once for each identifier");
    assert!(codes[2] > 6_000, "{codes:?}");
    assert_eq!(battery_levels(open("battery.csv")).unwrap().len(), 40);
    let statistics = fs::read_to_string(home.path().join("one/statistics.csv")).unwrap();
    assert_eq!(statistics.lines().count(), 5);
}

#[test]
fn runs_under_different_keys_are_no_test() {
    let keys = [TestKey::random(), TestKey::random()].map(Result::unwrap);
    let home = tempfile::tempdir().unwrap();
    for (name, key) in ["one", "other"].into_iter().zip(keys) {
        drop(Recorder::create(&home.path().join(name), key, start(name)).unwrap());
    }
    let folders = FieldTest::folders(&[home.path().to_owned()]).unwrap();
    let error = FieldTest::read(&folders, |_| {}).unwrap_err();
    assert!(matches!(error, FieldError::OtherTest { .. }), "{error}");
}

#[test]
fn a_folder_with_a_run_in_it_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let [one, other] = shared();
    drop(Recorder::create(home.path(), one, start("one")).unwrap());
    let error = Recorder::create(home.path(), other, start("two")).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
}

#[test]
fn a_run_that_died_is_read_as_far_as_it_came() {
    let home = tempfile::tempdir().unwrap();
    for (name, key) in ["one", "other"].into_iter().zip(shared()) {
        let mut recorder = Recorder::create(&home.path().join(name), key, start(name)).unwrap();
        let end = START.saturating_add(Duration::from_secs(60));
        recorder.state(end, DeviceState::default()).unwrap();
        drop(recorder);
    }
    let log = home.path().join("one/sightings.jsonl");
    let mut text = fs::read_to_string(&log).unwrap();
    text.push_str("{\"kind\":\"frame\",\"at\":15968");
    fs::write(&log, text).unwrap();
    let folders = FieldTest::folders(&[home.path().to_owned()]).unwrap();
    let test = FieldTest::read(&folders, |_| {}).unwrap();
    assert_eq!(test.devices[0].refused, 1);
    assert_eq!(ContactEvent::of(&test).duration().as_secs(), 60);
}
