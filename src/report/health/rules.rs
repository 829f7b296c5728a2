//! What a declaration may say, and what not.

use std::fmt;
use std::time::Duration;

use super::record::to_bytes;
use super::{
    DailyState, DeclarationId, Exposure, Form, HealthDeclaration, Subject, Symptom, UtcDay, day_at,
};
use crate::crypto::sha256;
use crate::log::{EntryKind, LogEntry};
use crate::time::Timestamp;

/// Characters of a note at most. Chosen: some eighty words, which an envelope of 4 KiB holds in any script.
pub const NOTE_CHARS_MAX: usize = 500;

/// Characters of the label of a member of the household at most. Chosen: "grandmother on mother's side" has 28.
pub const LABEL_CHARS_MAX: usize = 40;

/// From so many digits on a label is a number by which somebody is known. Chosen: fewer than any telephone number, and
/// more than a year of birth.
const LABEL_DIGITS: usize = 6;

/// By so much a device's clock may be ahead of whoever checks. Chosen: more than a phone's clock is wrong that sets itself.
const CLOCK_AHEAD: Duration = Duration::from_secs(300);

/// Minutes by which any place on Earth is behind or ahead of UTC.
const OFFSETS_MIN: std::ops::RangeInclusive<i16> = -720..=840;

/// A declaration breaks a rule. No message says what was declared.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthError {
    /// Healthy, and something else.
    #[error("{field}: healthy excludes everything else, got both")]
    HealthyAndIll {
        /// Where the other stands.
        field: &'static str,
    },
    /// The form asks, and there is no answer.
    #[error("{field}: expected an answer to \"{question}\"")]
    Unanswered {
        /// The field.
        field: &'static str,
        /// The question's name on the wire.
        question: &'static str,
    },
    /// A daily update without a state.
    #[error("states: expected one at least, got none")]
    NoState,
    /// A time or a day that is still to come.
    #[error("{field}: expected {latest} at the latest")]
    InFuture {
        /// The field.
        field: &'static str,
        /// The last day that it may be.
        latest: UtcDay,
    },
    /// A time or a day before those that the declaration speaks of.
    #[error("{field}: expected {earliest} at the earliest")]
    BeforeWindow {
        /// The field.
        field: &'static str,
        /// The first day that it may be.
        earliest: UtcDay,
    },
    /// Nothing has begun.
    #[error("onset: expected none without symptoms")]
    OnsetWithoutSymptoms,
    /// Text that is too long.
    #[error("{field}: expected at most {max} characters, got {len}")]
    TextTooLong {
        /// The field.
        field: &'static str,
        /// Characters it has.
        len: usize,
        /// Characters it may have.
        max: usize,
    },
    /// Text with characters that steer a terminal.
    #[error("{field}: expected text, got a control character")]
    ControlCharacter {
        /// The field.
        field: &'static str,
    },
    /// On behalf of somebody, without a label.
    #[error("subject: expected a label on behalf of a member of the household, got none")]
    LabelMissing,
    /// A label that is a number by which others know somebody.
    #[error(
        "subject: expected a label that names nobody, got one of {LABEL_DIGITS} or more digits"
    )]
    LabelIdentifies,
    /// No place on Earth has such a time.
    #[error("utc_offset_min: expected -720 to 840, got {got}")]
    Offset {
        /// As given.
        got: i16,
    },
    /// There is an update of this day.
    #[error("made_at: expected one daily update a day, and {day} has one: correct that")]
    DeclaredAlready {
        /// The day.
        day: UtcDay,
    },
    /// What is to be corrected is not in the diary.
    #[error("corrects: expected a declaration of the diary, got another")]
    NothingToCorrect,
    /// It speaks of somebody else, or follows another form.
    #[error("corrects: expected a declaration of the same person and form")]
    CorrectsAnother,
    /// It has been corrected before.
    #[error("corrects: expected the latest correction, got what has been corrected already")]
    CorrectedAlready,
    /// A correction older than what it corrects.
    #[error("made_at: expected a correction to come after what it corrects")]
    CorrectsLater,
}

impl HealthError {
    /// The field of [`HealthDeclaration`] that breaks the rule.
    pub const fn field(&self) -> &'static str {
        match self {
            Self::HealthyAndIll { field }
            | Self::Unanswered { field, .. }
            | Self::InFuture { field, .. }
            | Self::BeforeWindow { field, .. }
            | Self::TextTooLong { field, .. }
            | Self::ControlCharacter { field } => field,
            Self::NoState => "states",
            Self::OnsetWithoutSymptoms => "onset",
            Self::LabelMissing | Self::LabelIdentifies => "subject",
            Self::Offset { .. } => "utc_offset_min",
            Self::DeclaredAlready { .. } | Self::CorrectsLater => "made_at",
            Self::NothingToCorrect | Self::CorrectsAnother | Self::CorrectedAlready => "corrects",
        }
    }
}

/// A declaration that keeps the rules.
#[derive(Clone, Eq, PartialEq)]
pub struct CheckedDeclaration {
    declaration: HealthDeclaration,
    record: Vec<u8>,
}

/// As of a [`HealthDeclaration`]: the record says all of it.
impl fmt::Debug for CheckedDeclaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedDeclaration")
            .field("declaration", &self.declaration)
            .finish_non_exhaustive()
    }
}

