//! Systems other than Linux: btleplug keeps each device's properties in memory, strength included, so
//! every frame is read from there.

use ::btleplug::api::{
    BDAddr, Central, CentralEvent, CentralState, Manager as _, Peripheral as _,
    PeripheralProperties,
};
use ::btleplug::platform::{Adapter, Manager, PeripheralId};
use futures_util::{StreamExt, stream};
use uuid::Uuid;

use super::orders::{Events, News};
use super::radio_error;
use crate::advertisement::uuid_to_u16;
use crate::radio::{Filter, Peer, Pieces, RadioError, ScanMode, SystemOptions};

/// Asks the system whether the adapter is on.
#[derive(Clone)]
pub(super) struct Power(Adapter);

impl Power {
    pub(super) async fn require_on(&self) -> Result<(), RadioError> {
        match self.0.adapter_state().await.map_err(radio_error)? {
            CentralState::PoweredOff => Err(RadioError::AdapterOff),
            // Unknown until the system has asked its user.
            CentralState::PoweredOn | CentralState::Unknown => Ok(()),
        }
    }

    /// Windows and Apple's systems report every frame as btleplug asks them to; Android does as it
    /// likes, in its low-power mode.
    pub(super) async fn hear_more(&self, _: &Filter) -> ScanMode {
        match cfg!(target_os = "android") {
            true => ScanMode::System,
            false => ScanMode::EveryFrame,
        }
    }

    pub(super) async fn hear_no_more(&self) {}

    /// They tell everything of a device each time.
    pub(super) async fn known_devices(&self) -> Vec<(Peer, Vec<Uuid>)> {
        Vec::new()
    }

    pub(super) async fn hears_less(&self) {
        std::future::pending().await
    }

    /// The system's own service does not go away.
    pub(super) fn is_lost(&self) -> bool {
        false
    }
}

/// An adapter that comes or goes shows in its power state alone.
pub(super) struct Presence;

impl Presence {
    pub(super) async fn changed(&mut self) -> bool {
        std::future::pending().await
    }
}

pub(super) async fn open(
    options: &SystemOptions,
) -> Result<(Adapter, Power, Presence), RadioError> {
    let manager = Manager::new().await.map_err(radio_error)?;
    let adapters = manager.adapters().await.map_err(radio_error)?;
    let mut found = Vec::new();
    for adapter in adapters {
        let name = adapter.adapter_info().await.map_err(radio_error)?;
        // Some systems do not tell.
        let address = adapter.adapter_address().await.ok().flatten();
        if is_wanted(options.adapter.as_deref(), &name, address) {
            let power = Power(adapter.clone());
            if !options.wait {
                power.require_on().await?;
            }
            return Ok((adapter, power, Presence));
        }
        found.push(name);
    }
    match &options.adapter {
        Some(wanted) if !found.is_empty() => Err(RadioError::AdapterNotFound {
            wanted: wanted.clone(),
            found: found.join(", "),
        }),
        _ => Err(RadioError::NoAdapter),
    }
}

fn is_wanted(wanted: Option<&str>, name: &str, address: Option<BDAddr>) -> bool {
    let Some(wanted) = wanted else {
        return true;
    };
    let address = address.map(|address| address.to_string());
    wanted == name || address.is_some_and(|address| address.eq_ignore_ascii_case(wanted))
}

/// What btleplug tells.
pub(super) async fn events(adapter: &Adapter, _: &Power) -> Result<Events, RadioError> {
    let events = adapter.events().await.map_err(radio_error)?;
    let devices = Devices {
        adapter: adapter.clone(),
        read: 0,
    };
    let told = stream::unfold((events, devices), async |(mut events, mut devices)| {
        loop {
            let event = events.next().await?;
            if let Some(news) = devices.news(event).await {
                return Some((news, (events, devices)));
            }
        }
    });
    Ok(Box::pin(told))
}

/// Devices read until btleplug is told to forget those it knows. It never does by itself, and every
/// neighbour is a new device each ten or fifteen minutes.
const READ_MAX: usize = 1_024;

/// Reads the properties of devices of which btleplug tells.
struct Devices {
    adapter: Adapter,
    read: usize,
}

impl Devices {
    /// Windows and Android tell with each frame that a device is new or updated; Apple's systems tell of
    /// the payload, once its properties hold it, and of the strength not at all. There a list of services
    /// that has a long one is the payload: 31 bytes hold it beside no data to speak of.
    async fn news(&mut self, event: CentralEvent) -> Option<News> {
        match event {
            CentralEvent::StateUpdate(CentralState::PoweredOn) => Some(News::Powered(true)),
            CentralEvent::StateUpdate(CentralState::PoweredOff) => Some(News::Powered(false)),
            CentralEvent::DeviceDiscovered(id) | CentralEvent::DeviceUpdated(id)
                if !cfg!(target_vendor = "apple") =>
            {
                Some(self.look(&id).await)
            }
            CentralEvent::ServiceDataAdvertisement { id, .. }
            | CentralEvent::ManufacturerDataAdvertisement { id, .. }
                if cfg!(target_vendor = "apple") =>
            {
                Some(self.look(&id).await)
            }
            CentralEvent::ServicesAdvertisement { id, services }
                if cfg!(target_vendor = "apple")
                    && services.iter().any(|uuid| uuid_to_u16(*uuid).is_none()) =>
            {
                Some(self.look(&id).await)
            }
            _ => None,
        }
    }

    async fn look(&mut self, id: &PeripheralId) -> News {
        let properties = self.properties(id).await;
        self.read += 1;
        if self.read >= READ_MAX {
            self.read = 0;
            // Some systems have nothing to forget, and say so.
            let _ = self.adapter.clear_peripherals().await;
        }
        match (peer(id), properties) {
            (Some(peer), Some(found)) => News::Device(
                peer,
                Pieces {
                    rssi_dbm: found.rssi,
                    services: Some(found.services),
                    service_data: found.service_data,
                    manufacturer_data: found.manufacturer_data,
                },
            ),
            // It has gone again.
            _ => News::Lost(1),
        }
    }

    async fn properties(&self, id: &PeripheralId) -> Option<PeripheralProperties> {
        let device = self.adapter.peripheral(id).await.ok()?;
        device.properties().await.ok().flatten()
    }
}

/// Apple's systems name a device by a number of their own, the others by its address.
pub(super) fn peer(id: &PeripheralId) -> Option<Peer> {
    let name = id.to_string();
    if let Ok(address) = name.parse::<BDAddr>() {
        return Some(Peer::from_address(address.into_inner()));
    }
    let number = Uuid::parse_str(&name).ok()?;
    Some(Peer::from_system_id(number.into_bytes()))
}
