use super::*;
use crate::log::{EncounterLog, LogOptions, MemoryKey, MemoryStorage};
use crate::place::PlaceCode;
use crate::publication::signature::SigningKey;

const DAY: UtcDay = UtcDay::from_unix_days(18_482);

fn at(minutes: u64) -> Timestamp {
    DAY.start()
        .saturating_add(Duration::from_secs(minutes * 60))
}

fn place(name: &str) -> Place {
    let key = SigningKey::generate().unwrap();
    let code = PlaceCode::sign_as_owner(name, at(0)..at(10_000), &key).unwrap();
    code.verify(&[], at(0)).unwrap()
}

fn log() -> EncounterLog {
    let key = MemoryKey::random().unwrap();
    EncounterLog::open_on(MemoryStorage::default(), key, LogOptions::default()).unwrap()
}

fn read(log: &EncounterLog) -> CheckIns {
    CheckIns::read(&log.reader().unwrap()).unwrap()
}

/// Name, from, until in minutes, and whether it was checked out of.
fn told(check_ins: &CheckIns) -> Vec<(String, u64, u64, bool)> {
    let minutes = |time: Timestamp| time.since(DAY.start()).as_secs() / 60;
    let visits = check_ins.visits().iter();
    visits
        .map(|v| {
            (
                v.name.clone(),
                minutes(v.from),
                minutes(v.until),
                v.checked_out,
            )
        })
        .collect()
}

#[test]
fn in_and_out_and_what_is_assumed() {
    let mut log = log();
    let (market, cinema, home) = (place("Chợ"), place("Rạp"), place("Quán"));
    log.append_entries(&[market.check_in(at(60)).unwrap()])
        .unwrap();
    assert_eq!(told(&read(&log)), [("Chợ".into(), 60, 300, false)]);
    let out = read(&log)
        .open_at(at(90))
        .unwrap()
        .check_out(at(90))
        .unwrap();
    log.append_entries(&[out]).unwrap();
    log.append_entries(&[cinema.check_in(at(120)).unwrap()])
        .unwrap();
    log.append_entries(&[home.check_in(at(240)).unwrap()])
        .unwrap();
    let check_ins = read(&log);
    assert_eq!(
        told(&check_ins),
        [
            ("Chợ".into(), 60, 90, true),
            ("Rạp".into(), 120, 240, false),
            ("Quán".into(), 240, 480, false),
        ]
    );
    assert!(check_ins.damage().is_empty() && check_ins.unreadable() == 0);
}

#[test]
fn which_visit_goes_on() {
    let mut log = log();
    assert!(read(&log).open_at(at(0)).is_none());
    log.append_entries(&[place("Chợ").check_in(at(60)).unwrap()])
        .unwrap();
    let check_ins = read(&log);
    for (minute, open) in [
        (59, false),
        (60, false),
        (61, true),
        (1_500, true),
        (1_501, false),
    ] {
        assert_eq!(check_ins.open_at(at(minute)).is_some(), open, "{minute}");
    }
    let out = check_ins.visits()[0].check_out(at(600)).unwrap();
    log.append_entries(&[out]).unwrap();
    assert_eq!(told(&read(&log)), [("Chợ".into(), 60, 600, true)]);
    assert!(read(&log).open_at(at(601)).is_none());
}

#[test]
fn check_outs_that_are_refused() {
    let mut log = log();
    log.append_entries(&[place("Chợ").check_in(at(60)).unwrap()])
        .unwrap();
    let mut visit = read(&log).visits()[0].clone();
    let from = at(60);
    for (minute, refused) in [
        (59, Some(CheckInError::BeforeCheckIn { from, at: at(59) })),
        (60, Some(CheckInError::BeforeCheckIn { from, at: at(60) })),
        (61, None),
        (1_500, None),
        (
            1_501,
            Some(CheckInError::TooLate {
                from,
                at: at(1_501),
            }),
        ),
    ] {
        assert_eq!(visit.check_out(at(minute)).err(), refused, "{minute}");
    }
    visit.checked_out = true;
    let again = visit.check_out(at(61));
    assert_eq!(again.err(), Some(CheckInError::AlreadyCheckedOut));
}

