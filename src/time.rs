//! Wall-clock time, UTC days, GAEN interval numbers, and the clocks that tell them.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

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

/// One reading of both clocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// What the wall clock says. It may jump, and an attacker may make it jump.
    pub wall: Timestamp,
    /// Time since an arbitrary start; never goes back while the process lives.
    pub monotonic: Duration,
}

/// One start of the machine, and how long ago that is: what tells how much time has passed though a
/// process has ended meanwhile.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Uptime {
    /// What no other start of any machine has.
    pub boot_id: [u8; 16],
    /// Since the machine started, its sleep included; milliseconds.
    pub since_boot_ms: u64,
}

/// What all clocks said at one moment, to be compared with another after a restart.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct ClockReading {
    /// What the wall clock said.
    pub wall: Timestamp,
    /// Of the machine's start; `None` where the clock does not tell.
    pub uptime: Option<Uptime>,
}

impl ClockReading {
    /// By how many milliseconds the wall clock has gone ahead of the time that has passed since `earlier`;
    /// `None` if nobody can tell, because the machine has been started anew since.
    pub fn ahead_ms(&self, earlier: &Self) -> Option<i128> {
        let (then, now) = (earlier.uptime?, self.uptime?);
        let wall = i128::from(self.wall.0) - i128::from(earlier.wall.0);
        let passed = i128::from(now.since_boot_ms) - i128::from(then.since_boot_ms);
        (then.boot_id == now.boot_id).then_some(wall - passed)
    }
}

/// What is noted of the clocks beside sightings, which bear the wall clock's time alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct ClockRecord {
    /// What the clocks say from here on.
    pub reading: ClockReading,
    /// What the wall clock would say if it had not jumped, where it has.
    pub jumped_from: Option<Timestamp>,
}

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Both clocks, read together.
    fn now(&self) -> Moment;

    /// When the machine was started, where that is known. It is what a jump of the wall clock is noticed by
    /// that happened while nobody looked.
    fn uptime(&self) -> Option<Uptime> {
        None
    }

    /// What all clocks say, to be kept and compared with another after a restart.
    fn reading(&self) -> ClockReading {
        ClockReading {
            wall: self.now().wall,
            uptime: self.uptime(),
        }
    }

    /// How much real time passes until the monotonic clock reads `monotonic`. A simulated clock
    /// that runs faster than the world gives less than the difference.
    fn real_time_until(&self, monotonic: Duration) -> Duration {
        monotonic.saturating_sub(self.now().monotonic)
    }
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Moment {
            // A clock set before 1970 reads as 1970: every key and sighting is then out of range.
            wall: Timestamp::from_unix_millis(since_epoch.map(millis).unwrap_or(0)),
            monotonic: self.origin.elapsed(),
        }
    }

    #[cfg(target_os = "linux")]
    fn uptime(&self) -> Option<Uptime> {
        uptime_of(
            &std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?,
            &std::fs::read_to_string("/proc/uptime").ok()?,
        )
    }
}

/// Linux's: a UUID (random(4)), and seconds since the start, sleep included, with two decimals (proc_uptime(5)).
#[cfg(any(target_os = "linux", test))]
fn uptime_of(boot_id: &str, uptime: &str) -> Option<Uptime> {
    let (seconds, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let (seconds, hundredths) = (
        seconds.parse::<u64>().ok()?,
        hundredths.parse::<u64>().ok()?,
    );
    Some(Uptime {
        boot_id: uuid::Uuid::try_parse(boot_id.trim()).ok()?.into_bytes(),
        since_boot_ms: seconds
            .checked_mul(1_000)?
            .checked_add(hundredths.checked_mul(10)?)?,
    })
}

/// A clock that stands still until it is moved; for tests. Clones share the same time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<Moment>>);

impl ManualClock {
    /// A clock that stands at `wall`.
    pub fn new(wall: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(Moment {
            wall,
            monotonic: Duration::ZERO,
        })))
    }

    /// Lets `duration` pass on both clocks.
    pub fn advance(&self, duration: Duration) {
        let mut moment = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        moment.wall = moment.wall.saturating_add(duration);
        moment.monotonic = moment.monotonic.saturating_add(duration);
    }

    /// Sets the wall clock alone, as a user or an attacker with a false time source would.
    pub fn jump_to(&self, wall: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).wall = wall;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clock that starts where it is told and runs `speed` times as fast as the world; for
