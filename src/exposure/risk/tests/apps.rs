//! Each edge of the apps' models, on both sides.

use super::*;

#[test]
fn corona_warn_app_filters() {
    // risk-calculation-parameters.yaml, before version 1.15.
    let config = r#"{"minutesAtAttenuationFilters":[
            {"attenuationRange":{"min":0,"max":79,"maxExclusive":true},
             "dropIfMinutesInRange":{"min":0,"max":5,"maxExclusive":true}},
            {"attenuationRange":{"min":0,"max":30},
             "dropIfMinutesInRange":{"min":60,"max":90,"minExclusive":true}}],
        "trlFilters":[{"dropIfTrlInRange":{"min":1,"max":2}}]}"#;
    let model = from_json("corona-warn-app", config);
    let why = |scans: &[(u32, u8)]| {
        let day = one_day(&*model, &[window(scans)]);
        reason(&day.contributions[0]).to_owned()
    };
    let filtered = "its minutes at an attenuation are filtered out";
    for (scans, expected) in [
        (&[(299, 50)][..], filtered),
        (&[(300, 50)], ""),
        (&[(300, 78)], ""),
        (&[(300, 79)], filtered),
        (&[(200, 50), (100, 78)], ""),
        (&[(200, 50), (100, 79)], filtered),
        // The second filter counts as well as the first.
        (&[(3_600, 30)], ""),
        (&[(3_601, 30)], filtered),
        (&[(5_400, 30)], filtered),
        (&[(5_401, 30)], ""),
    ] {
        assert_eq!(why(scans), expected, "{scans:?}");
    }
    let by_type = |report_type, infectiousness| {
        let mut contact = window(&[(600, 50)]);
        contact.report_type = report_type;
        contact.infectiousness = infectiousness;
        one_day(&*model, &[contact]).contributions[0].counts()
    };
    assert!(!by_type(ReportType::Recursive, Infectiousness::Standard));
    assert!(!by_type(ReportType::Recursive, Infectiousness::High));
    assert!(by_type(ReportType::SelfReport, Infectiousness::Standard));
}

#[test]
fn corona_warn_app_weights_by_the_smallest_attenuation() {
    let model = model("corona-warn-app");
    // A confirmed test of high infectiousness: level 8, worth 1.6.
    for (db, weight) in [
        (0, 0.8),
        (62, 0.8),
        (63, 1.0),
        (72, 1.0),
        (73, 0.1),
        (78, 0.1),
        (79, 0.0),
        (255, 0.0),
    ] {
        let mut contact = window(&[(600, 20)]);
        contact.scans[0].attenuation.as_mut().unwrap().min = Attenuation::from_db(db);
        let expected = (1.6 * weight * 100.0_f64).round() / 10.0;
        assert_eq!(score(&*model, &[contact]), expected, "{db} dB");
    }
}

#[test]
fn corona_warn_app_levels_of_days() {
    let model = model("corona-warn-app");
    let day = |seconds| {
        let mut contact = window(&[(seconds, 65)]);
        // Level 5, worth 1.
        contact.report_type = ReportType::ConfirmedClinicalDiagnosis;
        contact.infectiousness = Infectiousness::Standard;
        one_day(&*model, &[contact])
    };
    for (seconds, score, level) in [
        (0, 0.0, RiskLevel::None),
        (296, 4.9, RiskLevel::None),
        // 4.95 is 5.0 rounded.
        (297, 5.0, RiskLevel::Low),
        (536, 8.9, RiskLevel::Low),
        (537, 9.0, RiskLevel::High),
        (540, 9.0, RiskLevel::High),
    ] {
        let day = day(seconds);
        assert_eq!((day.score, day.level), (score, level), "{seconds} s");
    }
    assert_eq!(day(0).figures, []);
    assert_eq!(
        day(540).figure("distinct encounters at high risk"),
        Some(1.0)
    );
    // The window is below 9 minutes itself, though the day rounds to them.
    assert_eq!(
        day(537).figure("distinct encounters at low risk"),
        Some(1.0)
    );
}

