//! Health declarations.

use truyvet::report::health::{
    DailyState, Exposure, Form, HealthDeclaration, Subject, Symptom, TestOutcome, TestResult,
};
use truyvet::time::Timestamp;

use super::{Failure, Seeds};

/// A full form and a daily update as JSON and as records, a body of Bluezone's app, and a message with an attachment.
pub(super) fn declarations() -> Result<Seeds, Failure> {
    let at = Timestamp::from_unix_seconds(1_622_430_000);
    let mut daily = HealthDeclaration::new(Form::Daily, at);
    daily.states.insert(DailyState::Cough);
    daily.onset = Some(at.utc_day());
    daily.note = "ho khan".to_owned();
    let mut full = HealthDeclaration::new(Form::Full, at);
    full.subject = Subject::HouseholdMember {
        label: "con".to_owned(),
    };
    full.symptoms = Symptom::ALL.map(|it| (it, it == Symptom::Rash)).into();
    full.exposures = Exposure::ALL.map(|it| (it, false)).into();
    full.test = Some(TestResult {
        outcome: TestOutcome::Pending,
        date: at.utc_day(),
    });
    full.corrects = Some(daily.clone().check(at)?.id());
    let mut seeds = Seeds::new();
    for (name, declaration) in [("daily", daily), ("full", full)] {
        let json = declaration.to_json().into_bytes();
        seeds.insert(format!("{name} json"), json);
        let record = declaration.check(at)?.to_bytes().to_vec();
        let length = u16::try_from(record.len())?.to_le_bytes();
        let message = [&[1], &length[..], &record, b"photograph"].concat();
        seeds.insert(format!("{name} message"), message);
        seeds.insert(format!("{name} record"), record);
    }
    let details = r#"[{"StateID":1,"Value":true},{"StateID":5,"Value":"no"}]"#;
    let body = format!(
        r#"{{"FullName":"?","InforEntryPersonReport":{{"LtinforEntryPersonReportDetail":{details}}}}}"#
    );
    seeds.insert("bluezone".to_owned(), body.into_bytes());
    Ok(seeds)
}
