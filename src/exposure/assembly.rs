//! What the sightings of one published key come to.

use std::collections::HashSet;
use std::time::Duration;

use super::{AttenuationSummary, CountedSighting, Exposure, MatchConfig, PowerBasis};
use crate::protocol::gaen::{DiagnosisKey, Metadata};
use crate::protocol::{EphemeralId, PublishedKey, ReportType};
use crate::sighting::{Attenuation, Rssi, RssiSummary, Sighting};
use crate::time::{Timestamp, UtcDay};

/// Powers that no phone has are no powers: Google's matcher takes -50 to 20 dBm.
const TX_POWER_DBM: std::ops::RangeInclusive<i8> = -50..=20;

/// The exposure to `key` by `sightings` of its identifiers on `day`.
pub(super) fn exposure(
    config: &MatchConfig,
    key_index: usize,
    key: &PublishedKey,
    day: UtcDay,
    mut sightings: Vec<&Sighting>,
) -> Exposure {
    sightings.sort_by_key(|sighting| (sighting.first, sighting.last, sighting.id));
    // A write that failed halfway and was repeated leaves a sighting twice.
    sightings.dedup();
    let counted: Vec<CountedSighting> = sightings
        .iter()
        .map(|sighting| {
            let power = power(config, key, sighting);
            CountedSighting {
                first: sighting.first,
                last: sighting.last,
                frames: sighting.frames,
                rssi: sighting.rssi,
                tx_power_dbm: power.map(|(dbm, _)| dbm),
                attenuation: loss(config, sighting.rssi, power),
            }
        })
        .collect();
    let ids: HashSet<EphemeralId> = sightings.iter().map(|sighting| sighting.id).collect();
    let identifiers = ids.len();
    let said = authority_says(key);
    Exposure {
        key_index,
        protocol: key.protocol(),
        day,
        duration: time_together(&counted, config.gap_max),
        rssi: strengths(&counted),
        attenuation: losses(&counted),
        report_type: said.map_or(ReportType::Unknown, |key| key.report_type),
        transmission_risk: said.map_or(0, |key| key.transmission_risk),
        days_since_onset: said.and_then(|key| key.days_since_onset),
        identifiers,
        sightings: counted,
    }
}

/// The sender's power, and where it is from.
fn power(
    config: &MatchConfig,
    key: &PublishedKey,
    sighting: &Sighting,
) -> Option<(i8, PowerBasis)> {
    let PublishedKey::Gaen(key) = key else {
        return Some((config.bluezone_tx_power_dbm, PowerBasis::Assumed));
    };
    let id = sighting.id.as_bytes().try_into().ok()?;
    let Metadata {
        tx_power_dbm,
        calibration_confidence: confidence,
        ..
    } = key.metadata(id, sighting.metadata?)?;
    let basis = PowerBasis::Advertised { confidence };
    TX_POWER_DBM
        .contains(&tx_power_dbm)
        .then_some((tx_power_dbm, basis))
}

fn authority_says(key: &PublishedKey) -> Option<&DiagnosisKey> {
    match key {
        PublishedKey::Gaen(key) => Some(key),
        PublishedKey::Bluezone(_) => None,
    }
}

/// The time covered by sightings in order of time, with the gaps between them up to `gap_max`.
pub(super) fn time_together(sightings: &[CountedSighting], gap_max: Duration) -> Duration {
    let mut total = Duration::ZERO;
    let mut covered_until: Option<Timestamp> = None;
    for sighting in sightings {
        let from = match covered_until {
            Some(end) if sighting.first.since(end) <= gap_max => end,
            _ => sighting.first,
        };
        total = total.saturating_add(sighting.last.since(from));
        covered_until = covered_until.max(Some(sighting.last));
    }
    total
}

pub(super) fn strengths(sightings: &[CountedSighting]) -> Option<RssiSummary> {
    let measured = || {
        sightings
            .iter()
            .filter_map(|s| Some((s.rssi?, i64::from(s.frames))))
    };
    let frames: i64 = measured().map(|(_, frames)| frames).sum();
    let sum: i64 = measured()
        .map(|(rssi, frames)| i64::from(rssi.mean.dbm()) * frames)
        .sum();
    let mean = (sum as f64 / frames.max(1) as f64).round() as i32;
    Some(RssiSummary {
        min: measured().map(|(rssi, _)| rssi.min).min()?,
        mean: Rssi::from_dbm(mean)?,
        max: measured().map(|(rssi, _)| rssi.max).max()?,
    })
}

