//! What a declaration gives reason to do: keys, for which an app has the words of its authority.
//!
//! These are the plain rules of their time, and no diagnosis. An authority that has others computes them itself.

use super::{CheckedDeclaration, DailyState, Exposure, Symptom, TestOutcome};

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum AdviceKey {
    /// Call the nearest health station, and do not go there unannounced.
    CallHealthStation,
    /// Stay at home, apart from others.
    StayHome,
    /// Be tested.
    GetTested,
    /// Look for symptoms each day, and declare them.
    Monitor,
    /// Nothing beyond what everybody does.
    NoAction,
}

impl AdviceKey {
    /// All of them, the most urgent first.
    pub const ALL: [Self; 5] = [
        Self::CallHealthStation,
        Self::StayHome,
        Self::GetTested,
        Self::Monitor,
        Self::NoAction,
    ];

    /// The key of its text in an app.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallHealthStation => "advice_call_health_station",
            Self::StayHome => "advice_stay_home",
            Self::GetTested => "advice_get_tested",
            Self::Monitor => "advice_monitor",
            Self::NoAction => "advice_no_action",
        }
    }
}

/// Who has made a rule.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum AdviceSource {
    /// Bình Định's letter 536/STTTT-TTBCXB of 31 May 2021: fever and cough are told to the nearest health station.
    BinhDinhLetter,
    /// WHO's advice for the public on COVID-19: who has symptoms or a positive test stays at home and calls; trouble
    /// in breathing calls for medical care at once.
    WhoPublicAdvice,
    /// WHO's considerations for quarantine of contacts of COVID-19 cases, 25 June 2021: contacts stay apart for 14 days
    /// and look for symptoms.
    WhoQuarantine,
    /// Chosen by this crate, where those say nothing.
    Chosen,
}

/// Advice, and why.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct Advice {
    /// What is to be done.
    pub key: AdviceKey,
    /// The field of the declaration that gives the reason; empty for [`AdviceKey::NoAction`].
    pub because: &'static str,
    /// Who says so.
    pub source: AdviceSource,
}

/// What `checked` gives reason to do, the most urgent first, each key once; [`AdviceKey::NoAction`] if nothing.
pub fn advise(checked: &CheckedDeclaration) -> Vec<Advice> {
    let mut advice: Vec<Advice> = reasons(checked)
        .into_iter()
        .filter(|(holds, ..)| *holds)
        .flat_map(|(_, because, source, keys)| {
            keys.iter().map(move |key| Advice {
                key: *key,
                because,
                source,
            })
        })
        .collect();
    // The first reason of each stays: the order of the rules is that of their weight.
    advice.sort_by_key(|it| it.key);
    advice.dedup_by_key(|it| it.key);
    if advice.is_empty() {
        advice.push(Advice {
            key: AdviceKey::NoAction,
            because: "",
            source: AdviceSource::Chosen,
        });
    }
    advice
}

/// Whether a rule holds, by which field, whose it is, and what it says.
type Rule = (bool, &'static str, AdviceSource, &'static [AdviceKey]);

fn reasons(checked: &CheckedDeclaration) -> [Rule; 9] {
    use AdviceKey::{CallHealthStation, GetTested, Monitor, StayHome};
    use AdviceSource::{BinhDinhLetter, Chosen, WhoPublicAdvice, WhoQuarantine};
    let it = checked.declaration();
    let has = |symptom| it.symptoms.get(&symptom) == Some(&true);
    let is = |state| it.states.contains(&state);
    let met = |exposure| it.exposures.get(&exposure) == Some(&true);
    let tested = |outcome| it.test.is_some_and(|test| test.outcome == outcome);
    let near_a_case = met(Exposure::CloseContact) || met(Exposure::CaseContact);
    let near_others = met(Exposure::OutbreakContact) || met(Exposure::SymptomaticContact);
    let any_symptom = it.symptoms.values().any(|yes| *yes);
    [
        (
            has(Symptom::DifficultyBreathing),
            "symptoms",
            WhoPublicAdvice,
            &[CallHealthStation, StayHome],
        ),
        (
            is(DailyState::DifficultyBreathing),
            "states",
            WhoPublicAdvice,
            &[CallHealthStation, StayHome],
        ),
        (
            has(Symptom::Fever) || has(Symptom::Cough),
            "symptoms",
            BinhDinhLetter,
            &[CallHealthStation, StayHome],
        ),
        (
            is(DailyState::Fever) || is(DailyState::Cough),
            "states",
            BinhDinhLetter,
            &[CallHealthStation, StayHome],
        ),
        (
            tested(TestOutcome::Positive),
            "test",
            WhoPublicAdvice,
            &[CallHealthStation, StayHome],
        ),
        (
            near_a_case,
            "exposures",
            WhoQuarantine,
            &[StayHome, GetTested, Monitor],
        ),
        (
            any_symptom || is(DailyState::PainOrFatigue),
            if any_symptom { "symptoms" } else { "states" },
            WhoPublicAdvice,
            &[StayHome, GetTested, Monitor],
        ),
        (
            tested(TestOutcome::Pending),
            "test",
            WhoPublicAdvice,
            &[StayHome],
        ),
        (
            near_others || met(Exposure::AnimalMarket),
            "exposures",
            Chosen,
            &[Monitor],
        ),
    ]
}
