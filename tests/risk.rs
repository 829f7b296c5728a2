//! Corona-Warn-App's own cases of risk calculation, every one of them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use serde_json::Value;
use truyvet::exposure::risk::{
    Assessment, Configuration, CoronaWarnApp, CoronaWarnAppConfig, RiskLevel, RiskModel,
};
use truyvet::exposure::{
    CalibrationConfidence, ExposureWindow, Infectiousness, ScanAttenuation, ScanInstance,
};
use truyvet::protocol::ReportType;
use truyvet::sighting::Attenuation;
use truyvet::time::{Timestamp, UtcDay};

const CASES: &str =
    include_str!("vectors/gaen/risk/cwa_android_exposure-windows-risk-calculation.json");

fn today() -> UtcDay {
    UtcDay::from_unix_days(18_700)
}

fn days_ago(age: u64) -> UtcDay {
    UtcDay::from_unix_days(today().unix_days() - u32::try_from(age).unwrap())
}

fn window(case: &Value) -> ExposureWindow {
    let mut at: Timestamp = days_ago(case["ageInDays"].as_u64().unwrap()).start();
    let start = at;
    let mut scans = Vec::new();
    for scan in case["scanInstances"].as_array().unwrap() {
        let db =
            |name: &str| Attenuation::from_db(u8::try_from(scan[name].as_u64().unwrap()).unwrap());
        // Our seconds are never negative; the app takes such for 0.
        let seconds = scan["secondsSinceLastScan"].as_i64().unwrap();
        let seconds = u32::try_from(seconds).unwrap_or(0);
        at = at.saturating_add(Duration::from_secs(u64::from(seconds)));
        let attenuation = ScanAttenuation {
            typical: db("typicalAttenuation"),
            min: db("minAttenuation"),
        };
        scans.push(ScanInstance::new(at, seconds, Some(attenuation)));
    }
    let mut window = ExposureWindow::new(start, scans);
    window.report_type = match case["reportType"].as_u64().unwrap() {
        1 => ReportType::ConfirmedTest,
        2 => ReportType::ConfirmedClinicalDiagnosis,
        3 => ReportType::SelfReport,
        4 => ReportType::Recursive,
        _ => ReportType::Unknown,
    };
    window.infectiousness = match case["infectiousness"].as_u64().unwrap() {
        0 => Infectiousness::None,
        1 => Infectiousness::Standard,
        _ => Infectiousness::High,
    };
    let confidence = case["calibrationConfidence"].as_u64().unwrap();
    window.calibration_confidence =
        CalibrationConfidence::from_bits(u8::try_from(confidence).unwrap());
    window
}

fn count(assessment: &Assessment, level: RiskLevel) -> u64 {
    let days = assessment.days.iter();
    days.filter(|day| day.level == level).count() as u64
}

fn most_recent_age(assessment: &Assessment, level: RiskLevel) -> Option<u64> {
    let days = assessment.days.iter();
    let day = days
        .filter(|day| day.level == level)
        .map(|day| day.day)
        .max()?;
    Some(u64::from(today().unix_days() - day.unix_days()))
}

fn encounters(assessment: &Assessment, name: &str) -> u64 {
    let days = assessment.days.iter();
    days.filter_map(|day| day.figure(name)).sum::<f64>() as u64
}

#[test]
fn corona_warn_apps_29_cases() {
    let cases: Value = serde_json::from_str(CASES).unwrap();
    let config = cases["defaultRiskCalculationConfiguration"].to_string();
    let config = CoronaWarnAppConfig::from_json(config.as_bytes()).unwrap();
    assert_eq!(config, CoronaWarnAppConfig::default());
    let model = CoronaWarnApp::new(config).unwrap();
    let cases = cases["testCases"].as_array().unwrap();
    for case in cases {
        let name = case["description"].as_str().unwrap();
        let windows: Vec<_> = case["exposureWindows"]
            .as_array()
            .unwrap()
            .iter()
            .map(window)
            .collect();
        let assessment = model.assess(&windows, today());
        let expected = |field: &str| case[field].as_u64();
        // The app knows no less than a low risk.
        let total = if assessment.level == RiskLevel::High {
            2
        } else {
            1
        };
        assert_eq!(expected("expTotalRiskLevel"), Some(total), "{name}");
        for (level, suffix) in [(RiskLevel::Low, "Low"), (RiskLevel::High, "High")] {
            let age = expected(&format!("expAgeOfMostRecentDateWith{suffix}Risk"));
            assert_eq!(most_recent_age(&assessment, level), age, "{name}");
            let days = expected(&format!("expNumberOfDaysWith{suffix}Risk"));
            assert_eq!(Some(count(&assessment, level)), days, "{name}");
            let field = format!("expTotalMinimumDistinctEncountersWith{suffix}Risk");
            let figure = format!("distinct encounters at {} risk", suffix.to_lowercase());
            let distinct = encounters(&assessment, &figure);
            assert_eq!(Some(distinct), expected(&field), "{name}");
        }
    }
    assert_eq!(cases.len(), 29);
}
