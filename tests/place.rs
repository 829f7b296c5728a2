//! The example `place`: a poster, visits, a published list, and what is refused.
#![allow(clippy::unwrap_used, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The example, which `cargo test` builds beside this.
fn place(home: &Path, arguments: &[&str]) -> Output {
    let test = std::env::current_exe().unwrap();
    let built: PathBuf = test.ancestors().nth(2).unwrap().join("examples/place");
    let built = built.with_extension(std::env::consts::EXE_EXTENSION);
    assert!(built.exists(), "run `cargo build --example place` first");
    let mut command = Command::new(built);
    command.current_dir(home).args(arguments).output().unwrap()
}

/// What it prints, if all is well.
fn said(home: &Path, arguments: &[&str]) -> String {
    let output = place(home, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Why it refuses.
fn refused(home: &Path, arguments: &[&str]) -> String {
    let output = place(home, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_visit_and_a_list_that_concerns_it() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    said(home, &["poster", "--name", "Phở Thìn"]);
    said(home, &["check-in", "@poster.txt", "--ago", "40"]);
    said(home, &["check-out", "--ago", "10"]);
    assert!(refused(home, &["check-out"]).contains("no visit to check out of"));
    assert!(said(home, &["visits"]).contains(": Phở Thìn\n1 visit."));

    let publish = ["publish-list", "--code", "@poster.txt", "--ago", "60"];
    said(home, &publish);
    let check = ["check", "places.list", "--trust", "authority.pub.pem"];
    let checked = said(home, &check);
    assert!(checked.contains("Phở Thìn: 30 min, "), "{checked}");
    assert!(checked.contains("Hãy theo dõi sức khoẻ"), "{checked}");
    assert!(checked.ends_with("1 visit: 1 exposure.\n"), "{checked}");

    let before = ["--ago", "200", "--minutes", "60", "--out", "earlier.list"];
    said(home, &[&publish[..3], &before].concat());
    let checked = said(
        home,
        &["check", "earlier.list", "--trust", "authority.pub.pem"],
    );
    assert!(checked.ends_with("1 visit: 0 exposures.\n"), "{checked}");

    let older = ["--sequence", "1", "--out", "older.list"];
    said(home, &[&publish[..], &older].concat());
    let error = refused(
        home,
        &["check", "older.list", "--trust", "authority.pub.pem"],
    );
    assert!(error.contains("which it supersedes"), "{error}");
    let error = refused(home, &["check", "places.list", "--trust", "place.pub.pem"]);
    assert!(error.contains("signed with another key"), "{error}");
}

#[test]
fn an_authoritys_code_and_no_authority() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let key = ["--authority", "--signing-key", "authority.key"];
    said(
        home,
        &[&["poster", "--name", "Bệnh viện"][..], &key].concat(),
    );
    let error = refused(home, &["check-in", "@poster.txt"]);
    assert!(error.contains("signed with another key"), "{error}");
    let trust = ["--trust", "authority.pub.pem"];
    let checked_in = said(home, &[&["check-in", "@poster.txt"][..], &trust].concat());
    assert!(checked_in.contains("signed by a trusted authority"));
}

#[test]
fn a_persons_code_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let personal = "001234567890|NGUYEN VAN A|1980-02-03|0|QID|EXT";
    let error = refused(home.path(), &["check-in", personal]);
    assert!(error.contains("HoTen (full name)"), "{error}");
    assert!(!error.contains("NGUYEN"), "{error}");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
