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
    let mut losses = Losses::default();
    let counted: Vec<CountedSighting> = sightings
        .iter()
        .map(|sighting| {
            let power = power(config, key, sighting);
            losses.add(sighting, power);
            CountedSighting {
                first: sighting.first,
                last: sighting.last,
                frames: sighting.frames,
                rssi: sighting.rssi,
                tx_power_dbm: power.map(|(dbm, _)| dbm),
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
        attenuation: losses.summary(),
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
fn time_together(sightings: &[CountedSighting], gap_max: Duration) -> Duration {
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

fn strengths(sightings: &[CountedSighting]) -> Option<RssiSummary> {
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

/// Losses of a day's frames.
#[derive(Default)]
struct Losses {
    min: Option<Attenuation>,
    max: Option<Attenuation>,
    weighted_db: u64,
    frames: u64,
    basis: Option<PowerBasis>,
}

impl Losses {
    fn add(&mut self, sighting: &Sighting, power: Option<(i8, PowerBasis)>) {
        let (Some(rssi), Some((power_dbm, basis))) = (sighting.rssi, power) else {
            return;
        };
        let loss = |rssi| Attenuation::between(power_dbm, rssi);
        self.min = self.min.into_iter().chain([loss(rssi.max)]).min();
        self.max = self.max.max(Some(loss(rssi.min)));
        self.weighted_db += u64::from(loss(rssi.mean).db()) * u64::from(sighting.frames);
        self.frames += u64::from(sighting.frames);
        self.basis = Some(match (self.basis, basis) {
            // A day is known no better than its least known sighting.
            (
                Some(PowerBasis::Advertised { confidence: a }),
                PowerBasis::Advertised { confidence: b },
            ) => PowerBasis::Advertised {
                confidence: a.min(b),
            },
            (_, basis) => basis,
        });
    }

    fn summary(self) -> Option<AttenuationSummary> {
        let mean = (self.weighted_db + self.frames / 2).checked_div(self.frames)?;
        Some(AttenuationSummary {
            min: self.min?,
            mean: Attenuation::from_db(u8::try_from(mean).ok()?),
            max: self.max?,
            basis: self.basis?,
        })
    }
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
    fn one_frame_is_no_time() {
        assert_eq!(together_s(&[counted(5, 5)]), 0);
        assert_eq!(together_s(&[]), 0);
    }
}
