//! The whole behaviour of a tracer, with no I/O: time and frames go in, actions come out.
//!
//! [`Tracer`](crate::Tracer) is this engine with a clock, a radio and a log wired to it. An app whose
//! operating system owns Bluetooth drives it by hand, synchronously:
//!
//! 1. [`start`](Engine::start), then carry out every [`Action`] that
//!    [`next_action`](Engine::next_action) gives;
//! 2. call [`heard`](Engine::heard) (or [`heard_from`](Engine::heard_from)) for every frame, and [`tick`](Engine::tick) at
//!    [`next_deadline`](Engine::next_deadline), and carry out what comes of each;
//! 3. tell how actions went ([`scan_result`](Engine::scan_result) and its like);
//! 4. [`stop`](Engine::stop), and carry out what comes of that.
//!
//! ```
//! use truyvet::engine::{Action, Config, Event};
//! use truyvet::entropy::SystemEntropy;
//! use truyvet::log::MemoryKey;
//! use truyvet::radio::Advertised;
//! use truyvet::time::{Clock, SystemClock};
//! use truyvet::{EncounterLog, Engine, Protocol};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let mut log = EncounterLog::open(directory.path(), MemoryKey::random()?)?;
//! let config = Config::new(Protocol::gaen());
//! let mut engine = Engine::new(config, log.own_keys()?, Box::new(SystemEntropy));
//! let clock = SystemClock::default();
//!
//! // What the clocks said last tells whether one was set meanwhile.
//! if let Some(last) = log.last_clock() {
//!     engine.resume_clock(last, clock.reading());
//! }
//! engine.start(clock.now());
//! while let Some(action) = engine.next_action() {
//!     log.observe(clock.reading());
//!     match action {
//!         Action::Scan(_) => engine.scan_result(clock.now(), Ok(())), // the app's Bluetooth
//!         Action::Advertise { .. } => engine.advertise_result(clock.now(), Ok(Advertised::default())),
//!         Action::SaveKeys => log.save_own_keys(engine.own_keys())?,
//!         Action::Store(sightings) => log.append(&sightings)?,
//!         // Somebody set it, or the machine slept: the clock of its start tells.
//!         Action::Tell(Event::ClockJumped { .. }) => engine.clock_reading(clock.now(), clock.reading()),
//!         Action::Purge(today) => match log.purge(today) {
//!             Ok(purged) => engine.erasure_result(clock.now(), &purged.keys),
//!             Err(error) => engine.erasure_failed(clock.now(), error.to_string()),
//!         },
//!         _ => {}
//!     }
//! }
//! assert!(engine.health().is_well());
//! # Ok(())
//! # }
//! ```
//!
//! The same inputs give the same actions, always: randomness comes from the [`Entropy`] it is given.

use std::collections::VecDeque;
use std::time::Duration;

use crate::entropy::Entropy;
use crate::protocol::own_key::release_days;
use crate::protocol::{EphemeralId, OwnKey, PublishedKey, Slot};
use crate::radio::Peer;
use crate::sighting::{GapCause, Sighting};
use crate::time::{Moment, Timestamp, UtcDay};

mod action;
mod announcer;
mod clock;
mod config;
mod erasure;
mod event;
mod health;
mod hearing;
mod listening;
mod neighbours;
mod plan;
mod power;
mod reading;
mod results;
mod rotation;
mod schedule;
mod switch;

pub use action::Action;
pub use config::{Batch, Config, InvalidBatch};
pub use erasure::{DeletionHeld, HoldCause};
pub use event::{Event, NeighbourId};
pub use health::{Counters, Health, HeardRate, OwnIdentifier, State, Status};
pub use plan::{
    Frames, InvalidFrames, InvalidTarget, Plan, Preset, Target, Unattainable, UnknownPreset,
};
pub use power::RadioUse;
pub use schedule::{DutyCycle, InvalidSchedule, Schedule};

use announcer::Announcer;
use clock::ClockWatch;
use erasure::Erasure;
use listening::Listening;
use neighbours::{GONE_AFTER, Neighbours, Outcome};
use reading::Reading;
use switch::Switch;

