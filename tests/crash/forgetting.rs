//! What is purged opens no more, whatever of all that was ever written is put back.

use std::collections::BTreeSet;

use truyvet::log::LogReader;

use crate::disk::CrashDisk;
use crate::keys::CrashKeys;
use crate::known::Known;
use crate::platter::{Image, Outcome};
use crate::session::Session;

/// That of what `session` has purged nothing can be read with the keys that are left and: the disk as it ever was;
/// or as it is, with every file back that was deleted, and any one file as it ever was. Gives how many such disks
/// there were.
pub(crate) fn nothing_comes_back(session: &Session) -> Result<usize, String> {
    let known = session.known();
    let undeleted = session.disk.undeleted();
    let mut remembered = false;
    let mut disks = BTreeSet::from([undeleted.clone()]);
    for operations in 0..=session.disk.operations() {
        let past = session.disk.cut_at(operations, Outcome::Most);
        for (name, bytes) in &past.files {
            let mut mixed = undeleted.clone();
            mixed.files.insert(name.clone(), bytes.clone());
            disks.insert(mixed);
        }
        // With the keys of then it must be there, or this shows nothing.
        remembered |= has_forgotten(&past, &known).is_err();
        disks.insert(Image {
            keys: undeleted.keys,
            ..past
        });
    }
    assert!(remembered);
    for disk in &disks {
        has_forgotten(disk, &known)?;
        // What the log knows of is the log's to say; what its keys open shows without that.
        let mut unknowing = disk.clone();
        unknowing
            .files
            .retain(|name, _| !name.starts_with("manifest"));
        has_forgotten(&unknowing, &known)?;
    }
    Ok(2 * disks.len())
}

/// That nothing can be read of what is not known any more.
pub(crate) fn has_forgotten(image: &Image, known: &Known) -> Result<(), String> {
    let disk = CrashDisk::new(image);
    match LogReader::open_on(disk.clone(), &CrashKeys(disk)) {
        Ok(reader) => known.forgot(&reader),
        Err(_) => Ok(()),
    }
}
