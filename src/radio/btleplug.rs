//! Scanning with btleplug, on every system it knows.

#[cfg_attr(target_os = "linux", path = "btleplug/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "btleplug/other.rs")]
mod os;

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use ::btleplug::api::{
    Central, CentralEvent, CentralState, Peripheral, PeripheralProperties, ScanFilter,
};
use ::btleplug::platform::{self, PeripheralId};
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use self::os::{Power, Presence};
use super::join::Join;
use super::{AdapterState, Filter, RadioError, RadioSink, Scanner, SystemOptions};

/// Devices whose properties are being read at a time. A system bus allows 128 unanswered calls a
/// connection by default and disconnects nobody for fewer; each of these has one.
const LOOKUPS_MAX: usize = 64;

/// Devices discovered until btleplug is told to forget those it knows. It never does by itself on
/// macOS, Windows and Android, and every neighbour is a new device each ten or fifteen minutes.
const DISCOVERED_MAX: usize = 1024;

/// How long a scanner that has been dropped may take to end its scan.
const FAREWELL: Duration = Duration::from_secs(5);

/// Scans with btleplug.
///
/// btleplug's events are drained by a task that lives as long as the scanner, not as long as one
/// scan: events pile up without bound (Linux) or get lost (elsewhere) while nobody takes them, and
/// bluez-async panics in a task of its own if their stream is dropped at the moment a signal
/// arrives.
///
/// After `bluetoothd` has been restarted, or the adapter switched off and on or plugged in anew, the
/// task takes up the scan again; [`AdapterState`] says when.
pub struct BtleplugScanner {
    options: SystemOptions,
    session: Session,
    listening: bool,
}

