//! Wall-clock time, UTC days, GAEN interval numbers, and the clocks that tell them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod clock;

pub(crate) use clock::sleep_until;
pub use clock::{
    Clock, ClockReading, ClockRecord, ManualClock, Moment, SimulatedClock, SystemClock, Uptime,
};

/// Milliseconds in a UTC day (Unix time has no leap seconds).
const DAY_MS: u64 = 86_400_000;

/// Days from 0000-03-01 to 1970-01-01 in the proleptic Gregorian calendar.
const UNIX_EPOCH_FROM_MARCH_0000: u64 = 719_468;

/// A point in wall-clock time: milliseconds since 1970-01-01T00:00Z.
///
/// Times after the year 9999 are that year's last moment, so that every day prints in ten characters
/// and arithmetic on times need not think of overflow.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(from = "u64", into = "u64")]
pub struct Timestamp(u64);

/// 9999-12-31.
const LAST_DAY: u32 = 2_932_896;

/// 9999-12-31T23:59:59.999Z.
const LAST_MS: u64 = (LAST_DAY as u64 + 1) * DAY_MS - 1;

impl Timestamp {
    /// The last representable moment, of the year 9999.
    pub const MAX: Self = Self(LAST_MS);

    /// `seconds` since the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self::from_unix_millis(seconds.saturating_mul(1000))
    }

    /// `millis` milliseconds since the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(if millis < LAST_MS { millis } else { LAST_MS })
    }

    /// Whole seconds since the Unix epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// The UTC day this moment lies in.
    pub fn utc_day(self) -> UtcDay {
        UtcDay(u32::try_from(self.0 / DAY_MS).unwrap_or(LAST_DAY))
    }

    /// Time since `earlier`; zero if `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// `duration` later, or the last representable moment.
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self::from_unix_millis(self.0.saturating_add(millis(duration)))
    }

    /// `duration` earlier, or the Unix epoch.
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<u64> for Timestamp {
    fn from(millis: u64) -> Self {
        Self::from_unix_millis(millis)
    }
}

impl From<Timestamp> for u64 {
    fn from(time: Timestamp) -> Self {
        time.0
    }
}

/// RFC 3339, to the second, in UTC: `2020-08-08T00:15:00Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0 % DAY_MS / 1000;
        write!(
            f,
            "{}T{:02}:{:02}:{:02}Z",
            self.utc_day(),
            second / 3600,
            second / 60 % 60,
            second % 60
        )
    }
}

/// A UTC calendar day, counted from 1970-01-01; 9999-12-31 at the latest.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UtcDay(u32);

impl UtcDay {
    /// The day `days` after 1970-01-01.
    pub const fn from_unix_days(days: u32) -> Self {
        Self(if days < LAST_DAY { days } else { LAST_DAY })
    }

    /// Days since 1970-01-01.
    pub const fn unix_days(self) -> u32 {
        self.0
    }

    /// The day's first moment, midnight UTC.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as u64 * DAY_MS)
    }

    /// The next day's first moment.
    pub const fn end(self) -> Timestamp {
        Timestamp::from_unix_millis((self.0 as u64 + 1) * DAY_MS)
    }

    /// `days` earlier, or 1970-01-01.
    pub const fn saturating_sub(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The days from this one to `last`, both with them; none if `last` is earlier.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> + use<> {
        (self.0..=last.0).map(Self)
    }
}

/// ISO 8601: `2020-08-08`.
impl fmt::Display for UtcDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The civil calendar in 400-year eras of 146,097 days that begin on 1 March, so that a leap
        // day is always the last of its year.
        let days = u64::from(self.0) + UNIX_EPOCH_FROM_MARCH_0000;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Text that is not a day such as `2020-08-08`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a day as year-month-day from 1970 to 9999, such as 2020-08-08")]
pub struct ParseDayError;