impl CheckedDeclaration {
    /// What it says.
    pub const fn declaration(&self) -> &HealthDeclaration {
        &self.declaration
    }

    /// Its record: see [`HealthDeclaration::from_bytes`].
    pub fn to_bytes(&self) -> &[u8] {
        &self.record
    }

    /// What a correction refers to it by.
    pub fn id(&self) -> DeclarationId {
        id_of(&self.record)
    }

    /// It as an entry for the encounter log. A [`Diary`](super::Diary) appends it by itself; this is for a log that a
    /// running tracer has.
    pub fn to_entry(&self) -> LogEntry {
        LogEntry {
            at: self.declaration.made_at,
            kind: EntryKind::HealthDeclaration,
            bytes: self.record.clone(),
        }
    }
}

/// What a record is referred to by.
pub(super) fn id_of(record: &[u8]) -> DeclarationId {
    let hash = sha256(&[b"truyvet health declaration", record]);
    let mut id = [0; 16];
    id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    DeclarationId(id)
}

impl HealthDeclaration {
    /// Whether it keeps the rules, as of `now`: those that need no others beside it. The [`Diary`](super::Diary) has
    /// those of one update a day and of corrections.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check(self, now: Timestamp) -> Result<CheckedDeclaration, HealthError> {
        self.check_dates(now)?;
        self.check_answers()?;
        self.check_texts()?;
        let record = to_bytes(&self);
        Ok(CheckedDeclaration {
            declaration: self,
            record,
        })
    }

    /// Whether anything is said of an illness.
    fn is_ill(&self) -> bool {
        let healthy = |state: &DailyState| *state == DailyState::Healthy;
        self.symptoms.values().any(|yes| *yes) || !self.states.iter().all(healthy)
    }

    fn check_dates(&self, now: Timestamp) -> Result<(), HealthError> {
        let offset = self.utc_offset_min;
        if !OFFSETS_MIN.contains(&offset) {
            return Err(HealthError::Offset { got: offset });
        }
        let today = day_at(now, offset);
        if self.made_at > now.saturating_add(CLOCK_AHEAD) {
            let (field, latest) = ("made_at", today);
            return Err(HealthError::InFuture { field, latest });
        }
        self.check_day(
            "made_at",
            self.day(),
            day_at(now.saturating_add(CLOCK_AHEAD), offset),
        )?;
        if let Some(test) = self.test {
            self.check_day("test", test.date, self.day())?;
        }
        match self.onset {
            Some(onset) if self.is_ill() => self.check_day("onset", onset, self.day()),
            Some(_) => Err(HealthError::OnsetWithoutSymptoms),
            None => Ok(()),
        }
    }

    /// Whether `day` is in the window that ends with `latest`.
    fn check_day(
        &self,
        field: &'static str,
        day: UtcDay,
        latest: UtcDay,
    ) -> Result<(), HealthError> {
        let earliest = latest.saturating_sub(self.window.days());
        if day > latest {
            return Err(HealthError::InFuture { field, latest });
        }
        match day < earliest {
            true => Err(HealthError::BeforeWindow { field, earliest }),
            false => Ok(()),
        }
    }

    fn check_answers(&self) -> Result<(), HealthError> {
        if self.states.contains(&DailyState::Healthy) && self.is_ill() {
            let field = match self.states.len() {
                1 => "symptoms",
                _ => "states",
            };
            return Err(HealthError::HealthyAndIll { field });
        }
        if self.form == Form::Daily {
            return match self.states.is_empty() {
                true => Err(HealthError::NoState),
                false => Ok(()),
            };
        }
        let symptoms = Symptom::ALL.into_iter();
        let mut open = symptoms.filter(|it| !self.symptoms.contains_key(it));
        if let Some(open) = open.next() {
            let (field, question) = ("symptoms", open.wire_name());
            return Err(HealthError::Unanswered { field, question });
        }
        let exposures = Exposure::OF_ENTRY.into_iter();
        let mut open = exposures.filter(|it| !self.exposures.contains_key(it));
        match open.next().map(Exposure::wire_name) {
            Some(question) => Err(HealthError::Unanswered {
                field: "exposures",
                question,
            }),
            None => Ok(()),
        }
    }

    fn check_texts(&self) -> Result<(), HealthError> {
        check_text("note", &self.note, NOTE_CHARS_MAX)?;
        // A note may have lines; nothing else that steers.
        let steers = |it: char| it.is_control() && it != '\n';
        if self.note.chars().any(steers) {
            return Err(HealthError::ControlCharacter { field: "note" });
        }
        let Subject::HouseholdMember { label } = &self.subject else {
            return Ok(());
        };
        if label.trim().is_empty() {
            return Err(HealthError::LabelMissing);
        }
        check_text("subject", label, LABEL_CHARS_MAX)?;
        if label.chars().any(char::is_control) {
            return Err(HealthError::ControlCharacter { field: "subject" });
        }
        let digits = label.chars().filter(|it| it.is_numeric()).count();
        match digits >= LABEL_DIGITS {
            true => Err(HealthError::LabelIdentifies),
            false => Ok(()),
        }
    }
}

fn check_text(field: &'static str, text: &str, max: usize) -> Result<(), HealthError> {
    let len = text.chars().count();
    match len > max {
        true => Err(HealthError::TextTooLong { field, len, max }),
        false => Ok(()),
    }
}