impl BtleplugScanner {
    /// Scans with the adapter that `options` name, or else with the first that is switched on.
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
        if self.listening {
            self.stop().await?;
        }
        if self.session.orders.is_closed() {
            // The bus had gone, and every connection over it.
            self.session = Session::open(&self.options).await?;
        }
        // btleplug would switch the adapter on, against its owner's will.
        self.session.power.require_on().await?;
        // Listen first: what is found in the moment the scan begins is heard already.
        let listen = |done| Order::Listen(filter, sink, done);
        if !self.order(listen).await {
            return Err(RadioError::NoService("its events have ended".to_owned()));
        }
        self.listening = true;
        if let Err(error) = self.session.adapter.start_scan(ScanFilter::default()).await {
            self.listening = false;
            self.order(Order::Ignore).await;
            return Err(self.session.explain(error).await);
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        if !std::mem::take(&mut self.listening) {
            return Ok(());
        }
        // If the task has ended, it has let go of the sink.
        self.order(Order::Ignore).await;
        match self.session.adapter.stop_scan().await {
            Ok(()) => Ok(()),
            Err(error) => match self.session.explain(error).await {
                // The scan has ended with what it ran on.
                RadioError::AdapterOff | RadioError::NoAdapter | RadioError::NoService(_) => Ok(()),
                error => Err(error),
            },
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
        let drain = Drain {
            adapter: adapter.clone(),
            power: power.clone(),
            listening: None,
            errands: FuturesUnordered::new(),
            lookups: 0,
            discovered: 0,
            resuming: Resuming::No,
        };
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

/// What an event says of an advertisement.
enum News {
    /// There is a frame to read from the device's properties.
    Look(PeripheralId),
    Rssi(PeripheralId, i16),
    Services(PeripheralId, Vec<Uuid>),
    ServiceData(PeripheralId, HashMap<Uuid, Vec<u8>>),
    ManufacturerData(PeripheralId, HashMap<u16, Vec<u8>>),
}

/// What the scanner tells its task, with what to answer once done.
enum Order {
    Listen(Filter, RadioSink, oneshot::Sender<()>),
    Ignore(oneshot::Sender<()>),
}

type Events = Pin<Box<dyn Stream<Item = CentralEvent> + Send>>;
type Errand = Pin<Box<dyn Future<Output = Done> + Send>>;

/// An errand's result.
enum Done {
    Looked(PeripheralId, Option<Box<PeripheralProperties>>),
    Resumed(AdapterState),
    Forgotten,
}

/// A scan in progress.
struct Listening {
    join: Join<PeripheralId>,
    sink: RadioSink,
    state: AdapterState,
}

impl Listening {
    fn report(&mut self, state: AdapterState) {
        if self.state != state {
            self.state = state;
            self.sink.adapter(state);
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Resuming {
    No,
    Yes,
    /// What happened meanwhile calls for another try.
    YesAndAgain,
}

/// The task that takes btleplug's events. It waits for nothing else: what needs an answer from the
/// system is an errand, run beside the events.
struct Drain {
    adapter: platform::Adapter,
    power: Power,
    listening: Option<Listening>,
    errands: FuturesUnordered<Errand>,
    lookups: usize,
    discovered: usize,
    resuming: Resuming,
}

impl Drain {
    async fn run(
        mut self,
        mut events: Events,
        mut presence: Presence,
        mut orders: mpsc::Receiver<Order>,
    ) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
                event = events.next() => match event {
                    Some(event) => self.event(event),
                    None => return self.report(AdapterState::Gone),
                },
                Some(done) = self.errands.next() => self.done(done),
                here = presence.changed() => {
                    if self.power.is_lost() {
                        return self.report(AdapterState::Gone);
                    }
                    match here {
                        true => self.resume(),
                        false => self.report(AdapterState::Gone),
                    }
                }
            }
        }
        // The scanner has been dropped. btleplug keeps its connection, and with it the scan.
        if self.listening.take().is_some() {
            let _ = tokio::time::timeout(FAREWELL, self.adapter.stop_scan()).await;
        }
    }

    fn obey(&mut self, order: Order) {
        self.errands.clear();
        self.lookups = 0;
        self.resuming = Resuming::No;
        let done = match order {
            Order::Listen(filter, sink, done) => {
                self.listening = Some(Listening {
                    join: Join::new(filter),
                    sink,
                    state: AdapterState::Ready,
                });
                done
            }
            Order::Ignore(done) => {
                self.listening = None;
                done
            }
        };
        // Whoever gave the order may have given up waiting.
        let _ = done.send(());
    }

    fn report(&mut self, state: AdapterState) {
        if let Some(listening) = &mut self.listening {
            listening.report(state);
        }
    }

    fn event(&mut self, event: CentralEvent) {
        match event {
            CentralEvent::StateUpdate(CentralState::PoweredOn) => return self.powered_on(),
            CentralEvent::StateUpdate(CentralState::PoweredOff) => {
                return self.report(AdapterState::Off);
            }
            _ => {}
        }
        let Some(Listening { join, sink, .. }) = &mut self.listening else {
            return;
        };
        let joined = match os::news(event) {
            Some(News::Look(id)) => return self.look(id),
            Some(News::Rssi(id, dbm)) => {
                join.rssi(&id, dbm);
                None
            }
            Some(News::Services(id, services)) => {
                join.services(&id, &services);
                None
            }
            Some(News::ServiceData(id, data)) => join.service_data(&id, &data),
            Some(News::ManufacturerData(id, data)) => join.manufacturer_data(&id, &data),
            None => None,
        };
        if let Some((frame, rssi)) = joined {
            sink.heard(frame, rssi);
        }
    }

    /// Reads a device's properties.
    fn look(&mut self, id: PeripheralId) {
        if self.lookups >= LOOKUPS_MAX {
            if let Some(listening) = &self.listening {
                listening.sink.missed();
            }
            return;
        }
        self.lookups += 1;
        let adapter = self.adapter.clone();
        self.errands.push(Box::pin(async move {
            let properties = match adapter.peripheral(&id).await {
                Ok(peripheral) => peripheral.properties().await.ok().flatten(),
                // It has gone again.
                Err(_) => None,
            };
            Done::Looked(id, properties.map(Box::new))
        }));
        self.discovered += 1;
        if self.discovered >= DISCOVERED_MAX {
            self.discovered = 0;
            let adapter = self.adapter.clone();
            self.errands.push(Box::pin(async move {
                // Some systems have nothing to forget, and say so.
                let _ = adapter.clear_peripherals().await;
                Done::Forgotten
            }));
        }
    }

    fn powered_on(&mut self) {
        let ready = |listening: &Listening| listening.state == AdapterState::Ready;
        // Said of an adapter that has not been off, it is no reason to interrupt the scan.
        if !self.listening.as_ref().is_some_and(ready) {
            self.resume();
        }
    }

    /// Begins the scan again, if the adapter allows.
    fn resume(&mut self) {
        if self.listening.is_none() {
            return;
        }
        if self.resuming != Resuming::No {
            self.resuming = Resuming::YesAndAgain;
            return;
        }
        self.resuming = Resuming::Yes;
        let (adapter, power) = (self.adapter.clone(), self.power.clone());
        self.errands.push(Box::pin(async move {
            Done::Resumed(match power.require_on().await {
                Ok(()) => {
                    // What may be left of the old scan would count as the new one's being there.
                    let _ = adapter.stop_scan().await;
                    match adapter.start_scan(ScanFilter::default()).await {
                        Ok(()) => AdapterState::Ready,
                        Err(_) => AdapterState::Gone,
                    }
                }
                Err(RadioError::AdapterOff) => AdapterState::Off,
                Err(_) => AdapterState::Gone,
            })
        }));
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Looked(id, properties) => {
                self.lookups = self.lookups.saturating_sub(1);
                if let (Some(Listening { join, sink, .. }), Some(found)) =
                    (&mut self.listening, properties)
                {
                    let (services, data) = (&found.services, &found.service_data);
                    let joined =
                        join.properties(&id, found.rssi, services, data, &found.manufacturer_data);
                    if let Some((frame, rssi)) = joined {
                        sink.heard(frame, rssi);
                    }
                }
            }
            Done::Resumed(state) => {
                let again = self.resuming == Resuming::YesAndAgain;
                self.resuming = Resuming::No;
                self.report(state);
                if again {
                    self.resume();
                }
            }
            Done::Forgotten => {}
        }
    }
}
