//! Reading a log, beside its writer if need be.

use std::io;
use std::path::PathBuf;

use super::directory::LogDirectory;
use super::segment::{ChunkRead, SegmentName, SegmentReader};
use super::{KeyError, KeyProvider, KeyPurpose, LogError};
use crate::protocol::OwnKey;
use crate::sighting::{ScanGap, Sighting};

/// Reads a log. It takes no lock and changes nothing; what a writer appends after a segment was
/// opened is not seen.
pub struct LogReader {
    home: LogDirectory,
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("directory", &self.home.path)
            .finish_non_exhaustive()
    }
}

impl LogReader {
    /// Opens the log in `directory` to read it.
    ///
    /// # Errors
    ///
    /// [`LogError::NoLog`], [`LogError::WrongKey`], [`LogError::Key`], [`LogError::Io`],
    /// [`LogError::Corrupted`].
    pub fn open(
        directory: impl Into<PathBuf>,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        let key = keys.load(KeyPurpose::Logging)?;
        let key = key.ok_or_else(|| KeyError::Unavailable("there is none yet".to_owned()))?;
        let home = LogDirectory::open(directory.into(), key)?;
        Ok(Self { home })
    }

    /// Another reader of the same log.
    pub(crate) fn duplicate(&self) -> Self {
        Self::new(self.home.duplicate())
    }

    pub(super) fn new(home: LogDirectory) -> Self {
        Self { home }
    }

    /// All sightings, day by day, with one chunk in memory at a time.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] if the directory cannot be listed.
    pub fn sightings(&self) -> Result<Sightings<'_>, LogError> {
        let chunks = self.chunks()?;
        let chunk = Vec::new().into_iter();
        Ok(Sightings { chunks, chunk })
    }

    /// The times in which nothing could be heard, each under the day in which it ended. What has been
    /// heard in none of them can be believed to be all there was.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`]; [`LogError::Corrupted`] for the first damage, of which
    /// [`sightings`](Self::sightings) can tell more.
    pub fn gaps(&self) -> Result<Vec<ScanGap>, LogError> {
        let mut gaps = Vec::new();
        let mut chunks = self.chunks()?;
        while let Some(chunk) = chunks.next()? {
            if let ChunkRead::Gaps(of_chunk) = chunk {
                gaps.extend(of_chunk);
            }
        }
        Ok(gaps)
    }

    fn chunks(&self) -> Result<Chunks<'_>, LogError> {
        Ok(Chunks {
            reader: self,
            names: self.home.segment_names()?.into_iter(),
            segment: None,
            torn_bytes: 0,
        })
    }

    /// The device's own daily keys.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`].
    pub fn own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        self.home.read_own_keys()
    }
}

/// The chunks of a log's segments, one after the other.
struct Chunks<'a> {
    reader: &'a LogReader,
    names: std::vec::IntoIter<SegmentName>,
    segment: Option<SegmentReader>,
    torn_bytes: u64,
}

impl Chunks<'_> {
    /// The next chunk. An error ends the segment it stands in.
    fn next(&mut self) -> Result<Option<ChunkRead>, LogError> {
        loop {
            let Some(mut segment) = self.segment.take() else {
                let Some(name) = self.names.next() else {
                    return Ok(None);
                };
                self.segment = match SegmentReader::open(&self.reader.home, &name) {
                    // The writer's retention may delete a segment while we read.
                    Err(LogError::Io { source, .. })
                        if source.kind() == io::ErrorKind::NotFound =>
                    {
                        None
                    }
                    other => Some(other?),
                };
                continue;
            };
            match segment.read_chunk()? {
                ChunkRead::End { torn } => self.torn_bytes += torn,
                chunk => {
                    self.segment = Some(segment);
                    return Ok(Some(chunk));
                }
            }
        }
    }
}

/// The sightings of a log, in the order in which they were stored.
///
/// An error ends the segment it stands in; the next call goes on with the following segment, so
/// that one damaged file does not hide the others.
pub struct Sightings<'a> {
    chunks: Chunks<'a>,
    chunk: std::vec::IntoIter<Sighting>,
}

impl Sightings<'_> {
    /// Bytes passed over so far at the ends of segments because they are of no whole chunk: a write
    /// that was cut by a crash, or is under way, and of which nothing was acknowledged; or damage to a
    /// segment's last chunk, which cannot be told from it.
    pub fn torn_bytes(&self) -> u64 {
        self.chunks.torn_bytes
    }
}

impl Iterator for Sightings<'_> {
    type Item = Result<Sighting, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(sighting) = self.chunk.next() {
                return Some(Ok(sighting));
            }
            match self.chunks.next().transpose()? {
                Ok(ChunkRead::Sightings(chunk)) => self.chunk = chunk.into_iter(),
                Ok(_) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
