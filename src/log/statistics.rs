//! What a log says of a day, without saying of whom.

use std::ops::Range;
use std::time::Duration;

use super::LogError;
use super::distinct::{DistinctCount, DistinctCounter};
use super::reader::{Listed, LogReader};
use super::segment::{ChunkRead, SegmentName};
use crate::sighting::{Rssi, ScanGap, Sighting};
use crate::time::{Timestamp, UtcDay};

/// From how many dBm on a sighting's mean strength is called strong: what Bluezone's app (versions 1 and 2)
/// showed as near. A strength is not a distance: a phone in a bag two steps away may be weaker than one in a
/// hand across the room.
pub const STRONG_FROM_DBM: i8 = -69;

const MINUTES_PER_DAY: usize = 1_440;
const SECONDS_PER_DAY: usize = 86_400;

/// A window in which devices are counted. Chosen: half of the shorter protocol's slot, so that few devices
/// change their identifier in it, and longer than the pauses of any schedule.
const WINDOW_SECONDS: usize = 300;
const WINDOWS_PER_DAY: usize = SECONDS_PER_DAY / WINDOW_SECONDS;

/// Identifiers of a day that are counted exactly. Chosen: some ten times those of a dense city's day, and
/// 600 kB; of more, 16 kB tell to within 1 % (standard error).
const DAY_EXACT_MAX: usize = 1 << 14;
const DAY_REGISTERS: usize = 1 << 14;

/// The same for a window. Chosen: a full bus and a full stop beside it; 3 MB for all windows of a day in which
/// all are like that. Of more, a kilobyte each tells to within 4 % (standard error).
const WINDOW_EXACT_MAX: usize = 1 << 8;
const WINDOW_REGISTERS: usize = 1 << 10;

/// What a log says of one UTC day. It counts identifiers, and names none.
///
/// A sighting is its first frame's day's. What is damaged is in [`damage`](Self::damage), and what it held
/// is in no number.
#[derive(Debug)]
#[non_exhaustive]
pub struct DayStatistics {
    /// The day.
    pub day: UtcDay,
    /// Sightings.
    pub sightings: u64,
    /// Frames in them.
    pub frames: u64,
    /// How strong they were.
    pub strengths: Strengths,
    /// Minutes of the day, of its 1,440, in which at least one sighting lies. Each is counted that a sighting
    /// begins in, ends in or reaches across.
    pub minutes_heard: u32,
    /// Different identifiers: more than devices, as each changes its own every ten or fifteen minutes. Exact up
    /// to 16,384, and to within 1 % (standard error) beyond.
    pub identifiers: DistinctCount,
    /// For each of the day's 288 windows of five minutes, the different identifiers heard in it. That estimates
    /// the devices that were there at once: those that change their identifier in the window count twice,
    /// those that passed one after the other were not there at once, and those that are not heard count not at all.
    /// Exact up to 256, and to within 4 % (standard error) beyond.
    pub present: Vec<u64>,
    /// Time of the day, to the second for each gap, in which nothing could be heard though it should have been,
    /// as far as the log has noted it: a process that did not run has noted nothing.
    pub gaps: Duration,
    /// Entries of the owner's: see [`LogEntry`](super::LogEntry).
    pub entries: u64,
    /// Segments of the day.
    pub segments: usize,
    /// Bytes that they take on the disk.
    pub bytes_at_rest: u64,
    /// Bytes at their ends that are of no whole chunk; see [`Sightings::torn_bytes`](super::Sightings::torn_bytes).
    pub torn_bytes: u64,
    /// What of the day could not be read, one error for each segment at most.
    pub damage: Vec<LogError>,
}

impl DayStatistics {
    /// The most identifiers heard in five minutes: about so many devices were there at once.
    pub fn present_max(&self) -> u64 {
        self.present.iter().copied().max().unwrap_or_default()
    }

    /// The mean of [`present`](Self::present) over all five-minute windows of the day, those in which nobody was
    /// heard, or nothing could be, among them.
    pub fn present_mean(&self) -> f64 {
        match self.present.len() {
            0 => 0.0,
            windows => self.present.iter().sum::<u64>() as f64 / windows as f64,
        }
    }
}

