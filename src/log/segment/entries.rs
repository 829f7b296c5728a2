//! Entries as bytes: `docs/log-format.md` has every one.

use super::super::format::CHUNK_BYTES_MAX;
use super::super::{EntryKind, LogEntry, LogError};
use super::ENTRIES;
use crate::codec;
use crate::crypto::TAG_BYTES;
use crate::time::Timestamp;

/// Before an entry's bytes: when it was made, its kind, and their length.
const ENTRY_HEADER_BYTES: usize = 8 + 2 + 8;

/// Before all entries of a chunk: what it holds, and their count.
const COUNT_BYTES: usize = 1 + 8;

/// What entries may take in a chunk.
const ROOM_BYTES: usize = CHUNK_BYTES_MAX - TAG_BYTES - COUNT_BYTES;

// Else an entry of the greatest length would have no chunk to go to.
const _: () = assert!(ENTRY_HEADER_BYTES + LogEntry::BYTES_MAX <= ROOM_BYTES);

/// The plaintexts of as few chunks as hold `entries`, in their order.
pub(super) fn bodies(mut entries: &[LogEntry]) -> Result<Vec<Vec<u8>>, LogError> {
    let mut bodies = Vec::new();
    while !entries.is_empty() {
        let mut taken = 0;
        let fit = entries.iter().take_while(|entry| {
            taken += ENTRY_HEADER_BYTES + entry.bytes.len();
            taken <= ROOM_BYTES
        });
        let (of_chunk, rest) = entries.split_at(fit.count().max(1));
        let records: Vec<(Timestamp, EntryKind, &[u8])> = of_chunk
            .iter()
            .map(|entry| (entry.at, entry.kind, &entry.bytes[..]))
            .collect();
        // Room for all of it: a vector that grows leaves copies behind.
        let mut body = Vec::with_capacity(COUNT_BYTES + TAG_BYTES + taken);
        body.push(ENTRIES);
        bodies.push(codec::encode_into(body, &records).map_err(|_| LogError::Crypto)?);
        entries = rest;
    }
    Ok(bodies)
}

/// What [`bodies`] made, behind its first byte; `None` for what no writer writes.
pub(super) fn parse(encoded: &[u8]) -> Option<Vec<LogEntry>> {
    let records: Vec<(Timestamp, EntryKind, Vec<u8>)> = codec::decode(encoded).ok()?;
    let entries = records.into_iter().map(|(at, kind, bytes)| {
        let fits = bytes.len() <= LogEntry::BYTES_MAX;
        fits.then_some(LogEntry { at, kind, bytes })
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64, len: usize) -> LogEntry {
        LogEntry {
            at: Timestamp::from_unix_millis(number),
            kind: EntryKind::CheckIn,
            bytes: vec![7; len],
        }
    }

    #[test]
    fn bytes_are_pinned() {
        let mut expected = vec![3, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2, 0];
        expected.extend([2, 0, 0, 0, 0, 0, 0, 0, 7, 7]);
        assert_eq!(bodies(&[entry(5, 2)]).unwrap(), [expected]);
        assert_eq!(bodies(&[]).unwrap(), [[0; 0]; 0]);
    }

    #[test]
    fn as_many_go_into_a_chunk_as_fit() {
        let entries: Vec<LogEntry> = (0..20).map(|n| entry(n, LogEntry::BYTES_MAX)).collect();
        let bodies = bodies(&entries).unwrap();
        let read: Vec<Vec<LogEntry>> = bodies.iter().map(|it| parse(&it[1..]).unwrap()).collect();
        assert_eq!(
            read.iter().map(Vec::len).collect::<Vec<_>>(),
            [7, 7, 6],
            "{bodies:?}"
        );
        assert!(
            bodies
                .iter()
                .all(|it| it.len() + TAG_BYTES <= CHUNK_BYTES_MAX)
        );
        assert_eq!(read.concat(), entries);
        let small: Vec<LogEntry> = (0..20_000).map(|n| entry(n, 0)).collect();
        let bodies = super::bodies(&small).unwrap();
        assert!(
            bodies
                .iter()
                .all(|it| it.len() + TAG_BYTES <= CHUNK_BYTES_MAX)
        );
        let read = bodies.iter().flat_map(|it| parse(&it[1..]).unwrap());
        assert!(read.eq(small));
    }

    #[test]
    fn an_entry_that_is_too_long() {
        let records = [(
            Timestamp::from_unix_millis(0),
            1_u16,
            vec![0_u8; LogEntry::BYTES_MAX + 1],
        )];
        assert!(parse(&codec::encode(&records.to_vec()).unwrap()).is_none());
    }
}
