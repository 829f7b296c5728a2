//! A log's place: its small sealed files, how they are replaced, and which segments there are.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::format::{FileKind, LogId};
use super::manifest::Manifest;
use super::segment::SegmentName;
use super::{KeyProvider, KeyPurpose, LogError, Storage};
use crate::codec;
use crate::crypto;
use crate::entropy::{Entropy, SystemEntropy, random_secret};
use crate::protocol::OwnKey;
use crate::protocol::own_key::StoredOwnKey;
use crate::secret::Secret;

/// A sealed file may not be larger. Chosen: room for twice the segments there may be.
const SEALED_FILE_BYTES_MAX: u64 = 1 << 20;

/// An own key takes 61 bytes at most (docs/log-format.md).
const OWN_KEY_BYTES_MAX: usize = 61;

/// A file that is being written.
const NEW: &str = ".new";

/// A file under keys that are about to be the log's.
const NEXT: &str = ".next";

/// Sealed under the logging key: what a renewal seals anew, the one that decides last.
pub(super) const UNDER_LOGGING_KEY: [FileKind; 3] =
    [FileKind::OwnKeys, FileKind::Manifest, FileKind::Meta];

/// Where a log is, with what opens its small files and seals its segments.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) storage: Arc<dyn Storage>,
    /// The logging key.
    pub(super) kek: Arc<Secret<32>>,
    pub(super) log_id: LogId,
    /// The public part of the reading key; `None` in a log of before there was one.
    pub(super) reading: Option<[u8; 32]>,
    /// Whether a renewal has failed where it left files of both keys: nothing may be written until
    /// [`settle_anew`](Self::settle_anew) has succeeded.
    pub(super) is_unsettled: bool,
}

impl Home {
    /// The log in `storage`, which must be there.
    pub(super) fn open(
        storage: Arc<dyn Storage>,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        let kek = keys.load(KeyPurpose::Logging)?;
        let files = read_both(&*storage, FileKind::Meta)?;
        if files.is_empty() {
            return Err(LogError::NoLog {
                directory: storage.location().to_owned(),
            });
        }
        let wrong = || LogError::WrongKey {
            directory: storage.location().to_owned(),
        };
        let kek = kek.ok_or_else(wrong)?;
        let payload = first_that_opens(&files, |bytes| FileKind::Meta.open(&kek, &[], bytes))?;
        let payload = payload.ok_or_else(wrong)?;
        let malformed = || LogError::corrupted(FileKind::Meta.name(), 28, "it has another length");
        let (log_id, reading) = payload.split_first_chunk().ok_or_else(malformed)?;
        let reading = match reading {
            [] => None,
            bytes => Some(bytes.try_into().map_err(|_| malformed())?),
        };
        Ok(Self {
            storage,
            kek: Arc::new(kek),
            log_id: LogId(*log_id),
            reading,
            is_unsettled: false,
        })
    }

    /// The same for a storage without files, which it makes a log.
    pub(super) fn create(
        storage: Arc<dyn Storage>,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        // A crash may have left what was made first.
        let reading = load_or_make(keys, KeyPurpose::Reading)?;
        let kek = load_or_make(keys, KeyPurpose::Logging)?;
        let home = Self {
            storage,
            kek: Arc::new(kek),
            log_id: LogId(fresh_id()?),
            reading: Some(public(&reading)?),
            is_unsettled: false,
        };
        // First: a log that has none has lost it.
        Manifest::default().write(&home)?;
        home.replace(FileKind::Meta.name(), &home.sealed_meta()?)?;
        Ok(home)
    }

    /// Has a log of before there were reading keys seal to one from now on. What it has already opens with
    /// its logging key, which is kept sealed to the reading key.
    pub(super) fn upgrade(
        &mut self,
        keys: &(impl KeyProvider + ?Sized),
        table: impl FnOnce(&Secret<32>) -> Vec<u8>,
    ) -> Result<(), LogError> {
        let reading = public(&load_or_make(keys, KeyPurpose::Reading)?)?;
        let table = Zeroizing::new(table(&self.kek));
        let sealed = FileKind::SegmentKeys.seal_to(&reading, self.log_id, &table)?;
        self.replace(FileKind::SegmentKeys.name(), &sealed)?;
        Manifest::adopt(self)?;
        self.reading = Some(reading);
        self.replace(FileKind::Meta.name(), &self.sealed_meta()?)
    }

