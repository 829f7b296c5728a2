//! Windows and gaps of logs by hand, at each boundary.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;
use truyvet::field::evaluation::{ContactEvent, Evaluation, Pair};
use truyvet::field::herald::{CONTACTS_HEADER, parse_time};
use truyvet::field::readings::{FieldError, FieldTest};
use truyvet::time::Timestamp;

/// Seconds after 10:00.
fn at(seconds: u64) -> Timestamp {
    let start = parse_time("2020-12-08 10:00:00").unwrap();
    Timestamp::from_unix_seconds(start.unix_seconds() + seconds)
}

fn line(seconds: u64, rest: &str) -> String {
    let time = at(seconds).to_string();
    format!("{} {},BLE,{rest}\n", &time[..10], &time[11..19])
}

/// A frame of the phone with this number.
fn frame(seconds: u64, id: &str) -> String {
    line(seconds, &format!("{id},,,3,,,RSSI:-60.0"))
}

/// Folders of Herald's phones: name, short name, lines.
fn phones(phones: &[(&str, &str, String)]) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, short, lines) in phones {
        let folder = home.path().join(name);
        fs::create_dir(&folder).unwrap();
        let contacts = format!("{CONTACTS_HEADER}\n{lines}");
        fs::write(folder.join("contacts.csv"), contacts).unwrap();
        fs::write(
            folder.join("detection.csv"),
            format!("M,Android,29,{short}\n"),
        )
        .unwrap();
    }
    home
}

fn read(home: &TempDir) -> Result<FieldTest, FieldError> {
    let folders = FieldTest::folders(&[home.path().to_owned()])?;
    FieldTest::read(&folders, |_| {})
}

/// What `lines` of a phone that hears the other one come to, from 10:00 on for so many seconds.
fn pair(lines: &str, seconds: u64) -> Pair {
    let known = line(0, "B1,,2,,,,bbbbbb");
    let home = phones(&[
        ("A", "aaaaaa", known + lines),
        ("B", "bbbbbb", line(0, "x,1,,,,,")),
    ]);
    let event = ContactEvent {
        from: at(0),
        until: at(seconds),
    };
    let evaluation = Evaluation::of(&read(&home).unwrap(), event).unwrap();
    assert_eq!(evaluation.pairs.len(), 2);
    evaluation.pairs[0].clone()
}

#[test]
fn a_reading_at_the_start_counts_and_one_at_the_end_does_not() {
    let both = frame(0, "B1") + &frame(60, "B1");
    let pair = pair(&both, 60);
    assert_eq!(pair.windows, [true, false]);
    assert_eq!(pair.frames, 1);
    // Herald's script counts it, as a window of its own.
    assert_eq!(pair.windows_as_herald, 2);
}

#[test]
fn a_window_ends_where_the_next_begins() {
    assert_eq!(pair(&frame(29, "B1"), 90).windows, [true, false, false]);
    assert_eq!(pair(&frame(30, "B1"), 90).windows, [false, true, false]);
    assert_eq!(pair(&frame(59, "B1"), 90).windows, [false, true, false]);
}

#[test]
fn the_last_window_may_be_shorter() {
    for (seconds, windows) in [(60, 2), (61, 3), (89, 3), (90, 3), (91, 4)] {
        assert_eq!(pair("", seconds).windows.len(), windows, "{seconds} s");
    }
    assert_eq!(pair(&frame(60, "B1"), 61).windows, [false, false, true]);
}

#[test]
fn windows_of_heralds_script_begin_with_the_first_reading() {
    // Three seconds in one window of the script's, and in two of the event's.
    let lines = frame(29, "B1") + &frame(31, "B1");
    let pair = pair(&lines, 60);
    assert_eq!((pair.hit, pair.windows_as_herald), (2, 1));
}

#[test]
fn what_is_written_is_a_window_and_no_gap() {
    let lines = frame(0, "B1") + &line(31, "elsewhere,,,,4,,bbbbbb") + &frame(62, "B1");
    let pair = pair(&lines, 90);
    assert_eq!(pair.windows, [true; 3]);
    assert_eq!(pair.gaps.unwrap().max_s, 62.0);
}

#[test]
fn to_be_noticed_or_read_is_no_reading() {
    let lines = line(0, "B1,1,,,,,") + &line(0, "B1,,2,,,,bbbbbb") + &line(31, "B1,,,,,5,");
    assert_eq!(pair(&lines, 60).hit, 0);
}

#[test]
fn a_number_is_known_before_it_was_read() {
    let lines = frame(0, "B2") + &line(40, "B2,,2,,,,bbbbbb+later");
    assert_eq!(pair(&lines, 60).windows, [true, false]);
}

