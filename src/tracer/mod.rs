//! The tokio shell: a clock, a radio and a log wired to the [engine](crate::engine).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::engine::{Batch, Config, Engine, Event, Frames, Health, Schedule, Target, Unattainable};
use crate::entropy::{Entropy, SystemEntropy};
use crate::log::{EncounterLog, LogAccess, LogEntry, LogError, LogReader};
use crate::protocol::{Protocol, PublishedKey};
use crate::radio::{Radio, RadioError};
use crate::time::{Clock, SystemClock, UtcDay};

mod radio_call;
mod reads;
mod shell;
mod storing;
mod subscribers;
mod witness;

use shell::{Command, Shell};

/// Events an app may leave untaken before further ones are dropped and counted. Chosen: a minute of a
/// crowded room.
const EVENTS_MAX: usize = 1_024;

/// A running tracer.
///
/// Dropping it ends it too, in the background; [`stop`](Self::stop) waits until everything heard is
/// stored and nothing is on the air.
#[derive(Debug)]
pub struct Tracer {
    commands: mpsc::UnboundedSender<Command>,
    health: watch::Receiver<Health>,
    log: LogAccess,
    task: JoinHandle<Result<Health, TracerError>>,
}

impl Tracer {
    /// A tracer that logs into `log` and uses `radio`; it advertises Bluezone unless told otherwise.
    pub fn builder(log: EncounterLog, radio: Radio) -> TracerBuilder {
        TracerBuilder {
            log,
            radio,
            advertise: Protocol::bluezone(),
            also_listen: Vec::new(),
            schedule: Schedule::default(),
            batch: Batch::default(),
            clock: None,
            entropy: Box::new(SystemEntropy),
        }
    }

    /// What happens from now on, beginning with the health of the moment.
    pub fn events(&self) -> Events {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        // A tracer that has ended has no more events: the stream ends at once.
        let _ = self.commands.send(Command::Subscribe(sender));
        Events(receiver)
    }

    /// What works and what does not.
    pub fn health(&self) -> Health {
        let mut health = self.health.borrow().clone();
        if self.task.is_finished() {
            health.fail("the tracer has died: restart it, and report this");
        }
        health
    }

    /// A reader of the log, to match what has been stored so far. It holds the key that opens what was
    /// heard, which the tracer does not: drop it when it is not needed any more.
    ///
    /// # Errors
    ///
    /// [`LogError::Key`] if the log's key provider does not give it, because the device is locked, say; else
    /// as [`LogReader::open`].
    pub fn log_reader(&self) -> Result<LogReader, LogError> {
        self.log.reader()
    }

    /// Gives out this device's own keys of `days`, and never advertises them again; other days are left as
    /// they are. To be called with its owner's consent to exactly these days
    /// ([`Consent::days`](crate::report::consent::Consent::days)); the crate sends them nowhere.
    ///
    /// # Errors
    ///
    /// [`TracerError::NotReleased`] if the log cannot take the mark, without which a restart would
    /// advertise them again, or the radio does not stop advertising; [`TracerError::Ended`] if the tracer has ended. Nothing is given out
    /// then.
    pub async fn release(
        &self,
        days: impl IntoIterator<Item = UtcDay>,
    ) -> Result<Vec<PublishedKey>, TracerError> {
        let (reply, answer) = oneshot::channel();
        let days = days.into_iter().collect();
        let command = Command::Release { days, reply };
        self.commands
            .send(command)
            .map_err(|_| TracerError::Ended)?;
        answer.await.map_err(|_| TracerError::Ended)?
    }

    /// Stores what the device's owner has entered, and returns once it is on the disk.
    ///
    /// # Errors
    ///
    /// [`TracerError::Log`] if the log does not take it: see
    /// [`append_entries`](EncounterLog::append_entries). It is not tried again. [`TracerError::Ended`] if the tracer
    /// has ended.
    pub async fn append_entry(&self, entry: LogEntry) -> Result<(), TracerError> {
        let (reply, answer) = oneshot::channel();
        self.commands
            .send(Command::AppendEntry { entry, reply })
            .map_err(|_| TracerError::Ended)?;
        answer.await.map_err(|_| TracerError::Ended)??;
        Ok(())
    }

    /// Follows another schedule from now on: an app that comes to the foreground, say, or a battery that
    /// runs low.
    ///
    /// # Errors
    ///
    /// [`TracerError::Ended`].
    pub fn set_schedule(&self, schedule: Schedule) -> Result<(), TracerError> {
        let command = Command::SetSchedule(schedule);
        self.commands.send(command).map_err(|_| TracerError::Ended)
    }

