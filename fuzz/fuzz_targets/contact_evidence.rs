//! What a contact sends, as an authority opens and checks it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use truyvet::report::evidence::{CaseReport, ContactEvidence, confirm};
use truyvet_fuzz::{Case, REQUEST};

static CASE: LazyLock<Case> = LazyLock::new(|| Case::new().unwrap());

fuzz_target!(|data: &[u8]| {
    let evidence = match ContactEvidence::from_bytes(data) {
        Ok(evidence) => evidence,
        Err(error) => return drop(error.to_string()),
    };
    // There is one way to write it.
    assert_eq!(*evidence.to_bytes().unwrap(), data);
    for disclosure in evidence.disclosures() {
        assert!(disclosure.from <= disclosure.until);
    }
    let report = CaseReport {
        keys: &CASE.keys,
        heard: Some(&CASE.heard),
    };
    let confirmed = match confirm(&evidence, REQUEST, report, |_| None) {
        Ok(confirmed) => confirmed,
        Err(error) => return drop(error.to_string()),
    };
    drop(confirmed.to_string());
    let (said, both) = (confirmed.f1_heard_f0, confirmed.mutual);
    assert!(both.slots <= said.slots && both.minutes <= said.minutes);
    assert!(both.slots <= confirmed.f0_heard_f1.unwrap_or(0));
    assert!(said.slots <= evidence.contacts().len());
    let unknown = CaseReport {
        keys: &CASE.keys,
        heard: None,
    };
    let alone = confirm(&evidence, REQUEST, unknown, |_| None).unwrap();
    assert_eq!((alone.f1_heard_f0, alone.f0_heard_f1), (said, None));
});