#[test]
fn the_first_check_out_counts_and_one_without_a_visit_does_not() {
    let mut log = log();
    let market = place("Chợ");
    log.append_entries(&[market.check_in(at(60)).unwrap()])
        .unwrap();
    let visit = read(&log).visits()[0].clone();
    let elsewhere = Visit {
        place: place("Rạp").id(),
        ..visit.clone()
    };
    let another_time = Visit {
        from: at(61),
        ..visit.clone()
    };
    log.append_entries(&[
        elsewhere.check_out(at(70)).unwrap(),
        another_time.check_out(at(75)).unwrap(),
        visit.check_out(at(80)).unwrap(),
        visit.check_out(at(100)).unwrap(),
    ])
    .unwrap();
    assert_eq!(told(&read(&log)), [("Chợ".into(), 60, 80, true)]);
}

#[test]
fn a_visit_over_midnight_is_of_both_days() {
    let mut log = log();
    log.append_entries(&[place("Rạp").check_in(at(1_400)).unwrap()])
        .unwrap();
    let out = read(&log).visits()[0].check_out(at(1_500)).unwrap();
    log.append_entries(&[out]).unwrap();
    let check_ins = read(&log);
    let next = DAY.end().utc_day();
    let after = next.end().utc_day();
    for (day, visits) in [(DAY, 1), (next, 1), (after, 0), (DAY.saturating_sub(1), 0)] {
        assert_eq!(check_ins.on(day).count(), visits, "{day}");
    }
}

#[test]
fn what_is_no_check_in_is_counted() {
    let mut log = log();
    let entry = |kind, bytes: &[u8]| LogEntry {
        at: at(1),
        kind,
        bytes: bytes.to_vec(),
    };
    let long = Record::In {
        place: [0; 16],
        name: "x".repeat(NAME_BYTES_MAX + 1),
    };
    log.append_entries(&[
        entry(EntryKind::CheckIn, b"garbage"),
        entry(EntryKind::HealthDeclaration, b"another's"),
        long.entry(at(1)).unwrap(),
    ])
    .unwrap();
    let check_ins = read(&log);
    assert_eq!((check_ins.visits().len(), check_ins.unreadable()), (0, 2));
}

/// The log is read by later releases.
#[test]
fn bytes_are_pinned() {
    let entry = Record::In {
        place: [7; 16],
        name: "Phở".into(),
    }
    .entry(at(1))
    .unwrap();
    let expected = [
        &[0, 0, 0, 0][..],
        &[7; 16],
        &[5, 0, 0, 0, 0, 0, 0, 0],
        "Phở".as_bytes(),
    ];
    assert_eq!(entry.bytes, expected.concat());
    let entry = Record::Out {
        place: [7; 16],
        from_ms: 258,
    }
    .entry(at(1))
    .unwrap();
    let expected = [&[1, 0, 0, 0][..], &[7; 16], &[2, 1, 0, 0, 0, 0, 0, 0]];
    assert_eq!(entry.bytes, expected.concat());
}

#[test]
fn neither_place_nor_name_is_printed() {
    let visit = Visit {
        place: place("Phở").id(),
        name: "Phở".into(),
        from: at(1),
        until: at(2),
        checked_out: true,
    };
    assert!(!format!("{visit:?}").contains("Phở"));
}

#[test]
fn checked_out_after_the_next_check_in() {
    let mut log = log();
    let (market, cinema) = (place("Chợ"), place("Rạp"));
    log.append_entries(&[market.check_in(at(60)).unwrap()])
        .unwrap();
    let visit = read(&log).visits()[0].clone();
    log.append_entries(&[
        cinema.check_in(at(120)).unwrap(),
        market.check_in(at(200)).unwrap(),
        visit.check_out(at(300)).unwrap(),
    ])
    .unwrap();
    assert_eq!(
        told(&read(&log)),
        [
            ("Chợ".into(), 60, 120, true),
            ("Rạp".into(), 120, 200, false),
            ("Chợ".into(), 200, 440, false),
        ]
    );
}
