//! A disk with a write cache, whose power can be cut at every operation, and which can fail.
//!
//! What is durable, as POSIX has it and no more:
//!
//! - a file's bytes and length after its `sync`; the names of files after `sync_directory`. Neither includes the
//!   other: a file that was synced is gone if the directory was not. On ext4, XFS and btrfs it would be there;
//!   POSIX does not promise it, other systems do not do it, and to be strict here costs the log nothing that
//!   it would not have to do anyway.
//! - Of what a file was given since its last sync a power cut leaves any part, in any order, block by block
//!   (512 bytes, now and then smaller, and torn within): a later block without an earlier one, the length without the
//!   bytes (zeros, now and then what another file has left there), the bytes of a truncated end. What no write has
//!   touched stays as it was, also in a block that is being written ("powersafe overwrite" in SQLite's words).
//! - Of the changes of names since the last `sync_directory` any part has happened, each as a whole: in order,
//!   as a journal has it, or not. So a rename may be on the disk before the bytes of what was renamed.
//! - After a `sync` that failed, what was dirty counts as clean: it is read as before, any part of it is on the
//!   disk, and no later sync, though it succeeds, will write it. So does Linux (`fsync` in 2018's "fsyncgate").
//!   The names stay dirty after a `sync_directory` that failed.
//!
//! Keys are replaced durably and at once, as `KeyProvider` demands, in the same sequence of operations.

use std::any::Any;
use std::io::{self, Cursor};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use truyvet::log::{AppendFile, Storage, StoredFile};

use crate::platter::{Entry, Image, Outcome, Platter};
use crate::trouble::{Call, Trouble, Verdict};

/// A disk, as one process sees it. Clones are the same process.
#[derive(Clone)]
pub(crate) struct CrashDisk {
    shared: Arc<Mutex<Shared>>,
    process: usize,
}

struct Shared {
    base: Image,
    platter: Platter,
    /// All that has been done since the beginning.
    journal: Vec<Entry>,
    /// Of all kinds, reading included.
    calls: usize,
    trouble: Trouble,
    /// The calls that have failed by `trouble`.
    failed: Vec<String>,
    /// The one that is alive.
    process: usize,
    dies_at: Option<usize>,
    locked_by: Option<usize>,
}

impl CrashDisk {
    pub(crate) fn new(image: &Image) -> Self {
        let shared = Shared {
            base: image.clone(),
            platter: Platter::from(image),
            journal: Vec::new(),
            calls: 0,
            trouble: Trouble::None,
            failed: Vec::new(),
            process: 0,
            dies_at: None,
            locked_by: None,
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            process: 0,
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was there at the beginning.
    pub(crate) fn base(&self) -> Image {
        self.shared().base.clone()
    }

    pub(crate) fn journal(&self) -> Vec<Entry> {
        self.shared().journal.clone()
    }

    pub(crate) fn operations(&self) -> usize {
        self.shared().journal.len()
    }

    pub(crate) fn calls(&self) -> usize {
        self.shared().calls
    }

    /// What is on the disk if the power is cut after so many operations.
    pub(crate) fn cut_at(&self, operations: usize, outcome: Outcome) -> Image {
        let shared = self.shared();
        let mut platter = Platter::from(&shared.base);
        let done = shared.journal.iter().take(operations);
        done.for_each(|entry| platter.apply(entry));
        platter.cut(outcome)
    }

    /// The same now.
    pub(crate) fn cut(&self, outcome: Outcome) -> Image {
        self.shared().platter.cut(outcome)
    }

    /// As [`Platter::undeleted`].
    pub(crate) fn undeleted(&self) -> Image {
        self.shared().platter.undeleted()
    }

    pub(crate) fn trouble(&self, trouble: Trouble) {
        self.shared().trouble = trouble;
    }

    /// What has failed by [`trouble`](Self::trouble).
    pub(crate) fn failed(&self) -> Vec<String> {
        self.shared().failed.clone()
    }

    /// The process ends when so many operations have been done: what it has not synced stays in the cache.
    pub(crate) fn die_at(&self, operations: usize) {
        self.shared().dies_at = Some(operations);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.shared().process != self.process
    }

    /// As the next process sees it.
    pub(crate) fn next_process(&self) -> Self {
        let mut shared = self.shared();
        shared.kill();
        shared.dies_at = None;
        Self {
            shared: Arc::clone(&self.shared),
            process: shared.process,
        }
    }

    pub(crate) fn key(&self, slot: usize) -> io::Result<Option<[u8; 32]>> {
        let (shared, _) = self.call(Call::Read("load a key"))?;
        Ok(shared.platter.key(slot))
    }

    pub(crate) fn replace_key(&self, slot: usize, key: [u8; 32]) -> io::Result<()> {
        self.change(Entry::ReplaceKey { slot, key })
    }

    pub(crate) fn erase_keys(&self) -> io::Result<()> {
        self.change(Entry::EraseKeys)
    }

    /// Begins a call, unless it fails before it has done anything.
    fn call(&self, call: Call<'_>) -> io::Result<(MutexGuard<'_, Shared>, Verdict)> {
        let mut shared = self.shared();
        if !matches!(call, Call::Read(_)) && shared.dies_at == Some(shared.journal.len()) {
            shared.kill();
        }
        if shared.process != self.process {
            return Err(io::Error::other("this process has ended"));
        }
        shared.calls += 1;
        let verdict = shared.trouble.of(shared.calls, &call);
        if verdict != Verdict::Fine {
            let failed = shared.describe(&call);
            shared.failed.push(failed);
        }
        match verdict {
            Verdict::Refused(kind) if !call.is_sync() => Err(kind.into()),
            verdict => Ok((shared, verdict)),
        }
    }

    /// A call that changes something.
    fn change(&self, entry: Entry) -> io::Result<()> {
        let (mut shared, verdict) = self.call(Call::Change(&entry))?;
        match (verdict, entry) {
            (Verdict::Short(kind), Entry::Append { file, mut bytes }) => {
                bytes.truncate(bytes.len() / 2);
                shared.apply(Entry::Append { file, bytes });
                Err(kind.into())
            }
            (
                Verdict::Short(kind),
                Entry::Overwrite {
                    file,
                    offset,
                    mut bytes,
                },
            ) => {
                bytes.truncate(bytes.len() / 2);
                shared.apply(Entry::Overwrite {
                    file,
                    offset,
                    bytes,
                });
                Err(kind.into())
            }
            (Verdict::Refused(kind), Entry::Sync { file }) => {
                shared.apply(Entry::FailedSync { file });
                Err(kind.into())
            }
            (Verdict::Refused(kind) | Verdict::Short(kind), _) => Err(kind.into()),
            (Verdict::Late(kind), entry) => {
                shared.apply(entry);
                Err(kind.into())
            }
            (Verdict::Fine, entry) => {
                shared.apply(entry);
                Ok(())
            }
        }
    }
}

impl Shared {
    fn apply(&mut self, entry: Entry) {
        self.platter.apply(&entry);
        self.journal.push(entry);
    }

    fn kill(&mut self) {
        self.process += 1;
        self.locked_by = None;
    }

    fn describe(&self, call: &Call<'_>) -> String {
        match call {
            Call::Read(what) => (*what).to_owned(),
            Call::Change(entry) => self.platter.describe(entry).to_string(),
        }
    }
}

/// Held by the writer.
struct Lock(CrashDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        let mut shared = self.0.shared();
        if shared.locked_by == Some(self.0.process) {
            shared.locked_by = None;
        }
    }
}

impl Storage for CrashDisk {
    fn location(&self) -> &Path {
        Path::new("/crash")
    }

