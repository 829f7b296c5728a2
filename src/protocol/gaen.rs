//! Google/Apple Exposure Notification, Cryptography Specification v1.2 and Bluetooth Specification
//! v1.2.
//!
//! ```text
//! TEK      16 random bytes for the UTC day                 Temporary Exposure Key
//! RPIK     = HKDF(TEK, NULL, "EN-RPIK", 16)
//! RPI(j)   = AES128(RPIK, "EN-RPI" || 0x000000000000 || ENIN(j) little-endian)
//! AEMK     = HKDF(TEK, NULL, "EN-AEMK", 16)
//! AEM      = AES128-CTR(AEMK, RPI, metadata)              4 bytes: one block's first four
//! ENIN     = floor(Unix seconds / 600)
//! ```

use std::time::Duration;

pub use crate::time::IntervalNumber;

use super::form::long_service;
use super::{Candidate, FrameError, Heard, InvalidKey, MalformedFrame, ProtocolKind, ReportType};
use crate::advertisement::{Advertisement, uuid_from_u16};
use crate::crypto::{Aes128Key, CryptoError, hkdf_sha256};
use crate::secret::Secret;
use crate::sighting::Source;

/// TEKRollingPeriod: the intervals one TEK is valid for, 24 hours.
pub const ROLLING_PERIOD: u32 = 144;

/// How far outside its interval an identifier may be heard and still match: 12 intervals, two hours
/// (Google's matcher and Apple's alike).
pub const TOLERANCE: Duration = Duration::from_secs(12 * 600);

/// The service UUID that the Bluetooth SIG assigned to Exposure Notification.
pub const SERVICE: u16 = 0xFD6F;

/// LE General Discoverable, simultaneous LE and BR/EDR (controller and host): what the
/// specification's frame shows.
const FLAGS: u8 = 0x1A;

/// A Temporary Exposure Key: the secret from which one day's identifiers come.
#[derive(Debug)]
pub struct TemporaryExposureKey(Secret<16>);

impl TemporaryExposureKey {
    /// The key with these bytes.
    pub fn new(secret: Secret<16>) -> Self {
        Self(secret)
    }

    /// The bytes, as an authority publishes them.
    pub fn secret(&self) -> &Secret<16> {
        &self.0
    }

    /// RPIK, from which the identifiers come.
    ///
    /// # Errors
    ///
    /// [`FrameError::Derivation`] if the system's HKDF fails, which it does for no input known.
    pub fn rolling_proximity_identifier_key(
        &self,
    ) -> Result<RollingProximityIdentifierKey, FrameError> {
        Ok(RollingProximityIdentifierKey(self.derive(b"EN-RPIK")?))
    }

    /// AEMK, which encrypts the metadata.
    ///
    /// # Errors
    ///
    /// As [`rolling_proximity_identifier_key`](Self::rolling_proximity_identifier_key).
    pub fn associated_encrypted_metadata_key(
        &self,
    ) -> Result<AssociatedEncryptedMetadataKey, FrameError> {
        Ok(AssociatedEncryptedMetadataKey(self.derive(b"EN-AEMK")?))
    }

    fn derive(&self, info: &[u8]) -> Result<Secret<16>, CryptoError> {
        hkdf_sha256(self.0.expose(), &[], &[info])
    }
}

/// RPIK: the day's key for identifiers.
#[derive(Debug)]
pub struct RollingProximityIdentifierKey(Secret<16>);

impl RollingProximityIdentifierKey {
    /// The key with these bytes, as a contact gives it to an authority in evidence.
    pub fn new(secret: Secret<16>) -> Self {
        Self(secret)
    }

    /// Its bytes.
    pub fn secret(&self) -> &Secret<16> {
        &self.0
    }

    /// RPI(j), what is advertised in `interval`.
    pub fn identifier(&self, interval: IntervalNumber) -> [u8; 16] {
        let mut block = padded(interval);
        Aes128Key::new(&self.0).encrypt_block(&mut block);
        block
    }

