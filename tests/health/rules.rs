//! Each rule, broken.

use std::time::Duration;

use super::*;

fn refused(declaration: HealthDeclaration) -> HealthError {
    let error = declaration.check(NOW).unwrap_err();
    assert!(error.to_string().starts_with(error.field()), "{error}");
    error
}

#[test]
fn what_keeps_the_rules() {
    for declaration in [healthy(), full(), everything()] {
        let checked = declaration.clone().check(NOW).unwrap();
        assert_eq!(checked.declaration(), &declaration);
        // Sealed tomorrow, it is the same.
        let tomorrow = NOW.saturating_add(Duration::from_secs(86_400));
        assert_eq!(declaration.check(tomorrow).unwrap().id(), checked.id());
    }
}

#[test]
fn healthy_with_a_state() {
    let mut it = healthy();
    it.states.insert(DailyState::Cough);
    assert_eq!(refused(it), HealthError::HealthyAndIll { field: "states" });
}

#[test]
fn healthy_with_a_symptom() {
    let mut it = healthy();
    it.symptoms.insert(Symptom::Rash, true);
    let field = "symptoms";
    assert_eq!(refused(it), HealthError::HealthyAndIll { field });
    let mut it = healthy();
    it.symptoms.insert(Symptom::Rash, false);
    it.check(NOW).unwrap();
}

#[test]
fn daily_without_a_state() {
    assert_eq!(
        refused(HealthDeclaration::new(Form::Daily, NOW)),
        HealthError::NoState
    );
}

/// The form of the time let it pass: it compared a number with a list.
#[test]
fn full_with_a_question_left_out() {
    for symptom in Symptom::ALL {
        let mut it = full();
        it.symptoms.remove(&symptom);
        let (field, question) = ("symptoms", symptom.wire_name());
        assert_eq!(refused(it), HealthError::Unanswered { field, question });
    }
    for exposure in Exposure::OF_ENTRY {
        let mut it = full();
        it.exposures.remove(&exposure);
        let (field, question) = ("exposures", exposure.wire_name());
        assert_eq!(refused(it), HealthError::Unanswered { field, question });
    }
}

#[test]
fn made_in_the_future() {
    let mut it = healthy();
    it.made_at = NOW.saturating_add(Duration::from_secs(300));
    it.clone().check(NOW).unwrap();
    it.made_at = NOW.saturating_add(Duration::from_secs(301));
    let (field, latest) = ("made_at", day("2021-05-31"));
    assert_eq!(refused(it), HealthError::InFuture { field, latest });
}

#[test]
fn made_before_the_window() {
    let mut it = healthy();
    it.made_at = NOW.saturating_sub(Duration::from_secs(14 * 86_400));
    it.clone().check(NOW).unwrap();
    it.made_at = NOW.saturating_sub(Duration::from_secs(15 * 86_400));
    let (field, earliest) = ("made_at", day("2021-05-17"));
    assert_eq!(refused(it), HealthError::BeforeWindow { field, earliest });
}

fn tested(date: &str) -> HealthDeclaration {
    let mut it = healthy();
    it.test = Some(TestResult {
        outcome: TestOutcome::Negative,
        date: day(date),
    });
    it
}

#[test]
fn tested_in_the_future() {
    tested("2021-05-31").check(NOW).unwrap();
    let (field, latest) = ("test", day("2021-05-31"));
    let error = refused(tested("2021-06-01"));
    assert_eq!(error, HealthError::InFuture { field, latest });
}

#[test]
fn tested_before_the_window() {
    tested("2021-05-17").check(NOW).unwrap();
    let (field, earliest) = ("test", day("2021-05-17"));
    let error = refused(tested("2021-05-16"));
    assert_eq!(error, HealthError::BeforeWindow { field, earliest });
    let mut it = tested("2021-05-10");
    it.window = Window::Days21;
    it.check(NOW).unwrap();
}

/// At one in the morning in Việt Nam it is still yesterday by UTC.
#[test]
fn days_are_those_of_the_owners_calendar() {
    let night = Timestamp::from_unix_seconds(1_622_397_600); // 2021-05-30T18:00Z
    let mut it = tested("2021-05-31");
    it.made_at = night;
    assert_eq!(it.day(), day("2021-05-31"));
    it.clone().check(night).unwrap();
    it.utc_offset_min = 0;
    let (field, latest) = ("test", day("2021-05-30"));
    let error = it.check(night).unwrap_err();
    assert_eq!(error, HealthError::InFuture { field, latest });
}

#[test]
fn onset_in_the_future_or_before_the_window() {
    let mut it = everything();
    it.onset = Some(day("2021-06-01"));
    let (field, latest) = ("onset", day("2021-05-31"));
    assert_eq!(refused(it.clone()), HealthError::InFuture { field, latest });
    it.onset = Some(day("2021-05-09"));
    let earliest = day("2021-05-10");
    assert_eq!(refused(it), HealthError::BeforeWindow { field, earliest });
}

#[test]
fn onset_without_symptoms() {
    let mut it = healthy();
    it.onset = Some(day("2021-05-30"));
    assert_eq!(refused(it), HealthError::OnsetWithoutSymptoms);
}

#[test]
fn note_too_long() {
    let mut it = healthy();
    it.note = "ế".repeat(500);
    it.clone().check(NOW).unwrap();
    it.note.push('ế');
    let (field, len, max) = ("note", 501, 500);
    assert_eq!(refused(it), HealthError::TextTooLong { field, len, max });
}

#[test]
fn control_characters() {
    let mut it = healthy();
    it.note = "\u{1b}[2J".to_owned();
    let field = "note";
    assert_eq!(refused(it), HealthError::ControlCharacter { field });
    let field = "subject";
    let error = refused(on_behalf_of("grand\nmother"));
    assert_eq!(error, HealthError::ControlCharacter { field });
}

fn on_behalf_of(label: &str) -> HealthDeclaration {
    let mut it = healthy();
    it.subject = Subject::HouseholdMember {
        label: label.to_owned(),
    };
    it
}

#[test]
fn on_behalf_without_a_label() {
    for label in ["", " \u{a0}"] {
        assert_eq!(refused(on_behalf_of(label)), HealthError::LabelMissing);
    }
}

#[test]
fn label_too_long() {
    on_behalf_of(&"ế".repeat(40)).check(NOW).unwrap();
    let (field, len, max) = ("subject", 41, 40);
    let error = refused(on_behalf_of(&"a".repeat(41)));
    assert_eq!(error, HealthError::TextTooLong { field, len, max });
}

#[test]
fn label_that_is_a_number() {
    on_behalf_of("born 1942").check(NOW).unwrap();
    for label in ["0912 345 678", "079200012345"] {
        assert_eq!(refused(on_behalf_of(label)), HealthError::LabelIdentifies);
    }
}

#[test]
fn a_time_of_no_place_on_earth() {
    for got in [-721, 841, i16::MIN] {
        let mut it = healthy();
        it.utc_offset_min = got;
        assert_eq!(refused(it), HealthError::Offset { got });
    }
}

#[test]
fn nothing_of_a_declaration_is_in_its_debug() {
    let shown = format!("{:?}", everything());
    for secret in ["Cough", "Pain", "ngoại", "ho khan", "Positive"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
