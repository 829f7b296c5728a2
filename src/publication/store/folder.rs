//! A publication in a folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Component, Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::{BatchSource, Contents, PublicationStore, StoreError, Version, read_index, too_long};
use crate::publication::index::INDEX_NAME;

/// Whoever replaces the index holds a lock on this file.
const LOCK: &str = ".lock";

/// What a file is called before it is whole ends so, and begins with a point.
const UNFINISHED: &str = ".unfinished";

/// How old a file that was never finished is when it is taken away. Chosen: writing one takes seconds.
const UNFINISHED_FOR: Duration = Duration::from_secs(3600);

/// A publication in a folder, which a web server gives out as it is.
#[derive(Clone, Debug)]
pub struct FolderStore {
    folder: PathBuf,
}

impl FolderStore {
    /// The publication in `folder`, which is made when something is written.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Where the file called `name` is.
    fn path(&self, name: &str) -> Result<PathBuf, StoreError> {
        let inside = |part: Component<'_>| matches!(part, Component::Normal(part) if !part.as_encoded_bytes().starts_with(b"."));
        let path = Path::new(name);
        match !name.is_empty() && path.components().all(inside) {
            true => Ok(self.folder.join(path)),
            false => Err(StoreError::Name {
                name: name.to_owned(),
            }),
        }
    }

    /// Puts `contents` where `name` is, whole or not at all, and durably.
    fn write(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name)?;
        write_whole(&path, contents).map_err(|error| StoreError::failed(name, &error))
    }

    /// Adds the names of what is in the folder `inside` to `names`, and of what is in its folders.
    fn collect(&self, inside: &Path, names: &mut Vec<String>) -> io::Result<()> {
        let entries = match fs::read_dir(self.folder.join(inside)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let file_name = entry.file_name();
            let Some(last) = file_name.to_str() else {
                continue;
            };
            let path = inside.join(last);
            if last.starts_with('.') {
                remove_unfinished(&entry.path());
            } else if entry.file_type()?.is_dir() {
                self.collect(&path, names)?;
            } else if last != INDEX_NAME {
                let parts = path.iter().filter_map(|part| part.to_str());
                names.push(parts.collect::<Vec<_>>().join("/"));
            }
        }
        Ok(())
    }
}

impl BatchSource for FolderStore {
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        let io = |error| StoreError::failed(name, &error);
        let file = match File::open(self.path(name)?) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file.map_err(io)?,
        };
        match file.metadata().map_err(io)?.len() <= bytes_max {
            true => Ok(Some(Box::new(file))),
            false => Err(too_long(name, bytes_max)),
        }
    }
}

impl PublicationStore for FolderStore {
    fn create(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name)?;
        if !path.exists() {
            return self.write(name, contents);
        }
        // Whoever was killed after renaming it may not have synced it.
        let io = |error| StoreError::failed(name, &error);
        let folders = path.ancestors().skip(1);
        let mut inside = folders.take_while(|folder| folder.starts_with(&self.folder));
        inside.try_for_each(sync_folder).map_err(io)
    }

    fn index(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let index = read_index(self)?;
        Ok(index.map(|bytes| {
            let version = Version::of(&bytes);
            (bytes, version)
        }))
    }

    fn replace_index(&self, contents: &[u8], over: Option<&Version>) -> Result<(), StoreError> {
        let io = |error| StoreError::failed(LOCK, &error);
        create_folders(&self.folder).map_err(io)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(self.folder.join(LOCK)).map_err(io)?;
        // Held until `lock` is dropped; the system lets go of it when the process ends, however it does.
        lock.lock().map_err(io)?;
        let version = self.index()?.map(|(_, version)| version);
        match version.as_ref() == over {
            true => self.write(INDEX_NAME, contents),
            false => Err(StoreError::Conflict),
        }
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        self.collect(Path::new(""), &mut names)
            .map_err(|error| StoreError::failed(".", &error))?;
        names.sort();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        match fs::remove_file(self.path(name)?) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(StoreError::failed(name, &error))
            }
            _ => Ok(()),
        }
    }
}

fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    static WRITTEN: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().unwrap_or(Path::new("."));
    create_folders(folder)?;
    let number = WRITTEN.fetch_add(1, Ordering::Relaxed);
    // Of two publishers, in one process or in two, each has its own.
    let unfinished = folder.join(format!(".{}-{number}{UNFINISHED}", process::id()));
    let mut file = File::create(&unfinished)?;
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    if let Err(error) = written.and_then(|()| fs::rename(&unfinished, path)) {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    sync_folder(folder)
}

/// Makes `folder` and those that it stands in, durably.
fn create_folders(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let within = folder.parent().unwrap_or(Path::new(""));
    create_folders(within)?;
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync_folder(within)
}

/// Returns once what was renamed in `folder` is on the disk.
#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    let here = folder.as_os_str().is_empty();
    let folder = if here { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// Windows writes a folder with its files.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Takes away what a publisher that was killed left half written. That it cannot is no reason to stop.
fn remove_unfinished(path: &Path) {
    let named = path.to_str().is_some_and(|name| name.ends_with(UNFINISHED));
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    let age = written.map(|time| SystemTime::now().duration_since(time).unwrap_or_default());
    if named && age.is_ok_and(|age| age > UNFINISHED_FOR) {
        let _ = fs::remove_file(path);
    }
}
