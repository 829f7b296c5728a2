//! The log by interval, and counted by day; and what the tests of reading share.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::Bound;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use truyvet::log::{
    AppendFile, DayStatistics, DistinctCount, LogOptions, MemoryStorage, Sightings, Storage,
    StoredFile,
};
use truyvet::sighting::ScanGap;

use super::*;

/// Memory that notes which files are opened, and how much is read of them.
#[derive(Clone, Default)]
pub(super) struct Watched {
    storage: MemoryStorage,
    opened: Arc<Mutex<Vec<String>>>,
    read: Arc<Mutex<u64>>,
}

impl Watched {
    /// The segments opened since the last call.
    pub(super) fn segments(&self) -> BTreeSet<String> {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        let segments = opened.into_iter().filter(|name| name.ends_with(".segment"));
        segments.collect()
    }

    /// Bytes read since the last call.
    fn read(&self) -> u64 {
        std::mem::take(&mut *self.read.lock().unwrap())
    }

    pub(super) fn log(&self) -> EncounterLog {
        EncounterLog::open_on(self.clone(), key(), LogOptions::default()).unwrap()
    }

    pub(super) fn reader(&self) -> LogReader {
        LogReader::open_on(self.clone(), &key()).unwrap()
    }
}

struct WatchedBytes(Box<dyn Read + Send>, Arc<Mutex<u64>>);

impl Read for WatchedBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        *self.1.lock().unwrap() += read as u64;
        Ok(read)
    }
}

impl Storage for Watched {
    fn location(&self) -> &Path {
        self.storage.location()
    }

    fn prepare(&self) -> io::Result<()> {
        self.storage.prepare()
    }

    fn lock(&self) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        self.storage.lock()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.storage.list()
    }

    fn open(&self, name: &str) -> io::Result<StoredFile> {
        self.opened.lock().unwrap().push(name.to_owned());
        let StoredFile { bytes, len } = self.storage.open(name)?;
        let bytes = Box::new(WatchedBytes(bytes, Arc::clone(&self.read)));
        Ok(StoredFile { bytes, len })
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn AppendFile>> {
        self.storage.create(name)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.storage.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.storage.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.storage.sync_directory()
    }
}

pub(super) fn day(days_later: u32) -> UtcDay {
    UtcDay::from_unix_days(DAY.unix_days() + days_later)
}

/// So many milliseconds after `DAY` began.
pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_unix_millis(DAY.start().unix_millis() + millis)
}

pub(super) const DAY_MS: u64 = 86_400_000;

pub(super) fn heard(id: u32, from_ms: u64, to_ms: u64) -> Sighting {
    Sighting {
        first: at(from_ms),
        last: at(to_ms),
        ..sighting(id, DAY)
    }
}

pub(super) fn gap(from_ms: u64, to_ms: u64) -> ScanGap {
    let gap = json!({
        "from": at(from_ms).unix_millis(),
        "to": at(to_ms).unix_millis(),
        "cause": "Adapter",
    });
    serde_json::from_value(gap).unwrap()
}

pub(super) fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// [`three_chunks`] with own keys.
pub(super) fn three_chunks_with_keys() -> tempfile::TempDir {
    let dir = three_chunks();
    let mut engine = Engine::new(
        Config::new(Protocol::bluezone()),
        Vec::new(),
        Box::new(SeededEntropy::new(1)),
    );
    engine.start(ManualClock::new(DAY.start()).now());
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.save_own_keys(engine.own_keys()).unwrap();
    dir
}

/// Times of sightings: on both sides of each midnight, and in between.
const TIMES_MS: [u64; 9] = [
    0,
    1,
    DAY_MS / 2,
    DAY_MS - 1,
    DAY_MS,
    DAY_MS + 1,
    2 * DAY_MS - 1,
    3 * DAY_MS,
    3 * DAY_MS + 7,
];

/// In three days of four, in this order and in the opposite one.
pub(super) static FOUR_DAYS: LazyLock<Watched> = LazyLock::new(|| {
    let watched = Watched::default();
    let mut log = watched.log();
    for times in [TIMES_MS, TIMES_MS.map(|ms| 3 * DAY_MS + 7 - ms)] {
        let sightings: Vec<Sighting> = (0..)
            .zip(times)
            .map(|(id, ms)| heard(id, ms, ms + 5))
            .collect();
        log.append(&sightings).unwrap();
    }
    watched
});

fn times() -> impl Strategy<Value = Timestamp> {
    let near = (0..TIMES_MS.len(), -2_i64..3)
        .prop_map(|(index, off)| at(TIMES_MS[index].saturating_add_signed(off)));
    let within = (0..4 * DAY_MS).prop_map(at);
    let extremes = any::<u64>().prop_map(Timestamp::from_unix_millis);
    prop_oneof![4 => near, 2 => within, 1 => extremes]
}

fn bounds() -> impl Strategy<Value = Bound<Timestamp>> {
    (times(), 0..5).prop_map(|(time, kind)| match kind {
        0 | 1 => Bound::Included(time),
        2 | 3 => Bound::Excluded(time),
        _ => Bound::Unbounded,
    })
}

