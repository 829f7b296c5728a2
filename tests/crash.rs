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
#[path = "crash/failing.rs"]
mod failing;
#[path = "crash/file.rs"]
mod file;
#[path = "crash/forgetting.rs"]
mod forgetting;
#[path = "crash/keys.rs"]
mod keys;
#[path = "crash/known.rs"]
mod known;
#[path = "crash/model.rs"]
mod model;
#[path = "crash/older.rs"]
mod older;
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
#[path = "crash/wiping.rs"]
mod wiping;

use std::io::ErrorKind;

use failing::{every_call, read_only};
use session::Step;
use session::Step::{Append, AppendOverMidnight, Close, Gap, Open, Purge, Release, SaveKeys};
use surviving::{every_cut, every_cut_of, every_cut_of_stories, every_death, played};
use trouble::Trouble;

const APPENDING: [Step; 9] = [
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

const RENEWING: [Step; 10] = [
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

/// A bit of everything, for what needs to be played many times.
const SHORT: [Step; 8] = [
    Open,
    SaveKeys { day: 0 },
    AppendOverMidnight { day: 0, count: 6 },
    Append { day: 1, count: 2 },
    Release { day: 0 },
    Purge { today: 15 },
    Append { day: 1, count: 2 },
    Close,
];

#[test]
fn every_cut_while_making_the_log() {
    every_cut("every_cut_while_making_the_log", 3, &[Open, Close]);
}

#[test]
fn every_cut_while_appending() {
    every_cut("every_cut_while_appending", 16, &APPENDING);
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
    every_cut("every_cut_over_restarts", 8, &steps);
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
    every_cut("every_cut_while_saving_and_releasing_keys", 9, &steps);
}

#[test]
fn every_cut_while_renewing_keys() {
    every_cut("every_cut_while_renewing_keys", 23, &RENEWING);
}

/// Logs of former versions are taken over at the first opening, and renewed at the first purge.
#[test]
fn every_cut_while_an_older_log_is_taken_over() {
    let steps = [
        Open,
        Append { day: 0, count: 3 },
        Purge { today: 1 },
        Append { day: 0, count: 3 },
        SaveKeys { day: 1 },
        Purge { today: 15 },
        Close,
    ];
    for version in ["log-v1", "log-v2"] {
        let name = format!("every_cut_while_an_older_log_is_taken_over/{version}");
        every_cut_of(&name, 4, older::updated(version), &steps);
    }
}

#[test]
fn every_cut_while_wiping() {
    wiping::every_cut_while_wiping("every_cut_while_wiping", 1, &APPENDING);
}

/// So many that the manifest is written between them; the last one is more than a chunk.
#[test]
fn every_cut_over_many_batches() {
    let mut steps = vec![Open];
    steps.extend([Append { day: 0, count: 1 }; 66]);
    steps.push(Append {
        day: 0,
        count: 1_100,
    });
    every_cut("every_cut_over_many_batches", 2, &steps);
}

/// `TRUYVET_CRASH_SEED` begins elsewhere.
#[test]
fn every_cut_of_stories_made_up() {
    let seed = std::env::var("TRUYVET_CRASH_SEED");
    let seed = seed.map_or(1, |seed| seed.parse().unwrap());
    every_cut_of_stories("every_cut_of_stories_made_up", 13, seed, 20);
}

/// What a process that was killed has not synced is read by the next one, and gone after a power cut.
#[test]
fn every_death_and_then_every_cut() {
    let then = [Open, Append { day: 1, count: 2 }, Purge { today: 15 }];
    every_death("every_death_and_then_every_cut", 15, &SHORT, &then);
}

#[test]
fn every_death_while_making_the_log_and_then_every_cut() {
    let name = "every_death_while_making_the_log_and_then_every_cut";
    every_death(name, 8, &[Open, Close], &[Open]);
}

#[test]
fn nothing_that_was_purged_comes_back() {
    let session = played("nothing_that_was_purged_comes_back", &RENEWING);
    let disks = forgetting::nothing_comes_back(&session).unwrap();
    assert!(disks > 50, "{disks}");
}

#[test]
fn no_room_from_every_call_on() {
    let failed = every_call("no_room_from_every_call_on", &SHORT, Trouble::FullFrom);
    assert!(failed.len() > 20, "{failed:?}");
}

#[test]
fn every_call_fails() {
    let refused = |call| Trouble::Refused(call, ErrorKind::Other);
    let failed = every_call("every_call_fails", &SHORT, refused);
    for call in [
        "prepare",
        "lock",
        "list",
        "open",
        "load a key",
        "replace key 1",
        "create 2026-11-23.0000.segment",
        "append 128 bytes to 2026-11-23.0000.segment",
        "sync 2026-11-23.0000.segment",
        "sync manifest.sealed.new",
        "sync the directory",
        "rename log.meta.next to log.meta",
        "remove 2026-11-23.0000.segment",
    ] {
        assert!(failed.iter().any(|it| it == call), "{call}: {failed:#?}");
    }
}

#[test]
fn every_write_is_cut_short() {
    let short = |call| Trouble::Short(call, ErrorKind::StorageFull);
    let failed = every_call("every_write_is_cut_short", &SHORT, short);
    assert!(failed.iter().any(|it| it.starts_with("append")));
}

#[test]
fn every_call_says_that_it_failed_and_has_not() {
    let late = |call| Trouble::Late(call, ErrorKind::Other);
    let failed = every_call("every_call_says_that_it_failed_and_has_not", &SHORT, late);
    assert!(failed.iter().any(|it| it.starts_with("replace key")));
}

#[test]
fn a_disk_that_cannot_be_written_to() {
    read_only(&SHORT);
    read_only(&[]);
}
