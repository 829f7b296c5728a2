//! Radios: what hears advertisements and what sends them.
//!
//! A [`Radio`] is a [`Scanner`] and, where the system allows one, an [`Advertiser`].
//! `system` gives the machine's own Bluetooth (feature `ble`), [`air`] a simulated one for tests and
//! demonstrations, [`replay`] a recorded one. An app with Bluetooth of its own implements [`Scanner`] and
//! [`Advertiser`] (and [`GattReader`], if it reads what peers do not advertise), or drives an
//! [`Engine`](crate::Engine) by hand.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub mod air;
#[cfg(all(feature = "ble", target_vendor = "apple"))]
pub mod apple;
#[cfg(all(feature = "ble", target_os = "linux"))]
pub mod bluez;
#[cfg(feature = "ble")]
pub mod btleplug;
mod filter;
mod gatt;
mod join;
mod queue;
pub mod replay;
mod report;
#[cfg(feature = "ble")]
mod system;
#[cfg(all(feature = "ble", windows))]
pub mod windows;

pub use filter::Filter;
pub(crate) use gatt::DynGattReader;
pub use gatt::{GattReader, GattRequest};
// For the benches and tests that measure it; no part of what the crate promises.
#[doc(hidden)]
pub use join::{Join, Joined, Pieces};
#[cfg(feature = "field")]
pub(crate) use queue::FrameCopy;
pub use queue::{AdapterState, Peer, RadioEvent, RadioEvents, RadioSink};
pub use report::{Advertised, Caveat, ScanMode};
#[cfg(feature = "ble")]
pub use system::{SystemOptions, system};

use crate::advertisement::{Advertisement, AdvertisementTooLong};
use crate::protocol::NoSuchForm;
use crate::time::Clock;

/// Hears advertisements.
pub trait Scanner: Send + 'static {
    /// Begins to hear frames that pass `filter` and hands each to `sink`, until stopped. Called
    /// again after [`stop`](Self::stop), as often as the schedule wants.
    ///
    /// The filter says what is worth the trouble; other frames are counted as foreign. A frame of a device
    /// that a [`GattReader`] can connect to goes to [`RadioSink::heard_from`].
    ///
    /// # Errors
    ///
    /// [`RadioError`]; nothing is heard then. If the adapter is off or gone, the sink may be told
    /// once it is [`Ready`](AdapterState::Ready), and the scan begin with that.
    fn start(
        &mut self,
        filter: Filter,
        sink: RadioSink,
    ) -> impl Future<Output = Result<(), RadioError>> + Send;

    /// Stops hearing. No frame reaches the sink once this has returned; the adapter's state may.
    ///
    /// # Errors
    ///
    /// [`RadioError`]; the scanner counts as stopped all the same.
    fn stop(&mut self) -> impl Future<Output = Result<(), RadioError>> + Send;
}

/// Sends advertisements.
pub trait Advertiser: Send + 'static {
    /// Advertises `frame`, non-connectable and under a fresh random address, in place of whatever
    /// was advertised before: the old frame and the old address end before the new begin.
    ///
    /// The frame's identifier ends after `lifetime`. The next call comes by then; the system is told,
    /// where it can be, so that a frozen process does not advertise for ever.
    ///
    /// # Errors
    ///
    /// [`RadioError`]; nothing is advertised then.
    fn advertise(
        &mut self,
        frame: &Advertisement,
        lifetime: Duration,
    ) -> impl Future<Output = Result<Advertised, RadioError>> + Send;

    /// Stops advertising; once this has returned nothing is on the air.
    ///
    /// # Errors
    ///
    /// [`RadioError`] if that cannot be assured.
    fn stop(&mut self) -> impl Future<Output = Result<(), RadioError>> + Send;
}

/// A scanner and, where there is one, an advertiser.
pub struct Radio {
    pub(crate) scanner: Box<dyn DynScanner>,
    /// Or why there is none.
    pub(crate) advertiser: Result<Box<dyn DynAdvertiser>, String>,
    pub(crate) witness: Option<Box<dyn DynScanner>>,
    pub(crate) reader: Option<Box<dyn DynGattReader>>,
    /// The clock that what it hears goes by, if it is not the system's.
    pub(crate) clock: Option<Arc<dyn Clock>>,
}

impl Radio {
    /// A radio of two parts.
    pub fn new(scanner: impl Scanner, advertiser: impl Advertiser) -> Self {
        Self {
            scanner: Box::new(scanner),
            advertiser: Ok(Box::new(advertiser)),
            witness: None,
            reader: None,
            clock: None,
        }
    }

    /// A radio that can only hear. The tracer says so in its health, and `why`.
    pub fn scan_only(scanner: impl Scanner, why: impl Into<String>) -> Self {
        Self {
            scanner: Box::new(scanner),
            advertiser: Err(why.into()),
            witness: None,
            reader: None,
            clock: None,
        }
    }

