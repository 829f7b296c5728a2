//! A declaration as JSON, with the names that Bluezone's forms have on the wire.
//!
//! What those forms do not say, or say of somebody's identity, is not under their names: this crate's own
//! fields stand under `truyvet`.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::words::Word;
use super::{
    DailyState, DeclarationId, Exposure, Form, HealthDeclaration, Subject, TestOutcome, TestResult,
    Timestamp, UtcDay, Window,
};

/// Bytes of a declaration as JSON at most. Chosen: four times one with the longest note.
pub const JSON_BYTES_MAX: usize = 1 << 14;

/// JSON that is no declaration. What it says is in no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthJsonError {
    /// There is too much of it.
    #[error("expected a declaration of at most {JSON_BYTES_MAX} bytes, got {len}")]
    TooLong {
        /// How much.
        len: usize,
    },
    /// No JSON, or a value of the wrong type.
    #[error("expected a declaration as JSON: line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// Column, from 1 (0 where a line begins).
        column: usize,
    },
    /// A field whose value is none of those that it can have.
    #[error("{field}: expected another value")]
    Value {
        /// Its name on the wire.
        field: &'static str,
    },
    /// Of a newer release.
    #[error("truyvet.version: expected {VERSION}, got {found}")]
    UnsupportedVersion {
        /// Its version.
        found: u64,
    },
}

const VERSION: u64 = 1;

impl HealthDeclaration {
    /// It as JSON, with nothing left out.
    ///
    /// | key | value |
    /// |---|---|
    /// | `TrieuChungBenh` | object: each answered [symptom](super::Symptom) by its name, true or false |
    /// | `LichSuPhoiNhiem` | the same of the entry form's [exposures](Exposure) |
    /// | `InforEntryPersonReport` | `LtinforEntryPersonReportDetail`: array of `StateID`, `Value`; all five of a daily update |
    /// | `truyvet` | `version` 1; `made_at` (Unix milliseconds); `utc_offset_min`; `form` (`"full"`, `"daily"`); `window_days`; `on_behalf_of` (label or null); `exposures` (the others); `test` (`outcome`: `"negative"`, `"positive"`, `"pending"`, and `date`; or null); `onset` (date or null); `note`; `corrects` (32 hexadecimal digits, or null) |
    pub fn to_json(&self) -> String {
        let others = |it: &Exposure| !Exposure::OF_ENTRY.contains(it);
        let mut object = Map::new();
        if !self.symptoms.is_empty() {
            object.insert("TrieuChungBenh".into(), object_of(&self.symptoms, |_| true));
        }
        if self.exposures.keys().any(|it| !others(it)) {
            let of_entry = object_of(&self.exposures, |it| !others(it));
            object.insert("LichSuPhoiNhiem".into(), of_entry);
        }
        if !self.states.is_empty() {
            let details = DailyState::ALL
                .map(|it| json!({ "StateID": it.state_id(), "Value": self.states.contains(&it) }));
            let report = json!({ "LtinforEntryPersonReportDetail": details });
            object.insert("InforEntryPersonReport".into(), report);
        }
        let own = json!({
            "version": VERSION,
            "made_at": self.made_at.unix_millis(),
            "utc_offset_min": self.utc_offset_min,
            "form": match self.form {
                Form::Full => "full",
                Form::Daily => "daily",
            },
            "window_days": self.window.days(),
            "on_behalf_of": match &self.subject {
                Subject::Myself => None,
                Subject::HouseholdMember { label } => Some(label),
            },
            "exposures": object_of(&self.exposures, others),
            "test": self.test.map(|test| json!({
                "outcome": outcome_name(test.outcome),
                "date": test.date.to_string(),
            })),
            "onset": self.onset.map(|day| day.to_string()),
            "note": self.note,
            "corrects": self.corrects.map(|id| id.to_string()),
        });
        object.insert("truyvet".into(), own);
        Value::Object(object).to_string()
    }

    /// Reads what [`to_json`](Self::to_json) made, or the body of one of Bluezone's forms, whose other fields are passed
    /// over: names, papers, journeys. Without `truyvet` it was made when it was `received`; a body with symptoms is the
    /// full form. A daily update in which nothing is chosen is healthy, as in Bluezone's app.
    ///
    /// An answer is true or false, 1 or 0, "yes" or "no". The rules are not checked.
    ///
    /// # Errors
    ///
    /// [`HealthJsonError`].
    pub fn from_json(json: &[u8], received: Timestamp) -> Result<Self, HealthJsonError> {
        if json.len() > JSON_BYTES_MAX {
            return Err(HealthJsonError::TooLong { len: json.len() });
        }
        let body: Body = serde_json::from_slice(json).map_err(|e| HealthJsonError::Malformed {
            line: e.line(),
            column: e.column(),
        })?;
        let form = match body.symptoms {
            Some(_) => Form::Full,
            None => Form::Daily,
        };
        let mut declaration = Self::new(form, received);
        declaration.symptoms = answers("TrieuChungBenh", body.symptoms)?;
        declaration.exposures = answers("LichSuPhoiNhiem", body.exposures)?;
        if let Some(details) = body.report.and_then(|it| it.details) {
            for detail in details {
                let field = "LtinforEntryPersonReportDetail";
                let state = DailyState::ALL.into_iter();
                let mut state = state.filter(|it| u64::from(it.state_id()) == detail.state);
                let value = HealthJsonError::Value { field };
                let state = state.next().ok_or(value)?;
                if answer(&detail.value).ok_or(value)? {
                    declaration.states.insert(state);
                }
            }
            if declaration.states.is_empty() {
                declaration.states.insert(DailyState::Healthy);
            }
        }
        if let Some(own) = body.own {
            own.fill(&mut declaration)?;
        }
        Ok(declaration)
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "TrieuChungBenh")]
    symptoms: Option<BTreeMap<String, Value>>,
    #[serde(rename = "LichSuPhoiNhiem")]
    exposures: Option<BTreeMap<String, Value>>,
    #[serde(rename = "InforEntryPersonReport")]
    report: Option<Report>,
    #[serde(rename = "truyvet")]
    own: Option<Own>,
}