/// Sightings by the mean strength of their frames. A strength is not a distance.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Strengths {
    /// [`STRONG_FROM_DBM`] or stronger.
    pub strong: u64,
    /// Weaker.
    pub weak: u64,
    /// The radio measured none.
    pub unmeasured: u64,
}

impl Strengths {
    fn add(&mut self, mean: Option<Rssi>) {
        let counted = match mean {
            Some(mean) if mean.dbm() >= STRONG_FROM_DBM => &mut self.strong,
            Some(_) => &mut self.weak,
            None => &mut self.unmeasured,
        };
        *counted += 1;
    }

    /// The share of strong ones among those that were measured, 0 to 1; `None` if there are none.
    pub fn strong_share(&self) -> Option<f64> {
        let measured = self.strong + self.weak;
        (measured > 0).then(|| self.strong as f64 / measured as f64)
    }
}

impl LogReader {
    /// Statistics of each day of which the log has segments, the latest day first: whoever wants the last
    /// three takes three, and no more is read. One chunk is in memory at a time, and at most some 4 MB beside it.
    ///
    /// # Errors
    ///
    /// As [`sightings`](Self::sightings). Damaged segments are told with their day, and hide no other; if it cannot
    /// be known which segments there must be, the latest day tells it.
    pub fn stats(&self) -> Result<DailyStatistics<'_>, LogError> {
        let (segments, damage) = match self.segments_as_known()? {
            (segments, Some(damage)) if segments.is_empty() => return Err(damage),
            known => known,
        };
        Ok(DailyStatistics {
            reader: self,
            segments,
            damage,
            gaps_since: None,
        })
    }
}

/// Statistics by day, the latest first; see [`LogReader::stats`].
pub struct DailyStatistics<'a> {
    reader: &'a LogReader,
    /// Those still to be read, in their order.
    segments: Vec<Listed>,
    /// The manifest's, until a day has told it.
    damage: Option<LogError>,
    /// When the earliest gap began of those in later days. A gap is stored in the day in which it ended, and so
    /// each that began earlier covers the end of this day; that is why the latest day comes first.
    gaps_since: Option<Timestamp>,
}

impl Iterator for DailyStatistics<'_> {
    type Item = DayStatistics;

    fn next(&mut self) -> Option<DayStatistics> {
        let day = self.segments.last()?.0.day;
        let begin = self.segments.partition_point(|(name, _)| name.day < day);
        let of_day = self.segments.split_off(begin);
        let mut counted = Counted::new(day);
        counted.statistics.damage.extend(self.damage.take());
        if let Some(from) = self.gaps_since {
            counted.add_gap(from, day.end());
        }
        counted.add_files(self.reader, of_day.iter().map(|(name, _)| name));
        let mut chunks = self.reader.chunks_of(of_day);
        loop {
            match chunks.next() {
                Ok(Some(ChunkRead::Sightings(sightings))) => {
                    sightings.iter().for_each(|it| counted.add(it));
                }
                Ok(Some(ChunkRead::Gaps(gaps))) => {
                    for ScanGap { from, to, .. } in gaps {
                        counted.add_gap(from, to);
                        self.gaps_since = Some(self.gaps_since.map_or(from, |it| it.min(from)));
                    }
                }
                Ok(Some(ChunkRead::Entries(entries))) => {
                    counted.statistics.entries += entries.len() as u64;
                }
                Ok(Some(ChunkRead::Clock(_) | ChunkRead::End { .. })) => {}
                Ok(None) => break,
                Err(error) => counted.statistics.damage.push(error),
            }
        }
        counted.statistics.torn_bytes = chunks.torn_bytes;
        Some(counted.finish())
    }
}

/// A day that is being counted.
struct Counted {
    statistics: DayStatistics,
    minutes: Marks,
    gap_seconds: Marks,
    identifiers: DistinctCounter,
    windows: Vec<DistinctCounter>,
}

