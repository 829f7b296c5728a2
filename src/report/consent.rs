//! The owner's consent, without which no report is made: who asked, for which days, for how much.
//!
//! An authority asks ([`ConsentRequest`]); the app shows it to the owner, who may take days out and say
//! yes. What comes of that is a [`Consent`], which is spent on one report.
//!
//! ```
//! use truyvet::report::consent::{ConsentRequest, Scope};
//! use truyvet::time::{Timestamp, UtcDay};
//!
//! let now = Timestamp::from_unix_seconds(1_596_880_800); // 2020-08-08T10:00Z
//! let day = |text: &str| text.parse::<UtcDay>();
//! let request = ConsentRequest::new("CDC Hải Dương", day("2020-08-05")?, day("2020-08-08")?)
//!     .scope(Scope::KeysOnly)
//!     .without(day("2020-08-06")?);
//! let consent = request.granted(now, 14)?;
//! assert_eq!(consent.days().len(), 3);
//! assert!(!consent.covers(day("2020-08-06")?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeSet;

use crate::place::is_plain;
use crate::time::{Timestamp, UtcDay};

/// Bytes of the name of who asks. Chosen: no authority has a longer one.
pub const ASKED_BY_BYTES_MAX: usize = 200;

/// What is given beside the keys.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Scope {
    /// Nothing: whom the owner met stays on the device.
    #[default]
    KeysOnly,
    /// Digests of the identifiers heard, so that somebody who says that he was near can be believed. They
    /// tell the authority nothing of who does not come forward.
    WithHeardDigests,
    /// The identifiers heard, with times and strengths, as Bluezone's authorities worked with them. They
    /// tell the authority who was near, as soon as it learns those people's keys.
    WithSightings,
}

/// What an authority asks for, to be shown to the owner.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsentRequest {
    asked_by: String,
    first: UtcDay,
    last: UtcDay,
    taken_out: BTreeSet<UtcDay>,
    scope: Scope,
}

impl ConsentRequest {
    /// `asked_by` asks for the keys of the days from `first` to `last`, and nothing else.
    pub fn new(asked_by: impl Into<String>, first: UtcDay, last: UtcDay) -> Self {
        Self {
            asked_by: asked_by.into(),
            first,
            last,
            taken_out: BTreeSet::new(),
            scope: Scope::KeysOnly,
        }
    }

    /// Asks for `scope`, or gives it: an owner may agree to less than what was asked for.
    #[must_use]
    pub fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The owner takes `day` out.
    #[must_use]
    pub fn without(mut self, day: UtcDay) -> Self {
        self.taken_out.insert(day);
        self
    }

    /// The owner says yes, at `now`, on a device that keeps what it has for `retention_days` before today.
    ///
    /// # Errors
    ///
    /// [`ConsentError`], by name.
    pub fn granted(self, now: Timestamp, retention_days: u32) -> Result<Consent, ConsentError> {
        let got = self.asked_by.len();
        if self.asked_by.trim().is_empty() {
            return Err(ConsentError::NobodyAsks);
        }
        if got > ASKED_BY_BYTES_MAX {
            let max = ASKED_BY_BYTES_MAX;
            return Err(ConsentError::NameTooLong { got, max });
        }
        if !is_plain(&self.asked_by) {
            return Err(ConsentError::NameNotPlain);
        }
        let (today, last) = (now.utc_day(), self.last);
        if last > today {
            return Err(ConsentError::Future { last, today });
        }
        let (first, oldest) = (self.first, today.saturating_sub(retention_days));
        if first < oldest {
            return Err(ConsentError::PastRetention { first, oldest });
        }
        let days: BTreeSet<_> = first
            .through(last)
            .filter(|day| !self.taken_out.contains(day))
            .collect();
        if days.is_empty() {
            return Err(ConsentError::NoDay);
        }
        Ok(Consent {
            asked_by: self.asked_by,
            days,
            scope: self.scope,
            given_at: now,
        })
    }
}

/// That the owner agreed. It cannot be copied: each report wants its own.
#[derive(Debug, Eq, PartialEq)]
pub struct Consent {
    asked_by: String,
    days: BTreeSet<UtcDay>,
    scope: Scope,
    given_at: Timestamp,
}

impl Consent {
    /// Who asked.
    pub fn asked_by(&self) -> &str {
        &self.asked_by
    }

