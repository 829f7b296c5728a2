//! Segments: files of sealed chunks, each of one UTC day and one writer's lifetime.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Write};
use std::path::PathBuf;

use super::LogError;
use super::directory::LogDirectory;
use super::format::{
    CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, chunk_nonces,
};
use super::packing::{Packer, Unpacker};
use crate::codec;
use crate::crypto::{AeadKey, TAG_BYTES};
use crate::secret::Secret;
use crate::sighting::{ScanGap, Sighting};
use crate::time::UtcDay;

/// Sightings in a chunk at most: 1,024 of them are 12 kB as a rule, and 42 at worst.
const CHUNK_SIGHTINGS_MAX: usize = 1_024;

/// What a chunk holds: its first byte.
const SIGHTINGS: u8 = 0;
const GAPS: u8 = 1;

/// In version 1 the top byte of a chunk's count, little-endian, and the bit of it that said so.
const COUNT_TOP: usize = 7;
const HOLDS_GAPS: u8 = 0x80;

/// What one batch writes at most. Chosen: the tracer gives no more than 16,384 sightings at once,
/// which are 0.9 MB; an app that gives more risks a false alarm after a power cut.
const BATCH_BYTES_MAX: u64 = 1 << 22;

/// A segment's file name: its day, and a number that no other segment of the day has.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct SegmentName {
    pub(crate) day: UtcDay,
    pub(crate) number: u32,
}

impl SegmentName {
    /// `2020-08-08.0000.segment` and its like; `None` for any other file.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (day, number) = name.strip_suffix(".segment")?.split_once('.')?;
        let parsed = Self {
            day: day.parse().ok()?,
            number: number.parse().ok()?,
        };
        (parsed.to_string() == name).then_some(parsed)
    }
}

impl std::fmt::Display for SegmentName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:04}.segment", self.day, self.number)
    }
}

/// Appends chunks to a segment that it has made.
pub(crate) struct SegmentWriter {
    file: File,
    path: PathBuf,
    header: SegmentHeader,
    key: AeadKey,
    packer: Packer,
    chunk_index: u64,
    /// Bytes that are on the disk for certain.
    acknowledged: u64,
}

impl SegmentWriter {
    /// Makes the segment. A salt that is fresh each time is what keeps nonces from repeating, so no
    /// segment is ever opened for writing again.
    pub(crate) fn create(
        path: PathBuf,
        header: SegmentHeader,
        kek: &Secret<32>,
    ) -> Result<Self, LogError> {
        let key = header.segment_key(kek)?;
        let mut options = OpenOptions::new();
        options.append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options
            .open(&path)
            .map_err(|e| LogError::io("make a segment", &path, e))?;
        if let Err(e) = file.write_all(&header.to_bytes()) {
            // On a full disk each try would leave a file behind, until the day has no number left.
            let _ = std::fs::remove_file(&path);
            return Err(LogError::io("write to a segment", &path, e));
        }
        Ok(Self {
            file,
            path,
            header,
            key,
            packer: Packer::default(),
            chunk_index: 0,
            acknowledged: SEGMENT_HEADER_BYTES as u64,
        })
    }

    pub(crate) fn day(&self) -> UtcDay {
        self.header.day
    }

    /// Appends `sightings` and returns once the system says that they are on the disk.
    ///
    /// After an error nothing may be appended to this segment: its last chunk may be cut.
    pub(crate) fn append(&mut self, sightings: &[Sighting]) -> Result<(), LogError> {
        let mut bytes = Vec::new();
        for chunk in sightings.chunks(CHUNK_SIGHTINGS_MAX) {
            let packed = self.packer.pack(chunk);
            self.seal_chunk([&[SIGHTINGS], &*packed].concat(), &mut bytes)?;
        }
        self.write(&bytes)
    }

