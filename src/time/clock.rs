//! The clocks, and what they say.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::{Timestamp, millis};

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

    /// On Android `None` where the system does not let apps read `/proc/uptime`: an app's own clock gives
    /// `elapsedRealtime` there.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn uptime(&self) -> Option<Uptime> {
        uptime_of(
            &std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?,
            &std::fs::read_to_string("/proc/uptime").ok()?,
        )
    }
}

/// Linux's: a UUID (random(4)), and seconds since the start, sleep included, with two decimals (proc_uptime(5)).
#[cfg(any(target_os = "linux", target_os = "android", test))]
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
    use super::*;

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
}
