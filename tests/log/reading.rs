//! The log as its owner reads it: by interval, counted, verified, and written out.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::ops::Bound;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use truyvet::log::{
    AppendFile, DayStatistics, LogOptions, MemoryStorage, NotExported, OwnersConsent, Storage,
    StoredFile, Verification,
};
use truyvet::sighting::ScanGap;
use truyvet::time::ClockReading;

use super::*;

/// Memory that notes which files are opened, and how much is read of them.
#[derive(Clone, Default)]
struct Watched {
    storage: MemoryStorage,
    opened: Arc<Mutex<Vec<String>>>,
    read: Arc<Mutex<u64>>,
}

impl Watched {
    /// The segments opened since the last call.
    fn segments(&self) -> BTreeSet<String> {
        let opened = std::mem::take(&mut *self.opened.lock().unwrap());
        let segments = opened.into_iter().filter(|name| name.ends_with(".segment"));
        segments.collect()
    }

    /// Bytes read since the last call.
    fn read(&self) -> u64 {
        std::mem::take(&mut *self.read.lock().unwrap())
    }

    fn log(&self) -> EncounterLog {
        EncounterLog::open_on(self.clone(), key(), LogOptions::default()).unwrap()
    }

    fn reader(&self) -> LogReader {
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

fn day(days_later: u32) -> UtcDay {
    UtcDay::from_unix_days(DAY.unix_days() + days_later)
}

/// So many milliseconds after `DAY` began.
fn at(millis: u64) -> Timestamp {
    Timestamp::from_unix_millis(DAY.start().unix_millis() + millis)
}

const DAY_MS: u64 = 86_400_000;

fn heard(id: u32, from_ms: u64, to_ms: u64) -> Sighting {
    Sighting {
        first: at(from_ms),
        last: at(to_ms),
        ..sighting(id, DAY)
    }
}

fn gap(from_ms: u64, to_ms: u64) -> ScanGap {
    let gap = json!({
        "from": at(from_ms).unix_millis(),
        "to": at(to_ms).unix_millis(),
        "cause": "Adapter",
    });
    serde_json::from_value(gap).unwrap()
}

// ---- by interval ----

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
static FOUR_DAYS: LazyLock<Watched> = LazyLock::new(|| {
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
    let opened = |found: usize, sightings: truyvet::log::Sightings<'_>| {
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
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is tried")]
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

// ---- counted ----

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 1;
    fs::write(path, bytes).unwrap();
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
    assert_eq!(found.identifiers, truyvet::log::DistinctCount::Exact(3));
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

// ---- verified ----

fn verified(directory: &Path) -> Verification {
    let reader = LogReader::open(directory, &key()).unwrap();
    reader.verify(|_| ()).unwrap()
}

/// What is wrong, as `file@offset`.
fn damage(verification: &Verification) -> Vec<String> {
    let place = |error: &LogError| match error {
        LogError::Corrupted {
            segment, offset, ..
        } => format!("{segment}@{offset}"),
        LogError::UnsupportedVersion { file, found, .. } => format!("{file} version {found}"),
        error => error.to_string(),
    };
    assert_eq!(verification.is_well(), verification.damage().count() == 0);
    verification.damage().map(place).collect()
}

/// [`three_chunks`] with own keys.
fn three_chunks_with_keys() -> tempfile::TempDir {
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

#[test]
fn a_whole_log_is_well() {
    let dir = three_chunks_with_keys();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.observe(ClockReading {
        wall: DAY.start(),
        uptime: None,
    });
    log.append_gaps(&[gap(0, 1_000), gap(5_000, 6_000)])
        .unwrap();
    fs::write(dir.path().join("thesis.txt"), "…").unwrap();
    let found = verified(dir.path());
    assert_eq!(damage(&found), [""; 0]);
    let [first, second] = &found.segments[..] else {
        panic!("{found:?}")
    };
    assert_eq!(first.name, format!("{DAY}.0000.segment"));
    assert_eq!((first.chunks, first.sightings, first.gaps), (3, 9, 0));
    assert_eq!((first.bytes, first.torn_bytes), (CHUNK_ENDS[2] as u64, 0));
    assert_eq!((second.chunks, second.sightings, second.gaps), (2, 0, 2));
    assert_eq!(second.clock_records, 1);
    assert_eq!((found.sightings(), found.own_keys), (9, 1));
    assert!(found.bytes() > first.bytes + second.bytes);
    assert_eq!(found.strangers, ["thesis.txt"]);
    let there = found.files.iter().filter(|file| file.bytes.is_some());
    let there: Vec<_> = there.map(|file| file.name).collect();
    assert_eq!(there, ["log.meta", "manifest.sealed", "own-keys.sealed"]);
}

#[test]
fn progress_grows_to_one() {
    let mut shares = Vec::new();
    let reader = FOUR_DAYS.reader();
    reader.verify(|share| shares.push(share)).unwrap();
    assert!(shares.len() > 3, "{shares:?}");
    assert!(shares.is_sorted() && shares[0] > 0.0, "{shares:?}");
    assert_eq!(shares.last(), Some(&1.0));
    // Of an empty log as well.
    let empty = Watched::default();
    drop(empty.log());
    empty.reader().verify(|share| shares.push(share)).unwrap();
    assert_eq!(shares.last(), Some(&1.0));
}

#[test]
fn a_flipped_bit_is_told_with_its_segment_and_offset() {
    let dir = three_chunks();
    flip(&segments(dir.path())[0], CHUNK_ENDS[0] + 10);
    let found = verified(dir.path());
    let expected = format!("{DAY}.0000.segment@{}", CHUNK_ENDS[0]);
    assert_eq!(damage(&found), [expected]);
    // What stands before it opens.
    assert_eq!((found.segments[0].chunks, found.sightings()), (1, 3));
}

#[test]
fn a_cut_segment_a_missing_and_a_strange_one_are_told() {
    let dir = tempfile::tempdir().unwrap();
    for id in 0..3 {
        let mut log = EncounterLog::open(dir.path(), key()).unwrap();
        log.append(&sightings(id..id + 1)).unwrap();
    }
    let paths = segments(dir.path());
    let whole = fs::read(&paths[0]).unwrap();
    fs::write(&paths[0], &whole[..whole.len() - 1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    fs::write(dir.path().join(format!("{DAY}.0007.segment")), &whole).unwrap();
    let name = |number: u32| format!("{DAY}.{number:04}.segment");
    let found = verified(dir.path());
    assert_eq!(
        damage(&found),
        [
            format!("{}@{}", name(0), whole.len() - 1),
            format!("{}@0", name(1)),
            format!("{}@10", name(7)),
        ]
    );
    let bytes: Vec<_> = found.segments.iter().map(|it| it.bytes > 0).collect();
    assert_eq!(bytes, [true, false, true, true]);
    assert_eq!(found.sightings(), 1);
}

#[test]
fn what_a_crash_left_is_counted_and_is_no_damage() {
    let dir = three_chunks_and_a_crash();
    let path = &segments(dir.path())[0];
    let whole = fs::read(path).unwrap();
    fs::write(path, &whole[..CHUNK_ENDS[1] + 7]).unwrap();
    let found = verified(dir.path());
    assert_eq!(damage(&found), [""; 0]);
    assert_eq!((found.segments[0].torn_bytes, found.sightings()), (7, 5));
}

#[test]
fn each_sealed_file_damaged() {
    for (name, byte, expected) in [
        ("manifest.sealed", 40, "manifest.sealed@28"),
        ("manifest.sealed", 0, "manifest.sealed@0"),
        ("own-keys.sealed", 40, "own-keys.sealed@28"),
        ("log.meta", 40, "log.meta@28"),
        ("log.meta", 9, "log.meta version 258"),
    ] {
        let dir = three_chunks_with_keys();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        flip(&dir.path().join(name), byte);
        let found = reader.verify(|_| ()).unwrap();
        assert_eq!(damage(&found), [expected], "{name} {byte}");
        // The segments are read all the same.
        assert_eq!(found.sightings(), 9, "{name} {byte}");
    }
}

#[test]
fn a_missing_manifest_and_a_missing_identity_are_told() {
    for name in ["manifest.sealed", "log.meta"] {
        let dir = three_chunks();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        fs::remove_file(dir.path().join(name)).unwrap();
        let found = reader.verify(|_| ()).unwrap();
        assert_eq!(damage(&found), [format!("{name}@0")]);
    }
}

#[test]
fn keys_renewed_meanwhile_are_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), MemoryKey::random().unwrap()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    let reader = log.reader().unwrap();
    log.purge(DAY).unwrap();
    assert!(matches!(reader.verify(|_| ()), Err(LogError::Renewed)));
    let found = log.reader().unwrap().verify(|_| ()).unwrap();
    assert_eq!((damage(&found), found.sightings()), (Vec::new(), 3));
}

#[test]
fn a_damaged_table_of_segment_keys_is_told_by_the_segments_that_need_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), MemoryKey::random().unwrap()).unwrap();
    log.append(&sightings(0..3)).unwrap();
    log.purge(DAY).unwrap();
    flip(&dir.path().join("segment-keys.sealed"), 70);
    let found = log.reader().unwrap().verify(|_| ()).unwrap();
    assert_eq!(damage(&found), [format!("{DAY}.0000.segment@48")]);
}

// ---- written out ----

fn exported(reader: &LogReader, consent: OwnersConsent) -> (Value, truyvet::log::Exported) {
    let mut json = Vec::new();
    let exported = reader.export_json(consent, &mut json).unwrap();
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["complete"], exported.is_complete());
    assert_eq!(json["torn_bytes"], exported.torn_bytes);
    let damage = json["damage"].as_array().unwrap();
    assert_eq!(damage.len(), exported.damage.len());
    let sightings = json["sightings"].as_array().unwrap();
    assert_eq!(sightings.len() as u64, exported.sightings);
    (json, exported)
}

const HEARD: OwnersConsent = OwnersConsent::to_what_was_heard();

#[test]
fn an_export_holds_everything() {
    let watched = Watched::default();
    let mut log = watched.log();
    log.observe(ClockReading {
        wall: at(7),
        uptime: Some(truyvet::time::Uptime {
            boot_id: [0xAB; 16],
            since_boot_ms: 99,
        }),
    });
    log.append(&[
        heard(1, 1_125, 2_000),
        Sighting {
            protocol: ProtocolKind::Bluezone,
            id: [0x5A; 12].into(),
            metadata: None,
            rssi: None,
            source: Source::GattRead,
            ..heard(2, DAY_MS, DAY_MS)
        },
    ])
    .unwrap();
    log.append_gaps(&[gap(0, 1_000)]).unwrap();
    let (json, _) = exported(&watched.reader(), HEARD);
    let expected = json!({
        "format": "truyvet own data",
        "version": 1,
        "sightings": [
            {
                "protocol": "GAEN", "id": "6964656e7469666965722e2e01000000",
                "metadata": "01020304",
                "first": "2026-11-23T00:00:01.125Z", "last": "2026-11-23T00:00:02.000Z",
                "frames": 4, "rssi": { "min_dbm": -80, "mean_dbm": -70, "max_dbm": -60 },
                "source": "service_data",
            },
            {
                "protocol": "Bluezone", "id": "5a5a5a5a5a5a5a5a5a5a5a5a", "metadata": null,
                "first": "2026-11-24T00:00:00.000Z", "last": "2026-11-24T00:00:00.000Z",
                "frames": 4, "rssi": null, "source": "gatt_read",
            },
        ],
        "gaps": [{
            "from": "2026-11-23T00:00:00.000Z", "to": "2026-11-23T00:00:01.000Z",
            "cause": "adapter",
        }],
        "clock_records": json["clock_records"],
        "torn_bytes": 0,
        "damage": [],
        "complete": true,
    });
    assert_eq!(json, expected);
    let record = json!({
        "wall": "2026-11-23T00:00:00.007Z",
        "boot_id": "abababababababababababababababab",
        "since_boot_ms": 99,
        "jumped_from": null,
    });
    assert_eq!(json["clock_records"], json!([record, record]));
}

#[test]
fn own_keys_only_if_asked_for() {
    let dir = three_chunks_with_keys();
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let (json, without) = exported(&reader, HEARD);
    assert!(json.get("own_keys").is_none() && without.own_keys.is_none());
    let mut secret = [0; 32];
    SeededEntropy::new(1).fill(&mut secret).unwrap();
    let secret = data_encoding::HEXLOWER.encode(&secret);
    assert!(!json.to_string().contains(&secret));

    let (json, with) = exported(&reader, HEARD.and_own_keys());
    assert_eq!(with.own_keys, Some(1));
    let expected = json!([{
        "protocol": "Bluezone", "day": DAY.to_string(),
        "valid_from": "2026-11-23T00:00:00.000Z", "valid_until": "2026-11-24T00:00:00.000Z",
        "released": false, "secret": secret,
    }]);
    assert_eq!(json["own_keys"], expected);
}

#[test]
fn an_export_says_what_is_missing_in_it() {
    let dir = three_chunks_with_keys();
    flip(&segments(dir.path())[0], CHUNK_ENDS[1] + 10);
    flip(&dir.path().join("manifest.sealed"), 40);
    flip(&dir.path().join("own-keys.sealed"), 40);
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let (json, exported) = exported(&reader, HEARD.and_own_keys());
    // Without its manifest nobody can tell a damaged last chunk from a torn one.
    assert_eq!((exported.sightings, exported.own_keys), (5, None));
    assert_eq!(json["own_keys"], json!([]));
    let damage = json["damage"].as_array().unwrap();
    let files: Vec<_> = damage.iter().map(|it| &it["file"]).collect();
    assert_eq!(files, ["manifest.sealed", "own-keys.sealed"]);
    assert!(exported.torn_bytes > 0);
    assert_eq!(damage[0]["offset"], 28);
}

proptest! {
    #[test]
    fn an_export_is_json_whatever_byte_is_damaged(place in any::<prop::sample::Index>(), bits in 1_u8..) {
        let dir = three_chunks();
        let paths = [&segments(dir.path())[0], &dir.path().join("manifest.sealed")];
        let lens = paths.map(|path| fs::metadata(path).unwrap().len() as usize);
        let place = place.index(lens[0] + lens[1]);
        let (path, byte) = match place.checked_sub(lens[0]) {
            None => (paths[0], place),
            Some(byte) => (paths[1], byte),
        };
        let mut bytes = fs::read(path).unwrap();
        bytes[byte] ^= bits;
        fs::write(path, bytes).unwrap();
        let reader = LogReader::open(dir.path(), &key()).unwrap();
        let (_, exported) = exported(&reader, HEARD);
        prop_assert!(!exported.is_complete());
        prop_assert_eq!(exported.damage.len(), 1);
    }
}

/// Takes so many bytes, and remembers the longest write.
struct Disk {
    room: usize,
    longest: usize,
    taken: usize,
}

impl io::Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.longest = self.longest.max(bytes.len());
        self.taken += bytes.len();
        match self.taken <= self.room {
            true => Ok(bytes.len()),
            false => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_export_goes_out_chunk_by_chunk_and_a_full_disk_is_an_error() {
    let watched = Watched::default();
    watched.log().append(&sightings(0..20_000)).unwrap();
    let reader = watched.reader();
    let mut disk = Disk {
        room: usize::MAX,
        longest: 0,
        taken: 0,
    };
    reader.export_json(HEARD, &mut disk).unwrap();
    assert!(disk.longest < disk.taken / 15, "{} at once", disk.longest);
    disk.room = disk.taken / 2;
    disk.taken = 0;
    let failed = reader.export_json(HEARD, &mut disk).unwrap_err();
    assert!(matches!(failed, NotExported::Write(e) if e.kind() == io::ErrorKind::StorageFull));
}
