//! What BlueZ signals of the devices that its scan finds.
//!
//! btleplug's own stream of events asks BlueZ for all properties of the device again at each signal, one
//! after the other, and piles up signals without bound meanwhile (0.13.5, `central_events`). The
//! signals hold everything already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbus::arg::{Iter, Variant, prop_cast};
use dbus::nonblock::stdintf::org_freedesktop_dbus::ObjectManager;
use dbus::{Message, Path};
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

use super::bus::{ADAPTER, Bus, DEVICE, OBJECTS, PROPERTIES, radio_error};
use crate::radio::{Peer, Pieces, RadioError};

/// Signals of devices that may wait. Chosen: what a thousand devices send in a few seconds, about a megabyte;
/// what does not fit is counted.
const WAITING_MAX: usize = 4_096;

/// What is signalled.
#[derive(Debug)]
pub(crate) enum Signal {
    /// A device is new, with all its properties, or was there before.
    Device(Peer, Pieces),
    /// Something has changed about a device: it has been heard, as a rule.
    Changed(Peer, Pieces),
    /// BlueZ has forgotten a device.
    Forgotten(Peer),
    /// The adapter has been switched on or off.
    Powered(bool),
    /// So many signals were lost, as they came faster than they were taken.
    Lost(u64),
}

/// The signals of one adapter and its devices, over a connection of their own.
pub(crate) struct Signals {
    bus: Bus,
    gone: watch::Receiver<bool>,
    waiting: mpsc::Receiver<Signal>,
    urgent: Arc<Urgent>,
}

/// What is taken before anything else, and never lost.
#[derive(Default)]
struct Urgent {
    news: Mutex<UrgentNews>,
    came: Notify,
}

/// No more than what was signalled last counts, however much comes.
#[derive(Debug, Default)]
struct UrgentNews {
    lost: u64,
    /// The adapter has been switched off, and all that it did has ended.
    off: bool,
    /// The adapter has been switched on, after that.
    on: bool,
}

impl UrgentNews {
    fn take(&mut self) -> Option<Signal> {
        if std::mem::take(&mut self.off) {
            Some(Signal::Powered(false))
        } else if std::mem::take(&mut self.on) {
            Some(Signal::Powered(true))
        } else {
            match std::mem::take(&mut self.lost) {
                0 => None,
                lost => Some(Signal::Lost(lost)),
            }
        }
    }
}

impl Urgent {
    fn news(&self) -> MutexGuard<'_, UrgentNews> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn powered(&self, on: bool) {
        let mut news = self.news();
        news.off |= !on;
        news.on = on;
        self.came.notify_one();
    }

    fn lost_one(&self) {
        self.news().lost += 1;
        self.came.notify_one();
    }
}

impl Signals {
    /// Those of `adapter` from now on.
    pub(crate) async fn of(adapter: &Path<'static>) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let (sender, waiting) = mpsc::channel(WAITING_MAX);
        let signals = Self {
            gone: bus.presence(),
            bus,
            waiting,
            urgent: Arc::default(),
        };
        let within = format!("path_namespace='{adapter}'");
        let receiver = signals.receiver(&sender, changed);
        let bus = &signals.bus;
        bus.on_signal(PROPERTIES, "PropertiesChanged", &within, receiver)
            .await?;
        let below = format!("arg0path='{adapter}/'");
        let receiver = signals.receiver(&sender, added);
        bus.on_signal(OBJECTS, "InterfacesAdded", &below, receiver)
            .await?;
        let receiver = signals.receiver(&sender, removed);
        bus.on_signal(OBJECTS, "InterfacesRemoved", &below, receiver)
            .await?;
        Ok(signals)
    }

    /// The next signal; `None` once the bus has gone. A call that is given up loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Signal> {
        loop {
            if let Some(signal) = self.urgent.news().take() {
                return Some(signal);
            }
            tokio::select! {
                biased;
                () = self.urgent.came.notified() => {}
                signal = self.waiting.recv() => return signal,
                _ = self.gone.changed() => return None,
            }
        }
    }

    /// Puts what `read` makes of messages where it waits to be taken.
    fn receiver(
        &self,
        sender: &mpsc::Sender<Signal>,
        read: fn(&Message) -> Option<Signal>,
    ) -> impl Fn(&Message) + Send + 'static {
        let (sender, urgent) = (sender.clone(), Arc::clone(&self.urgent));
        move |message| {
            let lost = match read(message) {
                Some(Signal::Powered(on)) => {
                    urgent.powered(on);
                    false
                }
                Some(signal) => sender.try_send(signal).is_err(),
                None => false,
            };
            if lost {
                urgent.lost_one();
            }
        }
    }
}

