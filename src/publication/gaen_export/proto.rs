//! The messages of `export.bin` and `export.sig`, after google/exposure-notifications-server,
//! `internal/pb/export/export.proto` (proto2), as they are written, and the signatures as they are
//! read. The rest is read by a walk over its [`fields`](super::fields).

use prost::Message;

use super::ECDSA_WITH_SHA256;
use crate::protocol::gaen::{DiagnosisKey, ROLLING_PERIOD};
use crate::protocol::{InvalidKey, ReportType};
use crate::publication::signature::KeyName;

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
        DiagnosisKey::try_from(&message)?;
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
    use super::*;
    use crate::time::IntervalNumber;

    fn key(start: u32) -> DiagnosisKey {
        DiagnosisKey::new([7; 16], IntervalNumber(start), 144).unwrap()
    }

    #[test]
    fn keys_that_no_reader_takes_are_not_written() {
        assert!(TemporaryExposureKey::try_from(&key(1 << 31)).is_err());
        let mut level = key(0);
        level.transmission_risk = 9;
        assert!(TemporaryExposureKey::try_from(&level).is_err());
        let mut days = key(0);
        days.days_since_onset = Some(15);
        assert!(TemporaryExposureKey::try_from(&days).is_err());
    }

    #[test]
    fn days_are_zigzag() {
        let mut key = key(0);
        key.days_since_onset = Some(-14);
        let encoded = TemporaryExposureKey::try_from(&key)
            .unwrap()
            .encode_to_vec();
        assert_eq!(encoded[encoded.len() - 2..], [0x30, 27]);
    }
}