#[test]
fn swisscovid_buckets_begin_at_their_thresholds() {
    for (config, edges) in [
        (SwissCovidConfig::launch(), [50, 55]),
        (SwissCovidConfig::july_2020(), [53, 60]),
        (SwissCovidConfig::september_2020(), [55, 63]),
    ] {
        let model = SwissCovid::new(config).unwrap();
        let [near, half] = edges;
        for (db, expected) in [(near - 1, 10.0), (near, 5.0), (half - 1, 5.0), (half, 0.0)] {
            let found = score(&model, &[window(&[(600, db)])]);
            assert_eq!(found, expected, "{edges:?}: {db} dB");
        }
    }
}

#[test]
fn swisscovid_rounds_each_buckets_minutes_up() {
    let day = |near_s, half_s| {
        one_day(
            &*model("swisscovid"),
            &[window(&[(near_s, 54), (half_s, 55)])],
        )
    };
    for (near_s, half_s, score, level) in [
        (0, 0, 0.0, RiskLevel::None),
        (1, 0, 1.0, RiskLevel::Low),
        (840, 0, 14.0, RiskLevel::Low),
        (841, 0, 15.0, RiskLevel::High),
        (0, 1_740, 14.5, RiskLevel::Low),
        (0, 1_741, 15.0, RiskLevel::High),
        (600, 540, 14.5, RiskLevel::Low),
        (600, 541, 15.0, RiskLevel::High),
    ] {
        let day = day(near_s, half_s);
        assert_eq!((day.score, day.level), (score, level), "{near_s} {half_s}");
    }
    // Of all patients together, and rounded once.
    let mut other = window(&[(421, 54)]);
    other.key_index = 1;
    let day = one_day(&*model("swisscovid"), &[window(&[(420, 54)]), other]);
    assert_eq!((day.score, day.level), (15.0, RiskLevel::High));
}

#[test]
fn bluezones_thresholds_of_each_pair() {
    for (pair, limit_dbm) in [
        ("android_android", -86),
        ("android_ios", -69),
        ("ios_android", -88),
        ("ios_ios", -74),
    ] {
        let model = from_json("bluezone", &format!(r#"{{"pair":"{pair}"}}"#));
        let at = |dbm: i32| {
            let loss = u8::try_from(-dbm).unwrap();
            score(&*model, &[bluezone_window(&[(600, loss)])])
        };
        assert_eq!(at(limit_dbm), 0.0, "{pair}");
        assert_eq!(at(limit_dbm + 1), 10.0, "{pair}");
    }
}

#[test]
fn bluezone_warns_of_a_quarter_of_an_hour_with_one_patient() {
    let level = |windows: &[ExposureWindow]| one_day(&*model("bluezone"), windows).level;
    assert_eq!(level(&[bluezone_window(&[(899, 60)])]), RiskLevel::Low);
    assert_eq!(level(&[bluezone_window(&[(900, 60)])]), RiskLevel::High);
    let mut other = bluezone_window(&[(450, 60)]);
    assert_eq!(
        level(&[bluezone_window(&[(450, 60)]), other.clone()]),
        RiskLevel::High
    );
    other.key_index = 1;
    let two_patients = [bluezone_window(&[(450, 60)]), other];
    assert_eq!(level(&two_patients), RiskLevel::Low);
    let day = one_day(&*model("bluezone"), &two_patients);
    assert_eq!(day.figure("patients met"), Some(2.0));
    // A window of GAEN has the strength of other senders.
    let day = one_day(&*model("bluezone"), &[window(&[(900, 60)])]);
    assert_eq!(day.level, RiskLevel::None);
    assert_eq!(
        reason(&day.contributions[0]),
        "its strengths are not Bluezone's"
    );
}
