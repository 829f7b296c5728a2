//! The log's directory: who may write, which files are its, and how they are replaced.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::LogError;
use super::format::{FileKind, LogId};
use super::segment::SegmentName;
use crate::codec;
use crate::entropy::{Entropy, SystemEntropy};
use crate::protocol::OwnKey;
use crate::protocol::own_key::StoredOwnKey;
use crate::secret::Secret;

/// A sealed file may not be larger. Chosen: room for ten times the own keys of a retention in both
/// protocols, each released once a day.
const SEALED_FILE_BYTES_MAX: u64 = 64 * 1024;

/// An own key takes 61 bytes at most (docs/log-format.md).
const OWN_KEY_BYTES_MAX: usize = 61;

const LOCK: &str = "lock";
const TEMPORARY_SUFFIX: &str = ".new";

/// A log's directory with what opens it.
pub(super) struct LogDirectory {
    pub(super) path: PathBuf,
    pub(super) kek: Secret<32>,
    pub(super) log_id: LogId,
}

impl LogDirectory {
    /// The directory of the log at `path`, which must be there.
    pub(super) fn open(path: PathBuf, kek: Secret<32>) -> Result<Self, LogError> {
        let log_id = read_log_id(&path, &kek)?;
        Ok(Self { path, kek, log_id })
    }

    /// The same for an empty directory, which it makes a log.
    pub(super) fn create(path: PathBuf, kek: Secret<32>) -> Result<Self, LogError> {
        let log_id = LogId(fresh_id()?);
        let sealed = FileKind::Meta.seal(&kek, fresh_id()?, &[], log_id.0.to_vec())?;
        replace_file(&path, FileKind::Meta, &sealed)?;
        Ok(Self { path, kek, log_id })
    }

    pub(super) fn duplicate(&self) -> Self {
        Self {
            path: self.path.clone(),
            kek: self.kek.duplicate(),
            log_id: self.log_id,
        }
    }

    pub(super) fn read_own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        let Some(sealed) = read_file(&self.path, FileKind::OwnKeys)? else {
            return Ok(Vec::new());
        };
        let corrupted = |what| LogError::corrupted(FileKind::OwnKeys.name(), 28, what);
        let payload = FileKind::OwnKeys.open(&self.kek, &self.log_id.0, &sealed)?;
        let payload = payload.ok_or_else(|| corrupted("the own keys do not open"))?;
        let stored: Vec<StoredOwnKey> =
            codec::decode(&payload).map_err(|_| corrupted("a record is malformed"))?;
        let keys: Option<Vec<OwnKey>> = stored.iter().map(StoredOwnKey::to_own_key).collect();
        keys.ok_or_else(|| corrupted("a key has the wrong length"))
    }

    pub(super) fn write_own_keys(&self, keys: &[StoredOwnKey]) -> Result<(), LogError> {
        let room = Vec::with_capacity(keys.len() * OWN_KEY_BYTES_MAX + 64);
        let payload = codec::encode_into(room, &keys).map_err(|_| LogError::Crypto)?;
        let sealed = FileKind::OwnKeys.seal(&self.kek, fresh_id()?, &self.log_id.0, payload)?;
        replace_file(&self.path, FileKind::OwnKeys, &sealed)
    }

    /// The segments there are, in the order of their days and numbers.
    pub(super) fn segment_names(&self) -> Result<Vec<SegmentName>, LogError> {
        let entries = list(&self.path)?;
        let mut names: Vec<_> = entries
            .iter()
            .filter_map(|name| SegmentName::parse(name))
            .collect();
        names.sort();
        Ok(names)
    }
}

/// Makes `directory`, for its owner alone, unless it is there.
pub(super) fn make(directory: &Path) -> Result<(), LogError> {
    if directory.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let made = builder.create(directory);
    made.map_err(|e| LogError::io("make the log's directory", directory, e))?;
    // Its own name is to survive a power cut as well.
    match directory.parent().filter(|parent| *parent != Path::new("")) {
        Some(parent) => sync(parent),
        None => sync(Path::new(".")),
    }
}