#[derive(Deserialize)]
struct Report {
    #[serde(rename = "LtinforEntryPersonReportDetail")]
    details: Option<Vec<Detail>>,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(rename = "StateID")]
    state: u64,
    #[serde(rename = "Value")]
    value: Value,
}

#[derive(Deserialize)]
struct Own {
    version: u64,
    made_at: u64,
    utc_offset_min: i16,
    form: String,
    window_days: u64,
    on_behalf_of: Option<String>,
    exposures: Option<BTreeMap<String, Value>>,
    test: Option<Test>,
    onset: Option<String>,
    note: String,
    corrects: Option<String>,
}

#[derive(Deserialize)]
struct Test {
    outcome: String,
    date: String,
}

impl Own {
    fn fill(self, declaration: &mut HealthDeclaration) -> Result<(), HealthJsonError> {
        if self.version != VERSION {
            let found = self.version;
            return Err(HealthJsonError::UnsupportedVersion { found });
        }
        let it = declaration;
        it.made_at = Timestamp::from_unix_millis(self.made_at);
        it.utc_offset_min = self.utc_offset_min;
        it.form = match self.form.as_str() {
            "full" => Form::Full,
            "daily" => Form::Daily,
            _ => return Err(HealthJsonError::Value { field: "form" }),
        };
        let window = HealthJsonError::Value {
            field: "window_days",
        };
        it.window = match self.window_days {
            14 => Window::Days14,
            21 => Window::Days21,
            _ => return Err(window),
        };
        if let Some(label) = self.on_behalf_of {
            it.subject = Subject::HouseholdMember { label };
        }
        it.exposures.extend(answers("exposures", self.exposures)?);
        if let Some(test) = self.test {
            it.test = Some(TestResult {
                outcome: outcome_named(&test.outcome)?,
                date: day("date", &test.date)?,
            });
        }
        if let Some(onset) = self.onset {
            it.onset = Some(day("onset", &onset)?);
        }
        it.note = self.note;
        if let Some(text) = self.corrects {
            let id = HEXLOWER.decode(text.as_bytes()).ok();
            let id = id.and_then(|id| id.try_into().ok());
            let wrong = HealthJsonError::Value { field: "corrects" };
            it.corrects = Some(DeclarationId(id.ok_or(wrong)?));
        }
        Ok(())
    }
}

fn object_of<W: Word>(answers: &BTreeMap<W, bool>, is_wanted: impl Fn(&W) -> bool) -> Value {
    let wanted = answers.iter().filter(|(word, _)| is_wanted(word));
    wanted
        .map(|(word, yes)| (word.name().to_owned(), Value::Bool(*yes)))
        .collect()
}

/// The answers that this crate knows the questions to.
fn answers<W: Word>(
    field: &'static str,
    object: Option<BTreeMap<String, Value>>,
) -> Result<BTreeMap<W, bool>, HealthJsonError> {
    let object = object.unwrap_or_default();
    let known = object
        .iter()
        .filter_map(|(name, value)| Some((W::named(name)?, value)));
    known
        .map(|(word, value)| {
            let answer = answer(value).ok_or(HealthJsonError::Value { field })?;
            Ok((word, answer))
        })
        .collect()
}

fn answer(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(answer) => Some(*answer),
        Value::Number(number) if number.as_u64() == Some(0) => Some(false),
        Value::Number(number) if number.as_u64() == Some(1) => Some(true),
        Value::String(text) => match text.as_str() {
            "yes" | "true" | "1" => Some(true),
            "no" | "false" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn day(field: &'static str, text: &str) -> Result<UtcDay, HealthJsonError> {
    text.parse().map_err(|_| HealthJsonError::Value { field })
}

const fn outcome_name(outcome: TestOutcome) -> &'static str {
    match outcome {
        TestOutcome::Negative => "negative",
        TestOutcome::Positive => "positive",
        TestOutcome::Pending => "pending",
    }
}

fn outcome_named(name: &str) -> Result<TestOutcome, HealthJsonError> {
    let mut all = [
        TestOutcome::Negative,
        TestOutcome::Positive,
        TestOutcome::Pending,
    ]
    .into_iter();
    let named = all.find(|outcome| outcome_name(*outcome) == name);
    named.ok_or(HealthJsonError::Value { field: "outcome" })
}
