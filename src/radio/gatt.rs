//! Reading what a peer's GATT server offers.

use uuid::Uuid;

use super::{BoxFuture, Peer, RadioError};

/// What to read, and from whom.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct GattRequest {
    /// The peer.
    pub peer: Peer,
    /// The service.
    pub service: Uuid,
    /// Its characteristic.
    pub characteristic: Uuid,
}

impl GattRequest {
    /// For `characteristic` of `service`, of `peer`.
    pub fn new(peer: Peer, service: Uuid, characteristic: Uuid) -> Self {
        Self {
            peer,
            service,
            characteristic,
        }
    }
}

/// Reads characteristics of peers that the scanner has heard.
///
/// A connection tells the peer more than an advertisement does. On Linux it comes from the adapter's
/// public address, so that whoever offers Bluezone's service at two places knows whom it met at both,
/// and whoever is connected may read the machine's name; a peer that asks for it may have the system
/// pair with it before anybody can object; and BlueZ keeps a cache on disk of all that it has connected
/// to, unless `main.conf` has `Cache = yes` under `[GATT]` (paired devices alone). Where there is no
/// reader, peers on iOS are counted
/// ([`unread_frames`](crate::engine::Counters::unread_frames)) and not logged.
pub trait GattReader: Send + 'static {
    /// Connects to the peer and reads the characteristic; never pairs with it.
    ///
    /// The caller gives up at a time limit of its own, and calls [`disconnect`](Self::disconnect) then
    /// as after every read.
    ///
    /// # Errors
    ///
    /// [`RadioError`]; [`RadioError::Peer`] if it is the peer's failure.
    fn read(
        &mut self,
        request: GattRequest,
    ) -> impl Future<Output = Result<Vec<u8>, RadioError>> + Send;

    /// Ends the connection, however far it has come, and whatever the system remembers of the peer. If
    /// the caller gives up waiting, the next call or read tries again.
    fn disconnect(&mut self) -> impl Future<Output = ()> + Send;
}

/// [`GattReader`] as a trait object.
pub(crate) trait DynGattReader: Send {
    fn read(&mut self, request: GattRequest) -> BoxFuture<'_, Vec<u8>>;
    fn disconnect(&mut self) -> BoxFuture<'_>;
}

impl<R: GattReader> DynGattReader for R {
    fn read(&mut self, request: GattRequest) -> BoxFuture<'_, Vec<u8>> {
        Box::pin(GattReader::read(self, request))
    }

    fn disconnect(&mut self) -> BoxFuture<'_> {
        Box::pin(async move {
            GattReader::disconnect(self).await;
            Ok(())
        })
    }
}
