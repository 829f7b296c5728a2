use proptest::prelude::*;

use super::*;
use crate::exposure::{CalibrationConfidence, ScanAttenuation, ScanInstance};
use crate::protocol::ProtocolKind;
use crate::sighting::{Attenuation, Rssi, RssiSummary};
use crate::time::Timestamp;

/// 2020-08-08.
const DAY: UtcDay = UtcDay::from_unix_days(18_482);

/// Scans of a length and an attenuation, one after the other, from so many seconds after the day began.
fn window_from(from_s: u64, scans: &[(u32, u8)]) -> ExposureWindow {
    let mut second = DAY.start().unix_seconds() + from_s;
    let start = Timestamp::from_unix_seconds(second);
    let scans = scans
        .iter()
        .map(|(seconds, db)| {
            let loss = Attenuation::from_db(*db);
            let loss = ScanAttenuation {
                typical: loss,
                min: loss,
            };
            let mut scan =
                ScanInstance::new(Timestamp::from_unix_seconds(second), *seconds, Some(loss));
            let rssi = Rssi::from_dbm(-i32::from(*db).min(127)).unwrap();
            scan.rssi = Some(RssiSummary {
                min: rssi,
                mean: rssi,
                max: rssi,
            });
            second += u64::from(*seconds);
            scan
        })
        .collect();
    ExposureWindow::new(start, scans)
}

fn window(scans: &[(u32, u8)]) -> ExposureWindow {
    window_from(36_000, scans)
}

fn bluezone_window(scans: &[(u32, u8)]) -> ExposureWindow {
    let mut window = window(scans);
    window.protocol = ProtocolKind::Bluezone;
    window
}

fn model(name: &str) -> Box<dyn RiskModel> {
    by_name(name, None).unwrap()
}

fn from_json(name: &str, json: &str) -> Box<dyn RiskModel> {
    by_name(name, Some(json.as_bytes())).unwrap()
}

fn one_day(model: &dyn RiskModel, windows: &[ExposureWindow]) -> DayAssessment {
    let assessment = model.assess(windows, DAY);
    assert_eq!(assessment.days.len(), 1);
    assessment.days[0].clone()
}

fn score(model: &dyn RiskModel, windows: &[ExposureWindow]) -> f64 {
    one_day(model, windows).score
}

fn reason(contribution: &Contribution) -> &str {
    match &contribution.outcome {
        Outcome::Dropped { reason } => reason,
        Outcome::Counted => "",
    }
}

mod apps;
mod configs;
mod gaen;

#[test]
fn models_are_found_by_their_names() {
    for name in NAMES {
        let model = model(name);
        assert_eq!(model.name(), name);
        assert!(model.source().contains('@'), "{name}");
        let nothing = model.assess(&[], DAY);
        assert_eq!(nothing.level, RiskLevel::None);
        assert_eq!(nothing.to_string(), format!("{name}: no risk"));
    }
    let error = by_name("gaen-v3", None).unwrap_err().to_string();
    assert!(error.contains("gaen-v1, gaen-v2") && error.contains("got \"gaen-v3\""));
}

#[test]
fn what_no_model_counts() {
    let near = [(300, 50); 5];
    let with = |change: fn(&mut ExposureWindow)| {
        let mut window = window(&near);
        change(&mut window);
        window
    };
    let dropped = [
        (with(|w| w.report_type = ReportType::Revoked), "withdrawn"),
        (with(|w| w.report_type = ReportType::Unknown), "not known"),
        (
            with(|w| w.infectiousness = Infectiousness::None),
            "not infectious",
        ),
    ];
    for name in NAMES {
        for (window, says) in &dropped {
            // Version 1 knows nothing of infectiousness.
            if name == "gaen-v1" && window.infectiousness == Infectiousness::None {
                assert_eq!(
                    one_day(&*model(name), std::slice::from_ref(window)).score,
                    10.0
                );
                continue;
            }
            let mut window = window.clone();
            if name == "bluezone" {
                window.protocol = ProtocolKind::Bluezone;
            }
            let day = one_day(&*model(name), &[window]);
            assert_eq!((day.level, day.score), (RiskLevel::None, 0.0), "{name}");
            let why = reason(&day.contributions[0]);
            assert!(why.contains(says), "{name}: {why}");
        }
    }
}

