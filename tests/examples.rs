//! The examples on a log with own keys, which no radio of theirs makes without hardware.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tempfile::TempDir;
use truyvet::engine::State;
use truyvet::log::{KeyFile, LogReader};
use truyvet::radio::air::{Air, AirConfig};
use truyvet::report::health::DailyState;
use truyvet::report::health::message::HealthMessage;
use truyvet::report::sealed::{AuthorityPrivateKey, open};
use truyvet::time::SystemClock;
use truyvet::{EncounterLog, Event, Protocol, Secret, Tracer};

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
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", text(&asked.stderr));
    assert!(text(&asked.stdout).contains("Nothing was given out."));
    assert!(own_keys(home.path()).iter().all(|(_, released)| !released));
}

/// Runs the example `log` with `answer` on its standard input.
fn log(home: &Path, arguments: &[&str], answer: &str) -> Output {
    let mut child = example("log", home)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended without asking.
    let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
    child.wait_with_output().unwrap()
}

#[test]
fn a_log_is_shown_and_verified() {
    let _alone = alone();
    let (home, day) = advertised();
    let shown = log(home.path(), &["stats"], "");
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    let verified = log(home.path(), &["verify"], "");
    assert!(verified.status.success(), "{}", text(&verified.stderr));
    let verified = text(&verified.stdout);
    assert!(verified.contains("2 own keys"), "{verified}");

    let damaged = home.path().join("truyvet-log/own-keys.sealed");
    fs::write(
        &damaged,
        fs::read(&damaged).unwrap().split_last().unwrap().1,
    )
    .unwrap();
    fs::write(
        home.path().join(format!("truyvet-log/{day}.0009.segment")),
        [1; 300],
    )
    .unwrap();
    let verified = log(home.path(), &["verify"], "");
    assert_eq!(verified.status.code(), Some(1));
    let (out, error) = (text(&verified.stdout), text(&verified.stderr));
    assert!(
        out.contains("DAMAGED: own-keys.sealed is damaged at byte 28"),
        "{out}"
    );
    assert!(
        out.contains(&format!("DAMAGED: {day}.0009.segment")),
        "{out}"
    );
    assert!(error.contains("2 files are not as written"), "{error}");
    let shown = log(home.path(), &["stats"], "");
    assert_eq!(shown.status.code(), Some(1));
    assert!(text(&shown.stderr).contains("log verify says which"));
}

#[test]
fn a_log_is_written_out_if_its_owner_says_so() {
    let _alone = alone();
    let (home, _) = advertised();
    let file = home.path().join("mine.json");
    let unanswered = log(home.path(), &["export"], "");
    assert_eq!(unanswered.status.code(), Some(1));
    assert!(text(&unanswered.stderr).contains("--yes"));
    let refused = log(home.path(), &["export", "-o", "mine.json"], "no\n");
    assert!(refused.status.success() && refused.stdout.is_empty());
    assert!(text(&refused.stderr).contains("Nothing was written."));
    assert!(!file.exists());

    let written = log(
        home.path(),
        &["export", "--own-keys", "-o", "mine.json"],
        "yes\n",
    );
    assert!(written.status.success(), "{}", text(&written.stderr));
    assert!(text(&written.stderr).contains("this device's own keys"));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(json["own_keys"].as_array().unwrap().len(), 2);
    #[cfg(unix)]
    {
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = log(home.path(), &["export", "--yes", "-o", "mine.json"], "");
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"));

    let plain = log(home.path(), &["export", "--yes"], "");
    let json: serde_json::Value = serde_json::from_slice(&plain.stdout).unwrap();
    assert!(json.get("own_keys").is_none());
}

#[test]
fn a_log_is_destroyed_once_the_word_is_typed() {
    let _alone = alone();
    let (home, _) = advertised();
    let log_files = || {
        fs::read_dir(home.path().join("truyvet-log"))
            .unwrap()
            .count()
    };
    let (before, key) = (log_files(), home.path().join("truyvet-log.key"));
    for (answer, status) in [("", 1), ("yes\n", 0)] {
        let kept = log(home.path(), &["wipe"], answer);
        assert_eq!(kept.status.code(), Some(status));
        assert!(log_files() == before && key.exists());
    }
    let destroyed = log(home.path(), &["wipe"], "wipe\n");
    assert!(destroyed.status.success(), "{}", text(&destroyed.stderr));
    // The lock's empty file stays.
    assert!(log_files() <= 1 && !key.exists());
    let gone = log(home.path(), &["stats"], "");
    assert_eq!(gone.status.code(), Some(1));
}

/// An authority's key, and its public half as text that looks like an option.
fn key_with_a_hyphen_first() -> (AuthorityPrivateKey, String) {
    (0..=u8::MAX)
        .map(|byte| {
            let key = AuthorityPrivateKey::from_bytes(Secret::new([byte; 32]));
            let text = key.public_key().unwrap().to_string();
            (key, text)
        })
        .find(|(_, text)| text.starts_with('-'))
        .expect("one key in 64")
}

#[test]
fn a_declaration_reaches_the_diary_and_its_authority() {
    let _alone = alone();
    let home = tempfile::tempdir().unwrap();
    let (authority, key) = key_with_a_hyphen_first();
    fs::write(home.path().join("photograph"), b"two lines").unwrap();
    let declare = |arguments: &[&str]| {
        let made = example("declare", home.path()).args(arguments).output();
        let made = made.unwrap();
        (
            made.status.success(),
            text(&made.stdout),
            text(&made.stderr),
        )
    };
    let seal = ["--to", &key, "--out", "sealed", "--attach", "photograph"];
    let (well, out, error) = declare(&[&["--state", "fever"], &seal[..]].concat());
    assert!(well, "{error}");
    assert!(out.contains("- Stay at home"), "{out}");
    let envelope = fs::read(home.path().join("sealed")).unwrap();
    let opened = open(&[authority], &envelope).unwrap();
    let message = HealthMessage::from_bytes(&opened.payload).unwrap();
    assert_eq!(message.attachment, b"two lines");
    assert_eq!(message.declaration.states, [DailyState::Fever].into());

    // Nothing is declared where the sealed file cannot be made.
    let correct = [&["--correct", "--state", "healthy"], &seal[..]].concat();
    let (well, _, error) = declare(&correct);
    assert!(!well && error.contains("is there already"), "{error}");
    let (well, out, _) = declare(&["--list"]);
    assert!(well && out.contains("1 declaration in the diary."), "{out}");

    let (well, ..) = declare(&["--correct", "--state", "healthy", "--language", "vi"]);
    assert!(well);
    let (well, out, _) = declare(&["--list"]);
    assert!(
        well && out.contains("myself, corrected since: Fever"),
        "{out}"
    );
    assert!(out.contains("2 declarations in the diary."), "{out}");
}
