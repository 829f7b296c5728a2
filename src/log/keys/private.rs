//! A small file that is its owner's alone, and that forgets what stood in it as well as a file can.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::KeyError;

/// A key file is no longer than this; one byte more is read at most. Chosen: both formats take less than
/// half of it.
pub(super) const FILE_BYTES_MAX: usize = 512;

/// The bytes of a key file, or those that are to stand in it.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// The place of one key file. An empty file holds no keys yet: so two processes that make it at once
/// make the same.
#[derive(Debug)]
pub(super) struct PrivateFile {
    path: PathBuf,
}

impl PrivateFile {
    /// The file at `path`, which must be there.
    pub(super) fn open(path: PathBuf) -> Result<Self, KeyError> {
        // What a link points to is what is renamed over and overwritten, not the link.
        let path = fs::canonicalize(&path).map_err(|e| KeyError::io(&path, e))?;
        Ok(Self { path })
    }

    /// The same, after making an empty one if there is none.
    pub(super) fn open_or_create(path: PathBuf) -> Result<Self, KeyError> {
        if !path.exists() {
            open_to_write(&path).map_err(|e| KeyError::io(&path, e))?;
            sync_parent(&path).map_err(|e| KeyError::io(&path, e))?;
        }
        Self::open(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What stands in it; nothing if it has been erased.
    pub(super) fn read(&self) -> Result<Bytes, KeyError> {
        loop {
            let file = match File::open(&self.path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Bytes::default()),
                file => file.map_err(|e| self.io(e))?,
            };
            // Without the lock it could be overwritten while it is read.
            file.lock_shared().map_err(|e| self.io(e))?;
            if self.names(&file)? {
                return self.read_from(&file);
            }
        }
    }

    /// Has what `change` makes of the file's bytes stand in it, unless that is `None`; durably, and a
    /// power cut leaves the one or the other. What stood there is overwritten afterwards.
    pub(super) fn update(
        &self,
        change: impl FnOnce(&[u8]) -> Result<Option<Bytes>, KeyError>,
    ) -> Result<(), KeyError> {
        let old = self.lock()?;
        let Some(new) = change(&self.read_from(&old)?)? else {
            return Ok(());
        };
        let beside = self.beside();
        // Of a power cut; it may hold a key that has been replaced since.
        discard(&beside).map_err(|e| self.io(e))?;
        let written = write_new(&beside, &new)
            .and_then(|()| fs::rename(&beside, &self.path))
            .map_err(|e| self.io(e));
        if written.is_err() {
            let _ = discard(&beside);
            return written;
        }
        sync_parent(&self.path).map_err(|e| self.io(e))?;
        // Only where the new name is known to be on the disk: else a power cut could bring back the
        // old one, emptied. The new keys are in place; that the old ones could not be overwritten
        // is no reason to call that a failure.
        #[cfg(unix)]
        let _ = overwrite(&old);
        Ok(())
    }

    /// Overwrites and removes it, and what a power cut left beside it. Fine if it is not there.
    pub(super) fn erase(&self) -> Result<(), KeyError> {
        if !self.path.exists() {
            return discard(&self.beside()).map_err(|e| self.io(e));
        }
        // All of it is tried, whatever fails; and in this order, so that a power cut in between leaves
        // an empty file and not a forgotten one.
        let file = self.lock();
        let beside = discard(&self.beside());
        let overwritten = file.and_then(|file| overwrite(&file).map_err(|e| self.io(e)));
        let removed = fs::remove_file(&self.path);
        let steps = beside.and(removed).and(sync_parent(&self.path));
        overwritten.and(steps.map_err(|e| self.io(e)))
    }

    /// The file, for the caller alone until it is dropped; a new one if there is none.
    fn lock(&self) -> Result<File, KeyError> {
        loop {
            let file = open_to_write(&self.path).map_err(|e| self.io(e))?;
            file.lock().map_err(|e| self.io(e))?;
            if self.names(&file)? {
                return Ok(file);
            }
        }
    }

    /// Whether `file` is the one at the path still. Whoever waited for a lock may have a file that was
    /// replaced meanwhile; each turn of a loop on this is another's replacement.
    #[cfg(unix)]
    fn names(&self, file: &File) -> Result<bool, KeyError> {
        use std::os::unix::fs::MetadataExt;
        let ours = file.metadata().map_err(|e| self.io(e))?;
        match fs::metadata(&self.path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(self.io(e)),
        }
    }

    /// Elsewhere no file that was replaced is overwritten, and its lock's holder is the only one who
    /// replaces.
    #[cfg(not(unix))]
    fn names(&self, _: &File) -> Result<bool, KeyError> {
        Ok(true)
    }

    fn read_from(&self, file: &File) -> Result<Bytes, KeyError> {
        refuse_if_readable_by_others(file, &self.path)?;
        // Exactly the room needed: a growing buffer would leave copies of the keys behind.
        let mut bytes = Bytes::new(Vec::with_capacity(FILE_BYTES_MAX + 1));
        file.take(FILE_BYTES_MAX as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| self.io(e))?;
        Ok(bytes)
    }

    /// Where the new file is written before it takes the old one's place.
    fn beside(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".new");
        path.into()
    }

    fn io(&self, source: io::Error) -> KeyError {
        KeyError::io(&self.path, source)
    }
}

fn owners_alone(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn open_to_write(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    owners_alone(&mut options).open(path)
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    let mut file = owners_alone(&mut options).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Overwrites and removes the file at `path`, if there is one.
fn discard(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    // A link is another's doing; what it points to is not ours to overwrite.
    let overwritten = match found.is_file() {
        true => OpenOptions::new()
            .write(true)
            .open(path)
            .and_then(|file| overwrite(&file)),
        false => Ok(()),
    };
    fs::remove_file(path).and(overwritten)
}

/// Puts zeros over what stands in `file`, and cuts it to nothing.
fn overwrite(mut file: &File) -> io::Result<()> {
    let len = file.metadata()?.len().min(FILE_BYTES_MAX as u64);
    file.seek(SeekFrom::Start(0))?;
    io::copy(&mut io::repeat(0).take(len), &mut file)?;
    // Before it is cut: blocks that are freed are not written.
    file.sync_all()?;
    file.set_len(0)?;
    file.sync_all()
}

/// Has the system put the file's name on the disk: a log must not outlive its keys. Systems other than
/// Unix offer no such call.
fn sync_parent(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

#[cfg(unix)]
fn refuse_if_readable_by_others(file: &File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(|e| KeyError::io(path, e))?;
    match metadata.permissions().mode() & 0o777 {
        mode if mode & 0o077 != 0 => Err(KeyError::ReadableByOthers {
            path: path.to_owned(),
            mode,
        }),
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn refuse_if_readable_by_others(_: &File, _: &Path) -> Result<(), KeyError> {
    Ok(())
}
