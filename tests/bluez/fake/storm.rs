//! A storm of addresses, each of which BlueZ reports once.

use std::collections::HashMap;
use std::ops::Range;

use dbus::Path;
use dbus::arg::{PropMap, RefArg, Variant};
use dbus::channel::Channel;
use dbus::message::SignalArgs;
use dbus::nonblock::stdintf::org_freedesktop_dbus::ObjectManagerInterfacesAdded;

use super::{BASE_UUID_TAIL, DEVICE, Data, Fake, path};

impl Fake {
    /// Has hci0 find a device for each of `numbers`, as fast as the bus takes them, whose service data
    /// under 0xFD6F is what `data_of` makes of the number. Nobody can ask for their properties: they have
    /// gone again.
    pub(crate) fn storm(&self, numbers: Range<u32>, data_of: fn(u32) -> Vec<u8>) {
        let channel: &Channel = (*self.connection).as_ref();
        for number in numbers {
            let found = ObjectManagerInterfacesAdded {
                object: device_path(number),
                interfaces: HashMap::from([(DEVICE.to_owned(), properties(data_of(number)))]),
            };
            channel.send(found.to_emit_message(&"/".into())).unwrap();
            // Waits until the bus has taken all.
            channel.flush();
        }
    }
}

fn device_path(number: u32) -> Path<'static> {
    let [a, b, c, d] = number.to_be_bytes();
    format!("{}/dev_C0_00_{a:02X}_{b:02X}_{c:02X}_{d:02X}", path(0)).into()
}

fn properties(data: Vec<u8>) -> PropMap {
    let service = format!("0000fd6f{BASE_UUID_TAIL}");
    let service_data: Data<String> = HashMap::from([(service.clone(), Variant(data))]);
    let property = |name: &str, value: Box<dyn RefArg>| (name.to_owned(), Variant(value));
    HashMap::from([
        property("RSSI", Box::new(-63_i16)),
        property("UUIDs", Box::new(vec![service])),
        property("ServiceData", Box::new(service_data)),
    ])
}
