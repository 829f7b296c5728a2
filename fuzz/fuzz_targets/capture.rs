//! Captures from sniffers and hosts, and what is linked in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use truyvet::field::capture::{ADVERTISING_DATA_BYTES_MAX, Capture, Observation};
use truyvet::field::linkability::{Checker, Config, Severity, Verdict};

/// So few that a small file has more.
const PRESENCES_MAX: usize = 64;

fuzz_target!(|data: &[u8]| {
    let mut capture = match Capture::open(data) {
        Ok(capture) => capture,
        // What is said of a file has a length of its own.
        Err(error) => return assert!(error.to_string().len() < 400),
    };
    let mut config = Config::default();
    config.presences_max = PRESENCES_MAX;
    let mut checker = Checker::new(config);
    let mut told = 0;
    while let Ok(Some(observation)) = capture.next_observation() {
        told += 1;
        match &observation {
            Observation::Heard(heard) => assert!(heard.data.len() <= ADVERTISING_DATA_BYTES_MAX),
            Observation::Sent(sent) => {
                assert!(sent.data.len() <= ADVERTISING_DATA_BYTES_MAX);
                assert!(sent.scan_response.len() <= ADVERTISING_DATA_BYTES_MAX);
            }
            other => panic!("{other:?}"),
        }
        checker.take(&observation);
    }
    assert!(matches!(capture.next_observation(), Ok(None)));
    let counts = capture.counts();
    assert_eq!(counts.heard + counts.sent, told);
    let report = checker.finish();
    let linkable = report
        .findings
        .iter()
        .any(|it| it.severity > Severity::Note);
    assert_eq!(linkable, report.verdict == Verdict::Linkable);
    assert!(report.totals.identifiers <= PRESENCES_MAX && report.totals.changes <= PRESENCES_MAX);
    serde_json::to_vec(&report).unwrap();
});
