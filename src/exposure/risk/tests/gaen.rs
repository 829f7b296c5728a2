//! Each edge of GAEN's models, on both sides.

use super::*;

#[test]
fn version_1_attenuation_buckets() {
    let model = from_json(
        "gaen-v1",
        r#"{"attenuation_scores":[1,2,3,4,5,6,7,8],"duration_scores":[1,1,1,1,1,1,1,1],
            "days_since_last_exposure_scores":[1,1,1,1,1,1,1,1]}"#,
    );
    for (db, expected) in [
        (74, 1.0),
        (73, 2.0),
        (64, 2.0),
        (63, 3.0),
        (52, 3.0),
        (51, 4.0),
        (34, 4.0),
        (33, 5.0),
        (28, 5.0),
        (27, 6.0),
        (16, 6.0),
        (15, 7.0),
        (11, 7.0),
        (10, 8.0),
        (0, 8.0),
    ] {
        assert_eq!(score(&*model, &[window(&[(60, db)])]), expected, "{db} dB");
    }
}

#[test]
fn version_1_days() {
    let model = from_json(
        "gaen-v1",
        r#"{"attenuation_scores":[1,1,1,1,1,1,1,1],"duration_scores":[1,1,1,1,1,1,1,1],
            "days_since_last_exposure_scores":[1,2,3,4,5,6,7,8]}"#,
    );
    for (days, expected) in [
        (15, 1.0),
        (14, 1.0),
        (13, 2.0),
        (12, 2.0),
        (11, 3.0),
        (10, 3.0),
        (9, 4.0),
        (8, 4.0),
        (7, 5.0),
        (6, 5.0),
        (5, 6.0),
        (4, 6.0),
        (3, 7.0),
        (2, 7.0),
        (1, 8.0),
        (0, 8.0),
    ] {
        let today = UtcDay::from_unix_days(DAY.unix_days() + days);
        let assessment = model.assess(&[window(&[(60, 50)])], today);
        assert_eq!(assessment.days[0].score, expected, "{days} days");
    }
}

#[test]
fn version_1_durations() {
    let model = from_json(
        "gaen-v1",
        r#"{"attenuation_scores":[1,1,1,1,1,1,1,1],"duration_scores":[1,2,3,4,5,6,7,8],
            "days_since_last_exposure_scores":[1,1,1,1,1,1,1,1]}"#,
    );
    // From the first scan to the last, and five minutes, to the nearest five.
    for (seconds, expected) in [
        (0, 2.0),
        (150, 2.0),
        (151, 3.0),
        (450, 3.0),
        (451, 4.0),
        (600, 4.0),
    ] {
        let stay = window(&[(seconds, 50), (0, 50)]);
        assert_eq!(score(&*model, &[stay]), expected, "{seconds} s");
    }
    let half_an_hour = window(&[(500, 50), (500, 50), (500, 50), (151, 50), (0, 50)]);
    assert_eq!(score(&*model, &[half_an_hour]), 8.0);
    // No exposure of version 1 is of 0 minutes, so that the first bucket is never used.
}

#[test]
fn version_1_ends_an_exposure_after_ten_minutes_of_silence() {
    let exposures = |silence_s: u64| {
        let windows = [
            window(&[(0, 50)]),
            window_from(36_000 + silence_s, &[(0, 50)]),
        ];
        one_day(&*model("gaen-v1"), &windows).contributions.len()
    };
    assert_eq!(exposures(600), 1);
    assert_eq!(exposures(601), 2);
}

#[test]
fn version_1_joins_windows_of_one_key_alone() {
    let mut windows = [
        window(&[(1_700, 50), (0, 50)]),
        window_from(38_000, &[(0, 50)]),
    ];
    let model = model("gaen-v1");
    let joined = one_day(&*model, &windows[..]);
    assert_eq!(joined.contributions.len(), 2, "a silence of 28 minutes");
    windows[0] = window(&[(500, 50), (500, 50), (500, 50), (0, 50)]);
    let joined = one_day(&*model, &windows[..]);
    assert_eq!(joined.contributions[0].windows, [0, 1]);
    windows[1].key_index = 1;
    assert_eq!(one_day(&*model, &windows[..]).contributions.len(), 2);
}

