//! What was heard, and when nothing could be: sightings, their signal strengths, and gaps.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::{EphemeralId, ProtocolKind};
use crate::time::Timestamp;

/// A received signal strength in dBm, -127..=20 (Bluetooth Core Specification 5.4, Vol. 4, Part E,
/// section 7.7.65.2: 127 means "not available" and is never held here).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
#[serde(try_from = "i8", into = "i8")]
pub struct Rssi(i8);

impl Rssi {
    /// `dbm`, or `None` for a value that is no measurement: 127 ("not available"), or outside
    /// -127..=20.
    pub fn from_dbm(dbm: impl Into<i32>) -> Option<Self> {
        let dbm = i8::try_from(dbm.into()).ok()?;
        (-127..=20).contains(&dbm).then_some(Self(dbm))
    }

    /// The strength in dBm.
    pub const fn dbm(self) -> i8 {
        self.0
    }
}

impl TryFrom<i8> for Rssi {
    type Error = String;

    fn try_from(dbm: i8) -> Result<Self, String> {
        Self::from_dbm(dbm).ok_or_else(|| format!("expected an RSSI of -127..=20 dBm, got {dbm}"))
    }
}

impl From<Rssi> for i8 {
    fn from(rssi: Rssi) -> Self {
        rssi.0
    }
}

impl fmt::Display for Rssi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dBm", self.0)
    }
}

/// What a frame lost on its way, in dB: power at the sender's antenna less strength received. Never
/// below 0 (GAEN's rule), nor above 255.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Deserialize, Serialize)]
pub struct Attenuation(u8);

impl Attenuation {
    /// From `tx_power_dbm` to `rssi`.
    pub fn between(tx_power_dbm: i8, rssi: Rssi) -> Self {
        let lost_db = i16::from(tx_power_dbm) - i16::from(rssi.dbm());
        Self(u8::try_from(lost_db.max(0)).unwrap_or(u8::MAX))
    }

    /// A loss of `db` decibels.
    pub const fn from_db(db: u8) -> Self {
        Self(db)
    }

    /// The loss in dB.
    pub const fn db(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Attenuation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} dB", self.0)
    }
}

/// Strengths of the frames in one sighting.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct RssiSummary {
    /// The weakest frame.
    pub min: Rssi,
    /// The mean over frames, rounded to the nearest dBm.
    pub mean: Rssi,
    /// The strongest frame.
    pub max: Rssi,
}

/// Where the identifier stood.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum Source {
    /// Service data (GAEN).
    ServiceData,
    /// Manufacturer data (Bluezone on Android, either protocol on Windows).
    ManufacturerData,
    /// A 128-bit service UUID (Apple's systems).
    ServiceUuid,
    /// Not in the frame: read from the neighbour's GATT server (Bluezone on iOS).
    GattRead,
}

/// What was heard of one identifier in at most [`Sighting::SPAN_MAX_S`] seconds.
///
/// Frames come several times a second; one record a frame would fill the log with repetition, and
/// Bluezone's one record every five seconds keeps the strength of one frame and drops the rest. A
/// sighting keeps the number of frames and their weakest, mean and strongest RSSI.
#[derive(Clone, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Sighting {
    /// Whose identifier it is.
    pub protocol: ProtocolKind,
    /// The identifier.
    pub id: EphemeralId,
    /// GAEN's Associated Encrypted Metadata; nothing in Bluezone.
    pub metadata: Option<[u8; 4]>,
    /// When the first frame was heard.
    pub first: Timestamp,
    /// When the last frame was heard.
    pub last: Timestamp,
    /// Frames heard, at least 1.
    pub frames: u16,
    /// Their strengths; `None` if the radio measured none.
    pub rssi: Option<RssiSummary>,
    /// Where the identifier stood.
    pub source: Source,
}

impl Sighting {
    /// Seconds from first to last frame at most. Chosen: half a minute is the window in which the
    /// field measures continuity (Herald), is longer than the ten seconds at which BlueZ repeats a
    /// known neighbour, and keeps a minute's precision in every duration.
    pub const SPAN_MAX_S: u64 = 30;
}

/// A time in which nothing was heard because nothing could be, though it should have been. Pauses that
/// the schedule wants are none.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub struct ScanGap {
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Why.
    pub cause: GapCause,
}

/// Why nothing could be heard.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[non_exhaustive]
pub enum GapCause {
    /// The radio did not begin to scan.
    Radio,
    /// The adapter was off or gone, or its service was.
    Adapter,
    /// The wall clock jumped forward: the machine slept, or somebody set the clock.
    ClockJump,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_available_is_no_rssi() {
        assert_eq!(Rssi::from_dbm(127), None);
        assert_eq!(Rssi::from_dbm(21), None);
        assert_eq!(Rssi::from_dbm(-128), None);
        assert_eq!(Rssi::from_dbm(1_000), None);
        assert_eq!(Rssi::from_dbm(20).map(Rssi::dbm), Some(20));
        assert_eq!(Rssi::from_dbm(-127).map(Rssi::dbm), Some(-127));
    }

    #[test]
    fn attenuation_is_never_negative() {
        let loss =
            |power, rssi: i32| Attenuation::between(power, Rssi::from_dbm(rssi).unwrap()).db();
        assert_eq!(loss(-15, -75), 60);
        assert_eq!(loss(-60, -20), 0);
        assert_eq!(loss(127, -127), 254);
    }

    #[test]
    fn stored_rssi_out_of_range() {
        let bytes = crate::codec::encode(&127i8).unwrap();
        assert!(crate::codec::decode::<Rssi>(&bytes).is_err());
    }

    #[test]
    fn stored_sources_keep_their_numbers() {
        let sources = [
            Source::ServiceData,
            Source::ManufacturerData,
            Source::ServiceUuid,
            Source::GattRead,
        ];
        for (number, source) in (0_u32..).zip(sources) {
            let bytes = crate::codec::encode(&source).unwrap();
            assert_eq!(bytes, number.to_le_bytes());
        }
        assert!(crate::codec::decode::<Source>(&4_u32.to_le_bytes()).is_err());
    }
}
