//! Health declarations: their rules, each by name; their bytes and JSON; the diary; advice; and the way to an authority.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "health/advice.rs"]
mod advice;
#[path = "health/diary.rs"]
mod diary;
#[path = "health/forms.rs"]
mod forms;
#[path = "health/rules.rs"]
mod rules;

use truyvet::report::health::{
    DailyState, DeclarationId, Exposure, Form, HealthDeclaration, HealthError, Subject, Symptom,
    TestOutcome, TestResult, Window,
};
use truyvet::time::{Timestamp, UtcDay};

/// 2021-05-31T03:00Z: ten o'clock in Việt Nam.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_622_430_000);

fn day(text: &str) -> UtcDay {
    text.parse().unwrap()
}

/// The daily update of somebody who is well.
fn healthy() -> HealthDeclaration {
    let mut declaration = HealthDeclaration::new(Form::Daily, NOW);
    declaration.states.insert(DailyState::Healthy);
    declaration
}

/// The whole form, with everything answered by no.
fn full() -> HealthDeclaration {
    let mut declaration = HealthDeclaration::new(Form::Full, NOW);
    declaration.symptoms = Symptom::ALL.map(|it| (it, false)).into();
    declaration.exposures = Exposure::OF_ENTRY.map(|it| (it, false)).into();
    declaration
}

/// One that has everything.
fn everything() -> HealthDeclaration {
    let mut declaration = full();
    declaration.window = Window::Days21;
    declaration.subject = Subject::HouseholdMember {
        label: "bà ngoại".to_owned(),
    };
    declaration.symptoms.insert(Symptom::Cough, true);
    declaration.states.insert(DailyState::PainOrFatigue);
    declaration.exposures.insert(Exposure::CloseContact, true);
    declaration.exposures.insert(Exposure::CaseContact, false);
    declaration.test = Some(TestResult {
        outcome: TestOutcome::Positive,
        date: day("2021-05-30"),
    });
    declaration.onset = Some(day("2021-05-28"));
    declaration.note = "ho khan\nvề đêm".to_owned();
    declaration.corrects = Some(DeclarationId([0xAB; 16]));
    declaration
}
