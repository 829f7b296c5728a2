//! The example `simulate`, as it is run: the same bytes for the same seed, and its page in a real browser.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod browser;
// The example whole. What it calls by the crate's name is given that name here.
#[allow(dead_code, reason = "its arguments")]
#[path = "../examples/simulate/main.rs"]
mod example;
#[path = "simulate/sample.rs"]
mod sample;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use browser::Browser;
use example::{page, support, terminal};
use serde_json::Value;

/// Runs the example, which `cargo test` builds beside the tests, on a small town.
fn simulate(directory: &Path, more: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.ancestors().nth(2).unwrap().join("examples/simulate");
    let built = built.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(built.exists(), "run `cargo build --examples` first");
    Command::new(built)
        .current_dir(directory)
        .args(["--without", "attacks,schedules"])
        .args([
            "--people",
            "20",
            "--days",
            "2",
            "--adoption",
            "80",
            "--seed",
            "3",
        ])
        .args(more)
        .output()
        .unwrap()
}

fn assert_done(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_a_page_that_a_phone_shows() {
    let home = tempfile::tempdir().unwrap();
    let read = |name: &str| fs::read(home.path().join(name)).unwrap();
    assert_done(&simulate(
        home.path(),
        &["--json", "one.json", "--html", "one.html", "--threads", "1"],
    ));
    assert_done(&simulate(
        home.path(),
        &["--json", "two.json", "--html", "two.html", "--threads", "2"],
    ));
    assert!(read("one.json") == read("two.json"), "seed 3");
    assert!(read("one.html") == read("two.html"), "seed 3");
    let outcome: Value = serde_json::from_slice(&read("one.json")).unwrap();
    assert_eq!(
        (&outcome["version"], &outcome["seed"]),
        (&1.into(), &3.into())
    );
    assert_eq!(outcome["worlds"][1]["days"].as_array().unwrap().len(), 2);

    let url = format!("file://{}", home.path().join("one.html").display());
    if let Some(browser) = Browser::start(false) {
        browser.assert_drawn_everywhere(&url, "simulated-light", 3);
    }
}

#[test]
fn nothing_is_overwritten_unasked() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("simulation.html"), "mine").unwrap();
    let refused = simulate(home.path(), &[]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{why}");
    assert!(
        why.contains("simulation.html is there already") && why.contains("--force"),
        "{why}"
    );
    assert_eq!(
        fs::read_to_string(home.path().join("simulation.html")).unwrap(),
        "mine"
    );
}

#[test]
fn what_no_town_can_be_is_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("trace.csv"), "no,such,columns\n").unwrap();
    for (arguments, status, why) in [
        (["--threads", "0"], 1, "expected"),
        (["--adoption", "101"], 2, "expected 0 to 100"),
        (["--mobility", "trace.csv"], 1, "trace.csv: "),
        (["--mobility", "nowhere.csv"], 1, "nowhere.csv: "),
    ] {
        let refused = simulate(home.path(), &arguments);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(why), "{arguments:?}: {said}");
        assert!(!home.path().join("simulation.html").exists());
    }
}
