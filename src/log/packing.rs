//! Sightings as few bytes: an identifier is written out once in a segment, and times as what has passed.
//! `docs/log-format.md` has every byte.
//!
//! The chunks of a segment are read in order, so that what stood in one is known in the next. Both sides
//! forget an identifier once [`REMEMBERED_MAX`] others have come since; it is written out again then. The
//! writing side forgets it earlier, once it has not been heard for [`FORGOTTEN_AFTER`]: what the process
//! holds is what is near now, and not the day.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::protocol::{EphemeralId, ProtocolKind};
use crate::sighting::{Rssi, RssiSummary, Sighting, Source};
use crate::time::Timestamp;

/// Identifiers remembered, on either side. Chosen: as many as the engine holds neighbours, and about
/// 200 kB.
const REMEMBERED_MAX: u64 = 4_096;

/// Identifiers not heard for so long are forgotten by the writing side, and after twice as long at the latest.
/// Chosen: none is advertised for longer than twenty minutes, and few come back after ten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);

/// Bits of a record's first byte; its other bits are zero.
const IS_NEW: u8 = 1 << 0;
const SOURCE_SHIFT: u8 = 1;
const SOURCE_BITS: u8 = 0b11 << SOURCE_SHIFT;
const HAS_STRENGTHS: u8 = 1 << 3;
const IS_GAEN: u8 = 1 << 4;
const HAS_METADATA: u8 = 1 << 5;
const IS_LONG: u8 = 1 << 6;

/// What is written out once.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Name {
    pub(super) protocol: ProtocolKind,
    pub(super) id: EphemeralId,
    pub(super) metadata: Option<[u8; 4]>,
}

impl From<&Sighting> for Name {
    fn from(sighting: &Sighting) -> Self {
        Self {
            protocol: sighting.protocol,
            id: sighting.id,
            metadata: sighting.metadata,
        }
    }
}

/// A chunk that does not say what sightings do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Malformed;

/// The writing side, of one segment.
#[derive(Default)]
pub(crate) struct Packer {
    /// By the number under which each was written out last: those heard lately, and those of before that
    /// have not been heard since.
    lately: HashMap<Name, u64>,
    before: HashMap<Name, u64>,
    /// When `lately` began, once it has.
    since: Option<Timestamp>,
    count: u64,
}

impl Packer {
    /// Adds `sightings` to `bytes`, to be read after all that was packed before.
    pub(crate) fn pack(&mut self, sightings: &[Sighting], bytes: &mut Vec<u8>) {
        put_number(bytes, sightings.len() as u64);
        let mut before = 0;
        for sighting in sightings {
            self.forget(sighting.first);
            self.put(bytes, sighting, &mut before);
        }
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.lately.len() + self.before.len()
    }

    /// Forgets what has not been heard for long, or is too much. A clock that goes back far forgets, too:
    /// nothing else would, until it has caught up.
    pub(super) fn forget(&mut self, now: Timestamp) {
        let far = |a: Timestamp, b| a.since(b) >= FORGOTTEN_AFTER;
        let aged = |since| far(now, since) || far(since, now);
        if self.since.is_none_or(aged) || self.lately.len() as u64 >= REMEMBERED_MAX / 2 {
            self.before = std::mem::take(&mut self.lately);
            self.since = Some(now);
        }
    }

    /// How many have been written out since this one was, if it is remembered on both sides.
    fn back(&mut self, name: &Name) -> Option<u64> {
        let number = match self.lately.get(name) {
            Some(number) => *number,
            None => {
                let number = self.before.remove(name)?;
                self.lately.insert(*name, number);
                number
            }
        };
        let back = self.count - number - 1;
        (back < REMEMBERED_MAX).then_some(back)
    }

    fn put(&mut self, bytes: &mut Vec<u8>, sighting: &Sighting, before: &mut u64) {
        let name = Name::from(sighting);
        let source = source_number(sighting.source) << SOURCE_SHIFT;
        let strengths = flag(HAS_STRENGTHS, sighting.rssi.is_some());
        match self.back(&name) {
            Some(back) => {
                bytes.push(source | strengths);
                put_number(bytes, back);
            }
            None => {
                bytes.push(IS_NEW | source | strengths | name.flags());
                bytes.extend(name.id.as_bytes());
                bytes.extend(name.metadata.into_iter().flatten());
                self.lately.insert(name, self.count);
                self.count += 1;
            }
        }
        let first = sighting.first.unix_millis();
        put_number(bytes, difference(first, *before));
        put_number(bytes, difference(sighting.last.unix_millis(), first));
        *before = first;
        put_number(bytes, sighting.frames.into());
        if let Some(RssiSummary { min, mean, max }) = sighting.rssi {
            bytes.extend([min, mean, max].map(|rssi| rssi.dbm().cast_unsigned()));
        }
    }
}

/// The reading side, of one segment.
#[derive(Default)]
pub(crate) struct Unpacker {
    written: VecDeque<Name>,
}

impl Unpacker {
    /// What was packed into `bytes`, all of them; `expected_max` is how many sightings there may be.
    pub(crate) fn unpack(
        &mut self,
        bytes: &[u8],
        expected_max: usize,
    ) -> Result<Vec<Sighting>, Malformed> {
        let mut rest = Rest(bytes);
        let count = usize::try_from(rest.number()?).map_err(|_| Malformed)?;
        if count > expected_max {
            return Err(Malformed);
        }
        let mut sightings = Vec::with_capacity(count);
        let mut before = 0;
        for _ in 0..count {
            sightings.push(self.take(&mut rest, &mut before)?);
        }
        match rest.0 {
            [] => Ok(sightings),
            _ => Err(Malformed),
        }
    }

