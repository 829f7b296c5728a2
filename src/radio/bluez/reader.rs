//! Reading from peers through BlueZ.

use std::time::Duration;

use dbus::Path;
use dbus::arg::{PropMap, prop_cast};
use dbus::nonblock::stdintf::org_freedesktop_dbus::{ObjectManager, Properties};
use tokio::sync::watch;
use uuid::Uuid;

use super::super::btleplug::Pauses;
use super::bus::{Bus, DEVICE, PROPERTIES, radio_error, text};
use super::following::Place;
use crate::radio::{GattReader, GattRequest, Peer, RadioError, SystemOptions};

const SERVICE: &str = "org.bluez.GattService1";
const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";

/// How long the scan pauses at most for a connection to come about. Chosen: as long as the kernel tries
/// to connect to one that it has heard (`HCI_LE_AUTOCONN_TIMEOUT` in include/net/bluetooth/hci.h);
/// a peer out of reach is no reason to be deaf for longer.
const PAUSE_MAX: Duration = Duration::from_secs(4);

/// Reads from the peers that a scanner hears on the same adapter.
///
/// A device that its owner has paired or trusts, or that is connected already, is left alone. BlueZ is
/// made to forget any other after the read, which ends the connection, as it would keep a list of them
/// on disk: also one that has become paired during the read, for it was the peer that asked for that,
/// and not the owner of this device.
///
/// While a connection is on its way, [`system`](crate::radio::system)'s radio has its scan pause. The kernel
/// connects to a device once it has heard it anew (`hci_connect_le_scan` in net/bluetooth/hci_conn.c),
/// and a controller need not report one again that it has reported in the scan that goes on.
pub struct BluezReader {
    place: Place,
    /// Of the scan on the same adapter, if that is ours.
    pauses: Option<Pauses>,
    /// What BlueZ has not forgotten yet, as far as known.
    remembered: Option<Peer>,
    bus: Option<Bus>,
}

impl BluezReader {
    /// Reads with the adapter that `options` name, or else with the first that is switched on.
    ///
    /// # Errors
    ///
    /// [`RadioError`].
    pub async fn open(options: &SystemOptions) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let adapter = bus.adapter(options.adapter.as_deref()).await?;
        Ok(Self::new(Place::at(&adapter), None))
    }

    /// Reads where a scanner of ours scans, which is asked for `pauses`.
    pub(in crate::radio) fn beside(pauses: Pauses, place: Place) -> Self {
        Self::new(place, Some(pauses))
    }

    fn new(place: Place, pauses: Option<Pauses>) -> Self {
        Self {
            place,
            pauses,
            remembered: None,
            bus: None,
        }
    }

    /// Ends what a read before has left.
    async fn forget(&mut self) -> Result<(), RadioError> {
        let Some(peer) = self.remembered else {
            return Ok(());
        };
        let bus = match self.bus.take().filter(|bus| !bus.is_lost()) {
            Some(bus) => bus,
            None => Bus::open().await?,
        };
        let bus = self.bus.insert(bus);
        let adapter = self.place.path_on(bus).await?;
        let device = device_path(&adapter, peer);
        // Whoever is there later knows the device from the disk; any other answer means that it has been
        // forgotten.
        if let Err(
            error @ (RadioError::NoService(_) | RadioError::NoAdapter | RadioError::AdapterOff),
        ) = bus.forget_device(&adapter, &device).await
        {
            return Err(error);
        }
        self.remembered = None;
        self.bus = None;
        Ok(())
    }
}

impl GattReader for BluezReader {
    async fn read(&mut self, request: GattRequest) -> Result<Vec<u8>, RadioError> {
        self.forget().await?;
        // A connection to the bus for each read: with it ends whatever it follows.
        let bus = self.bus.insert(Bus::open().await?);
        let adapter = self.place.path_on(bus).await?;
        let device = device_path(&adapter, request.peer);
        require_stranger(bus, &device).await?;
        let mut link = Link::follow(bus, &device).await?;
        // Noted before it is so: whoever gives up waiting has it disconnected.
        self.remembered = Some(request.peer);
        connect(bus, &device, self.pauses.as_ref()).await?;
        link.resolved().await?;
        let wanted = characteristic(bus, &device, &request).await?;
        let method = "ReadValue";
        let read = bus.call::<(Vec<u8>,)>(&wanted, CHARACTERISTIC, method, (PropMap::new(),));
        read.await.map(|(value,)| value).map_err(failure)
    }

    async fn disconnect(&mut self) {
        // What fails is tried again with the next call, or before the next read.
        let _ = self.forget().await;
    }
}

