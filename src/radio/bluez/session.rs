//! Advertisements as objects on the bus, registered with BlueZ.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbus::arg::PropMap;
use dbus::{MethodErr, Path};
use dbus_crossroads::{Crossroads, IfaceBuilder, IfaceToken};

use super::bus::{ADVERTISING, Bus, radio_error};
use super::payload::Payload;
use super::surroundings;
use crate::radio::{Advertised, Caveat, RadioError};

/// GAEN's advertising interval, 200 to 270 ms (Exposure Notification Bluetooth Specification v1.2,
/// "Broadcasting Behavior"); Bluezone names none. BlueZ before 5.77 heeds it only if started with
/// `--experimental`, and takes 1.28 s otherwise.
const INTERVAL_MS: (u32, u32) = (200, 270);

/// What the kernel takes where BlueZ names none: 0x0800 times 0.625 ms (`le_adv_max_interval` in
/// net/bluetooth/hci_core.c).
const INTERVAL_DEFAULT: Duration = Duration::from_millis(1_280);

const SLOW: Caveat = Caveat::SlowInterval {
    why: "BlueZ before 5.77 sends every 1.28 s: update it, or start bluetoothd with --experimental",
};

/// What BlueZ reads of one advertisement.
#[derive(Clone)]
pub(super) struct Broadcast {
    pub(super) kind: &'static str,
    pub(super) payload: Payload,
    pub(super) timeout_s: u16,
}

/// A connection that serves advertisement objects to BlueZ.
pub(super) struct Session {
    pub(super) bus: Bus,
    objects: Arc<Mutex<Crossroads>>,
    interface: IfaceToken<Broadcast>,
    /// What BlueZ makes of advertisements, and since which of its changes.
    manner: Option<(u64, Advertised)>,
    /// What is registered, or may be, and on which adapter.
    current: Option<(Path<'static>, Path<'static>)>,
}

impl Session {
    pub(super) async fn open() -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        bus.follow_owner().await?;
        let mut objects = Crossroads::new();
        let interface = objects.register("org.bluez.LEAdvertisement1", describe);
        let objects = bus.serve(objects);
        Ok(Self {
            bus,
            objects,
            interface,
            manner: None,
            current: None,
        })
    }

    pub(super) async fn register(
        &mut self,
        adapter: &Path<'static>,
        object: Path<'static>,
        broadcast: Broadcast,
    ) -> Result<Advertised, RadioError> {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object.clone(), &[self.interface], broadcast);
        // Noted before the call: if the caller gives up waiting, it is unregistered all the same.
        self.current = Some((object.clone(), adapter.clone()));
        let options = PropMap::new();
        let method = "RegisterAdvertisement";
        self.bus
            .call::<()>(adapter, ADVERTISING, method, (object, options))
            .await
            .map_err(radio_error)?;
        Ok(self.manner(adapter).await)
    }

    /// What BlueZ makes of advertisements. It is the same for as long as `bluetoothd` runs.
    async fn manner(&mut self, adapter: &Path<'static>) -> Advertised {
        let changes = self.bus.changes();
        match &self.manner {
            Some((since, manner)) if *since == changes => manner.clone(),
            _ => {
                let manner = advertised(self.bus.heeds_intervals(adapter).await);
                self.manner.insert((changes, manner)).1.clone()
            }
        }
    }

    pub(super) async fn unregister(&mut self) -> Result<(), RadioError> {
        let Some((object, adapter)) = self.current.clone() else {
            return Ok(());
        };
        let answer = self
            .bus
            .call::<()>(
                &adapter,
                ADVERTISING,
                "UnregisterAdvertisement",
                (object.clone(),),
            )
            .await;
        match answer {
            Err(error) if !is_gone_already(&error) => return Err(radio_error(error)),
            Ok(()) | Err(_) => {}
        }
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove::<Broadcast>(&object);
        self.current = None;
        Ok(())
    }
}

/// Whether BlueZ does not know the advertisement (any more, if its time is over), or is not there at all, or not the adapter.
fn is_gone_already(error: &dbus::Error) -> bool {
    matches!(
        error.name(),
        Some(
            "org.bluez.Error.DoesNotExist"
                | "org.freedesktop.DBus.Error.ServiceUnknown"
                | "org.freedesktop.DBus.Error.NameHasNoOwner"
                | "org.freedesktop.DBus.Error.UnknownObject"
        )
    )
}

/// `org.bluez.LEAdvertisement1`, as BlueZ's `doc/advertising-api.txt` has it.
fn describe(interface: &mut IfaceBuilder<Broadcast>) {
    // BlueZ says that it has dropped the advertisement: its time is over, and the next one's has come,
    // or the adapter has gone, as the scanner reports.
    interface.method("Release", (), (), |_, _, ()| Ok(()));
    interface
        .property("Type")
        .get(|_, broadcast| Ok(broadcast.kind.to_owned()));
    interface
        .property("Timeout")
        .get(|_, broadcast| Ok(broadcast.timeout_s));
    interface
        .property("MinInterval")
        .get(|_, _| Ok(INTERVAL_MS.0));
    interface
        .property("MaxInterval")
        .get(|_, _| Ok(INTERVAL_MS.1));
    interface
        .property("ServiceUUIDs")
        .get(|_, Broadcast { payload, .. }| {
            unless_empty(&payload.services, payload.services.is_empty())
        });
    interface
        .property("ServiceData")
        .get(|_, Broadcast { payload, .. }| {
            unless_empty(&payload.service_data, payload.service_data.is_empty())
        });
    interface
        .property("ManufacturerData")
        .get(|_, Broadcast { payload, .. }| {
            let empty = payload.manufacturer_data.is_empty();
            unless_empty(&payload.manufacturer_data, empty)
        });
}

/// A property that is left out where there is nothing in it.
fn unless_empty<T: Clone>(value: &T, empty: bool) -> Result<T, MethodErr> {
    if empty {
        return Err(MethodErr::failed("not set"));
    }
    Ok(value.clone())
}

/// What BlueZ makes of an advertisement.
fn advertised(heeds_intervals: bool) -> Advertised {
    let mut caveats: Vec<_> = surroundings::privacy().into_iter().collect();
    if !heeds_intervals {
        caveats.push(SLOW);
    }
    let interval = match heeds_intervals {
        true => Duration::from_millis(INTERVAL_MS.1.into()),
        false => INTERVAL_DEFAULT,
    };
    Advertised {
        interval: Some(interval),
        caveats,
    }
}
