//! A declaration as bytes, for the log and the envelope: a version, and what the codec makes of a [`Stored`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::words::Word;
use super::{
    DeclarationId, Form, HealthDeclaration, Subject, TestOutcome, TestResult, Timestamp, UtcDay,
    Window,
};
use crate::codec;

/// Bytes of a record at most. Chosen: a note and a label of the greatest length, in the longest characters, have 2,160.
pub const RECORD_BYTES_MAX: usize = 4_096;

/// A record's first byte.
const VERSION: u8 = 1;

/// Bytes that are no declaration. What they say is in no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// There are too many.
    #[error("expected a declaration of at most {RECORD_BYTES_MAX} bytes, got {len}")]
    TooLong {
        /// How many.
        len: usize,
    },
    /// Of a newer release.
    #[error(
        "the declaration has version {found}, of which this release reads {VERSION}: update it"
    )]
    UnsupportedVersion {
        /// Its version.
        found: u8,
    },
    /// Not as any release writes it.
    #[error("the declaration is malformed")]
    Malformed,
}

/// Answers as two bytes: which questions have one, and which of those is yes.
#[derive(Clone, Copy, Deserialize, Serialize)]
struct Answers {
    given: u8,
    yes: u8,
}

/// `docs/report-format.md` has it as a table.
#[derive(Deserialize, Serialize)]
struct Stored {
    made_at: u64,
    utc_offset_min: i16,
    form: u8,
    window_days: u8,
    label: Option<String>,
    symptoms: Answers,
    states: u8,
    exposures: Answers,
    test: Option<(u8, u32)>,
    onset: Option<u32>,
    note: String,
    corrects: Option<[u8; 16]>,
}

/// The record of a declaration whose texts are known not to be too long.
pub(super) fn to_bytes(declaration: &HealthDeclaration) -> Vec<u8> {
    let it = declaration;
    let stored = Stored {
        made_at: it.made_at.unix_millis(),
        utc_offset_min: it.utc_offset_min,
        form: match it.form {
            Form::Full => 0,
            Form::Daily => 1,
        },
        // 14 or 21.
        window_days: it.window.days() as u8,
        label: match &it.subject {
            Subject::Myself => None,
            Subject::HouseholdMember { label } => Some(label.clone()),
        },
        symptoms: answers(&it.symptoms),
        states: bits(|state| it.states.contains(state)),
        exposures: answers(&it.exposures),
        test: it
            .test
            .map(|test| (outcome_number(test.outcome), test.date.unix_days())),
        onset: it.onset.map(UtcDay::unix_days),
        note: it.note.clone(),
        corrects: it.corrects.map(|id| id.0),
    };
    // Room for all of it: a vector that grows leaves copies behind. No record of this size fails.
    let mut bytes = Vec::with_capacity(RECORD_BYTES_MAX);
    bytes.push(VERSION);
    codec::encode_into(bytes, &stored).unwrap_or_default()
}

impl HealthDeclaration {
    /// What [`CheckedDeclaration::to_bytes`](super::CheckedDeclaration::to_bytes) made. The rules are not checked:
    /// whoever wrote it may have kept none.
    ///
    /// # Errors
    ///
    /// [`RecordError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLong { len: bytes.len() });
        }
        match bytes.split_first() {
            Some((&VERSION, encoded)) => {
                let stored = codec::decode(encoded).ok();
                stored.and_then(read).ok_or(RecordError::Malformed)
            }
            Some((&found, _)) => Err(RecordError::UnsupportedVersion { found }),
            None => Err(RecordError::Malformed),
        }
    }
}

/// `None` for what no release writes, so that each declaration has one record.
fn read(stored: Stored) -> Option<HealthDeclaration> {
    let made_at = Timestamp::from_unix_millis(stored.made_at);
    if made_at.unix_millis() != stored.made_at {
        return None;
    }
    let test = match stored.test {
        Some((number, date)) => Some(TestResult {
            outcome: outcome(number)?,
            date: day(date)?,
        }),
        None => None,
    };
    let onset = match stored.onset {
        Some(onset) => Some(day(onset)?),
        None => None,
    };
    Some(HealthDeclaration {
        made_at,
        utc_offset_min: stored.utc_offset_min,
        form: match stored.form {
            0 => Form::Full,
            1 => Form::Daily,
            _ => return None,
        },
        window: match stored.window_days {
            14 => Window::Days14,
            21 => Window::Days21,
            _ => return None,
        },
        subject: match stored.label {
            None => Subject::Myself,
            Some(label) => Subject::HouseholdMember { label },
        },
        symptoms: answered(stored.symptoms)?,
        states: words(stored.states)?,
        exposures: answered(stored.exposures)?,
        test,
        onset,
        note: stored.note,
        corrects: stored.corrects.map(DeclarationId),
    })
}

fn day(days: u32) -> Option<UtcDay> {
    let day = UtcDay::from_unix_days(days);
    (day.unix_days() == days).then_some(day)
}

const fn outcome_number(outcome: TestOutcome) -> u8 {
    match outcome {
        TestOutcome::Negative => 0,
        TestOutcome::Positive => 1,
        TestOutcome::Pending => 2,
    }
}

const fn outcome(number: u8) -> Option<TestOutcome> {
    match number {
        0 => Some(TestOutcome::Negative),
        1 => Some(TestOutcome::Positive),
        2 => Some(TestOutcome::Pending),
        _ => None,
    }
}

fn bits<W: Word>(is_set: impl Fn(&W) -> bool) -> u8 {
    let set = W::ALL.iter().zip(0..).filter(|(word, _)| is_set(word));
    set.fold(0, |bits, (_, place)| bits | 1 << place)
}

/// The words of `bits`; `None` if there are bits of none.
fn words<W: Word>(bits: u8) -> Option<BTreeSet<W>> {
    let words = W::ALL.iter().copied().zip(0..);
    let words: BTreeSet<W> = words
        .filter(|(_, place)| bits >> place & 1 == 1)
        .map(|(word, _)| word)
        .collect();
    (words.len() == bits.count_ones() as usize).then_some(words)
}

fn answers<W: Word>(answers: &BTreeMap<W, bool>) -> Answers {
    Answers {
        given: bits(|word| answers.contains_key(word)),
        yes: bits(|word| answers.get(word) == Some(&true)),
    }
}

/// `None` if something is yes that has no answer.
fn answered<W: Word>(answers: Answers) -> Option<BTreeMap<W, bool>> {
    if answers.yes & !answers.given != 0 {
        return None;
    }
    let yes: BTreeSet<W> = words(answers.yes)?;
    let given: BTreeSet<W> = words(answers.given)?;
    let answered = given.into_iter().map(|word| (word, yes.contains(&word)));
    Some(answered.collect())
}
