//! The keys of several exports.

use std::fmt;
use std::io::{Read, Seek};

use super::stream::ExportStream;
use super::{BatchError, ExportError, KeyList, check_batches};
use crate::protocol::PublishedKey;

/// The keys of a batch. Chosen: enough that a matcher is busy with each, in little memory.
const BATCH_KEYS: usize = 4096;

/// Several exports as one stream: what the latest of them revises counts, whichever of them the key came
/// in. Without this a key withdrawn today would still count by yesterday's file.
///
/// A key that two files hold as new comes twice; [`Export::combine`](super::Export::combine), which holds all
/// keys in memory, gives it once.
pub struct ExportSet<'r, R> {
    streams: Vec<ExportStream<'r, R>>,
    /// The stream whose turn it is.
    at: usize,
    batch: Vec<PublishedKey>,
}

impl<'r, R: Read + Seek> ExportSet<'r, R> {
    /// The set of `exports`, in whatever order.
    pub fn new(exports: impl IntoIterator<Item = ExportStream<'r, R>>) -> Self {
        let mut streams: Vec<_> = exports.into_iter().collect();
        streams.sort_by_key(|stream| (stream.header().end, stream.header().batch_num));
        Self {
            streams,
            at: 0,
            batch: Vec::new(),
        }
    }

    /// The exports, in the order in which they count.
    pub fn exports(&self) -> &[ExportStream<'r, R>] {
        &self.streams
    }

    /// Whether each window is whole: [`check_batches`].
    ///
    /// # Errors
    ///
    /// [`BatchError`], for the first window that is not.
    pub fn check_batches(&self) -> Result<(), BatchError> {
        check_batches(self.streams.iter().map(ExportStream::header))
    }

    /// Some of the keys that come next, at most a few thousand; `None` after the last.
    ///
    /// # Errors
    ///
    /// As [`ExportStream::next_batch`].
    pub fn next_batch(&mut self) -> Result<Option<&[PublishedKey]>, ExportError> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        while batch.len() < BATCH_KEYS && self.at < self.streams.len() {
            let next = match self.streams.get_mut(self.at) {
                Some(stream) => stream.next_key()?,
                None => None,
            };
            let Some((list, key)) = next else {
                self.at += 1;
                continue;
            };
            // New keys give way to any revision, revisions to later ones.
            let from = match list {
                KeyList::New => 0,
                KeyList::Revised => self.at + 1,
            };
            let mut others = self.streams.iter().skip(from);
            if !others.any(|other| other.revisions().last_of(key.key()).is_some()) {
                batch.push(PublishedKey::Gaen(key));
            }
        }
        self.batch = batch;
        Ok(Some(&self.batch[..]).filter(|batch| !batch.is_empty()))
    }
}

impl<R> fmt::Debug for ExportSet<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.streams).finish()
    }
}
