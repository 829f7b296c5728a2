//! Captures, and what an observer could link in them: slips made on purpose are found, and nothing else is.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "linkability/air.rs"]
mod air;
#[path = "linkability/captures.rs"]
mod captures;
#[path = "linkability/files.rs"]
mod files;
#[path = "linkability/slips.rs"]
mod slips;

use truyvet::field::capture::{Capture, Observation};
use truyvet::field::linkability::{Checker, Config, Report};

/// All that a file tells.
fn observations(file: &[u8]) -> Vec<Observation> {
    let mut capture = Capture::open(file).unwrap();
    let next = || capture.next_observation().unwrap();
    std::iter::from_fn(next).collect()
}

/// What the checker makes of a file.
fn check(file: &[u8]) -> Report {
    let mut checker = Checker::new(Config::default());
    for observation in observations(file) {
        checker.take(&observation);
    }
    checker.finish()
}
