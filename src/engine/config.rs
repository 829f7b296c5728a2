//! What an engine does, and when its radio is on.

use std::time::Duration;

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
}

impl Config {
    /// Advertises `protocol` and listens for it, always on.
    pub fn new(protocol: Protocol) -> Self {
        Self {
            listen: vec![protocol.clone()],
            advertise: protocol,
            schedule: Schedule::default(),
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

/// On for a while, off for a while, again and again; or always on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DutyCycle {
    /// Never off.
    Continuous,
    /// Off between.
    Periodic {
        /// How long it is on; more than zero.
        on: Duration,
        /// How long it is off; more than zero.
        off: Duration,
    },
}

impl DutyCycle {
    /// How long it is off at a time.
    pub(super) const fn pause(self) -> Duration {
        match self {
            Self::Continuous => Duration::ZERO,
            Self::Periodic { off, .. } => off,
        }
    }
}

/// When a tracer scans and when it advertises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// Scanning.
    pub scan: DutyCycle,
    /// Advertising.
    pub advertise: DutyCycle,
}

impl Schedule {
    /// Always on: for devices on mains power, and the default.
    pub const fn continuous() -> Self {
        Self {
            scan: DutyCycle::Continuous,
            advertise: DutyCycle::Continuous,
        }
    }

    /// What Bluezone 3 does in the background: scan 40 s and rest 260 s, advertise 15 s and rest
    /// 15 s. A neighbour is noticed within five minutes.
    pub const fn bluezone_background() -> Self {
        Self {
            scan: periodic(40, 260),
            advertise: periodic(15, 15),
        }
    }

    /// What Google's implementation of GAEN does: scan for 4 s every 4 minutes (its 210 to 300 s,
    /// without their jitter), advertise always.
    pub const fn gaen() -> Self {
        Self {
            scan: periodic(4, 236),
            advertise: DutyCycle::Continuous,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::continuous()
    }
}

const fn periodic(on_s: u64, off_s: u64) -> DutyCycle {
    DutyCycle::Periodic {
        on: Duration::from_secs(on_s),
        off: Duration::from_secs(off_s),
    }
}
