//! Configurations, as anyone may have written them.

use proptest::prelude::*;

use super::*;

/// Models, configurations without a meaning, and what is said of them.
const NONSENSE: [(&str, &str, &str); 27] = [
    (
        "gaen-v1",
        r#"{"minimum_risk_score":4097}"#,
        "0 to 4096, got 4097",
    ),
    (
        "gaen-v1",
        r#"{"duration_scores":[0,0,0,0,0,0,0,9]}"#,
        "duration_scores[7]: expected 0 to 8, got 9",
    ),
    ("gaen-v1", r#"{"duration_scores":[0]}"#, "array of length 8"),
    (
        "gaen-v1",
        r#"{"days_buckets":[14,12,10,8,6,4,4]}"#,
        "days_buckets from its end",
    ),
    (
        "gaen-v1",
        r#"{"duration_buckets_min":[0,5,5,15,20,25,30]}"#,
        "more than the 5 before it",
    ),
    ("gaen-v1", r#"{"scan_interval_s":3601}"#, "scan_interval_s"),
    (
        "gaen-v2",
        r#"{"attenuation_bucket_threshold_db":[55,55,70]}"#,
        "[1]: expected more than the 55",
    ),
    (
        "gaen-v2",
        r#"{"attenuation_bucket_threshold_db":[55,63,256]}"#,
        "256",
    ),
    (
        "gaen-v2",
        r#"{"attenuation_bucket_weights":[1,1,1,2.6]}"#,
        "0 to 2.5, got 2.6",
    ),
    (
        "gaen-v2",
        r#"{"attenuation_bucket_weights":[1,1,1,-0.1]}"#,
        "got -0.1",
    ),
    (
        "gaen-v2",
        r#"{"attenuation_bucket_weights":[1,1,1,null]}"#,
        "null",
    ),
    (
        "gaen-v2",
        r#"{"infectiousness_weights":{"high":1}}"#,
        "missing field `standard`",
    ),
    (
        "gaen-v2",
        r#"{"infectiousness_weights":{"standard":1,"high":3}}"#,
        "high",
    ),
    (
        "gaen-v2",
        r#"{"minimum_window_score":-1}"#,
        "minimum_window_score",
    ),
    (
        "gaen-v2",
        r#"{"classifications":[{"name":"alert","score_sum":300}]}"#,
        "alert: level: expected low or high",
    ),
    (
        "gaen-v2",
        r#"{"classifications":[{"level":"high"}]}"#,
        "expected a threshold above 0",
    ),
    (
        "gaen-v2",
        r#"{"classifications":[{},{},{},{},{}]}"#,
        "0 to 4, got 5",
    ),
    (
        "gaen-v2",
        r#"{"classifications":[{"level":"low","score_sum":1},{"level":"high","score_sum":1}]}"#,
        "no more than low risk",
    ),
    (
        "corona-warn-app",
        r#"{"trlFilters":[{"dropIfTrlInRange":{"min":3,"max":2}}]}"#,
        "3 to 1000000, got 2",
    ),
    (
        "corona-warn-app",
        r#"{"maxEncounterAgeInDays":3651}"#,
        "3651",
    ),
    (
        "corona-warn-app",
        r#"{"transmissionRiskValueMapping":[{"transmissionRiskLevel":1,"transmissionRiskValue":101}]}"#,
        "0 to 100, got 101",
    ),
    (
        "corona-warn-app",
        r#"{"normalizedTimePerEWToRiskLevelMapping":[{"normalizedTimeRange":{"min":0,"max":9},"riskLevel":3}]}"#,
        "riskLevel of 1 or 2, got 3",
    ),
    (
        "swisscovid",
        r#"{"attenuation_thresholds_db":[63,55]}"#,
        "more than the 63",
    ),
    ("swisscovid", r#"{"minutes":0}"#, "1 to 1440, got 0"),
    ("bluezone", r#"{"minutes":1441}"#, "1441"),
    ("bluezone", r#"{"pair":"nokia"}"#, "nokia"),
    (
        "bluezone",
        r#"{"rssi_thresholds_dbm":{"android_android":21,"android_ios":0,"ios_android":0,"ios_ios":0}}"#,
        "android_android: expected -127 to 20, got 21",
    ),
];

#[test]
fn default_configurations_survive_json() {
    fn survives<C: Configuration + Default + PartialEq + std::fmt::Debug + serde::Serialize>() {
        let default = C::default();
        assert_eq!(default.check(), Ok(()));
        let json = serde_json::to_vec(&default).unwrap();
        assert_eq!(C::from_json(&json), Ok(default));
        assert_eq!(C::from_json(b"{}"), Ok(C::default()));
        let error = C::from_json(br#"{"no_such_field":1}"#).unwrap_err();
        assert!(error.to_string().contains("no_such_field"), "{error}");
        let long = vec![b' '; CONFIG_BYTES_MAX + 1];
        let len = long.len();
        assert_eq!(C::from_json(&long), Err(ConfigError::TooLong { len }));
        for wrong in ["", "[", "null", "\"\"", "{\"\u{0}", "1e999"] {
            let refused = C::from_json(wrong.as_bytes());
            assert!(
                matches!(refused, Err(ConfigError::Malformed { .. })),
                "{wrong}"
            );
        }
    }
    survives::<GaenV1Config>();
    survives::<GaenV2Config>();
    survives::<CoronaWarnAppConfig>();
    survives::<SwissCovidConfig>();
    survives::<BluezoneRuleConfig>();
}

#[test]
fn configurations_that_make_no_sense() {
    for (name, json, says) in NONSENSE {
        let error = by_name(name, Some(json.as_bytes()))
            .unwrap_err()
            .to_string();
        assert!(error.contains(says), "{name} {json}: {error}");
    }
}

#[test]
fn no_number_is_no_weight() {
    for weight in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let mut config = GaenV2Config::default();
        config.attenuation_bucket_weights[3] = weight;
        assert!(GaenV2::new(config).is_err());
        let mut config = SwissCovidConfig::default();
        config.weights[0] = weight;
        assert!(SwissCovid::new(config).is_err());
        let mut config = CoronaWarnAppConfig::default();
        config.minutes_at_attenuation_weights[0].weight = weight;
        assert!(CoronaWarnApp::new(config).is_err());
        let mut config = CoronaWarnAppConfig::default();
        config.minutes_at_attenuation_weights[0].attenuation_range = Range::closed(0.0, weight);
        assert!(CoronaWarnApp::new(config).is_err());
    }
}

#[test]
fn a_stranger_s_text_is_repeated_in_part() {
    let json = format!("{{\"{}\":1}}", "x".repeat(10_000));
    let error = GaenV1Config::from_json(json.as_bytes()).unwrap_err();
    assert!(error.to_string().len() <= 200, "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_a_configuration_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        for name in NAMES {
            if let Ok(model) = by_name(name, Some(&bytes)) {
                prop_assert_eq!(model.name(), name);
            }
        }
    }
}
