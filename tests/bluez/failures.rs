//! What goes wrong, told apart, and what is taken up again after it.

use std::sync::Arc;

use truyvet::radio::bluez::BluezAdvertiser;
use truyvet::radio::btleplug::BtleplugScanner;
use truyvet::radio::{
    AdapterState, Advertiser, Filter, RadioError, RadioSink, Scanner, SystemOptions, system,
};
use truyvet::time::SystemClock;

use super::fake::{Fake, INSTANCES_MAX};
use super::private_bus::{with_bus, with_denying_bus, without_bus};
use super::stack::Stack;
use super::{Ears, SLOT, gaen_frame, on, protocols, with_bluez};

#[test]
fn no_room_for_another_advertisement() {
    with_bluez(1, async |_| {
        let mut mouths = Vec::new();
        for _ in 0..INSTANCES_MAX {
            let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
            mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
            mouths.push(mouth);
        }
        let mut late = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let refused = late.advertise(&gaen_frame(2), SLOT).await.unwrap_err();
        assert!(matches!(refused, RadioError::TooManyAdvertisements));
        mouths.pop().unwrap().stop().await.unwrap();
        late.advertise(&gaen_frame(2), SLOT).await.unwrap();
    });
}

#[test]
fn an_adapter_that_is_off_stays_off() {
    with_bluez(1, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut scanner = BtleplugScanner::open(&on("hci0")).await.unwrap();
        stack.power("hci0", false).await;
        let (sink, _events) = RadioSink::new(Arc::new(SystemClock::default()), 1);
        let started = scanner.start(Filter::of(&protocols()), sink).await;
        assert!(matches!(started, Err(RadioError::AdapterOff)));
        let advertised = mouth.advertise(&gaen_frame(1), SLOT).await;
        assert!(matches!(advertised, Err(RadioError::AdapterOff)));
        for options in [SystemOptions::default(), on("hci0")] {
            assert!(matches!(system(options).await, Err(RadioError::AdapterOff)));
        }
        assert!(!stack.is_powered("hci0").await);
    });
}

#[test]
fn a_scan_outlives_its_adapters_being_off() {
    with_bluez(2, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.off_and_on(&stack).await;
        ears.hear_from(&mut mouth, &gaen_frame(1)).await;
    });
}

#[test]
fn a_start_with_the_adapter_off_goes_on_once_it_is_on() {
    with_bluez(2, async |_| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        stack.power("hci1", false).await;
        assert_eq!(ears.state().await, AdapterState::Off);
        for _ in 0..2 {
            ears.scanner.stop().await.unwrap();
            let refused = ears.restart().await;
            assert!(matches!(refused, Err(RadioError::AdapterOff)));
        }
        stack.power("hci1", true).await;
        assert_eq!(ears.state().await, AdapterState::Ready);
        ears.hear_from(&mut mouth, &gaen_frame(1)).await;
    });
}

#[test]
fn a_first_start_with_the_adapter_gone_goes_on_once_it_is_back() {
    with_bluez(2, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let scanner = BtleplugScanner::open(&on("hci1")).await.unwrap();
        let (_, events) = RadioSink::new(Arc::new(SystemClock::default()), 1);
        let mut ears = Ears { scanner, events };
        bluez.unplug(1);
        let refused = ears.restart().await;
        assert!(matches!(refused, Err(RadioError::NoAdapter)));
        bluez.plug(1);
        while ears.state().await != AdapterState::Ready {}
        ears.hear_from(&mut mouth, &gaen_frame(1)).await;
    });
}

#[test]
fn the_adapter_is_watched_in_a_pause() {
    with_bluez(2, async |bluez| {
        let stack = Stack::open();
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.scanner.stop().await.unwrap();

        ears.off_and_on(&stack).await;
        bluez.vanish().await;
        bluez.appear().await;
        assert_eq!(ears.state().await, AdapterState::Gone);
        assert_eq!(ears.state().await, AdapterState::Ready);

        assert!(!stack.is_discovering("hci1").await);
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        ears.restart().await.unwrap();
        ears.hear(&gaen_frame(1)).await;
    });
}