#[test]
fn version_1_transmission_and_minimum() {
    let model = |minimum: u32| {
        let json = format!(
            r#"{{"minimum_risk_score":{minimum},"duration_scores":[1,1,1,1,1,1,1,1],
                "attenuation_scores":[1,1,1,1,1,1,1,1],
                "days_since_last_exposure_scores":[1,1,1,1,1,1,1,1]}}"#
        );
        from_json("gaen-v1", &json)
    };
    let at = |level: u8, minimum: u32| {
        let mut contact = window(&[(60, 50)]);
        contact.transmission_risk = level;
        one_day(&*model(minimum), &[contact])
    };
    for (level, expected) in [(0, 1.0), (1, 0.0), (2, 0.0), (3, 3.0), (8, 8.0), (9, 8.0)] {
        assert_eq!(at(level, 0).score, expected, "level {level}");
    }
    assert_eq!(at(8, 8).level, RiskLevel::High);
    let less = at(8, 9);
    assert_eq!((less.level, less.score), (RiskLevel::None, 0.0));
    assert!(reason(&less.contributions[0]).contains("minimum of 9"));
    assert_eq!(reason(&at(1, 0).contributions[0]), "a factor is 0");
}

#[test]
fn version_1_times_at_attenuations() {
    let stay = window(&[(300, 54), (300, 55), (300, 62), (0, 63)]);
    let day = one_day(&*model("gaen-v1"), &[stay]);
    for (name, seconds) in [
        ("seconds below 55 dB", 150.0 + 300.0),
        ("seconds from 55 to below 63 dB", 600.0),
        ("seconds from 63 dB", 150.0),
    ] {
        assert_eq!(day.figure(name), Some(seconds), "{name}");
    }
}

#[test]
fn version_2_buckets_end_with_their_thresholds() {
    let config = r#"{"attenuation_bucket_threshold_db":[55,63,70],
        "attenuation_bucket_weights":[2.5,1,0.5,0.25]}"#;
    let model = from_json("gaen-v2", config);
    for (db, expected) in [
        (0, 250.0),
        (55, 250.0),
        (56, 100.0),
        (63, 100.0),
        (64, 50.0),
        (70, 50.0),
        (71, 25.0),
        (255, 25.0),
    ] {
        assert_eq!(score(&*model, &[window(&[(100, db)])]), expected, "{db} dB");
    }
}

#[test]
fn version_2_weighs_report_types_and_infectiousness() {
    let config = r#"{"attenuation_bucket_weights":[1,1,1,1],
        "report_type_weights":{"confirmed_test":1,"confirmed_clinical_diagnosis":0.8,
            "self_report":0.5,"recursive":0},
        "infectiousness_weights":{"standard":0.5,"high":2}}"#;
    let model = from_json("gaen-v2", config);
    for (report_type, infectiousness, expected) in [
        (ReportType::ConfirmedTest, Infectiousness::High, 200.0),
        (ReportType::ConfirmedTest, Infectiousness::Standard, 50.0),
        (
            ReportType::ConfirmedClinicalDiagnosis,
            Infectiousness::High,
            160.0,
        ),
        (ReportType::SelfReport, Infectiousness::Standard, 25.0),
        (ReportType::Recursive, Infectiousness::High, 0.0),
    ] {
        let mut contact = window(&[(100, 50)]);
        contact.report_type = report_type;
        contact.infectiousness = infectiousness;
        let day = one_day(&*model, &[contact]);
        assert!((day.score - expected).abs() < 1e-9, "{report_type:?}");
        assert_eq!(day.figure("weighted duration"), Some(100.0));
    }
}

