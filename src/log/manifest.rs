//! Which segments a log has, and how long they are for certain: what a file that was cut, removed or put
//! back is told by.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use serde::{Deserialize, Serialize};

use super::format::{FileKind, SEGMENT_HEADER_BYTES};
use super::home::Home;
use super::segment::SegmentName;
use super::{LogError, SEGMENTS_MAX};
use crate::codec;
use crate::crypto::TAG_BYTES;
use crate::time::{ClockReading, UtcDay};

/// When the manifest was lost if nothing has been stored since.
const UNDATED: UtcDay = UtcDay::from_unix_days(u32::MAX);

/// How long a segment is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Length {
    /// Bytes that were acknowledged. Whatever does not open among them is damage.
    pub(super) acknowledged: u64,
    /// Bytes found when the log was opened after its writer had not closed it: behind those acknowledged,
    /// some may be of a write that a power cut ended early.
    pub(super) found: u64,
}

impl Length {
    /// Fewer than these are too few.
    pub(super) fn least(self) -> u64 {
        self.acknowledged.max(self.found)
    }
}

/// A log's segments, as its writer knows them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Manifest {
    pub(super) segments: BTreeMap<SegmentName, Length>,
    /// Segments that are being deleted: a crash may have kept them.
    pub(super) doomed: BTreeSet<SegmentName>,
    /// The day of the last renewal of keys; `None` if segments have been deleted since.
    pub(super) renewed: Option<UtcDay>,
    /// When the manifest was written.
    pub(super) clock: Option<ClockReading>,
    /// Until this day segments may have been removed or cut unseen: the manifest of then was gone. [`UNDATED`]
    /// until something is stored.
    pub(super) lost: Option<UtcDay>,
}

/// Bytes of a segment's file without the zeros that it was made longer by, which nobody has cut off if its writer was
/// killed; `least` of them are known to be used.
fn used_len(home: &Home, name: &str, least: u64) -> Result<u64, LogError> {
    let failed = |doing| move |e| home.io(doing, name, e);
    let mut file = home.storage.open(name).map_err(failed("open"))?;
    let known = least.min(file.len);
    let mut known_bytes = (&mut file.bytes).take(known);
    io::copy(&mut known_bytes, &mut io::sink()).map_err(failed("read"))?;
    let (mut offset, mut used) = (known, known);
    let mut buffer = [0; 4096];
    loop {
        let read = file.bytes.read(&mut buffer).map_err(failed("read"))?;
        if read == 0 {
            return Ok(used);
        }
        let part = buffer.get(..read).unwrap_or_default();
        if let Some(last) = part.iter().rposition(|byte| *byte != 0) {
            // A chunk's last bytes may be zeros, too.
            used = (offset + last as u64 + 1 + TAG_BYTES as u64).min(file.len);
        }
        offset += read as u64;
    }
}

/// As it is stored: 24 bytes a segment.
#[derive(Deserialize, Serialize)]
struct Stored {
    segments: Vec<(u32, u32, u64, u64)>,
    doomed: Vec<(u32, u32)>,
    renewed: Option<u32>,
    clock: Option<ClockReading>,
    lost: Option<u32>,
}

impl Manifest {
    /// The manifest in `home`; `None` in a log that has none yet.
    pub(super) fn read(home: &Home) -> Result<Option<Self>, LogError> {
        let Some(payload) = home.read_sealed(FileKind::Manifest)? else {
            return Ok(None);
        };
        let malformed = |_| LogError::corrupted(FileKind::Manifest.name(), 28, "it is malformed");
        let stored: Stored = codec::decode(&payload).map_err(malformed)?;
        let segments = stored.segments.into_iter();
        let segments = segments.map(|(day, number, acknowledged, found)| {
            let day = UtcDay::from_unix_days(day);
            let length = Length {
                acknowledged,
                found,
            };
            (SegmentName { day, number }, length)
        });
        let doomed = stored.doomed.into_iter().map(|(day, number)| {
            let day = UtcDay::from_unix_days(day);
            SegmentName { day, number }
        });
        Ok(Some(Self {
            segments: segments.collect(),
            doomed: doomed.collect(),
            renewed: stored.renewed.map(UtcDay::from_unix_days),
            clock: stored.clock,
            lost: stored.lost.map(UtcDay::from_unix_days),
        }))
    }

