use proptest::prelude::*;

use super::*;
use crate::exposure::AttenuationSummary;
use crate::exposure::assembly::losses;
use crate::exposure::{CountedSighting, MatchConfig};
use crate::sighting::{Attenuation, Rssi, RssiSummary};

/// 2020-08-08T00:00Z.
const MIDNIGHT_S: u64 = 1_596_844_800;

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_unix_millis(MIDNIGHT_S * 1000 + ms)
}

/// Frames from `first_ms` to `last_ms` of the day, at `db`.
fn heard_ms(first_ms: u64, last_ms: u64, db: u8) -> CountedSighting {
    let rssi = Rssi::from_dbm(-20 - i32::from(db)).unwrap();
    let loss = Attenuation::from_db(db);
    CountedSighting {
        first: at_ms(first_ms),
        last: at_ms(last_ms),
        frames: 1,
        rssi: Some(RssiSummary {
            min: rssi,
            mean: rssi,
            max: rssi,
        }),
        tx_power_dbm: Some(-20),
        attenuation: Some(AttenuationSummary {
            min: loss,
            mean: loss,
            max: loss,
            basis: PowerBasis::Advertised {
                confidence: Some(2),
            },
        }),
    }
}

fn heard(first_s: u64, last_s: u64, db: u8) -> CountedSighting {
    heard_ms(first_s * 1000, last_s * 1000, db)
}

fn exposure(sightings: Vec<CountedSighting>) -> Exposure {
    let gap_max = MatchConfig::default().gap_max;
    Exposure {
        key_index: 3,
        protocol: ProtocolKind::Gaen,
        day: at_ms(0).utc_day(),
        duration: super::super::assembly::time_together(&sightings, gap_max),
        rssi: None,
        attenuation: losses(&sightings),
        report_type: ReportType::Unknown,
        transmission_risk: 5,
        days_since_onset: None,
        identifiers: 1,
        sightings,
    }
}

fn windows(sightings: Vec<CountedSighting>) -> Vec<ExposureWindow> {
    exposure(sightings).windows(&WindowConfig::default())
}

/// Each window's scans as their seconds, by GAEN's rule.
fn gaen_seconds(sightings: Vec<CountedSighting>) -> Vec<Vec<u32>> {
    let config = WindowConfig {
        seconds: ScanSeconds::SinceLastScan,
        ..WindowConfig::default()
    };
    seconds(&exposure(sightings).windows(&config))
}

fn seconds(windows: &[ExposureWindow]) -> Vec<Vec<u32>> {
    windows
        .iter()
        .map(|window| {
            window
                .scans
                .iter()
                .map(|scan| scan.seconds_since_last_scan)
                .collect()
        })
        .collect()
}

#[test]
fn a_window_takes_less_than_thirty_minutes() {
    let windows_of = |later_ms| windows(vec![heard(0, 4, 50), heard_ms(later_ms, later_ms, 50)]);
    assert_eq!(windows_of(1_799_999).len(), 1);
    let two = windows_of(1_800_000);
    assert_eq!(two.len(), 2);
    assert_eq!(two[1].start, at_ms(1_800_000));
    // Counted from the window's first, not from the last before it.
    let every_ten_minutes = (0..6).map(|n| heard(n * 600, n * 600 + 4, 50)).collect();
    let starts: Vec<_> = windows(every_ten_minutes).iter().map(|w| w.start).collect();
    assert_eq!(starts, [at_ms(0), at_ms(1_800_000)]);
}

#[test]
fn a_scan_goes_on_for_25_and_a_half_seconds() {
    let scans = |later_ms| {
        windows(vec![heard(0, 4, 50), heard_ms(later_ms, later_ms, 50)])[0]
            .scans
            .len()
    };
    assert_eq!(scans(25_500), 1);
    assert_eq!(scans(25_501), 2);
}

#[test]
fn a_scan_does_not_go_on_for_ever() {
    // As if many of the key's identifiers were heard, one begun every 20 seconds.
    let sightings = (0..6).map(|n| heard(n * 20, n * 20 + 30, 50)).collect();
    let starts: Vec<_> = windows(sightings)[0]
        .scans
        .iter()
        .map(|scan| scan.start)
        .collect();
    assert_eq!(starts, [at_ms(0), at_ms(60_000)]);
}

#[test]
fn listening_without_a_pause_counts_what_passed() {
    // 40 minutes of sightings of 30 seconds with half a second between them.
    let sightings: Vec<_> = (0..79)
        .map(|n| heard_ms(n * 30_500, n * 30_500 + 30_000, 50))
        .collect();
    let elapsed_s = (78 * 30_500 + 30_000) / 1000;
    let found = windows(sightings.clone());
    assert_eq!(found.len(), 2);
    assert!(found[0].scans.len() >= 58, "{}", found[0].scans.len());
    let sum: u64 = found.iter().map(ExposureWindow::seconds).sum();
    assert_eq!(sum, elapsed_s);
    assert_eq!(sum, exposure(sightings.clone()).duration.as_secs());
    let by_gaen: u32 = gaen_seconds(sightings).concat().iter().sum();
    assert!((elapsed_s..=elapsed_s + 180).contains(&u64::from(by_gaen)));
}

