//! Scanner and advertiser against BlueZ: against a small one of our own on a private bus, and, in the
//! test that is ignored by default, against the machine's (real controllers, or virtual ones).
#![cfg(all(feature = "ble", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "bluez/fake.rs"]
mod fake;
#[path = "bluez/private_bus.rs"]
mod private_bus;
#[path = "bluez/stack.rs"]
mod stack;

use std::sync::Arc;

use tokio::sync::mpsc;
use truyvet::protocol::Heard;
use truyvet::protocol::bluezone::WireProfile;
use truyvet::protocol::gaen::{Config, TemporaryExposureKey};
use truyvet::radio::bluez::BluezAdvertiser;
use truyvet::radio::btleplug::BtleplugScanner;
use truyvet::radio::{
    AdapterState, Advertiser, Filter, RadioError, RadioEvent, RadioSink, Scanner, SystemOptions,
    system,
};
use truyvet::sighting::Rssi;
use truyvet::time::{IntervalNumber, SystemClock};
use truyvet::{Advertisement, EphemeralId, Protocol, Secret};

use self::fake::{Fake, INSTANCES_MAX};
use self::private_bus::{play, with_bus, without_bus};
use self::stack::Stack;

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
    events: mpsc::Receiver<RadioEvent>,
}

impl Ears {
    async fn open(adapter: &str) -> Self {
        let mut scanner = BtleplugScanner::open(&on(adapter)).await.unwrap();
        let (sink, events) = RadioSink::new(Arc::new(SystemClock::default()), 256);
        scanner.start(Filter::of(&protocols()), sink).await.unwrap();
        Self { scanner, events }
    }

    /// Waits until the identifier of `frame` is heard.
    async fn hear(&mut self, frame: &Advertisement) -> Option<Rssi> {
        loop {
            if let RadioEvent::Heard {
                frame: heard, rssi, ..
            } = self.events.recv().await.unwrap()
                && identifier(&heard) == identifier(frame)
            {
                return rssi;
            }
        }
    }

    /// Waits for the adapter's next change.
    async fn state(&mut self) -> AdapterState {
        loop {
            if let RadioEvent::Adapter(state) = self.events.recv().await.unwrap() {
                return state;
            }
        }
    }
}

#[test]
fn both_protocols_are_heard_with_their_strength() {
    with_bus(
        "both_protocols_are_heard_with_their_strength",
        |bus| async move {
            let _bluez = Fake::start(&bus, 2).await;
            let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
            let mut ears = Ears::open("hci1").await;
            for frame in [bluezone_frame(1), gaen_frame(1)] {
                mouth.advertise(&frame).await.unwrap();
                // The first from the properties of a new device, the others from signals.
                for _ in 0..3 {
                    assert_eq!(ears.hear(&frame).await, Rssi::from_dbm(-63));
                }
            }
        },
    );
}

#[test]
fn an_unmeasured_strength_is_none() {
    with_bus("an_unmeasured_strength_is_none", |bus| async move {
        let bluez = Fake::start(&bus, 2).await;
        bluez.rssi(127);
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        mouth.advertise(&gaen_frame(1)).await.unwrap();
        for _ in 0..3 {
            assert_eq!(ears.hear(&gaen_frame(1)).await, None);
        }
    });
}

#[test]
fn each_frame_has_an_address_of_its_own() {
    with_bus("each_frame_has_an_address_of_its_own", |bus| async move {
        let _bluez = Fake::start(&bus, 2).await;
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
        mouth.advertise(&frame).await.unwrap();
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
    with_bus("nothing_is_advertised_after_stop", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1)).await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 1);
        mouth.stop().await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
        mouth.stop().await.unwrap();
        mouth.advertise(&gaen_frame(2)).await.unwrap();
        assert_eq!(stack.active_instances("hci0").await.unwrap(), 1);
    });
}

#[test]
fn a_dropped_advertiser_leaves_the_air() {
    with_bus("a_dropped_advertiser_leaves_the_air", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1)).await.unwrap();
        drop(mouth);
        while stack.active_instances("hci0").await.unwrap() > 0 {}
    });
}

