//! Frames a second from what a system reports to sightings, with 100 known neighbours.
//!
//! `pieces_to_sightings` begins with what BlueZ signals of a device that is known, its strength and its data:
//! they are joined with what it has listed, parsed and heard. `frames_to_sightings` begins with whole frames. Beside them,
//! `std_hashmap` looks up and updates the same keys in a map of the standard library: what no
//! bookkeeping with keyed hashing does without.
#![allow(missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use truyvet::engine::{Action, Config, Engine};
use truyvet::entropy::SeededEntropy;
use truyvet::protocol::{EphemeralId, Heard, ProtocolKind};
use truyvet::radio::{Advertised, Filter, Join, Peer, Pieces};
use truyvet::sighting::Rssi;
use truyvet::time::{Clock, ManualClock, Timestamp};
use truyvet::{Advertisement, Protocol};

/// 2020-08-08T10:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_000);
const NEIGHBOURS: u8 = 100;
/// Each neighbour is heard four times a second, so that two minutes hold some sightings of each.
const ROUND: Duration = Duration::from_millis(250);
const ROUNDS: u64 = 480;

/// As BlueZ reports of neighbour `number` when it is new.
fn properties(kind: ProtocolKind, number: u8) -> Pieces {
    let uuid = truyvet::advertisement::uuid_from_u16;
    let mut pieces = Pieces {
        rssi_dbm: Some(-60),
        ..Pieces::default()
    };
    match kind {
        ProtocolKind::Gaen => {
            pieces.services = Some(vec![uuid(0xFD6F)]);
            pieces.service_data.insert(uuid(0xFD6F), vec![number; 20]);
        }
        _ => {
            pieces.services = Some(vec![uuid(0x4E56)]);
            pieces.manufacturer_data.insert(0x22B5, vec![number; 12]);
        }
    }
    pieces
}

fn peer(number: u8) -> Peer {
    Peer::from_address([0xC0, 0x11, 0x22, 0x33, 0x44, number])
}

/// An engine and the time it lives in.
struct Rig {
    engine: Engine,
    clock: ManualClock,
    sightings: u64,
}

impl Rig {
    fn new(config: Config) -> Self {
        let clock = ManualClock::new(START);
        let mut engine = Engine::new(config, Vec::new(), Box::new(SeededEntropy::new(1)));
        engine.start(clock.now());
        engine.scan_result(clock.now(), Ok(()));
        engine.advertise_result(clock.now(), Ok(Advertised::default()));
        Self {
            engine,
            clock,
            sightings: 0,
        }
    }

    /// Every neighbour once, then what has become due.
    fn round<'a, T: 'a>(
        &mut self,
        inputs: &'a [T],
        mut frame: impl FnMut(&'a T) -> (Advertisement, Option<Rssi>),
    ) {
        self.clock.advance(ROUND);
        let now = self.clock.now();
        for input in inputs {
            let (frame, rssi) = frame(black_box(input));
            self.engine.heard(now, &frame, rssi);
        }
        let due = self.engine.next_deadline();
        if due.is_some_and(|due| due <= now.monotonic) {
            self.engine.tick(now);
        }
        while let Some(action) = self.engine.next_action() {
            if let Action::Store(sightings) = action {
                self.sightings += sightings.len() as u64;
            }
        }
    }
}

fn radio(c: &mut Criterion) {
    let mut group = c.benchmark_group("radio");
    group.throughput(Throughput::Elements(ROUNDS * u64::from(NEIGHBOURS)));
    for protocol in [Protocol::bluezone(), Protocol::gaen()] {
        let kind = protocol.kind();
        let config = Config::new(protocol.clone())
            .also_listen(Protocol::bluezone())
            .also_listen(Protocol::gaen());
        let filter = Filter::of(&config.listen);
        let mut join = Join::new(filter);
        let mut heard = Vec::new();
        let mut frames = Vec::new();
        for number in 0..NEIGHBOURS {
            let all = properties(kind, number);
            let joined = join.properties(peer(number), &all).unwrap();
            frames.push((joined.frame, joined.rssi));
            // Of one that is known the list is not told again.
            let changed = Pieces {
                services: None,
                ..all
            };
            heard.push((peer(number), changed));
        }

        group.bench_function(format!("{kind}/pieces_to_sightings"), |b| {
            let mut rig = Rig::new(config.clone());
            b.iter(|| {
                (0..ROUNDS).for_each(|_| {
                    rig.round(&heard, |(peer, changed)| {
                        let joined = join.changed(*peer, changed).unwrap();
                        (joined.frame, joined.rssi)
                    });
                });
            });
            assert!(rig.sightings > 0);
        });
        group.bench_function(format!("{kind}/frames_to_sightings"), |b| {
            let mut rig = Rig::new(config.clone());
            b.iter(|| (0..ROUNDS).for_each(|_| rig.round(&frames, |frame| *frame)));
            assert!(rig.sightings > 0);
        });
        group.bench_function(format!("{kind}/std_hashmap"), |b| {
            let keys: Vec<_> = frames.iter().map(|it| key(&protocol, &it.0)).collect();
            let mut known: HashMap<_, _> = keys.iter().map(|key| (*key, (0_u64, 0_i64))).collect();
            b.iter(|| {
                for key in (0..ROUNDS).flat_map(|_| &keys) {
                    let (frames, dbm) = known.get_mut(black_box(key)).unwrap();
                    *frames += 1;
                    *dbm -= 60;
                }
            });
            black_box(known);
        });
    }
    group.finish();
}

/// What tells one neighbour from another.
fn key(protocol: &Protocol, frame: &Advertisement) -> (ProtocolKind, EphemeralId, Option<[u8; 4]>) {
    match protocol.parse(frame) {
        Ok(Some(Heard::Identifier { id, metadata, .. })) => Some((protocol.kind(), id, metadata)),
        _ => None,
    }
    .unwrap()
}

criterion_group!(benches, radio);
criterion_main!(benches);
