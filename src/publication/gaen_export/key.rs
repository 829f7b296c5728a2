//! A key of an export, read from its message without a copy of anything.

use super::fields::{Fields, Value};
use super::proto::TemporaryExposureKey;
use crate::protocol::gaen::{DiagnosisKey, ROLLING_PERIOD};
use crate::protocol::{InvalidKey, ReportType};
use crate::time::IntervalNumber;

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyFault {
    /// It is no message of its kind.
    Malformed,
    /// It breaks a rule of the protocol.
    Invalid(InvalidKey),
}

impl From<InvalidKey> for KeyFault {
    fn from(source: InvalidKey) -> Self {
        Self::Invalid(source)
    }
}

/// The fields of a TemporaryExposureKey, right or wrong. Absent numbers are 0, as in proto2; of a
/// field that stands twice the last counts.
#[derive(Clone, Copy, Default)]
struct KeyFields<'a> {
    key_data: &'a [u8],
    transmission_risk_level: i32,
    rolling_start: i32,
    rolling_period: Option<i32>,
    report_type: i32,
    days_since_onset: Option<i32>,
}

/// The key in `message`. Field 7 is reserved; 8 (`variant_of_concern`) says nothing about exposure and
/// is skipped, as is what a later version may add.
pub(super) fn decode(message: &[u8]) -> Result<DiagnosisKey, KeyFault> {
    let mut fields = KeyFields::default();
    for field in Fields::of(message) {
        let field = field.map_err(|_| KeyFault::Malformed)?;
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => fields.key_data = bytes,
            // An int32 is the low half of its varint.
            (2, Value::Varint(number)) => fields.transmission_risk_level = number as i32,
            (3, Value::Varint(number)) => fields.rolling_start = number as i32,
            (4, Value::Varint(number)) => fields.rolling_period = Some(number as i32),
            (5, Value::Varint(number)) => fields.report_type = number as i32,
            (6, Value::Varint(number)) => fields.days_since_onset = Some(zigzag(number as u32)),
            (1..=6, _) => return Err(KeyFault::Malformed),
            _ => {}
        }
    }
    Ok(fields.try_into()?)
}

/// A sint32: 0, -1, 1, -2, …
fn zigzag(number: u32) -> i32 {
    (number >> 1) as i32 ^ -((number & 1) as i32)
}

impl TryFrom<KeyFields<'_>> for DiagnosisKey {
    type Error = InvalidKey;

    fn try_from(fields: KeyFields<'_>) -> Result<Self, InvalidKey> {
        let key = <[u8; 16]>::try_from(fields.key_data).map_err(|_| InvalidKey::KeyLength {
            expected: 16,
            got: fields.key_data.len(),
        })?;
        let start = u32::try_from(fields.rolling_start).map_err(|_| InvalidKey::RollingStart {
            rolling_start: fields.rolling_start as u32,
        })?;
        // A negative period comes out as one past every limit.
        let period = match fields.rolling_period {
            Some(period) => period as u32,
            None => ROLLING_PERIOD,
        };
        let level = fields.transmission_risk_level;
        let transmission_risk = u8::try_from(level)
            .ok()
            .filter(|level| *level <= 8)
            .ok_or(InvalidKey::TransmissionRisk { level })?;
        let mut published = Self::new(key, IntervalNumber(start), period)?;
        published.transmission_risk = transmission_risk;
        published.report_type = report_type(fields.report_type);
        published.days_since_onset = fields.days_since_onset.map(days_since_onset).transpose()?;
        Ok(published)
    }
}

/// A key as it would be read, to find before it is written that no reader would take it.
impl TryFrom<&TemporaryExposureKey> for DiagnosisKey {
    type Error = InvalidKey;

    fn try_from(message: &TemporaryExposureKey) -> Result<Self, InvalidKey> {
        let fields = KeyFields {
            key_data: message.key_data.as_deref().unwrap_or_default(),
            transmission_risk_level: message.transmission_risk_level.unwrap_or_default(),
            rolling_start: message.rolling_start_interval_number.unwrap_or_default(),
            rolling_period: message.rolling_period,
            report_type: message.report_type.unwrap_or_default(),
            days_since_onset: message.days_since_onset_of_symptoms,
        };
        fields.try_into()
    }
}

/// A number that a later version may add is a report of unknown type, not a fault.
fn report_type(number: i32) -> ReportType {
    match number {
        1 => ReportType::ConfirmedTest,
        2 => ReportType::ConfirmedClinicalDiagnosis,
        3 => ReportType::SelfReport,
        4 => ReportType::Recursive,
        5 => ReportType::Revoked,
        _ => ReportType::Unknown,
    }
}

