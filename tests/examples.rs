//! The examples on a log with own keys, which no radio of theirs makes without hardware.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use truyvet::engine::State;
use truyvet::log::{KeyFile, LogReader};
use truyvet::radio::air::{Air, AirConfig};
use truyvet::time::SystemClock;
use truyvet::{EncounterLog, Event, Protocol, Tracer};

/// The example `name`, which `cargo test` builds beside the tests.
fn example(name: &str, directory: &Path) -> Command {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.ancestors().nth(2).unwrap().join("examples").join(name);
    let built = built.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(built.exists(), "run `cargo build --examples` first");
    let mut command = Command::new(built);
    command.current_dir(directory);
    command
}

/// One test at a time: a process that another test is starting has, for a moment, this one's lock
/// on its log.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A directory in which a device has advertised in both protocols, and its day.
fn advertised() -> (TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    let key = KeyFile::open_or_create(home.path().join("truyvet-log.key")).unwrap();
    let key = Arc::new(key);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for protocol in [Protocol::bluezone(), Protocol::gaen()] {
        let log = EncounterLog::open(home.path().join("truyvet-log"), Arc::clone(&key)).unwrap();
        runtime.block_on(async {
            let air = Air::new(AirConfig::default(), Arc::new(SystemClock::default()));
            let tracer = Tracer::builder(log, air.place(0.0, 0.0).radio())
                .advertise(protocol)
                .clock(air.clock())
                .start()
                .await
                .unwrap();
            let mut events = tracer.events();
            let advertises = |event: &Event| {
                matches!(event, Event::Health(health) if health.advertising.state == State::Working)
            };
            while !advertises(&events.next().await.unwrap()) {}
            tracer.stop().await.unwrap();
        });
    }
    let day = own_keys(home.path()).first().unwrap().0.clone();
    (home, day)
}

/// The day of each own key, and whether it was given out.
fn own_keys(home: &Path) -> Vec<(String, bool)> {
    let key = KeyFile::open(home.join("truyvet-log.key")).unwrap();
    let log = LogReader::open(home.join("truyvet-log"), &key).unwrap();
    let keys = log.own_keys().unwrap();
    keys.iter()
        .map(|key| (key.day().to_string(), key.is_released()))
        .collect()
}

fn publish(home: &Path, day: &str, out: &str, signing_key: &str) -> Output {
    example("publish", home)
        .args(["--yes", "--from", day, "--to", day])
        .args(["--out", out, "--signing-key", signing_key])
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_signing_key_is_made_once_and_signs_again() {
    let _alone = alone();
    let (home, day) = advertised();
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();

    let first = publish(home.path(), &day, "first", "x.pem");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let (private, public) = (read("x.pem"), read("x.pub.pem"));
    assert!(private.contains("PRIVATE KEY"), "x.pem is the private half");
    assert!(public.contains("PUBLIC KEY"), "{public}");

    let second = publish(home.path(), &day, "second", "x.pem");
    assert!(second.status.success(), "{}", text(&second.stderr));
    assert!(read("x.pem") == private && read("x.pub.pem") == public);

    let again = publish(home.path(), &day, "second", "x.pem");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"));

    let checked = example("check", home.path())
        .args(["--verify-only", "--trust", "x.pub.pem"])
        .args(["first/published.json", "first/published.zip"])
        .arg("second/published.zip")
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let holding = text(&checked.stdout)
        .matches("signature holds, by x.pub.pem")
        .count();
    assert_eq!(holding, 2, "{}", text(&checked.stdout));
}

#[test]
fn nothing_is_given_out_unless_all_is_ready() {
    let _alone = alone();
    let (home, day) = advertised();
    fs::write(home.path().join("x.pub.pem"), "another's").unwrap();
    fs::write(home.path().join("file"), "not a directory").unwrap();
    fs::write(home.path().join("bad.pem"), "not a key").unwrap();
    fs::create_dir(home.path().join("full")).unwrap();
    fs::write(home.path().join("full/published.zip"), "another's").unwrap();
    for (out, signing_key, why) in [
        ("out", "x.pem", "x.pub.pem is there already"),
        ("out", "bad.pem", "bad.pem"),
        ("out", "nowhere/x.pem", "nowhere/x.pem"),
        ("out", "out/published.zip", "is there already"),
        ("file", "y.pem", "file"),
        ("full", "y.pem", "full/published.zip is there already"),
    ] {
        let failed = publish(home.path(), &day, out, signing_key);
        assert_eq!(failed.status.code(), Some(1), "{out} {signing_key}");
        let error = text(&failed.stderr);
        assert!(error.contains(why), "{out} {signing_key}: {error}");
    }
    assert!(own_keys(home.path()).iter().all(|(_, released)| !released));
    assert!(!home.path().join("x.pem").exists());
    let full = fs::read_to_string(home.path().join("full/published.zip")).unwrap();
    assert_eq!(full, "another's");
}

#[test]
fn no_consent_no_keys() {
    let _alone = alone();
    let (home, day) = advertised();
    let asked = example("publish", home.path())
        .args(["--from", &day, "--to", &day])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    assert!(text(&asked.stdout).contains("Nothing was given out."));
    assert!(own_keys(home.path()).iter().all(|(_, released)| !released));
}
