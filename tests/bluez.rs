//! Scanner and advertiser against BlueZ: against a small one of our own on a private bus, and, in the
//! test that is ignored by default, against the machine's (real controllers, or virtual ones).
#![cfg(all(feature = "ble", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "bluez/failures.rs"]
mod failures;
#[path = "bluez/fake/mod.rs"]
mod fake;
#[path = "bluez/forging.rs"]
mod forging;
#[path = "bluez/latency.rs"]
mod latency;
#[path = "bluez/monitoring.rs"]
mod monitoring;
#[path = "bluez/overhearing.rs"]
mod overhearing;
#[path = "bluez/pausing.rs"]
mod pausing;
#[path = "bluez/private_bus.rs"]
mod private_bus;
#[path = "bluez/reading.rs"]
mod reading;
#[path = "bluez/stack.rs"]
mod stack;
#[path = "bluez/storm.rs"]
mod storm;
#[path = "bluez/switching.rs"]
mod switching;
#[path = "bluez/waiting.rs"]
mod waiting;
#[path = "bluez/whole.rs"]
mod whole;

use std::sync::Arc;
use std::time::Duration;

use truyvet::protocol::Heard;
use truyvet::protocol::bluezone::WireProfile;
use truyvet::protocol::gaen::{Config, TemporaryExposureKey};
use truyvet::radio::bluez::BluezAdvertiser;
use truyvet::radio::btleplug::BtleplugScanner;
use truyvet::radio::{
    AdapterState, Advertiser, Filter, RadioError, RadioEvent, RadioEvents, RadioSink, Scanner,
    SystemOptions, system,
};
use truyvet::sighting::Rssi;
use truyvet::time::{IntervalNumber, SystemClock};
use truyvet::{Advertisement, EphemeralId, Protocol, Secret};

use self::fake::Fake;
use self::private_bus::{play, test_of, with_bus};
use self::stack::Stack;

/// Plays a scenario with our own BlueZ of so many `adapters`.
fn with_bluez(adapters: usize, scenario: impl AsyncFnOnce(&Fake)) {
    with_bus(test_of(&scenario), |bus| async move {
        let bluez = Fake::start(&bus, adapters).await;
        scenario(&bluez).await;
    });
}

/// How long GAEN's identifiers last.
const SLOT: Duration = Duration::from_secs(600);

fn protocols() -> [Protocol; 2] {
    [Protocol::bluezone(), Protocol::gaen()]
}

fn on(adapter: &str) -> SystemOptions {
    let mut options = SystemOptions::default();
    options.adapter = Some(adapter.to_owned());
    options
}

fn gaen_frame(interval: u32) -> Advertisement {
    let tek = TemporaryExposureKey::new(Secret::new([7; 16]));
    Config::default()
        .frame(&tek, IntervalNumber(interval))
        .unwrap()
}

fn bluezone_frame(id: u8) -> Advertisement {
    WireProfile::default().frame(&[id; 12]).unwrap()
}

/// Whose identifier `frame` holds.
fn identifier(frame: &Advertisement) -> EphemeralId {
    let heard = protocols()
        .iter()
        .find_map(|protocol| protocol.parse(frame).unwrap());
    match heard {
        Some(Heard::Identifier { id, .. }) => id,
        other => panic!("expected an identifier, got {other:?}"),
    }
}

/// A scanner, and what it hears.
struct Ears {
    scanner: BtleplugScanner,
    events: RadioEvents,
}

impl Ears {
    async fn open(adapter: &str) -> Self {
        let mut scanner = BtleplugScanner::open(&on(adapter)).await.unwrap();
        let (sink, events) = RadioSink::new(Arc::new(SystemClock::default()), 256);
        scanner.start(Filter::of(&protocols()), sink).await.unwrap();
        Self { scanner, events }
    }

    /// Starts the scanner with another sink, and gives what is left of the old one.
    async fn restart(&mut self) -> Result<RadioEvents, RadioError> {
        let (sink, events) = RadioSink::new(Arc::new(SystemClock::default()), 256);
        let before = std::mem::replace(&mut self.events, events);
        let started = self.scanner.start(Filter::of(&protocols()), sink).await;
        started.map(|()| before)
    }

