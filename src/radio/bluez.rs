//! Advertising through BlueZ, the Bluetooth daemon of Linux.
//!
//! A program hands BlueZ an object of interface `org.bluez.LEAdvertisement1`, which BlueZ reads once
//! and advertises until it is told to stop or the program leaves the bus.

mod adapter;
mod bus;
mod device;
mod following;
mod monitor;
mod payload;
mod reader;
mod server;
mod session;
mod signals;
mod surroundings;

use std::time::Duration;

use dbus::Path;

pub(super) use self::adapter::Adapter;
pub(super) use self::bus::{Bus, Presence};
pub(super) use self::following::{FollowingScanner, Place};
pub(super) use self::monitor::Monitor;
use self::payload::Payload;
pub use self::reader::BluezReader;
pub use self::server::BluezGattServer;
use self::session::{Broadcast, Session};
pub(super) use self::signals::{Signal, Signals, known_devices};
use super::btleplug::Pauses;
use super::{Advertised, Advertiser, RadioError, SystemOptions};
use crate::advertisement::Advertisement;

const CANNOT_ADVERTISE: RadioError = RadioError::Unsupported {
    why: "the Bluetooth adapter cannot advertise",
};

/// `Type` of an advertisement from which nobody can connect.
const BROADCAST: &str = "broadcast";

/// `Type` of one that invites to connect.
const CONNECTABLE: &str = "peripheral";

/// By how much an advertisement may outlive its identifier: longer than an ordinary rotation takes, so
/// that BlueZ ends only what has been left alone.
const TIMEOUT_MARGIN: Duration = Duration::from_secs(2);

/// How long a scan may take to pause. Chosen: it does in a tenth of a second, and what was advertised has
/// ended meanwhile.
const PAUSE_WITHIN: Duration = Duration::from_secs(3);

/// Advertises through BlueZ, non-connectable (`Type = "broadcast"`).
///
/// The kernel gives every broadcast a non-resolvable private address of its own, fresh with each
/// [`advertise`](Advertiser::advertise). That holds unless `Privacy` is switched on in BlueZ's
/// `main.conf`: broadcasts have a resolvable address then that outlives the frame, so that
/// identifiers can be linked by it. It has to stay off on a machine that traces contacts.
///
/// Controllers without extended advertising take no new random address while they scan (Bluetooth Core
/// Specification 5.4, Vol. 4, Part E, 7.8.4). [`system`](super::system)'s radio has its scan pause
/// then, for a fraction of a second at each rotation; an advertiser of its own cannot begin during any
/// scan on such a controller.
///
/// BlueZ ends an advertisement by itself some two seconds after its lifetime. Dropped without
/// [`stop`](Advertiser::stop), the advertiser leaves the bus, whereupon BlueZ ends the
/// advertisement; only `stop` waits for that.
pub struct BluezAdvertiser {
    place: Place,
    /// [`BROADCAST`] or [`CONNECTABLE`].
    kind: &'static str,
    /// Of the scan on the same adapter, if that is ours.
    pauses: Option<Pauses>,
    /// Whether the controller has refused to begin during a scan, and begun in a pause.
    needs_pauses: bool,
    /// Opened when first needed, and anew after the bus or BlueZ have failed us.
    session: Option<Session>,
    /// Numbers the objects, so that no two advertisements share a path.
    objects: u64,
}

impl BluezAdvertiser {
    /// Advertises on the adapter that `options` name, or else on the first that is switched on.
    ///
    /// # Errors
    ///
    /// [`RadioError`]; [`RadioError::Unsupported`] if the adapter cannot advertise.
    pub async fn open(options: &SystemOptions) -> Result<Self, RadioError> {
        let bus = Bus::open().await?;
        let adapter = bus.adapter(options.adapter.as_deref()).await?;
        match adapter.advertises {
            true => Ok(Self::at(Place::at(&adapter), BROADCAST)),
            false => Err(CANNOT_ADVERTISE),
        }
    }

    fn at(place: Place, kind: &'static str) -> Self {
        Self {
            place,
            kind,
            pauses: None,
            needs_pauses: false,
            session: None,
            objects: 0,
        }
    }

    /// Advertises where a scanner of ours scans, which is asked for `pauses`.
    pub(super) fn beside(pauses: Pauses, place: Place) -> Self {
        Self {
            pauses: Some(pauses),
            ..Self::at(place, BROADCAST)
        }
    }

