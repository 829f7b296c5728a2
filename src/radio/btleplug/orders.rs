//! What the scanner's task is told: by the system, and by the scanner.

use std::pin::Pin;

use futures_util::stream::Stream;
use tokio::sync::oneshot;

use super::pause::Pause;
use crate::radio::{Filter, Peer, Pieces, RadioError, RadioSink};

/// What the system tells.
pub(super) enum News {
    /// All that there is to say of a device.
    Device(Peer, Pieces),
    /// Something has changed about a device.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only BlueZ's advertisements come in pieces")
    )]
    Changed(Peer, Pieces),
    /// The system has forgotten a device.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "only BlueZ tells what it forgets")
    )]
    Forgotten(Peer),
    /// The adapter has been switched on or off.
    Powered(bool),
    /// So much was told too fast to be taken.
    Lost(u64),
}

/// What the scanner tells its task, with where to answer.
pub(super) enum Order {
    /// Scan. The answer tells how that began.
    Listen(Filter, RadioSink, oneshot::Sender<Result<(), RadioError>>),
    /// Scan no more.
    Ignore(oneshot::Sender<()>),
    /// Scan no more for a moment.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "elsewhere nobody needs it")
    )]
    Pause(Pause),
}

pub(super) type Events = Pin<Box<dyn Stream<Item = News> + Send>>;
