//! What a run did.

use super::ReportId;
use crate::publication::index::{Index, PackageInfo};
use crate::time::Timestamp;

/// What a publisher has done.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Published {
    /// The index's number.
    pub number: u64,
    /// What became publishable before this hour is published.
    pub until: Timestamp,
    /// The packages that are new.
    pub packages: Vec<PackageInfo>,
    /// Keys that were published now, random ones not counted.
    pub keys: usize,
    /// Keys that wait for an hour to come.
    pub waiting: usize,
    /// Keys left out because they were given twice.
    pub repeated: usize,
    /// Keys left out because their days are older than what is published.
    pub too_old: usize,
    /// Keys of hours that an earlier run has closed. That run published them if it was given them, as after a run that
    /// was killed; if not, they came too late and are published nowhere. A publisher cannot tell which.
    pub closed: usize,
    /// Packages that were deleted.
    pub deleted: usize,
    /// The reports of which no key waits: no run to come publishes any of them. Whoever gave each key to every run since
    /// it was accepted may forget them: all were published, now or before, but those that are
    /// [`too_old`](Self::too_old).
    pub finished: Vec<ReportId>,
}

/// What is counted on the way.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) keys: usize,
    pub(super) repeated: usize,
    pub(super) too_old: usize,
    pub(super) closed: usize,
    waiting: usize,
    seen: Vec<ReportId>,
    unfinished: Vec<ReportId>,
}

impl Tally {
    pub(super) fn seen(&mut self, report: ReportId) {
        note(&mut self.seen, report);
    }

    pub(super) fn waits(&mut self, report: ReportId) {
        self.waiting += 1;
        note(&mut self.unfinished, report);
    }

    /// What was done between the indexes `before` and `after`.
    pub(super) fn published(self, before: &Index, after: &Index, deleted: usize) -> Published {
        let Self {
            keys,
            repeated,
            too_old,
            closed,
            waiting,
            seen,
            unfinished,
        } = self;
        let unfinished = each_once(unfinished);
        let mut finished = each_once(seen);
        finished.retain(|report| unfinished.binary_search(report).is_err());
        let new = |package: &&PackageInfo| before.packages.binary_search(package).is_err();
        Published {
            number: after.number,
            until: after.published_until,
            packages: after.packages.iter().filter(new).cloned().collect(),
            keys,
            waiting,
            repeated,
            too_old,
            closed,
            deleted,
            finished,
        }
    }
}

/// The keys of a report mostly come one after the other.
fn note(reports: &mut Vec<ReportId>, report: ReportId) {
    if reports.last() != Some(&report) {
        reports.push(report);
    }
}

fn each_once(mut reports: Vec<ReportId>) -> Vec<ReportId> {
    reports.sort_unstable();
    reports.dedup();
    reports
}