    /// Finds out which keys the log has, and ends what a failed renewal has left.
    pub(super) fn settle_anew(
        &mut self,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<(), LogError> {
        let home = Self::open(Arc::clone(&self.storage), keys)?;
        home.settle()?;
        *self = home;
        Ok(())
    }

    /// To be called before anything is written that could not be written twice: refuses if the log has been
    /// destroyed meanwhile, and settles what a failed renewal has left.
    pub(super) fn be_ready(&mut self, keys: &(impl KeyProvider + ?Sized)) -> Result<(), LogError> {
        if self.is_unsettled {
            self.settle_anew(keys)?;
        }
        match self.has(FileKind::Meta)? {
            true => Ok(()),
            false => Err(LogError::NoLog {
                directory: self.storage.location().to_owned(),
            }),
        }
    }

    /// Whether there is a file of this kind.
    pub(super) fn has(&self, kind: FileKind) -> Result<bool, LogError> {
        match self.storage.open(kind.name()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            opened => opened
                .map(|_| true)
                .map_err(|e| self.io("open", kind.name(), e)),
        }
    }

    /// Ends what a crash has interrupted: files of keys that the log has now take the place of the old ones,
    /// and all others that were being written go.
    pub(super) fn settle(&self) -> Result<(), LogError> {
        // A process that was killed may have left names in the system's cache alone.
        self.sync_directory()?;
        let renewed = match self.read(FileKind::Meta.name())? {
            // Damaged, or of the keys before: that of the keys now stands beside it, or it would not have opened.
            Some(bytes) => !matches!(FileKind::Meta.open(&self.kek, &[], &bytes), Ok(Some(_))),
            None => true,
        };
        if renewed {
            self.take_next()?;
        }
        let unfinished = |name: &str| name.ends_with(NEW) || name.ends_with(NEXT);
        let leftover = |name: &String| unfinished(name) && Self::is_ours(name);
        for name in self.list()?.into_iter().filter(leftover) {
            self.remove(&name)?;
        }
        Ok(())
    }

    /// The files of the next keys take their place. That of the meta file decides which keys are the log's, so
    /// it comes last.
    pub(super) fn take_next(&self) -> Result<(), LogError> {
        let [own_keys, manifest, meta] = UNDER_LOGGING_KEY;
        for kinds in [&[own_keys, manifest, FileKind::SegmentKeys][..], &[meta]] {
            for kind in kinds {
                let next = next(*kind);
                match self.storage.rename(&next, kind.name()) {
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    renamed => renamed.map_err(|e| self.io("rename", &next, e))?,
                }
            }
            self.sync_directory()?;
        }
        Ok(())
    }

    pub(super) fn sealed_meta(&self) -> Result<Vec<u8>, LogError> {
        let mut payload = self.log_id.0.to_vec();
        payload.extend(self.reading.iter().flatten());
        FileKind::Meta.seal(&self.kek, fresh_id()?, &[], payload)
    }

    /// The payload of a file under the logging key; `None` if there is no such file.
    pub(super) fn read_sealed(
        &self,
        kind: FileKind,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, LogError> {
        let files = read_both(&*self.storage, kind)?;
        let opened = first_that_opens(&files, |bytes| kind.open(&self.kek, &self.log_id.0, bytes))?;
        match opened {
            None if files.is_empty() => Ok(None),
            None if self.is_renewed()? => Err(LogError::Renewed),
            None => {
                let why = "it does not open: it is damaged, or an older one was put in its place";
                Err(LogError::corrupted(kind.name(), 28, why))
            }
            opened => Ok(opened),
        }
    }

    /// Whether the log is of other keys by now, or about to be.
    fn is_renewed(&self) -> Result<bool, LogError> {
        let files = read_both(&*self.storage, FileKind::Meta)?;
        let opens = |it: &Vec<u8>| matches!(FileKind::Meta.open(&self.kek, &[], it), Ok(Some(_)));
        Ok(!files.iter().all(opens))
    }

    /// The payload of a file sealed to the reading key; `None` if there is none that opens.
    pub(super) fn read_sealed_to(
        &self,
        kind: FileKind,
        private: &Secret<32>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, LogError> {
        let files = read_both(&*self.storage, kind)?;
        first_that_opens(&files, |bytes| {
            kind.open_sealed(private, self.log_id, bytes)
        })
    }

    pub(super) fn write_sealed(&self, kind: FileKind, payload: Vec<u8>) -> Result<(), LogError> {
        let sealed = kind.seal(&self.kek, fresh_id()?, &self.log_id.0, payload)?;
        self.replace(kind.name(), &sealed)
    }

    pub(super) fn read_own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        let Some(payload) = self.read_sealed(FileKind::OwnKeys)? else {
            return Ok(Vec::new());
        };
        let corrupted = |what| LogError::corrupted(FileKind::OwnKeys.name(), 28, what);
        let stored: Vec<StoredOwnKey> =
            codec::decode(&payload).map_err(|_| corrupted("a record is malformed"))?;
        let keys: Option<Vec<OwnKey>> = stored.iter().map(StoredOwnKey::to_own_key).collect();
        keys.ok_or_else(|| corrupted("a key has the wrong length"))
    }

    pub(super) fn write_own_keys(&self, keys: &[StoredOwnKey]) -> Result<(), LogError> {
        let room = Vec::with_capacity(keys.len() * OWN_KEY_BYTES_MAX + 64);
        let payload = codec::encode_into(room, &keys).map_err(|_| LogError::Crypto)?;
        self.write_sealed(FileKind::OwnKeys, payload)
    }

    /// The segments there are, in the order of their days and numbers.
    pub(super) fn segment_names(&self) -> Result<Vec<SegmentName>, LogError> {
        let names = self.list()?;
        let mut names: Vec<_> = names
            .iter()
            .filter_map(|it| SegmentName::parse(it))
            .collect();
        names.sort();
        Ok(names)
    }

    pub(super) fn list(&self) -> Result<Vec<String>, LogError> {
        let listed = self.storage.list();
        listed.map_err(|e| LogError::io("list", self.storage.location(), e))
    }

    /// Whether a log has files of this name.
    pub(super) fn is_ours(name: &str) -> bool {
        let kinds = [
            FileKind::Meta,
            FileKind::OwnKeys,
            FileKind::Manifest,
            FileKind::SegmentKeys,
            FileKind::ReadingKey,
        ];
        let stem = [NEW, NEXT].into_iter().fold(name, |name, suffix| {
            name.strip_suffix(suffix).unwrap_or(name)
        });
        kinds.into_iter().any(|kind| kind.name() == stem) || SegmentName::parse(name).is_some()
    }

    /// Refuses a place that holds other things than what a crash while making a log leaves.
    pub(super) fn require_empty(storage: &dyn Storage) -> Result<(), LogError> {
        let listed = storage.list();
        let listed = listed.map_err(|e| LogError::io("list", storage.location(), e))?;
        let [manifest, meta] = [FileKind::Manifest, FileKind::Meta].map(FileKind::name);
        let being_made = [manifest, &[manifest, NEW].concat(), &[meta, NEW].concat()];
        let mut listed = listed.into_iter();
        match listed.find(|it| !being_made.contains(&it.as_str())) {
            None => Ok(()),
            Some(found) if Self::is_ours(&found) => {
                let meta = FileKind::Meta.name();
                Err(LogError::corrupted(meta, 0, "it is missing"))
            }
            Some(found) => Err(LogError::NotALog {
                directory: storage.location().to_owned(),
                found,
            }),
        }
    }

    /// Writes the file beside the old one, syncs it, and puts it in the old one's place: a crash leaves
    /// one of the two, whole.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), LogError> {
        if bytes.len() as u64 > SEALED_FILE_BYTES_MAX {
            return Err(LogError::Crypto);
        }
        let new = [name, NEW].concat();
        self.remove(&new)?;
        let written = self.storage.create(&new).and_then(|mut file| {
            file.append(bytes)?;
            file.sync()
        });
        let renamed = written.and_then(|()| self.storage.rename(&new, name));
        renamed.map_err(|e| self.io("write", name, e))?;
        self.sync_directory()
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, LogError> {
        read_file(&*self.storage, name)
    }

    /// Removes a file if there is one.
    pub(super) fn remove(&self, name: &str) -> Result<(), LogError> {
        match self.storage.remove(name) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|e| self.io("remove", name, e)),
        }
    }

