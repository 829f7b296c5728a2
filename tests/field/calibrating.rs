//! Calibration from runs whose truth is known.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use truyvet::exposure::CalibrationConfidence;
use truyvet::field::calibration::{CalibrationError, CalibrationRow, Known, Roles, Step};
use truyvet::field::readings::{DeviceLog, FieldTest, Reading};
use truyvet::sighting::Rssi;
use truyvet::time::Timestamp;

const START: Timestamp = Timestamp::from_unix_seconds(1_596_880_800);

/// Those of the accuracy test.
const DISTANCES_M: [f64; 8] = [3.0, 2.0, 1.2, 0.8, 1.0, 1.5, 2.5, 3.5];

const KNOWN: Known = Known {
    rssi_correction_db: 4,
    tx_power_dbm: -24,
};

const ROLES: Roles<'static> = Roles {
    station: "S",
    known: ("K", KNOWN),
    device: "D",
};

fn steps() -> Vec<Step> {
    let minute = |number: usize| START.saturating_add(Duration::from_secs(60 * number as u64));
    let steps = DISTANCES_M.iter().enumerate();
    steps
        .map(|(number, distance_m)| Step {
            distance_m: *distance_m,
            from: minute(number),
            until: minute(number + 1),
        })
        .collect()
}

/// What was measured in each minute, `frames` a minute: `dbm` tells it of a distance's number and a frame's.
fn readings(frames: usize, dbm: impl Fn(usize, usize) -> i32) -> Vec<Reading> {
    let mut readings = Vec::new();
    for (number, step) in steps().iter().enumerate() {
        for frame in 0..frames {
            let within = Duration::from_millis(60_000 * frame as u64 / frames as u64);
            readings.push(Reading {
                at: step.from.saturating_add(within),
                measured: true,
                rssi: Rssi::from_dbm(dbm(number, frame)),
            });
        }
    }
    readings
}

fn log(name: &str, heard: BTreeMap<usize, Vec<Reading>>) -> DeviceLog {
    DeviceLog {
        name: name.to_owned(),
        model: String::new(),
        from: START,
        until: START.saturating_add(Duration::from_secs(480)),
        heard,
        strangers: 0,
        refused: 0,
        battery: Vec::new(),
        states: None,
    }
}

/// A run with the device's true values; `off` is what reflections add at each distance, for device and known one apart.
fn run(frames: usize, correction_db: i32, power_dbm: i32, off: impl Fn(usize) -> i32) -> FieldTest {
    // What the way costs; the station sends with -20 dBm and measures 3 dB too much.
    let loss = |number: usize| 42 + (20.0 * DISTANCES_M[number].log10()).round() as i32;
    let noise = |frame: usize| (frame % 7) as i32 - 3;
    let (known_db, known_dbm) = (
        i32::from(KNOWN.rssi_correction_db),
        i32::from(KNOWN.tx_power_dbm),
    );
    let station = BTreeMap::from([
        (
            1,
            readings(frames, |at, frame| known_dbm - loss(at) + 3 + noise(frame)),
        ),
        (
            2,
            readings(frames, |at, frame| {
                power_dbm - loss(at) + off(at) + 3 + noise(frame)
            }),
        ),
    ]);
    let known = readings(frames, |at, frame| -20 - loss(at) - known_db + noise(frame));
    let device = readings(frames, |at, frame| {
        -20 - loss(at) + off(at) - correction_db + noise(frame)
    });
    FieldTest {
        devices: vec![
            log("S", station),
            log("K", BTreeMap::from([(0, known)])),
            log("D", BTreeMap::from([(0, device)])),
        ],
    }
}

#[test]
fn a_row_of_the_table() {
    let row = CalibrationRow::of(&run(70, 7, -27, |_| 0), ROLES, &steps()).unwrap();
    assert_eq!(row.rssi_correction_db.to_string(), "7.0 ± 0.0");
    assert_eq!(
        row.line("lenovo,x1,ThinkPad X1"),
        "lenovo,x1,ThinkPad X1,7,-27,3"
    );
}

#[test]
fn distances_that_disagree_widen_the_margin() {
    let margin = |off: i32| {
        let test = run(70, 7, -27, |at| if at % 2 == 0 { off } else { -off });
        let row = CalibrationRow::of(&test, ROLES, &steps()).unwrap();
        assert_eq!(row.line("a,b,c")[..9], *"a,b,c,7,-");
        (row.rssi_correction_db.margin, row.confidence())
    };
    // ± off at eight distances: a deviation of off √(8/7), a margin of 2.365 √(1/8) times that.
    let (two, confidence) = margin(2);
    assert!(
        (two - 2.365 * 2.0 * (8.0_f64 / 7.0).sqrt() / 8.0_f64.sqrt()).abs() < 1e-9,
        "{two}"
    );
    assert_eq!(confidence, CalibrationConfidence::High);
    assert_eq!(margin(4).1, CalibrationConfidence::Medium);
    assert_eq!(margin(6).1, CalibrationConfidence::Low);
}

#[test]
fn nine_frames_at_a_distance_are_too_few() {
    let error = CalibrationRow::of(&run(9, 7, -27, |_| 0), ROLES, &steps()).unwrap_err();
    let expected = CalibrationError::TooFew {
        got: 0,
        frames: "9, 9, 9, 9, 9, 9, 9, 9".to_owned(),
    };
    assert_eq!(error, expected);
    assert!(CalibrationRow::of(&run(10, 7, -27, |_| 0), ROLES, &steps()).is_ok());
}

#[test]
fn two_distances_are_too_few() {
    let test = run(70, 7, -27, |_| 0);
    let error = CalibrationRow::of(&test, ROLES, &steps()[..2]).unwrap_err();
    assert!(
        matches!(error, CalibrationError::TooFew { got: 2, .. }),
        "{error}"
    );
    assert!(CalibrationRow::of(&test, ROLES, &steps()[..3]).is_ok());
}

#[test]
fn roles_that_are_none() {
    let test = run(70, 7, -27, |_| 0);
    let roles = |station, device| Roles {
        station,
        device,
        ..ROLES
    };
    let error = CalibrationRow::of(&test, roles("X", "D"), &steps()).unwrap_err();
    assert_eq!(error.to_string(), "expected a device called X, got S, K, D");
    for (station, device) in [("K", "D"), ("S", "S"), ("S", "K")] {
        let error = CalibrationRow::of(&test, roles(station, device), &steps()).unwrap_err();
        assert_eq!(error, CalibrationError::OneInTwoRoles);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn what_is_true_is_found(correction_db in -20..20_i32, power_dbm in -45..0_i32) {
        let row = CalibrationRow::of(&run(20, correction_db, power_dbm, |_| 0), ROLES, &steps()).unwrap();
        prop_assert_eq!(row.rssi_correction_db.value, f64::from(correction_db));
        prop_assert_eq!(row.tx_power_dbm.value, f64::from(power_dbm));
    }
}
