//! How near somebody was, and how sure that is, from what frames lost on their way and for how long.
//!
//! A body between two phones costs as much as several metres, so a loss is no distance. What it can
//! give is a distribution: of windows like this one, how many were within two metres. The constants are
//! fitted to recorded scenes, and docs/proximity.md has what they are worth in scenes that they were
//! not fitted to.

use crate::sighting::Attenuation;

/// Loss that [`ProximityModel`] counts from. Chosen: in the middle of what phones near each other lose.
const REFERENCE_DB: f64 = 60.0;

/// Time that [`ProximityModel`] counts from: about one pause between scans.
const REFERENCE_S: f64 = 240.0;

/// Less time than this counts as this: GAEN's resolution.
const SECONDS_MIN: f64 = 60.0;

/// More time than this counts as this: a GAEN window, and the recordings' length.
const SECONDS_MAX: f64 = 1_800.0;

/// Logistic quantile of 0.9: ln 9.
const LOGIT_90: f64 = 2.197_224_577_336_219_6;

/// The distance of a window, as a distribution: its logarithm is logistic.
///
/// The distance is the one that the window's time is half below and half above. `ln(distance)` has its
/// middle at `middle + per_10_db × (loss - 60 dB)/10 dB + per_doubling × log₂(time / 240 s)` and the scale
/// `spread`. The loss is the scans' median, weighted by their time: one scan with a hand around the
/// phone does not move it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProximityModel {
    /// Logarithm of the middle distance in metres, at 60 dB and four minutes.
    pub middle: f64,
    /// What 10 dB more add to it; not negative.
    pub per_10_db: f64,
    /// What twice the time adds to it; not positive: those who stay are near.
    pub per_doubling: f64,
    /// Scale of the logistic distribution; positive.
    pub spread: f64,
}

impl ProximityModel {
    /// Fitted to all six scenes of DP-3T's bt-measurements, experiment 34 (camera-measured distances of
    /// phones in pockets and hands); `cargo run --release -p truyvet-proximity -- --fit` prints it.
    pub const SCENES: Self = Self {
        middle: 0.913,
        per_10_db: 0.380,
        per_doubling: -0.142,
        spread: 0.307,
    };

    /// The distribution of a window's distance from its `scans`: what each lost typically, and the
    /// seconds it stands for. `None` without a scan.
    ///
    /// More loss is never nearer. A scan of no time weighs as one of a second. The time is held to
    /// 1 to 30 minutes, for which there are recordings.
    pub fn estimate(&self, scans: &[(Attenuation, u32)]) -> Option<Proximity> {
        let loss_db = f64::from(weighted_median(scans)?.db());
        let seconds: u64 = scans.iter().map(|(_, seconds)| u64::from(*seconds)).sum();
        let seconds = (seconds as f64).clamp(SECONDS_MIN, SECONDS_MAX);
        Some(Proximity {
            middle: self.middle
                + self.per_10_db * (loss_db - REFERENCE_DB) / 10.0
                + self.per_doubling * (seconds / REFERENCE_S).log2(),
            spread: self.spread,
        })
    }
}

/// The published constants.
impl Default for ProximityModel {
    fn default() -> Self {
        Self::SCENES
    }
}

/// A distance as a distribution; made by [`ProximityModel::estimate`] or [`LogDistance::estimate`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proximity {
    middle: f64,
    spread: f64,
}

impl Proximity {
    /// How probable it is that half the time or more was within `metres`, 0 to 1. It grows with `metres`;
    /// 0 for what is no distance.
    pub fn within(&self, metres: f64) -> f64 {
        // Also for NaN, which is greater than nothing.
        if metres > 0.0 {
            1.0 / (1.0 + (-(metres.ln() - self.middle) / self.spread).exp())
        } else {
            0.0
        }
    }

    /// The middle of the distribution, metres: as probably nearer as farther.
    pub fn distance_m(&self) -> f64 {
        self.middle.exp()
    }

    /// From where to where the distance lies with a probability of 80 %, metres; 10 % are nearer and
    /// 10 % farther.
    pub fn interval_80_m(&self) -> (f64, f64) {
        let reach = LOGIT_90 * self.spread;
        ((self.middle - reach).exp(), (self.middle + reach).exp())
    }
}

/// The textbook's law: a loss grows by `10 × exponent` dB with every tenfold distance.
///
/// Here to be compared with: it takes a loss for a distance. docs/proximity.md has both side by side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogDistance {
    /// Loss at one metre, dB.
    pub at_1_m_db: f64,
    /// 2 in free space; positive.
    pub exponent: f64,
    /// Standard deviation of the losses around the law, dB; positive.
    pub deviation_db: f64,
}

impl LogDistance {
    /// The least-squares fit to the same recordings as [`ProximityModel::SCENES`].
    pub const SCENES: Self = Self {
        at_1_m_db: 55.703,
        exponent: 0.976,
        deviation_db: 5.841,
    };