#[test]
fn of_strangers_there_is_a_count_alone() {
    let lines = frame(0, "S") + &line(1, "S,,2,,,,ssssss") + &frame(2, "nobody");
    let home = phones(&[("A", "aaaaaa", lines), ("B", "bbbbbb", String::new())]);
    let test = read(&home).unwrap();
    assert_eq!(test.devices[0].strangers, 2);
    assert!(test.devices[0].heard.is_empty());
}

#[test]
fn gaps_by_nearest_rank() {
    // Gaps of 1 s, nineteen times, and one of 40.
    let lines: String = (0..20).map(|second| frame(second, "B1")).collect();
    let gaps = pair(&(lines + &frame(59, "B1")), 60).gaps.unwrap();
    assert_eq!((gaps.p50_s, gaps.p95_s, gaps.max_s), (1.0, 1.0, 40.0));
    assert_eq!(gaps.mean_s, 59.0 / 20.0);
    assert!(pair(&frame(0, "B1"), 60).gaps.is_none());
}

#[test]
fn one_that_never_hears_another_costs_detection_and_continuity() {
    let lines = line(0, "B1,,2,,,,bbbbbb") + &frame(0, "B1");
    let home = phones(&[("A", "aaaaaa", lines), ("B", "bbbbbb", String::new())]);
    let event = ContactEvent {
        from: at(0),
        until: at(30),
    };
    let evaluation = Evaluation::of(&read(&home).unwrap(), event).unwrap();
    assert_eq!(evaluation.detection_percent, 50.0);
    assert_eq!(evaluation.continuity_percent, 50.0);
    assert_eq!(evaluation.pairs[1].missing(), [(0, 1)]);
}

#[test]
fn the_event_is_from_the_last_in_to_the_first_out() {
    let until = |first_out: u64| {
        let home = phones(&[
            ("A", "aaaaaa", frame(0, "x") + &frame(first_out, "x")),
            ("B", "bbbbbb", frame(100, "x") + &frame(300, "x")),
        ]);
        let event = ContactEvent::of(&read(&home).unwrap());
        assert_eq!(event.from, at(100));
        event.until
    };
    assert_eq!(until(190), at(190));
    // Less than half a window more is none.
    assert_eq!(until(204), at(190));
    assert_eq!(until(205), at(205));
    assert_eq!(until(400), at(300));
    assert_eq!(until(110), at(110));
}

#[test]
fn logs_that_never_overlap_are_no_test() {
    let home = phones(&[
        ("A", "aaaaaa", frame(0, "x")),
        ("B", "bbbbbb", frame(100, "x")),
    ]);
    let test = read(&home).unwrap();
    assert!(Evaluation::of(&test, ContactEvent::of(&test)).is_err());
    let (from, until) = (at(0), at(32 * 86_400));
    assert!(Evaluation::of(&test, ContactEvent { from, until }).is_err());
}

#[test]
fn longevity_is_what_the_last_hour_lost_against_the_first() {
    const HOURS: u64 = 8;
    // A hears B in all windows but 12 of the last hour; B hears A in all.
    let heard = |id: &str, windows: u64| -> String {
        (0..windows).map(|window| frame(window * 30, id)).collect()
    };
    let all = HOURS * 120;
    let home = phones(&[
        (
            "A",
            "aaaaaa",
            line(0, "B1,,2,,,,bbbbbb") + &heard("B1", all - 12),
        ),
        (
            "B",
            "bbbbbb",
            line(0, "A1,,2,,,,aaaaaa") + &heard("A1", all),
        ),
    ]);
    let test = read(&home).unwrap();
    let longevity = |seconds| {
        let (from, until) = (at(0), at(seconds));
        let evaluation = Evaluation::of(&test, ContactEvent { from, until }).unwrap();
        evaluation.longevity_percent
    };
    assert_eq!(longevity(HOURS * 3_600), Some(95.0));
    assert_eq!(longevity(HOURS * 3_600 - 1), None);
}

#[test]
fn folders_that_are_no_test() {
    let home = phones(&[("A", "aaaaaa", String::new())]);
    assert!(matches!(read(&home), Err(FieldError::Devices(1))));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(read(&empty), Err(FieldError::NoDevice(_))));
    let twice: Vec<PathBuf> = vec![home.path().join("A"); 2];
    assert!(matches!(
        FieldTest::read(&twice, |_| {}),
        Err(FieldError::SameName(name)) if name == "A"
    ));
    let damaged = phones(&[
        ("A", "aaaaaa", String::new()),
        ("B", "bbbbbb", "x".repeat(5_000)),
    ]);
    let error = read(&damaged).unwrap_err().to_string();
    assert!(
        error.contains("B/contacts.csv: line 2: expected at most"),
        "{error}"
    );
}
