//! Clocks that are set, while a tracer runs or while none does.

use std::sync::Mutex;

use truyvet::engine::HoldCause;
use truyvet::log::{FileStorage, Storage};
use truyvet::time::{Moment, Uptime};

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// The clocks of a machine, of which the wall clock can be set, and which can be started anew.
struct Machine {
    clock: SimulatedClock,
    state: Mutex<(i64, u8)>,
}

impl Machine {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: SimulatedClock::new(START, 1),
            state: Mutex::new((0, 1)),
        })
    }

    /// Sets the wall clock ahead or back, by so many milliseconds.
    fn set(&self, by_ms: i64) {
        self.state.lock().unwrap().0 += by_ms;
    }

    fn start_anew(&self) {
        self.state.lock().unwrap().1 += 1;
    }

    fn air(self: &Arc<Self>) -> Air {
        Air::new(AirConfig::default(), Arc::clone(self) as Arc<dyn Clock>)
    }
}

impl Clock for Machine {
    fn now(&self) -> Moment {
        let Moment { wall, monotonic } = self.clock.now();
        let (set_ms, _) = *self.state.lock().unwrap();
        let wall = wall.unix_millis().checked_add_signed(set_ms).unwrap();
        Moment {
            wall: Timestamp::from_unix_millis(wall),
            monotonic,
        }
    }

    fn uptime(&self) -> Option<Uptime> {
        let (_, boot) = *self.state.lock().unwrap();
        let since = self.clock.now().monotonic + Duration::from_secs(1_000 + u64::from(boot));
        Some(Uptime {
            boot_id: [boot; 16],
            since_boot_ms: u64::try_from(since.as_millis()).unwrap(),
        })
    }
}

/// A tracer beside another for ten minutes.
async fn ten_minutes(directory: &Path, air: &Air) {
    let dir = tempfile::tempdir().unwrap();
    let [device, beside] = [(); 2].map(|()| air.place(0.0, 0.0));
    let tracer = start(directory, air, &device, Protocol::gaen(), 1).await;
    let other = start(dir.path(), air, &beside, Protocol::gaen(), 2).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    tracer.stop().await.unwrap();
    other.stop().await.unwrap();
}

/// A tracer near nobody.
async fn alone(directory: &Path, machine: &Arc<Machine>) -> Tracer {
    let log = EncounterLog::open(directory, key()).unwrap();
    let builder = Tracer::builder(log, radio::quiet()).clock(Arc::clone(machine) as _);
    builder.start().await.unwrap()
}

/// What is too old by the new time is there for a day, health says why, and then it is gone.
async fn is_held_for_a_day(directory: &Path, machine: &Arc<Machine>) -> HoldCause {
    let before = stored(directory);
    assert!(!before.is_empty());
    let tracer = alone(directory, machine).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let held = tracer.health().deletion_held.unwrap();
    tokio::time::sleep(DAY - Duration::from_secs(120)).await;
    assert_eq!(stored(directory), before);
    assert!(tracer.health().deletion_held.is_some());
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(stored(directory), []);
    assert_eq!(tracer.health().deletion_held, None);
    tracer.stop().await.unwrap();
    held.cause
}

#[tokio::test(start_paused = true)]
async fn a_clock_set_ahead_while_the_tracer_was_off_deletes_nothing_for_a_day() {
    let (dir, machine) = (tempfile::tempdir().unwrap(), Machine::new());
    let air = machine.air();
    ten_minutes(dir.path(), &air).await;
    machine.set(40 * 86_400_000);
    let cause = is_held_for_a_day(dir.path(), &machine).await;
    let HoldCause::ClockAhead { by_ms } = cause else {
        panic!("{cause:?}")
    };
    assert_eq!(by_ms, 40 * 86_400_000);
}

#[tokio::test(start_paused = true)]
async fn a_device_off_for_a_month_is_held_for_a_day_and_then_erases() {
    let (dir, machine) = (tempfile::tempdir().unwrap(), Machine::new());
    let air = machine.air();
    ten_minutes(dir.path(), &air).await;
    let off_since = machine.now().wall;
    tokio::time::sleep(30 * DAY).await;
    machine.start_anew();
    let cause = is_held_for_a_day(dir.path(), &machine).await;
    let HoldCause::LongAgo { last } = cause else {
        panic!("{cause:?}")
    };
    assert!(off_since.since(last) < Duration::from_secs(60), "{last}");
}

#[tokio::test(start_paused = true)]
async fn an_app_closed_for_a_month_on_a_running_machine_erases_at_once() {
    let (dir, machine) = (tempfile::tempdir().unwrap(), Machine::new());
    let air = machine.air();
    ten_minutes(dir.path(), &air).await;
    tokio::time::sleep(30 * DAY).await;
    let tracer = alone(dir.path(), &machine).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(tracer.health().deletion_held, None);
    assert_eq!(stored(dir.path()), []);
    tracer.stop().await.unwrap();
}

/// A wall clock that is set back has a day be written twice. Each segment has a root of its own, so that
/// nothing is ever sealed twice under one key and nonce.
#[tokio::test(start_paused = true)]
async fn a_day_that_comes_twice_is_sealed_under_other_keys_and_read_whole() {
    let (dir, machine) = (tempfile::tempdir().unwrap(), Machine::new());
    let air = machine.air();
    let other = tempfile::tempdir().unwrap();
    let [device, beside] = [(); 2].map(|()| air.place(0.0, 0.0));
    let beside = start(other.path(), &air, &beside, Protocol::gaen(), 2).await;
    let ten_minutes = Duration::from_secs(600);
    // Today, and yesterday while the same tracer runs; then today and yesterday by one each.
    for by_days in [[0, -1].as_slice(), &[1], &[-1]] {
        let mut running = None;
        for days in by_days {
            machine.set(days * 86_400_000);
            if running.is_none() {
                running = Some(start(dir.path(), &air, &device, Protocol::gaen(), 1).await);
            }
            tokio::time::sleep(ten_minutes).await;
        }
        running.unwrap().stop().await.unwrap();
    }
    beside.stop().await.unwrap();

    let storage = FileStorage::new(dir.path());
    let segments = storage.list().unwrap().into_iter();
    let segments: Vec<_> = segments.filter(|name| name.ends_with(".segment")).collect();
    // A segment's id, 16 bytes at 32, and its sealed root behind it.
    let parts: Vec<[Vec<u8>; 2]> = segments
        .iter()
        .map(|name| {
            let bytes = std::fs::read(dir.path().join(name)).unwrap();
            [bytes[32..48].to_vec(), bytes[48..128].to_vec()]
        })
        .collect();
    assert!(parts.len() >= 4, "{segments:?}");
    for part in [0, 1] {
        let all: HashSet<_> = parts.iter().map(|it| &it[part]).collect();
        assert_eq!(all.len(), parts.len(), "{segments:?}");
    }
    let days: HashSet<_> = segments.iter().map(|name| &name[..10]).collect();
    assert_eq!(days, HashSet::from(["2020-08-07", "2020-08-08"]));
    // Both days' ten minutes twice, whole.
    for day in [START.utc_day(), START.utc_day().saturating_sub(1)] {
        let of_day = stored(dir.path()).into_iter();
        let of_day = of_day.filter(|it| it.first.utc_day() == day);
        let frames: u32 = of_day.map(|it| u32::from(it.frames)).sum();
        assert!(frames > 2 * 2_000, "{day}: {frames}");
    }
}
