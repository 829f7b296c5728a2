//! What a phone's model is known to add to the strengths it measures.

use super::CalibrationConfidence;
use crate::sighting::{Attenuation, Rssi};

/// Google's list: Apache-2.0 AND CC-BY-4.0, by Google; its head says where it is from.
const LIST: &str = include_str!("calibration.csv");

/// A model's correction and power, of Google's list of 551 models of December 2020.
///
/// Phones differ: the corrections reach from -29 to 23 dB. Read each value together with its
/// confidence; one that is not [`CalibrationConfidence::High`] is an average, and what it is the
/// average of lies several dB apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Calibration {
    /// To be added to what the phone measures, dB.
    pub rssi_correction_db: i8,
    /// Power at the phone's antenna when it advertises as GAEN does (Android's "low"), dBm.
    pub tx_power_dbm: i8,
    /// How the values were found.
    pub confidence: CalibrationConfidence,
}

impl Calibration {
    /// What is known of a phone by its `maker`, `device` and `model`, as Android names them
    /// (`Build.MANUFACTURER`, `DEVICE`, `MODEL`; capitals do not matter).
    ///
    /// Falls back, each step with less confidence: the listed phone; the mean over those of the same
    /// device or model, whoever is named as their maker; the mean over the maker's; the mean over all.
    /// The steps are microG's (GmsCore, `DeviceInfo.kt`). Reads through the list each time: once when an
    /// app starts, not for each frame.
    pub fn of(maker: &str, device: &str, model: &str) -> Self {
        let mut levels = [Mean::default(); 4];
        for listed in listed() {
            let same_maker = listed.maker.eq_ignore_ascii_case(maker);
            let same_device = listed.device.eq_ignore_ascii_case(device);
            let same_model = listed.model.eq_ignore_ascii_case(model);
            let counts = [
                same_maker && same_device && same_model,
                same_device || same_model,
                same_maker,
                true,
            ];
            for (level, _) in levels.iter_mut().zip(counts).filter(|(_, counts)| *counts) {
                level.add(&listed);
            }
        }
        let confidences = [
            CalibrationConfidence::High,
            CalibrationConfidence::Medium,
            CalibrationConfidence::Low,
            CalibrationConfidence::Lowest,
        ];
        levels
            .iter()
            .zip(confidences)
            .find_map(|(level, confidence)| level.calibration(confidence))
            .unwrap_or(Self::UNLISTED)
    }

    /// The list is not empty, so this stands for nothing that happens; the tests hold it to the mean.
    const UNLISTED: Self = Self {
        rssi_correction_db: 4,
        tx_power_dbm: -25,
        confidence: CalibrationConfidence::Lowest,
    };

    /// `rssi` as the list's reference phone would have measured it; held within what an [`Rssi`] can be.
    pub fn corrected(&self, rssi: Rssi) -> Rssi {
        let dbm = i32::from(rssi.dbm()) + i32::from(self.rssi_correction_db);
        Rssi::from_dbm(dbm.clamp(-127, 20)).unwrap_or(rssi)
    }

    /// What a frame lost that was sent with `tx_power_dbm` and that this phone measured as `rssi`.
    pub fn attenuation(&self, tx_power_dbm: i8, rssi: Rssi) -> Attenuation {
        Attenuation::between(tx_power_dbm, self.corrected(rssi))
    }
}

/// A line of the list.
struct Listed {
    maker: &'static str,
    device: &'static str,
    model: &'static str,
    rssi_correction_db: i8,
    tx_power_dbm: i8,
}

fn listed() -> impl Iterator<Item = Listed> {
    LIST.lines().filter_map(Listed::from_line)
}

impl Listed {
    /// `None` for the list's head.
    fn from_line(line: &'static str) -> Option<Self> {
        let mut cells = line.split(',');
        Some(Self {
            maker: cells.next()?,
            device: cells.next()?,
            model: cells.next()?,
            rssi_correction_db: cells.next()?.parse().ok()?,
            tx_power_dbm: cells.next()?.parse().ok()?,
        })
    }
}

/// Of the phones at one level of the fallback.
#[derive(Clone, Copy, Default)]
struct Mean {
    phones: i32,
    rssi_correction_db: i32,
    tx_power_dbm: i32,
}

impl Mean {
    fn add(&mut self, listed: &Listed) {
        self.phones += 1;
        self.rssi_correction_db += i32::from(listed.rssi_correction_db);
        self.tx_power_dbm += i32::from(listed.tx_power_dbm);
    }

