//! Chunks of versions 1 and 2, whose writer held the key that opens them. They are read for ever, and
//! written no more.

use zeroize::Zeroizing;

use super::super::format::{CHUNK_BYTES_MAX, SegmentHeader};
use super::{ChunkRead, LogError, SegmentReader, records};
use crate::codec;
use crate::crypto::{AeadKey, TAG_BYTES};
use crate::secret::Secret;

/// A chunk's length, sealed.
const CHUNK_HEADER_BYTES: usize = 4 + TAG_BYTES;

/// In version 1 the top byte of a chunk's count, little-endian, and the bit of it that said so.
const COUNT_TOP: usize = 7;
const HOLDS_GAPS: u8 = 0x80;

/// What one batch wrote at most, so what zeros a power cut can have left.
pub(super) const BATCH_BYTES_MAX: u64 = 1 << 22;

/// The key of a segment's chunks, and which comes next.
pub(super) struct LegacyKeys {
    key: AeadKey,
    version: u16,
    chunk_index: u64,
}

impl LegacyKeys {
    pub(super) fn new(header: &SegmentHeader, kek: &Secret<32>) -> Result<Self, LogError> {
        Ok(Self {
            key: header.legacy_key(kek)?,
            version: header.version,
            chunk_index: 0,
        })
    }

    /// The next chunk's records. Where a chunk ends is sealed by itself, so that a length that was changed is
    /// damage; what does not open is torn if it ends with the file.
    pub(super) fn read(&mut self, from: &mut SegmentReader<'_>) -> Result<ChunkRead, LogError> {
        let start = from.offset;
        let torn = from.len - start;
        if torn < CHUNK_HEADER_BYTES as u64 {
            return Ok(ChunkRead::End { torn });
        }
        let (header_nonce, body_nonce) = (2 * self.chunk_index, 2 * self.chunk_index + 1);
        let mut header = [0; CHUNK_HEADER_BYTES];
        from.read_exact(&mut header)?;
        let zeros = header == [0; CHUNK_HEADER_BYTES];
        let opened = self.key.open(header_nonce, &from.prelude, &mut header);
        let Some(len) = opened.ok().and_then(|len| len.try_into().ok()) else {
            // The bytes may never have reached the disk although the file's length did.
            if from.offset == from.len || zeros && from.rest_is_zero()? {
                return Ok(ChunkRead::End { torn });
            }
            return Err(from.corrupted(start, "a chunk's header does not open"));
        };
        let len = u32::from_le_bytes(len);
        if !(TAG_BYTES..=CHUNK_BYTES_MAX).contains(&(len as usize)) {
            return Err(from.corrupted(start, "a chunk has an impossible length"));
        }
        if u64::from(len) > from.len - from.offset {
            return Ok(ChunkRead::End { torn });
        }
        let mut body = Zeroizing::new(vec![0; len as usize]);
        from.read_exact(&mut body)?;
        let Ok(plaintext) = self.key.open(body_nonce, &from.prelude, &mut body) else {
            if from.offset == from.len {
                return Ok(ChunkRead::End { torn });
            }
            return Err(from.corrupted(start, "a chunk does not open"));
        };
        let read = match self.version {
            1 => records_of_version_1(plaintext),
            version => records(version, &mut from.unpacker, plaintext),
        };
        self.chunk_index += 1;
        read.ok_or_else(|| from.corrupted(start, "a record is malformed"))
    }
}

/// A segment of version 1 or 2 of these chunks.
#[cfg(fuzzing)]
pub(in crate::log) fn seal_chunks(
    header: &SegmentHeader,
    kek: &Secret<32>,
    bodies: &[&[u8]],
) -> Result<Vec<u8>, LogError> {
    let key = header.legacy_key(kek)?;
    let prelude = header.to_bytes();
    let mut bytes = prelude.to_vec();
    for (body, index) in bodies.iter().zip(0..) {
        let len = u32::try_from(body.len() + TAG_BYTES).map_err(|_| LogError::Crypto)?;
        for (nonce, plaintext) in [(2 * index, &len.to_le_bytes()[..]), (2 * index + 1, body)] {
            let mut sealed = plaintext.to_vec();
            let done = key.seal(nonce, &prelude, &mut sealed);
            done.map_err(|_| LogError::Crypto)?;
            bytes.extend(sealed);
        }
    }
    Ok(bytes)
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
