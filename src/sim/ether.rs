//! What becomes of a frame on its way.

use super::outcome::Parameter;
use super::random::{Stream, purpose};
use super::scenario::{SimError, parameter, within};
use crate::exposure::LogDistance;
use crate::protocol::ProtocolKind;

/// Of a jitter that the specification adds to each interval (Bluetooth Core Specification 5.4, Vol. 6, Part B,
/// 4.4.2.2.1), ms.
const JITTER_MS: f32 = 10.0;

/// What becomes of a frame on its way: it loses strength with distance and in bodies, fades, and may meet another.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ether {
    /// Power at the antenna of devices that speak Bluezone, dBm.
    pub bluezone_power_dbm: i8,
    /// Of those that speak GAEN, dBm; they tell it.
    pub gaen_power_dbm: i8,
    /// Loss at one metre, dB.
    pub loss_at_1_m_db: f64,
    /// The loss grows by ten times this with every tenfold distance, dB.
    pub exponent: f64,
    /// What bodies between two people add in one meeting, standard deviation, dB.
    pub shadowing_db: f64,
    /// What each frame adds to that, standard deviation, dB.
    pub fading_db: f64,
    /// The weakest frame heard, dBm.
    pub sensitivity_dbm: f64,
    /// Farther than this nobody is heard, m.
    pub range_m: f64,
    /// How long a frame takes on one channel, ms.
    pub airtime_ms: f64,
}

impl Default for Ether {
    fn default() -> Self {
        let fit = LogDistance::SCENES;
        Self {
            bluezone_power_dbm: -15,
            gaen_power_dbm: -26,
            loss_at_1_m_db: fit.at_1_m_db,
            exponent: fit.exponent,
            shadowing_db: fit.deviation_db,
            fading_db: 4.7,
            sensitivity_dbm: -101.0,
            range_m: 30.0,
            airtime_ms: 0.376,
        }
    }
}

/// How a frame that comes again and again is heard by somebody.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reception {
    /// Without the fading of each frame, dBm.
    pub(super) mean_dbm: f32,
    /// Chance that a frame meets no other.
    pub(super) clear: f32,
    /// Between two frames, before the jitter, ms.
    pub(super) interval_ms: f32,
}

impl Ether {
    pub(super) fn power_dbm(&self, protocol: ProtocolKind) -> i8 {
        match protocol {
            ProtocolKind::Bluezone => self.bluezone_power_dbm,
            ProtocolKind::Gaen => self.gaen_power_dbm,
        }
    }

    /// Strength at `distance_m` without anybody between, dBm.
    pub(super) fn strength_dbm(&self, distance_m: f64, protocol: ProtocolKind) -> f64 {
        // Nearer than two phones in two pockets are.
        let loss = self.loss_at_1_m_db + 10.0 * self.exponent * distance_m.max(0.2).log10();
        f64::from(self.power_dbm(protocol)) - loss
    }

    /// What stands for a distance where a rule asks for a strength: frames above it are near.
    pub(super) fn threshold_dbm(&self, distance_m: f64, protocol: ProtocolKind) -> i8 {
        self.strength_dbm(distance_m, protocol).floor() as i8
    }

    /// What bodies take or give in one meeting of two people.
    pub(super) fn shadow_db(&self, seed: u64, pair: (u32, u32), meeting: u64) -> f64 {
        let pair = u64::from(pair.0) << 32 | u64::from(pair.1);
        self.shadowing_db * Stream::of(seed, purpose::SHADOW, pair, meeting).normal()
    }

    /// Chance that a frame meets none of `frames_per_s` others on its channel: either of two that overlap is lost
    /// (Abramson, The ALOHA System, 1970).
    pub(super) fn clear(&self, frames_per_s: f64) -> f32 {
        (-2.0 * self.airtime_ms / 1_000.0 * frames_per_s).exp() as f32
    }

    /// The frames heard of a sender from `from_ms` to `to_ms`: an advertisement goes out on all three channels, and the
    /// scanner listens on one of them.
    pub(super) fn frames(
        &self,
        stream: &mut Stream,
        (from_ms, to_ms): (u32, u32),
        reception: Reception,
        mut each: impl FnMut(u32, i8),
    ) {
        let length = (to_ms.saturating_sub(from_ms)) as f32;
        let mut at = stream.uniform() as f32 * reception.interval_ms;
        while at < length {
            if let Some(dbm) = self.frame(stream, reception) {
                each(from_ms + at as u32, dbm);
            }
            at += reception.interval_ms + JITTER_MS * stream.uniform() as f32;
        }
    }