proptest! {
    #[test]
    fn an_interval_is_a_filter_over_all(from in bounds(), to in bounds()) {
        let reader = FOUR_DAYS.reader();
        let interval = (from, to);
        let all = reader.sightings().unwrap().map(Result::unwrap);
        let expected: Vec<Sighting> = all
            .filter(|it| std::ops::RangeBounds::contains(&interval, &it.first))
            .collect();
        let found = reader.sightings_in(interval).unwrap().map(Result::unwrap);
        prop_assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}

#[test]
fn segments_of_other_days_are_not_opened() {
    let watched = Watched::default();
    let mut log = watched.log();
    for days_later in 0..4 {
        let ms = u64::from(days_later) * DAY_MS;
        log.append(&[heard(days_later, ms, ms)]).unwrap();
    }
    let reader = watched.reader();
    let opened = |found: usize, sightings: Sightings<'_>| {
        assert_eq!(sightings.map(Result::unwrap).count(), found);
        let days = watched.segments();
        days.iter()
            .map(|name| name[..10].to_owned())
            .collect::<Vec<_>>()
    };
    let names = |days: std::ops::Range<u32>| -> Vec<String> {
        days.map(|days_later| day(days_later).to_string()).collect()
    };
    opened(4, reader.sightings().unwrap());
    let midnights = reader.sightings_in(at(DAY_MS)..at(2 * DAY_MS)).unwrap();
    assert_eq!(opened(1, midnights), names(1..2));
    let midnights = reader.sightings_in(at(DAY_MS)..=at(2 * DAY_MS)).unwrap();
    assert_eq!(opened(2, midnights), names(1..3));
    let since = reader.sightings_in(at(2 * DAY_MS + 1)..).unwrap();
    assert_eq!(opened(1, since), names(2..4));
    let backwards = reader.sightings_in(at(2 * DAY_MS)..at(DAY_MS)).unwrap();
    assert_eq!(opened(0, backwards), names(0..0));
    let of_days = reader.sightings_of(day(1), day(2)).unwrap();
    assert_eq!(opened(2, of_days), names(1..3));
}

#[test]
fn opening_reads_no_segment() {
    FOUR_DAYS.reader();
    let watched = Watched::default();
    watched.log().append(&sightings(0..9)).unwrap();
    watched.segments();
    let reader = watched.reader();
    assert!(watched.segments().is_empty());
    assert_eq!(reader.sightings().unwrap().count(), 9);
    assert!(!watched.segments().is_empty());
}

#[test]
fn no_more_than_a_chunk_is_read_ahead() {
    let watched = Watched::default();
    watched.log().append(&sightings(0..20_000)).unwrap();
    let reader = watched.reader();
    let mut found = reader.sightings_in(..).unwrap();
    watched.read();
    found.next().unwrap().unwrap();
    let (first, whole) = (watched.read(), 20_000 * 29);
    // 1,024 of the 20,000, and a buffer.
    assert!(first < whole / 10, "{first} of {whole} bytes");
    assert_eq!(found.count(), 19_999);
    assert!(watched.read() > whole * 9 / 10);
}

#[test]
fn a_damaged_segment_in_an_interval_is_told_and_one_outside_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append(&[heard(1, 0, 0), heard(2, DAY_MS, DAY_MS)])
        .unwrap();
    flip(&segments(dir.path())[0], 150);
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let errors = |from, to| {
        let found = reader.sightings_in(at(from)..at(to)).unwrap();
        found.filter(Result::is_err).count()
    };
    assert_eq!(errors(0, 1), 1);
    assert_eq!(errors(DAY_MS, DAY_MS + 1), 0);
}

fn statistics(reader: &LogReader) -> Vec<DayStatistics> {
    reader.stats().unwrap().collect()
}

/// `sightings` and `gaps` of one day.
fn counted(sightings: &[Sighting], gaps: &[ScanGap]) -> DayStatistics {
    let watched = Watched::default();
    let mut log = watched.log();
    log.append(sightings).unwrap();
    log.append_gaps(gaps).unwrap();
    let mut days = statistics(&watched.reader());
    assert_eq!(days.len(), 1);
    days.remove(0)
}

#[test]
fn a_day_is_counted() {
    let minute = 60_000;
    let strong = |it: Sighting, dbm: i32| {
        let rssi = Rssi::from_dbm(dbm).map(|mean| RssiSummary {
            min: mean,
            mean,
            max: mean,
        });
        Sighting { rssi, ..it }
    };
    let found = counted(
        &[
            strong(heard(1, 0, 999), -69),
            // Over the end of a minute, and of a window.
            strong(heard(2, 5 * minute - 1, 5 * minute), -70),
            strong(heard(1, 5 * minute + 1, 5 * minute + 2), -20),
            // Into the next day: it is this one's all the same.
            strong(heard(3, DAY_MS - 1, DAY_MS + 10), 127),
        ],
        &[gap(0, 90_000), gap(60_000, 120_000), gap(500_000, 501_000)],
    );
    assert_eq!((found.sightings, found.frames), (4, 16));
    assert_eq!(found.minutes_heard, 4);
    assert_eq!(found.identifiers, DistinctCount::Exact(3));
    let strengths = found.strengths;
    assert_eq!(
        (strengths.strong, strengths.weak, strengths.unmeasured),
        (2, 1, 1)
    );
    assert_eq!(found.present.len(), 288);
    assert_eq!(found.present[..3], [2, 2, 0]);
    assert_eq!(found.present[287], 1);
    assert_eq!(found.present_max(), 2);
    assert!((found.present_mean() - 5.0 / 288.0).abs() < 1e-9);
    // What is in two gaps counts once.
    assert_eq!(found.gaps, Duration::from_secs(121));
    assert_eq!((found.segments, found.torn_bytes), (1, 0));
    assert!(found.bytes_at_rest > HEADER as u64 && found.damage.is_empty());
}

