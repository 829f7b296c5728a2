//! Advertising through BlueZ, the Bluetooth daemon of Linux.
//!
//! A program hands BlueZ an object of interface `org.bluez.LEAdvertisement1`, which BlueZ reads once
//! and advertises until it is told to stop or the program leaves the bus.

mod bus;
mod device;
mod monitor;
mod payload;
mod server;
mod signals;
mod surroundings;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dbus::arg::PropMap;
use dbus::{MethodErr, Path};
use dbus_crossroads::{Crossroads, IfaceBuilder, IfaceToken};

use self::bus::{ADVERTISING, radio_error};
pub(super) use self::bus::{Adapter, Bus, Presence, choose};
pub(super) use self::monitor::Monitor;
use self::payload::Payload;
pub use self::server::BluezGattServer;
pub(super) use self::signals::{Signal, Signals, known_devices, peer};
use super::btleplug::Pauses;
use super::{Advertised, Advertiser, Caveat, RadioError, SystemOptions};
use crate::advertisement::Advertisement;

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

const CANNOT_ADVERTISE: RadioError = RadioError::Unsupported {
    why: "the Bluetooth adapter cannot advertise",
};

/// `Type` of an advertisement from which nobody can connect.
const BROADCAST: &str = "broadcast";

/// `Type` of one that invites to connect.
const CONNECTABLE: &str = "peripheral";

/// By how much an advertisement may outlive its identifier: longer than an ordinary rotation takes, so
/// that BlueZ ends only what has been left alone.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(2);

/// Advertises through BlueZ, non-connectable (`Type = "broadcast"`).
///
/// The kernel gives every broadcast a non-resolvable private address of its own, fresh with each
/// [`advertise`](Advertiser::advertise). That holds unless `Privacy` is switched on in BlueZ's
/// `main.conf`: broadcasts have a resolvable address then that outlives the frame, so that
/// identifiers can be linked by it. It has to stay off on a machine that traces contacts.
///
/// Controllers without extended advertising take no new random address while they scan (Bluetooth Core
/// Specification 5.4, Vol. 4, Part E, 7.8.4). [`system`](super::system)'s radio has its scan pause
/// then, for a fraction of a second at each rotation; an advertiser of its own cannot begin during any
/// scan on such a controller.
///
/// BlueZ ends an advertisement by itself some two seconds after its lifetime. Dropped without
/// [`stop`](Advertiser::stop), the advertiser leaves the bus, whereupon BlueZ ends the
/// advertisement; only `stop` waits for that.
pub struct BluezAdvertiser {
    adapter: Path<'static>,
    /// [`BROADCAST`] or [`CONNECTABLE`].
    kind: &'static str,
    /// Of the scan on the same adapter, if that is ours.
    pauses: Option<Pauses>,
    /// Whether the controller has refused to begin during a scan, and begun in a pause.
    needs_pauses: bool,
    /// Opened when first needed, and anew after the bus or BlueZ have failed us.
    session: Option<Session>,
    /// Numbers the objects, so that no two advertisements share a path.
    objects: u64,
}

impl BluezAdvertiser {
    /// Advertises on the adapter that `options` name, or else on the first that is switched on.
    ///
    /// # Errors
    ///
    /// [`RadioError`]; [`RadioError::Unsupported`] if the adapter cannot advertise.
    pub async fn open(options: &SystemOptions) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let adapter = choose(&bus.adapters().await?, options.adapter.as_deref())?;
        match adapter.advertises {
            true => Ok(Self::on(&adapter)),
            false => Err(CANNOT_ADVERTISE),
        }
    }

    pub(super) fn on(adapter: &Adapter) -> Self {
        Self::of_kind(adapter, BROADCAST)
    }

    fn of_kind(adapter: &Adapter, kind: &'static str) -> Self {
        Self {
            adapter: adapter.path.clone(),
            kind,
            pauses: None,
            needs_pauses: false,
            session: None,
            objects: 0,
        }
    }

    /// Advertises where a scanner of ours scans, which is asked for `pauses`.
    pub(super) fn beside(pauses: Pauses, adapter: &Adapter) -> Self {
        Self {
            pauses: Some(pauses),
            ..Self::on(adapter)
        }
    }

    /// Puts `broadcast` in place of what is advertised.
    async fn replace(&mut self, broadcast: Broadcast) -> Result<bool, RadioError> {
        // Unregistered and registered anew, rather than changed in place: BlueZ answers to both
        // steps, whereas a change is a signal that it may refuse without a word, the old identifier
        // staying on the air. Besides, the kernel gives a legacy controller changed data before it
        // disables the old address, so that both are on the air together for some milliseconds
        // (tests/stack/rotation.rs). The silence between is some 0.1 seconds on an emulated machine.
        //
        // A failure to end is none to begin: the connection has been closed then, and the next is
        // opened behind it on the same bus.
        let _ = self.end().await;
        let registered = self.register(broadcast).await;
        if registered.is_err() {
            // A registration that was not answered in time may still succeed unseen.
            self.disconnect().await;
        }
        registered
    }

    /// The same while our own scan pauses.
    async fn replace_in_pause(&mut self, broadcast: Broadcast) -> Result<bool, RadioError> {
        let paused = match &self.pauses {
            Some(pauses) => pauses.pause().await,
            None => None,
        };
        let replaced = self.replace(broadcast).await;
        drop(paused);
        replaced
    }

    /// Tells whether BlueZ heeds the interval.
    async fn register(&mut self, broadcast: Broadcast) -> Result<bool, RadioError> {
        self.objects += 1;
        let object = Path::from(format!("/vn/truyvet/advertisement{}", self.objects));
        let adapter = self.adapter.clone();
        let session = self.session().await?;
        // An adapter that is off takes the advertisement and says nothing, to advertise it once on.
        session.bus.require_powered(&adapter).await?;
        match session.register(&adapter, object, broadcast).await {
            Err(RadioError::AdvertisementRefused) if session.bus.is_scanning(&adapter).await => {
                Err(RadioError::ScanInTheWay)
            }
            registered => registered,
        }
    }

    async fn session(&mut self) -> Result<&mut Session, RadioError> {
        let session = match self.session.take() {
            Some(session) if !session.bus.is_lost() => session,
            _ => Session::open().await?,
        };
        Ok(self.session.insert(session))
    }

    /// Ends what is advertised. Whatever happens, it is not after this: if BlueZ does not say that it
    /// has unregistered the advertisement, the connection is closed, and the advertisement goes with
    /// it.
    async fn end(&mut self) -> Result<(), RadioError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let ended = session.unregister(&self.adapter).await;
        if ended.is_err() {
            self.disconnect().await;
        }
        ended
    }

    async fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            session.bus.close().await;
        }
    }
}

