//! The power is cut while a log is destroyed.

use truyvet::log::{EncounterLog, LogOptions, LogReader};

use crate::cuts::{Recording, budget, say, walk};
use crate::disk::CrashDisk;
use crate::keys::CrashKeys;
use crate::platter::{Image, Outcome};
use crate::session::Step;
use crate::surviving::played;

/// Until its keys are gone all of a log is there, and after that nothing; once that was acknowledged, no file of it
/// is left, and another log can be made.
pub(crate) fn every_cut_while_wiping(name: &str, percent: usize, steps: &[Step]) {
    let session = played(name, steps);
    let (disk, known) = (session.disk.clone(), session.known());
    let from = disk.operations();
    let open = |disk: &CrashDisk| {
        let keys = CrashKeys(disk.clone());
        EncounterLog::open_on(disk.clone(), keys, LogOptions::default())
    };
    open(&disk).unwrap().wipe().unwrap();
    let recording = Recording::of(name, &disk, from);
    let made = walk(&recording, budget(percent), |cut, image| {
        let disk = CrashDisk::new(&image);
        let reader = LogReader::open_on(disk.clone(), &CrashKeys(disk.clone()));
        if image.keys == [None, None] {
            if let Ok(reader) = reader {
                return Err(format!("it opens without its keys: {reader:?}"));
            }
        } else {
            let reader = reader.map_err(|e| format!("it cannot be read: {e}"))?;
            return known.compare(&reader);
        }
        if cut.operations == recording.journal.len() {
            if !image.files.is_empty() {
                return Err(format!("there is {:?} still", image.files.keys()));
            }
            open(&disk).map_err(|e| format!("no other can be made: {e}"))?;
        }
        Ok(())
    });
    let made = made.unwrap_or_else(|failure| panic!("{failure}"));
    // Nor does it help to have kept the files.
    let kept = Image {
        keys: [None, None],
        ..disk.cut_at(from, Outcome::Most)
    };
    let disk = CrashDisk::new(&kept);
    assert!(LogReader::open_on(disk.clone(), &CrashKeys(disk)).is_err());
    say(&format!("{name}: {made} power cuts"));
}
