//! A simulated month on the virtual air: neighbours come, change their identifiers and go, the tracer is
//! restarted every night, and what is older than the retention is deleted.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::log::{LogReader, MemoryKey, RETENTION_DAYS};
use truyvet::protocol::bluezone::WireProfile;
use truyvet::protocol::gaen::{Config, TemporaryExposureKey};
use truyvet::radio::air::{Air, AirConfig, AirDevice};
use truyvet::time::{Clock, IntervalNumber, SimulatedClock, Timestamp, UtcDay};
use truyvet::{Advertisement, EncounterLog, Protocol, Secret, Tracer};

/// 2020-08-08T00:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800);

const MINUTE: Duration = Duration::from_secs(60);
const MINUTES_A_DAY: u64 = 24 * 60;

/// When the tracer is restarted, in minutes after midnight.
const RESTART_AT: u64 = 3 * 60;

/// When neighbours are counted, in minutes after midnight.
const COUNTED_AT: u64 = 12 * 60;

fn key() -> MemoryKey {
    MemoryKey::new(Secret::new([3; 32]))
}

/// A place near the tracer, where somebody is for a while, and then nobody, and then somebody else.
struct Seat {
    device: AirDevice,
    gaen: bool,
    taken: bool,
    /// The minute since which it is as it is, and the one in which that changes.
    since: u64,
    turn: u64,
    /// The minute in which whoever is there changes the identifier.
    rotation: u64,
}

/// Who is near.
struct Crowd {
    seats: Vec<Seat>,
    /// The hours of the day in which somebody may be.
    hours: Range<u64>,
    random: SeededEntropy,
    /// Identifiers that were on the air, by the day.
    identifiers: BTreeMap<UtcDay, usize>,
}

impl Crowd {
    fn new(air: &Air, seats: usize, hours: Range<u64>) -> Self {
        let seat = |index: usize| Seat {
            device: air.place(1.0 + index as f64 / 4.0, 0.0),
            gaen: index.is_multiple_of(2),
            taken: false,
            since: 0,
            turn: index as u64,
            rotation: 0,
        };
        Self {
            seats: (0..seats).map(seat).collect(),
            hours,
            random: SeededEntropy::new(1),
            identifiers: BTreeMap::new(),
        }
    }

    /// What happens as `minute` begins. Whoever comes stays for ten minutes to four hours, and nobody
    /// is there for up to two.
    fn pass(&mut self, minute: u64) {
        let now = START.saturating_add(MINUTE * minute as u32);
        let midnight = minute.is_multiple_of(MINUTES_A_DAY);
        for seat in &mut self.seats {
            let hour = minute % MINUTES_A_DAY / 60;
            let turns = match self.hours.contains(&hour) {
                true => minute >= seat.turn,
                // Everybody goes home.
                false => seat.taken,
            };
            if turns {
                seat.taken = !seat.taken;
                seat.since = minute;
                let lasts = if seat.taken { 10..=240 } else { 1..=120 };
                seat.turn = minute + among(&mut self.random, lasts);
            }
            if !seat.taken {
                seat.device.send(None);
            } else if turns || midnight || minute >= seat.rotation {
                // Bluezone's slot, and GAEN's ten to twenty minutes; both begin anew at midnight.
                let lasts = if seat.gaen { 10..=20 } else { 15..=15 };
                seat.rotation = minute + among(&mut self.random, lasts);
                seat.device
                    .send(Some(fresh_frame(seat.gaen, now, &mut self.random)));
                *self.identifiers.entry(now.utc_day()).or_default() += 1;
            }
        }
    }

    /// How many have been there since `minute`.
    fn there_since(&self, minute: u64) -> usize {
        let seats = self.seats.iter();
        seats
            .filter(|seat| seat.taken && seat.since <= minute)
            .count()
    }
}

fn among(random: &mut SeededEntropy, numbers: std::ops::RangeInclusive<u64>) -> u64 {
    let mut bytes = [0; 8];
    random.fill(&mut bytes).unwrap();
    numbers.start() + u64::from_le_bytes(bytes) % (numbers.end() - numbers.start() + 1)
}

/// A frame with an identifier that nobody had before.
fn fresh_frame(gaen: bool, now: Timestamp, random: &mut SeededEntropy) -> Advertisement {
    if gaen {
        let mut secret = [0; 16];
        random.fill(&mut secret).unwrap();
        let tek = TemporaryExposureKey::new(Secret::new(secret));
        let frame = Config::default().frame(&tek, IntervalNumber::at(now));
        return frame.unwrap();
    }
    let mut id = [0; 12];
    random.fill(&mut id).unwrap();
    WireProfile::default().frame(&id).unwrap()
}

/// A tracer, and who is near it.
struct World {
    directory: TempDir,
    clock: Arc<SimulatedClock>,
    device: AirDevice,
    crowd: Crowd,
    starts: u64,
}

impl World {
    /// `interval`: from one frame of a neighbour to its next. A tick of tokio's clock is `tick_ms` of the
    /// world's.
    fn new(seats: usize, hours: Range<u64>, interval: Duration, tick_ms: u32) -> Self {
        let clock = Arc::new(SimulatedClock::new(START, tick_ms));
        let mut config = AirConfig::default();
        config.interval = interval;
        let air = Air::new(config, Arc::clone(&clock) as Arc<dyn Clock>);
        Self {
            directory: tempfile::tempdir().unwrap(),
            clock,
            device: air.place(0.0, 0.0),
            crowd: Crowd::new(&air, seats, hours),
            starts: 0,
        }
    }

