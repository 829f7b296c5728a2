//! Segments: files of sealed chunks, each of one UTC day and one writer's lifetime.

use zeroize::Zeroizing;

use super::format::{
    CHUNK_HEADER_BYTES, CHUNK_INFO, PRELUDE_BYTES, SEALED_ROOT_BYTES, SEGMENT_HEADER_BYTES,
    SEGMENT_VERSION, SegmentHeader,
};
use super::home::{Home, fresh_id, fresh_key};
use super::packing::Packer;
use super::{AppendFile, LogEntry, LogError};
use crate::codec;
use crate::crypto::{self, AeadKey, TAG_BYTES};
use crate::secret::Secret;
use crate::sighting::{ScanGap, Sighting};
use crate::time::{ClockRecord, UtcDay};

mod entries;
pub(super) mod legacy;
mod reader;

pub(crate) use reader::{ChunkRead, SegmentReader};

/// Sightings in a chunk at most: 1,024 of them are 12 kB as a rule, and 42 at worst.
const CHUNK_SIGHTINGS_MAX: usize = 1_024;

/// A segment's file is made longer by so much at a time. Chosen: forty batches of a busy day, of which one syncs a new
/// length; and what a process that is killed leaves too much.
const STEP_BYTES: u64 = 1 << 15;

/// What a chunk holds: its first byte.
const SIGHTINGS: u8 = 0;
const GAPS: u8 = 1;
const CLOCK: u8 = 2;
/// From version 4 on.
const ENTRIES: u8 = 3;

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

/// The secret of a segment's next chunk. Each step forgets how the chunks before were sealed.
pub(super) struct Ratchet(Secret<32>);

impl Ratchet {
    /// The one of a segment's first chunk.
    pub(super) fn from_root(root: Secret<32>) -> Self {
        Self(root)
    }

    /// The key of the next chunk, once.
    fn step(&mut self) -> Result<AeadKey, LogError> {
        let [key, next] = crypto::step(&self.0, CHUNK_INFO).map_err(|_| LogError::Crypto)?;
        self.0 = next;
        AeadKey::new(&key).map_err(|_| LogError::Crypto)
    }

    /// Adds to `out` the next chunk of a segment that begins with `prelude` and `sealed_root`.
    fn seal(
        &mut self,
        prelude: &[u8; PRELUDE_BYTES],
        sealed_root: &[u8; SEALED_ROOT_BYTES],
        mut body: Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), LogError> {
        let len = u32::try_from(body.len() + TAG_BYTES).map_err(|_| LogError::Crypto)?;
        let length = len.to_le_bytes();
        let sealed = self
            .step()?
            .seal(0, &chunk_aad(prelude, sealed_root, &length), &mut body);
        sealed.map_err(|_| LogError::Crypto)?;
        out.extend(length);
        out.append(&mut body);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn secret(&self) -> Secret<32> {
        self.0.duplicate()
    }
}

/// What a chunk is bound to beside its key: the segment's header, also the root as it is sealed, which nobody opens
/// once it stands in the table of roots; and its own length.
fn chunk_aad(
    prelude: &[u8; PRELUDE_BYTES],
    sealed_root: &[u8; SEALED_ROOT_BYTES],
    length: &[u8; CHUNK_HEADER_BYTES],
) -> [u8; SEGMENT_HEADER_BYTES + CHUNK_HEADER_BYTES] {
    let mut aad = [0; SEGMENT_HEADER_BYTES + CHUNK_HEADER_BYTES];
    let (first, rest) = aad.split_at_mut(PRELUDE_BYTES);
    let (second, third) = rest.split_at_mut(SEALED_ROOT_BYTES);
    first.copy_from_slice(prelude);
    second.copy_from_slice(sealed_root);
    third.copy_from_slice(length);
    aad
}

/// Appends chunks to a segment that it has made. It holds nothing that opens what it has written.
pub(crate) struct SegmentWriter {
    file: Box<dyn AppendFile>,
    pub(super) name: SegmentName,
    prelude: [u8; PRELUDE_BYTES],
    sealed_root: [u8; SEALED_ROOT_BYTES],
    pub(super) ratchet: Ratchet,
    pub(super) packer: Packer,
    /// What the clocks said when they were last noted here.
    pub(super) clock: Option<ClockRecord>,
    /// Bytes that are on the disk for certain.
    pub(super) acknowledged: u64,
}

impl SegmentWriter {
    /// Makes the segment, and returns once it is on the disk. Its root is fresh each time, so no segment is
    /// ever opened for writing again, and no key seals twice.
    pub(super) fn create(home: &Home, name: SegmentName) -> Result<Self, LogError> {
        let header = SegmentHeader {
            version: SEGMENT_VERSION,
            number: u16::try_from(name.number).map_err(|_| LogError::Crypto)?,
            day: name.day,
            log_id: home.log_id,
            id: fresh_id()?,
        };
        let root = fresh_key()?;
        let reading = home.reading.ok_or(LogError::Crypto)?;
        let sealed_root = header.seal_root(&reading, &root)?;
        let sealed_root: [u8; SEALED_ROOT_BYTES] =
            sealed_root.try_into().map_err(|_| LogError::Crypto)?;
        let file_name = name.to_string();
        let prelude = header.to_bytes();
        let made = home.storage.create(&file_name).and_then(|mut file| {
            file.append(&[&prelude[..], &sealed_root].concat())?;
            file.sync()?;
            home.storage.sync_directory()?;
            Ok(file)
        });
        match made {
            Ok(mut file) => {
                // Not sooner: a segment that holds nothing is told by its length.
                file.grow_by(STEP_BYTES);
                Ok(Self {
                    file,
                    name,
                    prelude,
                    sealed_root,
                    ratchet: Ratchet::from_root(root),
                    packer: Packer::default(),
                    clock: None,
                    acknowledged: SEGMENT_HEADER_BYTES as u64,
                })
            }
            Err(e) => {
                // On a full disk each try would leave a file behind, until the day has no number left.
                let _ = home.remove(&file_name);
                Err(home.io("make", &file_name, e))
            }
        }
    }

