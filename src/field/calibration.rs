//! What a device's model adds to the strengths it measures, and how strongly it sends, from a run.
//!
//! Google's way ([procedure](https://developers.google.com/android/exposure-notifications/ble-attenuation-procedure),
//! [computation](https://developers.google.com/android/exposure-notifications/ble-attenuation-computation)): a *station* stays where
//! it is, and at each of several distances it hears, and is heard by, a device of a *known* model and the one to be
//! calibrated, side by side. What the way between them costs is the same for both, so that no law of it is needed:
//!
//! - RSSI correction = the known one's + what the known one measures of the station − what the device measures of it
//! - tx power = the known one's + what the station measures of the device − what it measures of the known one
//!
//! with the median of each distance, and the mean over distances. Google takes the median of ten frames in twelve
//! orientations at one metre; distances stand for orientations here, as both even out what reflections do.

use std::fmt;

use super::evaluation::median;
use super::readings::FieldTest;
use crate::exposure::CalibrationConfidence;
use crate::time::Timestamp;

/// Frames of each of the four kinds that a distance needs to count: as many as Google takes the median of.
pub const FRAMES_MIN: usize = 10;

/// Distances that have to count. Chosen: of fewer, nobody can say how much they disagree.
pub const DISTANCES_MIN: usize = 3;

/// The margin up to which a value is of [high confidence](CalibrationConfidence::High), dB. Chosen: half of what the
/// corrections of the listed phones deviate by, 4.4 dB.
pub const MARGIN_HIGH_DB: f64 = 2.2;

/// The same of [medium confidence](CalibrationConfidence::Medium). Chosen: that deviation itself, beyond which any listed
/// phone's value is as good.
pub const MARGIN_MEDIUM_DB: f64 = 4.4;

/// A time in which all devices stood at one distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// From the station, metres.
    pub distance_m: f64,
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What is known of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// To be added to what it measures, dB.
    pub rssi_correction_db: i8,
    /// Its power, dBm.
    pub tx_power_dbm: i8,
}

/// Who is who in the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roles<'a> {
    /// The name of the device that stays where it is.
    pub station: &'a str,
    /// The name of the one whose model is known, and what is known.
    pub known: (&'a str, Known),
    /// The name of the one to be calibrated.
    pub device: &'a str,
}

/// A value, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean over distances.
    pub value: f64,
    /// Half the width of the interval that holds the true one 95 times in 100, if distances err alike and
    /// independently (Student's t).
    pub margin: f64,
}

/// What comes of one distance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AtDistance {
    /// Metres.
    pub distance_m: f64,
    /// The fewest frames of the four kinds.
    pub frames: usize,
    /// The correction and the power that this distance alone gives; `None` if it has too few frames.
    pub values: Option<(f64, f64)>,
}

/// A row of the calibration table, with how sure it is.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationRow {
    /// To be added to what the device measures, dB.
    pub rssi_correction_db: Estimate,
    /// Its power, dBm.
    pub tx_power_dbm: Estimate,
    /// Each distance.
    pub distances: Vec<AtDistance>,
}

/// No row can be made.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum CalibrationError {
    /// A name is not in the test.
    #[error("expected a device called {wanted}, got {found}")]
    NoDevice {
        /// The name.
        wanted: String,
        /// Those there are.
        found: String,
    },
    /// Two roles are one device's.
    #[error("expected three devices: station, known and device, got one in two roles")]
    OneInTwoRoles,
    /// There are not enough frames.
    #[error(
        "expected {DISTANCES_MIN} distances or more with {FRAMES_MIN} frames of each kind (station, known and device each heard by the other), got {got}: the fewest at each distance were {frames}"
    )]
    TooFew {
        /// Distances that count.
        got: usize,
        /// Frames of each distance.
        frames: String,
    },
    /// A value is outside what the table can hold.
    #[error(
        "expected values of -128 to 127, got {0}: the devices were not where the distances say"
    )]
    OutOfRange(f64),
}

