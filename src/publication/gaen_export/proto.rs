//! The messages of `export.bin` and `export.sig`, after google/exposure-notifications-server,
//! `internal/pb/export/export.proto` (proto2). The two outer ones serve writing only; reading walks
//! their [`fields`](super::fields).

use prost::Message;

use super::ECDSA_WITH_SHA256;
use crate::protocol::gaen::{DiagnosisKey, ROLLING_PERIOD};
use crate::protocol::{InvalidKey, ReportType};
use crate::publication::signature::KeyName;
use crate::time::IntervalNumber;

/// Field numbers of TemporaryExposureKeyExport.
pub(super) const START_TIMESTAMP: u32 = 1;
pub(super) const END_TIMESTAMP: u32 = 2;
pub(super) const REGION: u32 = 3;
pub(super) const BATCH_NUM: u32 = 4;
pub(super) const BATCH_SIZE: u32 = 5;
pub(super) const KEYS: u32 = 7;
pub(super) const REVISED_KEYS: u32 = 8;

/// The one field of TEKSignatureList.
pub(super) const SIGNATURES: u32 = 1;

/// TemporaryExposureKeyExport, for writing.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TemporaryExposureKeyExport {
    #[prost(fixed64, optional, tag = "1")]
    pub(super) start_timestamp: Option<u64>,
    #[prost(fixed64, optional, tag = "2")]
    pub(super) end_timestamp: Option<u64>,
    #[prost(string, optional, tag = "3")]
    pub(super) region: Option<String>,
    #[prost(int32, optional, tag = "4")]
    pub(super) batch_num: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(super) batch_size: Option<i32>,
    #[prost(message, repeated, tag = "6")]
    pub(super) signature_infos: Vec<SignatureInfo>,
    #[prost(message, repeated, tag = "7")]
    pub(super) keys: Vec<TemporaryExposureKey>,
    #[prost(message, repeated, tag = "8")]
    pub(super) revised_keys: Vec<TemporaryExposureKey>,
}

/// Fields 1 and 2 are reserved: the app's names, which files of 2020 still hold.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SignatureInfo {
    #[prost(string, optional, tag = "3")]
    pub(super) verification_key_version: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(super) verification_key_id: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(super) signature_algorithm: Option<String>,
}

/// How a file names the key of a signature.
impl From<&KeyName> for SignatureInfo {
    fn from(name: &KeyName) -> Self {
        Self {
            verification_key_version: name.version.clone(),
            verification_key_id: name.id.clone(),
            signature_algorithm: Some(String::from(ECDSA_WITH_SHA256)),
        }
    }
}

/// Field 7 is reserved; 8 (`variant_of_concern`) says nothing about exposure and is skipped.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TemporaryExposureKey {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(super) key_data: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(super) transmission_risk_level: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) rolling_start_interval_number: Option<i32>,
    #[prost(int32, optional, tag = "4")]
    pub(super) rolling_period: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(super) report_type: Option<i32>,
    #[prost(sint32, optional, tag = "6")]
    pub(super) days_since_onset_of_symptoms: Option<i32>,
}

/// TEKSignatureList, for writing.
#[derive(Clone, PartialEq, Message)]
pub(super) struct TekSignatureList {
    #[prost(message, repeated, tag = "1")]
    pub(super) signatures: Vec<TekSignature>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TekSignature {
    #[prost(message, optional, tag = "1")]
    pub(super) signature_info: Option<SignatureInfo>,
    #[prost(int32, optional, tag = "2")]
    pub(super) batch_num: Option<i32>,
    #[prost(int32, optional, tag = "3")]
    pub(super) batch_size: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) signature: Option<Vec<u8>>,
}

impl TryFrom<TemporaryExposureKey> for DiagnosisKey {
    type Error = InvalidKey;