    /// Waits until the identifier of `frame` is heard.
    async fn hear(&mut self, frame: &Advertisement) -> Option<Rssi> {
        loop {
            if let RadioEvent::Heard {
                frame: heard, rssi, ..
            } = self.events.next().await.unwrap()
                && identifier(&heard) == identifier(frame)
            {
                return rssi;
            }
        }
    }

    /// Waits for the adapter's next change.
    async fn state(&mut self) -> AdapterState {
        loop {
            if let RadioEvent::Adapter(state) = self.events.next().await.unwrap() {
                return state;
            }
        }
    }

    /// Has `mouth` advertise `frame`, and waits until it is heard.
    async fn hear_from(&mut self, mouth: &mut BluezAdvertiser, frame: &Advertisement) {
        mouth.advertise(frame, SLOT).await.unwrap();
        self.hear(frame).await;
    }

    /// Switches the listening adapter, hci1, off and on, and waits until either is told.
    async fn off_and_on(&mut self, stack: &Stack) {
        stack.power("hci1", false).await;
        assert_eq!(self.state().await, AdapterState::Off);
        stack.power("hci1", true).await;
        assert_eq!(self.state().await, AdapterState::Ready);
    }
}

#[test]
fn both_protocols_are_heard_with_their_strength() {
    with_bluez(2, async |_| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        for frame in [bluezone_frame(1), gaen_frame(1)] {
            mouth.advertise(&frame, SLOT).await.unwrap();
            // The first from the properties of a new device, the others from signals.
            for _ in 0..3 {
                assert_eq!(ears.hear(&frame).await, Rssi::from_dbm(-63));
            }
        }
    });
}

#[test]
fn an_unmeasured_strength_is_none() {
    with_bluez(2, async |bluez| {
        bluez.rssi(127);
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        for _ in 0..3 {
            assert_eq!(ears.hear(&gaen_frame(1)).await, None);
        }
    });
}

#[test]
fn each_frame_has_an_address_of_its_own() {
    with_bluez(2, async |_| {
        rotate(&["hci0", "hci1"]).await;
    });
}

/// Four frames one after the other, of both protocols; each is heard, under an address that none had
/// before.
async fn rotate(adapters: &[&str; 2]) {
    let stack = Stack::open();
    let mut mouth = BluezAdvertiser::open(&on(adapters[0])).await.unwrap();
    let mut ears = Ears::open(adapters[1]).await;
    let mut seen = Vec::new();
    for frame in [
        bluezone_frame(1),
        gaen_frame(1),
        gaen_frame(2),
        bluezone_frame(2),
    ] {
        let begun = std::time::Instant::now();
        mouth.advertise(&frame, SLOT).await.unwrap();
        let registered = begun.elapsed();
        let rssi = ears.hear(&frame).await;
        let address = stack.address_of(adapters[1], &frame).await;
        println!(
            "{address}: registered after {registered:?}, heard after {:?} at {rssi:?}",
            begun.elapsed()
        );
        assert!(rssi.is_some());
        assert!(!seen.contains(&address), "{address} has been used before");
        seen.push(address);
        assert_eq!(stack.active_instances(adapters[0]).await.unwrap(), 1);
    }
    ears.scanner.stop().await.unwrap();
    mouth.stop().await.unwrap();
    assert_eq!(stack.active_instances(adapters[0]).await.unwrap(), 0);
}

#[test]
fn nothing_is_advertised_after_stop() {
    with_bluez(1, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 1);
        mouth.stop().await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
        mouth.stop().await.unwrap();
        mouth.advertise(&gaen_frame(2), SLOT).await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 1);
    });
}

#[test]
fn what_is_left_alone_ends_by_itself() {
    with_bluez(1, async |bluez| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        for end in 1..3 {
            mouth.advertise(&gaen_frame(end), SLOT).await.unwrap();
            assert_eq!(bluez.timeouts(), [602]);
            bluez.time_out();
            assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
        }
        mouth.stop().await.unwrap();
    });
}

#[test]
fn a_dropped_advertiser_leaves_the_air() {
    with_bluez(1, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        drop(mouth);
        while stack.active_instances("hci0").await.unwrap() > 0 {}
    });
}