    /// The distribution that the law gives for the same median as [`ProximityModel::estimate`] takes;
    /// the time does not matter. `None` without a scan.
    pub fn estimate(&self, scans: &[(Attenuation, u32)]) -> Option<Proximity> {
        let loss_db = f64::from(weighted_median(scans)?.db());
        let db_per_e = 10.0 * self.exponent / std::f64::consts::LN_10;
        Some(Proximity {
            middle: (loss_db - self.at_1_m_db) / db_per_e,
            // A logistic distribution of scale s has the deviation s·π/√3.
            spread: self.deviation_db / db_per_e * 3_f64.sqrt() / std::f64::consts::PI,
        })
    }
}

/// The smallest loss that half the time or more had at most; `None` without a scan.
pub fn weighted_median(scans: &[(Attenuation, u32)]) -> Option<Attenuation> {
    let weight = |seconds: u32| u64::from(seconds.max(1));
    let total: u64 = scans.iter().map(|(_, seconds)| weight(*seconds)).sum();
    let mut by_loss = [0_u64; 256];
    for (loss, seconds) in scans {
        if let Some(time) = by_loss.get_mut(usize::from(loss.db())) {
            *time += weight(*seconds);
        }
    }
    let mut below = 0;
    (0..=u8::MAX)
        .zip(by_loss)
        .find(|(_, time)| {
            below += time;
            *time > 0 && 2 * below >= total
        })
        .map(|(db, _)| Attenuation::from_db(db))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scans(of: &[(u8, u32)]) -> Vec<(Attenuation, u32)> {
        of.iter()
            .map(|(db, seconds)| (Attenuation::from_db(*db), *seconds))
            .collect()
    }

    fn estimate(of: &[(u8, u32)]) -> Proximity {
        ProximityModel::SCENES.estimate(&scans(of)).unwrap()
    }

    #[test]
    fn nothing_heard_is_no_estimate() {
        assert_eq!(ProximityModel::SCENES.estimate(&[]), None);
        assert_eq!(LogDistance::SCENES.estimate(&[]), None);
        assert_eq!(weighted_median(&[]), None);
    }

    #[test]
    fn the_median_goes_by_time() {
        let median = |of: &[(u8, u32)]| weighted_median(&scans(of)).map(Attenuation::db);
        assert_eq!(median(&[(40, 60), (70, 300)]), Some(70));
        assert_eq!(median(&[(70, 60), (40, 300)]), Some(40));
        assert_eq!(median(&[(40, 300), (70, 300)]), Some(40));
        assert_eq!(median(&[(50, 0), (60, 0), (70, 0)]), Some(60));
        assert_eq!(median(&[(255, u32::MAX), (255, u32::MAX)]), Some(255));
    }

    #[test]
    fn no_distance_has_no_probability() {
        let near = estimate(&[(50, 600)]);
        for metres in [0.0, -0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
            assert_eq!(near.within(metres), 0.0, "{metres}");
        }
        assert_eq!(near.within(f64::INFINITY), 1.0);
    }

    #[test]
    fn the_law_says_its_distance() {
        let law = LogDistance {
            at_1_m_db: 50.0,
            exponent: 2.0,
            deviation_db: 6.0,
        };
        let found = law.estimate(&scans(&[(70, 60)])).unwrap();
        assert!((found.distance_m() - 10.0).abs() < 1e-9);
        assert!((law.estimate(&scans(&[(50, 60)])).unwrap().distance_m() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_hand_around_the_phone_in_one_scan_changes_nothing() {
        let steady = estimate(&[(55, 240), (55, 240), (55, 240)]);
        assert_eq!(steady, estimate(&[(55, 240), (85, 240), (55, 240)]));
    }

    proptest! {
        #[test]
        fn more_loss_is_never_nearer(
            losses in proptest::collection::vec((any::<u8>(), any::<u32>()), 1..12),
            which in any::<prop::sample::Index>(),
            more in any::<u8>(),
            metres in 0.1..50.0_f64,
        ) {
            let mut farther = losses.clone();
            let changed = which.index(losses.len());
            farther[changed].0 = farther[changed].0.saturating_add(more);
            let (near, far) = (estimate(&losses), estimate(&farther));
            prop_assert!(far.within(metres) <= near.within(metres));
            prop_assert!(far.distance_m() >= near.distance_m());
        }

        #[test]
        fn more_time_at_the_same_loss_is_never_farther(
            db in any::<u8>(), seconds in 0..4_000_u32, more in 0..4_000_u32, metres in 0.1..50.0_f64,
        ) {
            let (short, long) = (estimate(&[(db, seconds)]), estimate(&[(db, seconds + more)]));
            prop_assert!(long.within(metres) >= short.within(metres));
        }

        #[test]
        fn probabilities_and_intervals_agree(
            losses in proptest::collection::vec((any::<u8>(), any::<u32>()), 1..12),
            metres in 0.01..100.0_f64, more in 0.0..10.0_f64,
        ) {
            let found = estimate(&losses);
            prop_assert!((0.0..=1.0).contains(&found.within(metres)));
            prop_assert!(found.within(metres) <= found.within(metres + more));
            let (from, to) = found.interval_80_m();
            prop_assert!(from.is_finite() && to.is_finite() && from > 0.0);
            prop_assert!((found.within(from) - 0.1).abs() < 1e-9);
            prop_assert!((found.within(to) - 0.9).abs() < 1e-9);
            prop_assert!((found.within(found.distance_m()) - 0.5).abs() < 1e-9);
        }
    }
}
