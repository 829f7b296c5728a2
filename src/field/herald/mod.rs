//! Herald's files of a field test, read and written: `contacts.csv`, `detection.csv`, `statistics.csv`, `battery.csv`.
//!
//! [Herald](https://heraldprox.io) measured contact tracing on phones, and published its logs. Its forms are what
//! its own analysis reads, so that a run of truyvet can be put beside one of Herald's in either direction. Times are
//! to the second and say no zone: those of Herald's phones were local, those written here are UTC, and all are
//! read as UTC. Only differences matter.

mod contacts;
mod csv;
mod summary;

pub use contacts::{CONTACTS_HEADER, Contact, ContactsReader, What};
pub use csv::{FIELDS_MAX, RECORD_BYTES_MAX};
pub use summary::{
    BATTERY_HEADER, BatteryLevel, Detection, STATISTICS_HEADER, Statistics, battery_levels,
};

use crate::time::{Timestamp, UtcDay};

/// A file is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeraldError {
    /// It cannot be read.
    #[error(transparent)]
    Read(#[from] std::io::Error),
    /// A line is too long to be one of these files.
    #[error(
        "line {line}: expected at most {RECORD_BYTES_MAX} bytes in {FIELDS_MAX} fields, got more"
    )]
    TooLong {
        /// Which, counted from 1.
        line: u64,
    },
    /// The first line does not name the columns.
    #[error("line 1: expected the columns {expected}, got none named {missing}")]
    Header {
        /// The columns there should be.
        expected: &'static str,
        /// The one that is not there.
        missing: &'static str,
    },
    /// A line that cannot be done without is not of its form.
    #[error("line {line}: expected {expected}, got {got}")]
    Line {
        /// Which, counted from 1.
        line: u64,
        /// What should be there.
        expected: &'static str,
        /// What is.
        got: String,
    },
}

/// `time` as these files have it: `2020-12-08 22:55:05`.
pub fn format_time(time: Timestamp) -> String {
    // As RFC 3339 has it, but for two letters.
    time.to_string().replace('T', " ").replace('Z', "")
}

/// Reads what [`format_time`] writes; milliseconds after a point are read too.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    let (day, clock) = text.split_at_checked(10)?;
    day_and_clock(day.parse().ok()?, clock)
}

fn day_and_clock(day: UtcDay, clock: &str) -> Option<Timestamp> {
    let digits = |from: usize, len: usize| {
        let part = clock.get(from..from + len)?;
        let digits = part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u64>().ok())?
    };
    let sign = |at: usize| clock.as_bytes().get(at).copied();
    let (hour, minute, second) = (digits(1, 2)?, digits(4, 2)?, digits(7, 2)?);
    let millis = match clock.len() {
        9 => 0,
        13 if sign(9) == Some(b'.') => digits(10, 3)?,
        _ => return None,
    };
    let signs = (sign(0), sign(3), sign(6)) == (Some(b' '), Some(b':'), Some(b':'));
    let valid = signs && hour < 24 && minute < 60 && second < 60;
    let of_day = ((hour * 60 + minute) * 60 + second) * 1_000 + millis;
    let start = day.start().unix_millis();
    valid.then(|| Timestamp::from_unix_millis(start.saturating_add(of_day)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        let time = Timestamp::from_unix_millis(1_607_468_105_000);
        assert_eq!(format_time(time), "2020-12-08 22:55:05");
        assert_eq!(parse_time("2020-12-08 22:55:05"), Some(time));
        let later = parse_time("2020-12-08 22:55:05.250").unwrap();
        assert_eq!(later.since(time).as_millis(), 250);
    }

    #[test]
    fn times_that_are_none() {
        for text in [
            "",
            "2020-12-08",
            "2020-12-08T22:55:05",
            "2020-12-08 22:55:05Z",
            "2020-12-08 24:00:00",
            "2020-12-08 22:60:00",
            "2020-12-08 22:55:60",
            "2020-02-30 00:00:00",
            "2020-12-08 +2:55:05",
            "2020-12-08 22:55:05,250",
            "2020-12-0é 22:55:05",
            "20201208 225505     ",
        ] {
            assert_eq!(parse_time(text), None, "{text}");
        }
    }
}
