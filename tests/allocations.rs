//! What is heard again and again costs no memory, nor do keys that match nothing: a flood of frames or of keys must
//! not become a flood of allocations.
#![allow(clippy::unwrap_used, missing_docs)]
#![allow(
    unsafe_code,
    reason = "an allocator that counts cannot be had without it; it hands everything on to the system's"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use truyvet::advertisement::uuid_from_u16;
use truyvet::engine::{Config, Engine};
use truyvet::entropy::SeededEntropy;
use truyvet::protocol::ProtocolKind;
use truyvet::radio::{Advertised, Filter, Join, Peer, Pieces};
use truyvet::sighting::Rssi;
use truyvet::time::{Clock, ManualClock, Timestamp};
use truyvet::{Advertisement, Protocol};

#[path = "allocations/matching.rs"]
mod matching;

thread_local! {
    /// Of this thread alone, so that tests beside each other do not count each other's.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn count() {
    // A thread that ends has no counter any more, and is not measured.
    let _ = ALLOCATIONS.try_with(|counter| counter.set(counter.get() + 1));
}

// SAFETY: every call is handed on to the system's allocator as it came; the counter allocates nothing,
// as it has a constant beginning and nothing to drop.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// 2020-08-08T10:00Z.
const START: Timestamp = Timestamp::from_unix_seconds(1_596_844_800 + 36_000);
const NEIGHBOURS: u8 = 100;
const FRAMES: u32 = 100_000;
/// A millisecond, the wall clock's grain, passes with so many frames: all come in ten seconds, a third of a
/// sighting's span.
const FRAMES_A_MS: u32 = 10;
const MS: Duration = Duration::from_millis(1);

fn allocations(measured: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    measured();
    ALLOCATIONS.get() - before
}

fn frame(kind: ProtocolKind, number: u8) -> Advertisement {
    let mut frame = Advertisement::new();
    match kind {
        ProtocolKind::Gaen => frame.push_service_data16(0xFD6F, &[number; 20]),
        _ => frame.push_manufacturer_data(0x22B5, &[number; 12]),
    }
    .unwrap();
    frame
}

/// An engine that listens for both protocols and advertises `protocol`, with everything done that it asked for.
fn started(protocol: Protocol, clock: &ManualClock) -> Engine {
    let config = Config::new(protocol)
        .also_listen(Protocol::bluezone())
        .also_listen(Protocol::gaen());
    let mut engine = Engine::new(config, Vec::new(), Box::new(SeededEntropy::new(1)));
    engine.start(clock.now());
    engine.scan_result(clock.now(), Ok(()));
    engine.advertise_result(clock.now(), Ok(Advertised::default()));
    while engine.next_action().is_some() {}
    engine
}

fn known_neighbours_cost_nothing(protocol: Protocol) {
    let kind = protocol.kind();
    let clock = ManualClock::new(START);
    let mut engine = started(protocol, &clock);
    let frames: Vec<_> = (0..NEIGHBOURS).map(|number| frame(kind, number)).collect();
    for frame in &frames {
        engine.heard(clock.now(), frame, Rssi::from_dbm(-60));
    }
    while engine.next_action().is_some() {}
    let spent = allocations(|| {
        for (frame, number) in frames.iter().cycle().zip(0..FRAMES) {
            if number % FRAMES_A_MS == 0 {
                clock.advance(MS);
            }
            engine.heard(
                clock.now(),
                frame,
                Rssi::from_dbm(-60 - (number % 7) as i32),
            );
        }
    });
    assert_eq!(spent, 0, "allocations for {FRAMES} frames");
    let heard = engine.health().counters.frames;
    assert_eq!(heard, u64::from(FRAMES) + u64::from(NEIGHBOURS));
    assert_eq!(engine.neighbour_count(), usize::from(NEIGHBOURS));
    assert!(engine.next_action().is_none());
}

#[test]
fn pieces_of_known_devices_allocate_nothing_to_be_joined() {
    let mut join = Join::new(Filter::of(&[Protocol::bluezone(), Protocol::gaen()]));
    let peer = Peer::from_address([0xC0, 0x11, 0x22, 0x33, 0x44, 0x55]);
    let strength = Pieces {
        rssi_dbm: Some(-60),
        ..Pieces::default()
    };
    let gaen = Pieces {
        service_data: HashMap::from([(uuid_from_u16(0xFD6F), vec![7; 20])]),
        ..strength.clone()
    };
    let bluezone = Pieces {
        manufacturer_data: HashMap::from([(0x22B5, vec![7; 12])]),
        ..strength.clone()
    };
    let new = Pieces {
        services: Some(vec![uuid_from_u16(0xFD6F), uuid_from_u16(0x4E56)]),
        ..strength.clone()
    };
    join.properties(peer, &new);
    let mut joined = 0;
    let spent = allocations(|| {
        for _ in 0..FRAMES {
            for pieces in [&strength, &gaen, &bluezone] {
                joined += u32::from(join.changed(peer, pieces).is_some());
            }
        }
    });
    assert_eq!((spent, joined), (0, 2 * FRAMES));
}

#[test]
fn bluezone_frames_of_known_neighbours_allocate_nothing() {
    known_neighbours_cost_nothing(Protocol::bluezone());
}

#[test]
fn gaen_frames_of_known_neighbours_allocate_nothing() {
    known_neighbours_cost_nothing(Protocol::gaen());
}

#[test]
fn strangers_and_malformed_frames_allocate_nothing() {
    let clock = ManualClock::new(START);
    let mut engine = started(Protocol::gaen(), &clock);
    let mut short = Advertisement::new();
    short.push_service_data16(0xFD6F, &[9; 19]).unwrap();
    let spent = allocations(|| {
        for number in 0..FRAMES / 2 {
            if number % FRAMES_A_MS == 0 {
                clock.advance(MS);
            }
            engine.heard(clock.now(), &short, None);
            engine.heard(clock.now(), &Advertisement::new(), None);
        }
    });
    assert_eq!(spent, 0);
    let counters = engine.health().counters;
    let counted = [counters.malformed_frames, counters.foreign_frames];
    assert_eq!(counted, [u64::from(FRAMES / 2); 2]);
}

#[test]
fn the_counter_sees_a_neighbour_appear() {
    let clock = ManualClock::new(START);
    let mut engine = started(Protocol::gaen(), &clock);
    let stranger = frame(ProtocolKind::Gaen, 1);
    assert!(allocations(|| engine.heard(clock.now(), &stranger, None)) > 0);
}
