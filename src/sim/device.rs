//! One device with the app: the engine, its log, its clock, and a radio in the simulated air.

use std::sync::Arc;

use super::clock::DeviceClock;
use super::ear::{Arrival, Ear, Meeting, Slice, Spell};
use super::random::{Stream, purpose};
use super::scenario::{Scenario, SimError};
use crate::advertisement::Advertisement;
use crate::engine::{Action, Batch, Config, Engine, Event};
use crate::entropy::SeededEntropy;
use crate::log::{EncounterLog, LogOptions, MemoryKey, MemoryStorage, Storage};
use crate::protocol::{Protocol, ProtocolKind, gaen};
use crate::radio::{Advertised, Peer};
use crate::sighting::Rssi;
use crate::time::Moment;

/// Devices begin within so long, so that their scans do not fall into step. Chosen: a pause of the schedules.
const BEGIN_WITHIN_MS: u32 = 300_000;

/// From the end of an app to its next start. Chosen.
const RESTART_MS: u64 = 60_000;

/// The log is told the time so often at least. Chosen, as [`EncounterLog::observe`] asks for: every few minutes.
const OBSERVE_MS: u64 = 300_000;

/// When an app ends, to be started again a minute later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restart {
    pub(super) at_ms: u64,
    /// Whether the whole device does.
    pub(super) reboots: bool,
}

/// What a device has done.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Done {
    pub(super) frames: u64,
    pub(super) sightings: u64,
}

struct Running {
    engine: Engine,
    log: EncounterLog,
}

struct Sending {
    frame: Advertisement,
    peer: Peer,
    since_ms: u64,
}

/// A device with the app.
pub(super) struct Device {
    pub(super) person: u32,
    running: Option<Box<Running>>,
    pub(super) storage: MemoryStorage,
    pub(super) keys: Arc<MemoryKey>,
    pub(super) clock: DeviceClock,
    config: Config,
    seed: u64,
    stream: Stream,
    /// When the engine wants to be ticked, or the app is started.
    due_ms: u64,
    pub(super) restart: Option<Restart>,
    sending: Option<Sending>,
    listening_ms: Option<u64>,
    observed_ms: u64,
    /// What was sent in the slice.
    pub(super) sent: Vec<Spell>,
    ear: Ear,
    done: Done,
}

/// What devices of `scenario` speak.
pub(super) fn protocol(scenario: &Scenario, kind: ProtocolKind) -> Protocol {
    match kind {
        ProtocolKind::Bluezone => Protocol::bluezone(),
        ProtocolKind::Gaen => {
            let power_dbm = scenario.ether.gaen_power_dbm;
            Protocol::Gaen(gaen::Config::with_tx_power(power_dbm, 3))
        }
    }
}

impl Device {
    /// A device whose app is started within minutes.
    pub(super) fn new(scenario: &Scenario, person: u32) -> Result<Self, SimError> {
        let mut stream = Stream::of(scenario.seed, purpose::DEVICE, u64::from(person), 0);
        // Chosen: an app that sleeps between scans hands over what it has heard each quarter of an hour.
        let batch = Batch::new(1_024, Batch::AGE_MAX).map_err(refused)?;
        let config = Config::new(protocol(scenario, scenario.protocol))
            .schedule(scenario.schedule)
            .batch(batch);
        Ok(Self {
            person,
            running: None,
            storage: MemoryStorage::default(),
            // Nothing of the outcome hangs on the keys of a log.
            keys: Arc::new(MemoryKey::random().map_err(refused)?),
            clock: DeviceClock::drawn(scenario, person),
            config,
            seed: Stream::of(scenario.seed, purpose::ENGINE, u64::from(person), 0).next(),
            due_ms: u64::from(stream.below(BEGIN_WITHIN_MS)),
            stream,
            restart: None,
            sending: None,
            listening_ms: None,
            observed_ms: 0,
            sent: Vec::new(),
            ear: Ear::new(Stream::of(
                scenario.seed,
                purpose::EAR,
                u64::from(person),
                0,
            )),
            done: Done::default(),
        })
    }

