//! What a radio says of its work.

use std::fmt;
use std::time::Duration;

/// What the system made of an advertisement.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Advertised {
    /// From one frame to the next, if the system tells.
    pub interval: Option<Duration>,
    /// In what it falls short of what was asked for.
    pub caveats: Vec<Caveat>,
}

/// In what an advertisement falls short, though it is on the air.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Caveat {
    /// The device's address outlives the identifier, so that whoever hears two identifiers can link
    /// them by it.
    LinkableAddress {
        /// What makes it so, and what to do about it.
        why: &'static str,
    },
    /// The metadata that belongs to the identifier is not on the air.
    NoMetadata {
        /// What leaves no room for it.
        why: &'static str,
    },
    /// Frames come less often than asked for.
    SlowInterval {
        /// What makes it so, and what to do about it.
        why: &'static str,
    },
}

impl fmt::Display for Caveat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinkableAddress { why } => write!(f, "identifiers can be linked: {why}"),
            Self::NoMetadata { why } => write!(f, "sent without its metadata: {why}"),
            Self::SlowInterval { why } => write!(f, "sent less often than asked for: {why}"),
        }
    }
}

/// How a scanner hears those it knows already. A new identifier's first frame is heard at once in
/// every mode, as it comes from a new address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ScanMode {
    /// Every frame.
    EveryFrame,
    /// One frame of each neighbour each time that the scan is begun anew.
    Restarted {
        /// How often that is.
        every: Duration,
    },
    /// As often as the system likes.
    System,
}

impl fmt::Display for ScanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EveryFrame => f.write_str("every frame"),
            Self::Restarted { every } => write!(f, "a frame of each every {} s", every.as_secs()),
            Self::System => f.write_str("as often as the system likes"),
        }
    }
}
