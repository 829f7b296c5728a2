//! Published files on a schedule: accepted keys go in, hourly and daily packages and a signed index come out.
//!
//! A key waits until its validity and its protocol's tolerance have ended, and is published with all others that
//! become publishable in the same hour: sorted, and hidden among random ones. When a day is over, its hours are
//! rolled up into one package, so that a device which was off for a week reads seven files.
//!
//! **Run again, nothing changes.** Which package a key is in follows from the key and from when it was accepted;
//! padding is drawn under a secret that stays the same, and signatures draw nothing (RFC 6979). So the same keys
//! and clock make the same bytes, and a package that is there already is left alone.
//!
//! **Killed at any point, the last good set stands.** Packages are written first; the index, which alone makes
//! them count, is replaced whole and last; what it names no longer is deleted after a day of grace.
//!
//! **Two publishers at once do not publish twice.** The index is replaced only if it is still the one that was
//! read. The slower one is told [`StoreError::Conflict`], and finds nothing left to do when it runs
//! again.
//!
//! ```
//! use truyvet::Secret;
//! use truyvet::protocol::gaen::DiagnosisKey;
//! use truyvet::publication::publisher::{AcceptedKey, Publisher, PublisherOptions, ReportId};
//! use truyvet::publication::signature::SigningKey;
//! use truyvet::publication::store::MemoryStore;
//! use truyvet::publication::update::{Cursor, Update, UpdateOptions};
//! use truyvet::time::{IntervalNumber, Timestamp, UtcDay};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let day: UtcDay = "2026-11-23".parse()?;
//! let key = DiagnosisKey::new([7; 16], IntervalNumber::at(day.start()), 144)?;
//! let accepted = AcceptedKey::new(key, day.start(), ReportId(1));
//!
//! let authority = SigningKey::generate()?;
//! let publisher = Publisher::new(PublisherOptions::new("VN"), Secret::new([9; 32]));
//! let store = MemoryStore::default();
//! let hours = |hours: u64| Timestamp::from_unix_seconds(day.end().unix_seconds() + 3600 * hours);
//! // The day's last hour is over, but not yet the two in which a late clock still takes its identifiers.
//! let early = publisher.run(&store, [accepted.clone()], &[&authority], hours(2))?;
//! assert_eq!((early.packages.len(), early.waiting), (0, 1));
//! let late = publisher.run(&store, [accepted], &[&authority], hours(4))?;
//! assert_eq!(late.packages[0].name().get(..27), Some("gaen/hourly/2026-11-24T02.1"));
//!
//! let trusted = [authority.verification_key().clone()];
//! let options = UpdateOptions::default();
//! let update = Update::fetch(&store, &trusted, &Cursor::default(), options, hours(4))?;
//! assert_eq!(update.remaining(), 1);
//! # Ok(())
//! # }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::entropy::EntropyError;
use crate::protocol::InvalidKey;
use crate::publication::gaen_export::{ExportWriteError, Padding};
use crate::publication::index::{Cycle, Index, IndexError, PackageInfo};
use crate::publication::signature::{SigningKey, VerificationKey};
use crate::publication::store::{PublicationStore, StoreError, Version};
use crate::publication::update::UpdateError;
use crate::secret::Secret;
use crate::time::Timestamp;

mod package;
mod padding;
mod rollup;
mod schedule;
mod tally;

use package::Shelf;
pub use schedule::{AcceptedKey, ReportId};
use schedule::{Due, Hour};
pub use tally::Published;
use tally::Tally;

/// How an authority publishes. Whole hours are meant where a duration is not one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PublisherOptions {
    /// Where the keys come from, mostly a country's two letters.
    pub region: String,
    /// How the keys of an hour are filled up with random ones. An hour without keys has no package, and so
    /// nothing to hide them in.
    pub padding: Padding,
    /// How long after an hour has ended it is published, so that what was accepted in its last moment has
    /// reached the database that the publisher reads. Chosen: five minutes.
    pub settle: Duration,
    /// How long the hours of a day are listed after it has ended. Chosen: two days, in which most devices have
    /// asked; the index stays short.
    pub hourly_for: Duration,
    /// How long keys are published. 14 days, as Google's server has it.
    pub retention: Duration,
    /// How long a package is there after the index has ceased to name it, for devices that read an older
    /// index from a cache. Chosen: a day.
    pub grace: Duration,
    /// The longest pause after which a publisher goes on by itself: a clock that is wrong by more than this would
    /// close years of hours in which nothing could be published again. Chosen: a week.
    pub pause_max: Duration,
    /// Further keys that may have signed what is there: those that were replaced.
    pub trusted: Vec<VerificationKey>,
}

