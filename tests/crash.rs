//! The encounter log on a disk whose power is cut at every operation, and which fails in every call.
//!
//! A story (`session.rs`) is played once on a disk that keeps a journal of all that is done to it (`disk.rs` says
//! what such a disk promises). Then, for each point of the journal and many chances of what has reached the disk, the
//! log is opened again, compared with what it had acknowledged until then, appended to, cut once more while it
//! does so, and compared again.
//!
//! `TRUYVET_CRASH_CUTS=1000000 cargo test --release --test crash` makes as many cuts; 10,000 is the default. A
//! failure prints the variable that makes the same cut again.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "crash/cuts.rs"]
mod cuts;
#[path = "crash/days.rs"]
mod days;
#[path = "crash/disk.rs"]
mod disk;
#[path = "crash/file.rs"]
mod file;
#[path = "crash/keys.rs"]
mod keys;
#[path = "crash/known.rs"]
mod known;
#[path = "crash/platter.rs"]
mod platter;
#[path = "crash/random.rs"]
mod random;
#[path = "crash/session.rs"]
mod session;
#[path = "crash/surviving.rs"]
mod surviving;
#[path = "crash/trouble.rs"]
mod trouble;

use session::Step::{Append, AppendOverMidnight, Close, Gap, Open, Purge, Release, SaveKeys};
use surviving::every_cut;

#[test]
fn every_cut_while_making_the_log() {
    let steps = [Open, Close];
    every_cut("every_cut_while_making_the_log", 10, &steps);
}

#[test]
fn every_cut_while_appending() {
    let steps = [
        Open,
        Append { day: 0, count: 1 },
        Append { day: 0, count: 40 },
        Gap { day: 0 },
        AppendOverMidnight { day: 0, count: 20 },
        Append { day: 1, count: 30 },
        Append { day: 0, count: 3 },
        Gap { day: 1 },
        Close,
    ];
    every_cut("every_cut_while_appending", 25, &steps);
}

#[test]
fn every_cut_over_restarts() {
    let steps = [
        Open,
        Append { day: 0, count: 5 },
        Open,
        Append { day: 0, count: 5 },
        SaveKeys { day: 0 },
        Open,
        Open,
        AppendOverMidnight { day: 0, count: 5 },
        Close,
    ];
    every_cut("every_cut_over_restarts", 15, &steps);
}

#[test]
fn every_cut_while_saving_and_releasing_keys() {
    let steps = [
        Open,
        SaveKeys { day: 0 },
        Append { day: 0, count: 2 },
        SaveKeys { day: 1 },
        Release { day: 0 },
        SaveKeys { day: 2 },
        Open,
        Release { day: 1 },
        Close,
    ];
    every_cut("every_cut_while_saving_and_releasing_keys", 15, &steps);
}

#[test]
fn every_cut_while_renewing_keys() {
    let steps = [
        Open,
        SaveKeys { day: 0 },
        Append { day: 0, count: 8 },
        Append { day: 1, count: 8 },
        Gap { day: 1 },
        Purge { today: 15 },
        Append { day: 15, count: 3 },
        Purge { today: 16 },
        Append { day: 15, count: 3 },
        Close,
    ];
    every_cut("every_cut_while_renewing_keys", 30, &steps);
}
