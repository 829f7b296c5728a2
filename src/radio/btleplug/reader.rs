//! Reading from peers with btleplug.

use ::btleplug::api::{Central, Peripheral as _};
use ::btleplug::platform::{Adapter, Peripheral};

use super::os::{self, Power};
use super::radio_error;
use crate::radio::{GattReader, GattRequest, RadioError};

/// Reads from the peers that a [`BtleplugScanner`](super::BtleplugScanner) hears, on the same adapter.
///
/// On Linux a device that its owner has paired is left alone, and BlueZ is made to forget any other
/// after the read, as it would keep a list of them on disk.
pub struct BtleplugReader {
    adapter: Adapter,
    power: Power,
    /// What may be connected, or be on the way to it.
    peer: Option<Peripheral>,
}

impl BtleplugReader {
    pub(super) fn new(adapter: Adapter, power: Power) -> Self {
        Self {
            adapter,
            power,
            peer: None,
        }
    }
}

impl GattReader for BtleplugReader {
    async fn read(&mut self, request: GattRequest) -> Result<Vec<u8>, RadioError> {
        let known = self.adapter.peripherals().await.map_err(radio_error)?;
        let peer = known
            .into_iter()
            .find(|known| os::peer(&known.id()) == Some(request.peer))
            .ok_or_else(|| RadioError::Peer("it has gone".to_owned()))?;
        self.power.require_stranger(&peer.id()).await?;
        // Noted before it is so: whoever gives up waiting has it disconnected.
        let peer = self.peer.insert(peer);
        peer.connect().await.map_err(failure)?;
        peer.discover_services().await.map_err(failure)?;
        let wanted = peer
            .characteristics()
            .into_iter()
            .find(|it| it.uuid == request.characteristic && it.service_uuid == request.service)
            .ok_or_else(|| RadioError::Peer("it does not offer an identifier".to_owned()))?;
        peer.read(&wanted).await.map_err(failure)
    }

    async fn disconnect(&mut self) {
        let Some(peer) = self.peer.take() else {
            return;
        };
        // Each fails if there is nothing left to end.
        let _ = peer.disconnect().await;
        self.power.forget(&peer.id()).await;
    }
}

impl std::fmt::Debug for BtleplugReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BtleplugReader").finish_non_exhaustive()
    }
}

fn failure(error: ::btleplug::Error) -> RadioError {
    RadioError::Peer(error.to_string())
}