    /// The days agreed to, in their order: what [`Tracer::release`](crate::Tracer::release) is given.
    pub fn days(&self) -> impl ExactSizeIterator<Item = UtcDay> + '_ {
        self.days.iter().copied()
    }

    /// Whether `day` was agreed to.
    pub fn covers(&self, day: UtcDay) -> bool {
        self.days.contains(&day)
    }

    /// What is given beside the keys.
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// When the owner agreed.
    pub fn given_at(&self) -> Timestamp {
        self.given_at
    }
}

/// Nothing that an owner can agree to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsentError {
    /// Nobody is named.
    #[error("expected the name of who asks, got none")]
    NobodyAsks,
    /// The name is too long to be shown.
    #[error("the name of who asks has {got} bytes, expected at most {max}")]
    NameTooLong {
        /// Bytes it has.
        got: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The name has characters that are unseen, control a terminal, or turn the direction of the text.
    #[error("expected a name of who asks that shows as it is")]
    NameNotPlain,
    /// The last day has not come.
    #[error("expected days until today, {today}, got {last}")]
    Future {
        /// The last day asked for.
        last: UtcDay,
        /// Today.
        today: UtcDay,
    },
    /// The first day is not kept any more.
    #[error("expected days from {oldest}, the oldest that is kept, got {first}")]
    PastRetention {
        /// The first day asked for.
        first: UtcDay,
        /// The oldest day there is.
        oldest: UtcDay,
    },
    /// No day is left, or the last is before the first.
    #[error("expected at least one day, got none")]
    NoDay,
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: UtcDay = UtcDay::from_unix_days(18_482);

    fn ago(days: u32) -> UtcDay {
        TODAY.saturating_sub(days)
    }

    fn granted(request: ConsentRequest) -> Result<Consent, ConsentError> {
        request.granted(TODAY.start(), 14)
    }

    #[test]
    fn days_taken_out_stay_out() {
        let request = ConsentRequest::new("CDC", ago(3), TODAY).without(ago(1));
        let consent = granted(request).unwrap();
        let days: Vec<_> = consent.days().collect();
        assert_eq!(days, [ago(3), ago(2), TODAY]);
        assert!(!consent.covers(ago(1)) && consent.covers(TODAY));
        assert_eq!(consent.scope(), Scope::KeysOnly);
        assert_eq!(
            (consent.asked_by(), consent.given_at()),
            ("CDC", TODAY.start())
        );
    }

    #[test]
    fn empty() {
        let all_out = ConsentRequest::new("CDC", ago(1), TODAY)
            .without(TODAY)
            .without(ago(1));
        assert_eq!(granted(all_out), Err(ConsentError::NoDay));
        let backwards = ConsentRequest::new("CDC", TODAY, ago(1));
        assert_eq!(granted(backwards), Err(ConsentError::NoDay));
    }

    #[test]
    fn future() {
        let tomorrow = UtcDay::from_unix_days(TODAY.unix_days() + 1);
        let request = ConsentRequest::new("CDC", TODAY, tomorrow);
        assert_eq!(
            granted(request),
            Err(ConsentError::Future {
                last: tomorrow,
                today: TODAY
            })
        );
    }

    #[test]
    fn out_of_the_retention() {
        assert!(granted(ConsentRequest::new("CDC", ago(14), TODAY)).is_ok());
        assert_eq!(
            granted(ConsentRequest::new("CDC", ago(15), TODAY)),
            Err(ConsentError::PastRetention {
                first: ago(15),
                oldest: ago(14)
            })
        );
    }

    #[test]
    fn nobody_asks() {
        for name in ["", " \n"] {
            let request = ConsentRequest::new(name, TODAY, TODAY);
            assert_eq!(granted(request), Err(ConsentError::NobodyAsks));
        }
        let request = ConsentRequest::new("a".repeat(201), TODAY, TODAY);
        let too_long = ConsentError::NameTooLong { got: 201, max: 200 };
        assert_eq!(granted(request), Err(too_long));
    }

    #[test]
    fn a_name_that_does_not_show_as_it_is() {
        for name in ["CDC\n", "CDC\u{202E}", "C\u{200B}DC", "\u{1B}[2JCDC"] {
            let request = ConsentRequest::new(name, TODAY, TODAY);
            assert_eq!(granted(request), Err(ConsentError::NameNotPlain));
        }
        assert!(granted(ConsentRequest::new("CDC Hải Dương", TODAY, TODAY)).is_ok());
    }
}
