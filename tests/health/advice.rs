//! What a declaration gives reason to do, and the words that the examples have for it.

use truyvet::report::health::advice::{AdviceKey, AdviceSource, advise};

use super::*;

fn advised(declaration: HealthDeclaration) -> Vec<(AdviceKey, &'static str, AdviceSource)> {
    let advice = advise(&declaration.check(NOW).unwrap());
    advice
        .iter()
        .map(|it| (it.key, it.because, it.source))
        .collect()
}

const CALL: AdviceKey = AdviceKey::CallHealthStation;
const HOME: AdviceKey = AdviceKey::StayHome;

#[test]
fn nothing_is_to_be_done_without_a_reason() {
    let nothing = [(AdviceKey::NoAction, "", AdviceSource::Chosen)];
    assert_eq!(advised(healthy()), nothing);
    assert_eq!(advised(full()), nothing);
}

#[test]
fn fever_and_cough_are_told_to_the_health_station() {
    let by = AdviceSource::BinhDinhLetter;
    for state in [DailyState::Fever, DailyState::Cough] {
        let mut it = HealthDeclaration::new(Form::Daily, NOW);
        it.states.insert(state);
        assert_eq!(advised(it), [(CALL, "states", by), (HOME, "states", by)]);
    }
    let mut it = full();
    it.symptoms.insert(Symptom::Fever, true);
    assert_eq!(advised(it)[0], (CALL, "symptoms", by));
}

#[test]
fn trouble_in_breathing_weighs_most() {
    let mut it = full();
    it.symptoms.insert(Symptom::Fever, true);
    it.symptoms.insert(Symptom::DifficultyBreathing, true);
    let by = AdviceSource::WhoPublicAdvice;
    assert_eq!(advised(it)[0], (CALL, "symptoms", by));
}

#[test]
fn a_close_contact_stays_at_home() {
    let mut it = healthy();
    it.exposures.insert(Exposure::CloseContact, true);
    let (field, by) = ("exposures", AdviceSource::WhoQuarantine);
    let expected = [HOME, AdviceKey::GetTested, AdviceKey::Monitor];
    assert_eq!(advised(it), expected.map(|key| (key, field, by)));
}

#[test]
fn tests_are_waited_for_and_followed() {
    let tested = |outcome| {
        let mut it = healthy();
        let date = day("2021-05-30");
        it.test = Some(TestResult { outcome, date });
        advised(it)
    };
    let by = AdviceSource::WhoPublicAdvice;
    assert_eq!(tested(TestOutcome::Pending), [(HOME, "test", by)]);
    let positive = [(CALL, "test", by), (HOME, "test", by)];
    assert_eq!(tested(TestOutcome::Positive), positive);
    assert_eq!(tested(TestOutcome::Negative)[0].0, AdviceKey::NoAction);
}

#[test]
fn other_exposures_are_watched() {
    for exposure in [
        Exposure::AnimalMarket,
        Exposure::OutbreakContact,
        Exposure::SymptomaticContact,
    ] {
        let mut it = healthy();
        it.exposures.insert(exposure, true);
        let watched = [(AdviceKey::Monitor, "exposures", AdviceSource::Chosen)];
        assert_eq!(advised(it), watched);
    }
}

/// Of every question and all advice, in both languages, and of nothing else.
#[test]
fn texts_are_complete() {
    let mut names: Vec<&str> = AdviceKey::ALL.iter().map(|it| it.name()).collect();
    names.extend(Symptom::ALL.iter().map(|it| it.wire_name()));
    names.extend(DailyState::ALL.iter().map(|it| it.name()));
    names.extend(Exposure::ALL.iter().map(|it| it.wire_name()));
    names.sort_unstable();
    for language in ["vi", "en"] {
        let path = format!(
            "{}/examples/texts/{language}.json",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = std::fs::read_to_string(path).unwrap();
        let texts: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&text).unwrap();
        let keys: Vec<&str> = texts.keys().map(String::as_str).collect();
        assert_eq!(keys, names, "{language}");
        assert!(texts.values().all(|text| !text.trim().is_empty()));
    }
}
