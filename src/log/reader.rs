//! Reading a log, beside its writer if need be.

use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::format::FileKind;
use super::home::Home;
use super::manifest::{Length, Manifest};
use super::renewal::Reading;
use super::segment::{ChunkRead, SegmentName, SegmentReader};
use super::{FileStorage, KeyProvider, LogError, Storage};
use crate::protocol::OwnKey;
use crate::sighting::{ScanGap, Sighting};
use crate::time::{ClockRecord, Timestamp, UtcDay};

/// Reads a log. It takes no lock and changes nothing; what a writer appends after a segment was
/// opened is not seen.
///
/// It holds the key that opens what was heard: drop it when it is not needed any more.
pub struct LogReader {
    pub(super) home: Home,
    reading: Reading,
}

/// A segment that is there or should be, and what the manifest says of its length; `None` if that does not
/// know it.
pub(super) type Listed = (SegmentName, Option<Length>);

/// The days of any segment.
pub(super) const ALL_DAYS: (UtcDay, UtcDay) =
    (UtcDay::from_unix_days(0), UtcDay::from_unix_days(u32::MAX));

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("directory", &self.home.storage.location())
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
        Self::open_on(FileStorage::new(directory), keys)
    }

    /// Opens the log in `storage` to read it.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_on(
        storage: impl Storage + 'static,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        Self::of(Arc::new(storage), keys)
    }

    pub(super) fn of(
        storage: Arc<dyn Storage>,
        keys: &(impl KeyProvider + ?Sized),
    ) -> Result<Self, LogError> {
        let once = || {
            let home = Home::open(Arc::clone(&storage), keys)?;
            let reading = Reading::load(&home, keys)?;
            Ok(Self { home, reading })
        };
        match once() {
            // The writer may have renewed the keys just now.
            Err(LogError::WrongKey { .. }) => once(),
            opened => opened,
        }
    }

    /// All sightings, day by day, with one chunk in memory at a time.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] if the files cannot be listed. If it cannot be known which there must be, that is the
    /// first item's [`LogError::Corrupted`], and those that are there follow.
    pub fn sightings(&self) -> Result<Sightings<'_>, LogError> {
        self.sightings_of(ALL_DAYS.0, ALL_DAYS.1)
    }

    /// The sightings of the days from `first` to `last`; a sighting is its first frame's day's.
    ///
    /// # Errors
    ///
    /// As [`sightings`](Self::sightings).
    pub fn sightings_of(&self, first: UtcDay, last: UtcDay) -> Result<Sightings<'_>, LogError> {
        let (mut segments, damage) = self.segments_as_known()?;
        segments.retain(|(name, _)| (first..=last).contains(&name.day));
        Ok(Sightings {
            damage,
            chunks: self.chunks_of(segments),
            chunk: Vec::new().into_iter(),
            interval: None,
            clock: None,
            clocks: Vec::new(),
        })
    }

    /// The sightings whose first frame was heard in `interval`: `from..to` is without `to`, `from..=to`
    /// with it, and `from..` until now. Segments of other days are not opened.
    ///
    /// # Errors
    ///
    /// As [`sightings`](Self::sightings).
    pub fn sightings_in(
        &self,
        interval: impl RangeBounds<Timestamp>,
    ) -> Result<Sightings<'_>, LogError> {
        let first = match interval.start_bound() {
            Bound::Included(from) | Bound::Excluded(from) => from.utc_day(),
            Bound::Unbounded => ALL_DAYS.0,
        };
        let last = match interval.end_bound() {
            Bound::Included(to) => to.utc_day(),
            Bound::Excluded(to) => to.saturating_sub(Duration::from_millis(1)).utc_day(),
            Bound::Unbounded => ALL_DAYS.1,
        };
        let interval = (
            interval.start_bound().cloned(),
            interval.end_bound().cloned(),
        );
        Ok(Sightings {
            interval: Some(interval),
            ..self.sightings_of(first, last)?
        })
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
        self.each_chunk(|chunk| {
            if let ChunkRead::Gaps(of_chunk) = chunk {
                gaps.extend(of_chunk);
            }
        })?;
        Ok(gaps)
    }

    /// What the clocks said: at the beginning of each segment, and whenever the wall clock had jumped.
    ///
    /// # Errors
    ///
    /// As [`gaps`](Self::gaps).
    pub fn clock_records(&self) -> Result<Vec<ClockRecord>, LogError> {
        let mut records = Vec::new();
        self.each_chunk(|chunk| {
            if let ChunkRead::Clock(record) = chunk {
                records.push(record);
            }
        })?;
        Ok(records)
    }

    fn each_chunk(&self, mut take: impl FnMut(ChunkRead)) -> Result<(), LogError> {
        let mut chunks = self.chunks_of(self.segments()?);
        while let Some(chunk) = chunks.next()? {
            take(chunk);
        }
        Ok(())
    }

    /// The segments of the log, in their order.
    pub(super) fn segments(&self) -> Result<Vec<Listed>, LogError> {
        match self.segments_as_known()? {
            (segments, None) => Ok(segments),
            (_, Some(damage)) => Err(damage),
        }
    }

    /// The segments of the log, in their order. With the damage of the manifest if that cannot be read: they
    /// are those that are there then, of which nobody can tell whether they are all, and whole.
    pub(super) fn segments_as_known(&self) -> Result<(Vec<Listed>, Option<LogError>), LogError> {
        let there = self.home.segment_names()?;
        // Read afterwards: it has every segment that was there before.
        let (manifest, damage) = match Manifest::read(&self.home) {
            // Logs of before there were reading keys had none.
            Ok(None) if self.home.reading.is_some() => {
                let manifest = FileKind::Manifest.name();
                (
                    None,
                    Some(LogError::corrupted(manifest, 0, "it is missing")),
                )
            }
            Ok(manifest) => (manifest, None),
            Err(LogError::Renewed) => return Err(LogError::Renewed),
            Err(damage) => (None, Some(damage)),
        };
        let mut segments: Vec<Listed> = Vec::new();
        if let Some(manifest) = &manifest {
            let known = manifest.segments.iter();
            segments.extend(known.map(|(name, length)| (name.clone(), Some(*length))));
        }
        for name in there {
            match &manifest {
                Some(manifest) if manifest.segments.contains_key(&name) => {}
                Some(manifest) if manifest.doomed.contains(&name) => {}
                Some(_) => segments.push((name, None)),
                // Of a log that has never had one: as if nothing had been noted of any.
                None => segments.push((name, Some(Length::default()))),
            }
        }
        segments.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok((segments, damage))
    }

    pub(super) fn chunks_of(&self, segments: Vec<Listed>) -> Chunks<'_> {
        Chunks {
            reader: self,
            segments: segments.into_iter(),
            segment: None,
            torn_bytes: 0,
        }
    }

    /// Bytes that the segment's file has; 0 if there is none.
    pub(super) fn bytes_at_rest(&self, name: &SegmentName) -> u64 {
        let file = self.home.storage.open(&name.to_string());
        file.map_or(0, |file| file.len)
    }

    /// The device's own daily keys.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`].
    pub fn own_keys(&self) -> Result<Vec<OwnKey>, LogError> {
        self.home.read_own_keys()
    }

    /// What the log says of the segment by now; `None` if it does not want it.
    fn length_of(&self, name: &SegmentName) -> Result<Option<Length>, LogError> {
        let manifest = Manifest::read(&self.home)?;
        Ok(manifest.and_then(|it| it.segments.get(name).copied()))
    }
}