impl FromStr for UtcDay {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, ParseDayError> {
        let mut parts = text.splitn(3, '-');
        let mut number = |digits: usize| {
            parts
                .next()
                .filter(|part| part.len() == digits && part.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|part| part.parse::<u64>().ok())
                .ok_or(ParseDayError)
        };
        let (year, month, day) = (number(4)?, number(2)?, number(2)?);
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(ParseDayError);
        }
        let march_year = if month <= 2 { year - 1 } else { year };
        let (era, year_of_era) = (march_year / 400, march_year % 400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era - UNIX_EPOCH_FROM_MARCH_0000;
        let parsed = Self(u32::try_from(days).map_err(|_| ParseDayError)?);
        // A day that the month does not have (30 February) comes out as another date.
        if parsed.to_string() == text {
            Ok(parsed)
        } else {
            Err(ParseDayError)
        }
    }
}

/// ENIntervalNumber: ten-minute intervals since the Unix epoch, `floor(unix_seconds / 600)`
/// (Exposure Notification Cryptography Specification v1.2).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct IntervalNumber(pub u32);

impl IntervalNumber {
    /// The length of an interval.
    pub const LENGTH: Duration = Duration::from_secs(600);

    /// The interval in which `time` lies.
    pub fn at(time: Timestamp) -> Self {
        Self(u32::try_from(time.unix_seconds() / 600).unwrap_or(u32::MAX))
    }

    /// The interval's first moment.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_unix_millis(self.0 as u64 * 600_000)
    }

    /// `intervals` later, or the last one.
    pub const fn saturating_add(self, intervals: u32) -> Self {
        Self(self.0.saturating_add(intervals))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_print_as_the_calendar_says() {
        for (days, text) in [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (18_482, "2020-08-08"),
            (20_780, "2026-11-23"),
            (2_932_896, "9999-12-31"),
        ] {
            assert_eq!(UtcDay(days).to_string(), text);
            assert_eq!(text.parse(), Ok(UtcDay(days)));
        }
    }

    #[test]
    fn days_that_do_not_exist() {
        for text in [
            "",
            "2020",
            "2020-08",
            "2020-8-08",
            "2020-02-30",
            "2021-02-29",
            "2020-13-01",
            "2020-00-10",
            "1969-12-31",
            "2020-08-08T00",
            "+020-08-08",
        ] {
            assert_eq!(text.parse::<UtcDay>(), Err(ParseDayError), "{text}");
        }
    }

    #[test]
    fn days_run_through_to_the_last() {
        let run = |first, last| UtcDay(first).through(UtcDay(last)).collect::<Vec<_>>();
        assert_eq!(run(3, 5), [UtcDay(3), UtcDay(4), UtcDay(5)]);
        assert_eq!(run(3, 3), [UtcDay(3)]);
        assert_eq!(run(3, 2), []);
    }

    #[test]
    fn timestamps_print_in_utc() {
        let time = Timestamp::from_unix_seconds(1_596_845_699);
        assert_eq!(time.to_string(), "2020-08-08T00:14:59Z");
    }

    #[test]
    fn intervals_begin_every_ten_minutes() {
        let interval = IntervalNumber::at(Timestamp::from_unix_seconds(1_585_785_600));
        assert_eq!(interval, IntervalNumber(2_642_976));
        assert_eq!(interval.start().unix_seconds(), 1_585_785_600);
    }

    proptest! {
        #[test]
        fn every_day_prints_and_parses(days in 0u32..2_932_897) {
            prop_assert_eq!(UtcDay(days).to_string().parse(), Ok(UtcDay(days)));
        }

        #[test]
        fn any_text_parses_or_fails(text in ".*") {
            let _ = text.parse::<UtcDay>();
        }

        #[test]
        fn extremes_do_not_overflow(ms: u64) {
            let time = Timestamp::from_unix_millis(ms);
            prop_assert_eq!(time.to_string().len(), 20);
            let _ = (time.to_string(), time.utc_day().end(), IntervalNumber::at(time).start());
            let _ = time.saturating_add(Duration::MAX).saturating_sub(Duration::MAX);
        }
    }
}
