//! Whether all that a log has opens.

use std::io::{self, Read};

use super::LogError;
use super::format::FileKind;
use super::home::{Home, next};
use super::manifest::Manifest;
use super::reader::{Listed, LogReader};
use super::segment::ChunkRead;
use crate::time::UtcDay;

/// What became of reading everything in a log.
#[derive(Debug)]
#[non_exhaustive]
pub struct Verification {
    /// The small sealed files.
    pub files: Vec<FileVerification>,
    /// The segments, in their order: those that are there, and those that should be.
    pub segments: Vec<SegmentVerification>,
    /// The device's own keys; 0 if their file does not open.
    pub own_keys: usize,
    /// Files in the log's place that are not the log's.
    pub strangers: Vec<String>,
}

/// A small sealed file.
#[derive(Debug)]
#[non_exhaustive]
pub struct FileVerification {
    /// Its name.
    pub name: &'static str,
    /// Its length; `None` if there is none, which not every log has.
    pub bytes: Option<u64>,
    /// Why it is of no use.
    pub error: Option<LogError>,
}

/// A segment.
#[derive(Debug)]
#[non_exhaustive]
pub struct SegmentVerification {
    /// Its file's name.
    pub name: String,
    /// Its day, as its name has it.
    pub day: UtcDay,
    /// Its file's length; 0 if there is none.
    pub bytes: u64,
    /// Chunks that open.
    pub chunks: u64,
    /// Sightings in them.
    pub sightings: u64,
    /// Gaps in them.
    pub gaps: u64,
    /// Records of the clocks in them.
    pub clock_records: u64,
    /// Entries of the owner's in them.
    pub entries: u64,
    /// Bytes at its end that are of no whole chunk: see [`Sightings::torn_bytes`](super::Sightings::torn_bytes).
    /// That is what a crash leaves, and no damage.
    pub torn_bytes: u64,
    /// What does not open, and where. Nothing behind it does, as each chunk's key comes from the one before.
    pub error: Option<LogError>,
}

impl Verification {
    /// Whether everything opens, and nothing is missing.
    pub fn is_well(&self) -> bool {
        self.damage().next().is_none()
    }

    /// All that is wrong, files first.
    pub fn damage(&self) -> impl Iterator<Item = &LogError> {
        let files = self.files.iter().filter_map(|file| file.error.as_ref());
        let segments = self.segments.iter();
        files.chain(segments.filter_map(|segment| segment.error.as_ref()))
    }

    /// Sightings in all segments that open.
    pub fn sightings(&self) -> u64 {
        self.segments.iter().map(|it| it.sightings).sum()
    }

    /// Entries in all segments that open.
    pub fn entries(&self) -> u64 {
        self.segments.iter().map(|it| it.entries).sum()
    }

    /// Bytes of all segments and files.
    pub fn bytes(&self) -> u64 {
        let files = self.files.iter().filter_map(|file| file.bytes);
        let segments = self.segments.iter().map(|segment| segment.bytes);
        files.chain(segments).sum()
    }
}

/// Of the log's identity no more is read. Chosen: ten times what it has.
const META_BYTES_MAX: u64 = 1 << 10;

impl LogReader {
    /// Reads everything, and says what opens and what does not: segments and their chunks, the manifest, own
    /// keys, the log's identity. `progress` is called after each segment with the share that is done, up to 1.
    ///
    /// Without a manifest that opens, nobody can tell whether segments were removed or cut: the manifest's error
    /// says so, and the segments that are there are read as far as they go.
    ///
    /// The table of segment keys (`segment-keys.sealed`) is judged by the segments that need it: where it does not
    /// open, they do not.
    ///
    /// # Errors
    ///
    /// Damage is none: it is in the answer. [`LogError::Io`] if the log cannot be listed, and
    /// [`LogError::Renewed`] if its keys were made anew meanwhile: open it again.
    pub fn verify(&self, mut progress: impl FnMut(f64)) -> Result<Verification, LogError> {
        let (listed, damage) = self.segments_as_known()?;
        let mut files = vec![self.verify_meta()?, self.verify_manifest(damage)?];
        let (own_keys, file) = self.verify_own_keys()?;
        files.push(file);
        for kind in [FileKind::SegmentKeys, FileKind::ReadingKey] {
            files.push(self.file(kind, None));
        }
        let listed: Vec<(Listed, u64)> = listed
            .into_iter()
            .map(|it| {
                let bytes = self.bytes_at_rest(&it.0);
                (it, bytes)
            })
            .collect();
        // A segment is some work even if it is empty.
        let work = |bytes: u64| bytes as f64 + 1.0;
        let all: f64 = listed.iter().map(|(_, bytes)| work(*bytes)).sum();
        let (mut segments, mut done) = (Vec::with_capacity(listed.len()), 0.0);
        for (it, bytes) in listed {
            segments.extend(self.verify_segment(it, bytes)?);
            done += work(bytes);
            progress((done / all).min(1.0));
        }
        progress(1.0);
        let mut strangers = self.home.list()?;
        strangers.retain(|name| !Home::is_ours(name));
        strangers.sort();
        Ok(Verification {
            files,
            segments,
            own_keys,
            strangers,
        })
    }

