//! What the app is told.

use std::fmt;
use std::time::Duration;

use super::Health;
use crate::protocol::{EphemeralId, ProtocolKind};
use crate::sighting::{Rssi, RssiSummary};
use crate::time::Timestamp;

/// A neighbour's number since the start: the same until it changes its identifier, for then nobody
/// can tell that it is the same.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct NeighbourId(pub(super) u64);

impl fmt::Display for NeighbourId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As a whole, so that a width aligns it.
        f.pad(&format!("#{}", self.0))
    }
}

/// What the app is told while a tracer runs.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An identifier is heard for the first time, or again after a minute's silence.
    NeighbourAppeared {
        /// Its number from now on.
        neighbour: NeighbourId,
        /// Its protocol.
        protocol: ProtocolKind,
        /// Its identifier, which prints six digits.
        id: EphemeralId,
        /// The first frame's strength.
        rssi: Option<Rssi>,
    },
    /// Another sighting of a neighbour is complete, about every half minute while it is near.
    ContactGrowing {
        /// Which.
        neighbour: NeighbourId,
        /// From its first frame to its last so far.
        duration: Duration,
        /// Strengths in this sighting.
        rssi: Option<RssiSummary>,
    },
    /// A neighbour has not been heard for a minute.
    NeighbourLeft {
        /// Which.
        neighbour: NeighbourId,
        /// From its first frame to its last.
        duration: Duration,
    },
    /// This device advertises another identifier now.
    Rotated {
        /// Under which protocol.
        protocol: ProtocolKind,
        /// How long.
        until: Timestamp,
    },
    /// The wall clock has jumped by so many milliseconds against the monotonic one: somebody set
    /// it, or the machine slept; [`Engine::clock_reading`](super::Engine::clock_reading) can tell which.
    ClockJumped {
        /// Positive if it jumped forward.
        by_ms: i64,
    },
    /// Something began to work, or ceased to.
    Health(Box<Health>),
    /// So many events were dropped because the app did not take them.
    Missed(u64),
    /// The radio will hear nothing more: a recording has been played to its end.
    RadioFinished,
}
