//! The task that takes btleplug's events, for as long as a scanner lives.

use std::collections::HashMap;
use std::pin::Pin;
use std::time::Duration;

use ::btleplug::api::{
    Central, CentralEvent, CentralState, Peripheral, PeripheralProperties, ScanFilter,
};
use ::btleplug::platform::{Adapter, PeripheralId};
use futures_util::stream::{FuturesUnordered, Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::os::{self, Power, Presence};
use super::radio_error;
use crate::radio::join::Join;
use crate::radio::{AdapterState, Filter, RadioError, RadioSink};

/// Devices whose properties are being read at a time, one call each. A bus refuses a connection more
/// than 128 unanswered calls (dbus-daemon's default), of which btleplug needs its own.
const LOOKUPS_MAX: usize = 64;

/// Devices read until btleplug is told to forget those it knows. It never does by itself on macOS,
/// Windows and Android, and every neighbour is a new device each ten or fifteen minutes.
const READ_MAX: usize = 1024;

/// How soon a scan that the system refuses to take up again is asked for anew. A `bluetoothd` that has
/// crashed leaves the controller scanning, and its successor refuses until that has ended, in up to
/// ten seconds.
const RETRY: Duration = Duration::from_secs(2);

/// How long a scanner that has been dropped may take to end its scan.
const FAREWELL: Duration = Duration::from_secs(5);

/// What an event says of an advertisement.
#[cfg_attr(
    not(target_os = "linux"),
    expect(dead_code, reason = "only BlueZ's advertisements come in pieces")
)]
pub(super) enum News {
    /// There is a frame to read from the device's properties.
    Look(PeripheralId),
    Rssi(PeripheralId, i16),
    Services(PeripheralId, Vec<Uuid>),
    ServiceData(PeripheralId, HashMap<Uuid, Vec<u8>>),
    ManufacturerData(PeripheralId, HashMap<u16, Vec<u8>>),
}

/// What the scanner tells its task, with what to answer once done.
pub(super) enum Order {
    Listen(Filter, RadioSink, oneshot::Sender<()>),
    Ignore(oneshot::Sender<()>),
}

pub(super) type Events = Pin<Box<dyn Stream<Item = CentralEvent> + Send>>;
type Errand = Pin<Box<dyn Future<Output = Done> + Send>>;

/// An errand's result.
enum Done {
    Looked(PeripheralId, Option<Box<PeripheralProperties>>),
    Resumed(Result<(), RadioError>),
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

/// Takes btleplug's events. It waits for nothing else: what needs an answer from the
/// system is an errand, run beside the events.
pub(super) struct Drain {
    adapter: Adapter,
    power: Power,
    listening: Option<Listening>,
    errands: FuturesUnordered<Errand>,
    lookups: usize,
    read: usize,
    resuming: Resuming,
}

impl Drain {
    pub(super) fn new(adapter: Adapter, power: Power) -> Self {
        Self {
            adapter,
            power,
            listening: None,
            errands: FuturesUnordered::new(),
            lookups: 0,
            read: 0,
            resuming: Resuming::No,
        }
    }

    pub(super) async fn run(
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
            let mut properties = read(&adapter, &id).await;
            if properties.is_none() {
                // The D-Bus library fails calls made at the same moment as others, now and then.
                properties = read(&adapter, &id).await;
            }
            Done::Looked(id, properties.map(Box::new))
        }));
        self.read += 1;
        if self.read >= READ_MAX {
            self.read = 0;
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

    fn looked(&mut self, id: &PeripheralId, properties: Option<&PeripheralProperties>) {
        let Some(Listening { join, sink, .. }) = &mut self.listening else {
            return;
        };
        let Some(found) = properties else {
            // It has gone again.
            return sink.missed();
        };
        let (services, data) = (&found.services, &found.service_data);
        let joined = join.properties(id, found.rssi, services, data, &found.manufacturer_data);
        if let Some((frame, rssi)) = joined {
            sink.heard(frame, rssi);
        }
    }

    /// Begins the scan again, if the adapter allows.
    fn resume(&mut self) {
        if self.resuming == Resuming::No {
            self.resume_after(Duration::ZERO);
        } else {
            self.resuming = Resuming::YesAndAgain;
        }
    }

    fn resume_after(&mut self, delay: Duration) {
        if self.listening.is_none() {
            return;
        }
        self.resuming = Resuming::Yes;
        let (adapter, power) = (self.adapter.clone(), self.power.clone());
        self.errands.push(Box::pin(async move {
            tokio::time::sleep(delay).await;
            if let Err(obstacle) = power.require_on().await {
                return Done::Resumed(Err(obstacle));
            }
            // What may be left of the old scan would be in the new one's way.
            let _ = adapter.stop_scan().await;
            let started = adapter.start_scan(ScanFilter::default()).await;
            Done::Resumed(started.map_err(radio_error))
        }));
    }

    fn resumed(&mut self, resumed: Result<(), RadioError>) {
        let again = self.resuming == Resuming::YesAndAgain;
        self.resuming = Resuming::No;
        let refused = match resumed {
            Ok(()) => {
                self.report(AdapterState::Ready);
                false
            }
            // To be switched on, and to be plugged in, are events that lead here again.
            Err(RadioError::AdapterOff) => {
                self.report(AdapterState::Off);
                false
            }
            Err(RadioError::NoAdapter | RadioError::NoService(_)) => {
                self.report(AdapterState::Gone);
                false
            }
            Err(_) => true,
        };
        if again {
            self.resume();
        } else if refused {
            self.resume_after(RETRY);
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Looked(id, properties) => {
                self.lookups = self.lookups.saturating_sub(1);
                self.looked(&id, properties.as_deref());
            }
            Done::Resumed(resumed) => self.resumed(resumed),
            Done::Forgotten => {}
        }
    }
}

async fn read(adapter: &Adapter, id: &PeripheralId) -> Option<PeripheralProperties> {
    let peripheral = adapter.peripheral(id).await.ok()?;
    peripheral.properties().await.ok().flatten()
}
