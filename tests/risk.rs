//! From sightings to exposure windows to risk; Corona-Warn-App's own cases, every one of them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::time::Duration;

use serde_json::Value;
use truyvet::exposure::risk::{
    self, Assessment, Configuration, CoronaWarnApp, CoronaWarnAppConfig, RiskLevel, RiskModel,
};
use truyvet::exposure::{
    CalibrationConfidence, ExposureWindow, Infectiousness, MatchConfig, Matcher, PowerBasis,
    ScanAttenuation, ScanInstance, WindowConfig, exposure_windows,
};
use truyvet::protocol::bluezone::PublishedEntry;
use truyvet::protocol::gaen::{DiagnosisKey, Metadata, TemporaryExposureKey};
use truyvet::protocol::{ProtocolKind, PublishedKey, ReportType};
use truyvet::sighting::{Attenuation, Rssi, RssiSummary, Source};
use truyvet::time::{IntervalNumber, Timestamp, UtcDay};
use truyvet::{EphemeralId, Secret, Sighting};

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

/// Half a minute of an identifier, from so many seconds after the day began, at -60 dBm.
fn sighting(protocol: ProtocolKind, id: EphemeralId, from_s: u64) -> Sighting {
    let first = today().start().saturating_add(Duration::from_secs(from_s));
    let rssi = Rssi::from_dbm(-60).unwrap();
    Sighting {
        protocol,
        id,
        metadata: None,
        first,
        last: first.saturating_add(Duration::from_secs(30)),
        frames: 90,
        rssi: Some(RssiSummary {
            min: rssi,
            mean: rssi,
            max: rssi,
        }),
        source: Source::ManufacturerData,
    }
}

fn windows(sightings: Vec<Sighting>, key: PublishedKey) -> Vec<ExposureWindow> {
    let mut config = MatchConfig::default();
    config.rssi_correction_db = 5;
    let exposures = Matcher::new(config, sightings).exposures(&[key]);
    exposure_windows(&exposures, &WindowConfig::default())
}

#[test]
fn bluezone_from_sightings_to_its_rule() {
    let midnight = today().start().unix_seconds();
    let entry = PublishedEntry::new([7; 32], midnight, midnight + 86_399, 96).unwrap();
    let mut ids = Vec::new();
    entry.for_each_candidate(|candidate| ids.push(candidate.id));
    // A quarter of an hour across two slots.
    let sightings: Vec<Sighting> = (0..30)
        .map(|n| (450 + 30 * n, ids[if n < 15 { 0 } else { 1 }]))
        .map(|(from_s, id)| sighting(ProtocolKind::Bluezone, id, from_s))
        .collect();
    let all = windows(sightings.clone(), entry.clone().into());
    let [window] = &all[..] else {
        panic!("{all:?}")
    };
    assert_eq!((window.seconds(), window.scans.len()), (900, 30));
    // -15 dBm assumed, -60 received by a receiver that is 5 dB deaf.
    let loss = window.scans[0].attenuation.unwrap();
    assert_eq!((loss.typical.db(), loss.min.db()), (40, 40));
    assert_eq!(window.power, Some(PowerBasis::Assumed));
    assert_eq!(window.calibration_confidence, CalibrationConfidence::Lowest);
    assert_eq!(window.report_type, ReportType::ConfirmedTest);
    assert_eq!(window.infectiousness, Infectiousness::High);
    for (name, expected) in [
        ("bluezone", 15.0),
        ("gaen-v2", 1_575.0),
        ("swisscovid", 15.0),
    ] {
        let assessment = risk::by_name(name, None).unwrap().assess(&all, today());
        assert_eq!(assessment.level, RiskLevel::High, "{name}");
        assert_eq!(assessment.days[0].score, expected, "{name}");
    }
    let less = windows(sightings[..29].to_vec(), entry.into());
    let bluezone = risk::by_name("bluezone", None).unwrap();
    assert_eq!(bluezone.assess(&less, today()).level, RiskLevel::Low);
}

#[test]
fn a_power_that_no_phone_has_is_unknown() {
    let tek = TemporaryExposureKey::new(Secret::new([7; 16]));
    let start = IntervalNumber::at(today().start());
    let id = tek
        .rolling_proximity_identifier_key()
        .unwrap()
        .identifier(start);
    let window = |tx_power_dbm, report_type| {
        let metadata = Metadata {
            minor_version: 1,
            calibration_confidence: Some(3),
            tx_power_dbm,
        };
        let aemk = tek.associated_encrypted_metadata_key().unwrap();
        let mut heard = sighting(ProtocolKind::Gaen, id.into(), 60);
        heard.metadata = Some(aemk.apply(&id, metadata.to_bytes()));
        let mut key = DiagnosisKey::new([7; 16], start, 144).unwrap();
        key.report_type = report_type;
        windows(vec![heard], key.into()).pop()
    };
    for (power_dbm, expected) in [
        (-51, None),
        (-50, Some(5)),
        (-20, Some(35)),
        (20, Some(75)),
        (21, None),
    ] {
        let window = window(power_dbm, ReportType::Recursive).unwrap();
        let loss = window.scans[0].attenuation;
        assert_eq!(loss.map(|loss| loss.typical.db()), expected, "{power_dbm}");
        let confidence = match expected {
            Some(_) => CalibrationConfidence::High,
            None => CalibrationConfidence::Lowest,
        };
        assert_eq!(window.calibration_confidence, confidence, "{power_dbm}");
        assert_eq!(window.report_type, ReportType::Recursive);
    }
    assert_eq!(window(-20, ReportType::Revoked), None);
}
