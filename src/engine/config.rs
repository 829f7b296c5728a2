//! What an engine does.

use super::Schedule;
use crate::protocol::Protocol;

/// What an engine does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The protocol advertised.
    pub advertise: Protocol,
    /// The protocols listened for, the advertised one among them.
    pub listen: Vec<Protocol>,
    /// When the radio is on.
    pub schedule: Schedule,
    /// Whether the identifiers of Bluezone's peers on iOS are read, by connecting to them: see
    /// [`Action::ReadIdentifier`](super::Action::ReadIdentifier). Off unless told otherwise, as a
    /// connection tells the peer more than an advertisement does
    /// ([`GattReader`](crate::radio::GattReader)).
    pub read_identifiers: bool,
}

impl Config {
    /// Advertises `protocol` and listens for it, always on.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            listen: vec![protocol.clone()],
            advertise: protocol,
            schedule: Schedule::default(),
            read_identifiers: false,
        }
    }

    /// Listens for `protocol` too, unless one of its kind is listened for already.
    pub fn also_listen(mut self, protocol: Protocol) -> Self {
        if self
            .listen
            .iter()
            .all(|other| other.kind() != protocol.kind())
        {
            self.listen.push(protocol);
        }
        self
    }

    /// Follows `schedule`.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }
}
