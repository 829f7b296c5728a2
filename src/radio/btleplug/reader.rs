//! Reading from peers with btleplug.

use std::sync::{Arc, Mutex, PoisonError};

use ::btleplug::api::{Central, Peripheral as _};
use ::btleplug::platform::{Adapter, Peripheral};

use super::{os, radio_error};
use crate::radio::{GattReader, GattRequest, RadioError};

/// Reads from the peers that a [`BtleplugScanner`](super::BtleplugScanner) hears, on the same adapter.
pub struct BtleplugReader {
    line: Line,
    /// What may be connected, or be on the way to it.
    connection: Option<Peripheral>,
}

/// Where a reader finds the adapter on which the scanner scans: that may be another after a while.
#[derive(Clone)]
pub(super) struct Line(Arc<Mutex<Adapter>>);

impl Line {
    pub(super) fn to(adapter: &Adapter) -> Self {
        Self(Arc::new(Mutex::new(adapter.clone())))
    }

    pub(super) fn put(&self, adapter: &Adapter) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = adapter.clone();
    }

    fn adapter(&self) -> Adapter {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl BtleplugReader {
    pub(super) fn on(line: Line) -> Self {
        Self {
            line,
            connection: None,
        }
    }
}

impl GattReader for BtleplugReader {
    async fn read(&mut self, request: GattRequest) -> Result<Vec<u8>, RadioError> {
        self.disconnect().await;
        let adapter = self.line.adapter();
        let known = adapter.peripherals().await.map_err(radio_error)?;
        let peer = known
            .into_iter()
            .find(|known| os::peer(&known.id()) == Some(request.peer))
            .ok_or_else(|| RadioError::Peer("it has gone".to_owned()))?;
        // Noted before it is so: whoever gives up waiting has it disconnected.
        let peer = self.connection.insert(peer);
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
        if let Some(peer) = &self.connection {
            // It fails if there is nothing left to end.
            let _ = peer.disconnect().await;
        }
        self.connection = None;
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
