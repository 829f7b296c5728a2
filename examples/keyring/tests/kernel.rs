//! The program on the kernel's keyring.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

fn program(log: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_truyvet-keyring"))
        .arg("--log")
        .arg(log)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether the kernel was built without keyrings, or a container's filter may forbid them.
#[cfg(target_os = "linux")]
fn is_forbidden() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    !Path::new("/proc/sys/kernel/keys").exists() || status.contains("Seccomp:\t2")
}

#[cfg(target_os = "linux")]
#[test]
fn a_log_is_read_by_the_next_process_until_its_keys_are_erased() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    for count in ["1 sighting in", "2 sightings in", "3 sightings in"] {
        let output = program(&log, &[]);
        let errors = text(&output.stderr);
        if !output.status.success() && is_forbidden() {
            eprintln!("SKIPPED: no keyring of the kernel here: {errors}");
            return;
        }
        assert!(output.status.success(), "{errors}");
        assert!(text(&output.stdout).contains(count));
    }
    for _ in 0..2 {
        let output = program(&log, &["--erase"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let output = program(&log, &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    // The keys that were made in vain.
    assert!(program(&log, &["--erase"]).status.success());
}

#[test]
fn help_has_examples() {
    let output = program(Path::new("log"), &["--help"]);
    let help = text(&output.stdout);
    assert!(help.contains("cargo run -p truyvet-keyring -- --erase"));
}
