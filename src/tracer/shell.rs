//! The task behind a tracer: feeds the engine, and carries out what it wants.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::TracerError;
use super::radio_call::in_time;
use super::reads::{Answer, Reads, answered};
use super::subscribers::Subscribers;
use super::witness::{Witness, witnessed};
use crate::advertisement::Advertisement;
use crate::engine::{Action, Engine, Event, Health, Schedule};
use crate::log::{EncounterLog, LogEntry, LogError, NotAppended};
use crate::protocol::{Protocol, PublishedKey};
use crate::radio::{Filter, Radio, RadioError, RadioEvent, RadioEvents, RadioSink};
use crate::sighting::{ScanGap, Sighting};
use crate::time::{Clock, UtcDay, sleep_until};

/// Frames that may wait for the engine. Chosen: what a hundred neighbours send in ten seconds,
/// longer than a sync to disk or a call to the system's Bluetooth takes.
const FRAMES_WAITING_MAX: usize = 4_096;

/// Frames taken between two looks at everything else.
const FRAMES_AT_ONCE: usize = 256;

/// Gaps held while the log fails. Chosen: each lasts seconds at least.
const GAPS_MAX: usize = 1_024;

/// What a handle asks of the task.
pub(super) enum Command {
    Subscribe(mpsc::Sender<Event>),
    SetSchedule(Schedule),
    Release {
        days: BTreeSet<UtcDay>,
        reply: oneshot::Sender<Result<Vec<PublishedKey>, TracerError>>,
    },
    AppendEntry {
        entry: LogEntry,
        reply: oneshot::Sender<Result<(), LogError>>,
    },
}

pub(super) struct Shell {
    pub(super) engine: Engine,
    filter: Filter,
    radio: Radio,
    scanning: bool,
    sink: RadioSink,
    frames: RadioEvents,
    witness: Option<Witness>,
    reads: Option<Reads>,
    pub(super) clock: Arc<dyn Clock>,
    /// Absent only while a blocking task has it, or after that task has died with it.
    pub(super) log: Option<EncounterLog>,
    pub(super) unstored: VecDeque<Sighting>,
    pub(super) gaps: Vec<ScanGap>,
    pub(super) keys_unsaved: bool,
    pub(super) purge_due: Option<UtcDay>,
    pub(super) retry_at: Option<Duration>,
    still_advertising: Option<RadioError>,
    subscribers: Subscribers,
    health: watch::Sender<Health>,
}

/// What woke the task.
enum Woken {
    Command(Command),
    HandleDropped,
    Radio(RadioEvent),
    Witness(RadioEvent),
    /// `None`: the reader has died.
    Read(Option<Answer>),
    Time,
}

impl Shell {
    pub(super) fn new(
        engine: Engine,
        protocols: &[Protocol],
        mut radio: Radio,
        log: EncounterLog,
        clock: Arc<dyn Clock>,
        health: watch::Sender<Health>,
    ) -> Self {
        let (sink, frames) = RadioSink::new(Arc::clone(&clock), FRAMES_WAITING_MAX);
        let filter = Filter::of(protocols);
        let witness = radio.witness.take();
        let witness = witness.map(|scanner| Witness::start(scanner, filter.clone(), &clock));
        let reads = radio.reader.take().map(Reads::with);
        Self {
            engine,
            filter,
            radio,
            scanning: false,
            sink,
            frames,
            witness,
            reads,
            clock,
            log: Some(log),
            unstored: VecDeque::new(),
            gaps: Vec::new(),
            keys_unsaved: false,
            purge_due: None,
            retry_at: None,
            still_advertising: None,
            subscribers: Subscribers::default(),
            health,
        }
    }

