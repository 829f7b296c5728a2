//! The virtual air: radios without hardware, for tests and demonstrations.
//!
//! Devices stand at points of a plane. Each frame that one sends reaches the others with a strength
//! that falls with distance, some noise, and a chance of being lost. The same seed and the same
//! clock give the same air.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! use std::sync::Arc;
//! use truyvet::radio::air::{Air, AirConfig};
//! use truyvet::time::{SimulatedClock, Timestamp};
//!
//! let clock = Arc::new(SimulatedClock::new(Timestamp::from_unix_seconds(1_596_844_800), 60));
//! let air = Air::new(AirConfig::default(), clock);
//! let (here, there) = (air.place(0.0, 0.0), air.place(1.5, 0.0));
//! let radio = here.radio(); // for `Tracer::builder`, with `air.clock()`
//! there.move_to(40.0, 0.0);
//! # drop(radio);
//! # });
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Advertiser, Filter, Radio, RadioError, RadioSink, Scanner};
use crate::advertisement::Advertisement;
use crate::sighting::Rssi;
use crate::time::{Clock, Moment, sleep_until};

/// How the air behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AirConfig {
    /// Where the noise and the losses come from.
    pub seed: u64,
    /// Strength at one metre, dBm.
    pub rssi_at_1m_dbm: f64,
    /// Path-loss exponent: 2 in free space, up to 4 among walls.
    pub path_loss_exponent: f64,
    /// Standard deviation of a frame's strength, dB.
    pub noise_db: f64,
    /// Chance that a frame is lost, 0..=1.
    pub loss: f64,
    /// The weakest frame heard, dBm.
    pub sensitivity_dbm: f64,
    /// Time from one frame of a device to its next, before up to 10 ms of jitter.
    pub interval: Duration,
}

impl Default for AirConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            // Chosen: what iBeacons declare for phones.
            rssi_at_1m_dbm: -59.0,
            path_loss_exponent: 2.0,
            // The residual of a fit of strength to distance over 20,719 beacons among people
            // (DP-3T's measurements, experiment 34).
            noise_db: 7.5,
            loss: 0.1,
            // The weakest sighting in the GAEN databases that were looked at.
            sensitivity_dbm: -101.0,
            // Android's "balanced" advertising, which GAEN uses.
            interval: Duration::from_millis(250),
        }
    }
}

/// How often a running air is brought up to date, in its own time. Chosen: an advertising interval.
const STEP: Duration = Duration::from_millis(250);

/// The air itself. Clones share it.
#[derive(Clone)]
pub struct Air {
    world: Arc<Mutex<World>>,
    clock: Arc<dyn Clock>,
}

struct World {
    config: AirConfig,
    random: Random,
    devices: Vec<Device>,
    /// Held by the task that keeps the air up to date: it is gone with the task, and that with its
    /// runtime.
    driver: Weak<Driver>,
}

struct Driver;

struct Device {
    position_m: (f64, f64),
    advertising: Option<Sending>,
    listening: Option<(Filter, RadioSink)>,
}

/// What a device sends; times are of the monotonic clock.
#[derive(Clone, Copy)]
struct Sending {
    frame: Advertisement,
    next: Duration,
    end: Option<Duration>,
}

impl Air {
    /// Air in which `clock` tells the time.
    pub fn new(config: AirConfig, clock: Arc<dyn Clock>) -> Self {
        let world = World {
            random: Random(config.seed),
            config,
            devices: Vec::new(),
            driver: Weak::new(),
        };
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
        }
    }

    /// The clock of this air, which its tracers must share.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Puts a device at the point (`x_m`, `y_m`), in metres.
    pub fn place(&self, x_m: f64, y_m: f64) -> AirDevice {
        let mut world = lock(&self.world);
        world.devices.push(Device {
            position_m: (x_m, y_m),
            advertising: None,
            listening: None,
        });
        AirDevice {
            air: self.clone(),
            index: world.devices.len() - 1,
        }
    }

    /// Delivers every frame that is due by now. While a scanner of this air runs under tokio this
    /// happens by itself; with a clock moved by hand, call it after each move.
    pub fn catch_up(&self) {
        lock(&self.world).run_until(self.clock.now());
    }

    fn drive(&self) {
        let driver = Arc::new(Driver);
        {
            let mut world = lock(&self.world);
            if world.driver.strong_count() > 0 {
                return;
            }
            world.driver = Arc::downgrade(&driver);
        }
        let (world, clock) = (Arc::downgrade(&self.world), Arc::clone(&self.clock));
        tokio::spawn(keep_up_to_date(world, clock, driver));
    }
}