    /// Puts `broadcast` in place of what is advertised.
    async fn replace(&mut self, broadcast: Broadcast) -> Result<Advertised, RadioError> {
        // Unregistered and registered anew, rather than changed in place: BlueZ answers to both
        // steps, whereas a change is a signal that it may refuse without a word, the old identifier
        // staying on the air. Besides, the kernel gives a legacy controller changed data before it
        // disables the old address, so that both are on the air together for some milliseconds
        // (tests/stack/rotation.rs). The silence between is some 0.1 seconds on an emulated machine.
        //
        // A failure to end is none to begin: the connection has been closed then, and the next is
        // opened behind it on the same bus.
        let _ = self.end().await;
        let registered = self.register(broadcast).await;
        if registered.is_err() {
            // A registration that was not answered in time may still succeed unseen.
            self.disconnect().await;
        }
        registered
    }

    /// The same while our own scan pauses.
    async fn replace_in_pause(&mut self, broadcast: Broadcast) -> Result<Advertised, RadioError> {
        // Whatever comes of it, the old frame ends now.
        let _ = self.end().await;
        let paused = match &self.pauses {
            Some(pauses) => tokio::time::timeout(PAUSE_WITHIN, pauses.pause()).await,
            None => Ok(None),
        };
        let replaced = self.replace(broadcast).await;
        self.needs_pauses |= replaced.is_ok() && matches!(paused, Ok(Some(_)));
        drop(paused);
        replaced
    }

    async fn register(&mut self, broadcast: Broadcast) -> Result<Advertised, RadioError> {
        self.objects += 1;
        let object = Path::from(format!("/vn/truyvet/advertisement{}", self.objects));
        let place = self.place.clone();
        let session = self.session().await?;
        let adapter = place.path_on(&session.bus).await?;
        // An adapter that is off takes the advertisement and says nothing, to advertise it once on.
        session.bus.require_powered(&adapter).await?;
        match session.register(&adapter, object, broadcast).await {
            Err(RadioError::AdvertisementRefused) if session.bus.is_scanning(&adapter).await => {
                Err(RadioError::ScanInTheWay)
            }
            registered => registered,
        }
    }

    async fn session(&mut self) -> Result<&mut Session, RadioError> {
        let session = match self.session.take() {
            Some(session) if !session.bus.is_lost() => session,
            _ => {
                // It may be another controller by now.
                self.needs_pauses = false;
                Session::open().await?
            }
        };
        Ok(self.session.insert(session))
    }

    /// Ends what is advertised. Whatever happens, it is not after this: if BlueZ does not say that it
    /// has unregistered the advertisement, the connection is closed, and the advertisement goes with
    /// it.
    async fn end(&mut self) -> Result<(), RadioError> {
        let Some(session) = &mut self.session else {
            return Ok(());
        };
        let ended = session.unregister().await;
        if ended.is_err() {
            self.disconnect().await;
        }
        ended
    }

    async fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            session.bus.close().await;
        }
    }
}

impl Advertiser for BluezAdvertiser {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        lifetime: Duration,
    ) -> Result<Advertised, RadioError> {
        let broadcast = match Payload::of(frame) {
            Ok(payload) => Broadcast {
                kind: self.kind,
                payload,
                timeout_s: timeout_s(lifetime),
            },
            Err(error) => {
                let _ = self.end().await;
                return Err(error);
            }
        };
        if !self.needs_pauses {
            match self.replace(broadcast.clone()).await {
                Err(RadioError::ScanInTheWay) if self.pauses.is_some() => {}
                replaced => return replaced,
            }
        }
        self.replace_in_pause(broadcast).await
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        let ended = self.end().await;
        self.disconnect().await;
        ended
    }
}

impl std::fmt::Debug for BluezAdvertiser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BluezAdvertiser")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

/// When BlueZ is to end an advertisement of this `lifetime`, in whole seconds; at most 18 hours, as it
/// counts in 16 bits.
fn timeout_s(lifetime: Duration) -> u16 {
    let seconds = lifetime.saturating_add(TIMEOUT_MARGIN).as_millis();
    u16::try_from(seconds.div_ceil(1_000)).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_comes_after_the_rotation() {
        let timeout = |ms| timeout_s(Duration::from_millis(ms));
        assert_eq!([0, 1, 1_000, 899_500].map(timeout), [2, 3, 3, 902]);
        assert_eq!(timeout_s(Duration::MAX), u16::MAX);
    }
}