    fn prepare(&self) -> io::Result<()> {
        self.call(Call::Read("prepare")).map(drop)
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let (mut shared, _) = self.call(Call::Read("lock"))?;
        if shared.locked_by.is_some() {
            return Ok(None);
        }
        shared.locked_by = Some(self.process);
        Ok(Some(Box::new(Lock(self.clone()))))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let (shared, _) = self.call(Call::Read("list"))?;
        Ok(shared.platter.names().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<StoredFile> {
        let (shared, _) = self.call(Call::Read("open"))?;
        let file = shared.platter.named(name);
        let bytes = shared.platter.cached(file.ok_or(io::ErrorKind::NotFound)?);
        Ok(StoredFile {
            len: bytes.len() as u64,
            bytes: Box::new(Cursor::new(bytes.clone())),
        })
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        if self.shared().platter.named(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let name = name.to_owned();
        self.change(Entry::Create { name: name.clone() })?;
        let file = self.shared().platter.named(&name);
        Ok(Box::new(Handle {
            disk: self.clone(),
            file: file.ok_or(io::ErrorKind::NotFound)?,
            end: 0,
            step: 0,
        }))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let file = self.shared().platter.named(name);
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        self.change(Entry::Sync { file })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.require(from)?;
        let (from, to) = (from.to_owned(), to.to_owned());
        self.change(Entry::Rename { from, to })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.require(name)?;
        let name = name.to_owned();
        self.change(Entry::Remove { name })
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.change(Entry::SyncDirectory)
    }
}

impl CrashDisk {
    fn require(&self, name: &str) -> io::Result<()> {
        let file = self.shared().platter.named(name);
        file.map(drop).ok_or(io::ErrorKind::NotFound.into())
    }
}

/// Grows by steps if it is told to, as a file in a directory does.
struct Handle {
    disk: CrashDisk,
    file: usize,
    /// Bytes that were appended.
    end: usize,
    step: usize,
}

impl Handle {
    fn len(&self) -> usize {
        self.disk.shared().platter.cached(self.file).len()
    }

    fn write(&self, mut bytes: Vec<u8>) -> io::Result<()> {
        let (file, offset) = (self.file, self.end);
        let beyond = bytes.split_off(bytes.len().min(self.len() - offset));
        if !bytes.is_empty() {
            self.disk.change(Entry::Overwrite {
                file,
                offset,
                bytes,
            })?;
        }
        match beyond.is_empty() {
            true => Ok(()),
            false => self.disk.change(Entry::Append {
                file,
                bytes: beyond,
            }),
        }
    }
}

impl AppendFile for Handle {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.end + bytes.len();
        if self.step > 0 && end > self.len() {
            let zeros = vec![0; end + self.step - self.len()];
            let file = self.file;
            let _ = self.disk.change(Entry::Append { file, bytes: zeros });
        }
        self.write(bytes.to_vec())?;
        self.end = end;
        Ok(())
    }

    fn grow_by(&mut self, step: u64) {
        self.step = usize::try_from(step).unwrap();
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.change(Entry::Sync { file: self.file })
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let (file, len) = (self.file, usize::try_from(len).unwrap());
        self.disk.change(Entry::Truncate { file, len })?;
        self.end = len;
        Ok(())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.len() > self.end {
            let (file, len) = (self.file, self.end);
            let _ = self.disk.change(Entry::Truncate { file, len });
        }
    }
}