/// What was lost on the way from a sender of `power`.
fn loss(
    config: &MatchConfig,
    rssi: Option<RssiSummary>,
    power: Option<(i8, PowerBasis)>,
) -> Option<AttenuationSummary> {
    let (RssiSummary { min, mean, max }, (power_dbm, basis)) = (rssi?, power?);
    let loss = |rssi: Rssi| {
        let corrected_dbm = i16::from(rssi.dbm()) + i16::from(config.rssi_correction_db);
        let lost_db = (i16::from(power_dbm) - corrected_dbm).max(0);
        Attenuation::from_db(u8::try_from(lost_db).unwrap_or(u8::MAX))
    };
    Some(AttenuationSummary {
        min: loss(max),
        mean: loss(mean),
        max: loss(min),
        basis,
    })
}

/// The losses over all frames of `sightings`; `None` if none is known.
pub(super) fn losses(sightings: &[CountedSighting]) -> Option<AttenuationSummary> {
    let known = || {
        sightings
            .iter()
            .filter_map(|s| Some((s.attenuation?, u64::from(s.frames.max(1)))))
    };
    let frames: u64 = known().map(|(_, frames)| frames).sum();
    let sum_db: u64 = known()
        .map(|(loss, frames)| u64::from(loss.mean.db()) * frames)
        .sum();
    let mean_db = (sum_db + frames / 2).checked_div(frames)?;
    Some(AttenuationSummary {
        min: known().map(|(loss, _)| loss.min).min()?,
        mean: Attenuation::from_db(u8::try_from(mean_db).ok()?),
        max: known().map(|(loss, _)| loss.max).max()?,
        basis: known()
            .map(|(loss, _)| loss.basis)
            .reduce(PowerBasis::weaker)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(first_s: u64, last_s: u64) -> CountedSighting {
        CountedSighting {
            first: Timestamp::from_unix_seconds(first_s),
            last: Timestamp::from_unix_seconds(last_s),
            frames: 1,
            rssi: None,
            tx_power_dbm: None,
            attenuation: None,
        }
    }

    fn together_s(sightings: &[CountedSighting]) -> u64 {
        time_together(sightings, Duration::from_secs(300)).as_secs()
    }

    #[test]
    fn gaps_up_to_five_minutes_count() {
        assert_eq!(together_s(&[counted(0, 30), counted(330, 360)]), 360);
        assert_eq!(together_s(&[counted(0, 30), counted(331, 360)]), 59);
    }

    #[test]
    fn overlapping_sightings_count_once() {
        let nested = [counted(0, 100), counted(10, 20), counted(50, 130)];
        assert_eq!(together_s(&nested), 130);
    }

    #[test]
    fn the_receivers_correction_lessens_the_loss() {
        let summary = |min, mean, max| {
            let [min, mean, max] = [min, mean, max].map(|dbm: i32| Rssi::from_dbm(dbm).unwrap());
            Some(RssiSummary { min, mean, max })
        };
        let losses = |correction_db, power_dbm| {
            let config = MatchConfig {
                rssi_correction_db: correction_db,
                ..MatchConfig::default()
            };
            let power = Some((power_dbm, PowerBasis::Assumed));
            let lost = loss(&config, summary(-80, -70, -60), power).unwrap();
            [lost.min, lost.mean, lost.max].map(Attenuation::db)
        };
        assert_eq!(losses(0, -20), [40, 50, 60]);
        assert_eq!(losses(5, -20), [35, 45, 55]);
        assert_eq!(losses(-5, -20), [45, 55, 65]);
        // Never negative, and never more than a byte.
        assert_eq!(losses(127, -20), [0, 0, 0]);
        assert_eq!(losses(-128, 127), [255, 255, 255]);

        let config = MatchConfig::default();
        assert_eq!(loss(&config, summary(-80, -70, -60), None), None);
        assert_eq!(loss(&config, None, Some((-20, PowerBasis::Assumed))), None);
    }

    #[test]
    fn one_frame_is_no_time() {
        assert_eq!(together_s(&[counted(5, 5)]), 0);
        assert_eq!(together_s(&[]), 0);
    }
}