    /// RPI(j) for the `count` intervals from `start`, at most [`ROLLING_PERIOD`], appended to `out`.
    pub fn identifiers(&self, start: IntervalNumber, count: u32, out: &mut Vec<[u8; 16]>) {
        let from = out.len();
        out.extend(
            (0..count.min(ROLLING_PERIOD)).map(|offset| padded(start.saturating_add(offset))),
        );
        Aes128Key::new(&self.0).encrypt_blocks(out.get_mut(from..).unwrap_or_default());
    }
}

/// What is encrypted to an identifier: "EN-RPI", six zero bytes, the interval number in little-endian.
pub(crate) fn padded(interval: IntervalNumber) -> [u8; 16] {
    let [a, b, c, d] = interval.0.to_le_bytes();
    [
        b'E', b'N', b'-', b'R', b'P', b'I', 0, 0, 0, 0, 0, 0, a, b, c, d,
    ]
}

/// AEMK: the day's key for metadata.
#[derive(Debug)]
pub struct AssociatedEncryptedMetadataKey(Secret<16>);

impl AssociatedEncryptedMetadataKey {
    /// Its bytes.
    pub fn secret(&self) -> &Secret<16> {
        &self.0
    }

    /// Encrypts metadata, or decrypts it: the same operation. Nothing authenticates it; a neighbour
    /// can flip bits of what it relays.
    pub fn apply(&self, identifier: &[u8; 16], metadata: [u8; 4]) -> [u8; 4] {
        let mut block = *identifier;
        Aes128Key::new(&self.0).encrypt_block(&mut block);
        let [k0, k1, k2, k3, ..] = block;
        let [m0, m1, m2, m3] = metadata;
        [m0 ^ k0, m1 ^ k1, m2 ^ k2, m3 ^ k3]
    }
}

/// What the metadata says once it is decrypted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Metadata {
    /// Minor version: 0, or 1 which adds the confidence. The major version is 1.
    pub minor_version: u8,
    /// How well the advertiser's power is known, 0 (not at all) to 3 (measured on the model). Only
    /// in version 1.1.
    pub calibration_confidence: Option<u8>,
    /// Power at the advertiser's antenna in dBm.
    pub tx_power_dbm: i8,
}

impl Metadata {
    /// Byte 0: bits 7:6 major version, 5:4 minor version, 3:2 confidence; byte 1: power.
    pub fn to_bytes(self) -> [u8; 4] {
        let confidence = self.calibration_confidence.unwrap_or(0) & 3;
        let version = 1 << 6 | (self.minor_version & 3) << 4 | confidence << 2;
        [version, self.tx_power_dbm.to_le_bytes()[0], 0, 0]
    }

    /// Reads decrypted metadata. Bytes 2 and 3 are reserved and ignored; `None` if the major
    /// version is not 1, as it is for bytes decrypted under a wrong key three times in four.
    pub fn from_bytes([version, power, _, _]: [u8; 4]) -> Option<Self> {
        if version >> 6 != 1 {
            return None;
        }
        let minor_version = version >> 4 & 3;
        Some(Self {
            minor_version,
            calibration_confidence: (minor_version >= 1).then_some(version >> 2 & 3),
            tx_power_dbm: i8::from_le_bytes([power]),
        })
    }
}

/// What a device that speaks GAEN says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// The metadata advertised beside each identifier.
    pub metadata: Metadata,
    /// The service UUID: 0xFD6F, or another for experiments that must not mix with the deployed
    /// system.
    pub service: u16,
    /// The company identifier under which the data may also come as manufacturer data, from a sender
    /// on Windows. None by default, as none is assigned for it; 0xFFFF is for tests alone.
    pub company: Option<u16>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            metadata: Metadata {
                minor_version: 1,
                calibration_confidence: Some(0),
                // Chosen: the median of the 551 models in Google's calibration list of 2020-12-14.
                tx_power_dbm: -26,
            },
            service: SERVICE,
            company: None,
        }
    }
}

impl Config {
    /// GAEN with a measured transmit power and how sure it is, 0 to 3.
    pub fn with_tx_power(tx_power_dbm: i8, calibration_confidence: u8) -> Self {
        let mut config = Self::default();
        config.metadata.tx_power_dbm = tx_power_dbm;
        config.metadata.calibration_confidence = Some(calibration_confidence & 3);
        config
    }

