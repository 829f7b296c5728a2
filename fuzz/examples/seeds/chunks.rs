//! Chunks of segments, as docs/log-format.md has them.

use super::DAY;

/// Three sightings, the second of the first's identifier.
pub(super) fn packed() -> Vec<u8> {
    let mut body = vec![0, 3, 0b0111_1001];
    body.extend([9; 16]);
    body.extend([
        1, 2, 3, 4, 0x80, 0xE8, 0xBE, 0xA3, 0xF9, 0x5C, 0x98, 0xD3, 0x03, 100,
    ]);
    body.extend([0xB0, 0xBA, 0xC4]);
    body.extend([
        0b0000_1000,
        0,
        0xC8,
        0x01,
        0x98,
        0xD3,
        0x03,
        100,
        0xB0,
        0xBA,
        0xC4,
    ]);
    body.extend([0b0000_0011]);
    body.extend([8; 12]);
    body.extend([2, 0, 1]);
    body
}

/// The first of them again, 0 identifiers ago and 1.
pub(super) fn packed_again() -> Vec<u8> {
    vec![
        0, 2, 0, 0, 0x80, 0xE8, 0xBE, 0xA3, 0xF9, 0x5C, 0, 1, 4, 1, 1, 3, 1,
    ]
}

pub(super) fn times(kind: &[u8], times: &[u64], end: &[u8]) -> Vec<u8> {
    let times = times.iter().flat_map(|time| time.to_le_bytes());
    kind.iter()
        .copied()
        .chain(times)
        .chain(end.iter().copied())
        .collect()
}

fn noon() -> u64 {
    DAY.start().unix_millis() + 43_200_000
}

pub(super) fn gaps() -> Vec<u8> {
    times(&[1], &[1, noon(), noon() + 60_000], &1_u32.to_le_bytes())
}

pub(super) fn clocks() -> [Vec<u8>; 2] {
    let mut uptime = noon().to_le_bytes().to_vec();
    uptime.push(1);
    uptime.extend([6; 16]);
    uptime.extend(90_000_u64.to_le_bytes());
    let jumped = [&[2], &uptime[..], &[1], &noon().to_le_bytes()].concat();
    [times(&[2], &[noon()], &[0, 0]), jumped]
}

/// A check-in, and an entry of a kind that nobody knows yet.
pub(super) fn entries() -> Vec<u8> {
    let mut body = times(&[3], &[2, noon()], &2_u16.to_le_bytes());
    body.extend(times(&[], &[2], b"in"));
    body.extend(times(&[], &[noon() + 1], &9_u16.to_le_bytes()));
    body.extend(times(&[], &[0], &[]));
    body
}

/// A sighting, and a gap, of version 1.
pub(super) fn of_version_1() -> [Vec<u8>; 2] {
    let mut sighting = 1_u64.to_le_bytes().to_vec();
    sighting.extend([1, 0, 0, 0, 16]);
    sighting.extend([9; 16]);
    sighting.extend([1, 1, 2, 3, 4]);
    sighting.extend(times(
        &[],
        &[noon(), noon() + 900],
        &[4, 0, 1, 0xB0, 0xBA, 0xC4],
    ));
    sighting.extend([0; 4]);
    let gap = times(&[], &[1 | 1 << 63, noon(), noon() + 60_000], &[2, 0, 0, 0]);
    [sighting, gap]
}
