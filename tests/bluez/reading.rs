//! Identifiers read over connections.

use std::time::Duration;

use truyvet::protocol::bluezone::WireProfile;
use truyvet::radio::bluez::BluezReader;
use truyvet::radio::{GattReader, GattRequest, Peer, RadioError};

use super::fake::{Fake, Phone};
use super::{on, with_bluez};

const ADDRESS: [u8; 6] = [0x4A, 0, 0, 0, 0, 0x0F];

/// One that offers an identifier.
fn iphone() -> Phone {
    let profile = WireProfile::default();
    let uuids = [profile.ios_service, profile.ios_characteristic];
    let [service, characteristic] = uuids.map(|uuid| uuid.to_string());
    Phone {
        offers: (service, characteristic, vec![7; 12]),
        ..Phone::default()
    }
}

fn request() -> GattRequest {
    let profile = WireProfile::default();
    let peer = Peer::from_address(ADDRESS);
    GattRequest::new(peer, profile.ios_service, profile.ios_characteristic)
}

/// A reader with `phone` in its range.
async fn reader_near(bluez: &Fake, phone: Phone) -> BluezReader {
    bluez.put_phone(0, ADDRESS, phone);
    BluezReader::open(&on("hci0")).await.unwrap()
}

fn blames_peer(result: Result<Vec<u8>, RadioError>, why: &str) {
    match result {
        Err(RadioError::Peer(text)) => assert_eq!(text, why),
        other => panic!("expected {why:?}, got {other:?}"),
    }
}

#[test]
fn an_identifier_is_read_and_the_phone_forgotten() {
    with_bluez(1, async |bluez| {
        let mut reader = reader_near(bluez, iphone()).await;
        let read = reader.read(request()).await.unwrap();
        assert_eq!(read, [7; 12]);
        reader.disconnect().await;
        let calls = bluez.phone_calls();
        assert_eq!(calls, ["Connect", "ReadValue", "RemoveDevice"]);
        // Nothing is left to end.
        reader.disconnect().await;
        assert_eq!(bluez.phone_calls().len(), 3);
        blames_peer(reader.read(request()).await, "it has gone");
    });
}

#[test]
fn a_phone_that_offers_something_else_is_forgotten_too() {
    with_bluez(1, async |bluez| {
        let (service, characteristic, value) = iphone().offers;
        let battery = "0000180f-0000-1000-8000-00805f9b34fb".to_owned();
        let level = "00002a19-0000-1000-8000-00805f9b34fb".to_owned();
        for offers in [
            (battery, characteristic, value.clone()),
            (service, level, value),
        ] {
            let phone = Phone {
                offers,
                ..Phone::default()
            };
            let mut reader = reader_near(bluez, phone).await;
            let before = bluez.phone_calls().len();
            let read = reader.read(request()).await;
            blames_peer(read, "it does not offer an identifier");
            reader.disconnect().await;
            assert_eq!(bluez.phone_calls()[before..], ["Connect", "RemoveDevice"]);
        }
    });
}

#[test]
fn an_attempt_to_connect_that_is_given_up_is_ended() {
    let phone = Phone {
        hangs: true,
        ..iphone()
    };
    with_bluez(1, async |bluez| {
        let mut reader = reader_near(bluez, phone).await;
        let attempted = async {
            while bluez.phone_calls().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            read = reader.read(request()) => panic!("{read:?}"),
            () = attempted => {}
        }
        reader.disconnect().await;
        assert_eq!(bluez.phone_calls(), ["Connect", "RemoveDevice"]);
    });
}

#[test]
fn the_owners_device_is_left_alone() {
    let phone = Phone {
        paired: true,
        ..iphone()
    };
    with_bluez(1, async |bluez| {
        let mut reader = reader_near(bluez, phone).await;
        blames_peer(reader.read(request()).await, "its owner has paired it");
        reader.disconnect().await;
        assert!(bluez.phone_calls().is_empty());
    });
}

#[test]
fn a_phone_is_not_forgotten_before_bluez_has_said_so() {
    with_bluez(1, async |bluez| {
        let mut reader = reader_near(bluez, iphone()).await;
        reader.read(request()).await.unwrap();
        bluez.ignore_removals(1);
        let given_up = tokio::time::timeout(Duration::from_millis(100), reader.disconnect());
        assert!(given_up.await.is_err());
        reader.disconnect().await;
        assert_eq!(bluez.phone_calls()[2..], ["RemoveDevice", "RemoveDevice"]);
        blames_peer(reader.read(request()).await, "it has gone");
    });
}