    /// The 31 bytes that `tek` advertises in `interval`: flags, service UUID list, service data of
    /// identifier and encrypted metadata.
    ///
    /// # Errors
    ///
    /// [`FrameError::Derivation`]; the frame always fits.
    pub fn frame(
        &self,
        tek: &TemporaryExposureKey,
        interval: IntervalNumber,
    ) -> Result<Advertisement, FrameError> {
        let id = tek.rolling_proximity_identifier_key()?.identifier(interval);
        let aemk = tek.associated_encrypted_metadata_key()?;
        let mut data = [0; 20];
        let metadata = aemk.apply(&id, self.metadata.to_bytes());
        for (to, from) in data.iter_mut().zip(id.into_iter().chain(metadata)) {
            *to = from;
        }
        let mut frame = Advertisement::new();
        frame.push_flags(FLAGS)?;
        frame.push_service_uuid16(self.service)?;
        frame.push_service_data16(self.service, &data)?;
        Ok(frame)
    }

    /// What `frame` says. The flags and the UUID list are not required beside the data: peers differ
    /// in both. Data may come from a service or, if one is configured, a company; where there is
    /// neither, a 128-bit UUID beside our service is the identifier, without metadata.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame`] if the data has not exactly 20 bytes (Apple's rule), or the service is listed
    /// without identifier.
    pub fn parse(&self, frame: &Advertisement) -> Result<Option<Heard>, MalformedFrame> {
        if let Some(data) = frame.service_data16(self.service) {
            return parse_data(data, "service data", Source::ServiceData);
        }
        let company = self.company;
        if let Some(data) = company.and_then(|company| frame.manufacturer_data(company)) {
            return parse_data(data, "manufacturer data", Source::ManufacturerData);
        }
        if !frame.has_service(uuid_from_u16(self.service)) {
            return Ok(None);
        }
        match long_service(frame) {
            Some(uuid) => Ok(Some(Heard::Identifier {
                id: uuid.into_bytes().into(),
                metadata: None,
                source: Source::ServiceUuid,
            })),
            None => parse_data(&[], "service data", Source::ServiceData),
        }
    }
}

fn parse_data(
    data: &[u8],
    field: &'static str,
    source: Source,
) -> Result<Option<Heard>, MalformedFrame> {
    let parts = data
        .split_first_chunk::<16>()
        .map(|(id, metadata)| (id, <[u8; 4]>::try_from(metadata)));
    let Some((id, Ok(metadata))) = parts else {
        return Err(MalformedFrame {
            protocol: ProtocolKind::Gaen,
            field,
            expected: 20,
            got: data.len(),
        });
    };
    Ok(Some(Heard::Identifier {
        id: (*id).into(),
        metadata: Some(metadata),
        source,
    }))
}

/// A diagnosis key: a TEK that an authority has published, with what it says about it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct DiagnosisKey {
    key: [u8; 16],
    rolling_start: u32,
    rolling_period: u32,
    /// Transmission risk level, 0 (unused) to 8.
    pub transmission_risk: u8,
    /// How the infection was established.
    pub report_type: ReportType,
    /// Days from the onset of symptoms to the key's day, -14..=14; `None` if unknown.
    pub days_since_onset: Option<i8>,
}

impl DiagnosisKey {
    /// The TEK `key`, valid for `rolling_period` intervals from `rolling_start`.
    ///
    /// # Errors
    ///
    /// [`InvalidKey`] if `rolling_period` is not within 1..=144 or the last interval overflows.
    pub fn new(
        key: [u8; 16],
        rolling_start: IntervalNumber,
        rolling_period: u32,
    ) -> Result<Self, InvalidKey> {
        if !(1..=ROLLING_PERIOD).contains(&rolling_period) {
            return Err(InvalidKey::RollingPeriod { rolling_period });
        }
        if rolling_start.0.checked_add(rolling_period).is_none() {
            return Err(InvalidKey::RollingStart {
                rolling_start: rolling_start.0,
            });
        }
        Ok(Self {
            key,
            rolling_start: rolling_start.0,
            rolling_period,
            transmission_risk: 0,
            report_type: ReportType::Unknown,
            days_since_onset: None,
        })
    }

    /// The TEK's bytes.
    pub fn key(&self) -> &[u8; 16] {
        &self.key
    }

