//! Reading from peers with btleplug.

use std::sync::{Arc, Mutex, PoisonError};

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
    line: Line,
    /// What may be connected, or be on the way to it.
    connection: Option<(Peripheral, Power)>,
}

/// Where a reader finds the adapter on which the scanner scans: that may be another after a while.
#[derive(Clone, Default)]
pub(in crate::radio) struct Line(Arc<Mutex<Option<(Adapter, Power)>>>);

impl Line {
    pub(super) fn put(&self, adapter: &Adapter, power: &Power) {
        let ends = Some((adapter.clone(), power.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = ends;
    }

    fn ends(&self) -> Option<(Adapter, Power)> {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.clone()
    }
}

impl BtleplugReader {
    pub(in crate::radio) fn on(line: Line) -> Self {
        Self {
            line,
            connection: None,
        }
    }
}

impl GattReader for BtleplugReader {
    async fn read(&mut self, request: GattRequest) -> Result<Vec<u8>, RadioError> {
        let (adapter, power) = self.line.ends().ok_or(RadioError::NoAdapter)?;
        let known = adapter.peripherals().await.map_err(radio_error)?;
        let peer = known
            .into_iter()
            .find(|known| os::peer(&known.id()) == Some(request.peer))
            .ok_or_else(|| RadioError::Peer("it has gone".to_owned()))?;
        power.require_stranger(&peer.id()).await?;
        // Noted before it is so: whoever gives up waiting has it disconnected.
        let (peer, _) = self.connection.insert((peer, power));
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
        let Some((peer, power)) = self.connection.take() else {
            return;
        };
        // Each fails if there is nothing left to end.
        let _ = peer.disconnect().await;
        power.forget(&peer.id()).await;
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
