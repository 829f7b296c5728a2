//! The report for a program.

use std::path::PathBuf;

use serde_json::json;
use truyvet::exposure::{Exposure, PowerBasis};

use crate::support::Trust;
use crate::{File, Matched};

/// One object with all that was found.
pub(crate) fn report(
    paths: &[PathBuf],
    files: &[File],
    missing: &[String],
    found: Option<&[String]>,
    matched: Option<&Matched>,
) -> serde_json::Value {
    let files: Vec<_> = paths.iter().zip(files).map(file_json).collect();
    let exposures = matched.map(|matched| {
        let exposures = matched.exposures.iter().map(exposure_json);
        exposures.collect::<Vec<_>>()
    });
    json!({
        "files": files,
        "not_looked_for": missing,
        "identifier_found": found,
        "exposures": exposures,
        "assessment": matched.and_then(|matched| matched.assessment.as_ref()),
        "not_counted": matched.map(|matched| {
            json!({
                "replayed": matched.not_counted.replayed,
                "after_publication": matched.not_counted.after_publication,
                "clock_jump": matched.not_counted.clock_jump,
            })
        }),
        "log_damage": matched.map(|matched| &matched.damage),
        "log_torn_bytes": matched.map(|matched| matched.torn_bytes),
    })
}

fn file_json((path, file): (&PathBuf, &File)) -> serde_json::Value {
    let (keys, verified, detail) = match file {
        Ok(file) => match &file.trust {
            Trust::Signed(by) => (Some(file.key_count()), Some(true), by.as_str()),
            Trust::Unsigned => (Some(file.key_count()), None, "unsigned"),
            Trust::Refused(why) => (Some(file.key_count()), Some(false), why.as_str()),
        },
        Err(why) => (None, Some(false), why.as_str()),
    };
    json!({
        "file": path.display().to_string(),
        "read": file.is_ok(),
        "keys": keys,
        "keys_refused": file.as_ref().ok().map(|file| file.refused.still_valid),
        "verified": verified,
        "detail": detail,
    })
}

fn exposure_json(exposure: &Exposure) -> serde_json::Value {
    let attenuation = exposure.attenuation.map(|attenuation| {
        let confidence = match attenuation.basis {
            PowerBasis::Advertised { confidence } => confidence,
            _ => None,
        };
        json!({
            "min_db": attenuation.min.db(),
            "mean_db": attenuation.mean.db(),
            "max_db": attenuation.max.db(),
            "power_assumed": attenuation.basis == PowerBasis::Assumed,
            "calibration_confidence": confidence,
        })
    });
    let rssi = exposure.rssi.map(|rssi| {
        json!({
            "min_dbm": rssi.min.dbm(),
            "mean_dbm": rssi.mean.dbm(),
            "max_dbm": rssi.max.dbm(),
        })
    });
    let sightings: Vec<_> = exposure
        .sightings
        .iter()
        .map(|sighting| {
            json!({
                "first": sighting.first.to_string(),
                "last": sighting.last.to_string(),
                "frames": sighting.frames,
                "rssi_mean_dbm": sighting.rssi.map(|rssi| rssi.mean.dbm()),
                "tx_power_dbm": sighting.tx_power_dbm,
            })
        })
        .collect();
    json!({
        "key": exposure.key_index,
        "protocol": exposure.protocol.to_string(),
        "day": exposure.day.to_string(),
        "duration_s": exposure.duration.as_secs(),
        "first": exposure.first().to_string(),
        "last": exposure.last().to_string(),
        "frames": exposure.frames(),
        "identifiers": exposure.identifiers,
        "rssi": rssi,
        "attenuation": attenuation,
        "report_type": format!("{:?}", exposure.report_type),
        "transmission_risk": exposure.transmission_risk,
        "days_since_onset": exposure.days_since_onset,
        "sightings": sightings,
    })
}