    /// `None` without a phone.
    fn calibration(&self, confidence: CalibrationConfidence) -> Option<Calibration> {
        Some(Calibration {
            rssi_correction_db: self.rounded(self.rssi_correction_db)?,
            tx_power_dbm: self.rounded(self.tx_power_dbm)?,
            confidence,
        })
    }

    /// To the nearest; halves go up.
    fn rounded(&self, sum: i32) -> Option<i8> {
        let rounded = (2 * sum + self.phones).checked_div_euclid(2 * self.phones)?;
        i8::try_from(rounded).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(calibration: Calibration) -> (i8, i8, CalibrationConfidence) {
        (
            calibration.rssi_correction_db,
            calibration.tx_power_dbm,
            calibration.confidence,
        )
    }

    #[test]
    fn every_line_of_the_list_is_read() {
        let phones: Vec<_> = listed().collect();
        assert_eq!(phones.len(), 551);
        let lines = LIST.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, 552, "its head and the phones");
        let corrections = phones.iter().map(|phone| phone.rssi_correction_db);
        let powers = phones.iter().map(|phone| phone.tx_power_dbm);
        assert_eq!(
            (corrections.clone().min(), corrections.max()),
            (Some(-29), Some(23))
        );
        assert_eq!((powers.clone().min(), powers.max()), (Some(-47), Some(2)));
    }

    #[test]
    fn each_listed_phone_has_its_own_values() {
        let mut names: Vec<_> = listed()
            .map(|phone| [phone.maker, phone.device, phone.model].map(str::to_ascii_lowercase))
            .collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a phone is listed once");
        for phone in listed() {
            let found = Calibration::of(phone.maker, phone.device, phone.model);
            let expected = (
                phone.rssi_correction_db,
                phone.tx_power_dbm,
                CalibrationConfidence::High,
            );
            assert_eq!(values(found), expected, "{}", phone.model);
        }
    }

    #[test]
    fn capitals_do_not_matter() {
        let found = Calibration::of("Samsung", "BEYOND1", "sm-g973f");
        assert_eq!(values(found), (2, -29, CalibrationConfidence::High));
    }

    #[test]
    fn confidence_falls_with_each_step_back() {
        // A Galaxy S10 sold elsewhere: the same device by another model.
        let alike = Calibration::of("samsung", "beyond1", "SM-G973X");
        assert_eq!(values(alike), (2, -29, CalibrationConfidence::Medium));
        let maker = Calibration::of("samsung", "unheard", "of");
        assert_eq!(maker.confidence, CalibrationConfidence::Low);
        let all = Calibration::of("nobody", "unheard", "of");
        assert_eq!(all.confidence, CalibrationConfidence::Lowest);
        assert_eq!(values(all), values(Calibration::UNLISTED));
        assert_eq!(values(Calibration::of("", "", "")), values(all));
    }

    #[test]
    fn system_that_names_another_maker() {
        let found = Calibration::of("lineage", "beyond1", "SM-G973F");
        assert_eq!(values(found), (2, -29, CalibrationConfidence::Medium));
    }

    #[test]
    fn means_are_rounded_to_the_nearest() {
        let mean = |corrections: &[i8]| {
            let mut mean = Mean::default();
            for correction in corrections {
                mean.add(&Listed {
                    maker: "",
                    device: "",
                    model: "",
                    rssi_correction_db: *correction,
                    tx_power_dbm: 0,
                });
            }
            let found = mean.calibration(CalibrationConfidence::Low);
            found.map(|calibration| calibration.rssi_correction_db)
        };
        assert_eq!(mean(&[]), None);
        assert_eq!(mean(&[3, 4]), Some(4));
        assert_eq!(mean(&[-3, -4]), Some(-3));
        assert_eq!(mean(&[-4, -4, -3]), Some(-4));
        assert_eq!(mean(&[127, 127, 127]), Some(127));
        assert_eq!(mean(&[-128, -128]), Some(-128));
    }

    #[test]
    fn corrected_strengths_stay_strengths() {
        let calibration = |rssi_correction_db| Calibration {
            rssi_correction_db,
            tx_power_dbm: -20,
            confidence: CalibrationConfidence::High,
        };
        let rssi = |dbm: i32| Rssi::from_dbm(dbm).unwrap();
        assert_eq!(calibration(5).corrected(rssi(-90)), rssi(-85));
        assert_eq!(calibration(-29).corrected(rssi(-120)), rssi(-127));
        assert_eq!(calibration(23).corrected(rssi(10)), rssi(20));
        assert_eq!(calibration(5).attenuation(-24, rssi(-90)).db(), 61);
    }
}
