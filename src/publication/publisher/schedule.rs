//! When a key may be published, and with which others.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Tally;
use crate::protocol::bluezone::{self, PublishedEntry};
use crate::protocol::gaen::{self, DiagnosisKey};
use crate::protocol::{PublishedKey, ReportType};
use crate::publication::index::Cycle;
use crate::time::Timestamp;

/// A report, by whatever number the caller has for it. It is published nowhere.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ReportId(pub u64);

/// A key that an authority has accepted for publication.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct AcceptedKey {
    /// The key, as it will be published.
    pub key: PublishedKey,
    /// When it was accepted. Every run from [`settle`](super::PublisherOptions::settle) after that time on must be
    /// given the key, until its report is [`finished`](super::Published::finished): one that comes later is
    /// not published. By a clock that may be set back, at least what
    /// [`closes_until`](super::Publisher::closes_until) said before.
    pub accepted_at: Timestamp,
    /// The report it came with.
    pub report: ReportId,
    /// Whether it says something else of a key that was accepted before. A key that is revoked does in
    /// any case.
    pub revision: bool,
    /// Whether it no longer counts. A GAEN key's report type says the same, and is published. A list of Bluezone's
    /// cannot say it: an entry that was published stays, one that waits is left out.
    pub revoked: bool,
}

impl AcceptedKey {
    /// A key that was accepted for the first time.
    pub fn new(key: impl Into<PublishedKey>, accepted_at: Timestamp, report: ReportId) -> Self {
        let key = key.into();
        Self {
            revoked: key.is_revoked(),
            key,
            accepted_at,
            report,
            revision: false,
        }
    }

    /// A key that was accepted before with another report type.
    pub fn revision(
        key: impl Into<PublishedKey>,
        accepted_at: Timestamp,
        report: ReportId,
    ) -> Self {
        Self {
            revision: true,
            ..Self::new(key, accepted_at, report)
        }
    }

    /// A key that was accepted before and no longer counts.
    pub fn revocation(
        key: impl Into<PublishedKey>,
        accepted_at: Timestamp,
        report: ReportId,
    ) -> Self {
        let mut revocation = Self::revision(key, accepted_at, report);
        revocation.revoked = true;
        if let PublishedKey::Gaen(key) = &mut revocation.key {
            key.report_type = ReportType::Revoked;
        }
        revocation
    }

    /// When it may be published: once nobody takes its identifiers for the patient's any more, the time in
    /// which a late clock still matches them included. Before, whoever reads them can advertise them.
    pub fn publishable_at(&self) -> Timestamp {
        self.accepted_at.max(harmless_at(&self.key))
    }

    /// The hour in whose package it is published: that in which it becomes publishable.
    pub fn hour(&self) -> Timestamp {
        Cycle::Hourly.start_of(self.publishable_at())
    }
}

/// The end of a key's validity and of its protocol's tolerance.
fn harmless_at(key: &PublishedKey) -> Timestamp {
    match key {
        PublishedKey::Gaen(key) => {
            let end = key.rolling_start().saturating_add(key.rolling_period());
            end.start().saturating_add(gaen::TOLERANCE)
        }
        PublishedKey::Bluezone(entry) => {
            let slot_s = 86_400 / u64::from(entry.slots_per_day());
            let valid_s = entry.candidate_count().saturating_mul(slot_s);
            Timestamp::from_unix_seconds(entry.time_start().saturating_add(valid_s))
                .saturating_add(bluezone::DEFAULT_TOLERANCE)
        }
    }
}

/// What is published of one hour.
#[derive(Debug, Default)]
pub(super) struct Hour {
    pub(super) gaen: Vec<Entry>,
    pub(super) bluezone: Vec<PublishedEntry>,
    /// Entries that are not to be published.
    pub(super) withdrawn: Vec<PublishedEntry>,
}

/// A diagnosis key on its way into a package.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: DiagnosisKey,
    /// When it was said.
    pub(super) at: Timestamp,
    pub(super) revision: bool,
}

/// Which hours are published now: from `from`, before `until`; and of which keys, those that are not older than
/// `retention`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) retention: Duration,
}

impl Due {
    /// The keys that are due, by the hours in which they became publishable.
    pub(super) fn sort(
        self,
        keys: impl IntoIterator<Item = AcceptedKey>,
        tally: &mut Tally,
    ) -> BTreeMap<Timestamp, Hour> {
        let mut hours: BTreeMap<Timestamp, Hour> = BTreeMap::new();
        for accepted in keys {
            let hour = accepted.hour();
            tally.seen(accepted.report);
            if hour >= self.until {
                tally.waits(accepted.report);
            } else if hour < self.from {
                tally.closed += 1;
            } else if harmless_at(&accepted.key) < self.until.saturating_sub(self.retention) {
                tally.too_old += 1;
            } else {
                hours.entry(hour).or_default().add(accepted);
            }
        }
        hours
    }
}

impl Hour {
    fn add(&mut self, accepted: AcceptedKey) {
        match accepted.key {
            PublishedKey::Bluezone(entry) if accepted.revoked => self.withdrawn.push(entry),
            // It says what it said before.
            PublishedKey::Bluezone(_) if accepted.revision => {}
            PublishedKey::Bluezone(entry) => self.bluezone.push(entry),
            PublishedKey::Gaen(key) => self.gaen.push(Entry {
                revision: accepted.revision || key.report_type == ReportType::Revoked,
                key,
                at: accepted.accepted_at,
            }),
        }
    }
}

/// What becomes of a key that was said and revoked within one package.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Folding {
    /// Nobody has seen it: it is left out.
    Unseen,
    /// It was published already: the revocation is.
    Seen,
}

/// The new keys of `entries` and those that they revise, each key once, both in the order of their bytes:
/// of what was said twice as new the first counts, of revisions the last.
pub(super) fn fold(
    mut entries: Vec<Entry>,
    folding: Folding,
    tally: &mut Tally,
) -> (Vec<DiagnosisKey>, Vec<DiagnosisKey>) {
    let order = |entry: &Entry| {
        (
            *entry.key.key(),
            entry.at,
            entry.revision,
            facts(&entry.key),
        )
    };
    entries.sort_unstable_by_key(order);
    let (mut keys, mut revised) = (Vec::new(), Vec::new());
    for same in entries.chunk_by(|one, next| one.key.key() == next.key.key()) {
        let new = same.iter().find(|entry| !entry.revision);
        let revision = same.iter().rev().find(|entry| entry.revision);
        tally.repeated += same
            .iter()
            .filter(|entry| !entry.revision)
            .count()
            .saturating_sub(1);
        match (new, revision, folding) {
            (Some(new), None, _) => keys.push(new.key.clone()),
            (None, Some(revision), _) | (Some(_), Some(revision), Folding::Seen) => {
                revised.push(revision.key.clone());
            }
            (Some(_), Some(revision), Folding::Unseen) => {
                if revision.key.report_type != ReportType::Revoked {
                    keys.push(revision.key.clone());
                }
            }
            (None, None, _) => {}
        }
    }
    (keys, revised)
}

/// What a key says beside its bytes, so that the order of two that say different things is always the same.
fn facts(key: &DiagnosisKey) -> (u32, u32, u8, u8, Option<i8>) {
    (
        key.rolling_start().0,
        key.rolling_period(),
        key.transmission_risk,
        key.report_type as u8,
        key.days_since_onset,
    )
}