    async fn start(&mut self) -> Tracer {
        self.starts += 1;
        let log = EncounterLog::open(self.directory.path(), key()).unwrap();
        Tracer::builder(log, self.device.radio())
            .also_listen(Protocol::gaen())
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .entropy(Box::new(SeededEntropy::new(self.starts)))
            .start()
            .await
            .unwrap()
    }

    /// Lets so many days pass, and calls `evening` with the number of each that has ended. The log is
    /// read when all are over.
    async fn live(&mut self, days: u64, mut evening: impl FnMut(u64, &Self)) {
        let mut tracer = self.start().await;
        for minute in 0..days * MINUTES_A_DAY {
            self.crowd.pass(minute);
            match minute % MINUTES_A_DAY {
                RESTART_AT => {
                    tracer.stop().await.unwrap();
                    tracer = self.start().await;
                }
                COUNTED_AT => self.count(&tracer, minute),
                _ => {}
            }
            let next = MINUTE * (minute as u32 + 1);
            tokio::time::sleep(self.clock.real_time_until(next)).await;
            if (minute + 1).is_multiple_of(MINUTES_A_DAY) {
                evening((minute + 1) / MINUTES_A_DAY, self);
            }
        }
        tracer.stop().await.unwrap();
        self.check_log();
    }

    /// The tracer holds whoever is there, and of those that have gone nobody for long.
    fn count(&self, tracer: &Tracer, minute: u64) {
        let health = tracer.health();
        assert!(health.is_well(), "{health}");
        assert_eq!(health.counters.dropped_frames, 0);
        // As the last full minute ended: all may have changed their identifiers shortly before.
        let held = health.rate.unwrap().neighbours;
        let least = self.crowd.there_since(minute - 3);
        let most = 2 * self.crowd.seats.len();
        assert!((least..=most).contains(&held), "{held} held, {least} there");
    }

    /// Every identifier of the retention is in the log, and none from before it.
    fn check_log(&self) {
        let reader = LogReader::open(self.directory.path(), &key()).unwrap();
        let mut stored: BTreeMap<UtcDay, HashSet<_>> = BTreeMap::new();
        for sighting in reader.sightings().unwrap() {
            let sighting = sighting.unwrap();
            let day = sighting.first.utc_day();
            stored.entry(day).or_default().insert(sighting.id);
        }
        let last = *self.crowd.identifiers.keys().last().unwrap();
        let mut expected = self.crowd.identifiers.clone();
        expected.retain(|day, _| *day >= last.saturating_sub(RETENTION_DAYS));
        let stored: BTreeMap<_, _> = stored.iter().map(|(day, ids)| (*day, ids.len())).collect();
        assert_eq!(stored, expected);
        let own_days: Vec<_> = reader.own_keys().unwrap().iter().map(|k| k.day()).collect();
        assert_eq!(own_days, expected.into_keys().collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_little_more_than_a_retention() {
    let mut world = World::new(4, 9..13, Duration::from_secs(10), 20_000);
    world.live(u64::from(RETENTION_DAYS) + 2, |_, _| {}).await;
}

#[cfg(target_os = "linux")]
#[allow(
    unsafe_code,
    reason = "an allocator that counts cannot be had without it; it hands everything on to the system's"
)]
mod month {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;

    use super::*;

    /// How much more memory there may be at the end than after the first day, in percent.
    const GROWTH_MAX_PERCENT: u64 = 5;

    /// How many more bytes may be allocated. Chosen: less than a kilobyte a day, and more than the own keys
    /// of a retention and what a busier evening takes.
    const ALLOCATED_MORE_MAX: usize = 24 * 1_024;

    /// Bytes allocated now. What is resident may grow by the holes between them; this may not.
    static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

    struct Counting;

    // SAFETY: every call is handed on to the system's allocator as it came, and the counter allocates
    // nothing.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
            unsafe { System.dealloc(block, layout) }
        }
    }

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    /// The bytes of all files in the log.
    fn log_bytes(directory: &Path) -> u64 {
        let files = fs::read_dir(directory).unwrap();
        files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum()
    }

    /// A line of this process's `smaps_rollup`, in KiB. It counts page by page, unlike `VmRSS`, which up to
    /// Linux 6.1 lags by as many as 64 pages a thread.
    fn memory_kib(name: &str) -> u64 {
        let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap();
        let line = rollup.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// About two dozen neighbours at a time, each heard once a second: two million sightings.
    #[test]
    #[ignore = "takes minutes, and measures the memory of its process"]
    fn a_month() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(month());
    }

    async fn month() {
        let begun = Instant::now();
        let mut samples = Vec::new();
        // A tick is a step of the air's.
        let mut world = World::new(36, 0..24, Duration::from_secs(1), 250);
        let evening = |day: u64, world: &World| {
            let allocated = ALLOCATED.load(Ordering::Relaxed);
            samples.push((memory_kib("Rss:"), allocated));
            println!(
                "day {day:2}: {} KiB, of which {} its own, {allocated} bytes allocated; \
                 {} neighbours there, log {} KiB; {:.0} s",
                memory_kib("Rss:"),
                memory_kib("Anonymous:"),
                world.crowd.there_since(u64::MAX),
                log_bytes(world.directory.path()) / 1024,
                begun.elapsed().as_secs_f64(),
            );
        };
        world.live(30, evening).await;
        let ((first, allocated_first), (last, allocated_last)) =
            (samples[0], samples[samples.len() - 1]);
        println!("{first} KiB after the first day, {last} KiB after the last");
        assert!(allocated_last <= allocated_first + ALLOCATED_MORE_MAX);
        assert!(last * 100 <= first * (100 + GROWTH_MAX_PERCENT));
    }
}
