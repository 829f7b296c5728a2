//! A risk model's configuration as JSON: whatever comes, and what the model makes of windows by one that is whole.
#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use truyvet::exposure::risk::{
    BluezoneRuleConfig, CONFIG_BYTES_MAX, Configuration, CoronaWarnAppConfig, GaenV1Config,
    GaenV2Config, NAMES, SwissCovidConfig, by_name,
};
use truyvet::exposure::{
    ExposureWindow, Infectiousness, ScanAttenuation, ScanInstance, WindowConfig,
};
use truyvet::protocol::ReportType;
use truyvet::sighting::Attenuation;
use truyvet::time::{Timestamp, UtcDay};

const TODAY: UtcDay = UtcDay::from_unix_days(18_490);

/// Windows of a few days, near and far, of every kind of report.
static WINDOWS: LazyLock<Vec<ExposureWindow>> = LazyLock::new(|| {
    let reports = [
        ReportType::Unknown,
        ReportType::ConfirmedTest,
        ReportType::ConfirmedClinicalDiagnosis,
        ReportType::SelfReport,
        ReportType::Recursive,
    ];
    let window = |number: u8| {
        let day = UtcDay::from_unix_days(18_480 + u32::from(number % 6));
        let start_s = day.start().unix_seconds() + u64::from(number) * 3_600;
        let scan = |index: u8| {
            let db = Attenuation::from_db(number.wrapping_mul(37).wrapping_add(index * 5));
            let start = Timestamp::from_unix_seconds(start_s + u64::from(index) * 240);
            let attenuation = (index != 3).then_some(ScanAttenuation {
                typical: db,
                min: db,
            });
            ScanInstance::new(start, u32::from(index) * 60, attenuation)
        };
        let scans = (0..8).map(scan).collect();
        let mut window = ExposureWindow::new(Timestamp::from_unix_seconds(start_s), scans);
        window.key_index = usize::from(number);
        window.report_type = reports[usize::from(number) % reports.len()];
        window.transmission_risk = number % 9;
        window.days_since_onset = (number % 3 > 0).then(|| number.cast_signed() - 8);
        if number % 4 == 0 {
            window.infectiousness = Infectiousness::Standard;
        }
        window
    };
    (0..20).map(window).collect()
});

fuzz_target!(|data: &[u8]| {
    let Some((&choice, json)) = data.split_first() else {
        return;
    };
    match choice % 6 {
        0 => written_again::<GaenV1Config>(json),
        1 => written_again::<GaenV2Config>(json),
        2 => written_again::<CoronaWarnAppConfig>(json),
        3 => written_again::<SwissCovidConfig>(json),
        4 => written_again::<BluezoneRuleConfig>(json),
        _ => written_again::<WindowConfig>(json),
    }
    let Some(name) = NAMES.get(usize::from(choice % 6)) else {
        return;
    };
    let model = match by_name(name, Some(json)) {
        Ok(model) => model,
        Err(error) => {
            assert!(error.to_string().len() <= 1_000);
            return;
        }
    };
    let assessed = model.assess(&WINDOWS, TODAY);
    assert_eq!(assessed, model.assess(&WINDOWS, TODAY));
    assert_eq!(assessed.model, *name);
    assert!(assessed.days.is_sorted_by(|a, b| a.day < b.day));
    let highest = assessed.days.iter().map(|day| day.level).max();
    assert!(highest.is_none_or(|highest| highest == assessed.level));
    assert!(!assessed.to_string().contains("NaN"));
    serde_json::to_string(&assessed).unwrap();
});

/// A configuration that is whole says the same once it has been written.
fn written_again<C: Configuration + Serialize + PartialEq + Debug>(json: &[u8]) {
    let Ok(config) = C::from_json(json) else {
        return;
    };
    let written = serde_json::to_vec(&config).unwrap();
    // Numbers may be longer than they came.
    if written.len() <= CONFIG_BYTES_MAX {
        assert_eq!(C::from_json(&written).unwrap(), config);
    }
}