    /// Appends `gaps` as [`append`](Self::append) does sightings.
    pub(crate) fn append_gaps(&mut self, gaps: &[ScanGap]) -> Result<(), LogError> {
        let mut bytes = Vec::new();
        for chunk in gaps.chunks(CHUNK_SIGHTINGS_MAX) {
            let encoded = codec::encode(&chunk).map_err(|_| LogError::Crypto)?;
            self.seal_chunk([&[GAPS], &*encoded].concat(), &mut bytes)?;
        }
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        let written = self
            .file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => {
                self.acknowledged += bytes.len() as u64;
                Ok(())
            }
            Err(e) => {
                self.take_back();
                Err(LogError::io("write to a segment", &self.path, e))
            }
        }
    }

    /// Takes back what was written of a batch that failed: it will be written again elsewhere, and on
    /// a full disk it would be in the way.
    fn take_back(&self) {
        // Should that fail too, the reader finds a torn tail, or sightings twice.
        let _ = match self.acknowledged > SEGMENT_HEADER_BYTES as u64 {
            true => self.file.set_len(self.acknowledged),
            false => std::fs::remove_file(&self.path),
        };
    }

    fn seal_chunk(&mut self, mut body: Vec<u8>, out: &mut Vec<u8>) -> Result<(), LogError> {
        let len = u32::try_from(body.len() + TAG_BYTES).map_err(|_| LogError::Crypto)?;
        let mut header = len.to_le_bytes().to_vec();
        let aad = self.header.to_bytes();
        for (nonce, part) in chunk_nonces(self.chunk_index)
            .into_iter()
            .zip([&mut header, &mut body])
        {
            self.key
                .seal(nonce, &aad, part)
                .map_err(|_| LogError::Crypto)?;
        }
        self.chunk_index += 1;
        out.append(&mut header);
        out.append(&mut body);
        Ok(())
    }
}

/// Reads a segment chunk by chunk, one chunk in memory at a time.
pub(crate) struct SegmentReader {
    file: BufReader<File>,
    path: PathBuf,
    name: String,
    /// Length of the file when it was opened; a writer may append beside us.
    len: u64,
    offset: u64,
    header: [u8; SEGMENT_HEADER_BYTES],
    version: u16,
    unpacker: Unpacker,
    key: Option<AeadKey>,
    chunk_index: u64,
}

/// A step of reading a segment.
pub(crate) enum ChunkRead {
    Sightings(Vec<Sighting>),
    Gaps(Vec<ScanGap>),
    /// The end. `torn` bytes at it belong to no whole chunk: a write that a power cut or a full
    /// disk ended early, or one that is under way.
    End {
        torn: u64,
    },
}

impl SegmentReader {
    pub(crate) fn open(home: &LogDirectory, name: &SegmentName) -> Result<Self, LogError> {
        let (path, day) = (home.path.join(name.to_string()), name.day);
        let name = name.to_string();
        let file = File::open(&path).map_err(|e| LogError::io("open a segment", &path, e))?;
        let metadata = file.metadata();
        let len = metadata
            .map_err(|e| LogError::io("open a segment", &path, e))?
            .len();
        let mut reader = Self {
            file: BufReader::new(file),
            path,
            name,
            len,
            offset: 0,
            header: [0; SEGMENT_HEADER_BYTES],
            version: 0,
            unpacker: Unpacker::default(),
            key: None,
            chunk_index: 0,
        };
        if len < SEGMENT_HEADER_BYTES as u64 {
            return Ok(reader);
        }
        let mut header = [0; SEGMENT_HEADER_BYTES];
        reader.read_exact(&mut header)?;
        let parsed = match SegmentHeader::from_bytes(&header, &reader.name) {
            Ok(parsed) => parsed,
            // A file system may have written the length of a file before its bytes.
            Err(_) if header == [0; SEGMENT_HEADER_BYTES] && reader.rest_is_zero()? => {
                reader.offset = 0;
                return Ok(reader);
            }
            Err(error) => return Err(error),
        };
        if parsed.log_id != home.log_id {
            return Err(LogError::corrupted(
                &reader.name,
                16,
                "it belongs to another log",
            ));
        }
        if parsed.day != day {
            return Err(LogError::corrupted(
                &reader.name,
                12,
                "its day is not its name's",
            ));
        }
        reader.key = Some(parsed.segment_key(&home.kek)?);
        reader.header = header;
        reader.version = parsed.version;
        Ok(reader)
    }

