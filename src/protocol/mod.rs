//! The two protocols spoken: [`bluezone`] (version 3) and [`gaen`] (Exposure Notification v1.2).
//!
//! Everything here is a pure function of keys, bytes and time. Each protocol's file holds its key
//! schedule, its rotation, its frame, what an authority publishes of it and how exact the clocks
//! must be; this one holds what they have in common.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::advertisement::{Advertisement, AdvertisementTooLong};
use crate::sighting::Source;
use crate::time::Timestamp;

pub mod bluezone;
mod form;
pub mod gaen;
pub(crate) mod own_key;
mod published;

pub use form::{FrameForm, NoSuchForm};
pub use own_key::OwnKey;
pub use published::{Candidate, InvalidKey, PublishedKey, ReportType};

/// Which protocol an identifier or a key belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[non_exhaustive]
pub enum ProtocolKind {
    /// Bluezone version 3.
    Bluezone,
    /// Google/Apple Exposure Notification version 1.2.
    Gaen,
}

impl ProtocolKind {
    /// How long one ephemeral identifier is advertised.
    pub const fn slot_length(self) -> Duration {
        match self {
            Self::Bluezone => bluezone::SLOT_LENGTH,
            Self::Gaen => gaen::IntervalNumber::LENGTH,
        }
    }

    /// The slot in which `time` lies. Slots of both protocols are aligned to midnight UTC.
    pub fn slot_at(self, time: Timestamp) -> Slot {
        let length_ms = self.slot_length().as_millis() as u64;
        let start = Timestamp::from_unix_millis(time.unix_millis() / length_ms * length_ms);
        Slot {
            start,
            end: start.saturating_add(self.slot_length()),
        }
    }
}

impl fmt::Display for ProtocolKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bluezone => "Bluezone",
            Self::Gaen => "GAEN",
        })
    }
}

/// The time in which one identifier is advertised, `[start, end)`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Slot {
    /// Its first moment.
    pub start: Timestamp,
    /// The next slot's first moment.
    pub end: Timestamp,
}

/// An ephemeral identifier as it is on the air: 12 bytes in Bluezone, 16 in GAEN.
///
/// Printing shows six hexadecimal digits, as Bluezone's own screen does; the whole is in
/// [`as_bytes`](Self::as_bytes).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "(u8, [u8; 16])", into = "(u8, [u8; 16])")]
pub struct EphemeralId {
    bytes: [u8; 16],
    len: u8,
}

impl EphemeralId {
    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl From<[u8; 12]> for EphemeralId {
    fn from(short: [u8; 12]) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(short) {
            *to = from;
        }
        Self { bytes, len: 12 }
    }
}

impl From<[u8; 16]> for EphemeralId {
    fn from(bytes: [u8; 16]) -> Self {
        Self { bytes, len: 16 }
    }
}

impl TryFrom<(u8, [u8; 16])> for EphemeralId {
    type Error = String;

    fn try_from((len, bytes): (u8, [u8; 16])) -> Result<Self, String> {
        match (len, bytes) {
            (16, bytes) => Ok(bytes.into()),
            (12, [short @ .., 0, 0, 0, 0]) => Ok(short.into()),
            _ => Err(format!(
                "expected an identifier of 12 or 16 bytes, zero beyond, got {len}"
            )),
        }
    }
}

impl From<EphemeralId> for (u8, [u8; 16]) {
    fn from(id: EphemeralId) -> Self {
        (id.len, id.bytes)
    }
}

impl fmt::Display for EphemeralId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.bytes.iter().take(3) {
            write!(f, "{byte:02X}")?;
        }
        f.write_str("***")
    }
}

impl fmt::Debug for EphemeralId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EphemeralId({self})")
    }
}

/// A protocol with the identifiers it uses on the air.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Protocol {
    /// Bluezone version 3.
    Bluezone(bluezone::WireProfile),
    /// Exposure Notification version 1.2.
    Gaen(gaen::Config),
}

impl Protocol {
    /// Bluezone on its own service UUID and company identifier. Neither is assigned by the
    /// Bluetooth SIG; an app that is not Bluezone brings its own [`bluezone::WireProfile`].
    pub fn bluezone() -> Self {
        Self::Bluezone(bluezone::WireProfile::default())
    }

    /// GAEN with its assigned service 0xFD6F.
    pub fn gaen() -> Self {
        Self::Gaen(gaen::Config::default())
    }

    /// Which protocol it is.
    pub const fn kind(&self) -> ProtocolKind {
        match self {
            Self::Bluezone(_) => ProtocolKind::Bluezone,
            Self::Gaen(_) => ProtocolKind::Gaen,
        }
    }