/// The right to write, until the file is closed.
pub(super) fn lock(directory: &Path) -> Result<File, LogError> {
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    let file = options
        .open(&path)
        .map_err(|e| LogError::io("open the lock", &path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LogError::InUse {
            directory: directory.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(LogError::io("take the lock", &path, e)),
    }
}

/// Refuses a directory that holds other things than what a crash while making a log leaves.
pub(super) fn require_empty(directory: &Path) -> Result<(), LogError> {
    let mut foreign = list(directory)?.into_iter();
    match foreign.find(|entry| entry != LOCK && *entry != temporary(FileKind::Meta)) {
        None => Ok(()),
        Some(found)
            if SegmentName::parse(&found).is_some() || found == FileKind::OwnKeys.name() =>
        {
            Err(LogError::corrupted(
                FileKind::Meta.name(),
                0,
                "it is missing",
            ))
        }
        Some(found) => Err(LogError::NotALog {
            directory: directory.to_owned(),
            found,
        }),
    }
}

fn read_log_id(directory: &Path, kek: &Secret<32>) -> Result<LogId, LogError> {
    let Some(sealed) = read_file(directory, FileKind::Meta)? else {
        return Err(LogError::NoLog {
            directory: directory.to_owned(),
        });
    };
    let Some(payload) = FileKind::Meta.open(kek, &[], &sealed)? else {
        return Err(LogError::WrongKey {
            directory: directory.to_owned(),
        });
    };
    let id = payload.as_slice().try_into();
    id.map(LogId)
        .map_err(|_| LogError::corrupted(FileKind::Meta.name(), 28, "the identity is malformed"))
}

/// Has the system put the directory's own entries on the disk.
#[cfg(unix)]
pub(super) fn sync(directory: &Path) -> Result<(), LogError> {
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(|e| LogError::io("sync the log's directory", directory, e))
}

/// Elsewhere the standard library offers no such call: whether a new name survives a power cut is up to
/// the file system.
#[cfg(not(unix))]
pub(super) fn sync(_: &Path) -> Result<(), LogError> {
    Ok(())
}

pub(super) fn fresh_id() -> Result<[u8; 16], LogError> {
    let mut id = [0; 16];
    SystemEntropy.fill(&mut id)?;
    Ok(id)
}

fn list(directory: &Path) -> Result<Vec<String>, LogError> {
    let failed = |e| LogError::io("list the log's directory", directory, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        names.push(
            entry
                .map_err(failed)?
                .file_name()
                .to_string_lossy()
                .into_owned(),
        );
    }
    Ok(names)
}

fn temporary(kind: FileKind) -> String {
    format!("{}{TEMPORARY_SUFFIX}", kind.name())
}

fn read_file(directory: &Path, kind: FileKind) -> Result<Option<Vec<u8>>, LogError> {
    let path = directory.join(kind.name());
    let mut bytes = Vec::new();
    let read = File::open(&path)
        .and_then(|file| file.take(SEALED_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(len) if len as u64 > SEALED_FILE_BYTES_MAX => Err(LogError::corrupted(
            kind.name(),
            SEALED_FILE_BYTES_MAX,
            "it is too long",
        )),
        Ok(_) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(LogError::io("read", &path, e)),
    }
}

/// Writes the file beside the old one, syncs it, and puts it in the old one's place: a crash leaves
/// one of the two, whole.
fn replace_file(directory: &Path, kind: FileKind, bytes: &[u8]) -> Result<(), LogError> {
    if bytes.len() as u64 > SEALED_FILE_BYTES_MAX {
        return Err(LogError::Crypto);
    }
    let (path, new): (PathBuf, PathBuf) =
        (directory.join(kind.name()), directory.join(temporary(kind)));
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|e| LogError::io("write", &path, e))?;
    sync(directory)
}