#[test]
fn a_frame_that_does_not_fit_ends_the_one_before() {
    with_bus(
        "a_frame_that_does_not_fit_ends_the_one_before",
        |bus| async move {
            let _bluez = Fake::start(&bus, 1).await;
            let stack = Stack::open();
            let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
            mouth.advertise(&gaen_frame(1)).await.unwrap();
            let mut long = Advertisement::new();
            long.push_manufacturer_data(0x22B5, &[0; 27]).unwrap();
            let refused = mouth.advertise(&long).await.unwrap_err();
            assert!(matches!(refused, RadioError::TooLong(too_long) if too_long.len == 34));
            assert_eq!(stack.active_instances("hci0").await.unwrap(), 0);
        },
    );
}

#[test]
fn no_room_for_another_advertisement() {
    with_bus("no_room_for_another_advertisement", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        let mut mouths = Vec::new();
        for _ in 0..INSTANCES_MAX {
            let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
            mouth.advertise(&gaen_frame(1)).await.unwrap();
            mouths.push(mouth);
        }
        let mut late = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let refused = late.advertise(&gaen_frame(2)).await.unwrap_err();
        assert!(matches!(refused, RadioError::TooManyAdvertisements));
        mouths.pop().unwrap().stop().await.unwrap();
        late.advertise(&gaen_frame(2)).await.unwrap();
    });
}

#[test]
fn an_adapter_that_is_off_stays_off() {
    with_bus("an_adapter_that_is_off_stays_off", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut scanner = BtleplugScanner::open(&on("hci0")).await.unwrap();
        stack.power("hci0", false).await;
        let (sink, _events) = RadioSink::new(Arc::new(SystemClock::default()), 1);
        let started = scanner.start(Filter::of(&protocols()), sink).await;
        assert!(matches!(started, Err(RadioError::AdapterOff)));
        let advertised = mouth.advertise(&gaen_frame(1)).await;
        assert!(matches!(advertised, Err(RadioError::AdapterOff)));
        for options in [SystemOptions::default(), on("hci0")] {
            assert!(matches!(system(options).await, Err(RadioError::AdapterOff)));
        }
        assert!(!stack.is_powered("hci0").await);
    });
}

#[test]
fn a_scan_outlives_its_adapters_being_off() {
    with_bus("a_scan_outlives_its_adapters_being_off", |bus| async move {
        let _bluez = Fake::start(&bus, 2).await;
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        stack.power("hci1", false).await;
        assert_eq!(ears.state().await, AdapterState::Off);
        stack.power("hci1", true).await;
        assert_eq!(ears.state().await, AdapterState::Ready);
        mouth.advertise(&gaen_frame(1)).await.unwrap();
        ears.hear(&gaen_frame(1)).await;
    });
}

#[test]
fn a_restarted_bluetoothd_is_taken_up_again() {
    with_bus(
        "a_restarted_bluetoothd_is_taken_up_again",
        |bus| async move {
            let bluez = Fake::start(&bus, 2).await;
            let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
            let mut ears = Ears::open("hci1").await;
            mouth.advertise(&gaen_frame(1)).await.unwrap();
            bluez.vanish().await;
            assert_eq!(ears.state().await, AdapterState::Gone);
            let advertised = mouth.advertise(&gaen_frame(2)).await;
            assert!(matches!(advertised, Err(RadioError::NoService(_))));
            bluez.appear().await;
            assert_eq!(ears.state().await, AdapterState::Ready);
            mouth.advertise(&gaen_frame(2)).await.unwrap();
            ears.hear(&gaen_frame(2)).await;
        },
    );
}

#[test]
fn an_unplugged_adapter_is_taken_up_again() {
    with_bus("an_unplugged_adapter_is_taken_up_again", |bus| async move {
        let bluez = Fake::start(&bus, 2).await;
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        bluez.unplug(1);
        assert_eq!(ears.state().await, AdapterState::Gone);
        bluez.unplug(0);
        let advertised = mouth.advertise(&gaen_frame(1)).await;
        assert!(
            matches!(advertised, Err(RadioError::NoAdapter)),
            "{advertised:?}"
        );
        bluez.plug(0);
        bluez.plug(1);
        assert_eq!(ears.state().await, AdapterState::Ready);
        mouth.advertise(&gaen_frame(1)).await.unwrap();
        ears.hear(&gaen_frame(1)).await;
    });
}