    pub(super) fn day(&self) -> UtcDay {
        self.name.day
    }

    /// Appends `sightings`, after `clock` if that is to be noted, and returns once the system says that all
    /// is on the disk.
    ///
    /// After an error nothing may be appended to this segment: its last chunk may be cut.
    pub(super) fn append(
        &mut self,
        home: &Home,
        clock: Option<ClockRecord>,
        sightings: &[Sighting],
    ) -> Result<(), LogError> {
        let mut bytes = self.sealed_clock(clock)?;
        for chunk in sightings.chunks(CHUNK_SIGHTINGS_MAX) {
            let mut body = vec![SIGHTINGS];
            self.packer.pack(chunk, &mut body);
            self.seal_chunk(body, &mut bytes)?;
        }
        self.write(home, &bytes)
    }

    /// Appends `gaps` as [`append`](Self::append) does sightings.
    pub(super) fn append_gaps(
        &mut self,
        home: &Home,
        clock: Option<ClockRecord>,
        gaps: &[ScanGap],
    ) -> Result<(), LogError> {
        let mut bytes = self.sealed_clock(clock)?;
        for chunk in gaps.chunks(CHUNK_SIGHTINGS_MAX) {
            let encoded = codec::encode_into(vec![GAPS], &chunk).map_err(|_| LogError::Crypto)?;
            self.seal_chunk(encoded, &mut bytes)?;
        }
        self.write(home, &bytes)
    }

    /// Appends `entries` as [`append`](Self::append) does sightings.
    pub(super) fn append_entries(
        &mut self,
        home: &Home,
        clock: Option<ClockRecord>,
        entries: &[LogEntry],
    ) -> Result<(), LogError> {
        let mut bytes = self.sealed_clock(clock)?;
        for body in entries::bodies(entries)? {
            self.seal_chunk(body, &mut bytes)?;
        }
        self.write(home, &bytes)
    }

    fn sealed_clock(&mut self, clock: Option<ClockRecord>) -> Result<Vec<u8>, LogError> {
        let mut bytes = Vec::new();
        if let Some(record) = clock {
            let encoded = codec::encode_into(vec![CLOCK], &record).map_err(|_| LogError::Crypto)?;
            self.seal_chunk(encoded, &mut bytes)?;
            self.clock = Some(record);
        }
        Ok(bytes)
    }

    fn write(&mut self, home: &Home, bytes: &[u8]) -> Result<(), LogError> {
        let written = self.file.append(bytes).and_then(|()| self.file.sync());
        match written {
            Ok(()) => {
                self.acknowledged += bytes.len() as u64;
                Ok(())
            }
            Err(e) => {
                // It will be written again elsewhere, and on a full disk it would be in the way. Should
                // that fail too, the reader finds a torn tail, or sightings twice.
                let truncated = self.file.truncate(self.acknowledged);
                // Else a power cut might bring it back.
                let _ = truncated.and_then(|()| self.file.sync());
                Err(home.io("write to", &self.name.to_string(), e))
            }
        }
    }

    fn seal_chunk(&mut self, body: Vec<u8>, out: &mut Vec<u8>) -> Result<(), LogError> {
        self.ratchet
            .seal(&self.prelude, &self.sealed_root, body, out)
    }
}

/// What a chunk's plaintext says, in `version` from 2 on; `None` for what no writer writes.
fn records(
    version: u16,
    unpacker: &mut super::packing::Unpacker,
    plaintext: &[u8],
) -> Option<ChunkRead> {
    match plaintext.split_first()? {
        (&SIGHTINGS, packed) => {
            let sightings = unpacker.unpack(packed, CHUNK_SIGHTINGS_MAX).ok()?;
            Some(ChunkRead::Sightings(sightings))
        }
        (&GAPS, encoded) => codec::decode(encoded).ok().map(ChunkRead::Gaps),
        (&CLOCK, encoded) => codec::decode(encoded).ok().map(ChunkRead::Clock),
        (&ENTRIES, encoded) if version >= 4 => entries::parse(encoded).map(ChunkRead::Entries),
        _ => None,
    }
}

/// A segment of these chunks that is opened with a root of before: its own is not there.
#[cfg(fuzzing)]
pub(super) fn seal_chunks(
    header: &SegmentHeader,
    root: Secret<32>,
    bodies: &[&[u8]],
) -> Result<Vec<u8>, LogError> {
    let (prelude, sealed_root) = (header.to_bytes(), [0; SEALED_ROOT_BYTES]);
    let mut ratchet = Ratchet::from_root(root);
    let mut bytes = [&prelude[..], &sealed_root].concat();
    for body in bodies {
        ratchet.seal(&prelude, &sealed_root, body.to_vec(), &mut bytes)?;
    }
    Ok(bytes)
}

/// Room for a chunk's plaintext, wiped after use.
type Body = Zeroizing<Vec<u8>>;

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
