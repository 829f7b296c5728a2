//! Visits compared with a published list.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::PlaceId;
use super::list::{PlaceList, PlaceListError, PlaceMessage};
use crate::time::{Timestamp, UtcDay};

/// A stay at a place.
#[derive(Clone, Eq, PartialEq)]
pub struct Visit {
    /// The place.
    pub place: PlaceId,
    /// Its name when it was checked in to.
    pub name: String,
    /// When it was checked in to.
    pub from: Timestamp,
    /// When it was left, or is taken to have been.
    pub until: Timestamp,
    /// Whether it was checked out of: if not, `until` is an assumption.
    pub checked_out: bool,
}

/// Not where: that is not for a log line.
impl fmt::Debug for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Visit")
            .field("from", &self.from)
            .field("until", &self.until)
            .field("checked_out", &self.checked_out)
            .finish_non_exhaustive()
    }
}

/// When a visit and an entry count as having met.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PlaceMatchConfig {
    /// By how much an entry is widened at both ends, an hour at most. None by default: the authority knows
    /// how long what was in the air stays there, and widens its times itself.
    pub tolerance: Duration,
    /// The least overlap. None by default: any overlap counts, and times that only touch do not.
    pub overlap_min: Duration,
}

/// No [`PlaceMatchConfig::tolerance`] counts beyond this. Chosen: clocks and air, and no other outing.
const TOLERANCE_MAX: Duration = Duration::from_secs(3_600);

/// A visit during which, by a published list, a case was at the place.
#[derive(Clone, Eq, PartialEq)]
pub struct PlaceExposure {
    /// The place's name, as it was checked in to.
    pub place_name: String,
    /// When both were there, the tolerance included.
    pub overlap: Range<Timestamp>,
    /// Whether the visit's end is known: if not, the overlap may be shorter.
    pub checked_out: bool,
    /// What visitors are told.
    pub message: PlaceMessage,
}

/// Not where, as of a [`Visit`].
impl fmt::Debug for PlaceExposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaceExposure")
            .field("overlap", &self.overlap)
            .field("checked_out", &self.checked_out)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl PlaceExposure {
    /// How long the overlap is.
    pub fn duration(&self) -> Duration {
        self.overlap.end.since(self.overlap.start)
    }
}

/// One line for a person to read.
impl fmt::Display for PlaceExposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.duration().as_secs().div_ceil(60);
        let Range { start, end } = self.overlap;
        let at_most = if self.checked_out { "" } else { "up to " };
        write!(
            f,
            "{}: {at_most}{minutes} min, {start} to {end}: {}",
            self.place_name,
            self.message.as_str()
        )
    }
}

impl PlaceList<'_> {
    /// The visits that the list concerns, in order of time, then name and message. Overlaps of one visit that
    /// touch and say the same, as those on both sides of midnight do, are one.
    ///
    /// # Errors
    ///
    /// [`PlaceListError::Entry`] if an entry of a visited place breaks a rule.
    pub fn exposures(
        &self,
        visits: &[Visit],
        config: &PlaceMatchConfig,
    ) -> Result<Vec<PlaceExposure>, PlaceListError> {
        let mut exposures = Vec::new();
        for visit in visits {
            for (message, overlap) in joined(self.overlaps(visit, config)?) {
                if overlap.end.since(overlap.start) >= config.overlap_min {
                    exposures.push(PlaceExposure {
                        place_name: visit.name.clone(),
                        overlap,
                        checked_out: visit.checked_out,
                        message,
                    });
                }
            }
        }
        exposures.sort_by(|a, b| {
            let key = |e: &PlaceExposure| (e.overlap.start, e.overlap.end);
            key(a)
                .cmp(&key(b))
                .then_with(|| a.place_name.cmp(&b.place_name))
                .then_with(|| a.message.cmp(&b.message))
        });
        Ok(exposures)
    }

    fn overlaps(
        &self,
        visit: &Visit,
        config: &PlaceMatchConfig,
    ) -> Result<Vec<(PlaceMessage, Range<Timestamp>)>, PlaceListError> {
        let tolerance = config.tolerance.min(TOLERANCE_MAX);
        let first = visit.from.saturating_sub(tolerance).utc_day();
        let last = visit.until.saturating_add(tolerance).utc_day();
        let mut overlaps = Vec::new();
        for day in first.unix_days()..=last.unix_days() {
            for entry in self.of_place(&visit.place, UtcDay::from_unix_days(day))? {
                let during = entry.during();
                let start = during.start.saturating_sub(tolerance).max(visit.from);
                let end = during.end.saturating_add(tolerance).min(visit.until);
                if start < end {
                    overlaps.push((entry.message, start..end));
                }
            }
        }
        Ok(overlaps)
    }
}

/// Overlaps that touch and say the same are one.
fn joined(
    mut overlaps: Vec<(PlaceMessage, Range<Timestamp>)>,
) -> Vec<(PlaceMessage, Range<Timestamp>)> {
    overlaps.sort_by(|(a, x), (b, y)| a.cmp(b).then(x.start.cmp(&y.start)));
    let mut joined: Vec<(PlaceMessage, Range<Timestamp>)> = Vec::new();
    for (message, overlap) in overlaps {
        match joined.last_mut() {
            Some((same, last)) if *same == message && overlap.start <= last.end => {
                last.end = last.end.max(overlap.end);
            }
            _ => joined.push((message, overlap)),
        }
    }
    joined
}

#[cfg(test)]
mod tests;