#[test]
fn nothing_reaches_the_sink_after_stop() {
    with_bus("nothing_reaches_the_sink_after_stop", |bus| async move {
        let _bluez = Fake::start(&bus, 2).await;
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        mouth.advertise(&gaen_frame(1)).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.hear(&gaen_frame(1)).await;
        ears.scanner.stop().await.unwrap();
        assert!(!stack.is_discovering("hci1").await);
        // The sink has been let go of, so that the queue ends.
        while ears.events.recv().await.is_some() {}
        let (sink, events) = RadioSink::new(Arc::new(SystemClock::default()), 256);
        ears.scanner
            .start(Filter::of(&protocols()), sink)
            .await
            .unwrap();
        ears.events = events;
        assert_eq!(ears.hear(&gaen_frame(1)).await, Rssi::from_dbm(-63));
    });
}

#[test]
fn a_dropped_scanner_ends_its_scan() {
    with_bus("a_dropped_scanner_ends_its_scan", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        let stack = Stack::open();
        let ears = Ears::open("hci0").await;
        assert!(stack.is_discovering("hci0").await);
        drop(ears);
        while stack.is_discovering("hci0").await {}
    });
}

#[test]
fn a_crowd_is_heard_to_the_last() {
    with_bus("a_crowd_is_heard_to_the_last", |bus| async move {
        let _bluez = Fake::start(&bus, 13).await;
        let mut crowd = Vec::new();
        for n in 0..60 {
            let mut mouth = BluezAdvertiser::open(&on(&format!("hci{}", 1 + n / 5)))
                .await
                .unwrap();
            mouth.advertise(&bluezone_frame(n)).await.unwrap();
            crowd.push(mouth);
        }
        let mut ears = Ears::open("hci0").await;
        let mut missing: Vec<_> = (0..60).map(|n| identifier(&bluezone_frame(n))).collect();
        while !missing.is_empty() {
            if let RadioEvent::Heard { frame, .. } = ears.events.recv().await.unwrap() {
                missing.retain(|id| *id != identifier(&frame));
            }
        }
    });
}

/// Each is opened while the one before is still being closed, and gets its number: it must not lose
/// its events for that.
#[test]
fn connections_in_quick_succession() {
    with_bus("connections_in_quick_succession", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        for _ in 0..500 {
            BluezAdvertiser::open(&on("hci0")).await.unwrap();
        }
    });
}

#[test]
fn no_bluetoothd_on_the_bus() {
    with_bus("no_bluetoothd_on_the_bus", |_| async {
        let opened = system(SystemOptions::default()).await;
        assert!(
            matches!(opened, Err(RadioError::NoService(_))),
            "{opened:?}"
        );
    });
}

#[test]
fn no_bus() {
    without_bus("no_bus", |_| async {
        let opened = system(SystemOptions::default()).await;
        assert!(
            matches!(opened, Err(RadioError::NoService(_))),
            "{opened:?}"
        );
    });
}

#[test]
fn no_adapter() {
    with_bus("no_adapter", |bus| async move {
        let _bluez = Fake::start(&bus, 0).await;
        let opened = system(SystemOptions::default()).await;
        assert!(matches!(opened, Err(RadioError::NoAdapter)), "{opened:?}");
    });
}

#[test]
fn an_adapter_by_name_or_address() {
    with_bus("an_adapter_by_name_or_address", |bus| async move {
        let _bluez = Fake::start(&bus, 2).await;
        system(SystemOptions::default()).await.unwrap();
        system(on("00:00:5e:00:53:01")).await.unwrap();
        let missing = system(on("hci7")).await.unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no Bluetooth adapter named hci7; there is hci0, hci1"
        );
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
        stack.power("hci1", false).await;
        assert_eq!(ears.state().await, AdapterState::Off);
        stack.power("hci1", true).await;
        assert_eq!(ears.state().await, AdapterState::Ready);
        mouth.advertise(&gaen_frame(9)).await.unwrap();
        ears.hear(&gaen_frame(9)).await;
        println!("heard again after the adapter had been off");
        ears.scanner.stop().await.unwrap();
        while ears.events.recv().await.is_some() {}

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