#[test]
fn contacts_too_long_ago() {
    for (name, days_max) in [
        ("gaen-v2", 14),
        ("corona-warn-app", 10),
        ("swisscovid", 10),
        ("bluezone", 14),
    ] {
        let level = |age| {
            let today = UtcDay::from_unix_days(DAY.unix_days() + age);
            let assessment = model(name).assess(&[bluezone_window(&[(1_200, 50)])], today);
            assert_eq!(
                assessment.decided_by.is_some(),
                assessment.level > RiskLevel::None
            );
            assessment.level
        };
        assert_eq!(level(days_max), RiskLevel::High, "{name}");
        assert_eq!(level(days_max + 1), RiskLevel::None, "{name}");
    }
    // A window of tomorrow, from a device whose clock was ahead, is as old as today's.
    let yesterday = UtcDay::from_unix_days(DAY.unix_days() - 1);
    let assessment = model("swisscovid").assess(&[window(&[(1_200, 50)])], yesterday);
    assert_eq!(assessment.level, RiskLevel::High);
}

#[test]
fn unknown_attenuation_counts_for_nothing() {
    let mut unknown = window(&[(1_200, 50)]);
    unknown.scans[0].attenuation = None;
    for name in ["gaen-v1", "gaen-v2", "corona-warn-app", "swisscovid"] {
        let day = one_day(&*model(name), std::slice::from_ref(&unknown));
        assert_eq!((day.level, day.score), (RiskLevel::None, 0.0), "{name}");
    }
    let day = one_day(&*model("gaen-v2"), &[unknown]);
    assert_eq!(day.contributions[0].parts[0].name, "of unknown attenuation");
}

#[test]
fn an_assessment_explains_itself() {
    let mut far = window_from(50_000, &[(600, 90)]);
    far.key_index = 1;
    let mut withdrawn = window_from(60_000, &[(600, 50)]);
    withdrawn.report_type = ReportType::Revoked;
    let windows = [far, withdrawn, window(&[(300, 50), (450, 60)])];
    let assessment = model("swisscovid").assess(&windows, DAY);
    assert_eq!(
        assessment.to_string(),
        "swisscovid: low risk, most recently on 2020-08-08\n\
         2020-08-08: low risk, 9 weighted min: the day's score is below 15; \
         minutes below 55 dB 5; minutes from 55 to below 63 dB 8\n  \
         10:00 UTC, key 0: 12 min 30 s heard: 5 min below 55 dB × 1 + \
         7 min 30 s from 55 to below 63 dB × 0.5 = 8.75 weighted min\n  \
         13:53 UTC, key 1: 10 min heard: 10 min further × 0 = 0 weighted min\n  \
         16:40 UTC, key 0: 10 min heard: 10 min below 55 dB × 1; does not count: \
         the authority has withdrawn the key"
    );
    let json = serde_json::to_value(&assessment).unwrap();
    assert_eq!(json["level"], "low");
    assert_eq!(json["decided_by"], "2020-08-08");
    assert_eq!(json["days"][0]["contributions"][0]["windows"][0], 2);
    assert_eq!(json["days"][0]["contributions"][0]["outcome"], "counted");
    let why = &json["days"][0]["contributions"][2]["outcome"]["dropped"]["reason"];
    assert!(why.as_str().unwrap().contains("withdrawn"));
}