impl Advertiser for BluezAdvertiser {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        lifetime: Duration,
    ) -> Result<Advertised, RadioError> {
        let broadcast = match Payload::of(frame) {
            Ok(payload) => Broadcast {
                kind: self.kind,
                payload,
                timeout_s: timeout_s(lifetime),
            },
            Err(error) => {
                let _ = self.end().await;
                return Err(error);
            }
        };
        if !self.needs_pauses {
            match self.replace(broadcast.clone()).await {
                Err(RadioError::ScanInTheWay) if self.pauses.is_some() => {}
                replaced => return replaced.map(advertised),
            }
        }
        let replaced = self.replace_in_pause(broadcast).await;
        self.needs_pauses |= replaced.is_ok();
        replaced.map(advertised)
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        let ended = self.end().await;
        self.disconnect().await;
        ended
    }
}

impl std::fmt::Debug for BluezAdvertiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BluezAdvertiser")
            .field("adapter", &&*self.adapter)
            .finish_non_exhaustive()
    }
}

/// What BlueZ reads of one advertisement.
#[derive(Clone)]
struct Broadcast {
    kind: &'static str,
    payload: Payload,
    timeout_s: u16,
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

/// When BlueZ is to end an advertisement of this `lifetime`, in whole seconds; at most 18 hours, as it
/// counts in 16 bits.
fn timeout_s(lifetime: Duration) -> u16 {
    let seconds = lifetime.saturating_add(TIMEOUT_MARGIN).as_millis();
    u16::try_from(seconds.div_ceil(1_000)).unwrap_or(u16::MAX)
}

/// A connection that serves advertisement objects to BlueZ.
struct Session {
    bus: Bus,
    objects: Arc<Mutex<Crossroads>>,
    interface: IfaceToken<Broadcast>,
    /// What is registered, or may be.
    current: Option<Path<'static>>,
}

impl Session {
    async fn open() -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let mut objects = Crossroads::new();
        let interface = objects.register("org.bluez.LEAdvertisement1", describe);
        let objects = bus.serve(objects);
        Ok(Self {
            bus,
            objects,
            interface,
            current: None,
        })
    }

    async fn register(
        &mut self,
        adapter: &Path<'static>,
        object: Path<'static>,
        broadcast: Broadcast,
    ) -> Result<bool, RadioError> {
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(object.clone(), &[self.interface], broadcast);
        // Noted before the call: if the caller gives up waiting, it is unregistered all the same.
        self.current = Some(object.clone());
        let options = PropMap::new();
        let method = "RegisterAdvertisement";
        self.bus
            .call::<()>(adapter, ADVERTISING, method, (object, options))
            .await
            .map_err(radio_error)?;
        // Asked each time: `bluetoothd` may have been started anew meanwhile.
        Ok(self.bus.heeds_intervals(adapter).await)
    }

    async fn unregister(&mut self, adapter: &Path<'static>) -> Result<(), RadioError> {
        let Some(object) = self.current.clone() else {
            return Ok(());
        };
        let answer = self
            .bus
            .call::<()>(
                adapter,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_comes_after_the_rotation() {
        let timeout = |ms| timeout_s(Duration::from_millis(ms));
        assert_eq!([0, 1, 1_000, 899_500].map(timeout), [2, 3, 3, 902]);
        assert_eq!(timeout_s(Duration::MAX), u16::MAX);
    }
}
