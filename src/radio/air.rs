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

use super::{Advertised, Advertiser, Filter, Radio, RadioError, RadioSink, Scanner};
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

/// From the order to send to the first frame. Chosen: the least a timer counts.
const FIRST_AFTER: Duration = Duration::from_millis(1);

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
    /// Its radio. A tracer with it goes by the air's clock unless told otherwise.
    pub fn radio(&self) -> Radio {
        Radio {
            clock: Some(self.air.clock()),
            ..Radio::new(AirScanner(self.clone()), AirAdvertiser(self.clone()))
        }
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
        // Not at once: of devices that begin at the same moment, which is first must not hang on the
        // order in which their tasks run.
        let next = self.air.clock.now().monotonic.saturating_add(FIRST_AFTER);
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
    ) -> Result<Advertised, RadioError> {
        let end = self.0.air.clock.now().monotonic.saturating_add(lifetime);
        self.0.send_until(Some(*frame), Some(end));
        Ok(Advertised::default())
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
mod tests;