impl CalibrationRow {
    /// The row of `device` that `test` gives, from the times in `steps`.
    ///
    /// # Errors
    ///
    /// [`CalibrationError`].
    pub fn of(
        test: &FieldTest,
        roles: Roles<'_>,
        steps: &[Step],
    ) -> Result<Self, CalibrationError> {
        let (known, of_known) = roles.known;
        let [station, known, device] =
            [roles.station, known, roles.device].map(|name| index(test, name));
        let (station, known, device) = (station?, known?, device?);
        if station == known || known == device || device == station {
            return Err(CalibrationError::OneInTwoRoles);
        }
        let mut distances = Vec::new();
        for step in steps {
            let ways = [
                (known, station),
                (device, station),
                (station, device),
                (station, known),
            ];
            let strengths = ways.map(|(seer, seen)| strength(test, seer, seen, step));
            let frames = strengths.map(|(frames, _)| frames).into_iter().min();
            let frames = frames.unwrap_or(0);
            let [by_known, by_device, of_device, of_it] = strengths.map(|(_, dbm)| dbm);
            distances.push(AtDistance {
                distance_m: step.distance_m,
                frames,
                values: (frames >= FRAMES_MIN).then(|| {
                    (
                        f64::from(of_known.rssi_correction_db) + by_known - by_device,
                        f64::from(of_known.tx_power_dbm) + of_device - of_it,
                    )
                }),
            });
        }
        let values: Vec<_> = distances.iter().filter_map(|it| it.values).collect();
        if values.len() < DISTANCES_MIN {
            let frames = distances.iter().map(|it| it.frames.to_string());
            return Err(CalibrationError::TooFew {
                got: values.len(),
                frames: frames.collect::<Vec<_>>().join(", "),
            });
        }
        let row = Self {
            rssi_correction_db: Estimate::of(values.iter().map(|it| it.0)),
            tx_power_dbm: Estimate::of(values.iter().map(|it| it.1)),
            distances,
        };
        for estimate in [row.rssi_correction_db, row.tx_power_dbm] {
            if !(-128.0..=127.0).contains(&estimate.value.round()) {
                return Err(CalibrationError::OutOfRange(estimate.value));
            }
        }
        Ok(row)
    }

    /// How much the row is worth, by the wider of its margins.
    pub fn confidence(&self) -> CalibrationConfidence {
        match self.rssi_correction_db.margin.max(self.tx_power_dbm.margin) {
            margin if margin <= MARGIN_HIGH_DB => CalibrationConfidence::High,
            margin if margin <= MARGIN_MEDIUM_DB => CalibrationConfidence::Medium,
            _ => CalibrationConfidence::Low,
        }
    }

    /// The line for the table: `oem,device,model,rssi_correction,tx_power,confidence`. `model` is its first three
    /// columns.
    pub fn line(&self, model: &str) -> String {
        format!(
            "{model},{:.0},{:.0},{}",
            self.rssi_correction_db.value.round(),
            self.tx_power_dbm.value.round(),
            self.confidence() as u8
        )
    }
}

fn index(test: &FieldTest, name: &str) -> Result<usize, CalibrationError> {
    let mut names = test.devices.iter().map(|device| device.name.as_str());
    names.position(|it| it == name).ok_or_else(|| {
        let found = test.devices.iter().map(|device| device.name.as_str());
        CalibrationError::NoDevice {
            wanted: name.to_owned(),
            found: found.collect::<Vec<_>>().join(", "),
        }
    })
}

/// Frames of `seen` that `seer` heard in `step`, and their median strength.
fn strength(test: &FieldTest, seer: usize, seen: usize, step: &Step) -> (usize, f64) {
    let log = test.devices.get(seer);
    let readings = log.and_then(|log| log.heard.get(&seen));
    let mut dbm: Vec<i8> = readings
        .into_iter()
        .flatten()
        .filter(|reading| (step.from..step.until).contains(&reading.at))
        .filter_map(|reading| reading.rssi.map(|rssi| rssi.dbm()))
        .collect();
    (dbm.len(), median(&mut dbm).map_or(0.0, f64::from))
}

impl Estimate {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count();
        let number = count as f64;
        let value = values.clone().sum::<f64>() / number;
        let squares: f64 = values.map(|it| (it - value).powi(2)).sum();
        let deviation = (squares / (number - 1.0)).sqrt();
        let margin = student(count) * deviation / number.sqrt();
        Self { value, margin }
    }
}

/// The 97.5th percentile of Student's t for the mean of `count` values (NIST/SEMATECH e-Handbook, 1.3.6.7.2); from
/// eleven on, that of eleven, which is a little too wide.
fn student(count: usize) -> f64 {
    const QUANTILES: [f64; 10] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    ];
    let freedom = count.saturating_sub(2).min(QUANTILES.len() - 1);
    QUANTILES.get(freedom).copied().unwrap_or(f64::INFINITY)
}

/// `7 ± 1.2`.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} ± {:.1}", self.value, self.margin)
    }
}
