//! A log's files in a directory.

use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{AppendFile, Storage, StoredFile};

/// Its writer holds an exclusive lock on it; it is empty.
const LOCK: &str = "lock";

/// A page of the system's cache of files, mostly.
const PAGE_BYTES: u64 = 4096;

/// A directory, which its owner alone may read if it is made here; what is in it always is.
#[derive(Clone, Debug)]
pub struct FileStorage {
    directory: PathBuf,
}

impl FileStorage {
    /// The files in `directory`, which need not be there yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

impl Storage for FileStorage {
    fn location(&self) -> &Path {
        &self.directory
    }

    fn prepare(&self) -> io::Result<()> {
        if self.directory.is_dir() {
            return Ok(());
        }
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.directory)?;
        // Its own name is to survive a power cut as well.
        let parent = self.directory.parent();
        sync(
            parent
                .filter(|it| *it != Path::new(""))
                .unwrap_or(Path::new(".")),
        )
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(self.path(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name != LOCK {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<StoredFile> {
        let file = File::open(self.path(name))?;
        let len = file.metadata()?.len();
        Ok(StoredFile {
            bytes: Box::new(file),
            len,
        })
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Box::new(GrowingFile {
            file: options.open(self.path(name))?,
            end: 0,
            len: 0,
            step: 0,
        }))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        // Some systems want the right to write for it.
        let file = OpenOptions::new().append(true).open(self.path(name))?;
        file.sync_data()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_directory(&self) -> io::Result<()> {
        sync(&self.directory)
    }
}

/// A file that is written to from its beginning on.
struct GrowingFile {
    file: File,
    /// Bytes that were appended.
    end: u64,
    /// The file's length, as far as it is known: zeros stand behind what was appended.
    len: u64,
    /// How much longer the file is made when it is too short; 0 for no longer than it must be.
    step: u64,
}

impl GrowingFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    /// Makes room for more than `needed` bytes. Zeros are written: what the file system has only been told to keep
    /// free it would have to note as used, with a sync of its own. A page at a time: Linux keeps what comes at once
    /// together, and would count all of it as written again with each batch.
    fn make_room(&mut self, needed: u64) -> io::Result<()> {
        let len = needed.saturating_add(self.step);
        while self.len < len {
            let page_left = PAGE_BYTES - self.len % PAGE_BYTES;
            let zeros = [0; PAGE_BYTES as usize];
            let zeros = zeros.get(..page_left.min(len - self.len) as usize);
            let zeros = zeros.unwrap_or_default();
            self.write_at(self.len, zeros)?;
            self.len += zeros.len() as u64;
        }
        Ok(())
    }
}

impl AppendFile for GrowingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len() as u64;
        if self.step > 0 && end > self.len {
            // Without it, there may still be room for the bytes themselves.
            let _ = self.make_room(end);
        }
        self.write_at(self.end, bytes)?;
        self.end = end;
        self.len = self.len.max(end);
        Ok(())
    }

    fn grow_by(&mut self, step: u64) {
        self.step = step;
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        (self.end, self.len) = (len, len);
        Ok(())
    }
}

impl Drop for GrowingFile {
    fn drop(&mut self) {
        if self.step > 0 {
            // If it stays, it is zeros that say nothing.
            let _ = self.file.set_len(self.end);
        }
    }
}

/// Has the system put the directory's own entries on the disk.
#[cfg(unix)]
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Elsewhere the standard library offers no such call: whether a new name survives a power cut is up to
/// the file system.
#[cfg(not(unix))]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
