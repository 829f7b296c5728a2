//! The engine driven by hand: rotation, release, clocks, failures. No tokio, no I/O.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "engine/batches.rs"]
mod batches;
#[path = "engine/clocks.rs"]
mod clocks;
#[path = "engine/erasure.rs"]
mod erasure;
#[path = "engine/health.rs"]
mod health;
#[path = "engine/hearing.rs"]
mod hearing;
#[path = "engine/nights.rs"]
mod nights;
#[path = "engine/reading.rs"]
mod reading;
#[path = "engine/rotation.rs"]
mod rotation;
#[path = "engine/schedules.rs"]
mod schedules;

use std::sync::Arc;
use std::time::Duration;

use truyvet::engine::{Action, Config, Engine, Event, OwnIdentifier, Schedule, State};
use truyvet::entropy::{Entropy, EntropyError, SeededEntropy};
use truyvet::protocol::{EphemeralId, Heard, OwnKey};
use truyvet::radio::air::{Air, AirConfig};
use truyvet::radio::{AdapterState, Advertised, Filter, RadioEvent, RadioSink};
use truyvet::sighting::Rssi;
use truyvet::time::{Clock, ManualClock, Timestamp, UtcDay};
use truyvet::{Advertisement, Protocol, ProtocolKind, PublishedKey};

/// 2020-08-08T10:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_000);

struct Rig {
    engine: Engine,
    clock: ManualClock,
}

impl Rig {
    fn new(config: Config) -> Self {
        Self {
            engine: Engine::new(config, Vec::new(), Box::new(SeededEntropy::new(1))),
            clock: ManualClock::new(START),
        }
    }

    fn started(config: Config) -> (Self, Vec<Action>) {
        let mut rig = Self::new(config);
        rig.engine.start(rig.clock.now());
        let actions = rig.actions();
        rig.engine.scan_result(rig.clock.now(), Ok(()));
        rig.engine
            .advertise_result(rig.clock.now(), Ok(Advertised::default()));
        rig.actions();
        (rig, actions)
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.engine.next_action()).collect()
    }

    /// Lets time pass, ticking at every deadline, and gives everything that came of it.
    fn pass(&mut self, duration: Duration) -> Vec<Action> {
        let end = self.clock.now().monotonic + duration;
        let mut actions = Vec::new();
        loop {
            let now = self.clock.now().monotonic;
            let next = self
                .engine
                .next_deadline()
                .filter(|at| *at <= end)
                .unwrap_or(end);
            self.clock.advance(next.saturating_sub(now));
            self.engine.tick(self.clock.now());
            actions.extend(self.actions());
            if next >= end {
                return actions;
            }
        }
    }
}

/// Days for which the log is to be purged.
fn purges(actions: &[Action]) -> Vec<UtcDay> {
    let purge = |action: &Action| match action {
        Action::Purge(today) => Some(*today),
        _ => None,
    };
    actions.iter().filter_map(purge).collect()
}

/// The health that is told.
fn told(actions: &[Action]) -> Vec<String> {
    let told = |action: &Action| match action {
        Action::Tell(Event::Health(health)) => Some(health.to_string()),
        _ => None,
    };
    actions.iter().filter_map(told).collect()
}

/// An advertisement of somebody else's.
fn bluezone_frame(byte: u8) -> Advertisement {
    let mut frame = Advertisement::new();
    frame.push_manufacturer_data(0x22B5, &[byte; 12]).unwrap();
    frame
}

fn frames(actions: &[Action]) -> Vec<(Advertisement, Timestamp)> {
    let frame = |action: &Action| match action {
        Action::Advertise { frame, until } => Some((*frame, *until)),
        _ => None,
    };
    actions.iter().filter_map(frame).collect()
}

fn identifier(protocol: &Protocol, frame: &Advertisement) -> EphemeralId {
    match protocol.parse(frame) {
        Ok(Some(Heard::Identifier { id, .. })) => id,
        other => panic!("{other:?}"),
    }
}

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An app may start it in one thread and drive it in another.
const fn can_move_between_threads<T: Send>() {}
const _: () = can_move_between_threads::<Engine>();