    fn try_from(message: TemporaryExposureKey) -> Result<Self, InvalidKey> {
        let bytes = message.key_data.unwrap_or_default();
        let key = <[u8; 16]>::try_from(bytes).map_err(|bytes| InvalidKey::KeyLength {
            expected: 16,
            got: bytes.len(),
        })?;
        let start = message.rolling_start_interval_number.unwrap_or_default();
        let start = u32::try_from(start).map_err(|_| InvalidKey::RollingStart {
            rolling_start: start as u32,
        })?;
        // A negative period comes out as one past every limit.
        let period = match message.rolling_period {
            Some(period) => period as u32,
            None => ROLLING_PERIOD,
        };
        let level = message.transmission_risk_level.unwrap_or_default();
        let transmission_risk = u8::try_from(level)
            .ok()
            .filter(|level| *level <= 8)
            .ok_or(InvalidKey::TransmissionRisk { level })?;
        let mut published = Self::new(key, IntervalNumber(start), period)?;
        published.transmission_risk = transmission_risk;
        published.report_type = report_type(message.report_type.unwrap_or_default());
        published.days_since_onset = message
            .days_since_onset_of_symptoms
            .map(days_since_onset)
            .transpose()?;
        Ok(published)
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

impl TryFrom<&DiagnosisKey> for TemporaryExposureKey {
    type Error = InvalidKey;

    fn try_from(key: &DiagnosisKey) -> Result<Self, InvalidKey> {
        // What is the default is left out, as Google's server does.
        let period = key.rolling_period();
        let report_type = report_number(key.report_type);
        let message = Self {
            key_data: Some(key.key().to_vec()),
            transmission_risk_level: Some(i32::from(key.transmission_risk)),
            rolling_start_interval_number: Some(key.rolling_start().0 as i32),
            rolling_period: (period != ROLLING_PERIOD).then_some(period as i32),
            report_type: (report_type != 0).then_some(report_type),
            days_since_onset_of_symptoms: key.days_since_onset.map(i32::from),
        };
        // Whoever may write a field may have written anything in it: what no reader would take is
        // not published.
        DiagnosisKey::try_from(message.clone())?;
        Ok(message)
    }
}

fn report_number(report_type: ReportType) -> i32 {
    match report_type {
        ReportType::Unknown => 0,
        ReportType::ConfirmedTest => 1,
        ReportType::ConfirmedClinicalDiagnosis => 2,
        ReportType::SelfReport => 3,
        ReportType::Recursive => 4,
        ReportType::Revoked => 5,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::{Fields, Value};
    use super::*;

    fn message() -> TemporaryExposureKey {
        TemporaryExposureKey {
            key_data: Some(vec![7; 16]),
            rolling_start_interval_number: Some(2_650_000),
            ..Default::default()
        }
    }

    fn refused(change: impl FnOnce(&mut TemporaryExposureKey)) -> InvalidKey {
        let mut message = message();
        change(&mut message);
        DiagnosisKey::try_from(message).unwrap_err()
    }

    #[test]
    fn defaults_of_proto2() {
        let key = DiagnosisKey::try_from(message()).unwrap();
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
    fn keys_that_no_reader_takes_are_not_written() {
        let key = |start| DiagnosisKey::new([7; 16], IntervalNumber(start), 144).unwrap();
        assert!(TemporaryExposureKey::try_from(&key(1 << 31)).is_err());
        let mut level = key(0);
        level.transmission_risk = 9;
        assert!(TemporaryExposureKey::try_from(&level).is_err());
        let mut days = key(0);
        days.days_since_onset = Some(15);
        assert!(TemporaryExposureKey::try_from(&days).is_err());
    }

    #[test]
    fn levels_out_of_range() {
        for level in [-1, 9, 256, i32::MIN] {
            assert_eq!(
                refused(|message| message.transmission_risk_level = Some(level)),
                InvalidKey::TransmissionRisk { level }
            );
        }
        for days in [-15, 15, 242, i32::MAX] {
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
    fn days_are_zigzag() {
        let mut key = message();
        key.days_since_onset_of_symptoms = Some(-14);
        let encoded = key.encode_to_vec();
        assert_eq!(encoded[encoded.len() - 2..], [0x30, 27]);
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
        assert_eq!(
            TemporaryExposureKey::decode(&encoded[..]).unwrap(),
            message()
        );
        assert_eq!(Fields::of(&encoded).map(Result::unwrap).count(), 7);
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
        /// The walk finds what the decoder finds, and nothing where it finds a fault.
        #[test]
        fn fields_of_any_message(message in any_message()) {
            let encoded = message.encode_to_vec();
            let mut decoded = TemporaryExposureKey::default();
            for field in Fields::of(&encoded) {
                let field = field.unwrap();
                let number = |value| match value {
                    Value::Varint(value) => Some(value as u32 as i32),
                    _ => None,
                };
                match (field.number, field.value) {
                    (1, Value::Bytes(key)) => decoded.key_data = Some(key.to_vec()),
                    (2, value) => decoded.transmission_risk_level = number(value),
                    (3, value) => decoded.rolling_start_interval_number = number(value),
                    (4, value) => decoded.rolling_period = number(value),
                    (5, value) => decoded.report_type = number(value),
                    (6, value) => {
                        let zigzag = number(value).unwrap() as u32;
                        let days = (zigzag >> 1) as i32 ^ -((zigzag & 1) as i32);
                        decoded.days_since_onset_of_symptoms = Some(days);
                    }
                    other => prop_assert!(false, "{other:?}"),
                }
            }
            prop_assert_eq!(decoded, message);
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
            let key = DiagnosisKey::try_from(message).unwrap();
            let written = TemporaryExposureKey::try_from(&key).unwrap();
            prop_assert_eq!(written.rolling_period.is_none(), period == 144);
            prop_assert_eq!(DiagnosisKey::try_from(written).unwrap(), key);
        }

        #[test]
        fn any_message_is_a_key_or_refused(message in any_message()) {
            let _ = DiagnosisKey::try_from(message);
        }
    }
}
