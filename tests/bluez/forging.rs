//! Somebody else on the bus.

use std::collections::HashMap;
use std::time::Instant;

use dbus::Message;
use dbus::arg::{PropMap, RefArg, Variant};
use dbus::channel::{BusType, Channel};

use super::*;

/// Connections that a private bus has seen by far.
const CONNECTIONS: usize = 40;

/// Sends `signal` to everybody by name.
fn forge(signal: impl Fn() -> Message) {
    let channel = Channel::get_private(BusType::System).unwrap();
    for number in 0..CONNECTIONS {
        let mut message = signal();
        message.set_destination(Some(format!(":1.{number}").into()));
        channel.send(message).unwrap();
    }
    channel.flush();
}

fn owner_gone() -> Message {
    Message::new_signal(
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus",
        "NameOwnerChanged",
    )
    .unwrap()
    .append3("org.bluez", ":1.0", "")
}

fn asleep() -> Message {
    Message::new_signal(
        "/org/freedesktop/login1",
        "org.freedesktop.login1.Manager",
        "PrepareForSleep",
    )
    .unwrap()
    .append1(true)
}

fn properties(path: &str, interface: &str, properties: PropMap) -> Message {
    Message::new_signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged")
        .unwrap()
        .append3(interface, properties, Vec::<String>::new())
}

fn switched_off() -> Message {
    let off = PropMap::from([("Powered".to_owned(), Variant(Box::new(false) as Box<_>))]);
    properties("/org/bluez/hci1", "org.bluez.Adapter1", off)
}

fn heard(byte: u8) -> Message {
    let uuid = "0000fd6f-0000-1000-8000-00805f9b34fb".to_owned();
    let data = HashMap::from([(uuid, Variant(vec![byte; 20]))]);
    let frame = PropMap::from([
        (
            "RSSI".to_owned(),
            Variant(Box::new(-40_i16) as Box<dyn RefArg>),
        ),
        ("ServiceData".to_owned(), Variant(Box::new(data))),
    ]);
    let path = "/org/bluez/hci1/dev_C0_11_22_33_44_55";
    properties(path, "org.bluez.Device1", frame)
}

#[test]
fn signals_of_others_are_not_believed() {
    with_bluez(2, async |_| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let mut ears = Ears::open("hci1").await;
        ears.hear_from(&mut mouth, &gaen_frame(1)).await;
        for forged in [owner_gone, asleep, switched_off] {
            forge(forged);
        }
        forge(|| heard(9));
        // Whatever was believed comes before these.
        let sent = Instant::now();
        let mut later = 0;
        while later < 20 {
            match ears.events.next().await.unwrap() {
                RadioEvent::Heard { frame, .. } => {
                    assert_eq!(identifier(&frame), identifier(&gaen_frame(1)));
                    later += 1;
                }
                RadioEvent::Adapter(state) => panic!("{state:?} after {:?}", sent.elapsed()),
                _ => {}
            }
        }
    });
}
