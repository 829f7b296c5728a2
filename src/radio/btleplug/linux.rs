//! What differs on Linux: BlueZ tells of its adapters over a bus of which we may ask ourselves, and
//! btleplug gives an advertisement in pieces.

use std::sync::Arc;

use ::btleplug::api::{Central, CentralEvent, Manager as _};
use ::btleplug::platform::{Adapter, Manager};
use dbus::Path;

use super::drain::News;
use super::radio_error;
pub(super) use crate::radio::bluez::Presence;
use crate::radio::bluez::{self, Bus, choose};
use crate::radio::{RadioError, SystemOptions};

/// Asks BlueZ whether the adapter is on.
#[derive(Clone)]
pub(super) struct Power {
    bus: Arc<Bus>,
    adapter: Path<'static>,
}

impl Power {
    pub(super) async fn require_on(&self) -> Result<(), RadioError> {
        self.bus.require_powered(&self.adapter).await
    }

    /// Whether the bus has gone, for good.
    pub(super) fn is_lost(&self) -> bool {
        self.bus.is_lost()
    }
}

pub(super) async fn open(
    options: &SystemOptions,
) -> Result<(Adapter, Power, Presence), RadioError> {
    let bus = Bus::open().await?;
    let adapter = choose(&bus.adapters().await?, options.adapter.as_deref())?;
    follow(bus, &adapter).await
}

/// btleplug's view of `adapter`. It is made after all that can fail has been asked over a connection
/// of our own, as btleplug never closes its.
pub(super) async fn follow(
    bus: Bus,
    adapter: &bluez::Adapter,
) -> Result<(Adapter, Power, Presence), RadioError> {
    let presence = bus.follow(&adapter.path).await?;
    let power = Power {
        bus: Arc::new(bus),
        adapter: adapter.path.clone(),
    };
    let known = match Manager::new().await {
        Ok(manager) => manager.adapters().await,
        Err(error) => Err(error),
    };
    for candidate in known.map_err(radio_error)? {
        // "hci0 (usb:v1D6Bp0246d0542)"
        let info = candidate.adapter_info().await.map_err(radio_error)?;
        if info.split(' ').next() == Some(adapter.name()) {
            return Ok((candidate, power, presence));
        }
    }
    Err(RadioError::NoAdapter)
}

/// BlueZ sends one signal a frame. btleplug makes of it first the strength, then the payload; of a new
/// device it tells nothing but that there is one.
pub(super) fn news(event: CentralEvent) -> Option<News> {
    match event {
        CentralEvent::DeviceDiscovered(id) | CentralEvent::DeviceUpdated(id) => {
            Some(News::Look(id))
        }
        CentralEvent::RssiUpdate { id, rssi } => Some(News::Rssi(id, rssi)),
        CentralEvent::ServicesAdvertisement { id, services } => Some(News::Services(id, services)),
        CentralEvent::ServiceDataAdvertisement { id, service_data } => {
            Some(News::ServiceData(id, service_data))
        }
        CentralEvent::ManufacturerDataAdvertisement {
            id,
            manufacturer_data,
        } => Some(News::ManufacturerData(id, manufacturer_data)),
        _ => None,
    }
}