    /// Ends scanning and advertising, stores what is held, closes the log, and gives the last health
    /// with its counters.
    ///
    /// # Errors
    ///
    /// [`TracerError::NotStored`] if the last sightings or keys could not be stored,
    /// [`TracerError::StillAdvertising`] if the radio did not say that it has stopped.
    pub async fn stop(self) -> Result<Health, TracerError> {
        drop(self.commands);
        self.task.await.unwrap_or(Err(TracerError::Ended))
    }
}

/// What a [`Tracer`] is made of; see [`Tracer::builder`].
pub struct TracerBuilder {
    log: EncounterLog,
    radio: Radio,
    advertise: Protocol,
    also_listen: Vec<Protocol>,
    schedule: Schedule,
    batch: Batch,
    clock: Option<Arc<dyn Clock>>,
    entropy: Box<dyn Entropy>,
}

impl TracerBuilder {
    /// Advertises `protocol` and listens for it.
    pub fn advertise(mut self, protocol: Protocol) -> Self {
        self.advertise = protocol;
        self
    }

    /// Listens for `protocol` too, if it is another than the advertised one.
    pub fn also_listen(mut self, protocol: Protocol) -> Self {
        self.also_listen.push(protocol);
        self
    }

    /// Follows `schedule`; without one, the radio is always on.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Follows the cheapest schedule that meets `target`, beside neighbours who always advertise as this crate does
    /// ([`Frames::default`]). [`Target::cheapest`] is for other frames.
    ///
    /// # Errors
    ///
    /// [`Unattainable`], with the best there is.
    pub fn notice(self, target: Target) -> Result<Self, Unattainable> {
        Ok(self.schedule(target.cheapest(Frames::default())?))
    }

    /// Stores sightings in such batches; without them, 64 at a time, or those of a minute.
    pub fn batch(mut self, batch: Batch) -> Self {
        self.batch = batch;
        self
    }

    /// Tells the time by `clock`. Without it, that is the clock of the virtual air that the radio is on, or
    /// else the system's, which does not follow tokio's when that is paused in a test; `SimulatedClock`
    /// does.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Draws keys from `entropy` in place of the system's. Only for simulations.
    pub fn entropy(mut self, entropy: Box<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Starts the tracer on the current tokio runtime, which needs its timer (and I/O, for the system's
    /// radio); without a runtime tokio panics.
    ///
    /// A radio that fails does not fail the start: the tracer tries again, and says so in its
    /// health.
    ///
    /// # Errors
    ///
    /// [`TracerError::Log`] if the own keys in the log cannot be read.
    pub async fn start(self) -> Result<Tracer, TracerError> {
        let own_keys = self.log.own_keys()?;
        let log = self.log.access();
        let mut config = Config::new(self.advertise)
            .schedule(self.schedule)
            .batch(self.batch)
            .retention_days(self.log.options().retention_days());
        for protocol in self.also_listen {
            config = config.also_listen(protocol);
        }
        config.read_identifiers = self.radio.reader.is_some();
        let listen = config.listen.clone();
        let engine = Engine::new(config, own_keys, self.entropy);
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (health_sender, health) = watch::channel(engine.health());
        let clock = self.clock.or_else(|| self.radio.clock.clone());
        let shell = Shell::new(
            engine,
            &listen,
            self.radio,
            self.log,
            clock.unwrap_or_else(|| Arc::new(SystemClock::default())),
            health_sender,
        );
        Ok(Tracer {
            commands,
            health,
            log,
            task: tokio::spawn(shell.run(command_receiver)),
        })
    }
}

impl std::fmt::Debug for TracerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TracerBuilder")
            .field("advertise", &self.advertise)
            .field("also_listen", &self.also_listen)
            .finish_non_exhaustive()
    }
}

/// The events of a tracer, also as a [`Stream`]. It ends when the tracer does.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<Event>);

impl Events {
    /// The next event; `None` once the tracer has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.0.poll_recv(cx)
    }
}

/// A tracer cannot start, or did not end well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracerError {
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The last sightings or own keys could not be stored.
    #[error("{sightings} sightings and the latest own keys could not be stored: {source}")]
    NotStored {
        /// Sightings lost.
        sightings: usize,
        /// What the log says.
        source: LogError,
    },
    /// The keys were not given out: the log cannot take the mark that they were, or the radio does not
    /// stop advertising.
    #[error(
        "the keys were not given out, as they may be advertised again: see the tracer's health"
    )]
    NotReleased,
    /// The radio did not say that it has stopped advertising.
    #[error("something may still be advertised: {0}")]
    StillAdvertising(RadioError),
    /// The tracer has ended already.
    #[error("the tracer has ended")]
    Ended,
}
