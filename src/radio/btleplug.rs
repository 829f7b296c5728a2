//! Scanning with btleplug, on every system it knows.

mod drain;
#[cfg_attr(target_os = "linux", path = "btleplug/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "btleplug/other.rs")]
mod os;

use ::btleplug::api::{Central, ScanFilter};
use ::btleplug::platform;
use tokio::sync::{mpsc, oneshot};

use self::drain::{Drain, Order};
use self::os::{Power, Presence};
use super::{Filter, RadioError, RadioSink, Scanner, SystemOptions};

/// Scans with btleplug.
///
/// btleplug's events are drained by a task that lives as long as the scanner, not as long as one
/// scan: events pile up without bound (Linux) or get lost (elsewhere) while nobody takes them, and
/// bluez-async panics in a task of its own if their stream is dropped at the moment a signal
/// arrives.
///
/// After `bluetoothd` has been restarted, or the adapter switched off and on or plugged in anew, the
/// task takes up the scan again; [`AdapterState`](super::AdapterState) says when.
pub struct BtleplugScanner {
    options: SystemOptions,
    session: Session,
    listening: bool,
}

impl BtleplugScanner {
    /// Scans with the adapter that `options` name, or else with the first that is switched on.
    ///
    /// On Linux btleplug keeps the connection that it opens here until the process ends: open a
    /// scanner once and start it as often as need be.
    ///
    /// # Errors
    ///
    /// [`RadioError`].
    pub async fn open(options: &SystemOptions) -> Result<Self, RadioError> {
        Ok(Self {
            session: Session::open(options).await?,
            options: options.clone(),
            listening: false,
        })
    }

    /// Scans with `adapter`, of which `bus` tells.
    #[cfg(target_os = "linux")]
    pub(super) async fn on(
        bus: super::bluez::Bus,
        adapter: &super::bluez::Adapter,
    ) -> Result<Self, RadioError> {
        Ok(Self {
            session: Session::on(os::follow(bus, adapter).await?).await?,
            options: SystemOptions {
                adapter: Some(adapter.name().to_owned()),
            },
            listening: false,
        })
    }

    async fn order(&mut self, order: impl FnOnce(oneshot::Sender<()>) -> Order) -> bool {
        let (done, taken) = oneshot::channel();
        let sent = self.session.orders.send(order(done)).await;
        sent.is_ok() && taken.await.is_ok()
    }
}

impl Scanner for BtleplugScanner {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        // What cannot be stopped refuses to start, and says why then.
        let _ = self.stop().await;
        if self.session.orders.is_closed() {
            // The bus had gone, and every connection over it.
            self.session = Session::open(&self.options).await?;
        }
        // btleplug would switch the adapter on, against its owner's will.
        self.session.power.require_on().await?;
        // Noted before it is so: if the caller gives up waiting, the next call stops it.
        self.listening = true;
        // Listen first: what is found in the moment the scan begins is heard already.
        let listen = |done| Order::Listen(filter, sink, done);
        if !self.order(listen).await {
            self.listening = false;
            return Err(RadioError::NoService("its events have ended".to_owned()));
        }
        if let Err(error) = self.session.adapter.start_scan(ScanFilter::default()).await {
            self.listening = false;
            self.order(Order::Ignore).await;
            return Err(self.session.explain(error).await);
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        if !self.listening {
            return Ok(());
        }
        // If the task has ended, it has let go of the sink.
        self.order(Order::Ignore).await;
        let stopped = self.session.adapter.stop_scan().await;
        // Not before, for the same reason.
        self.listening = false;
        let Err(error) = stopped else {
            return Ok(());
        };
        match self.session.explain(error).await {
            // The scan has ended with what it ran on.
            RadioError::AdapterOff | RadioError::NoAdapter | RadioError::NoService(_) => Ok(()),
            error => Err(error),
        }
    }
}

impl std::fmt::Debug for BtleplugScanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BtleplugScanner")
            .field("options", &self.options)
            .field("listening", &self.listening)
            .finish_non_exhaustive()
    }
}

/// An adapter with the task that drains its events. The task ends with the session.
struct Session {
    adapter: platform::Adapter,
    power: Power,
    orders: mpsc::Sender<Order>,
}

impl Session {
    async fn open(options: &SystemOptions) -> Result<Self, RadioError> {
        Self::on(os::open(options).await?).await
    }

    async fn on(
        (adapter, power, presence): (platform::Adapter, Power, Presence),
    ) -> Result<Self, RadioError> {
        let events = adapter.events().await.map_err(radio_error)?;
        let (orders, received) = mpsc::channel(1);
        let drain = Drain::new(adapter.clone(), power.clone());
        tokio::spawn(drain.run(events, presence, received));
        Ok(Self {
            adapter,
            power,
            orders,
        })
    }

    /// Why a call failed. btleplug passes on the system's words alone, so what is wrong is looked up.
    async fn explain(&self, error: ::btleplug::Error) -> RadioError {
        match self.power.require_on().await {
            Err(reason) => reason,
            Ok(()) => radio_error(error),
        }
    }
}

fn radio_error(error: ::btleplug::Error) -> RadioError {
    use ::btleplug::Error;
    match error {
        Error::PermissionDenied => RadioError::PermissionDenied(error.to_string()),
        Error::NoAdapterAvailable => RadioError::NoAdapter,
        Error::NotSupported(_) => RadioError::Unsupported {
            why: "btleplug does not offer it here",
        },
        error => RadioError::System(error.to_string()),
    }
}
