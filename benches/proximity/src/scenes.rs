//! Recorded scenes: who heard whom how loud, and how far apart a camera saw them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use flate2::read::GzDecoder;
use rusqlite::Connection;
use truyvet::sighting::{Attenuation, Rssi};

use crate::{Result, conformance};

/// The scenes of DP-3T's experiment 34, in the order they were played, with their files.
pub const SCENES: [(&str, &str); 6] = [
    ("lunch", "proximity/exp34_scenario01-lunch.sqlite.gz"),
    ("train", "proximity/exp34_scenario02-train.sqlite.gz"),
    ("office", "proximity/exp34_scenario03-office.sqlite.gz"),
    ("queue", "proximity/exp34_scenario04-queue.sqlite.gz"),
    ("party", "proximity/exp34_scenario05-party.sqlite.gz"),
    ("movement", "proximity/exp34_scenario06-movement.sqlite.gz"),
];

/// Google's calibration values of 2020-08-13 for the phones in the scenes.
const CALIBRATION: &str = "proximity/calibration_20200813.json";

/// Power levels as Android names "ultra low": 6 dB below the one that GAEN sends with (DP-3T,
/// bt-measurements, `measurements.py`).
const ULTRA_LOW_DBM: [i64; 2] = [-20, -21];
const ULTRA_LOW_ADJUSTMENT_DB: i64 = 6;

/// A frame whose sender was seen by the camera.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// The phone that heard it.
    pub receiver: String,
    /// The phone that sent it.
    pub transmitter: String,
    /// When, Unix seconds.
    pub at_s: f64,
    /// What it lost on its way, corrected for the phones' models.
    pub attenuation: Attenuation,
    /// How far apart they were, metres.
    pub distance_m: f64,
}

/// A scene's frames.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Its name in [`SCENES`].
    pub name: &'static str,
    /// Its frames, in order of time, without those whose distance is unknown.
    pub frames: Vec<Frame>,
}

/// What a model's strengths and power are corrected by.
#[derive(Clone, Copy, Debug)]
struct Correction {
    rx_db: i64,
    tx_dbm: i64,
}

/// All of [`SCENES`]; `None`, said loudly, without the conformance data.
///
/// # Errors
///
/// A file that is there and cannot be read, or does not hold what it should.
pub fn all() -> Result<Option<Vec<Scene>>> {
    let Some(corrections) = conformance::conformance_file(CALIBRATION) else {
        return Ok(None);
    };
    let corrections = read_corrections(&corrections)?;
    let mut scenes = Vec::new();
    for (name, file) in SCENES {
        let Some(path) = conformance::conformance_file(file) else {
            return Ok(None);
        };
        let frames = read_frames(&path, &corrections)?;
        scenes.push(Scene { name, frames });
    }
    Ok(Some(scenes))
}

fn read_corrections(path: &Path) -> Result<BTreeMap<String, Correction>> {
    let values: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&fs::read(path)?)?;
    let mut corrections = BTreeMap::new();
    for (model, value) in values {
        // The file's own note is text.
        let Some(numbers) = value.as_array() else {
            continue;
        };
        let whole = |place: usize| {
            let number = numbers.get(place).and_then(serde_json::Value::as_f64);
            number
                .filter(|number| number.fract() == 0.0 && number.abs() < 128.0)
                .map(|number| number as i64)
                .ok_or_else(|| format!("{model}: expected two whole numbers of dB, got {value}"))
        };
        let (rx_db, tx_dbm) = (whole(0)?, whole(1)?);
        corrections.insert(model, Correction { rx_db, tx_dbm });
    }
    Ok(corrections)
}

fn read_frames(path: &Path, corrections: &BTreeMap<String, Correction>) -> Result<Vec<Frame>> {
    let mut database = Vec::new();
    std::io::copy(&mut GzDecoder::new(fs::File::open(path)?), &mut database)?;
    let mut connection = Connection::open_in_memory()?;
    connection.deserialize_read_exact("main", database.as_slice(), database.len(), true)?;
    let mut statement = connection.prepare(
        "SELECT receiver_id, transmitter_id, timestamp, rssi, tx_power, receiver_model, \
         transmitter_model, ground_truth_distance FROM results \
         WHERE ground_truth_distance IS NOT NULL ORDER BY timestamp, db_id",
    )?;
    let mut rows = statement.query([])?;
    let mut frames = Vec::new();
    while let Some(row) = rows.next()? {
        let correction = |model: String| {
            corrections
                .get(&model)
                .copied()
                .ok_or_else(|| format!("{}: no calibration for {model}", path.display()))
        };
        // DP-3T takes the power of the model that heard and the correction of the one that sent. In
        // these files a row names one model for both, so that it comes to the same.
        let power_dbm = correction(row.get(5)?)?.tx_dbm;
        let correction_db = correction(row.get(6)?)?.rx_db;
        frames.push(Frame {
            receiver: row.get(0)?,
            transmitter: row.get(1)?,
            at_s: row.get(2)?,
            attenuation: attenuation(row.get(3)?, row.get(4)?, correction_db, power_dbm)?,
            distance_m: row.get(7)?,
        });
    }
    Ok(frames)
}

fn attenuation(
    rssi_dbm: i64,
    level_dbm: Option<i64>,
    correction_db: i64,
    power_dbm: i64,
) -> Result<Attenuation> {
    let adjustment_db = match level_dbm {
        Some(level) if ULTRA_LOW_DBM.contains(&level) => ULTRA_LOW_ADJUSTMENT_DB,
        _ => 0,
    };
    let corrected = i32::try_from(rssi_dbm + adjustment_db + correction_db)?;
    let rssi = Rssi::from_dbm(corrected)
        .ok_or_else(|| format!("expected a corrected RSSI of -127..=20 dBm, got {corrected}"))?;
    Ok(Attenuation::between(i8::try_from(power_dbm)?, rssi))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ultra_low_power_is_made_up_for() {
        let lost = |level| attenuation(-90, level, 5, -24).unwrap().db();
        assert_eq!(lost(None), 61);
        assert_eq!(lost(Some(0)), 61);
        assert_eq!(lost(Some(-20)), 55);
        assert_eq!(lost(Some(-21)), 55);
        assert_eq!(lost(Some(-15)), 61);
    }

    #[test]
    fn strength_out_of_range() {
        assert!(attenuation(-140, None, 5, -24).is_err());
        assert!(attenuation(-90, None, 5, -300).is_err());
    }
}