    pub(super) fn write(&self, home: &Home) -> Result<(), LogError> {
        home.write_sealed(FileKind::Manifest, self.encode()?)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, LogError> {
        let segments = self.segments.iter().map(|(name, length)| {
            let (
                day,
                Length {
                    acknowledged,
                    found,
                },
            ) = (name.day.unix_days(), *length);
            (day, name.number, acknowledged, found)
        });
        let doomed = self.doomed.iter();
        let doomed = doomed.map(|name| (name.day.unix_days(), name.number));
        codec::encode(&Stored {
            segments: segments.collect(),
            doomed: doomed.collect(),
            renewed: self.renewed.map(UtcDay::unix_days),
            clock: self.clock,
            lost: self.lost.map(UtcDay::unix_days),
        })
        .map_err(|_| LogError::Crypto)
    }

    /// The manifest of a log that is opened to be written to: what a writer that did not close it has left is
    /// taken in. If there is none the log has lost it, which is marked; one of before there were reading keys
    /// had none.
    pub(super) fn adopt(home: &Home) -> Result<Self, LogError> {
        let before = Self::read(home)?;
        let mut manifest = before.clone().unwrap_or_default();
        if before.is_none() && home.reading.is_some() {
            manifest.lost = Some(UNDATED);
        }
        // What cannot be deleted stays doomed, and is tried again.
        if let (_, Ok(())) = home.delete(&manifest.doomed) {
            manifest.doomed.clear();
        }
        for name in home.segment_names()? {
            let file = name.to_string();
            let stored = home.storage.open(&file);
            let len = stored.map_err(|e| home.io("open", &file, e))?.len;
            match manifest.segments.get_mut(&name) {
                Some(length) if len > length.least() => {
                    let used = used_len(home, &file, length.least())?;
                    if used > length.least() {
                        // Of a process that was killed it may be in the system's cache alone.
                        home.sync(&file)?;
                        length.found = used;
                    }
                }
                // As it should be; or too short, which stays to be seen by whoever reads.
                Some(_) => {}
                // Made, and not yet noted: it holds nothing.
                None if before.is_some() && len <= SEGMENT_HEADER_BYTES as u64 => {
                    home.remove(&file)?;
                }
                // Put there by somebody else, which is for whoever reads to see.
                None if before.is_some() => {}
                None => {
                    home.sync(&file)?;
                    let length = Length {
                        acknowledged: 0,
                        found: used_len(home, &file, 0)?,
                    };
                    manifest.segments.insert(name, length);
                }
            }
        }
        if before.as_ref() != Some(&manifest) {
            manifest.write(home)?;
        }
        Ok(manifest)
    }

    /// A loss that is not dated yet was before the newest segment was made.
    pub(super) fn date_loss(&mut self) {
        if self.lost == Some(UNDATED) {
            self.lost = self.segments.keys().map(|name| name.day).max();
        }
    }

    /// Once all segments of until a loss are deleted, it hides nothing any more.
    pub(super) fn outlive_loss(&mut self) {
        let hides =
            |lost: &UtcDay| *lost == UNDATED || self.segments.keys().any(|name| name.day <= *lost);
        self.lost = self.lost.filter(hides);
    }

    /// The name of a new segment of `day`.
    pub(super) fn next_name(
        &self,
        day: UtcDay,
        there: &[SegmentName],
    ) -> Result<SegmentName, LogError> {
        let known = self.segments.keys().chain(&self.doomed);
        let of_day = known.filter(|name| name.day == day);
        let number = of_day.map(|name| name.number).max();
        let mut number = number.map_or(0, |last| last.saturating_add(1));
        // Whoever puts a file there takes its number alone, and none of those behind it.
        while there.contains(&SegmentName { day, number }) {
            number = number.saturating_add(1);
        }
        if number >= super::SEGMENTS_PER_DAY_MAX || self.segments.len() >= SEGMENTS_MAX {
            return Err(LogError::TooManySegments { day });
        }
        Ok(SegmentName { day, number })
    }

    /// Bytes that the segments of each day take.
    pub(super) fn bytes_of_days(&self) -> BTreeMap<UtcDay, u64> {
        let mut days: BTreeMap<UtcDay, u64> = BTreeMap::new();
        for (name, length) in &self.segments {
            let bytes = days.entry(name.day).or_default();
            *bytes = bytes.saturating_add(length.least());
        }
        days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No log has such segments, but whoever has its keys can say so.
    #[test]
    fn lengths_that_overflow_together() {
        let day = UtcDay::from_unix_days(7);
        let length = Length {
            acknowledged: u64::MAX,
            found: 1,
        };
        let segments = [0, 1].map(|number| (SegmentName { day, number }, length));
        let manifest = Manifest {
            segments: segments.into(),
            ..Manifest::default()
        };
        assert_eq!(manifest.bytes_of_days(), [(day, u64::MAX)].into());
    }
}