    /// What is due before the slice's end is done.
    pub(super) fn advance(&mut self, slice: Slice) -> Result<(), SimError> {
        self.sent.clear();
        self.ear.windows.clear();
        loop {
            let restart_ms = self.restart.map_or(u64::MAX, |restart| restart.at_ms);
            let due_ms = restart_ms.min(self.due_ms);
            if due_ms >= slice.to_ms {
                break;
            }
            let now_ms = due_ms.max(slice.from_ms);
            if let Some(restart) = self.restart.filter(|it| it.at_ms <= now_ms) {
                self.end(slice, now_ms, restart);
            } else if self.running.is_none() {
                self.begin(now_ms)?;
            } else {
                let now = self.clock.moment(now_ms);
                if let Some(running) = &mut self.running {
                    running.engine.tick(now);
                }
            }
            self.carry_out(slice, now_ms)?;
        }
        self.hand_in(slice, slice.to_ms);
        Ok(())
    }

    /// The app starts, on the log that it left.
    fn begin(&mut self, now_ms: u64) -> Result<(), SimError> {
        let log = EncounterLog::open_on(
            self.storage.clone(),
            Arc::clone(&self.keys),
            LogOptions::default(),
        )?;
        // No two runs draw the same.
        let seed = self.seed ^ now_ms.rotate_left(32);
        let entropy = Box::new(SeededEntropy::new(seed));
        let mut engine = Engine::new(self.config.clone(), log.own_keys()?, entropy);
        if let Some(last) = log.last_clock() {
            engine.resume_clock(last, self.clock.reading(now_ms));
        }
        engine.start(self.clock.moment(now_ms));
        self.running = Some(Box::new(Running { engine, log }));
        Ok(())
    }

    /// The app is killed, or the device switched off.
    fn end(&mut self, slice: Slice, now_ms: u64, restart: Restart) {
        self.restart = None;
        self.hand_in(slice, now_ms);
        self.sending = None;
        self.listening_ms = None;
        self.done = self.done();
        self.running = None;
        self.due_ms = now_ms + RESTART_MS;
        if restart.reboots {
            self.clock.boots += 1;
            self.clock.boot_ms = now_ms;
        }
    }

    /// What has been sent and listened to until `now_ms`, of the slice.
    fn hand_in(&mut self, slice: Slice, now_ms: u64) {
        let to_ms = slice.of_day(now_ms);
        if let Some(sending) = &self.sending {
            let from_ms = slice.of_day(sending.since_ms.max(slice.from_ms));
            if from_ms < to_ms {
                self.sent.push(Spell {
                    from_ms,
                    to_ms,
                    frame: sending.frame,
                    peer: sending.peer,
                    once: false,
                });
            }
        }
        if let Some(since_ms) = self.listening_ms {
            let from_ms = slice.of_day(since_ms.max(slice.from_ms));
            if from_ms < to_ms {
                self.ear.windows.push((from_ms, to_ms));
            }
        }
    }

    fn carry_out(&mut self, slice: Slice, now_ms: u64) -> Result<(), SimError> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        let done = self.actions(&mut running, slice, now_ms);
        if let Some(due) = running.engine.next_deadline() {
            let passed = u64::try_from(due.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            self.due_ms = self.clock.when(passed).max(now_ms + 1);
        }
        self.running = Some(running);
        done
    }

    fn actions(
        &mut self,
        Running { engine, log }: &mut Running,
        slice: Slice,
        now_ms: u64,
    ) -> Result<(), SimError> {
        let now = self.clock.moment(now_ms);
        while let Some(action) = engine.next_action() {
            match action {
                Action::Advertise { frame, .. } => {
                    self.hand_in_sending(slice, now_ms);
                    // A fresh address with each identifier.
                    let mut address = [0; 6];
                    self.stream.fill(&mut address);
                    self.sending = Some(Sending {
                        frame,
                        peer: Peer::from_address(address),
                        since_ms: now_ms,
                    });
                    engine.advertise_result(now, Ok(Advertised::default()));
                }
                Action::StopAdvertising => self.hand_in_sending(slice, now_ms),
                Action::Scan(true) => {
                    self.listening_ms.get_or_insert(now_ms);
                    engine.scan_result(now, Ok(()));
                }
                Action::Scan(false) => self.hand_in_listening(slice, now_ms),
                Action::Store(sightings) => {
                    self.observe(log, now_ms, 0);
                    log.append(&sightings).map_err(refused)?;
                    engine.log_result(now, Ok(()));
                }
                Action::StoreGap(gap) => log.append_gaps(&[gap])?,
                Action::SaveKeys => log.save_own_keys(engine.own_keys())?,
                Action::Purge(today) => match log.purge(today) {
                    Ok(purged) => engine.erasure_result(now, &purged.keys),
                    Err(error) => engine.erasure_failed(now, error.to_string()),
                },
                Action::Tell(Event::ClockJumped { .. }) => {
                    self.observe(log, now_ms, 0);
                    engine.clock_reading(now, self.clock.reading(now_ms));
                }
                Action::ReadIdentifier { .. } | Action::Tell(_) => {}
            }
        }
        self.observe(log, now_ms, OBSERVE_MS);
        Ok(())
    }

