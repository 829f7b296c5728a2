//! What differs on Linux: BlueZ tells of its adapters and of what they hear over a bus on which we may
//! listen ourselves, and gives an advertisement in pieces.

use std::sync::Arc;
use std::time::Duration;

use ::btleplug::api::{Central, Manager as _};
use ::btleplug::platform::{Adapter, Manager};
use dbus::Path;
use futures_util::stream;
use uuid::Uuid;

use super::orders::{Events, News};
use super::radio_error;
pub(super) use crate::radio::bluez::Presence;
use crate::radio::bluez::{self, Bus, Monitor, Signal, Signals};
use crate::radio::{Filter, Peer, RadioError, ScanMode, SystemOptions};

/// How often a scan is begun anew where BlueZ reports no repeated frames otherwise: each time it reports
/// one of every neighbour. Chosen: BlueZ takes up to 0.06 seconds for it, in which it is deaf, and below
/// two seconds the rate rises no more (measured with BlueZ 5.66).
const RESTART_EVERY: Duration = Duration::from_secs(4);

/// What only BlueZ itself can be asked: whether the adapter is on, and for every frame.
#[derive(Clone)]
pub(super) struct Power {
    bus: Arc<Bus>,
    adapter: Path<'static>,
    monitor: Arc<Monitor>,
}

impl Power {
    pub(super) async fn require_on(&self) -> Result<(), RadioError> {
        self.bus.require_powered(&self.adapter).await
    }

    /// To be called before a scan: has every frame reported if BlueZ can.
    pub(super) async fn hear_more(&self, filter: &Filter) -> ScanMode {
        match self
            .monitor
            .register(&self.bus, &self.adapter, filter)
            .await
        {
            true => ScanMode::EveryFrame,
            false => ScanMode::Restarted {
                every: RESTART_EVERY,
            },
        }
    }

    /// The devices that BlueZ knows already, of which it tells nothing but what changes.
    pub(super) async fn known_devices(&self) -> Vec<(Peer, Vec<Uuid>)> {
        // Without them, their services are missing from what is heard of them; they come anew in time.
        let known = bluez::known_devices(&self.bus, &self.adapter).await;
        known.unwrap_or_default()
    }

    /// To be called after a scan.
    pub(super) async fn hear_no_more(&self) {
        self.monitor.unregister(&self.bus, &self.adapter).await;
    }

    /// Waits until BlueZ reports every frame no more, though it was asked to.
    pub(super) async fn hears_less(&self) {
        self.monitor.released(&self.bus).await;
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
    let adapter = bus.adapter(options.adapter.as_deref()).await?;
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
        monitor: Arc::new(Monitor::serve(&bus)),
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

/// What BlueZ signals.
pub(super) async fn events(_: &Adapter, power: &Power) -> Result<Events, RadioError> {
    let signals = Signals::of(&power.adapter).await?;
    let news = stream::unfold(signals, async |mut signals| {
        let news = match signals.next().await? {
            Signal::Device(peer, all) => News::Device(peer, all),
            Signal::Changed(peer, pieces) => News::Changed(peer, pieces),
            Signal::Forgotten(peer) => News::Forgotten(peer),
            Signal::Powered(on) => News::Powered(on),
            Signal::Lost(count) => News::Lost(count),
        };
        Some((news, signals))
    });
    Ok(Box::pin(news))
}
