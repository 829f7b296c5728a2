//! From published keys and the log to exposures that explain themselves, and to what they come to.
//!
//! A [`Matcher`] finds which sightings were of whom: an [`Exposure`] for each key and day.
//! [`exposure_windows`] makes of these what GAEN's second interface gives, and a
//! [risk model](risk) says what that comes to, with its reasons.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

mod assembly;
mod calibration;
mod matching;
mod proximity;
pub mod risk;
mod window;

pub use calibration::Calibration;
pub use matching::{MatchConfig, Matcher};
pub use proximity::{LogDistance, Proximity, ProximityModel, weighted_median};
pub use window::{
    CalibrationConfidence, ExposureWindow, Infectiousness, InfectiousnessMap, ScanAttenuation,
    ScanInstance, ScanSeconds, WindowConfig, exposure_windows,
};

use crate::protocol::{ProtocolKind, ReportType};
use crate::sighting::{Attenuation, RssiSummary};
use crate::time::{Timestamp, UtcDay};

/// How long and how near this device was to the holder of one published key on one UTC day.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Exposure {
    /// Which of the keys given to the matcher, counted from 0.
    pub key_index: usize,
    /// Its protocol.
    pub protocol: ProtocolKind,
    /// The UTC day.
    pub day: UtcDay,
    /// Time spent near each other: see [`MatchConfig::gap_max`] for what counts.
    pub duration: Duration,
    /// Strengths over all frames of the day; `None` if none was measured.
    pub rssi: Option<RssiSummary>,
    /// Losses over all frames of the day, with what they rest on.
    pub attenuation: Option<AttenuationSummary>,
    /// What the authority says of how the infection was established (GAEN).
    pub report_type: ReportType,
    /// Transmission risk level the authority gives, 1 to 8; 0 if none (GAEN).
    pub transmission_risk: u8,
    /// Days from the onset of symptoms to this key's day, as the authority says (GAEN).
    pub days_since_onset: Option<i8>,
    /// Identifiers of the key that were heard; it changes every ten or fifteen minutes.
    pub identifiers: usize,
    /// What counted, in order of time, at least one.
    pub sightings: Vec<CountedSighting>,
}

/// A sighting that counts towards an exposure.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct CountedSighting {
    /// When the first frame was heard.
    pub first: Timestamp,
    /// When the last frame was heard.
    pub last: Timestamp,
    /// Frames heard.
    pub frames: u16,
    /// Their strengths.
    pub rssi: Option<RssiSummary>,
    /// Power at the sender's antenna, dBm, if it is known or assumed.
    pub tx_power_dbm: Option<i8>,
    /// Losses of its frames, with what they rest on; `None` if the strength or the power is unknown.
    pub attenuation: Option<AttenuationSummary>,
}

/// Losses, and what they rest on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct AttenuationSummary {
    /// The smallest loss: the nearest moment.
    pub min: Attenuation,
    /// The mean over frames.
    pub mean: Attenuation,
    /// The largest loss.
    pub max: Attenuation,
    /// Where the sender's power is from.
    pub basis: PowerBasis,
}

/// Where the power of a sender is from.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PowerBasis {
    /// From the sender's own frames (GAEN), with its confidence 0 to 3, if it gave one.
    Advertised {
        /// GAEN's calibration confidence; 0 is "none".
        confidence: Option<u8>,
    },
    /// Assumed: the protocol does not tell. The figures compare contacts with each other; as
    /// distances they may be off by a factor of several.
    Assumed,
}

impl PowerBasis {
    /// The one that says less: a time is known no better than its least known sighting.
    fn weaker(self, other: Self) -> Self {
        match (self, other) {
            (Self::Advertised { confidence: a }, Self::Advertised { confidence: b }) => {
                let confidence = a.min(b);
                Self::Advertised { confidence }
            }
            _ => Self::Assumed,
        }
    }
}

impl Exposure {
    /// When the first frame that counted was heard.
    pub fn first(&self) -> Timestamp {
        self.sightings
            .first()
            .map_or(self.day.start(), |sighting| sighting.first)
    }

    /// When the last frame that counted was heard.
    pub fn last(&self) -> Timestamp {
        self.sightings
            .last()
            .map_or(self.day.start(), |sighting| sighting.last)
    }

    /// Frames that counted.
    pub fn frames(&self) -> u64 {
        self.sightings
            .iter()
            .map(|sighting| u64::from(sighting.frames))
            .sum()
    }
}

/// A sentence for a person, without any identifier.
impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = (self.duration.as_secs() + 30) / 60;
        write!(
            f,
            "{}: {} near a reported {} user",
            self.day,
            minutes_text(minutes),
            self.protocol
        )?;
        write!(
            f,
            ", between {} and {} UTC",
            time_of_day(self.first()),
            time_of_day(self.last())
        )?;
        if let Some(rssi) = self.rssi {
            write!(f, "; signal {} on average, {} at best", rssi.mean, rssi.max)?;
        }
        if let Some(attenuation) = self.attenuation {
            let basis = match attenuation.basis {
                PowerBasis::Advertised { .. } => "",
                PowerBasis::Assumed => " (sender's power assumed)",
            };
            write!(
                f,
                "; attenuation {} on average, {} at the nearest{basis}",
                attenuation.mean, attenuation.min
            )?;
        }
        write!(
            f,
            "; {} of {} in {}",
            Counted(self.frames(), "frame"),
            Counted(self.identifiers as u64, "identifier"),
            Counted(self.sightings.len() as u64, "sighting")
        )
    }
}

fn minutes_text(minutes: u64) -> String {
    match minutes {
        0 => "less than a minute".to_owned(),
        1 => "1 minute".to_owned(),
        _ => format!("{minutes} minutes"),
    }
}

fn time_of_day(time: Timestamp) -> String {
    let minute = time.unix_seconds() % 86_400 / 60;
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

/// So many of something.
struct Counted(u64, &'static str);

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(number, one) = self;
        let plural = if *number == 1 { "" } else { "s" };
        write!(f, "{number} {one}{plural}")
    }
}