    fn observe(&mut self, log: &mut EncounterLog, now_ms: u64, after_ms: u64) {
        if now_ms >= self.observed_ms.saturating_add(after_ms) {
            log.observe(self.clock.reading(now_ms));
            self.observed_ms = now_ms;
        }
    }

    fn hand_in_sending(&mut self, slice: Slice, now_ms: u64) {
        let listening_ms = self.listening_ms.take();
        self.hand_in(slice, now_ms);
        self.listening_ms = listening_ms;
        self.sending = None;
    }

    fn hand_in_listening(&mut self, slice: Slice, now_ms: u64) {
        let sending = self.sending.take();
        self.hand_in(slice, now_ms);
        self.sending = sending;
        self.listening_ms = None;
    }

    /// Another day's meetings begin.
    pub(super) fn begin_day(&mut self) {
        self.ear.begin_day();
    }

    /// Hears what others send in the slice while it listens. `meetings` are the day's, in the order of their
    /// beginnings.
    pub(super) fn listen<'a>(
        &mut self,
        scenario: &Scenario,
        slice: Slice,
        meetings: &[Meeting],
        sent_by: impl Fn(u32) -> &'a [Spell],
    ) -> Result<(), SimError> {
        let arrivals = self.ear.hear(scenario, slice, meetings, &sent_by);
        let Some(running) = self.running.as_mut().filter(|_| !arrivals.is_empty()) else {
            return Ok(());
        };
        for arrival in arrivals {
            let Some(spell) = sent_by(arrival.sender).get(arrival.spell as usize) else {
                continue;
            };
            let at = self.clock.moment(slice.day_ms + u64::from(arrival.at_ms));
            let rssi = Rssi::from_dbm(arrival.dbm);
            running
                .engine
                .heard_from(at, spell.peer, &spell.frame, rssi);
        }
        self.carry_out(slice, slice.to_ms)
    }

    /// The app that runs, started if it does not, and what comes of what `with` does to it.
    pub(super) fn with_engine<T>(
        &mut self,
        slice: Slice,
        with: impl FnOnce(&mut Engine, Moment) -> T,
    ) -> Result<Option<T>, SimError> {
        if self.running.is_none() {
            self.begin(slice.to_ms)?;
            self.carry_out(slice, slice.to_ms)?;
        }
        let now = self.clock.moment(slice.to_ms);
        let running = self.running.as_mut();
        let given = running.map(|running| with(&mut running.engine, now));
        self.carry_out(slice, slice.to_ms)?;
        Ok(given)
    }

    /// The app ends, and with it its log.
    pub(super) fn close(&mut self) {
        self.done = self.done();
        self.running = None;
    }

    /// What arrived in the last slice.
    pub(super) fn arrivals(&self) -> &[Arrival] {
        self.ear.arrivals()
    }

    /// What it has done since it was made.
    pub(super) fn done(&self) -> Done {
        let counters = self.running.as_ref().map(|it| it.engine.health().counters);
        let counters = counters.unwrap_or_default();
        Done {
            frames: self.done.frames + counters.frames,
            sightings: self.done.sightings + counters.sightings,
        }
    }

    /// Bytes of its log.
    pub(super) fn log_bytes(&self) -> Result<u64, SimError> {
        let names = self.storage.list().map_err(refused)?;
        let mut bytes = 0;
        for name in names {
            bytes += self.storage.open(&name).map_err(refused)?.len;
        }
        Ok(bytes)
    }
}

pub(super) fn refused(error: impl std::fmt::Display) -> SimError {
    SimError::Device(error.to_string())
}
