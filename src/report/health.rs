//! The health declaration (Tờ khai y tế): how somebody is, in the words of Việt Nam's forms of 2020 and 2021.
//!
//! Its symptoms are those of the entry form, its states those of the daily update, its exposures those of both and
//! of the whole population's form. Who somebody is, where he travels and what papers he has is no field of it: an
//! app that must send such things seals them as an [attachment](message) of its own.
//!
//! A [`HealthDeclaration`] says anything; [`check`](HealthDeclaration::check) says whether it keeps the rules, and by
//! which field it does not. The [`Diary`] keeps what was checked in the encounter log, and [`message`] seals it to an
//! authority. `docs/report-format.md` in the repository has every byte.
//!
//! ```
//! use truyvet::report::health::{DailyState, Form, HealthDeclaration, advice::advise};
//! use truyvet::time::Timestamp;
//!
//! let now = Timestamp::from_unix_seconds(1_622_430_000); // 2021-05-31T10:00 in Việt Nam
//! let mut declaration = HealthDeclaration::new(Form::Daily, now);
//! declaration.states.insert(DailyState::Cough);
//! for advice in advise(&declaration.check(now)?) {
//!     println!("{}", advice.key.name()); // an app shows its own words for it
//! }
//! # Ok::<(), truyvet::report::health::HealthError>(())
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use data_encoding::HEXLOWER;

use crate::time::{Timestamp, UtcDay};

pub mod advice;
mod diary;
pub mod message;
mod record;
mod rules;
mod wire;
mod words;

pub use diary::{Diary, DiaryError, Recorded};
pub use record::{RECORD_BYTES_MAX, RecordError};
pub use rules::{CheckedDeclaration, HealthError, LABEL_CHARS_MAX, NOTE_CHARS_MAX};
pub use wire::{HealthJsonError, JSON_BYTES_MAX};
pub use words::{DailyState, Exposure, Symptom};

/// Việt Nam's time, in minutes ahead of UTC.
pub const VIET_NAM_OFFSET_MIN: i16 = 420;

/// Which form a declaration follows.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Form {
    /// The whole of it: every symptom and both exposures of the entry form are answered.
    Full,
    /// The daily update: one state at least, and one update a day.
    Daily,
}

/// How many days back a declaration speaks of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Window {
    /// 14 days, as the forms of 2020 asked.
    Days14,
    /// 21 days, as those of 2021 did.
    Days21,
}

impl Window {
    /// Its days.
    pub const fn days(self) -> u32 {
        match self {
            Self::Days14 => 14,
            Self::Days21 => 21,
        }
    }
}

/// Of whom a declaration speaks.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// Of the device's owner.
    Myself,
    /// Of somebody of his household, who has asked him to.
    HouseholdMember {
        /// What the owner tells him by, "grandmother" say: 1 to [`LABEL_CHARS_MAX`] characters, and no name or number
        /// by which others would know him.
        label: String,
    },
}

/// Not the label.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Myself => "Myself",
            Self::HouseholdMember { .. } => "HouseholdMember(..)",
        })
    }
}

/// What a test has said.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum TestOutcome {
    /// Nothing was found.
    Negative,
    /// The disease.
    Positive,
    /// Not known yet, or not to be told.
    Pending,
}

/// A test, and when it was taken.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct TestResult {
    /// What it has said.
    pub outcome: TestOutcome,
    /// The day in the owner's calendar on which it was taken.
    pub date: UtcDay,
}

/// What tells a declaration from others: the first 16 bytes of
/// SHA-256("truyvet health declaration" || its record).
///
/// It has no salt, and there are few declarations: who has it and knows the time can guess what was declared. It is for
/// the owner's own device, and not for a log line.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct DeclarationId(pub [u8; 16]);

impl fmt::Debug for DeclarationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeclarationId(..)")
    }
}

impl fmt::Display for DeclarationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// A health declaration, as somebody has filled it in: nobody has looked at it yet.
///
/// A question that is not among the answers has not been answered. Days are those of the calendar on the owner's wall,
/// given as the [`UtcDay`] of the same date.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub struct HealthDeclaration {
    /// When it was made.
    pub made_at: Timestamp,
    /// The owner's time then, in minutes ahead of UTC: -720..=840.
    pub utc_offset_min: i16,
    /// Which form it follows.
    pub form: Form,
    /// How far back it speaks of.
    pub window: Window,
    /// Of whom.
    pub subject: Subject,
    /// Symptoms in the window, yes or no.
    pub symptoms: BTreeMap<Symptom, bool>,
    /// How he is today.
    pub states: BTreeSet<DailyState>,
    /// Exposures in the window, yes or no.
    pub exposures: BTreeMap<Exposure, bool>,
    /// The latest test in the window, if there is one.
    pub test: Option<TestResult>,
    /// On which day the symptoms began.
    pub onset: Option<UtcDay>,
    /// What else is to be said: at most [`NOTE_CHARS_MAX`] characters.
    pub note: String,
    /// The declaration that this one corrects. Both stay.
    pub corrects: Option<DeclarationId>,
}

impl HealthDeclaration {
    /// One of the owner's, made at `made_at` in Việt Nam's time, of 14 days, with nothing answered.
    pub const fn new(form: Form, made_at: Timestamp) -> Self {
        Self {
            made_at,
            utc_offset_min: VIET_NAM_OFFSET_MIN,
            form,
            window: Window::Days14,
            subject: Subject::Myself,
            symptoms: BTreeMap::new(),
            states: BTreeSet::new(),
            exposures: BTreeMap::new(),
            test: None,
            onset: None,
            note: String::new(),
            corrects: None,
        }
    }

    /// The day on the owner's calendar on which it was made.
    pub fn day(&self) -> UtcDay {
        day_at(self.made_at, self.utc_offset_min)
    }
}

/// Not what it says of anybody's health.
impl fmt::Debug for HealthDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthDeclaration")
            .field("form", &self.form)
            .field("made_at", &self.made_at)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// The day of `time` where clocks are `offset_min` minutes ahead of UTC.
fn day_at(time: Timestamp, offset_min: i16) -> UtcDay {
    let offset = Duration::from_secs(60 * u64::from(offset_min.unsigned_abs()));
    let local = match offset_min < 0 {
        true => time.saturating_sub(offset),
        false => time.saturating_add(offset),
    };
    local.utc_day()
}