impl PublisherOptions {
    /// How `region` publishes by default.
    pub fn new(region: impl Into<String>) -> Self {
        const DAY: Duration = Cycle::Daily.length();
        Self {
            region: region.into(),
            padding: Padding::default(),
            settle: Duration::from_secs(300),
            hourly_for: DAY.saturating_mul(2),
            retention: DAY.saturating_mul(14),
            grace: DAY,
            pause_max: DAY.saturating_mul(7),
            trusted: Vec::new(),
        }
    }
}

/// A publication that could not be brought up to date. What was published before stands.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The store failed, or another publisher was faster.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index that is there cannot be believed, or the new one not be made.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The publication that is there is another region's.
    #[error("expected a publication of {expected:?}, got one of {got:?}")]
    OtherRegion {
        /// The publisher's.
        expected: String,
        /// The store's.
        got: String,
    },
    /// More time has passed since the last run than [`PublisherOptions::pause_max`].
    #[error(
        "published until {until}, and the clock says {now}: either it is wrong or the pause was long"
    )]
    LongPause {
        /// What has been published.
        until: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// A package that is to be rolled up cannot be read.
    #[error("the day cannot be rolled up: {0}")]
    Rollup(#[from] UpdateError),
    /// An export cannot be written.
    #[error(transparent)]
    Export(#[from] ExportWriteError),
    /// A key that no reader would take.
    #[error(transparent)]
    InvalidKey(#[from] InvalidKey),
    /// No random numbers.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Makes published files of accepted keys.
#[derive(Debug)]
pub struct Publisher {
    options: PublisherOptions,
    padding_secret: Secret<32>,
}

impl Publisher {
    /// A publisher. `padding_secret` is random, and the same for as long as the publication lasts: whoever knows
    /// it can tell random keys from real ones.
    pub fn new(options: PublisherOptions, padding_secret: Secret<32>) -> Self {
        Self {
            options,
            padding_secret,
        }
    }

    /// Publishes in `store` what has become publishable by `now`, of `keys`: all that were accepted and whose reports
    /// are not [`finished`](Published::finished). Each of `signers` signs, the newest first.
    ///
    /// Takes the memory of the keys of the hours that are due, 40 bytes each, and of one day's files.
    ///
    /// # Errors
    ///
    /// [`PublishError`], by name. The set that was there before stands, and running again goes on.
    pub fn run(
        &self,
        store: &dyn PublicationStore,
        keys: impl IntoIterator<Item = AcceptedKey>,
        signers: &[&SigningKey],
        now: Timestamp,
    ) -> Result<Published, PublishError> {
        let trusted = self.trusted(signers);
        let (mut index, version) = self.index(store, &trusted, now)?;
        let due = self.due(&index, now)?;
        let mut tally = Tally::default();
        let hours = due.sort(keys, &mut tally);
        let before = index.clone();
        self.publish_hours(store, &mut index, hours, signers, &mut tally)?;
        index.published_until = due.until.max(index.published_until);
        self.roll_up(store, &mut index, &trusted, signers)?;
        self.drop_old(&mut index);
        if index != before || version.is_none() {
            index.number = next_number(&index);
            store.replace_index(&index.sign(signers)?, version.as_ref())?;
        }
        let deleted = self.delete_old(store, &index)?;
        Ok(tally.published(&before, &index, deleted))
    }

    /// The hour until which a run at `now` closes. What becomes publishable before it is published by that run if it is
    /// given it, and never if it comes later: whoever stores a report after having asked stores an
    /// [`accepted_at`](AcceptedKey::accepted_at) of at least this, so that a clock that is set back loses nothing.
    ///
    /// # Errors
    ///
    /// [`PublishError`], by name, as of [`run`](Self::run).
    pub fn closes_until(
        &self,
        store: &dyn PublicationStore,
        signers: &[&SigningKey],
        now: Timestamp,
    ) -> Result<Timestamp, PublishError> {
        let (index, _) = self.index(store, &self.trusted(signers), now)?;
        Ok(self.due(&index, now)?.until)
    }

    fn trusted(&self, signers: &[&SigningKey]) -> Vec<VerificationKey> {
        let own = signers.iter().map(|signer| signer.verification_key());
        own.chain(&self.options.trusted).cloned().collect()
    }

    /// The index in `store` and its version, or one of nothing.
    fn index(
        &self,
        store: &dyn PublicationStore,
        trusted: &[VerificationKey],
        now: Timestamp,
    ) -> Result<(Index, Option<Version>), PublishError> {
        let region = &self.options.region;
        let Some((file, version)) = store.index()? else {
            // Nothing was published, so that what waited longest is still new.
            let start = now.saturating_sub(self.options.retention);
            return Ok((Index::empty(region, start), None));
        };
        let index = Index::verify(&file, trusted)?;
        match index.region == *region {
            true => Ok((index, Some(version))),
            false => Err(PublishError::OtherRegion {
                expected: region.clone(),
                got: index.region,
            }),
        }
    }

    /// The hours that are over and not published.
    fn due(&self, index: &Index, now: Timestamp) -> Result<Due, PublishError> {
        let from = index.published_until;
        let until = Cycle::Hourly.start_of(now.saturating_sub(self.options.settle));
        if index.number > 0 && until.since(from) > self.options.pause_max {
            return Err(PublishError::LongPause { until: from, now });
        }
        Ok(Due {
            from,
            // A clock that was set back closes nothing and opens nothing.
            until: until.max(from),
            retention: self.options.retention,
        })
    }

    fn publish_hours(
        &self,
        store: &dyn PublicationStore,
        index: &mut Index,
        hours: BTreeMap<Timestamp, Hour>,
        signers: &[&SigningKey],
        tally: &mut Tally,
    ) -> Result<(), PublishError> {
        let mut shelf = Shelf::of(store);
        for (start, hour) in hours {
            self.hour(start, hour, signers, &mut shelf, tally)?;
        }
        shelf.list_in(index);
        Ok(())
    }

    /// Makes the packages of the days that are over.
    fn roll_up(
        &self,
        store: &dyn PublicationStore,
        index: &mut Index,
        trusted: &[VerificationKey],
        signers: &[&SigningKey],
    ) -> Result<(), PublishError> {
        let today = Cycle::Daily.start_of(index.published_until);
        while index.daily_until < today {
            let day = index.daily_until;
            let mut shelf = Shelf::of(store);
            self.day(day, &index.packages, trusted, signers, &mut shelf)?;
            shelf.list_in(index);
            index.daily_until = day.saturating_add(Cycle::Daily.length());
        }
        Ok(())
    }

    /// Takes what is too old out of `index`.
    fn drop_old(&self, index: &mut Index) {
        let day_before = |age| Cycle::Daily.start_of(index.published_until.saturating_sub(age));
        let since = day_before(self.options.retention).max(index.since);
        let hourly_since = day_before(self.options.hourly_for).max(index.hourly_since);
        (index.since, index.hourly_since) = (since, hourly_since.min(index.daily_until));
        let hourly_since = index.hourly_since;
        index.packages.retain(|package| match package.cycle {
            Cycle::Hourly => package.start >= hourly_since,
            Cycle::Daily => package.start >= since,
        });
    }

    /// Deletes what `index` has not named for longer than the grace, and what a publisher that was killed never
    /// came to name.
    fn delete_old(&self, store: &dyn PublicationStore, index: &Index) -> Result<usize, StoreError> {
        let listed: Vec<_> = index.packages.iter().map(PackageInfo::name).collect();
        let mut deleted = 0;
        for name in store.names()? {
            let Some((cycle, end)) = PackageInfo::window_of(&name) else {
                continue;
            };
            let since = match cycle {
                Cycle::Hourly => index.hourly_since,
                Cycle::Daily => index.since,
            };
            let left_by = since.saturating_sub(self.options.grace);
            if end <= left_by && !listed.contains(&name) {
                store.delete(&name)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

/// One more, or the hours since 1970 if that is higher: devices refuse a lower number than they have read, and a
/// publication that was lost or restored is past all that it had before as soon as another hour is published.
fn next_number(index: &Index) -> u64 {
    let hours = index.published_until.unix_seconds() / Cycle::Hourly.length().as_secs();
    index.number.saturating_add(1).max(hours)
}

#[cfg(test)]
mod tests;
