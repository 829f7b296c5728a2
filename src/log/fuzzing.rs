//! What the fuzz targets (`fuzz/`) need to get behind the seals: files as only a holder of the keys can make
//! them, and the reader of segments by itself. Compiled for them alone, by `--cfg fuzzing`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::format::{FileKind, LogId, SEALED_ROOT_BYTES, SegmentHeader, SegmentId};
use super::home::{Home, public};
use super::manifest::{Length, Manifest};
use super::renewal::Reading;
use super::segment::{ChunkRead, SegmentName, SegmentReader, legacy, seal_chunks};
use super::{KeyProvider, KeyPurpose, LogEntry, LogError, MemoryKey, MemoryStorage, Storage};
use crate::secret::Secret;
use crate::sighting::{ScanGap, Sighting};
use crate::time::{ClockReading, ClockRecord, UtcDay};

/// What [`MemoryKey::new`] is given: the key of the logs in `tests/vectors`, too.
pub const KEY: [u8; 32] = [7; 32];

/// The identity of the log whose files [`seal_segment`] and [`seal_file`] make.
pub const LOG_ID: [u8; 16] = [1; 16];

/// The segment that [`seal_segment`] makes.
pub const SEGMENT: &str = "2020-08-08.0000.segment";

/// Where in it the root as it is sealed stands: zeros, as a reader has it from the table.
pub const SEALED_ROOT: std::ops::Range<usize> = 48..48 + SEALED_ROOT_BYTES;

const DAY: UtcDay = UtcDay::from_unix_days(18_482);
const SEGMENT_ID: SegmentId = [2; 16];
const ROOT: [u8; 32] = [3; 32];

/// A step of reading a segment.
#[derive(Debug)]
pub enum Step {
    /// Sightings.
    Sightings(Vec<Sighting>),
    /// Times in which nothing could be heard.
    Gaps(Vec<ScanGap>),
    /// What the clocks said.
    Clock(ClockRecord),
    /// What the owner has entered.
    Entries(Vec<LogEntry>),
    /// The end, with so many bytes behind the last whole chunk.
    End(u64),
    /// Damage.
    Failed(LogError),
}

/// The segment [`SEGMENT`] in format `version`, 1 to 4, with a chunk for each of `bodies`.
///
/// # Errors
///
/// [`LogError::Crypto`] if a body is too long to be sealed.
pub fn seal_segment(version: u16, bodies: &[&[u8]]) -> Result<Vec<u8>, LogError> {
    let header = SegmentHeader {
        version,
        number: 0,
        day: DAY,
        log_id: LogId(LOG_ID),
        id: SEGMENT_ID,
    };
    match version {
        1 | 2 => legacy::seal_chunks(&header, &Secret::new(KEY), bodies),
        _ => seal_chunks(&header, Secret::new(ROOT), bodies),
    }
}

/// What a reader finds in the segment `file`, of which the manifest says `noted`: bytes acknowledged, and
/// bytes found; up to the end or the first damage. The file is [`SEGMENT`], or whichever it says it is.
///
/// # Errors
///
/// None of the segment's.
pub fn read_segment(
    file: &[u8],
    as_it_says: bool,
    noted: Option<(u64, u64)>,
) -> Result<Vec<Step>, LogError> {
    let mut name = SegmentName {
        day: DAY,
        number: 0,
    };
    let mut log_id = LogId(LOG_ID);
    if as_it_says
        && let Some(prelude) = file.first_chunk()
        && let Ok(header) = SegmentHeader::from_bytes(prelude, SEGMENT)
    {
        (name.day, name.number) = (header.day, header.number.into());
        log_id = header.log_id;
    }
    let private = reading_key()?;
    let storage = MemoryStorage::default();
    put(&storage, &name.to_string(), file)?;
    let home = Home {
        storage: Arc::new(storage),
        kek: Arc::new(Secret::new(KEY)),
        log_id,
        reading: Some([0; 32]),
        is_unsettled: false,
    };
    let reading = Reading::of(private, BTreeMap::from(roots()));
    let noted = noted.map(|(acknowledged, found)| Length {
        acknowledged,
        found,
    });
    Ok(steps(SegmentReader::open(&home, &reading, &name, noted)))
}

