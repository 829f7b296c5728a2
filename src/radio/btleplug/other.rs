//! Systems other than Linux: btleplug keeps each device's properties in memory, strength included, so
//! every frame is read from there.

use ::btleplug::api::{BDAddr, Central, CentralEvent, CentralState, Manager as _};
use ::btleplug::platform::{Adapter, Manager};

use super::drain::News;
use super::radio_error;
use crate::advertisement::uuid_to_u16;
use crate::radio::{Filter, RadioError, ScanMode, SystemOptions};

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

/// Windows and Android tell with each frame that a device is new or updated; Apple's systems tell of
/// the payload, once its properties hold it, and of the strength not at all. There a list of services
/// that has a long one is the payload: 31 bytes hold it beside no data to speak of.
pub(super) fn news(event: CentralEvent) -> Option<News> {
    match event {
        CentralEvent::DeviceDiscovered(id) | CentralEvent::DeviceUpdated(id)
            if !cfg!(target_vendor = "apple") =>
        {
            Some(News::Look(id))
        }
        CentralEvent::ServiceDataAdvertisement { id, .. }
        | CentralEvent::ManufacturerDataAdvertisement { id, .. }
            if cfg!(target_vendor = "apple") =>
        {
            Some(News::Look(id))
        }
        CentralEvent::ServicesAdvertisement { id, services }
            if cfg!(target_vendor = "apple")
                && services.iter().any(|uuid| uuid_to_u16(*uuid).is_none()) =>
        {
            Some(News::Look(id))
        }
        _ => None,
    }
}
