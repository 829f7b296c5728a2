//! A publication on an object store.

use std::fmt;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use futures_util::TryStreamExt;
use object_store::path::Path;
use object_store::{
    Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, UpdateVersion,
};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::{BatchSource, Contents, FolderStore, PublicationStore, StoreError, Version, too_long};
use crate::publication::index::{INDEX_BYTES_MAX, INDEX_NAME};

/// The publication at `url`: a folder for `file://` and for a path, an object store for what features of the crate
/// `object_store` are on for, such as `s3://bucket/prefix`. `options` are that crate's, such as
/// `aws_region`; what a cloud's own tools read from the environment is not read.
///
/// # Errors
///
/// [`StoreError::Place`] if no store is known for it.
pub fn open_url(
    url: &str,
    options: impl IntoIterator<Item = (String, String)>,
) -> Result<Box<dyn PublicationStore + Send + Sync>, StoreError> {
    let place = |reason: &dyn fmt::Display| StoreError::Place {
        url: url.to_owned(),
        reason: reason.to_string(),
    };
    let parsed = match Url::parse(url) {
        // A path has no scheme, and a drive of Windows has one letter.
        Err(_) => return Ok(Box::new(FolderStore::new(PathBuf::from(url)))),
        Ok(parsed) if parsed.scheme().len() == 1 => {
            return Ok(Box::new(FolderStore::new(PathBuf::from(url))));
        }
        Ok(parsed) => parsed,
    };
    if parsed.scheme() == "file" {
        let path = parsed.to_file_path();
        let path = path.map_err(|()| place(&"expected a path of this machine"))?;
        return Ok(Box::new(FolderStore::new(path)));
    }
    let (store, prefix) =
        object_store::parse_url_opts(&parsed, options).map_err(|error| place(&error))?;
    Ok(Box::new(ObjectStorage::new(Arc::from(store), prefix)?))
}

/// A publication on an object store: Amazon's S3 and what speaks as it does, Google's, Azure's.
///
/// Its requests are made by a thread of its own, so that it blocks, wherever it is called, and needs no runtime.
pub struct ObjectStorage {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    jobs: mpsc::Sender<Job>,
}

type Job = Box<dyn FnOnce(&Runtime) + Send>;

impl ObjectStorage {
    /// The publication whose names are under `prefix` in `store`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Failed`] if there is no thread to be had.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Result<Self, StoreError> {
        let failed = |error| StoreError::failed("", &error);
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name(String::from("publication"))
            .spawn(move || queue.into_iter().for_each(|job| job(&runtime)))
            .map_err(failed)?;
        Ok(Self {
            store,
            prefix,
            jobs,
        })
    }

    /// What `request` of the store answers, about the file called `name`.
    fn ask<T, F>(
        &self,
        name: &str,
        request: impl FnOnce(Arc<dyn ObjectStore>, Path) -> F + Send + 'static,
    ) -> Result<Result<T, Error>, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>>,
    {
        let path = self.path(name)?;
        let store = Arc::clone(&self.store);
        let (answer, answered) = mpsc::sync_channel(1);
        let job: Job = Box::new(move |runtime| {
            // Whoever asked waits.
            let _ = answer.send(runtime.block_on(request(store, path)));
        });
        let gone = || StoreError::failed(name, &"the store's thread has ended");
        self.jobs.send(job).map_err(|_| gone())?;
        answered.recv().map_err(|_| gone())
    }

    fn path(&self, name: &str) -> Result<Path, StoreError> {
        let parsed = Path::parse(name).ok().filter(|path| path.as_ref() == name);
        let inside = parsed.ok_or_else(|| StoreError::Name {
            name: name.to_owned(),
        })?;
        Ok(self.prefix.parts().chain(inside.parts()).collect())
    }

    /// The bytes of a file and its version; `None` if there is none.
    fn get(&self, name: &str, max: u64) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        let got = self.ask(name, move |store, path| async move {
            let found = store.get(&path).await?;
            if found.meta.size > max {
                return Ok(None);
            }
            let version = Version {
                e_tag: found.meta.e_tag.clone(),
                generation: found.meta.version.clone(),
            };
            // What comes is counted, whatever the store said its length would be.
            let mut bytes = Vec::new();
            let mut stream = found.into_stream();
            while let Some(piece) = stream.try_next().await? {
                if (bytes.len() + piece.len()) as u64 > max {
                    return Ok(None);
                }
                bytes.extend_from_slice(&piece);
            }
            Ok(Some((bytes, version)))
        })?;
        match got {
            Ok(Some(found)) => Ok(Some(found)),
            Ok(None) => Err(too_long(name, max)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::failed(name, &error)),
        }
    }

    fn put(&self, name: &str, contents: &[u8], mode: PutMode) -> Result<(), StoreError> {
        let payload = PutPayload::from(contents.to_vec());
        let options = PutOptions::from(mode);
        let put = self.ask(name, |store, path| async move {
            store.put_opts(&path, payload, options).await
        })?;
        match put {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                Err(StoreError::Conflict)
            }
            Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                Err(StoreError::Unconditional)
            }
            Err(error) => Err(StoreError::failed(name, &error)),
        }
    }
}

impl BatchSource for ObjectStorage {
    fn open(&self, name: &str, bytes_max: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        let found = self.get(name, bytes_max)?;
        Ok(found.map(|(bytes, _)| Box::new(Cursor::new(bytes)) as Box<dyn Contents>))
    }
}

impl PublicationStore for ObjectStorage {
    fn create(&self, name: &str, contents: &[u8]) -> Result<(), StoreError> {
        match self.put(name, contents, PutMode::Create) {
            // It is there already, and its name says what is in it.
            Err(StoreError::Conflict) => Ok(()),
            put => put,
        }
    }

    fn index(&self) -> Result<Option<(Vec<u8>, Version)>, StoreError> {
        self.get(INDEX_NAME, INDEX_BYTES_MAX as u64)
    }

    fn replace_index(&self, contents: &[u8], over: Option<&Version>) -> Result<(), StoreError> {
        let mode = match over {
            None => PutMode::Create,
            Some(version) => PutMode::Update(UpdateVersion {
                e_tag: version.e_tag.clone(),
                version: version.generation.clone(),
            }),
        };
        self.put(INDEX_NAME, contents, mode)
    }

    fn names(&self) -> Result<Vec<String>, StoreError> {
        let prefix = self.prefix.clone();
        let listed = self.ask(INDEX_NAME, move |store, _| async move {
            let inside = prefix.clone();
            let objects = store.list(Some(&prefix));
            objects
                .map_ok(|object| {
                    let parts = object.location.prefix_match(&inside);
                    let parts = parts.into_iter().flatten();
                    let parts: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
                    parts.join("/")
                })
                .try_collect::<Vec<_>>()
                .await
        })?;
        let mut names = listed.map_err(|error| StoreError::failed("", &error))?;
        names.retain(|name| name != INDEX_NAME);
        names.sort();
        Ok(names)
    }

    fn delete(&self, name: &str) -> Result<(), StoreError> {
        let deleted = self.ask(name, |store, path| async move { store.delete(&path).await })?;
        match deleted {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::failed(name, &error)),
        }
    }
}

impl fmt::Debug for ObjectStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectStorage")
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