    /// Deletes those of the segments that are there, for certain, and tells how many; one that cannot be
    /// deleted keeps no other from it, and is told.
    pub(super) fn delete(&self, names: &BTreeSet<SegmentName>) -> (usize, Result<(), LogError>) {
        let there = match self.segment_names() {
            Ok(there) => there,
            Err(error) => return (0, Err(error)),
        };
        let (mut deleted, mut first) = (0, Ok(()));
        for name in there.iter().filter(|name| names.contains(name)) {
            match self.remove(&name.to_string()) {
                Ok(()) => deleted += 1,
                failed => first = first.and(failed),
            }
        }
        if deleted > 0 {
            first = first.and(self.sync_directory());
        }
        (deleted, first)
    }

    pub(super) fn sync(&self, name: &str) -> Result<(), LogError> {
        self.storage
            .sync(name)
            .map_err(|e| self.io("sync", name, e))
    }

    pub(super) fn sync_directory(&self) -> Result<(), LogError> {
        let synced = self.storage.sync_directory();
        synced.map_err(|e| LogError::io("sync", self.storage.location(), e))
    }

    pub(super) fn io(&self, doing: &'static str, name: &str, source: io::Error) -> LogError {
        LogError::io(doing, &self.storage.location().join(name), source)
    }
}