/// The devices that BlueZ knows on `adapter`, with the services that they have listed.
pub(crate) async fn known_devices(
    bus: &Bus,
    adapter: &Path<'static>,
) -> Result<Vec<(Peer, Vec<Uuid>)>, RadioError> {
    let objects = bus.at(&Path::from("/")).get_managed_objects().await;
    let objects = objects.map_err(radio_error)?;
    let within = format!("{adapter}/");
    let of_adapter = objects
        .into_iter()
        .filter(|(path, _)| path.starts_with(&within));
    let devices = of_adapter.filter_map(|(path, interfaces)| {
        let listed = prop_cast::<Vec<String>>(interfaces.get(DEVICE)?, "UUIDs")?;
        Some((peer(&path)?, uuids(listed)))
    });
    Ok(devices.collect())
}

/// Who stands behind an object such as `/org/bluez/hci0/dev_C0_11_22_33_44_55`.
fn peer(path: &str) -> Option<Peer> {
    let (_, name) = path.rsplit_once("/dev_")?;
    let mut address = [0; 6];
    let mut digits = name.split('_');
    for byte in &mut address {
        *byte = u8::from_str_radix(digits.next()?, 16).ok()?;
    }
    digits.next().is_none().then(|| Peer::from_address(address))
}

/// A dictionary of properties whose values are read when they are wanted.
type Properties<'a> = HashMap<&'a str, Variant<Iter<'a>>>;

fn added(message: &Message) -> Option<Signal> {
    let (path, interfaces) = message.get2::<Path<'_>, HashMap<&str, Properties<'_>>>();
    let properties = interfaces?.remove(DEVICE)?;
    Some(Signal::Device(peer(&path?)?, pieces(properties)))
}

fn removed(message: &Message) -> Option<Signal> {
    let (path, interfaces) = message.get2::<Path<'_>, Vec<&str>>();
    let is_device = interfaces?.contains(&DEVICE);
    is_device.then_some(Signal::Forgotten(peer(&path?)?))
}

fn changed(message: &Message) -> Option<Signal> {
    let (interface, properties) = message.get2::<&str, Properties<'_>>();
    let mut properties = properties?;
    match interface? {
        DEVICE => {
            let peer = peer(&message.path()?)?;
            Some(Signal::Changed(peer, pieces(properties)))
        }
        ADAPTER => {
            let on = properties.get_mut("Powered")?.0.get::<bool>()?;
            Some(Signal::Powered(on))
        }
        _ => None,
    }
}

fn pieces(mut properties: Properties<'_>) -> Pieces {
    let mut value = |name| properties.remove(name).map(|value| value.0);
    let services = value("UUIDs").and_then(|mut it| it.get::<Vec<&str>>());
    let service_data = value("ServiceData").and_then(|mut it| it.get::<Data<&str>>());
    let manufacturer_data = value("ManufacturerData").and_then(|mut it| it.get::<Data<u16>>());
    Pieces {
        rssi_dbm: value("RSSI").and_then(|mut it| it.get::<i16>()),
        services: services.map(uuids),
        service_data: service_data
            .into_iter()
            .flatten()
            .filter_map(|(uuid, data)| Some((uuid.parse().ok()?, data.0)))
            .collect(),
        manufacturer_data: manufacturer_data
            .into_iter()
            .flatten()
            .map(|(company, data)| (company, data.0))
            .collect(),
    }
}

type Data<K> = HashMap<K, Variant<Vec<u8>>>;

fn uuids(listed: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<Uuid> {
    let parsed = |text: &dyn AsRef<str>| text.as_ref().parse().ok();
    listed.into_iter().filter_map(|it| parsed(&it)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switching_off_is_told_however_often_it_is_switched() {
        let told = |switched: &[bool]| {
            let urgent = Urgent::default();
            switched.iter().for_each(|on| urgent.powered(*on));
            urgent.lost_one();
            let mut news = urgent.news();
            std::iter::from_fn(|| news.take())
                .map(|signal| match signal {
                    Signal::Powered(on) => u64::from(on),
                    Signal::Lost(count) => 10 * count,
                    other => panic!("{other:?}"),
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(told(&[]), [10]);
        assert_eq!(told(&[true]), [1, 10]);
        assert_eq!(told(&[false, true]), [0, 1, 10]);
        assert_eq!(told(&[true, false]), [0, 10]);
        assert_eq!(told(&[false, true, false, true, false, true]), [0, 1, 10]);
    }

    #[test]
    fn peers_by_their_objects() {
        let path = "/org/bluez/hci0/dev_C0_11_22_33_44_55";
        let address = [0xC0, 0x11, 0x22, 0x33, 0x44, 0x55];
        assert_eq!(peer(path), Some(Peer::from_address(address)));
        assert_eq!(peer("hci0/dev_C0_11_22_33_44_55"), peer(path));
        for other in [
            "/org/bluez/hci0",
            "/org/bluez/hci0/dev_C0_11_22_33_44",
            "/org/bluez/hci0/dev_C0_11_22_33_44_55_66",
            "/org/bluez/hci0/dev_C0_11_22_33_44_XY",
            "/org/bluez/hci0/dev_C0_11_22_33_44_55/service0001",
        ] {
            assert_eq!(peer(other), None, "{other}");
        }
    }
}