    /// One frame's strength; `None` if it is not heard.
    pub(super) fn frame(&self, stream: &mut Stream, reception: Reception) -> Option<i8> {
        if stream.uniform() as f32 >= reception.clear {
            return None;
        }
        let dbm = reception.mean_dbm + self.fading_db as f32 * stream.noise();
        (dbm >= self.sensitivity_dbm as f32).then(|| dbm.round().clamp(-127.0, 20.0) as i8)
    }

    pub(super) fn check(&self) -> Result<(), SimError> {
        within("dB of loss at a metre", self.loss_at_1_m_db, 0.0, 120.0)?;
        within("an exponent of path loss", self.exponent, 0.0, 6.0)?;
        within("dB of shadowing", self.shadowing_db, 0.0, 30.0)?;
        within("dB of fading", self.fading_db, 0.0, 30.0)?;
        within("dBm of sensitivity", self.sensitivity_dbm, -127.0, 0.0)?;
        within("metres of range", self.range_m, 1.0, 1_000.0)?;
        within("ms on the air", self.airtime_ms, 0.08, 10.0)
    }

    pub(super) fn parameters(&self, all: &mut Vec<Parameter>) {
        all.push(parameter(
            "power at the antenna",
            format!(
                "Bluezone {} dBm, GAEN {} dBm",
                self.bluezone_power_dbm, self.gaen_power_dbm
            ),
            "Android's low power, which Bluezone asks for; the median of Google's calibration list of 2020-12-14",
        ));
        all.push(parameter(
            "loss on the way",
            format!(
                "{} dB at 1 m, exponent {}",
                self.loss_at_1_m_db, self.exponent
            ),
            "LogDistance::SCENES: fitted to DP-3T's experiment 34, phones in pockets and hands among people",
        ));
        all.push(parameter(
            "shadowing by bodies, of a meeting",
            format!("{} dB", self.shadowing_db),
            "the same fit's deviation of windows",
        ));
        all.push(parameter(
            "fading of each frame",
            format!("{} dB", self.fading_db),
            "so that both together are the 7.5 dB that single beacons of experiment 34 deviate by",
        ));
        all.push(parameter(
            "sensitivity",
            format!("{} dBm", self.sensitivity_dbm),
            "the weakest sighting in the GAEN databases that were looked at",
        ));
        all.push(parameter(
            "range",
            format!("{} m, within one place", self.range_m),
            "chosen: walls end a place, and no place of the town is larger",
        ));
        all.push(parameter(
            "time on a channel",
            format!("{} ms", self.airtime_ms),
            "Bluetooth Core Specification 5.4: 47 bytes at 1 Mbit/s; frames that overlap are lost (ALOHA)",
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Reception = Reception {
        mean_dbm: -60.0,
        clear: 1.0,
        interval_ms: 270.0,
    };

    fn count(to_ms: u32, reception: Reception) -> usize {
        let (mut stream, mut frames) = (Stream::of(1, 0, 0, 0), 0);
        Ether::default().frames(&mut stream, (0, to_ms), reception, |at, _| {
            assert!(at < to_ms);
            frames += 1;
        });
        frames
    }

    #[test]
    fn frames_come_at_the_interval_and_its_jitter() {
        let frames = count(275_000, NEAR);
        assert!((990..=1_010).contains(&frames), "{frames}");
    }

    #[test]
    fn frames_that_meet_others_are_lost() {
        let clear = Ether::default().clear(1_000.0);
        assert!((0.46..0.48).contains(&clear), "{clear}");
        let frames = count(275_000, Reception { clear, ..NEAR });
        assert!((420..=520).contains(&frames), "{frames}");
        assert_eq!(Ether::default().clear(0.0), 1.0);
    }

    #[test]
    fn what_is_too_weak_is_not_heard() {
        let weak = Reception {
            mean_dbm: -130.0,
            ..NEAR
        };
        assert_eq!(count(100_000, weak), 0);
    }

    #[test]
    fn shadowing_and_fading_together_are_the_facts() {
        let ether = Ether::default();
        let together = ether.shadowing_db.hypot(ether.fading_db);
        assert!((together - 7.5).abs() < 0.05, "{together}");
    }

    #[test]
    fn a_meeting_has_one_shadow_for_both() {
        let ether = Ether::default();
        assert_eq!(ether.shadow_db(1, (2, 3), 4), ether.shadow_db(1, (2, 3), 4));
        assert_ne!(ether.shadow_db(1, (2, 3), 4), ether.shadow_db(1, (2, 3), 5));
    }
}