    /// The first interval it is valid in.
    pub fn rolling_start(&self) -> IntervalNumber {
        IntervalNumber(self.rolling_start)
    }

    /// Intervals it is valid for, 1..=144; fewer than 144 if it was rolled early.
    pub fn rolling_period(&self) -> u32 {
        self.rolling_period
    }

    /// Calls `each` with every identifier and its interval.
    pub fn for_each_candidate(&self, mut each: impl FnMut(Candidate)) {
        let tek = TemporaryExposureKey::new(Secret::new(self.key));
        let Ok(rpik) = tek.rolling_proximity_identifier_key() else {
            return;
        };
        let mut ids = Vec::with_capacity(ROLLING_PERIOD as usize);
        rpik.identifiers(self.rolling_start(), self.rolling_period, &mut ids);
        for (offset, id) in (0..).zip(ids) {
            let interval = self.rolling_start().saturating_add(offset);
            each(Candidate::in_interval(id, interval));
        }
    }

    /// Decrypts the metadata that was heard beside `identifier`.
    pub fn metadata(&self, identifier: &[u8; 16], encrypted: [u8; 4]) -> Option<Metadata> {
        let tek = TemporaryExposureKey::new(Secret::new(self.key));
        let aemk = tek.associated_encrypted_metadata_key().ok()?;
        Metadata::from_bytes(aemk.apply(identifier, encrypted))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn metadata_of_another_major_version() {
        assert_eq!(Metadata::from_bytes([0x80, 8, 0, 0]), None);
        assert_eq!(Metadata::from_bytes([0x00, 8, 0, 0]), None);
        let known = Metadata::from_bytes([0x40, 0xF8, 1, 2]).unwrap();
        assert_eq!(known.tx_power_dbm, -8);
        assert_eq!(known.calibration_confidence, None);
    }

    #[test]
    fn service_data_of_another_length() {
        for len in [0, 15, 16, 19, 21] {
            let mut frame = Advertisement::new();
            frame.push_service_data16(SERVICE, &vec![0; len]).unwrap();
            let error = Config::default().parse(&frame).unwrap_err();
            assert_eq!((error.expected, error.got), (20, len));
        }
    }

    #[test]
    fn service_listed_without_data() {
        let mut frame = Advertisement::new();
        assert_eq!(Config::default().parse(&frame), Ok(None));
        frame.push_service_uuid16(SERVICE).unwrap();
        assert_eq!(Config::default().parse(&frame).unwrap_err().got, 0);
    }

    #[test]
    fn keys_that_claim_too_much() {
        let key = |start, period| DiagnosisKey::new([0; 16], IntervalNumber(start), period);
        assert!(key(2_642_976, 1).is_ok() && key(2_642_976, 144).is_ok());
        assert!(key(2_642_976, 0).is_err());
        assert!(key(2_642_976, 145).is_err());
        assert!(key(2_642_976, u32::MAX).is_err());
        assert!(key(u32::MAX, 1).is_err());
    }

    #[test]
    fn an_early_rolled_key_has_fewer_identifiers() {
        let count = |period| {
            let mut count = 0;
            DiagnosisKey::new([3; 16], IntervalNumber(2_642_976), period)
                .unwrap()
                .for_each_candidate(|_| count += 1);
            count
        };
        assert_eq!(count(1), 1);
        assert_eq!(count(60), 60);
        assert_eq!(count(144), 144);
    }

    proptest! {
        #[test]
        fn any_frame_parses_or_fails(bytes in proptest::collection::vec(any::<u8>(), 0..28)) {
            let mut frame = Advertisement::new();
            if frame.push_service_data16(SERVICE, &bytes).is_ok() {
                prop_assert_eq!(Config::default().parse(&frame).is_ok(), bytes.len() == 20);
            }
        }

        #[test]
        fn metadata_survives(minor in 0u8..=3, confidence in 0u8..=3, power: i8) {
            let metadata = Metadata {
                minor_version: minor,
                calibration_confidence: (minor >= 1).then_some(confidence),
                tx_power_dbm: power,
            };
            prop_assert_eq!(Metadata::from_bytes(metadata.to_bytes()), Some(metadata));
        }
    }
}