/// simulations and replays.
///
/// It follows tokio's notion of time: in a test under `tokio::time::pause` it stands still until
/// every task waits, then leaps to the next deadline, so that a simulated day takes a moment and
/// happens the same way each time.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedClock {
    start: Timestamp,
    origin: tokio::time::Instant,
    speed: u32,
}

impl SimulatedClock {
    /// A clock that reads `start` now. A `speed` of zero counts as one.
    pub fn new(start: Timestamp, speed: u32) -> Self {
        Self {
            start,
            origin: tokio::time::Instant::now(),
            speed: speed.max(1),
        }
    }
}

impl Clock for SimulatedClock {
    fn now(&self) -> Moment {
        let monotonic = self.origin.elapsed().saturating_mul(self.speed);
        Moment {
            wall: self.start.saturating_add(monotonic),
            monotonic,
        }
    }

    fn real_time_until(&self, monotonic: Duration) -> Duration {
        monotonic.saturating_sub(self.now().monotonic) / self.speed
    }
}

/// Waits on tokio's timer until `clock` reads `monotonic`.
pub(crate) async fn sleep_until(clock: &dyn Clock, monotonic: Duration) {
    while clock.now().monotonic < monotonic {
        // A timer counts whole milliseconds; a fraction of one would spin.
        let left = clock.real_time_until(monotonic);
        tokio::time::sleep(left.max(Duration::from_millis(1))).await;
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

    #[test]
    fn a_jump_moves_the_wall_clock_alone() {
        let clock = ManualClock::new(Timestamp(5_000));
        clock.advance(Duration::from_secs(1));
        clock.jump_to(Timestamp(1_000));
        let now = clock.now();
        assert_eq!(now.wall, Timestamp(1_000));
        assert_eq!(now.monotonic, Duration::from_secs(1));
    }

    #[test]
    fn how_long_the_machine_runs() {
        let id = "2b1ff9a0-6f33-4ed1-9f0c-3f9a2c4a5d11\n";
        let uptime = uptime_of(id, "350735.47 234388.90\n").unwrap();
        assert_eq!(uptime.since_boot_ms, 350_735_470);
        assert_eq!(uptime.boot_id[..2], [0x2b, 0x1f]);
        for (id, text) in [
            (id, ""),
            (id, "12"),
            (id, "a.b"),
            (id, "99999999999999999999.00"),
            ("x", "1.00"),
        ] {
            assert_eq!(uptime_of(id, text), None, "{id} {text}");
        }
    }

    #[test]
    fn a_jump_is_seen_over_a_restart_of_the_process_but_not_of_the_machine() {
        let reading = |wall, boot, since_boot_ms| ClockReading {
            wall: Timestamp(wall),
            uptime: Some(Uptime {
                boot_id: [boot; 16],
                since_boot_ms,
            }),
        };
        let before = reading(10_000, 1, 500);
        assert_eq!(reading(12_000, 1, 2_500).ahead_ms(&before), Some(0));
        assert_eq!(reading(99_000, 1, 2_500).ahead_ms(&before), Some(87_000));
        assert_eq!(reading(2_000, 1, 2_500).ahead_ms(&before), Some(-10_000));
        assert_eq!(reading(12_000, 2, 2_500).ahead_ms(&before), None);
        let unknown = ClockReading {
            uptime: None,
            ..before
        };
        assert_eq!(before.ahead_ms(&unknown), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_simulated_hour_takes_a_minute() {
        let clock = SimulatedClock::new(Timestamp(7), 60);
        let origin = tokio::time::Instant::now();
        sleep_until(&clock, Duration::from_secs(3_600)).await;
        assert_eq!(origin.elapsed(), Duration::from_secs(60));
        assert_eq!(clock.now().wall, Timestamp(3_600_007));
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