    /// With a second adapter of the same device that listens to what this one sends. It serves for
    /// nothing else: the tracer's health tells when an own identifier was last heard, and whether
    /// its address outlives it.
    pub fn with_witness(self, witness: impl Scanner) -> Self {
        Self {
            witness: Some(Box::new(witness)),
            ..self
        }
    }

    /// With a reader of what Bluezone's peers on iOS do not advertise: whoever hands one over has their
    /// identifiers read, and accepts what a connection gives away ([`GattReader`]).
    pub fn with_reader(self, reader: impl GattReader) -> Self {
        Self {
            reader: Some(Box::new(reader)),
            ..self
        }
    }
}

impl std::fmt::Debug for Radio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Radio")
            .field("advertises", &self.advertiser.is_ok())
            .finish_non_exhaustive()
    }
}

type BoxFuture<'a, T = ()> = Pin<Box<dyn Future<Output = Result<T, RadioError>> + Send + 'a>>;

/// [`Scanner`] as a trait object.
pub(crate) trait DynScanner: Send {
    fn start(&mut self, filter: Filter, sink: RadioSink) -> BoxFuture<'_>;
    fn stop(&mut self) -> BoxFuture<'_>;
}

impl<S: Scanner> DynScanner for S {
    fn start(&mut self, filter: Filter, sink: RadioSink) -> BoxFuture<'_> {
        Box::pin(Scanner::start(self, filter, sink))
    }

    fn stop(&mut self) -> BoxFuture<'_> {
        Box::pin(Scanner::stop(self))
    }
}

/// [`Advertiser`] as a trait object.
pub(crate) trait DynAdvertiser: Send {
    fn advertise<'a>(
        &'a mut self,
        frame: &'a Advertisement,
        lifetime: Duration,
    ) -> BoxFuture<'a, Advertised>;
    fn stop(&mut self) -> BoxFuture<'_>;
}

impl<A: Advertiser> DynAdvertiser for A {
    fn advertise<'a>(
        &'a mut self,
        frame: &'a Advertisement,
        lifetime: Duration,
    ) -> BoxFuture<'a, Advertised> {
        Box::pin(Advertiser::advertise(self, frame, lifetime))
    }

    fn stop(&mut self) -> BoxFuture<'_> {
        Box::pin(Advertiser::stop(self))
    }
}

impl From<NoSuchForm> for RadioError {
    fn from(NoSuchForm { why }: NoSuchForm) -> Self {
        Self::Unsupported { why }
    }
}

/// What a radio cannot do, and what to do about it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RadioError {
    /// The machine has no Bluetooth adapter.
    #[error("no Bluetooth adapter found: plug one in, or use the virtual radio")]
    NoAdapter,
    /// The adapter asked for is not there.
    #[error("no Bluetooth adapter named {wanted}; there is {found}")]
    AdapterNotFound {
        /// What was asked for.
        wanted: String,
        /// The adapters there are.
        found: String,
    },
    /// The adapter is switched off.
    #[error("the Bluetooth adapter is off: switch it on (bluetoothctl power on)")]
    AdapterOff,
    /// The adapter is blocked, by a switch of the machine or by software.
    #[error("the Bluetooth adapter is blocked: {remedy}")]
    Blocked {
        /// What to do about it.
        remedy: &'static str,
    },
    /// The system forbids it.
    #[error(
        "the system denies access to Bluetooth ({0}): on Linux D-Bus's policy decides, often by the \
         group `bluetooth` (/etc/dbus-1/system.d/bluetooth.conf), elsewhere the app's permission"
    )]
    PermissionDenied(String),
    /// The Bluetooth service does not answer.
    #[error(
        "the system's Bluetooth service does not answer ({0}): on Linux, is bluetoothd running (systemctl start bluetooth)?"
    )]
    NoService(String),
    /// The adapter advertises as much as it can already.
    #[error("the adapter has no room for another advertisement: stop another program's")]
    TooManyAdvertisements,
    /// The adapter cannot begin to advertise while it scans, and a program that is not asked to pause
    /// has it scan.
    #[error("the adapter cannot begin to advertise during another program's scan: end that scan")]
    ScanInTheWay,
    /// The adapter cannot begin to advertise, and its system keeps the reason to itself.
    #[error(
        "the adapter refuses the advertisement: bluetoothd's log has the reason (journalctl -u bluetooth)"
    )]
    AdvertisementRefused,
    /// The frame has over 31 bytes.
    #[error(transparent)]
    TooLong(#[from] AdvertisementTooLong),
    /// The system cannot do it at all.
    #[error("not possible on this system: {why}")]
    Unsupported {
        /// What forbids it.
        why: &'static str,
    },
    /// The system's Bluetooth has not answered for too long.
    #[error("the system's Bluetooth does not answer: restart bluetoothd, or the adapter")]
    NoAnswer,
    /// A recording that cannot be played.
    #[error("the recording cannot be played: {0}")]
    Recording(String),
    /// A peer does not offer what was to be read from it, or cannot be reached.
    #[error("the peer could not be read: {0}")]
    Peer(String),
    /// Any other failure of the system's Bluetooth, in its own words.
    #[error("the system's Bluetooth failed: {0}")]
    System(String),
}