#[test]
fn a_gap_over_midnights_counts_in_each_day() {
    let watched = Watched::default();
    let mut log = watched.log();
    let hour = 3_600_000;
    for days_later in [0, 1, 3] {
        let ms = days_later * DAY_MS;
        log.append(&[heard(1, ms, ms)]).unwrap();
    }
    // Stored in the fourth day, and in the second, which the first one covers.
    log.append_gaps(&[gap(DAY_MS - hour, 3 * DAY_MS + 2 * hour)])
        .unwrap();
    log.append_gaps(&[gap(DAY_MS - 3 * hour, DAY_MS + hour)])
        .unwrap();
    let days = statistics(&watched.reader());
    let gaps: Vec<_> = days
        .iter()
        .map(|it| (it.day, it.gaps.as_secs() / 3_600))
        .collect();
    // The latest first; of the third the log has nothing.
    assert_eq!(gaps, [(day(3), 2), (day(1), 24), (DAY, 3)]);
}

#[test]
fn a_flood_is_estimated_and_said_to_be() {
    let flood: Vec<Sighting> = (0..30_000)
        .map(|id| heard(id, u64::from(id), u64::from(id)))
        .collect();
    let found = counted(&flood, &[]);
    let near = |count: u64, share: f64| (count as f64 / 30_000.0 - 1.0).abs() < share;
    assert!(!found.identifiers.is_exact());
    // Six standard errors of each.
    assert!(
        near(found.identifiers.value(), 0.05),
        "{}",
        found.identifiers
    );
    assert!(near(found.present_max(), 0.2), "{}", found.present_max());
}

#[test]
fn a_damaged_segment_hides_neither_its_day_nor_another() {
    let dir = tempfile::tempdir().unwrap();
    for batch in [
        [heard(1, 0, 0), heard(2, DAY_MS, DAY_MS)],
        [heard(3, 1, 1), heard(4, 2 * DAY_MS, 2 * DAY_MS)],
    ] {
        let mut log = EncounterLog::open(dir.path(), key()).unwrap();
        log.append(&batch).unwrap();
    }
    let paths = segments(dir.path());
    flip(&paths[0], 150);
    fs::remove_file(&paths[2]).unwrap();
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let days: Vec<_> = statistics(&reader)
        .into_iter()
        .map(|it| (it.day, it.sightings, it.segments, it.damage.len()))
        .collect();
    assert_eq!(days, [(day(2), 1, 1, 0), (day(1), 0, 1, 1), (DAY, 1, 2, 1)]);
}

#[test]
fn of_the_last_days_no_others_are_read() {
    let watched = FOUR_DAYS.clone();
    let watched = Watched {
        storage: watched.storage,
        ..Watched::default()
    };
    let latest = watched.reader().stats().unwrap().next().unwrap();
    assert_eq!(latest.day, day(3));
    assert!(
        watched
            .segments()
            .iter()
            .all(|name| name.starts_with(&day(3).to_string()))
    );
}

/// A writer that ends a segment cuts off the zeros that it had made its file longer by, also while somebody reads.
#[test]
fn a_segment_that_ends_while_it_is_read_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let mut found = reader.sightings().unwrap();
    assert_eq!(found.next().unwrap().unwrap(), sightings(0..1)[0]);
    log.close().unwrap();
    let rest: Vec<_> = found.by_ref().map(Result::unwrap).collect();
    assert_eq!(rest, sightings(1..3));
    assert_eq!(found.torn_bytes(), 0);
}

/// Nobody has cut them off if the process was killed, and no day's part of the budget is taken by them.
#[test]
fn zeros_of_a_killed_writer_take_nothing_of_the_budget() {
    let dir = three_chunks_and_a_crash();
    let path = &segments(dir.path())[0];
    assert!(fs::metadata(path).unwrap().len() > 30_000);
    drop(EncounterLog::open(dir.path(), key()).unwrap());
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    assert_eq!(reader.sightings().unwrap().map(Result::unwrap).count(), 9);
    // What was found is noted without them: a cut down to there is no damage, and one into it is.
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..CHUNK_ENDS[2] + 16]).unwrap();
    assert_eq!(read(dir.path()).unwrap().len(), 9);
    fs::write(path, &whole[..CHUNK_ENDS[2] - 16]).unwrap();
    assert!(read(dir.path()).is_err());
}
