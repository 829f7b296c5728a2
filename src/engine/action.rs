//! What the engine wants done.

use std::time::Duration;

use super::Event;
use crate::advertisement::Advertisement;
use crate::radio::GattRequest;
use crate::sighting::{ScanGap, Sighting};
use crate::time::{Timestamp, UtcDay};

/// What the engine wants done.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Advertise `frame`, under a fresh address, in place of any other, and not beyond `until`.
    Advertise {
        /// The frame.
        frame: Advertisement,
        /// When its identifier ends. The engine asks for the next by then, if it is ticked.
        until: Timestamp,
    },
    /// Advertise nothing.
    StopAdvertising,
    /// Begin to scan, or cease.
    Scan(bool),
    /// Connect to the peer, read the characteristic, disconnect, and tell
    /// [`Engine::read_result`](super::Engine::read_result), all `within` this time. Never pair with it.
    /// Asked for one peer at a time, and of the same peer once a slot unless that fails.
    ReadIdentifier {
        /// What to read, and from whom.
        request: GattRequest,
        /// How long it may take.
        within: Duration,
    },
    /// Store these.
    Store(Vec<Sighting>),
    /// Store that nothing could be heard for a while.
    StoreGap(ScanGap),
    /// Save [`Engine::own_keys`](super::Engine::own_keys), before anything that follows. If that fails,
    /// what follows is done all the same: to be traced without a key that survives a restart is better
    /// than not to be.
    SaveKeys,
    /// Delete what the log holds from before the retention that ends today, and tell
    /// [`Engine::erasure_result`](super::Engine::erasure_result) of the keys, or
    /// [`Engine::erasure_failed`](super::Engine::erasure_failed), which has it be asked for again.
    Purge(UtcDay),
    /// Tell the app.
    Tell(Event),
}