#[test]
fn a_scan_every_five_minutes() {
    let sightings: Vec<_> = (0..4).map(|n| heard(n * 300, n * 300 + 4, 50)).collect();
    assert_eq!(
        seconds(&windows(sightings.clone())),
        [[4, 296 + 4, 300, 300]]
    );
    assert_eq!(gaen_seconds(sightings), [[120, 300, 300, 300]]);
}

#[test]
fn gaens_seconds_are_whole_minutes_up_to_five() {
    for (first, second, expected) in [
        (0, 59, 0),
        (59, 90, 60),
        (0, 299, 240),
        (0, 300, 300),
        (59, 359, 300),
        (0, 420, 300),
        (0, 1_700, 300),
    ] {
        let sightings = vec![heard(first, first, 50), heard(second, second, 50)];
        assert_eq!(
            gaen_seconds(sightings),
            [[120, expected]],
            "{first} {second}"
        );
    }
    // The scan before may be the last window's.
    let sightings = vec![
        heard(0, 4, 50),
        heard(1_700, 1_700, 50),
        heard(1_800, 1_810, 50),
    ];
    assert_eq!(gaen_seconds(sightings), [vec![120, 300], vec![120]]);
}

#[test]
fn a_silence_counts_up_to_five_minutes() {
    assert_eq!(
        seconds(&windows(vec![heard(0, 10, 50), heard(310, 320, 50)])),
        [[10, 310]]
    );
    assert_eq!(
        seconds(&windows(vec![heard(0, 10, 50), heard(311, 320, 50)])),
        [[10, 9]]
    );
    let config = WindowConfig {
        gap_max_s: 0,
        ..WindowConfig::default()
    };
    let apart = exposure(vec![heard(0, 10, 50), heard(40, 50, 50)]).windows(&config);
    assert_eq!(seconds(&apart), [[10, 10]]);
}

#[test]
fn typical_is_the_mean_and_min_the_nearest() {
    let mut near = heard(0, 5, 40);
    near.frames = 3;
    let found = windows(vec![near, heard(10, 15, 61)]);
    let loss = found[0].scans[0].attenuation.unwrap();
    // (3 * 40 + 61) / 4 = 45.25
    assert_eq!((loss.typical.db(), loss.min.db()), (45, 40));
    let half = windows(vec![heard(0, 5, 40), heard(10, 15, 41)]);
    assert_eq!(half[0].scans[0].attenuation.unwrap().typical.db(), 41);
}

#[test]
fn what_is_assumed_or_unknown_is_said() {
    let mut unknown = heard(0, 5, 40);
    unknown.attenuation = None;
    unknown.tx_power_dbm = None;
    let found = windows(vec![unknown]);
    assert_eq!(found[0].scans[0].attenuation, None);
    assert!(found[0].scans[0].rssi.is_some());
    assert_eq!(found[0].power, None);
    assert_eq!(
        found[0].calibration_confidence,
        CalibrationConfidence::Lowest
    );

    // A scan of known attenuation says what is known of the window.
    let found = windows(vec![unknown, heard(60, 65, 40)]);
    assert_eq!(
        found[0].calibration_confidence,
        CalibrationConfidence::Medium
    );

    let mut assumed = heard(60, 65, 40);
    assumed.attenuation.as_mut().unwrap().basis = PowerBasis::Assumed;
    let found = windows(vec![heard(0, 5, 40), assumed]);
    assert_eq!(found[0].power, Some(PowerBasis::Assumed));
    assert_eq!(
        found[0].calibration_confidence,
        CalibrationConfidence::Lowest
    );
}

#[test]
fn confidences_are_two_bits() {
    use CalibrationConfidence::{High, Low, Lowest, Medium};
    for (bits, confidence) in [(0, Lowest), (1, Low), (2, Medium), (3, High), (4, Lowest)] {
        assert_eq!(CalibrationConfidence::from_bits(bits), confidence);
    }
    assert!(Lowest < Low && Low < Medium && Medium < High);
    assert_eq!(
        CalibrationConfidence::from(PowerBasis::Advertised { confidence: None }),
        Lowest
    );
}

#[test]
fn days_since_onset_have_an_infectiousness_from_14_before_to_14_after() {
    use Infectiousness::{High, Standard};
    const NOTHING: Infectiousness = Infectiousness::None;
    let infectiousness = |days: Option<i8>| {
        let mut found = exposure(vec![heard(0, 5, 40)]);
        found.days_since_onset = days;
        let mut config = WindowConfig::default();
        config.infectiousness.0[0] = Standard;
        config.infectiousness.0[28] = Standard;
        found.windows(&config)[0].infectiousness
    };
    for (days, expected) in [
        (None, High),
        (Some(i8::MIN), High),
        (Some(-15), High),
        (Some(-14), Standard),
        (Some(-13), NOTHING),
        (Some(-5), NOTHING),
        (Some(-4), Standard),
        (Some(-3), Standard),
        (Some(-2), High),
        (Some(0), High),
        (Some(3), High),
        (Some(4), Standard),
        (Some(5), Standard),
        (Some(6), NOTHING),
        (Some(13), NOTHING),
        (Some(14), Standard),
        (Some(15), High),
        (Some(i8::MAX), High),
    ] {
        assert_eq!(infectiousness(days), expected, "{days:?}");
    }
}

