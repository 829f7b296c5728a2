//! The index of a publication: which packages there are, signed.
//!
//! A publication is a set of packages, each of the keys that became publishable in one hour or on one
//! day, and one file that names them. A package never changes once it is there; the index alone does,
//! and each has a higher number than the one before.
//!
//! ```text
//! index.json                                  two lines: the list, and the signatures over it
//! gaen/hourly/2026-11-23T10.1-<hash>.zip      a GAEN export
//! gaen/daily/2026-11-23.1-<hash>.zip          the same for a day, of the hours' packages
//! bluezone/hourly/2026-11-23T10.1-<hash>.json a list of Bluezone's, for which the index alone vouches
//! ```
//!
//! The first line of `index.json` is JSON, and its signatures are ECDSA-P256-SHA256 over its bytes, the end
//! of the line among them. No other file that the same key signs begins as it does.

use std::time::Duration;

use data_encoding::HEXLOWER;

use crate::protocol::ProtocolKind;
use crate::publication::bluezone_json;
use crate::publication::gaen_export::ARCHIVE_BYTES_MAX;
use crate::publication::signature::{KeyError, SigningKey, VerificationKey};
use crate::time::{Timestamp, UtcDay};

mod wire;

/// The index's name.
pub const INDEX_NAME: &str = "index.json";

/// The bytes that an index may have. Chosen: [`PACKAGES_MAX`] of some 250 bytes.
pub const INDEX_BYTES_MAX: usize = 1 << 20;

/// The packages that an index may name. Chosen: three days of hours and three weeks of days, of both protocols,
/// are under 200; the rest is for days of many parts.
pub const PACKAGES_MAX: usize = 4096;

/// The bytes of a region. Chosen: a country's code has two.
pub(super) const REGION_BYTES_MAX: usize = 255;

/// How long a package's window is.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Cycle {
    /// An hour.
    Hourly,
    /// A day, UTC.
    Daily,
}

impl Cycle {
    /// How long it lasts.
    pub const fn length(self) -> Duration {
        match self {
            Self::Hourly => Duration::from_secs(3600),
            Self::Daily => Duration::from_secs(86_400),
        }
    }

    /// The beginning of the window in which `time` lies.
    pub fn start_of(self, time: Timestamp) -> Timestamp {
        let length_ms = self.length().as_millis() as u64;
        Timestamp::from_unix_millis(time.unix_millis() / length_ms * length_ms)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
        }
    }
}

/// What an index says of a package.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct PackageInfo {
    /// The protocol of its keys: a GAEN export or a Bluezone list.
    pub protocol: ProtocolKind,
    /// How long its window is.
    pub cycle: Cycle,
    /// The first moment of its window.
    pub start: Timestamp,
    /// Its number among those of one window, from 1: a file holds so many keys and no more.
    pub part: u16,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of them.
    pub sha256: [u8; 32],
}

impl PackageInfo {
    /// The end of its window.
    pub fn end(&self) -> Timestamp {
        self.start.saturating_add(self.cycle.length())
    }

    /// Its name: what it is, and sixteen digits of its hash, so that no name ever has two contents.
    pub fn name(&self) -> String {
        let (protocol, ending) = match self.protocol {
            ProtocolKind::Gaen => ("gaen", "zip"),
            ProtocolKind::Bluezone => ("bluezone", "json"),
        };
        let (cycle, window) = (self.cycle.name(), window(self.cycle, self.start));
        let hash = HEXLOWER.encode(self.sha256.get(..8).unwrap_or_default());
        format!("{protocol}/{cycle}/{window}.{}-{hash}.{ending}", self.part)
    }

    /// The cycle and the end of the window of the package that is called `name`; `None` if none is.
    pub(super) fn window_of(name: &str) -> Option<(Cycle, Timestamp)> {
        let mut parts = name.split('/');
        let (protocol, cycle, file) = (parts.next()?, parts.next()?, parts.next()?);
        if !["gaen", "bluezone"].contains(&protocol) || parts.next().is_some() {
            return None;
        }
        let cycle = [Cycle::Hourly, Cycle::Daily]
            .into_iter()
            .find(|known| known.name() == cycle)?;
        let window = file.split('.').next()?;
        let (day, hour) = window.split_once('T').unwrap_or((window, "00"));
        let day: UtcDay = day.parse().ok()?;
        let hour: u64 = hour.parse().ok().filter(|hour| *hour < 24)?;
        let start = day.start().saturating_add(Duration::from_secs(3600 * hour));
        Some((cycle, start.saturating_add(cycle.length())))
    }

    /// The bytes that a package of its protocol may have.
    pub(super) fn bytes_max(&self) -> u64 {
        match self.protocol {
            ProtocolKind::Gaen => ARCHIVE_BYTES_MAX as u64,
            ProtocolKind::Bluezone => bluezone_json::BYTES_MAX as u64,
        }
    }
}

/// How a window is written: `2026-11-23T10`, or `2026-11-23`.
fn window(cycle: Cycle, start: Timestamp) -> String {
    let day = start.utc_day();
    match cycle {
        Cycle::Hourly => format!("{day}T{:02}", start.unix_seconds() % 86_400 / 3600),
        Cycle::Daily => day.to_string(),
    }
}

