//! Reading a segment, chunk by chunk.

use std::io::{BufReader, ErrorKind, Read};

use super::super::format::{
    CHUNK_BYTES_MAX, CHUNK_HEADER_BYTES, PRELUDE_BYTES, ROOTED_VERSION, SEALED_ROOT_BYTES,
    SEGMENT_HEADER_BYTES, SegmentHeader,
};
use super::super::home::Home;
use super::super::manifest::Length;
use super::super::packing::Unpacker;
use super::super::renewal::Reading;
use super::legacy::LegacyKeys;
use super::{Body, LogEntry, LogError, Ratchet, SegmentName, chunk_aad, records};
use crate::crypto::TAG_BYTES;
use crate::sighting::{ScanGap, Sighting};
use crate::time::ClockRecord;

/// Read from the disk at a time. Chosen: five chunks of a batch of 64 sightings.
const BUFFER_BYTES: usize = 1 << 14;

/// A step of reading a segment.
pub(crate) enum ChunkRead {
    Sightings(Vec<Sighting>),
    Gaps(Vec<ScanGap>),
    Clock(ClockRecord),
    Entries(Vec<LogEntry>),
    /// The end. `torn` bytes at it belong to no whole chunk: a write that a power cut or a full
    /// disk ended early, or one that is under way.
    End {
        torn: u64,
    },
}

/// What has become of a chunk.
enum Opened {
    /// Its plaintext, of this length, stands at the beginning of the body.
    Chunk { len: usize },
    /// There is none. `used` is where what was read for it ends, without zeros at the end.
    Not { used: u64 },
}

/// What opens a segment's chunks.
enum Keys {
    Ratchet(Ratchet),
    Legacy(Box<LegacyKeys>),
}

/// Reads a segment chunk by chunk, one chunk in memory at a time.
pub(crate) struct SegmentReader<'a> {
    home: &'a Home,
    file: BufReader<Box<dyn Read + Send>>,
    name: String,
    length: Length,
    /// Length of the file when it was opened; a writer may append beside us.
    pub(super) len: u64,
    pub(super) offset: u64,
    pub(super) prelude: [u8; PRELUDE_BYTES],
    sealed_root: [u8; SEALED_ROOT_BYTES],
    version: u16,
    pub(super) unpacker: Unpacker,
    /// `None` once there is nothing more to read.
    keys: Option<Keys>,
    body: Body,
}

impl<'a> SegmentReader<'a> {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Opens the segment; `length` is what the log's manifest says of it.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`], [`LogError::Io`].
    pub(crate) fn open(
        home: &'a Home,
        reading: &Reading,
        name: &SegmentName,
        length: Option<Length>,
    ) -> Result<Self, LogError> {
        let (SegmentName { day, number }, name) = (name.clone(), name.to_string());
        let file = home
            .storage
            .open(&name)
            .map_err(|e| home.io("open", &name, e))?;
        let mut reader = Self {
            home,
            file: BufReader::with_capacity(BUFFER_BYTES, file.bytes),
            name,
            length: length.unwrap_or_default(),
            len: file.len,
            offset: 0,
            prelude: [0; PRELUDE_BYTES],
            sealed_root: [0; SEALED_ROOT_BYTES],
            version: 0,
            unpacker: Unpacker::default(),
            keys: None,
            body: Body::default(),
        };
        // It was being made, and nothing can be in it: whatever is there, a power cut may have left it.
        if length.is_none() && reader.len <= SEGMENT_HEADER_BYTES as u64 {
            return Ok(reader);
        }
        let Some(header) = reader.header()? else {
            return Ok(reader);
        };
        if header.log_id != home.log_id {
            return Err(reader.corrupted(16, "it belongs to another log"));
        }
        if header.day != day {
            return Err(reader.corrupted(12, "its day is not its name's"));
        }
        if header.version >= ROOTED_VERSION && u32::from(header.number) != number {
            return Err(reader.corrupted(10, "its number is not its name's"));
        }
        if header.version < ROOTED_VERSION {
            reader.refuse_if_forged(length)?;
            let kek = reading.legacy(home);
            let kek = kek.ok_or_else(|| reader.corrupted(0, "its key is not kept any more"))?;
            reader.keys = Some(Keys::Legacy(Box::new(LegacyKeys::new(&header, kek)?)));
            return Ok(reader);
        }
        reader.version = header.version;
        reader.open_root(reading, &header, length.is_some())?;
        Ok(reader)
    }