#[test]
fn a_frame_that_does_not_fit_ends_the_one_before() {
    with_bluez(1, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        let mut long = Advertisement::new();
        long.push_manufacturer_data(0x22B5, &[0; 27]).unwrap();
        let refused = mouth.advertise(&long, SLOT).await.unwrap_err();
        assert!(matches!(refused, RadioError::TooLong(too_long) if too_long.len == 34));
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
    });
}

#[test]
fn no_frame_reaches_the_sink_after_stop() {
    with_bluez(2, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.hear(&gaen_frame(1)).await;
        ears.scanner.stop().await.unwrap();
        assert!(!stack.is_discovering("hci1").await);
        while ears.events.try_next().is_some() {}
        let mut before = ears.restart().await.unwrap();
        // The old sink has been let go of, so that its queue ends.
        assert!(before.next().await.is_none());
        assert_eq!(ears.hear(&gaen_frame(1)).await, Rssi::from_dbm(-63));
    });
}

#[test]
fn a_dropped_scanner_ends_its_scan() {
    with_bluez(1, async |_| {
        let stack = Stack::open();
        let ears = Ears::open("hci0").await;
        assert!(stack.is_discovering("hci0").await);
        drop(ears);
        while stack.is_discovering("hci0").await {}
    });
}

#[test]
fn a_crowd_is_heard_to_the_last() {
    with_bluez(13, async |_| {
        let mut crowd = Vec::new();
        for n in 0..60 {
            let mut mouth = BluezAdvertiser::open(&on(&format!("hci{}", 1 + n / 5)))
                .await
                .unwrap();
            mouth.advertise(&bluezone_frame(n), SLOT).await.unwrap();
            crowd.push(mouth);
        }
        let mut ears = Ears::open("hci0").await;
        let mut missing: Vec<_> = (0..60).map(|n| identifier(&bluezone_frame(n))).collect();
        while !missing.is_empty() {
            if let RadioEvent::Heard { frame, .. } = ears.events.next().await.unwrap() {
                missing.retain(|id| *id != identifier(&frame));
            }
        }
    });
}

/// Each is opened while the one before is still being closed, and gets its number: it must not lose
/// its events for that.
#[test]
fn connections_in_quick_succession() {
    with_bluez(1, async |_| {
        for _ in 0..500 {
            BluezAdvertiser::open(&on("hci0")).await.unwrap();
        }
    });
}

/// The same against the machine's own BlueZ, which has to have two adapters within reach of one
/// another, hci0 and hci1, and nothing else on the air that speaks the protocols.
#[test]
#[ignore = "needs two Bluetooth adapters, real or virtual"]
fn the_machines_own_bluez() {
    play(async {
        rotate(&["hci0", "hci1"]).await;
        rotate(&["hci1", "hci0"]).await;

        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.off_and_on(&stack).await;
        ears.hear_from(&mut mouth, &gaen_frame(9)).await;
        println!("heard again after the adapter had been off");
        ears.scanner.stop().await.unwrap();
        stack.power("hci1", false).await;
        assert_eq!(ears.state().await, AdapterState::Off);
        let refused = ears.restart().await;
        assert!(matches!(refused, Err(RadioError::AdapterOff)));
        stack.power("hci1", true).await;
        assert_eq!(ears.state().await, AdapterState::Ready);
        ears.hear(&gaen_frame(9)).await;
        println!("heard again after a start with the adapter off");
        drop(ears);

        // It ends by itself, and the next begins all the same.
        let begun = std::time::Instant::now();
        let lifetime = Duration::from_secs(1);
        mouth.advertise(&gaen_frame(10), lifetime).await.unwrap();
        while stack.active_instances("hci0").await.unwrap() > 0 {}
        println!("left alone, it ended after {:?}", begun.elapsed());
        mouth.advertise(&gaen_frame(11), SLOT).await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 1);

        drop(mouth);
        while stack.active_instances("hci0").await.unwrap() > 0 {}
        stack.power("hci0", false).await;
        assert!(matches!(
            system(on("hci0")).await,
            Err(RadioError::AdapterOff)
        ));
        stack.power("hci0", true).await;
        system(on("hci0")).await.unwrap();
        println!("an adapter that is off is told apart");
    });
}