    fn file(&self, kind: FileKind, error: Option<LogError>) -> FileVerification {
        let file = self.home.storage.open(kind.name());
        let (bytes, refused) = match file {
            Ok(file) => (Some(file.len), None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => (None, None),
            Err(e) => (None, Some(self.home.io("open", kind.name(), e))),
        };
        FileVerification {
            name: kind.name(),
            bytes,
            error: error.or(refused),
        }
    }

    /// The log's identity, which opened when the reader was; it may have been damaged since. While keys are
    /// being renewed, either file may be the one that opens.
    fn verify_meta(&self) -> Result<FileVerification, LogError> {
        let kind = FileKind::Meta;
        let mut failed = LogError::corrupted(kind.name(), 0, "it is missing");
        for name in [kind.name().to_owned(), next(kind)] {
            let opened = match self.read_meta(&name) {
                Ok(bytes) => kind.open(&self.home.kek, &[], &bytes),
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => Err(self.home.io("read", &name, e)),
            };
            match opened {
                Ok(Some(_)) => return Ok(self.file(kind, None)),
                Ok(None) => failed = LogError::corrupted(kind.name(), 28, "it does not open"),
                Err(error) => failed = error,
            }
        }
        match Manifest::read(&self.home) {
            Err(LogError::Renewed) => Err(LogError::Renewed),
            _ => Ok(self.file(kind, Some(failed))),
        }
    }

    fn read_meta(&self, name: &str) -> io::Result<Vec<u8>> {
        let file = self.home.storage.open(name)?;
        let mut bytes = Vec::new();
        file.bytes.take(META_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn verify_manifest(&self, damage: Option<LogError>) -> Result<FileVerification, LogError> {
        let kind = FileKind::Manifest;
        if damage.is_some() {
            return Ok(self.file(kind, damage));
        }
        let lost = Manifest::read(&self.home)?.is_some_and(|it| it.lost.is_some());
        let why = "it was lost: whether segments of before were removed or cut cannot be told";
        let damage = lost.then(|| LogError::corrupted(kind.name(), 0, why));
        Ok(self.file(kind, damage))
    }

    fn verify_own_keys(&self) -> Result<(usize, FileVerification), LogError> {
        let kind = FileKind::OwnKeys;
        match self.own_keys() {
            Ok(keys) => Ok((keys.len(), self.file(kind, None))),
            Err(LogError::Renewed) => Err(LogError::Renewed),
            Err(error) => Ok((0, self.file(kind, Some(error)))),
        }
    }

    /// `None` if the writer's retention has deleted it meanwhile.
    fn verify_segment(
        &self,
        listed: Listed,
        bytes: u64,
    ) -> Result<Option<SegmentVerification>, LogError> {
        let name = listed.0.clone();
        let mut found = SegmentVerification {
            name: name.to_string(),
            day: name.day,
            bytes,
            chunks: 0,
            sightings: 0,
            gaps: 0,
            clock_records: 0,
            entries: 0,
            torn_bytes: 0,
            error: None,
        };
        let mut chunks = self.chunks_of(vec![listed]);
        loop {
            match chunks.next() {
                Ok(None) => break,
                Ok(Some(chunk)) => found.add(&chunk),
                Err(LogError::Renewed) => return Err(LogError::Renewed),
                Err(error) => found.error = Some(error),
            }
        }
        found.torn_bytes = chunks.torn_bytes;
        let file = self.home.storage.open(&found.name);
        let deleted = matches!(file, Err(e) if e.kind() == io::ErrorKind::NotFound);
        Ok((!deleted || found.error.is_some()).then_some(found))
    }
}

impl SegmentVerification {
    fn add(&mut self, chunk: &ChunkRead) {
        self.chunks += 1;
        match chunk {
            ChunkRead::Sightings(sightings) => self.sightings += sightings.len() as u64,
            ChunkRead::Gaps(gaps) => self.gaps += gaps.len() as u64,
            ChunkRead::Clock(_) => self.clock_records += 1,
            ChunkRead::Entries(entries) => self.entries += entries.len() as u64,
            ChunkRead::End { .. } => {}
        }
    }
}
