//! Check-ins as entries of the encrypted log.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::matching::Visit;
use super::{NAME_BYTES_MAX, PLACE_ID_BYTES, Place, PlaceId};
use crate::codec;
use crate::log::{EntryKind, LogEntry, LogError, LogReader};
use crate::time::{Timestamp, UtcDay};

/// How long a visit is taken to have lasted that was not checked out of, unless another check-in came before.
/// Chosen: a long meal, a film, half a working day. Who stays longer checks out.
pub const STAY_ASSUMED: Duration = Duration::from_secs(4 * 3_600);

/// How long after a check-in it can be checked out of. Chosen: a night's shift and the way home.
pub const STAY_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A check-in or check-out that cannot be made.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckInError {
    /// Checked out of already.
    #[error("the visit was checked out of already")]
    AlreadyCheckedOut,
    /// Left before it was come to.
    #[error("expected a check-out after the check-in at {from}, got {at}")]
    BeforeCheckIn {
        /// When the visit began.
        from: Timestamp,
        /// When it was to end.
        at: Timestamp,
    },
    /// Longer ago than [`STAY_MAX`].
    #[error("expected a check-out within 24 hours of the check-in at {from}, got {at}")]
    TooLate {
        /// When the visit began.
        from: Timestamp,
        /// When it was to end.
        at: Timestamp,
    },
    /// The record cannot be encoded.
    #[error("the check-in cannot be encoded")]
    Encoding,
}

/// What an entry says; its time is the entry's. The order is that of the log's format.
#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
enum Record {
    In {
        place: [u8; PLACE_ID_BYTES],
        name: String,
    },
    /// Of the check-in at this place and time.
    Out {
        place: [u8; PLACE_ID_BYTES],
        from_ms: u64,
    },
}

impl Record {
    fn entry(&self, at: Timestamp) -> Result<LogEntry, CheckInError> {
        Ok(LogEntry {
            at,
            kind: EntryKind::CheckIn,
            bytes: codec::encode(self).map_err(|_| CheckInError::Encoding)?,
        })
    }
}

impl Place {
    /// The entry that says that its owner came here at `at`, for
    /// [`append_entries`](crate::EncounterLog::append_entries).
    ///
    /// # Errors
    ///
    /// [`CheckInError::Encoding`], which no verified place brings about.
    pub fn check_in(&self, at: Timestamp) -> Result<LogEntry, CheckInError> {
        let record = Record::In {
            place: *self.id().as_bytes(),
            name: self.name().to_owned(),
        };
        record.entry(at)
    }
}

impl Visit {
    /// The entry that says that its owner left at `at`.
    ///
    /// # Errors
    ///
    /// [`CheckInError::AlreadyCheckedOut`], [`CheckInError::BeforeCheckIn`], [`CheckInError::TooLate`].
    pub fn check_out(&self, at: Timestamp) -> Result<LogEntry, CheckInError> {
        let from = self.from;
        if self.checked_out {
            return Err(CheckInError::AlreadyCheckedOut);
        }
        if at <= from {
            return Err(CheckInError::BeforeCheckIn { from, at });
        }
        if at.since(from) > STAY_MAX {
            return Err(CheckInError::TooLate { from, at });
        }
        let record = Record::Out {
            place: *self.place.as_bytes(),
            from_ms: from.unix_millis(),
        };
        record.entry(at)
    }
}

/// The check-ins of a log.
#[derive(Debug)]
pub struct CheckIns {
    visits: Vec<Visit>,
    damage: Vec<LogError>,
    unreadable: u64,
}

impl CheckIns {
    /// Reads them: the visits in order of time, each with its end as it was checked out of, or as it is assumed
    /// to be: at the next check-in, [`STAY_ASSUMED`] later at the latest.
    ///
    /// # Errors
    ///
    /// [`LogError::Io`] if the log's files cannot be listed.
    pub fn read(log: &LogReader) -> Result<Self, LogError> {
        let (mut records, mut damage, mut unreadable) = (Vec::new(), Vec::new(), 0);
        for entry in log.entries()? {
            match entry {
                Ok(entry) if entry.kind == EntryKind::CheckIn => {
                    match codec::decode::<Record>(&entry.bytes) {
                        Ok(record) => records.push((entry.at, record)),
                        Err(_) => unreadable += 1,
                    }
                }
                Ok(_) => {}
                Err(error) => damage.push(error),
            }
        }
        let before = records.len();
        records.retain(|(_, record)| match record {
            Record::In { name, .. } => name.len() <= NAME_BYTES_MAX,
            Record::Out { .. } => true,
        });
        unreadable += (before - records.len()) as u64;
        Ok(Self {
            visits: visits_of(records),
            damage,
            unreadable,
        })
    }

    /// All visits, in order of time.
    pub fn visits(&self) -> &[Visit] {
        &self.visits
    }

    /// The visits that were at some time of `day`.
    pub fn on(&self, day: UtcDay) -> impl Iterator<Item = &Visit> {
        let of_day = move |visit: &&Visit| visit.from < day.end() && visit.until > day.start();
        self.visits.iter().filter(of_day)
    }

    /// The visit that may still go on at `now`: the last one before it, if it was not checked out of and can be.
    pub fn open_at(&self, now: Timestamp) -> Option<&Visit> {
        let mut before = self.visits.iter().filter(|visit| visit.from < now);
        before
            .next_back()
            .filter(|visit| !visit.checked_out && now.since(visit.from) <= STAY_MAX)
    }

    /// What of the log could not be read; the visits in it are missing.
    pub fn damage(&self) -> &[LogError] {
        &self.damage
    }

    /// Entries that are of no form known here, such as a newer release's.
    pub fn unreadable(&self) -> u64 {
        self.unreadable
    }
}

/// The visits of what was recorded, whatever the order. Of several check-outs of a visit the first counts, and
/// one without a visit, as when its day has been forgotten, does not.
fn visits_of(mut records: Vec<(Timestamp, Record)>) -> Vec<Visit> {
    records.sort_by_key(|(at, record)| (*at, matches!(record, Record::Out { .. })));
    let mut visits: Vec<Visit> = Vec::new();
    for (at, record) in records {
        match record {
            Record::In { place, name } => {
                if let Some(last) = visits.last_mut().filter(|visit| !visit.checked_out) {
                    last.until = last.until.min(at);
                }
                visits.push(Visit {
                    place: PlaceId::from_bytes(place),
                    name,
                    from: at,
                    until: at.saturating_add(STAY_ASSUMED),
                    checked_out: false,
                });
            }
            Record::Out { place, from_ms } => {
                let of_this = |visit: &Visit| {
                    visit.place.as_bytes() == &place
                        && visit.from.unix_millis() == from_ms
                        && at.since(visit.from) <= STAY_MAX
                };
                // Whoever has come to another place has left this one, even if he says so later.
                let mut next = None;
                for visit in visits.iter_mut().rev() {
                    if of_this(visit) {
                        if !visit.checked_out {
                            visit.until = next.unwrap_or(at);
                            visit.checked_out = true;
                        }
                        break;
                    }
                    next = Some(visit.from);
                }
            }
        }
    }
    visits
}

#[cfg(test)]
mod tests;