/// The name of a file under keys that are about to be the log's.
pub(super) fn next(kind: FileKind) -> String {
    [kind.name(), NEXT].concat()
}

pub(super) fn public(private: &Secret<32>) -> Result<[u8; 32], LogError> {
    crypto::public_key(private).map_err(|_| LogError::Crypto)
}

pub(super) fn fresh_id() -> Result<[u8; 16], LogError> {
    let mut id = [0; 16];
    SystemEntropy.fill(&mut id)?;
    Ok(id)
}

pub(super) fn fresh_key() -> Result<Secret<32>, LogError> {
    Ok(random_secret(&mut SystemEntropy)?)
}

fn load_or_make(
    keys: &(impl KeyProvider + ?Sized),
    purpose: KeyPurpose,
) -> Result<Secret<32>, LogError> {
    if let Some(key) = keys.load(purpose)? {
        return Ok(key);
    }
    let key = fresh_key()?;
    keys.replace(purpose, &key)?;
    Ok(key)
}

/// The file of this kind, and the one of the next keys, as far as they are there. While keys are renewed
/// either may be the one that opens. The next one is read first: it may take the place of the other meanwhile.
fn read_both(storage: &dyn Storage, kind: FileKind) -> Result<Vec<Vec<u8>>, LogError> {
    let next = read_file(storage, &next(kind))?;
    let now = read_file(storage, kind.name())?;
    Ok(now.into_iter().chain(next).collect())
}

/// What `open` makes of the first file of which it makes anything; an error only if there is none.
fn first_that_opens<T>(
    files: &[Vec<u8>],
    mut open: impl FnMut(&[u8]) -> Result<Option<T>, LogError>,
) -> Result<Option<T>, LogError> {
    let mut failed = Ok(None);
    for bytes in files {
        match open(bytes) {
            Ok(None) => {}
            Ok(opened) => return Ok(opened),
            Err(error) => failed = Err(error),
        }
    }
    failed
}

fn read_file(storage: &dyn Storage, name: &str) -> Result<Option<Vec<u8>>, LogError> {
    let mut bytes = Vec::new();
    let read = storage.open(name).and_then(|file| {
        let mut limited = file.bytes.take(SEALED_FILE_BYTES_MAX + 1);
        limited.read_to_end(&mut bytes)
    });
    match read {
        Ok(len) if len as u64 > SEALED_FILE_BYTES_MAX => Err(LogError::corrupted(
            name,
            SEALED_FILE_BYTES_MAX,
            "it is too long",
        )),
        Ok(_) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => {
            let path = storage.location().join(name);
            Err(LogError::io("read", &path, e))
        }
    }
}
