//! Reading a log, beside its writer if need be.

use std::io;
use std::path::PathBuf;

use super::directory::LogDirectory;
use super::segment::{ChunkRead, SegmentName, SegmentReader};
use super::{KeyProvider, LogError};
use crate::protocol::OwnKey;
use crate::sighting::Sighting;

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
        let home = LogDirectory::open(directory.into(), keys.key_encryption_key()?)?;
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
        Ok(Sightings {
            reader: self,
            names: self.home.segment_names()?.into_iter(),
            segment: None,
            chunk: Vec::new().into_iter(),
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

/// The sightings of a log, in the order in which they were stored.
///
/// An error ends the segment it stands in; the next call goes on with the following segment, so
/// that one damaged file does not hide the others.
pub struct Sightings<'a> {
    reader: &'a LogReader,
    names: std::vec::IntoIter<SegmentName>,
    segment: Option<SegmentReader>,
    chunk: std::vec::IntoIter<Sighting>,
    torn_bytes: u64,
}

impl Sightings<'_> {
    /// Bytes passed over so far at the ends of segments because they are of no whole chunk: a write
    /// that was cut by a crash, or is under way, and of which nothing was acknowledged; or damage to a
    /// segment's last chunk, which cannot be told from it.
    pub fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    fn advance(&mut self) -> Result<bool, LogError> {
        let Some(mut segment) = self.segment.take() else {
            let Some(name) = self.names.next() else {
                return Ok(false);
            };
            self.segment = match SegmentReader::open(&self.reader.home, &name) {
                // The writer's retention may delete a segment while we read.
                Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                    None
                }
                other => Some(other?),
            };
            return Ok(true);
        };
        match segment.read_chunk()? {
            ChunkRead::Sightings(chunk) => {
                self.chunk = chunk.into_iter();
                self.segment = Some(segment);
            }
            ChunkRead::End { torn } => self.torn_bytes += torn,
        }
        Ok(true)
    }
}

impl Iterator for Sightings<'_> {
    type Item = Result<Sighting, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(sighting) = self.chunk.next() {
                return Some(Ok(sighting));
            }
            match self.advance() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