    /// The segment's first bytes; `None` if there is nothing in it.
    fn header(&mut self) -> Result<Option<SegmentHeader>, LogError> {
        let torn = self.length.acknowledged == 0;
        if self.len < PRELUDE_BYTES as u64 {
            return match torn {
                true => Ok(None),
                false => Err(self.corrupted(self.len, CUT)),
            };
        }
        let mut prelude = [0; PRELUDE_BYTES];
        self.read_exact(&mut prelude)?;
        match SegmentHeader::from_bytes(&prelude, &self.name) {
            Ok(header) => {
                self.prelude = prelude;
                Ok(Some(header))
            }
            // A file system may have written the length of a file before its bytes.
            Err(_) if torn && prelude == [0; PRELUDE_BYTES] && self.rest_is_zero()? => {
                self.offset = 0;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Refuses a segment of an older version where there was none: a writer of this version makes none, and
    /// has noted those it found.
    fn refuse_if_forged(&self, length: Option<Length>) -> Result<(), LogError> {
        match length {
            None => Err(self.corrupted(0, UNKNOWN)),
            Some(Length {
                acknowledged: 0, ..
            }) => Ok(()),
            Some(_) => Err(self.corrupted(8, "it is of an older version than what was stored")),
        }
    }

    fn open_root(
        &mut self,
        reading: &Reading,
        header: &SegmentHeader,
        noted: bool,
    ) -> Result<(), LogError> {
        let start = self.offset;
        let mut sealed = [0; SEALED_ROOT_BYTES];
        let left = self.len - start;
        if left < sealed.len() as u64 {
            return match self.length.acknowledged {
                0 => Ok(()),
                _ => Err(self.corrupted(self.len, CUT)),
            };
        }
        self.read_exact(&mut sealed)?;
        self.sealed_root = sealed;
        if !noted && self.offset < self.len {
            return Err(self.corrupted(0, UNKNOWN));
        }
        match reading.root(header, &sealed) {
            Some(root) => self.keys = Some(Keys::Ratchet(Ratchet::from_root(root))),
            None if self.length.acknowledged == 0 => {}
            None => {
                let why = "its root does not open: damaged, or its key is not kept any more";
                return Err(self.corrupted(start, why));
            }
        }
        Ok(())
    }

    /// The next chunk's records.
    ///
    /// # Errors
    ///
    /// [`LogError::Corrupted`] for anything that does not open or is missing, unless it may be what a power
    /// cut left.
    pub(crate) fn read_chunk(&mut self) -> Result<ChunkRead, LogError> {
        match self.keys.take() {
            None => self.end(self.offset),
            Some(Keys::Ratchet(mut ratchet)) => {
                let chunk = self.ratcheted(&mut ratchet)?;
                if !matches!(chunk, ChunkRead::End { .. }) {
                    self.keys = Some(Keys::Ratchet(ratchet));
                }
                Ok(chunk)
            }
            Some(Keys::Legacy(mut keys)) => match keys.read(self)? {
                ChunkRead::End { torn } => self.end(self.len - torn),
                chunk => {
                    self.keys = Some(Keys::Legacy(keys));
                    Ok(chunk)
                }
            },
        }
    }

    fn end(&self, start: u64) -> Result<ChunkRead, LogError> {
        self.end_after(start, self.len)
    }

    /// What is left behind `start`, up to `used`, was never acknowledged; or it is missing though it was.
    fn end_after(&self, start: u64, used: u64) -> Result<ChunkRead, LogError> {
        if self.len < self.length.least() {
            return Err(self.corrupted(self.len, CUT));
        }
        let torn = used.saturating_sub(start);
        Ok(ChunkRead::End { torn })
    }

    fn ratcheted(&mut self, ratchet: &mut Ratchet) -> Result<ChunkRead, LogError> {
        let start = self.offset;
        let len = match self.open_chunk(ratchet)? {
            Opened::Chunk { len } => len,
            // Behind what was acknowledged it may never have reached the disk.
            Opened::Not { .. }
                if start < self.length.acknowledged && self.len >= self.length.acknowledged =>
            {
                return Err(self.corrupted(start, "a chunk does not open"));
            }
            Opened::Not { used } => {
                let used = self.last_used(used)?;
                return self.end_after(start, used);
            }
        };
        let plaintext = self.body.get(..len).unwrap_or_default();
        let read = records(self.version, &mut self.unpacker, plaintext);
        read.ok_or_else(|| self.corrupted(start, "a record is malformed"))
    }

    /// The end of the file without the zeros at it, but not before `used`.
    fn last_used(&mut self, mut used: u64) -> Result<u64, LogError> {
        let mut buffer = [0; 4096];
        loop {
            let left = (self.len - self.offset).min(buffer.len() as u64);
            let part = buffer.get_mut(..left as usize).unwrap_or_default();
            if part.is_empty() || !self.read_if_there(part)? {
                return Ok(used);
            }
            used = self.used_of(part).unwrap_or(used);
        }
    }

    /// Reads, unless the file has become shorter since it was opened: a writer that ends a segment cuts off the
    /// zeros behind it. What it has cut is not taken for missing, unless it was acknowledged.
    fn read_if_there(&mut self, out: &mut [u8]) -> Result<bool, LogError> {
        match self.file.read_exact(out) {
            Ok(()) => {
                self.offset += out.len() as u64;
                Ok(true)
            }
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                self.len = self.offset;
                Ok(false)
            }
            Err(e) => Err(self.home.io("read", &self.name, e)),
        }
    }

    /// Leaves the next chunk's plaintext in `body`.
    fn open_chunk(&mut self, ratchet: &mut Ratchet) -> Result<Opened, LogError> {
        let mut used = self.offset;
        let mut length = [0; CHUNK_HEADER_BYTES];
        if self.len - self.offset < length.len() as u64 {
            return Ok(Opened::Not { used });
        }
        if !self.read_if_there(&mut length)? {
            return Ok(Opened::Not { used });
        }
        used = self.used_of(&length).unwrap_or(used);
        let len = u32::from_le_bytes(length);
        let possible = (TAG_BYTES..=CHUNK_BYTES_MAX).contains(&(len as usize));
        if !possible || u64::from(len) > self.len - self.offset {
            return Ok(Opened::Not { used });
        }
        let mut body = std::mem::take(&mut self.body);
        body.resize(len as usize, 0);
        if !self.read_if_there(&mut body)? {
            return Ok(Opened::Not { used });
        }
        used = self.used_of(&body).unwrap_or(used);
        let opened = ratchet.step()?.open(
            0,
            &chunk_aad(&self.prelude, &self.sealed_root, &length),
            &mut body,
        );
        let opened = opened.map_or(Opened::Not { used }, |plaintext| Opened::Chunk {
            len: plaintext.len(),
        });
        self.body = body;
        Ok(opened)
    }

    /// Where `last_read` ends without the zeros at its end; `None` if there is nothing else in it.
    fn used_of(&self, last_read: &[u8]) -> Option<u64> {
        let mut rest = last_read;
        // By the block, which is compared at once: a segment may have 32 KiB of zeros at its end.
        while let Some((before, block)) = rest.split_last_chunk()
            && *block == [0; 512]
        {
            rest = before;
        }
        let last = rest.iter().rposition(|byte| *byte != 0)?;
        Some(self.offset - (last_read.len() - 1 - last) as u64)
    }

    pub(super) fn read_exact(&mut self, out: &mut [u8]) -> Result<(), LogError> {
        self.file
            .read_exact(out)
            .map_err(|e| self.home.io("read", &self.name, e))?;
        self.offset += out.len() as u64;
        Ok(())
    }

    /// Whether nothing but zeros follows, and not more of them than one batch could have left.
    pub(super) fn rest_is_zero(&mut self) -> Result<bool, LogError> {
        let rest = self.len - self.offset;
        if rest > super::legacy::BATCH_BYTES_MAX {
            return Ok(false);
        }
        let mut rest = (&mut self.file).take(rest);
        let mut buffer = [0; 4096];
        loop {
            let read = rest.read(&mut buffer);
            match read.map_err(|e| self.home.io("read", &self.name, e))? {
                0 => return Ok(true),
                n if buffer.iter().take(n).any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    }

    pub(super) fn corrupted(&self, offset: u64, what: &'static str) -> LogError {
        LogError::corrupted(&self.name, offset, what)
    }
}

const CUT: &str =
    "it ends here, though more was stored: somebody has cut it, or put an older one back";

const UNKNOWN: &str = "the log does not know it: somebody has put it there";
