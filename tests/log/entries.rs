//! What the owner enters.

use truyvet::log::{EntryKind, LogEntry, LogOptions, MemoryStorage};
use truyvet::time::ClockReading;

use super::golden::copy_of;
use super::reading::flip;
use super::*;

const DAY_MS: u64 = 86_400_000;

fn entry(millis: u64, kind: EntryKind, bytes: &[u8]) -> LogEntry {
    LogEntry {
        at: Timestamp::from_unix_millis(DAY.start().unix_millis() + millis),
        kind,
        bytes: bytes.to_vec(),
    }
}

fn declared(millis: u64) -> LogEntry {
    entry(millis, EntryKind::HealthDeclaration, b"coughing since noon")
}

fn entries(directory: &Path) -> Result<Vec<LogEntry>, LogError> {
    LogReader::open(directory, &key())?.entries()?.collect()
}

#[test]
fn entries_are_read_by_day_in_the_order_in_which_they_were_stored() {
    let dir = tempfile::tempdir().unwrap();
    let all = [
        declared(5),
        entry(3, EntryKind::CheckIn, b""),
        entry(DAY_MS, EntryKind::Other(9), &[1; LogEntry::BYTES_MAX]),
        entry(2 * DAY_MS, EntryKind::CheckIn, b"left"),
    ];
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append_entries(&all[..1]).unwrap();
    log.append(&sightings(0..3)).unwrap();
    log.append_entries(&all[1..]).unwrap();
    log.append_entries(&[]).unwrap();
    assert_eq!(entries(dir.path()).unwrap(), all);
    assert_eq!(read(dir.path()).unwrap(), sightings(0..3));
    let reader = log.reader().unwrap();
    let day = |number| UtcDay::from_unix_days(DAY.unix_days() + number);
    let of = |first, last| -> Vec<LogEntry> {
        let entries = reader.entries_of(day(first), day(last)).unwrap();
        entries.map(Result::unwrap).collect()
    };
    assert_eq!(of(0, 0), all[..2]);
    assert_eq!(of(1, 2), all[2..]);
    assert_eq!(of(3, 9), []);
    let stats: Vec<u64> = reader.stats().unwrap().map(|day| day.entries).collect();
    assert_eq!(stats, [1, 1, 2]);
    assert_eq!(reader.verify(|_| ()).unwrap().entries(), 4);
}

#[test]
fn entries_are_sealed_and_their_debug_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append_entries(&[declared(5)]).unwrap();
    let bytes = fs::read(&segments(dir.path())[0]).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"coughing"));
    let shown = format!("{:?}", declared(5));
    assert!(
        shown.contains("len: 19") && !shown.contains("bytes"),
        "{shown}"
    );
}

#[test]
fn entries_are_forgotten_with_their_day() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append_entries(&[declared(5), declared(DAY_MS)])
        .unwrap();
    log.purge(UtcDay::from_unix_days(DAY.unix_days() + 15))
        .unwrap();
    let left: Vec<LogEntry> = log
        .reader()
        .unwrap()
        .entries()
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(left, [declared(DAY_MS)]);
}

#[test]
fn entry_flipped() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    log.append_entries(&[declared(5)]).unwrap();
    log.append_entries(&[declared(DAY_MS)]).unwrap();
    log.close().unwrap();
    flip(&segments(dir.path())[0], HEADER + 10);
    let reader = LogReader::open(dir.path(), &key()).unwrap();
    let found: Vec<_> = reader.entries().unwrap().collect();
    assert!(
        matches!(&found[..], [Err(LogError::Corrupted { offset, .. }), Ok(next)]
            if *offset == HEADER as u64 && *next == declared(DAY_MS)),
        "{found:?}"
    );
}

#[test]
fn entry_too_long() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = EncounterLog::open(dir.path(), key()).unwrap();
    let long = entry(5, EntryKind::CheckIn, &[0; LogEntry::BYTES_MAX + 1]);
    let refused = log.append_entries(&[declared(0), long]);
    assert!(matches!(
        refused,
        Err(LogError::EntryTooLong { len: 16_385 })
    ));
    assert_eq!(entries(dir.path()).unwrap(), []);
}