#[test]
fn version_2_sums_the_windows_that_reach_the_minimum() {
    let config = r#"{"attenuation_bucket_weights":[1,1,1,1],"minimum_window_score":100}"#;
    let model = from_json("gaen-v2", config);
    let mut by_word = window(&[(300, 50)]);
    by_word.report_type = ReportType::SelfReport;
    let windows = [
        window(&[(99, 50)]),
        window(&[(100, 50)]),
        window(&[(200, 90)]),
        by_word,
    ];
    let day = one_day(&*model, &windows);
    assert_eq!(day.score, 600.0);
    assert_eq!(day.figure("maximum"), Some(300.0));
    assert_eq!(day.figure("weighted duration"), Some(600.0));
    assert_eq!(day.figure("sum of confirmed tests"), Some(300.0));
    assert_eq!(day.figure("sum of self reports"), Some(300.0));
    assert_eq!(day.figure("sum of recursive reports"), None);
    let dropped: Vec<&Contribution> = day.contributions.iter().filter(|c| !c.counts()).collect();
    assert_eq!((dropped.len(), dropped[0].seconds), (1, 99));
    assert!(reason(dropped[0]).contains("less than the 100"));
}

#[test]
fn version_2_classes_begin_at_their_thresholds() {
    // The edge of google/exposure-notifications-android's own tests.
    let alert = |figure: &str| {
        let json = format!(
            r#"{{"attenuation_bucket_weights":[1,1,1,1],
                "classifications":[{{"name":"alert","level":"high","{figure}":2700}}]}}"#
        );
        from_json("gaen-v2", &json)
    };
    let contact = |report_type, seconds| {
        let mut contact = window(&[(seconds, 50)]);
        contact.report_type = report_type;
        contact
    };
    use ReportType::{ConfirmedClinicalDiagnosis, ConfirmedTest, Recursive, SelfReport};
    for (figure, report_type) in [
        ("confirmed_test_sum", ConfirmedTest),
        (
            "confirmed_clinical_diagnosis_sum",
            ConfirmedClinicalDiagnosis,
        ),
        ("self_report_sum", SelfReport),
        ("recursive_sum", Recursive),
        ("score_sum", ConfirmedTest),
        ("maximum_score", ConfirmedTest),
        ("weighted_duration_sum", ConfirmedTest),
    ] {
        let level = |seconds| one_day(&*alert(figure), &[contact(report_type, seconds)]).level;
        assert_eq!(level(2_699), RiskLevel::None, "{figure}");
        assert_eq!(level(2_700), RiskLevel::High, "{figure}");
    }
    // Figures of another report type do not reach a threshold.
    let other = one_day(&*alert("self_report_sum"), &[contact(ConfirmedTest, 9_000)]);
    assert_eq!(other.level, RiskLevel::None);
    // Two windows make a sum, and no greater maximum.
    let two = [contact(ConfirmedTest, 1_350), contact(ConfirmedTest, 1_350)];
    assert_eq!(one_day(&*alert("score_sum"), &two).level, RiskLevel::High);
    assert_eq!(
        one_day(&*alert("maximum_score"), &two).level,
        RiskLevel::None
    );
}

#[test]
fn version_2_the_first_class_wins_and_the_most_recent_day() {
    let day_s = 86_400;
    let windows = [
        window_from(0, &[(514, 50)]),
        window_from(day_s, &[(515, 50)]),
        window_from(2 * day_s, &[(515, 50)]),
        window_from(3 * day_s, &[(1, 50)]),
        window_from(4 * day_s, &[(300, 90)]),
    ];
    let assessment = model("gaen-v2").assess(&windows, DAY);
    // 900 weighted seconds are 514.3 of weight 1.75.
    let levels: Vec<RiskLevel> = assessment.days.iter().map(|day| day.level).collect();
    use RiskLevel::{High, Low};
    assert_eq!(levels, [Low, High, High, Low, RiskLevel::None]);
    let most_recent = UtcDay::from_unix_days(DAY.unix_days() + 2);
    assert_eq!(assessment.decided_by, Some(most_recent));
    assert!(
        assessment.days[1]
            .rule
            .starts_with("alert, the sum reaches 900")
    );
}
