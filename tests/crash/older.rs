//! Logs that an older version of this crate has written.

use std::fs;
use std::path::Path;

use truyvet::log::LogReader;

use crate::disk::CrashDisk;
use crate::keys::CrashKeys;
use crate::known::Known;
use crate::platter::Image;
use crate::session::Session;

/// The key of those logs, which is their only one.
const KEY: [u8; 32] = [7; 32];

/// More than they have: what is appended is told from what they had.
const SIGHTINGS: u32 = 100;

/// An app that comes to the log of `tests/vectors` after an update.
pub(crate) fn updated(name: &str) -> Session {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut image = Image {
        keys: [Some(KEY), None],
        ..Image::default()
    };
    for entry in fs::read_dir(vectors.join(name)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        image.files.insert(name, fs::read(entry.path()).unwrap());
    }
    let disk = CrashDisk::new(&image);
    let reader = LogReader::open_on(disk.clone(), &CrashKeys(disk.clone())).unwrap();
    let known = Known::of(&reader).unwrap();
    Session::new(disk, known, SIGHTINGS)
}