    /// The next chunk's records.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`] for anything that does not open, unless it is the end of the file.
    pub(crate) fn read_chunk(&mut self) -> Result<ChunkRead, LogError> {
        let start = self.offset;
        let torn = self.len - start;
        let Some(key) = self.key.take() else {
            return Ok(ChunkRead::End { torn });
        };
        if torn < CHUNK_HEADER_BYTES as u64 {
            return Ok(ChunkRead::End { torn });
        }
        let [header_nonce, body_nonce] = chunk_nonces(self.chunk_index);
        let mut header = [0; CHUNK_HEADER_BYTES];
        self.read_exact(&mut header)?;
        let zeros = header == [0; CHUNK_HEADER_BYTES];
        let opened = key.open(header_nonce, &self.header, &mut header);
        let Some(len) = opened.ok().and_then(|len| len.try_into().ok()) else {
            // The bytes may never have reached the disk although the file's length did.
            if self.offset == self.len || zeros && self.rest_is_zero()? {
                return Ok(ChunkRead::End { torn });
            }
            return Err(self.corrupted(start, "a chunk's header does not open"));
        };
        let len = u32::from_le_bytes(len);
        if !(TAG_BYTES..=CHUNK_BYTES_MAX).contains(&(len as usize)) {
            return Err(self.corrupted(start, "a chunk has an impossible length"));
        }
        if u64::from(len) > self.len - self.offset {
            return Ok(ChunkRead::End { torn });
        }
        let mut body = zeroize::Zeroizing::new(vec![0; len as usize]);
        self.read_exact(&mut body)?;
        let Ok(plaintext) = key.open(body_nonce, &self.header, &mut body) else {
            if self.offset == self.len {
                return Ok(ChunkRead::End { torn });
            }
            return Err(self.corrupted(start, "a chunk does not open"));
        };
        let read = match self.version {
            1 => records_of_version_1(plaintext),
            _ => records(&mut self.unpacker, plaintext),
        };
        let chunk = read.ok_or_else(|| self.corrupted(start, "a record is malformed"))?;
        self.chunk_index += 1;
        self.key = Some(key);
        Ok(chunk)
    }

    fn read_exact(&mut self, out: &mut [u8]) -> Result<(), LogError> {
        self.file
            .read_exact(out)
            .map_err(|e| LogError::io("read a segment", &self.path, e))?;
        self.offset += out.len() as u64;
        Ok(())
    }

    /// Whether nothing but zeros follows, and not more of them than one batch could have left.
    fn rest_is_zero(&mut self) -> Result<bool, LogError> {
        let rest = self.len - self.offset;
        if rest > BATCH_BYTES_MAX {
            return Ok(false);
        }
        let mut rest = (&mut self.file).take(rest);
        let mut buffer = [0; 4096];
        loop {
            let read = rest.read(&mut buffer);
            match read.map_err(|e| LogError::io("read a segment", &self.path, e))? {
                0 => return Ok(true),
                n if buffer.iter().take(n).any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }

    fn corrupted(&self, offset: u64, what: &'static str) -> LogError {
        LogError::corrupted(&self.name, offset, what)
    }
}

/// `None` for what no writer writes.
fn records(unpacker: &mut Unpacker, plaintext: &[u8]) -> Option<ChunkRead> {
    match plaintext.split_first()? {
        (&SIGHTINGS, packed) => {
            let sightings = unpacker.unpack(packed, CHUNK_SIGHTINGS_MAX).ok()?;
            Some(ChunkRead::Sightings(sightings))
        }
        (&GAPS, encoded) => codec::decode(encoded).ok().map(ChunkRead::Gaps),
        _ => None,
    }
}

fn records_of_version_1(plaintext: &[u8]) -> Option<ChunkRead> {
    match plaintext.get(COUNT_TOP) {
        Some(count_top) if count_top & HOLDS_GAPS != 0 => {
            let mut plaintext = plaintext.to_vec();
            if let Some(count_top) = plaintext.get_mut(COUNT_TOP) {
                *count_top &= !HOLDS_GAPS;
            }
            codec::decode(&plaintext).ok().map(ChunkRead::Gaps)
        }
        _ => codec::decode(plaintext).ok().map(ChunkRead::Sightings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_segments_and_of_nothing_else() {
        let name = SegmentName {
            day: "2020-08-08".parse().unwrap(),
            number: 12,
        };
        assert_eq!(name.to_string(), "2020-08-08.0012.segment");
        assert_eq!(SegmentName::parse("2020-08-08.0012.segment"), Some(name));
        for other in [
            "2020-08-08.12.segment",
            "2020-08-08.segment",
            "2020-02-30.0000.segment",
            "2020-08-08.+001.segment",
            "lock",
            "../2020-08-08.0000.segment",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }
}
