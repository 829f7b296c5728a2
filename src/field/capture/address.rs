//! Device addresses.

use std::fmt;

use serde::Serialize;

/// A device's address with its kind. Printing shows the first two bytes alone.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    kind: AddressKind,
    bytes: [u8; 6],
}

/// Kinds of addresses (Bluetooth Core Specification 5.4, Vol. 6, Part B, 1.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum AddressKind {
    /// The device's own, given by its manufacturer for good.
    Public,
    /// Random, kept until the device starts anew at least.
    RandomStatic,
    /// Random, and whoever holds the device's identity resolving key can tell whose it is.
    Resolvable,
    /// Random, and nobody can.
    NonResolvable,
    /// Random, with the two bits set in the way that is reserved.
    Reserved,
}

impl Address {
    /// An address as it stands in packets, least significant byte first; whether it is `random` stands beside it.
    pub fn from_wire(bytes: [u8; 6], random: bool) -> Self {
        let kind = match (random, bytes[5] >> 6) {
            (false, _) => AddressKind::Public,
            (true, 0b11) => AddressKind::RandomStatic,
            (true, 0b01) => AddressKind::Resolvable,
            (true, 0b00) => AddressKind::NonResolvable,
            (true, _) => AddressKind::Reserved,
        };
        Self { kind, bytes }
    }

    /// As it stands in packets.
    pub const fn bytes(&self) -> [u8; 6] {
        self.bytes
    }

    /// Which kind it is.
    pub const fn kind(&self) -> AddressKind {
        self.kind
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}:{:02X}:***", self.bytes[5], self.bytes[4])
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self}, {:?})", self.kind)
    }
}

impl fmt::Display for AddressKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::RandomStatic => "random static",
            Self::Resolvable => "resolvable",
            Self::NonResolvable => "non-resolvable",
            Self::Reserved => "of a reserved kind",
        })
    }
}