    pub(super) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) -> Result<Health, TracerError> {
        let now = self.clock.now();
        if let Err(why) = &self.radio.advertiser {
            self.engine.advertise_unsupported(now, why);
        }
        let last = self.log.as_ref().and_then(EncounterLog::last_clock);
        let reading = self.clock.reading();
        if let Some(last) = last {
            self.engine.resume_clock(last, reading);
        }
        self.engine.start(now);
        self.engine.clock_reading(now, reading);
        loop {
            self.carry_out().await;
            self.health.send_replace(self.engine.health());
            match self.wait(&mut commands).await {
                Woken::Command(command) => self.command(command).await,
                Woken::HandleDropped => break,
                Woken::Radio(event) => self.radio_events(event),
                Woken::Witness(event) => self.witness_event(event),
                Woken::Read(Some(answer)) => self.read_result(answer),
                Woken::Read(None) => {
                    self.reads = None;
                    let why = "the reader has died: restart the tracer, and report this";
                    self.engine.reading_ended(self.clock.now(), why);
                }
                Woken::Time => self.engine.tick(self.clock.now()),
            }
        }
        // What was heard before the end was asked for is stored too.
        while let Some(event) = self.frames.try_next() {
            self.radio_event(event);
        }
        self.engine.stop(self.clock.now());
        self.carry_out().await;
        self.end().await
    }

    async fn wait(&mut self, commands: &mut mpsc::UnboundedReceiver<Command>) -> Woken {
        let deadline = self
            .engine
            .next_deadline()
            .into_iter()
            .chain(self.retry_at)
            .min();
        let clock = Arc::clone(&self.clock);
        let time = async {
            match deadline {
                Some(deadline) => sleep_until(clock.as_ref(), deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // In this order: a flood of frames must stop neither a command nor a rotation.
            biased;
            command = commands.recv() => command.map_or(Woken::HandleDropped, Woken::Command),
            () = time => Woken::Time,
            // Never `None`: this task holds the sinks itself.
            Some(event) = self.frames.next() => Woken::Radio(event),
            answer = answered(&mut self.reads) => Woken::Read(answer),
            event = witnessed(&mut self.witness) => Woken::Witness(event),
        }
    }

    async fn command(&mut self, command: Command) {
        match command {
            Command::Subscribe(sender) => {
                self.subscribers.add(sender, self.engine.health());
            }
            Command::SetSchedule(schedule) => {
                self.engine.set_schedule(self.clock.now(), schedule);
            }
            Command::AppendEntry { entry, reply } => {
                let appended = self.with_log(move |log| log.append_entries(&[entry])).await;
                let _ = reply.send(appended);
            }
            Command::Release { days, reply } => {
                let published = self.engine.release(self.clock.now(), days);
                // Given out only once it is certain that nothing advertises them, now or after a restart.
                self.carry_out().await;
                let uncertain = self.keys_unsaved || self.still_advertising.is_some();
                let answer = match uncertain && !published.is_empty() {
                    true => Err(TracerError::NotReleased),
                    false => Ok(published),
                };
                // Whoever asked may have gone; the keys are marked all the same.
                let _ = reply.send(answer);
            }
        }
    }

    fn radio_events(&mut self, event: RadioEvent) {
        self.radio_event(event);
        for _ in 1..FRAMES_AT_ONCE {
            match self.frames.try_next() {
                Some(event) => self.radio_event(event),
                None => break,
            }
        }
        // Nor must a flood keep what has been read waiting.
        if let Some(answer) = self.reads.as_mut().and_then(Reads::answer) {
            self.read_result(answer);
        }
        let (dropped, missed) = (self.frames.take_dropped(), self.frames.take_missed());
        self.engine.count_lost_frames(dropped, missed);
    }

    fn read_result(&mut self, Answer { peer, result }: Answer) {
        let result = result.as_deref().map_err(Clone::clone);
        self.engine.read_result(self.clock.now(), peer, result);
    }

    fn radio_event(&mut self, event: RadioEvent) {
        match event {
            RadioEvent::Heard {
                at,
                frame,
                rssi,
                peer,
            } => match peer {
                Some(peer) => self.engine.heard_from(at, peer, &frame, rssi),
                None => self.engine.heard(at, &frame, rssi),
            },
            RadioEvent::ScanMode(mode) => self.engine.scan_mode(self.clock.now(), mode),
            RadioEvent::Adapter(state) => self.engine.adapter(self.clock.now(), state),
            RadioEvent::Finished => self.engine.radio_finished(),
        }
    }

    fn witness_event(&mut self, event: RadioEvent) {
        if let RadioEvent::Heard {
            at, frame, peer, ..
        } = event
        {
            self.engine.witnessed(at, &frame, peer);
        }
    }

    async fn carry_out(&mut self) {
        if self
            .retry_at
            .is_some_and(|at| at <= self.clock.now().monotonic)
        {
            self.store().await;
        }
        while let Some(action) = self.engine.next_action() {
            match action {
                Action::Advertise { frame, until } => {
                    let lifetime = until.since(self.clock.now().wall);
                    self.advertise(&frame, lifetime).await;
                }
                Action::StopAdvertising => self.stop_advertising().await,
                Action::Scan(on) => self.scan(on).await,
                Action::Store(sightings) => {
                    self.unstored.extend(sightings);
                    // While the disk fails, it is not asked more often because more is heard.
                    if self.retry_at.is_none() {
                        self.store().await;
                    }
                }
                Action::StoreGap(gap) => {
                    self.gaps.push(gap);
                    let surplus = self.gaps.len().saturating_sub(GAPS_MAX);
                    self.gaps.drain(..surplus);
                    if self.retry_at.is_none() {
                        self.store().await;
                    }
                }
                Action::SaveKeys => {
                    self.keys_unsaved = true;
                    self.store().await;
                }
                Action::Purge(today) => {
                    self.purge_due = Some(today);
                    self.store().await;
                }
                Action::Tell(event) => {
                    if matches!(event, Event::ClockJumped { .. }) {
                        self.read_clock();
                    }
                    self.subscribers.tell(&event, || self.engine.health());
                }
                Action::ReadIdentifier { request, within } => {
                    if let Some(reads) = &self.reads {
                        reads.ask(request, within);
                    }
                }
            }
        }
    }

    pub(super) fn read_clock(&mut self) {
        let (now, reading) = (self.clock.now(), self.clock.reading());
        self.engine.clock_reading(now, reading);
    }

    async fn advertise(&mut self, frame: &Advertisement, lifetime: Duration) {
        let Ok(advertiser) = &mut self.radio.advertiser else {
            return;
        };
        let result = in_time(advertiser.advertise(frame, lifetime)).await;
        if result.is_ok() {
            self.still_advertising = None;
        }
        let result = result.map_err(|e| e.to_string());
        self.engine.advertise_result(self.clock.now(), result);
    }

    async fn stop_advertising(&mut self) {
        let Ok(advertiser) = &mut self.radio.advertiser else {
            return;
        };
        self.still_advertising = in_time(advertiser.stop()).await.err();
        if let Some(error) = &self.still_advertising {
            let reason = error.to_string();
            self.engine.advertise_result(self.clock.now(), Err(reason));
        }
    }

    async fn scan(&mut self, on: bool) {
        if self.scanning || !on {
            // Whatever comes of it, the scanner counts as stopped.
            let _ = in_time(self.radio.scanner.stop()).await;
            self.scanning = false;
        }
        if on {
            let (filter, sink) = (self.filter.clone(), self.sink.clone());
            let started = in_time(self.radio.scanner.start(filter, sink)).await;
            self.scanning = started.is_ok();
            let result = started.map_err(|e| e.to_string());
            self.engine.scan_result(self.clock.now(), result);
        }
    }

    /// At the end, what could not be done before is tried once more, and then told.
    async fn end(mut self) -> Result<Health, TracerError> {
        if let Some(witness) = self.witness.take() {
            witness.stop().await;
        }
        if let Some(reads) = self.reads.take() {
            reads.stop().await;
        }
        let stored = self.store_once().await;
        let closed = self.close().await;
        let health = self.engine.health();
        self.health.send_replace(health.clone());
        if let Err(source) = stored {
            let sightings = self.unstored.len();
            return Err(TracerError::NotStored { sightings, source });
        }
        if let Err(NotAppended { sightings, source }) = closed {
            let sightings = sightings.len();
            return Err(TracerError::NotStored { sightings, source });
        }
        match self.still_advertising {
            Some(error) => Err(TracerError::StillAdvertising(error)),
            None => Ok(health),
        }
    }
}