/// The chunks of a log's segments, one after the other.
pub(super) struct Chunks<'a> {
    reader: &'a LogReader,
    segments: std::vec::IntoIter<Listed>,
    segment: Option<SegmentReader<'a>>,
    pub(super) torn_bytes: u64,
}

impl Chunks<'_> {
    /// The segment in which the chunk stands that was given last.
    fn segment_name(&self) -> Option<&str> {
        self.segment.as_ref().map(SegmentReader::name)
    }

    /// The next chunk. An error ends the segment it stands in.
    pub(super) fn next(&mut self) -> Result<Option<ChunkRead>, LogError> {
        loop {
            let Some(mut segment) = self.segment.take() else {
                let Some((name, length)) = self.segments.next() else {
                    return Ok(None);
                };
                self.segment = self.open(&name, length)?;
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

impl<'a> Chunks<'a> {
    fn open(
        &self,
        name: &SegmentName,
        length: Option<Length>,
    ) -> Result<Option<SegmentReader<'a>>, LogError> {
        let reader = self.reader;
        // Listed while it was being made, it may be known by now, and have something in it.
        let length = match length {
            None => reader.length_of(name)?,
            known => known,
        };
        match SegmentReader::open(&reader.home, &reader.reading, name, length) {
            Err(LogError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                // The writer's retention may delete a segment while we read.
                match length.is_some() && reader.length_of(name)?.is_some() {
                    true => Err(LogError::corrupted(&name.to_string(), 0, "it is missing")),
                    false => Ok(None),
                }
            }
            opened => opened.map(Some),
        }
    }
}

/// The sightings of a log, in the order in which they were stored.
///
/// An error ends the segment it stands in; the next call goes on with the following segment, so
/// that one damaged file does not hide the others.
pub struct Sightings<'a> {
    /// The manifest's, which is told first.
    damage: Option<LogError>,
    chunks: Chunks<'a>,
    chunk: std::vec::IntoIter<Sighting>,
    /// Of first frames; `None` for all.
    interval: Option<(Bound<Timestamp>, Bound<Timestamp>)>,
    /// What was noted last before the chunk, in its segment.
    clock: Option<(String, ClockRecord)>,
    /// What was noted since somebody asked.
    clocks: Vec<ClockRecord>,
}

impl Sightings<'_> {
    /// Bytes passed over so far at the ends of segments because they are of no whole chunk: a write
    /// that was cut by a crash, or is under way, and of which nothing was acknowledged.
    pub fn torn_bytes(&self) -> u64 {
        self.chunks.torn_bytes
    }

    /// What the log noted of the clocks last before it stored the sighting that was given last; `None` if it noted
    /// nothing, because nobody told it the time, or in segments of versions 1 and 2.
    pub fn clock(&self) -> Option<ClockRecord> {
        self.clock.as_ref().map(|(_, record)| *record)
    }

    /// All that was noted of the clocks between this sighting and the one at which this was called before, also where
    /// nothing but gaps was stored.
    pub(crate) fn take_clocks(&mut self) -> Vec<ClockRecord> {
        std::mem::take(&mut self.clocks)
    }
}

impl Sightings<'_> {
    /// Takes the next chunk; `None` at the end.
    fn next_chunk(&mut self) -> Option<Result<(), LogError>> {
        if let Some(damage) = self.damage.take() {
            return Some(Err(damage));
        }
        match self.chunks.next().transpose()? {
            Ok(ChunkRead::Sightings(chunk)) => {
                // Another segment's says nothing of this one.
                let segment = self.chunks.segment_name();
                self.clock
                    .take_if(|(name, _)| segment != Some(name.as_str()));
                self.chunk = chunk.into_iter();
            }
            Ok(ChunkRead::Clock(record)) => {
                let segment = self.chunks.segment_name();
                self.clock = segment.map(|name| (name.to_owned(), record));
                self.clocks.push(record);
            }
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(()))
    }
}

impl Iterator for Sightings<'_> {
    type Item = Result<Sighting, LogError>;

    // So that a caller's loop runs through a chunk without a call for each.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            for sighting in self.chunk.by_ref() {
                if self
                    .interval
                    .is_none_or(|interval| interval.contains(&sighting.first))
                {
                    return Some(Ok(sighting));
                }
            }
            if let Err(error) = self.next_chunk()? {
                return Some(Err(error));
            }
        }
    }
}
