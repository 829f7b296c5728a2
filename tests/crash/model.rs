//! The disk finds those out who trust it too much.

use std::io::ErrorKind;

use truyvet::log::{AppendFile, Storage};

use crate::cuts::{Cut, Failure, Recording, walk};
use crate::disk::CrashDisk;
use crate::platter::{Image, Outcome};
use crate::trouble::Trouble;

const OLD: &[u8] = &[1; 1_000];
const NEW: &[u8] = &[2; 1_500];

/// A disk with an old file.
fn disk() -> CrashDisk {
    let disk = CrashDisk::new(&Image::default());
    let mut file = disk.create("file").unwrap();
    file.append(OLD).unwrap();
    file.sync().unwrap();
    disk.sync_directory().unwrap();
    disk
}

/// Has `write` put the new in the place of the old, cuts everywhere, and expects the one or the other; the new
/// once it was acknowledged.
fn cut_while(write: impl FnOnce(&CrashDisk)) -> Result<usize, Failure> {
    let disk = disk();
    let from = disk.operations();
    write(&disk);
    let recording = Recording::of("model", &disk, from);
    walk(&recording, 400, |cut, image| {
        let acknowledged = cut.operations == recording.journal.len();
        match image.files.get("file").map(Vec::as_slice) {
            Some(NEW) => Ok(()),
            Some(OLD) if !acknowledged => Ok(()),
            Some(OLD) => Err("lost".to_owned()),
            Some(_) => Err("torn".to_owned()),
            None => Err("gone".to_owned()),
        }
    })
}

fn write_beside(disk: &CrashDisk) -> Box<dyn AppendFile> {
    let mut file = disk.create("file.new").unwrap();
    file.append(NEW).unwrap();
    file
}

#[test]
fn a_careful_writer_survives_every_cut() {
    let made = cut_while(|disk| {
        write_beside(disk).sync().unwrap();
        disk.rename("file.new", "file").unwrap();
        disk.sync_directory().unwrap();
    });
    assert_eq!(made.unwrap(), 400);
}

#[test]
fn a_rename_without_a_sync_is_found_out() {
    let failure = cut_while(|disk| {
        drop(write_beside(disk));
        disk.rename("file.new", "file").unwrap();
        disk.sync_directory().unwrap();
    });
    let failure = failure.unwrap_err();
    assert_eq!(failure.why, "torn");
    let printed = failure.to_string();
    assert!(printed.contains("rename file.new to file"), "{printed}");
    assert!(printed.contains("TRUYVET_CRASH_AT=model:"), "{printed}");
}

#[test]
fn a_directory_that_is_not_synced_is_found_out() {
    let failure = cut_while(|disk| {
        write_beside(disk).sync().unwrap();
        disk.rename("file.new", "file").unwrap();
    });
    assert_eq!(failure.unwrap_err().why, "lost");
}

#[test]
fn an_old_file_that_is_removed_first_is_found_out() {
    let failure = cut_while(|disk| {
        write_beside(disk).sync().unwrap();
        disk.remove("file").unwrap();
        disk.rename("file.new", "file").unwrap();
        disk.sync_directory().unwrap();
    });
    assert_eq!(failure.unwrap_err().why, "gone");
}

#[test]
fn a_sync_that_is_tried_again_is_found_out() {
    let failure = cut_while(|disk| {
        let mut file = write_beside(disk);
        disk.trouble(Trouble::Refused(disk.calls() + 1, ErrorKind::Other));
        assert!(file.sync().is_err());
        file.sync().unwrap();
        disk.rename("file.new", "file").unwrap();
        disk.sync_directory().unwrap();
    });
    assert_eq!(failure.unwrap_err().why, "torn");
}

#[test]
fn a_cut_is_made_again_as_it_was() {
    let disk = disk();
    drop(write_beside(&disk));
    let cut = |seed| disk.cut(Outcome::Any(seed));
    assert_eq!(cut(7), cut(7));
    assert!((8..100).any(|seed| cut(seed) != cut(7)));
    let name = "a/3".to_owned();
    let cut = Cut {
        name,
        operations: 12,
        number: 7,
    };
    assert_eq!(cut.to_string(), "a/3:12:7");
    assert_eq!(Cut::parse("a/3:12:7"), cut);
}

#[test]
fn what_a_dead_process_has_not_synced_the_next_one_reads() {
    let disk = disk();
    let lock = disk.lock().unwrap().unwrap();
    let mut file = write_beside(&disk);
    assert!(disk.lock().unwrap().is_none());
    let next = disk.next_process();
    assert!(disk.is_dead() && !next.is_dead());
    assert!(file.append(b"more").is_err());
    assert!(disk.list().is_err());
    assert_eq!(next.open("file.new").unwrap().len, NEW.len() as u64);
    let held = next.lock().unwrap().unwrap();
    // What a dead process held is not the living one's to lose.
    drop(lock);
    assert!(next.lock().unwrap().is_none());
    drop(held);
    assert!(next.lock().unwrap().is_some());
}
