//! Scanning with btleplug, on every system it knows.

mod calls;
mod drain;
mod orders;
#[cfg_attr(target_os = "linux", path = "btleplug/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "btleplug/other.rs")]
mod os;
mod overhearing;
mod pause;
#[cfg(not(target_os = "linux"))]
mod reader;

use ::btleplug::api::Central as _;
use ::btleplug::platform;
use tokio::sync::{mpsc, oneshot};

use self::drain::Drain;
use self::orders::Order;
use self::os::{Power, Presence};
#[cfg(target_os = "linux")]
pub(super) use self::pause::Pauses;
#[cfg(not(target_os = "linux"))]
pub use self::reader::BtleplugReader;
#[cfg(not(target_os = "linux"))]
use self::reader::Line;
use super::{AdapterState, Filter, RadioError, RadioSink, Scanner, SystemOptions};

/// Scans with btleplug.
///
/// What is heard is drained by a task that lives as long as the scanner, not as long as one scan. On Linux
/// btleplug begins and ends the scan, and what BlueZ signals is taken from the bus directly: btleplug would
/// ask BlueZ about every signal again, and pile up those that come meanwhile without bound. Elsewhere its
/// events are taken, which get lost while nobody takes them.
///
/// From the first [`start`](Scanner::start) until the scanner is dropped, the task also tells the last
/// sink of the adapter, in pauses too: [`AdapterState::Off`] and [`AdapterState::Gone`] when the
/// adapter is switched off or unplugged, or `bluetoothd` has ended (`Gone` too if it has only been
/// restarted), and [`AdapterState::Ready`] once it can be used again. A scan that was interrupted, or
/// could not begin for such a reason, goes on by then. A scan that BlueZ refuses, as it does for up to ten
/// seconds after it has crashed, is told to be `Ready` as well once frames with identifiers come all the
/// same; those of iPhones that would have to be read do not. Only when the system's bus itself has ended,
/// `Gone` is the last word until the scanner is started again.
pub struct BtleplugScanner {
    options: SystemOptions,
    session: Session,
    #[cfg(target_os = "linux")]
    pauses: Pauses,
    #[cfg(not(target_os = "linux"))]
    line: Line,
    /// Whether there is a scan to stop, or one that is to begin when the adapter is back.
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
        let session = Session::open(options, AdapterState::Ready).await?;
        Ok(Self {
            #[cfg(target_os = "linux")]
            pauses: Pauses::default(),
            #[cfg(not(target_os = "linux"))]
            line: Line::to(&session.adapter),
            session,
            options: options.clone(),
            listening: false,
        })
    }

    /// A reader of what peers do not advertise; what its use gives away is said at
    /// [`GattReader`](super::GattReader).
    #[cfg(not(target_os = "linux"))]
    pub fn reader(&self) -> BtleplugReader {
        BtleplugReader::on(self.line.clone())
    }

    /// Scans with `adapter`, of which `bus` tells; the other parts of the radio have `pauses`.
    #[cfg(target_os = "linux")]
    pub(super) async fn on(
        bus: super::bluez::Bus,
        adapter: &super::bluez::Adapter,
        pauses: Pauses,
    ) -> Result<Self, RadioError> {
        let session = Session::on(os::follow(bus, adapter).await?, AdapterState::Ready).await?;
        pauses.ask(&session.orders);
        Ok(Self {
            session,
            options: SystemOptions {
                adapter: Some(adapter.name().to_owned()),
                ..SystemOptions::default()
            },
            pauses,
            listening: false,
        })
    }
}

impl Scanner for BtleplugScanner {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        if self.session.orders.is_closed() {
            // The bus had gone, and every connection over it.
            self.session = Session::open(&self.options, AdapterState::Gone).await?;
            #[cfg(target_os = "linux")]
            self.pauses.ask(&self.session.orders);
            #[cfg(not(target_os = "linux"))]
            self.line.put(&self.session.adapter);
        }
        // Noted before it is so: if the caller gives up waiting, the next call stops it.
        self.listening = true;
        // The task listens before it scans: what is found in the moment the scan begins is heard
        // already. It goes on listening for an adapter that is off.
        let (answer, begun) = oneshot::channel();
        let listen = Order::Listen(filter, sink, answer);
        // If the task has ended, it has dropped the answer.
        let _ = self.session.orders.send(listen).await;
        begun.await.unwrap_or_else(|_| {
            let why = "its events have ended".to_owned();
            Err(RadioError::NoService(why))
        })
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        if !self.listening {
            return Ok(());
        }
        let (done, ignored) = oneshot::channel();
        // If the task has ended, it has let go of the sink, and dropped the answer.
        let _ = self.session.orders.send(Order::Ignore(done)).await;
        let _ = ignored.await;
        let stopped = self.session.adapter.stop_scan().await;
        self.session.power.hear_no_more().await;
        // Not before, for the same reason.
        self.listening = false;
        let Err(error) = stopped else {
            return Ok(());
        };
        match explain(&self.session.power, error).await {
            // The scan has ended with what it ran on.
            error if absence(&error).is_some() => Ok(()),
            // So says BlueZ of one that could not begin.
            RadioError::System(why) if why.contains("No discovery started") => Ok(()),
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
    async fn open(options: &SystemOptions, before: AdapterState) -> Result<Self, RadioError> {
        Self::on(os::open(options).await?, before).await
    }

    /// `before` is what the adapter's state was reported to be.
    async fn on(
        (adapter, power, presence): (platform::Adapter, Power, Presence),
        before: AdapterState,
    ) -> Result<Self, RadioError> {
        let events = os::events(&adapter, &power).await?;
        let (orders, received) = mpsc::channel(1);
        let drain = Drain::new(adapter.clone(), power.clone(), before);
        tokio::spawn(drain.run(events, presence, received));
        Ok(Self {
            adapter,
            power,
            orders,
        })
    }
}

/// Why a call failed. btleplug passes on the system's words alone, so what is wrong is looked up.
async fn explain(power: &Power, error: ::btleplug::Error) -> RadioError {
    match power.require_on().await {
        Err(reason) => reason,
        Ok(()) => radio_error(error),
    }
}

/// The adapter's state, if `error` says that it cannot be used.
fn absence(error: &RadioError) -> Option<AdapterState> {
    match error {
        RadioError::AdapterOff | RadioError::Blocked { .. } => Some(AdapterState::Off),
        RadioError::NoAdapter | RadioError::NoService(_) => Some(AdapterState::Gone),
        _ => None,
    }
}

/// Whether there is no adapter that could scan.
fn is_absent(state: AdapterState) -> bool {
    matches!(state, AdapterState::Off | AdapterState::Gone)
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