    /// The frame that `key` advertises in the slot of `time`.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotValidAt`] if the key is of another protocol or not valid at `time`.
    pub fn frame(&self, key: &OwnKey, time: Timestamp) -> Result<Advertisement, FrameError> {
        self.advertised(key, time).map(|(frame, _)| frame)
    }

    /// The frame, and the identifier in it: late on a day Bluezone's takes 96 hashes, and is computed once for both.
    pub(crate) fn advertised(
        &self,
        key: &OwnKey,
        time: Timestamp,
    ) -> Result<(Advertisement, EphemeralId), FrameError> {
        match (self, key.secret()) {
            (Self::Bluezone(profile), own_key::DailySecret::Bluezone(daily_key)) => {
                key.require_valid(time)?;
                let id = daily_key.identifier(bluezone::slot_index(time));
                Ok((profile.frame(&id)?, id.into()))
            }
            (Self::Gaen(config), own_key::DailySecret::Gaen(tek)) => {
                let id = key.identifier(time)?;
                let frame = config.frame(tek, gaen::IntervalNumber::at(time))?;
                Ok((frame, id))
            }
            _ => Err(FrameError::NotValidAt { time }),
        }
    }

    /// What `frame` says in this protocol, in whichever [`FrameForm`]; `None` if it does not speak it.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame`] if it claims the protocol and breaks its layout.
    pub fn parse(&self, frame: &Advertisement) -> Result<Option<Heard>, MalformedFrame> {
        match self {
            Self::Bluezone(profile) => profile.parse(frame),
            Self::Gaen(config) => config.parse(frame),
        }
    }
}

/// What a frame of some neighbour says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Heard {
    /// Its identifier.
    Identifier {
        /// The identifier.
        id: EphemeralId,
        /// GAEN's Associated Encrypted Metadata.
        metadata: Option<[u8; 4]>,
        /// Where in the frame it stood.
        source: Source,
    },
    /// It speaks Bluezone, but its system lets it advertise no data (iOS): the identifier has to be
    /// read from its GATT server.
    ReadByGatt,
}

/// No frame can be made.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The key is of another protocol or of another time.
    #[error("the daily key does not serve this protocol at {time}")]
    NotValidAt {
        /// The time asked for.
        time: Timestamp,
    },
    /// The frame has over 31 bytes.
    #[error(transparent)]
    TooLong(#[from] AdvertisementTooLong),
    /// A derivation failed.
    #[error("the identifier could not be derived")]
    Derivation,
}

impl From<crate::crypto::CryptoError> for FrameError {
    fn from(_: crate::crypto::CryptoError) -> Self {
        Self::Derivation
    }
}

/// A frame that claims a protocol and breaks its layout.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{protocol}: expected {expected} bytes of {field}, got {got}")]
pub struct MalformedFrame {
    /// The protocol claimed.
    pub protocol: ProtocolKind,
    /// The field that is wrong.
    pub field: &'static str,
    /// Bytes it should have.
    pub expected: usize,
    /// Bytes it has.
    pub got: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_print_six_digits() {
        let id = EphemeralId::from([0xAB; 12]);
        assert_eq!(id.to_string(), "ABABAB***");
        assert_eq!(format!("{id:?}"), "EphemeralId(ABABAB***)");
        assert_eq!(id.as_bytes(), [0xAB; 12]);
    }

    #[test]
    fn stored_identifiers_have_one_form() {
        for id in [EphemeralId::from([1; 12]), EphemeralId::from([2; 16])] {
            let pair: (u8, [u8; 16]) = id.into();
            assert_eq!(EphemeralId::try_from(pair), Ok(id));
        }
        assert!(EphemeralId::try_from((12, [1; 16])).is_err());
        assert!(EphemeralId::try_from((13, [0; 16])).is_err());
        assert!(EphemeralId::try_from((255, [0; 16])).is_err());
    }

    #[test]
    fn slots_end_where_the_next_begins() {
        let midnight = Timestamp::from_unix_seconds(1_596_844_800);
        for (kind, seconds) in [(ProtocolKind::Bluezone, 900), (ProtocolKind::Gaen, 600)] {
            let slot = kind.slot_at(midnight.saturating_add(Duration::from_secs(seconds - 1)));
            assert_eq!(slot.start, midnight);
            assert_eq!(slot.end.unix_seconds(), 1_596_844_800 + seconds);
            assert_eq!(kind.slot_at(slot.end).start, slot.end);
        }
    }
}