impl Counted {
    fn new(day: UtcDay) -> Self {
        let window = |_| DistinctCounter::new(WINDOW_EXACT_MAX, WINDOW_REGISTERS);
        Self {
            statistics: DayStatistics {
                day,
                sightings: 0,
                frames: 0,
                entries: 0,
                strengths: Strengths::default(),
                minutes_heard: 0,
                identifiers: DistinctCount::Exact(0),
                present: Vec::new(),
                gaps: Duration::ZERO,
                segments: 0,
                bytes_at_rest: 0,
                torn_bytes: 0,
                damage: Vec::new(),
            },
            minutes: Marks::new(MINUTES_PER_DAY),
            gap_seconds: Marks::new(SECONDS_PER_DAY),
            identifiers: DistinctCounter::new(DAY_EXACT_MAX, DAY_REGISTERS),
            windows: (0..WINDOWS_PER_DAY).map(window).collect(),
        }
    }

    fn add_files<'n>(&mut self, reader: &LogReader, names: impl Iterator<Item = &'n SegmentName>) {
        for name in names {
            self.statistics.segments += 1;
            self.statistics.bytes_at_rest += reader.bytes_at_rest(name);
        }
    }

    fn add(&mut self, sighting: &Sighting) {
        self.statistics.sightings += 1;
        self.statistics.frames += u64::from(sighting.frames);
        let mean = sighting.rssi.map(|rssi| rssi.mean);
        self.statistics.strengths.add(mean);
        let name = (sighting.protocol, sighting.id);
        self.identifiers.insert(name);
        let heard = self.second(sighting.first)..=self.second(sighting.last);
        self.minutes.set(heard.start() / 60..heard.end() / 60 + 1);
        let windows = heard.start() / WINDOW_SECONDS..heard.end() / WINDOW_SECONDS + 1;
        for window in self.windows.get_mut(windows).into_iter().flatten() {
            window.insert(name);
        }
    }

    fn add_gap(&mut self, from: Timestamp, to: Timestamp) {
        let day = self.statistics.day;
        let second = |time: Timestamp| time.since(day.start()).as_secs();
        let seconds = second(from)..second(to).min(SECONDS_PER_DAY as u64);
        self.gap_seconds
            .set(seconds.start as usize..seconds.end as usize);
    }

    /// The second of the day, or that of the day that is nearest to `time`.
    fn second(&self, time: Timestamp) -> usize {
        let second = time.since(self.statistics.day.start()).as_secs();
        (second as usize).min(SECONDS_PER_DAY - 1)
    }

    fn finish(mut self) -> DayStatistics {
        self.statistics.minutes_heard = self.minutes.count();
        self.statistics.gaps = Duration::from_secs(self.gap_seconds.count().into());
        self.statistics.identifiers = self.identifiers.count();
        let windows = self.windows.iter();
        self.statistics.present = windows.map(|it| it.count().value()).collect();
        self.statistics
    }
}

/// Which of a day's minutes, or seconds, are marked.
struct Marks(Vec<u64>);

impl Marks {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    /// Marks `range`; nothing if it ends before it begins.
    fn set(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        let words = range.start / 64..range.end.div_ceil(64);
        for (index, word) in words
            .clone()
            .zip(self.0.get_mut(words).into_iter().flatten())
        {
            let from = range.start.saturating_sub(index * 64).min(63);
            let to = (range.end - index * 64).min(64);
            *word |= u64::MAX >> (64 - (to - from)) << from;
        }
    }

    fn count(&self) -> u32 {
        self.0.iter().map(|word| word.count_ones()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn marks_are_those_of_a_set(
            ranges in proptest::collection::vec((0usize..200, 0usize..200), 0..8)
        ) {
            let (mut marks, mut expected) = (Marks::new(200), std::collections::BTreeSet::new());
            for (from, to) in ranges {
                marks.set(from..to);
                expected.extend(from..to);
            }
            prop_assert_eq!(marks.count() as usize, expected.len());
        }
    }

    #[test]
    fn strengths_at_the_threshold() {
        let mut strengths = Strengths::default();
        assert_eq!(strengths.strong_share(), None);
        for dbm in [-68, -69, -70, -71, -72] {
            strengths.add(Rssi::from_dbm(dbm));
        }
        strengths.add(None);
        let Strengths {
            strong,
            weak,
            unmeasured,
        } = strengths;
        assert_eq!((strong, weak, unmeasured), (2, 3, 1));
        assert_eq!(strengths.strong_share(), Some(0.4));
    }
}