/// As when an adapter goes and comes before anybody looks.
#[test]
fn an_adapter_that_was_away_unseen_has_been_gone() {
    with_bluez(1, async |bluez| {
        let mut ears = Ears::open("hci0").await;
        for _ in 0..2 {
            bluez.plug(0);
            assert_eq!(ears.state().await, AdapterState::Gone);
            assert_eq!(ears.state().await, AdapterState::Ready);
            ears.scanner.stop().await.unwrap();
        }
    });
}

#[test]
fn a_restarted_bluetoothd_is_taken_up_again() {
    with_bluez(2, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        bluez.vanish().await;
        assert_eq!(ears.state().await, AdapterState::Gone);
        let advertised = mouth.advertise(&gaen_frame(2), SLOT).await;
        assert!(matches!(advertised, Err(RadioError::NoService(_))));
        bluez.appear().await;
        assert_eq!(ears.state().await, AdapterState::Ready);
        ears.hear_from(&mut mouth, &gaen_frame(2)).await;
    });
}

#[test]
fn a_scan_refused_at_first_is_asked_for_again() {
    with_bluez(1, async |bluez| {
        let stack = Stack::open();
        let mut ears = Ears::open("hci0").await;
        stack.power("hci0", false).await;
        assert_eq!(ears.state().await, AdapterState::Off);
        bluez.refuse_scans(1);
        stack.power("hci0", true).await;
        assert_eq!(ears.state().await, AdapterState::Ready);
        assert!(stack.is_discovering("hci0").await);
    });
}

#[test]
fn an_unplugged_adapter_is_taken_up_again() {
    with_bluez(2, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        bluez.unplug(1);
        assert_eq!(ears.state().await, AdapterState::Gone);
        bluez.unplug(0);
        let advertised = mouth.advertise(&gaen_frame(1), SLOT).await;
        assert!(
            matches!(advertised, Err(RadioError::NoAdapter)),
            "{advertised:?}"
        );
        bluez.plug(0);
        bluez.plug(1);
        assert_eq!(ears.state().await, AdapterState::Ready);
        ears.hear_from(&mut mouth, &gaen_frame(1)).await;
    });
}

#[test]
fn a_machine_that_sleeps_has_no_adapter() {
    with_bluez(2, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        for _ in 0..2 {
            let before = bluez.scans();
            bluez.sleep(true).await;
            assert_eq!(ears.state().await, AdapterState::Gone);
            bluez.sleep(false).await;
            assert_eq!(ears.state().await, AdapterState::Ready);
            assert!(bluez.scans() > before);
            ears.hear_from(&mut mouth, &gaen_frame(1)).await;
        }
    });
}

#[test]
fn no_bluetoothd_on_the_bus() {
    with_bus("failures::no_bluetoothd_on_the_bus", |_| no_service());
}

#[test]
fn no_bus() {
    without_bus("failures::no_bus", |_| no_service());
}

async fn no_service() {
    let opened = system(SystemOptions::default()).await;
    assert!(
        matches!(opened, Err(RadioError::NoService(_))),
        "{opened:?}"
    );
}

#[test]
fn no_permission() {
    with_denying_bus("failures::no_permission", |bus| async move {
        let _bluez = Fake::start(&bus, 1).await;
        let opened = system(SystemOptions::default()).await;
        let error = opened.unwrap_err();
        let RadioError::PermissionDenied(why) = &error else {
            panic!("{error}")
        };
        assert_eq!(why, "Rejected send message, 2 matched rules");
    });
}

#[test]
fn no_adapter() {
    with_bluez(0, async |_| {
        let opened = system(SystemOptions::default()).await;
        assert!(matches!(opened, Err(RadioError::NoAdapter)), "{opened:?}");
    });
}

#[test]
fn an_adapter_by_name_or_address() {
    with_bluez(2, async |_| {
        system(SystemOptions::default()).await.unwrap();
        system(on("00:00:5e:00:53:01")).await.unwrap();
        let missing = system(on("hci7")).await.unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no Bluetooth adapter named hci7; there is hci0, hci1"
        );
    });
}