/// The behaviour of a tracer.
pub struct Engine {
    config: Config,
    entropy: Box<dyn Entropy>,
    running: bool,
    own_keys: Vec<OwnKey>,
    /// What was advertised lately, the newest last.
    own_ids: VecDeque<EphemeralId>,
    slot: Option<Slot>,
    /// To be told once the radio has taken it.
    announcement: Option<Event>,
    scan: Switch,
    advertise: Switch,
    advertise_unsupported: bool,
    neighbours: Neighbours,
    reading: Reading,
    batch: Vec<Sighting>,
    batch_due: Option<Duration>,
    health: Health,
    announcer: Announcer,
    listening: Listening,
    /// Since when, and why, nothing is heard though something should be.
    gap: Option<(Timestamp, GapCause)>,
    /// The own identifier last witnessed, and under which address.
    own_peer: Option<(EphemeralId, Peer)>,
    /// Whether the one before had the same.
    linked: bool,
    watch: ClockWatch,
    erasure: Erasure,
    actions: VecDeque<Action>,
}

impl Engine {
    /// An engine at rest. `own_keys` are those saved before, so that a restart goes on with the
    /// day's key.
    pub fn new(config: Config, own_keys: Vec<OwnKey>, entropy: Box<dyn Entropy>) -> Self {
        // While nobody listens, nobody can be said to have left.
        let gone_after = GONE_AFTER.saturating_add(config.schedule.scan.pause_max());
        let mut health = Health::new(Timestamp::from_unix_seconds(0));
        if config.read_identifiers {
            health.reading = Some(health.scanning.clone());
        }
        Self {
            scan: Switch::new(config.schedule.scan),
            advertise: Switch::new(config.schedule.advertise),
            config,
            entropy,
            running: false,
            own_keys,
            own_ids: VecDeque::new(),
            slot: None,
            announcement: None,
            advertise_unsupported: false,
            neighbours: Neighbours::new(gone_after),
            reading: Reading::default(),
            batch: Vec::new(),
            batch_due: None,
            health,
            announcer: Announcer::default(),
            listening: Listening::default(),
            gap: None,
            own_peer: None,
            linked: false,
            watch: ClockWatch::default(),
            erasure: Erasure::default(),
            actions: VecDeque::new(),
        }
    }

    /// Begins to scan and to advertise.
    pub fn start(&mut self, now: Moment) {
        if std::mem::replace(&mut self.running, true) {
            return;
        }
        self.health.scanning.since = now.wall;
        self.health.advertising.since = now.wall;
        self.health.log.since = now.wall;
        self.health.erasure.since = now.wall;
        self.judge_resumed_clock(now);
        self.listening = Listening::since(now.monotonic);
        self.observe(now);
        self.scan.turn_on(now.monotonic);
        self.begin_scan(now);
        if !self.advertise_unsupported {
            self.advertise.turn_on(now.monotonic);
            self.rotate(now);
        }
    }

    /// Time has passed. To be called at [`next_deadline`](Self::next_deadline), and never wrong.
    pub fn tick(&mut self, now: Moment) {
        self.observe(now);
        let mut out = Outcome::default();
        self.neighbours.look(now.monotonic, &mut out);
        self.take(now, out);
        let entropy = self.entropy.as_mut();
        if self.scan.turn_if_due(now.monotonic, || chance(entropy)) {
            match self.scan.on {
                true => self.begin_scan(now),
                false => {
                    self.actions.push_back(Action::Scan(false));
                    self.set_scanning(State::Resting, now);
                }
            }
        }
        let entropy = self.entropy.as_mut();
        if self
            .advertise
            .turn_if_due(now.monotonic, || chance(entropy))
        {
            match self.advertise.on {
                true => self.rotate(now),
                false => self.fall_silent(now),
            }
        }
        self.look_at_reading(now);
        self.look_at_health(now);
        if self.batch_due.is_some_and(|due| due <= now.monotonic) {
            self.store_batch();
        }
    }

