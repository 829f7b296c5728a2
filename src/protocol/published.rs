//! Keys that an authority has published, of either protocol.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::bluezone::PublishedEntry;
use super::gaen::DiagnosisKey;
use super::{EphemeralId, ProtocolKind};
use crate::time::{IntervalNumber, Timestamp};

/// A published key: a patient's identifiers can be computed from it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum PublishedKey {
    /// An entry of Bluezone's list.
    Bluezone(PublishedEntry),
    /// A diagnosis key of a GAEN export.
    Gaen(DiagnosisKey),
}

impl PublishedKey {
    /// Its protocol.
    pub fn protocol(&self) -> ProtocolKind {
        match self {
            Self::Bluezone(_) => ProtocolKind::Bluezone,
            Self::Gaen(_) => ProtocolKind::Gaen,
        }
    }

    /// Calls `each` with every identifier the key stands for and the time in which it was
    /// advertised.
    pub fn for_each_candidate(&self, each: impl FnMut(Candidate)) {
        match self {
            Self::Bluezone(entry) => entry.for_each_candidate(each),
            Self::Gaen(key) => key.for_each_candidate(each),
        }
    }

    /// The entry, if it is one of Bluezone's.
    pub fn into_bluezone(self) -> Option<PublishedEntry> {
        match self {
            Self::Bluezone(entry) => Some(entry),
            Self::Gaen(_) => None,
        }
    }

    /// The diagnosis key, if it is one of GAEN's.
    pub fn into_gaen(self) -> Option<DiagnosisKey> {
        match self {
            Self::Gaen(key) => Some(key),
            Self::Bluezone(_) => None,
        }
    }

    /// Whether the authority has withdrawn it.
    pub fn is_revoked(&self) -> bool {
        matches!(self, Self::Gaen(key) if key.report_type == ReportType::Revoked)
    }
}

impl From<PublishedEntry> for PublishedKey {
    fn from(entry: PublishedEntry) -> Self {
        Self::Bluezone(entry)
    }
}

impl From<DiagnosisKey> for PublishedKey {
    fn from(key: DiagnosisKey) -> Self {
        Self::Gaen(key)
    }
}

/// An identifier computed from a published key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The identifier.
    pub id: EphemeralId,
    /// The first moment it was advertised.
    pub first: Timestamp,
    /// The last moment it was advertised, inclusive.
    pub last: Timestamp,
}

impl Candidate {
    /// GAEN's identifier of an interval.
    pub(crate) fn in_interval(id: [u8; 16], interval: IntervalNumber) -> Self {
        let next = interval.saturating_add(1).start();
        Self {
            id: id.into(),
            first: interval.start(),
            last: next.saturating_sub(Duration::from_millis(1)),
        }
    }

    /// Bluezone's identifier of the slot that begins at `start`, in Unix seconds, and lasts for `step`; both
    /// ends inclusive as its clients compare them.
    pub(crate) fn in_slot(id: [u8; 12], start: u64, step: u64) -> Self {
        Self {
            id: id.into(),
            first: Timestamp::from_unix_seconds(start),
            last: Timestamp::from_unix_seconds(start.saturating_add(step)),
        }
    }

    /// Whether a device whose clock differs by no more than `tolerance` could have heard it at
    /// `time`.
    pub fn heard_at(&self, time: Timestamp, tolerance: Duration) -> bool {
        time >= self.first.saturating_sub(tolerance) && time <= self.last.saturating_add(tolerance)
    }
}

/// How an infection was established (GAEN export format, field 5).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReportType {
    /// Not said.
    #[default]
    Unknown,
    /// By a test.
    ConfirmedTest,
    /// By a doctor.
    ConfirmedClinicalDiagnosis,
    /// By the patient's own word.
    SelfReport,
    /// Reserved by the format for contacts of contacts.
    Recursive,
    /// Withdrawn: the key no longer counts.
    Revoked,
}

/// A published key that breaks its format's rules.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidKey {
    /// A rolling period outside 1..=144.
    #[error("expected a rolling period of 1 to 144 intervals, got {rolling_period}")]
    RollingPeriod {
        /// What it claims.
        rolling_period: u32,
    },
    /// An interval number past the last there is.
    #[error("the rolling start {rolling_start} leaves no room for the key's intervals")]
    RollingStart {
        /// What it claims.
        rolling_start: u32,
    },
    /// A key of the wrong length.
    #[error("expected a key of {expected} bytes, got {got}")]
    KeyLength {
        /// Bytes a key of the protocol has.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// A Bluezone entry that does not begin at midnight.
    #[error("expected time_start at midnight UTC, got {time_start}")]
    StartNotMidnight {
        /// What it claims, Unix seconds.
        time_start: u64,
    },
    /// A Bluezone entry that ends before it begins, or after more than 21 days.
    #[error("expected time_end within 21 days of time_start, got {time_start} to {time_end}")]
    Span {
        /// What it claims, Unix seconds.
        time_start: u64,
        /// What it claims, Unix seconds.
        time_end: u64,
    },
    /// A number of slots that does not divide a day.
    #[error("expected 1 to 144 slots that divide a day, got {slots_per_day}")]
    SlotsPerDay {
        /// What it claims.
        slots_per_day: u32,
    },
    /// A level outside 0..=8.
    #[error("expected a transmission risk level of 0 to 8, got {level}")]
    TransmissionRisk {
        /// What it claims.
        level: i32,
    },
    /// Days outside -14..=14.
    #[error("expected -14 to 14 days since onset of symptoms, got {days}")]
    DaysSinceOnset {
        /// What it claims.
        days: i32,
    },
}