/// What is published at some time.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Index {
    /// Where the keys come from, mostly a country's two letters.
    pub region: String,
    /// One higher than that of the index before.
    pub number: u64,
    /// Windows that ended before are listed no longer: they are older than the retention.
    pub since: Timestamp,
    /// Hours of days before this one are listed no longer, but the days are. A midnight.
    pub hourly_since: Timestamp,
    /// Days before this one have been rolled up. A midnight.
    pub daily_until: Timestamp,
    /// What became publishable before this hour is in the packages.
    pub published_until: Timestamp,
    /// The packages, in order. An hour or a day in which nothing became publishable has none.
    pub packages: Vec<PackageInfo>,
}

impl Index {
    /// An index of nothing, as of `start`, whose hours and days begin there.
    pub fn empty(region: impl Into<String>, start: Timestamp) -> Self {
        let day = Cycle::Daily.start_of(start);
        Self {
            region: region.into(),
            number: 0,
            since: day,
            hourly_since: day,
            daily_until: day,
            published_until: Cycle::Hourly.start_of(start),
            packages: Vec::new(),
        }
    }

    /// The file, with a signature by each of `signers`. The same index and keys give the same bytes.
    ///
    /// # Errors
    ///
    /// [`IndexError`] if no device would take it.
    pub fn sign(&self, signers: &[&SigningKey]) -> Result<Vec<u8>, IndexError> {
        self.check()?;
        wire::sign(self, signers)
    }

    /// The index in `file`, once a signature over it has held under one of `trusted`.
    ///
    /// # Errors
    ///
    /// [`IndexError::NotVerified`] before anything of the list is parsed; any other by name.
    pub fn verify(file: &[u8], trusted: &[VerificationKey]) -> Result<Self, IndexError> {
        let index = wire::verify(file, trusted)?;
        index.check()?;
        Ok(index)
    }

    /// Whether what it says fits together.
    fn check(&self) -> Result<(), IndexError> {
        if self.region.len() > REGION_BYTES_MAX {
            return Err(IndexError::Region {
                got: self.region.len(),
            });
        }
        if self.packages.len() > PACKAGES_MAX {
            return Err(IndexError::TooManyPackages {
                got: self.packages.len(),
            });
        }
        let midnights = [self.since, self.hourly_since, self.daily_until];
        let at_midnight = midnights
            .iter()
            .all(|time| Cycle::Daily.start_of(*time) == *time);
        let ordered = self.hourly_since <= self.daily_until
            && self.since <= self.daily_until
            && self.daily_until <= self.published_until;
        if !at_midnight || !ordered || !on_the_hour(self.published_until) {
            return Err(IndexError::Times);
        }
        for (at, package) in self.packages.iter().enumerate() {
            let problem = match () {
                () if package.cycle.start_of(package.start) != package.start => "its start",
                () if package.end() > self.published_until => "its end",
                () if package.part == 0 => "its part",
                () if package.bytes > package.bytes_max() => "its length",
                () => continue,
            };
            return Err(IndexError::Package { at, problem });
        }
        match self.packages.is_sorted_by(|one, next| one < next) {
            true => Ok(()),
            false => Err(IndexError::Order),
        }
    }
}

fn on_the_hour(time: Timestamp) -> bool {
    Cycle::Hourly.start_of(time) == time
}

/// An index that cannot be made or believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// More bytes than [`INDEX_BYTES_MAX`].
    #[error("expected an index of at most {INDEX_BYTES_MAX} bytes, got {got}")]
    TooLong {
        /// Bytes it has.
        got: usize,
    },
    /// Not two lines, or the second holds no signatures.
    #[error("expected two lines, the second of them signatures")]
    Form,
    /// No signature, or more than an export may have.
    #[error("expected 1 to {max} signatures, got {got}")]
    Signatures {
        /// The most.
        max: usize,
        /// How many.
        got: usize,
    },
    /// None of the signatures holds under a trusted key.
    #[error("none of {signatures} signatures holds under a trusted key")]
    NotVerified {
        /// How many there are.
        signatures: usize,
    },
    /// A list that is no JSON of this form.
    #[error("expected a list of packages: column {column}")]
    Malformed {
        /// Where in the first line, from 1.
        column: usize,
    },
    /// A list of another version.
    #[error("expected the format {expected:?}, got another")]
    Format {
        /// The one that is read.
        expected: &'static str,
    },
    /// A region that is too long.
    #[error("expected a region of at most {REGION_BYTES_MAX} bytes, got {got}")]
    Region {
        /// Bytes it has.
        got: usize,
    },
    /// More packages than [`PACKAGES_MAX`].
    #[error("expected at most {PACKAGES_MAX} packages, got {got}")]
    TooManyPackages {
        /// How many.
        got: usize,
    },
    /// Times that are no hours or midnights, or not in order.
    #[error("expected hours and midnights in order")]
    Times,
    /// A package that cannot be.
    #[error("package {at}: {problem} cannot be")]
    Package {
        /// Its place in the list, from 0.
        at: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// Packages twice or out of order.
    #[error("expected every package once, in order")]
    Order,
    /// No signature could be made.
    #[error("the index could not be signed: {0}")]
    Signing(#[from] KeyError),
}

#[cfg(test)]
mod tests;