impl std::fmt::Debug for BluezReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BluezReader")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// The object of the device that stands behind `peer`.
fn device_path(adapter: &Path<'static>, peer: Peer) -> Path<'static> {
    let [a, b, c, d, e, f] = peer.address();
    format!("{adapter}/dev_{a:02X}_{b:02X}_{c:02X}_{d:02X}_{e:02X}_{f:02X}").into()
}

/// Refuses a device that is its owner's, or that somebody uses.
async fn require_stranger(bus: &Bus, device: &Path<'static>) -> Result<(), RadioError> {
    let properties = bus.at(device).get_all(DEVICE).await.map_err(failure)?;
    let is = |name| prop_cast::<bool>(&properties, name).copied();
    let why = match () {
        () if is("Paired") != Some(false) || is("Trusted") != Some(false) => {
            "its owner has paired it"
        }
        () if is("Connected") != Some(false) => "it is connected already",
        () => return Ok(()),
    };
    Err(RadioError::Peer(why.to_owned()))
}

/// Connects to `device` while the scan pauses, if not for long.
async fn connect(
    bus: &Bus,
    device: &Path<'static>,
    pauses: Option<&Pauses>,
) -> Result<(), RadioError> {
    let paused = match pauses {
        Some(pauses) => pauses.pause().await,
        None => None,
    };
    let connecting = bus.call::<()>(device, DEVICE, "Connect", ());
    tokio::pin!(connecting);
    let connected = match tokio::time::timeout(PAUSE_MAX, &mut connecting).await {
        Ok(connected) => connected,
        Err(_) => {
            drop(paused);
            connecting.await
        }
    };
    connected.map_err(failure)
}

/// How far a connection has come.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    Begun,
    /// BlueZ knows what the device offers.
    Resolved,
    Ended,
}

/// A connection, as BlueZ tells of it.
struct Link(watch::Receiver<Stage>);

impl Link {
    /// Follows the one to `device` from now on.
    async fn follow(bus: &Bus, device: &Path<'static>) -> Result<Self, RadioError> {
        let (sender, receiver) = watch::channel(Stage::Begun);
        let further = format!("path='{device}'");
        bus.on_signal(PROPERTIES, "PropertiesChanged", &further, move |message| {
            let (Some(DEVICE), Some(changed)) = message.get2::<&str, PropMap>() else {
                return;
            };
            let became = |name, value| prop_cast::<bool>(&changed, name) == Some(&value);
            if became("Connected", false) {
                sender.send_replace(Stage::Ended);
            } else if became("ServicesResolved", true) {
                sender.send_replace(Stage::Resolved);
            }
        })
        .await?;
        Ok(Self(receiver))
    }

    /// Waits until BlueZ knows what the device offers.
    async fn resolved(&mut self) -> Result<(), RadioError> {
        // It fails if the bus has gone.
        let stage = self.0.wait_for(|stage| *stage != Stage::Begun).await;
        match stage.as_deref() {
            Ok(Stage::Resolved) => Ok(()),
            _ => Err(RadioError::Peer("it has ended the connection".to_owned())),
        }
    }
}

/// The characteristic that `request` is for, among those that `device` offers.
async fn characteristic(
    bus: &Bus,
    device: &Path<'static>,
    request: &GattRequest,
) -> Result<Path<'static>, RadioError> {
    let objects = bus.at(&Path::from("/")).get_managed_objects().await;
    let objects = objects.map_err(failure)?;
    let has_uuid = |properties: &PropMap, wanted: Uuid| {
        let uuid = prop_cast::<String>(properties, "UUID");
        uuid.and_then(|uuid| uuid.parse().ok()) == Some(wanted)
    };
    let within = format!("{device}/");
    let mut offered = objects
        .iter()
        .filter(|(path, _)| path.starts_with(&within))
        .filter(|(_, interfaces)| {
            let Some(properties) = interfaces.get(CHARACTERISTIC) else {
                return false;
            };
            let service = prop_cast::<Path<'static>>(properties, "Service")
                .and_then(|service| objects.get(service)?.get(SERVICE));
            has_uuid(properties, request.characteristic)
                && service.is_some_and(|service| has_uuid(service, request.service))
        });
    let (path, _) = offered
        .next()
        .ok_or_else(|| RadioError::Peer("it does not offer an identifier".to_owned()))?;
    Ok(path.clone())
}

/// What an error about a device means: mostly, that the device is to blame.
fn failure(error: dbus::Error) -> RadioError {
    let text = text(&error);
    match radio_error(error) {
        error @ (RadioError::NoService(_) | RadioError::AdapterOff) => error,
        // Nobody at its path.
        RadioError::NoAdapter | RadioError::Unsupported { .. } => {
            RadioError::Peer("it has gone".to_owned())
        }
        _ => RadioError::Peer(text),
    }
}