async fn keep_up_to_date(world: Weak<Mutex<World>>, clock: Arc<dyn Clock>, _driver: Arc<Driver>) {
    loop {
        sleep_until(clock.as_ref(), clock.now().monotonic.saturating_add(STEP)).await;
        let Some(world) = world.upgrade() else {
            return;
        };
        let mut world = lock(&world);
        world.run_until(clock.now());
        if world
            .devices
            .iter()
            .all(|device| device.listening.is_none())
        {
            world.driver = Weak::new();
            return;
        }
    }
}

impl std::fmt::Debug for Air {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Air")
            .field("devices", &lock(&self.world).devices.len())
            .finish_non_exhaustive()
    }
}

/// A device in the air.
#[derive(Clone, Debug)]
pub struct AirDevice {
    air: Air,
    index: usize,
}

impl AirDevice {
    /// Its radio.
    pub fn radio(&self) -> Radio {
        Radio::new(AirScanner(self.clone()), AirAdvertiser(self.clone()))
    }

    /// Moves it to the point (`x_m`, `y_m`), in metres.
    pub fn move_to(&self, x_m: f64, y_m: f64) {
        self.air.catch_up();
        self.with(|device| device.position_m = (x_m, y_m));
    }

    /// Hears frames that pass `filter` into `sink`, until told `None`; for those who drive an engine
    /// by hand.
    pub fn listen(&self, to: Option<(Filter, RadioSink)>) {
        self.air.catch_up();
        self.with(|device| device.listening = to);
    }

    /// Sends `frame` again and again, until told `None`.
    pub fn send(&self, frame: Option<Advertisement>) {
        self.send_until(frame, None);
    }

    fn send_until(&self, frame: Option<Advertisement>, end: Option<Duration>) {
        self.air.catch_up();
        let next = self.air.clock.now().monotonic;
        self.with(|device| {
            device.advertising = frame.map(|frame| Sending { frame, next, end });
        });
    }

    fn with(&self, change: impl FnOnce(&mut Device)) {
        if let Some(device) = lock(&self.air.world).devices.get_mut(self.index) {
            change(device);
        }
    }
}

struct AirScanner(AirDevice);

impl Scanner for AirScanner {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        self.0.listen(Some((filter, sink)));
        self.0.air.drive();
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        self.0.listen(None);
        Ok(())
    }
}

struct AirAdvertiser(AirDevice);

impl Advertiser for AirAdvertiser {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        lifetime: Duration,
    ) -> Result<(), RadioError> {
        let end = self.0.air.clock.now().monotonic.saturating_add(lifetime);
        self.0.send_until(Some(*frame), Some(end));
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        self.0.send(None);
        Ok(())
    }
}

/// A device that is dropped by its tracer without a stop falls silent.
impl Drop for AirAdvertiser {
    fn drop(&mut self) {
        self.0.send(None);
    }
}

impl World {
    /// Delivers the frames due by `now`, in the order of their times.
    fn run_until(&mut self, now: Moment) {
        loop {
            let due = self
                .devices
                .iter()
                .enumerate()
                .filter_map(|(index, device)| {
                    let sending = device.advertising?;
                    let at = sending.next;
                    let ended = sending.end.is_some_and(|end| end <= at);
                    (at <= now.monotonic && !ended).then_some((at, index, sending))
                });
            let Some((at, from, sending)) = due.min_by_key(|(at, index, _)| (*at, *index)) else {
                return;
            };
            let moment = Moment {
                wall: now.wall.saturating_sub(now.monotonic.saturating_sub(at)),
                monotonic: at,
            };
            self.deliver(moment, from, sending.frame);
            let jitter = Duration::from_secs_f64(self.random.uniform() * 0.010);
            let interval = self.config.interval.max(Duration::from_millis(20));
            if let Some(Device { advertising, .. }) = self.devices.get_mut(from) {
                let next = at.saturating_add(interval + jitter);
                *advertising = Some(Sending { next, ..sending });
            }
        }
    }

    fn deliver(&mut self, at: Moment, from: usize, frame: Advertisement) {
        let Some((x, y)) = self.devices.get(from).map(|device| device.position_m) else {
            return;
        };
        let config = &self.config;
        for (index, device) in self.devices.iter().enumerate() {
            let Some((filter, sink)) = device.listening.as_ref().filter(|_| index != from) else {
                continue;
            };
            // Drawn for every frame and listener, heard or not, so that one device's movement does
            // not change what befalls the others.
            let (lost, noise) = (self.random.uniform() < config.loss, self.random.normal());
            let distance_m = (device.position_m.0 - x)
                .hypot(device.position_m.1 - y)
                .max(0.1);
            let rssi_dbm = config.rssi_at_1m_dbm
                - 10.0 * config.path_loss_exponent * distance_m.log10()
                + config.noise_db * noise;
            if lost || rssi_dbm < config.sensitivity_dbm || !filter.passes(&frame) {
                continue;
            }
            sink.heard_at(at, frame, Rssi::from_dbm(rssi_dbm.round() as i32));
        }
    }
}