fn steps(opened: Result<SegmentReader<'_>, LogError>) -> Vec<Step> {
    let mut reader = match opened {
        Ok(reader) => reader,
        Err(error) => return vec![Step::Failed(error)],
    };
    let mut steps = Vec::new();
    loop {
        let step = match reader.read_chunk() {
            Ok(ChunkRead::Sightings(sightings)) => Step::Sightings(sightings),
            Ok(ChunkRead::Gaps(gaps)) => Step::Gaps(gaps),
            Ok(ChunkRead::Clock(record)) => Step::Clock(record),
            Ok(ChunkRead::Entries(entries)) => Step::Entries(entries),
            Ok(ChunkRead::End { torn }) => Step::End(torn),
            Err(error) => Step::Failed(error),
        };
        let last = matches!(step, Step::End(_) | Step::Failed(_));
        steps.push(step);
        if last {
            return steps;
        }
    }
}

/// The roots of [`SEGMENT`] and of segments of versions 1 and 2.
fn roots() -> [(SegmentId, Secret<32>); 2] {
    [([0; 16], KEY), (SEGMENT_ID, ROOT)].map(|(id, root)| (id, Secret::new(root)))
}

/// The payloads of `log.meta` and of `segment-keys.sealed` in the log that has [`SEGMENT`].
///
/// # Errors
///
/// None that is known.
pub fn payloads() -> Result<[Vec<u8>; 2], LogError> {
    let meta = [&LOG_ID[..], &public(&reading_key()?)?].concat();
    let entries = roots().map(|(id, root)| [&id[..], root.expose()].concat());
    Ok([meta, entries.concat()])
}

/// The payload of a manifest that knows segments of so many bytes, the first of which is [`SEGMENT`], and one
/// that is being deleted.
///
/// # Errors
///
/// [`LogError::Crypto`] if there are too many.
pub fn manifest(lengths: &[u64]) -> Result<Vec<u8>, LogError> {
    let name = |number| SegmentName { day: DAY, number };
    let segments = (0..).zip(lengths).map(|(number, &acknowledged)| {
        let found = 0;
        let length = Length {
            acknowledged,
            found,
        };
        (name(number), length)
    });
    let wall = DAY.start();
    Manifest {
        segments: segments.collect(),
        doomed: [name(99)].into(),
        renewed: Some(DAY),
        clock: Some(ClockReading { wall, uptime: None }),
        lost: None,
    }
    .encode()
}

/// `payload` as the sealed file `name`; `None` if no sealed file has that name.
///
/// # Errors
///
/// [`LogError::Crypto`] if the payload is too long to be sealed.
pub fn seal_file(name: &str, payload: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
    let (kek, salt) = (Secret::new(KEY), [4; 16]);
    let under = |kind: FileKind, context| kind.seal(&kek, salt, context, payload.to_vec());
    let to_reader = |kind: FileKind| {
        let reading = public(&reading_key()?)?;
        kind.seal_to(&reading, LogId(LOG_ID), payload)
    };
    for kind in [FileKind::OwnKeys, FileKind::Manifest] {
        if kind.name() == name {
            return under(kind, &LOG_ID).map(Some);
        }
    }
    for kind in [FileKind::SegmentKeys, FileKind::ReadingKey] {
        if kind.name() == name {
            return to_reader(kind).map(Some);
        }
    }
    match FileKind::Meta.name() == name {
        true => under(FileKind::Meta, &[]).map(Some),
        false => Ok(None),
    }
}

/// The public part of a reading key.
///
/// # Errors
///
/// None that is known.
pub fn public_key(private: [u8; 32]) -> Result<[u8; 32], LogError> {
    public(&Secret::new(private))
}

/// Makes a file of `bytes` in `storage`.
///
/// # Errors
///
/// [`LogError::Io`] if there is one of that name.
pub fn put(storage: &MemoryStorage, name: &str, bytes: &[u8]) -> Result<(), LogError> {
    let made = storage.create(name).and_then(|mut file| file.append(bytes));
    made.map_err(|e| LogError::io("make", storage.location(), e))
}

/// [`KEY`]'s reading key.
fn reading_key() -> Result<Secret<32>, LogError> {
    let key = MemoryKey::new(Secret::new(KEY)).load(KeyPurpose::Reading)?;
    key.ok_or(LogError::Crypto)
}