#[test]
fn a_day_takes_entries_up_to_its_part_and_no_more() {
    let options = LogOptions::default()
        .with_budget_bytes(4 << 20)
        .unwrap()
        .with_retention_days(21)
        .unwrap();
    let storage = MemoryStorage::default();
    let mut log = EncounterLog::open_on(storage.clone(), key(), options).unwrap();
    let large = entry(5, EntryKind::CheckIn, &[0; LogEntry::BYTES_MAX]);
    let mut stored = 0;
    let refused = loop {
        match log.append_entries(std::slice::from_ref(&large)) {
            Ok(()) => stored += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(refused, LogError::DayFull { day } if day == DAY));
    // 4 MiB by 22 days are 190,650 bytes.
    assert_eq!(stored, 11);
    log.append_entries(&[declared(DAY_MS)]).unwrap();
    log.append(&sightings(0..1)).unwrap();
    assert_eq!(log.admitted().over_budget, 1);
}

/// Whoever floods the day with identifiers leaves its owner his diary.
#[test]
fn sightings_leave_room_for_entries() {
    let options = LogOptions::default().with_budget_bytes(4 << 20).unwrap();
    let share = (4 << 20) / 15;
    let storage = MemoryStorage::default();
    let mut log = EncounterLog::open_on(storage, key(), options).unwrap();
    let late = |number: u32| {
        let at = Timestamp::from_unix_millis(DAY.start().unix_millis() + DAY_MS - 1);
        Sighting {
            first: at,
            last: at,
            ..sighting(number, DAY)
        }
    };
    let bytes = |log: &EncounterLog| -> u64 {
        let reader = log.reader().unwrap();
        let days = reader.stats().unwrap();
        days.map(|day| day.bytes_at_rest).sum()
    };
    for batch in 0..10 {
        let flood: Vec<Sighting> = (0..1_000).map(|n| late(batch * 1_000 + n)).collect();
        log.append(&flood).unwrap();
    }
    assert!(
        bytes(&log) <= share - (1 << 16) + (1 << 15),
        "{}",
        bytes(&log)
    );
    for _ in 0..3 {
        log.append_entries(&[entry(5, EntryKind::CheckIn, &[0; LogEntry::BYTES_MAX])])
            .unwrap();
    }
}

#[test]
fn entries_of_a_golden_log() {
    let dir = copy_of("log-v4");
    let expected = [
        entry(1_000, EntryKind::HealthDeclaration, b"a declaration"),
        entry(2_000, EntryKind::CheckIn, b"a check-in"),
        entry(3_000, EntryKind::Other(0xFFFF), b"of tomorrow"),
    ];
    assert_eq!(entries(dir.path()).unwrap(), expected);
    for older in ["log-v1", "log-v2", "log-v3"] {
        let dir = copy_of(older);
        assert_eq!(entries(dir.path()).unwrap(), [], "{older}");
    }
}

fn observed(day: u32, options: LogOptions) -> EncounterLog {
    let mut log = EncounterLog::open_on(MemoryStorage::default(), key(), options).unwrap();
    let wall = UtcDay::from_unix_days(DAY.unix_days() + day).start();
    log.observe(ClockReading { wall, uptime: None });
    log
}

/// The entry's day is the refused one; nothing of what was given with it is stored.
fn refused_whole(log: &mut EncounterLog, entries: &[LogEntry], refused: UtcDay) {
    let error = log.append_entries(entries).unwrap_err();
    assert!(
        matches!(&error, LogError::EntryDay { day, .. } if *day == refused),
        "{error}"
    );
    assert_eq!(log.reader().unwrap().entries().unwrap().count(), 0);
}

#[test]
fn entry_of_a_day_to_come() {
    let mut log = observed(0, LogOptions::default());
    let after_tomorrow = declared(2 * DAY_MS);
    let day = after_tomorrow.at.utc_day();
    refused_whole(&mut log, &[declared(0), after_tomorrow], day);
    // 2030, of a clock that has jumped.
    let at = Timestamp::from_unix_seconds(1_893_456_000);
    let jumped = LogEntry { at, ..declared(0) };
    refused_whole(&mut log, std::slice::from_ref(&jumped), at.utc_day());
    log.append_entries(&[declared(0), declared(2 * DAY_MS - 1)])
        .unwrap();
}

#[test]
fn entry_older_than_the_retention() {
    for retention in [14, 21] {
        let options = LogOptions::default().with_retention_days(retention);
        let options = options.unwrap();
        let mut log = observed(retention + 1, options.clone());
        refused_whole(&mut log, &[declared(DAY_MS), declared(DAY_MS - 1)], DAY);
        log.append_entries(&[declared(DAY_MS)]).unwrap();
        log.purge(UtcDay::from_unix_days(DAY.unix_days() + retention + 1))
            .unwrap();
        assert_eq!(log.reader().unwrap().entries().unwrap().count(), 1);
    }
}

#[test]
fn without_a_clock_the_newest_entry_is_of_today() {
    let keys = key();
    let log = EncounterLog::open_on(MemoryStorage::default(), keys, LogOptions::default());
    let mut log = log.unwrap();
    refused_whole(&mut log, &[declared(0), declared(15 * DAY_MS)], DAY);
    log.append_entries(&[declared(DAY_MS), declared(15 * DAY_MS)])
        .unwrap();
}
