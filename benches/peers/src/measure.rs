//! What a process has done to the disk and to memory, as Linux counts it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::Result;

/// Bytes that this process has had written to disks (proc(5), `write_bytes` of `/proc/self/io`): whole
/// pages of files, as often as each was synced, of all its threads. What the file system writes for itself,
/// its journal, is not in it.
///
/// # Errors
///
/// Where there is no such file.
pub fn bytes_written() -> Result<u64> {
    field("/proc/self/io", "write_bytes:")
}

/// Kibibytes of memory that this process has held at most (proc(5), `VmHWM` of `/proc/self/status`).
///
/// # Errors
///
/// Where there is no such file.
pub fn peak_resident_kib() -> Result<u64> {
    field("/proc/self/status", "VmHWM:")
}

fn field(path: &str, name: &str) -> Result<u64> {
    let text = fs::read_to_string(path).map_err(|e| format!("{path}: {e}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next());
    let number = number.ok_or_else(|| format!("{path}: no {name}"))?;
    Ok(number.parse()?)
}

/// Bytes that the files in `dir` and below take on the disk: blocks that are allocated, without the
/// holes in files that are made long beforehand.
///
/// # Errors
///
/// If they cannot be listed.
pub fn at_rest(dir: &Path) -> Result<u64> {
    /// stat(2) counts in these, whatever the file system's own are.
    const BLOCK: u64 = 512;
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => at_rest(&entry.path())?,
            false => entry.metadata()?.blocks() * BLOCK,
        };
    }
    Ok(bytes)
}

/// An empty directory in `home`, or else beside the running program, that is on a disk.
///
/// # Errors
///
/// If it cannot be made, or would be in memory.
pub fn fresh(home: Option<&Path>) -> Result<TempDir> {
    let program = std::env::current_exe()?;
    let home = home.or(program.parent()).ok_or("no directory")?;
    require_disk(home)?;
    Ok(tempfile::tempdir_in(home)?)
}

/// How far `what` is, of `len` steps, on a terminal; nothing elsewhere.
pub fn progress(what: String, len: u64) -> ProgressBar {
    let bar = ProgressBar::new(len).with_message(what);
    let style =
        ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len}, {eta} left");
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

/// Refuses a directory that is in memory: to sync costs nothing there, and nothing is written.
///
/// # Errors
///
/// If it is, or does not exist.
fn require_disk(dir: &Path) -> Result<()> {
    let dir = dir.canonicalize()?;
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let kind = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(point, _)| dir.starts_with(point))
        // Of those mounted on one point, the last hides the others.
        .max_by_key(|(point, _)| point.len())
        .map(|(_, kind)| kind);
    match kind {
        Some(kind @ ("tmpfs" | "ramfs")) => Err(format!(
            "expected a directory on a disk, got {}, which is in memory ({kind})",
            dir.display()
        )
        .into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn every_sync_of_a_page_is_counted() {
        let dir = fresh(None).unwrap();
        let before = bytes_written().unwrap();
        let mut file = File::create(dir.path().join("file")).unwrap();
        for _ in 0..10 {
            file.write_all(&[1; 100]).unwrap();
            file.sync_data().unwrap();
        }
        assert!(bytes_written().unwrap() - before >= 10 * 4_096);
        assert_eq!(at_rest(dir.path()).unwrap(), 4_096);
    }

    #[test]
    fn holes_are_not_at_rest() {
        let dir = fresh(None).unwrap();
        let file = File::create(dir.path().join("file")).unwrap();
        file.set_len(1 << 30).unwrap();
        file.sync_all().unwrap();
        assert!(at_rest(dir.path()).unwrap() < 1 << 20);
    }

    #[test]
    fn a_directory_in_memory() {
        let memory = Path::new("/dev/shm");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        if !mounts.contains(" /dev/shm tmpfs ") {
            eprintln!("SKIPPED: nothing is mounted in memory");
            return;
        }
        let error = require_disk(memory).unwrap_err().to_string();
        assert!(error.contains("tmpfs"), "{error}");
    }

    #[test]
    fn memory_that_was_freed_stays_in_the_peak() {
        let before = peak_resident_kib().unwrap();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(peak_resident_kib().unwrap() >= before.max(64 << 10));
    }
}