fn any_windows() -> impl Strategy<Value = Vec<ExposureWindow>> {
    let scans = proptest::collection::vec((0u32..=300, 20u8..=100), 0..6);
    let kinds = (0usize..3, 0u8..=8, 0u8..=3, any::<bool>(), 0u8..6, 0u8..3);
    let window = (0u64..259_200, scans, kinds).prop_map(|(from_s, scans, kinds)| {
        let (key, level, confidence, is_bluezone, report, infectiousness) = kinds;
        let mut window = window_from(from_s, &scans);
        window.key_index = key;
        window.transmission_risk = level;
        window.calibration_confidence = CalibrationConfidence::from_bits(confidence);
        if is_bluezone {
            window.protocol = ProtocolKind::Bluezone;
        }
        window.report_type = match report {
            0 => ReportType::Unknown,
            1 => ReportType::ConfirmedTest,
            2 => ReportType::ConfirmedClinicalDiagnosis,
            3 => ReportType::SelfReport,
            4 => ReportType::Recursive,
            _ => ReportType::Revoked,
        };
        window.infectiousness = match infectiousness {
            0 => Infectiousness::None,
            1 => Infectiousness::Standard,
            _ => Infectiousness::High,
        };
        window
    });
    proptest::collection::vec(window, 0..12)
}

/// What does not name windows by their index.
fn outline(assessment: &Assessment) -> Vec<(UtcDay, RiskLevel, f64, Vec<Figure>)> {
    let days = assessment.days.iter();
    days.map(|day| (day.day, day.level, day.score, day.figures.clone()))
        .collect()
}

proptest! {
    #[test]
    fn the_order_of_windows_does_not_matter(
        (windows, shuffled) in any_windows()
            .prop_flat_map(|windows| (Just(windows.clone()), Just(windows).prop_shuffle()))
    ) {
        let today = UtcDay::from_unix_days(DAY.unix_days() + 2);
        for name in NAMES {
            let model = model(name);
            let one = model.assess(&windows, today);
            prop_assert_eq!(outline(&one), outline(&model.assess(&shuffled, today)), "{}", name);
            // Every window is in the answer, and once.
            let mut named: Vec<usize> = one
                .days
                .iter()
                .flat_map(|day| &day.contributions)
                .flat_map(|contribution| contribution.windows.clone())
                .collect();
            named.sort_unstable();
            if name == "gaen-v1" {
                // A window of two stays is in both.
                named.dedup();
            }
            prop_assert_eq!(named, (0..windows.len()).collect::<Vec<_>>(), "{}", name);
            prop_assert!(one.days.iter().all(|day| day.score.is_finite() && day.score >= 0.0));
            prop_assert!(!one.to_string().is_empty());
        }
    }

    #[test]
    fn a_longer_stay_scores_no_less_by_version_1(scans in 1usize..6, db in 20u8..=100) {
        // Scans every five minutes at one attenuation, and another one.
        let stay = |scans: usize| score(&*model("gaen-v1"), &[window(&vec![(300, db); scans])]);
        prop_assert!(stay(scans + 1) >= stay(scans));
    }

    #[test]
    fn more_time_is_no_less_risk(windows in any_windows(), at: prop::sample::Index, more in 1u32..300) {
        prop_assume!(windows.iter().any(|window| !window.scans.is_empty()));
        let mut longer = windows.clone();
        let nonempty: Vec<usize> = (0..windows.len())
            .filter(|index| !windows[*index].scans.is_empty())
            .collect();
        let index = nonempty[at.index(nonempty.len())];
        let scans = &mut longer[index].scans;
        let last = scans.len() - 1;
        scans[last].seconds_since_last_scan += more;
        // Version 1's durations are from scan to scan; its product of buckets is no sum.
        for name in ["gaen-v2", "corona-warn-app", "swisscovid", "bluezone"] {
            let model = model(name);
            let (less, more) = (model.assess(&windows, DAY), model.assess(&longer, DAY));
            prop_assert!(more.level >= less.level, "{}", name);
            for (less, more) in less.days.iter().zip(&more.days) {
                prop_assert!(more.score >= less.score, "{}: {} {}", name, more.score, less.score);
            }
        }
    }
}