#[test]
fn corona_warn_app_tells_infectiousness_in_place_of_days() {
    let config = WindowConfig::corona_warn_app();
    assert_eq!(config.check(), Ok(()));
    for (days, expected) in [
        (None, Infectiousness::None),
        (Some(0), Infectiousness::None),
        (Some(1), Infectiousness::Standard),
        (Some(2), Infectiousness::High),
        (Some(3), Infectiousness::None),
        (Some(15), Infectiousness::None),
    ] {
        let mut found = exposure(vec![heard(0, 5, 40)]);
        found.days_since_onset = days;
        assert_eq!(
            found.windows(&config)[0].infectiousness,
            expected,
            "{days:?}"
        );
    }
}

#[test]
fn report_types_that_are_missing_revoked_or_recursive() {
    let types = |report_type| -> Vec<ReportType> {
        let mut found = exposure(vec![heard(0, 5, 40)]);
        found.report_type = report_type;
        let windows = found.windows(&WindowConfig::default());
        windows.iter().map(|window| window.report_type).collect()
    };
    assert_eq!(types(ReportType::Unknown), [ReportType::ConfirmedTest]);
    assert_eq!(types(ReportType::Recursive), [ReportType::Recursive]);
    assert_eq!(types(ReportType::Revoked), []);
}

#[test]
fn midnight_parts_windows_as_it_parts_exposures() {
    let late = exposure(vec![heard(86_390, 86_420, 50)]);
    let mut early = exposure(vec![heard(86_421, 86_450, 50)]);
    early.day = at_ms(86_400_000).utc_day();
    let found = exposure_windows(&[early, late], &WindowConfig::default());
    let days: Vec<u32> = found.iter().map(|window| window.day.unix_days()).collect();
    let first = at_ms(0).utc_day().unix_days();
    assert_eq!(days, [first, first + 1]);
    assert_eq!(seconds(&found), [[30], [29]]);
}

#[test]
fn configurations_that_make_no_sense() {
    let config = |json: &str| WindowConfig::from_json(json.as_bytes());
    assert_eq!(config("{}"), Ok(WindowConfig::default()));
    assert_eq!(
        config(r#"{"seconds":"since_last_scan"}"#).unwrap().seconds,
        ScanSeconds::SinceLastScan
    );
    for (wrong, says) in [
        (
            r#"{"gap_max_s":3601}"#,
            "gap_max_s: expected 0 to 3600, got 3601",
        ),
        (
            r#"{"report_type_when_missing":"revoked"}"#,
            "report_type_when_missing",
        ),
        (
            r#"{"report_type_when_missing":"unknown"}"#,
            "a type that counts",
        ),
        (r#"{"infectiousness":["high"]}"#, "29"),
        (r#"{"gap":1}"#, "unknown field `gap`"),
    ] {
        let error = config(wrong).unwrap_err().to_string();
        assert!(error.contains(says), "{wrong}: {error}");
    }
}

fn any_sightings() -> impl Strategy<Value = Vec<CountedSighting>> {
    let sighting = (0u64..86_400_000, 0u64..=30_000, 0u8..=100)
        .prop_map(|(first, span, db)| heard_ms(first, first + span, db));
    proptest::collection::vec(sighting, 1..60)
}

proptest! {
    #[test]
    fn seconds_never_exceed_what_passed(mut sightings in any_sightings()) {
        sightings.sort_by_key(|sighting| (sighting.first, sighting.last));
        let first = sightings[0].first;
        let last = sightings.iter().map(|sighting| sighting.last).max().unwrap();
        let elapsed_s = last.since(first).as_secs();
        let whole = exposure(sightings.clone());
        let found = whole.windows(&WindowConfig::default());
        let sum: u64 = found.iter().map(ExposureWindow::seconds).sum();
        prop_assert!(sum <= elapsed_s);
        prop_assert_eq!(sum, whole.duration.as_secs());
        let by_gaen: u64 = gaen_seconds(sightings).concat().into_iter().map(u64::from).sum();
        prop_assert!(by_gaen <= elapsed_s + 180);
    }

    #[test]
    fn every_sighting_is_in_one_window(sightings in any_sightings()) {
        let mut shuffled = sightings.clone();
        shuffled.reverse();
        let found = windows(sightings.clone());
        // In whatever order they come.
        prop_assert_eq!(&windows(shuffled), &found);
        for sighting in &sightings {
            let at = |window: &&ExposureWindow| {
                sighting.first >= window.start
                    && sighting.first.since(window.start).as_secs() < 1_800
            };
            prop_assert_eq!(found.iter().filter(at).count(), 1);
        }
        for window in &found {
            prop_assert!(window.scans.is_sorted_by_key(|scan| scan.start));
            prop_assert_eq!(window.scans[0].start, window.start);
        }
    }
}