/// Random numbers of the air: SplitMix64 (Steele, Lea and Flood, 2014), which is fast and good
/// enough for noise.
struct Random(u64);

impl Random {
    /// Uniform in 0..1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, mean 0 and deviation 1: the sum of twelve uniforms, less six.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use crate::radio::RadioEvent;
    use crate::time::{ManualClock, SystemClock, Timestamp};

    fn frame() -> Advertisement {
        let mut frame = Advertisement::new();
        frame.push_manufacturer_data(0x22B5, &[1; 12]).unwrap();
        frame
    }

    /// What a listener `distance_m` away hears in `seconds`: times and strengths.
    fn hear(config: AirConfig, distance_m: f64, seconds: u64) -> Vec<(Duration, i8)> {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(1_596_844_800));
        let air = Air::new(config, Arc::new(clock.clone()));
        let (sender, listener) = (air.place(0.0, 0.0), air.place(distance_m, 0.0));
        let (sink, mut events) = RadioSink::new(air.clock(), 100_000);
        listener.listen(Some((Filter::of(&[Protocol::bluezone()]), sink)));
        sender.send(Some(frame()));
        clock.advance(Duration::from_secs(seconds));
        air.catch_up();
        std::iter::from_fn(|| events.try_next())
            .map(|event| match event {
                RadioEvent::Heard { at, rssi, .. } => (at.monotonic, rssi.unwrap().dbm()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn quiet() -> AirConfig {
        AirConfig {
            noise_db: 0.0,
            loss: 0.0,
            ..AirConfig::default()
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_air() {
        let first = hear(AirConfig::default(), 3.0, 100);
        assert_eq!(first, hear(AirConfig::default(), 3.0, 100));
        let other = AirConfig {
            seed: 1,
            ..AirConfig::default()
        };
        assert_ne!(first, hear(other, 3.0, 100));
    }

    #[test]
    fn strength_falls_by_six_db_when_distance_doubles() {
        let at = |distance_m| hear(quiet(), distance_m, 1)[0].1;
        assert_eq!([at(1.0), at(2.0), at(4.0)], [-59, -65, -71]);
    }

    #[test]
    fn a_frame_every_interval() {
        let heard = hear(quiet(), 1.0, 100);
        assert!((385..=401).contains(&heard.len()), "{}", heard.len());
        assert!(heard.is_sorted());
    }

    #[test]
    fn a_tenth_is_lost() {
        let lossy = AirConfig {
            loss: 0.1,
            ..quiet()
        };
        let share = hear(lossy, 1.0, 1_000).len() as f64 / hear(quiet(), 1.0, 1_000).len() as f64;
        assert!((0.88..0.92).contains(&share), "{share}");
    }

    #[test]
    fn an_identifier_is_not_sent_beyond_its_end() {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(1_596_844_800));
        let air = Air::new(quiet(), Arc::new(clock.clone()));
        let (sender, listener) = (air.place(0.0, 0.0), air.place(1.0, 0.0));
        let (sink, mut events) = RadioSink::new(air.clock(), 1_000);
        listener.listen(Some((Filter::of(&[Protocol::bluezone()]), sink)));
        let mut advertiser = AirAdvertiser(sender);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let lifetime = Duration::from_secs(10);
        runtime
            .block_on(advertiser.advertise(&frame(), lifetime))
            .unwrap();
        clock.advance(Duration::from_secs(100));
        air.catch_up();
        let last = std::iter::from_fn(|| events.try_next()).last().unwrap();
        let RadioEvent::Heard { at, .. } = last else {
            panic!("{last:?}")
        };
        assert!((9..10).contains(&at.monotonic.as_secs()), "{at:?}");
    }

    #[test]
    fn air_outlives_a_runtime() {
        let air = Air::new(quiet(), Arc::new(SystemClock::default()));
        let (sender, listener) = (air.place(0.0, 0.0), air.place(1.0, 0.0));
        sender.send(Some(frame()));
        for _ in 0..2 {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap();
            let (sink, mut events) = RadioSink::new(air.clock(), 1_000);
            let mut scanner = AirScanner(listener.clone());
            runtime.block_on(async {
                let filter = Filter::of(&[Protocol::bluezone()]);
                scanner.start(filter, sink).await.unwrap();
                let heard = tokio::time::timeout(Duration::from_secs(10), events.next());
                assert!(matches!(heard.await, Ok(Some(RadioEvent::Heard { .. }))));
            });
        }
    }

    #[test]
    fn out_of_range_is_silence() {
        assert_eq!(hear(quiet(), 200.0, 10), []);
    }
}