    /// When [`tick`](Self::tick) is to be called next, on the monotonic clock.
    pub fn next_deadline(&self) -> Option<Duration> {
        if !self.running {
            return None;
        }
        [
            self.next_look_at_the_clock(),
            self.erasure.next_look(),
            self.batch_due,
            self.neighbours.next_look(),
            self.scan.next_turn(),
            self.advertise.next_turn(),
            self.announcer.due(),
            self.silence_due(),
            self.reading.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Follows another schedule from now on, beginning with its time on.
    pub fn set_schedule(&mut self, now: Moment, schedule: Schedule) {
        self.observe(now);
        if std::mem::replace(&mut self.config.schedule, schedule) == schedule {
            return;
        }
        let pause = schedule.scan.pause_max();
        let gone_after = GONE_AFTER.saturating_add(pause);
        self.neighbours.set_gone_after(gone_after);
        if !self.running {
            self.scan = Switch::new(schedule.scan);
            self.advertise = Switch::new(schedule.advertise);
            return;
        }
        let (scanned, advertised) = (self.scan.on, self.advertise.on);
        if self.scan.set_cycle(schedule.scan, now.monotonic) && !scanned {
            self.begin_scan(now);
        }
        let possible = !self.advertise_unsupported;
        if possible && self.advertise.set_cycle(schedule.advertise, now.monotonic) && !advertised {
            self.rotate(now);
        }
    }

    /// The next thing to do; `None` when there is nothing until the next input.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Gives out the own keys of `days`, and never advertises them again: if today's is among them, the
    /// device is silent until the next slot, which has a new key. Other days are left as they are.
    ///
    /// To be called with its owner's consent to exactly these days
    /// ([`Consent::days`](crate::report::consent::Consent::days)). A key given out before is given again.
    pub fn release(
        &mut self,
        now: Moment,
        days: impl IntoIterator<Item = UtcDay>,
    ) -> Vec<PublishedKey> {
        self.observe(now);
        let days = days.into_iter().collect();
        let published = release_days(&mut self.own_keys, now.wall, &days);
        if !published.is_empty() {
            self.actions.push_back(Action::SaveKeys);
            if self.advertise.on {
                self.rotate(now);
            }
        }
        published
    }

    /// Stores what is held and ends everything.
    pub fn stop(&mut self, now: Moment) {
        if !std::mem::replace(&mut self.running, false) {
            return;
        }
        let mut out = Outcome::default();
        self.neighbours.close_all(&mut out);
        self.take(now, out);
        self.store_batch();
        self.reading = Reading::default();
        self.erasure.stop();
        self.scan.turn_off();
        self.advertise.turn_off();
        self.actions.push_back(Action::StopAdvertising);
        self.actions.push_back(Action::Scan(false));
        self.close_gap(now.wall);
        self.set_advertising(State::Stopped, now);
        self.set_scanning(State::Stopped, now);
        self.health.set_reading(State::Stopped, now.wall);
    }

    /// What works and what does not.
    pub fn health(&self) -> Health {
        let mut health = self.health.clone();
        health.counters.evicted_neighbours = self.neighbours.evicted;
        health
    }

    /// Neighbours present.
    pub fn neighbour_count(&self) -> usize {
        self.neighbours.len()
    }

    /// The device's own keys of the retention.
    pub fn own_keys(&self) -> &[OwnKey] {
        &self.own_keys
    }

    fn begin_scan(&mut self, now: Moment) {
        self.actions.push_back(Action::Scan(true));
        // The end of a pause is no news, and what fails goes on failing until it works.
        if self.health.scanning.state == State::Stopped {
            self.set_scanning(State::Starting, now);
        }
    }

    fn take(&mut self, now: Moment, out: Outcome) {
        for event in out.events {
            self.tell(event);
        }
        if out.sightings.is_empty() {
            return;
        }
        self.health.counters.sightings += out.sightings.len() as u64;
        self.batch.extend(out.sightings);
        let limits = self.config.batch;
        if self.batch.len() >= limits.sightings() || limits.age().is_zero() {
            self.store_batch();
        } else if self.batch_due.is_none() {
            self.batch_due = Some(now.monotonic.saturating_add(limits.age()));
        }
    }

    fn store_batch(&mut self) {
        self.batch_due = None;
        if !self.batch.is_empty() {
            let batch = std::mem::take(&mut self.batch);
            self.actions.push_back(Action::Store(batch));
        }
    }

    fn tell(&mut self, event: Event) {
        self.actions.push_back(Action::Tell(event));
    }
}

/// A number in 0..1, for jitter; 0 if there is no entropy, which is told when a key is to be drawn.
fn chance(entropy: &mut dyn Entropy) -> f64 {
    let mut bytes = [0; 4];
    match entropy.fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_le_bytes(bytes)) / 4_294_967_296.0,
        Err(_) => 0.0,
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("running", &self.running)
            .field("neighbours", &self.neighbours.len())
            .finish_non_exhaustive()
    }
}