    #[inline]
    fn take(&mut self, rest: &mut Rest<'_>, before: &mut u64) -> Result<Sighting, Malformed> {
        let [flags] = rest.bytes::<1>()?;
        let name = match flags & IS_NEW {
            0 => self.known(flags, rest.number()?)?,
            _ => self.new_name(flags, rest)?,
        };
        let first = later(*before, rest.number()?)?;
        let last = later(first, rest.number()?)?;
        *before = first;
        let frames = u16::try_from(rest.number()?).map_err(|_| Malformed)?;
        let rssi = match flags & HAS_STRENGTHS {
            0 => None,
            _ => Some(strengths(rest.bytes::<3>()?)?),
        };
        Ok(Sighting {
            protocol: name.protocol,
            id: name.id,
            metadata: name.metadata,
            first: Timestamp::from_unix_millis(first),
            last: Timestamp::from_unix_millis(last),
            frames,
            rssi,
            source: source((flags & SOURCE_BITS) >> SOURCE_SHIFT),
        })
    }

    fn known(&self, flags: u8, back: u64) -> Result<Name, Malformed> {
        if flags & !(SOURCE_BITS | HAS_STRENGTHS) != 0 {
            return Err(Malformed);
        }
        let back = usize::try_from(back).map_err(|_| Malformed)?;
        let last = self.written.len().checked_sub(1).ok_or(Malformed)?;
        let known = last.checked_sub(back).and_then(|it| self.written.get(it));
        known.copied().ok_or(Malformed)
    }

    fn new_name(&mut self, flags: u8, rest: &mut Rest<'_>) -> Result<Name, Malformed> {
        let all = IS_NEW | SOURCE_BITS | HAS_STRENGTHS | IS_GAEN | HAS_METADATA | IS_LONG;
        if flags & !all != 0 {
            return Err(Malformed);
        }
        let id = match flags & IS_LONG {
            0 => rest.bytes::<12>()?.into(),
            _ => rest.bytes::<16>()?.into(),
        };
        let metadata = match flags & HAS_METADATA {
            0 => None,
            _ => Some(rest.bytes::<4>()?),
        };
        let protocol = match flags & IS_GAEN {
            0 => ProtocolKind::Bluezone,
            _ => ProtocolKind::Gaen,
        };
        let name = Name {
            protocol,
            id,
            metadata,
        };
        self.written.push_back(name);
        if self.written.len() as u64 > REMEMBERED_MAX {
            self.written.pop_front();
        }
        Ok(name)
    }
}

impl Name {
    fn flags(&self) -> u8 {
        flag(IS_GAEN, self.protocol == ProtocolKind::Gaen)
            | flag(HAS_METADATA, self.metadata.is_some())
            | flag(IS_LONG, self.id.as_bytes().len() == 16)
    }
}

fn flag(bit: u8, set: bool) -> u8 {
    if set { bit } else { 0 }
}

fn source_number(source: Source) -> u8 {
    match source {
        Source::ServiceData => 0,
        Source::ManufacturerData => 1,
        Source::ServiceUuid => 2,
        Source::GattRead => 3,
    }
}

fn source(number: u8) -> Source {
    match number {
        0 => Source::ServiceData,
        1 => Source::ManufacturerData,
        2 => Source::ServiceUuid,
        _ => Source::GattRead,
    }
}

fn strengths(bytes: [u8; 3]) -> Result<RssiSummary, Malformed> {
    let [min, mean, max] = bytes.map(|byte| Rssi::from_dbm(byte.cast_signed()));
    match (min, mean, max) {
        (Some(min), Some(mean), Some(max)) => Ok(RssiSummary { min, mean, max }),
        _ => Err(Malformed),
    }
}

/// How much later `time` is than `than`, or earlier: twice the one, or twice the other less one.
fn difference(time: u64, than: u64) -> u64 {
    let later = time.wrapping_sub(than).cast_signed();
    (later << 1 ^ later >> 63).cast_unsigned()
}

/// The time that [`difference`] told.
fn later(than: u64, difference: u64) -> Result<u64, Malformed> {
    let later = (difference >> 1).cast_signed() ^ -(difference & 1).cast_signed();
    than.checked_add_signed(later).ok_or(Malformed)
}

/// Seven bits a byte, the lowest first; the top bit of each but the last is set (LEB128).
fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What is left to read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*bytes)
    }

    #[inline(always)]
    fn number(&mut self) -> Result<u64, Malformed> {
        match self.0 {
            // As most are.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*low & 0x7F) | u64::from(*high) << 7)
            }
            [low, middle, high, rest @ ..] if *middle >= 0x80 && *high < 0x80 => {
                self.0 = rest;
                let bits = |byte: &u8| u64::from(*byte & 0x7F);
                Ok(bits(low) | bits(middle) << 7 | bits(high) << 14)
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let [byte] = self.bytes::<1>()?;
            let bits = u64::from(byte & 0x7F);
            if bits << shift >> shift != bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }
}

#[cfg(test)]
mod tests;