fn days_since_onset(days: i32) -> Result<i8, InvalidKey> {
    i8::try_from(days)
        .ok()
        .filter(|days| (-14..=14).contains(days))
        .ok_or(InvalidKey::DaysSinceOnset { days })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    fn message() -> TemporaryExposureKey {
        TemporaryExposureKey {
            key_data: Some(vec![7; 16]),
            rolling_start_interval_number: Some(2_650_000),
            ..Default::default()
        }
    }

    /// A key by both ways in: its encoding, and the message before it is written.
    fn read(message: &TemporaryExposureKey) -> Result<DiagnosisKey, InvalidKey> {
        let direct = DiagnosisKey::try_from(message);
        let decoded = decode(&message.encode_to_vec());
        assert_eq!(decoded, direct.clone().map_err(KeyFault::Invalid));
        direct
    }

    fn refused(change: impl FnOnce(&mut TemporaryExposureKey)) -> InvalidKey {
        let mut message = message();
        change(&mut message);
        read(&message).unwrap_err()
    }

    #[test]
    fn defaults_of_proto2() {
        let key = read(&message()).unwrap();
        assert_eq!(key.rolling_period(), 144);
        assert_eq!(key.transmission_risk, 0);
        assert_eq!(key.report_type, ReportType::Unknown);
        assert_eq!(key.days_since_onset, None);
    }

    #[test]
    fn rolling_period_zero() {
        for (period, rolling_period) in [(0, 0), (145, 145), (-1, u32::MAX)] {
            assert_eq!(
                refused(|message| message.rolling_period = Some(period)),
                InvalidKey::RollingPeriod { rolling_period }
            );
        }
    }

    #[test]
    fn key_of_15_bytes() {
        for got in [0, 15, 17, 32] {
            let expected = 16;
            assert_eq!(
                refused(|message| message.key_data = Some(vec![0; got])),
                InvalidKey::KeyLength { expected, got }
            );
        }
        assert_eq!(
            refused(|message| message.key_data = None),
            InvalidKey::KeyLength {
                expected: 16,
                got: 0
            }
        );
    }

    #[test]
    fn rolling_start_negative() {
        for start in [-1, -145, i32::MIN] {
            let rolling_start = start as u32;
            assert_eq!(
                refused(|message| message.rolling_start_interval_number = Some(start)),
                InvalidKey::RollingStart { rolling_start }
            );
        }
    }

    #[test]
    fn levels_out_of_range() {
        for level in [-1, 9, 256, i32::MIN] {
            assert_eq!(
                refused(|message| message.transmission_risk_level = Some(level)),
                InvalidKey::TransmissionRisk { level }
            );
        }
        for days in [-15, 15, 242, i32::MAX, i32::MIN] {
            assert_eq!(
                refused(|message| message.days_since_onset_of_symptoms = Some(days)),
                InvalidKey::DaysSinceOnset { days }
            );
        }
    }

    #[test]
    fn report_types_to_come_are_unknown() {
        for number in [-1, 0, 6, i32::MAX] {
            assert_eq!(report_type(number), ReportType::Unknown);
        }
    }

    #[test]
    fn the_last_of_a_repeated_field_counts() {
        let mut encoded = message().encode_to_vec();
        encoded.extend([0x20, 1, 0x20, 2, 0x28, 5, 0x28, 1]);
        let key = decode(&encoded).unwrap();
        assert_eq!(key.rolling_period(), 2);
        assert_eq!(key.report_type, ReportType::ConfirmedTest);
    }

    #[test]
    fn fields_of_another_wire_type_are_malformed() {
        for wrong in [
            &[0x08, 1][..],
            &[0x12, 0],
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x25, 1, 2, 3, 4],
            &[0x2A, 1, 1],
            &[0x32, 0],
        ] {
            let encoded = [&message().encode_to_vec()[..], wrong].concat();
            assert_eq!(decode(&encoded), Err(KeyFault::Malformed), "{wrong:?}");
        }
    }

    #[test]
    fn unknown_fields_are_skipped() {
        let mut encoded = message().encode_to_vec();
        // variant_of_concern = 2, then field 100 of each wire type.
        encoded.extend([0x40, 2]);
        encoded.extend([0xA0, 6, 1]);
        encoded.extend([0xA1, 6, 1, 2, 3, 4, 5, 6, 7, 8]);
        encoded.extend([0xA2, 6, 2, 1, 2]);
        encoded.extend([0xA5, 6, 1, 2, 3, 4]);
        assert_eq!(decode(&encoded), Ok(read(&message()).unwrap()));
    }

    prop_compose! {
        fn any_message()(
            key in prop::option::of(prop::collection::vec(any::<u8>(), 15..18)),
            level: Option<i32>,
            start: Option<i32>,
            period: Option<i32>,
            report: Option<i32>,
            days: Option<i32>,
        ) -> TemporaryExposureKey {
            TemporaryExposureKey {
                key_data: key,
                transmission_risk_level: level,
                rolling_start_interval_number: start,
                rolling_period: period,
                report_type: report,
                days_since_onset_of_symptoms: days,
            }
        }
    }

    proptest! {
        /// What prost decodes is what is decoded here; groups, which the format never had, are refused.
        #[test]
        fn prost_reads_the_same(
            message in any_message(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        ) {
            let mut encoded = message.encode_to_vec();
            for (at, byte) in changes {
                if !encoded.is_empty() {
                    *at.get_mut(&mut encoded) = byte;
                }
            }
            match (decode(&encoded), TemporaryExposureKey::decode(&encoded[..])) {
                (Err(KeyFault::Malformed), _) => {}
                (found, Ok(expected)) => {
                    let expected = DiagnosisKey::try_from(&expected);
                    prop_assert_eq!(found, expected.map_err(KeyFault::Invalid));
                }
                (found, Err(error)) => prop_assert!(false, "{:?} {}", found, error),
            }
        }

        #[test]
        fn any_message_is_a_key_or_refused(message in any_message()) {
            let _ = read(&message);
        }

        /// A message either breaks a rule or is a key that is written as it was read.
        #[test]
        fn keys_survive(
            key: [u8; 16],
            start in 0..=i32::MAX,
            period in 1..=144i32,
            level in 0..=8i32,
            report in 0..=5i32,
            days in prop::option::of(-14..=14i32),
        ) {
            let message = TemporaryExposureKey {
                key_data: Some(key.to_vec()),
                transmission_risk_level: Some(level),
                rolling_start_interval_number: Some(start),
                rolling_period: Some(period),
                report_type: Some(report),
                days_since_onset_of_symptoms: days,
            };
            let key = read(&message).unwrap();
            let written = TemporaryExposureKey::try_from(&key).unwrap();
            prop_assert_eq!(written.rolling_period.is_none(), period == 144);
            prop_assert_eq!(read(&written).unwrap(), key);
        }
    }
}
