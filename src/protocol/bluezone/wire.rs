//! Bluezone's frames: built as Android's, recognised as Android's and iOS's.

use uuid::Uuid;

use crate::advertisement::{Advertisement, AdvertisementTooLong, uuid_from_u16};
use crate::protocol::form::long_service;
use crate::protocol::{Heard, MalformedFrame, ProtocolKind};
use crate::sighting::Source;

/// The numbers by which frames are recognised.
///
/// Bluezone's own, the default, are not assigned by the Bluetooth SIG. They are right for talking to
/// Bluezone; an app of another name brings its own.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct WireProfile {
    /// The 16-bit service UUID that Android-style peers list (0x4E56: "VN" on the air).
    pub service: u16,
    /// The company identifier of the manufacturer data that holds the identifier (0x22B5).
    pub company: u16,
    /// The 128-bit service UUID that iOS peers list while their app is in the foreground, and under
    /// which their GATT server offers the identifier.
    pub ios_service: Uuid,
    /// The characteristic that holds the identifier.
    pub ios_characteristic: Uuid,
    /// The bit that iOS sets for `ios_service` in its overflow area, 0..=127, while the app is in
    /// the background; which bit it is, iOS decides by a hash of the UUID.
    pub ios_overflow_bit: u8,
}

impl WireProfile {
    /// A profile of the app's own numbers, which hears no peers of Bluezone's.
    pub fn custom(
        service: u16,
        company: u16,
        ios_service: Uuid,
        ios_characteristic: Uuid,
        ios_overflow_bit: u8,
    ) -> Self {
        Self {
            service,
            company,
            ios_service,
            ios_characteristic,
            ios_overflow_bit,
        }
    }

    /// The frame of an Android-style advertiser: flags, service UUID list, manufacturer data with
    /// the identifier; 23 bytes.
    ///
    /// # Errors
    ///
    /// [`AdvertisementTooLong`] cannot happen with these fields; it is passed on all the same.
    pub fn frame(&self, id: &[u8; 12]) -> Result<Advertisement, AdvertisementTooLong> {
        let mut frame = Advertisement::new();
        frame.push_flags(FLAGS)?;
        frame.push_service_uuid16(self.service)?;
        frame.push_manufacturer_data(self.company, id)?;
        Ok(frame)
    }

    /// What `frame` says in this profile.
    ///
    /// The manufacturer data must hold exactly 12 bytes. The service UUID is not required beside
    /// it: some scanners report the two apart.
    ///
    /// # Errors
    ///
    /// [`MalformedFrame`] if our company's data has another length, or our service comes without.
    pub fn parse(&self, frame: &Advertisement) -> Result<Option<Heard>, MalformedFrame> {
        if let Some(data) = frame.manufacturer_data(self.company) {
            return match <[u8; 12]>::try_from(data) {
                Ok(id) => Ok(Some(Heard::Identifier {
                    id: id.into(),
                    metadata: None,
                    source: Source::ManufacturerData,
                })),
                Err(_) => Err(malformed(data.len())),
            };
        }
        let marked = frame.has_service(uuid_from_u16(self.service));
        if marked && let Some(id) = long_service(frame).and_then(id_of) {
            return Ok(Some(Heard::Identifier {
                id: id.into(),
                metadata: None,
                source: Source::ServiceUuid,
            }));
        }
        if frame.has_service(self.ios_service) || self.overflow_bit_set(frame) {
            return Ok(Some(Heard::ReadByGatt));
        }
        if marked {
            return Err(malformed(0));
        }
        Ok(None)
    }

    /// Apple's manufacturer data of type 1: 128 bits, one for each hash of a service UUID that a
    /// background app advertises. A second app sets a second bit, so the bit is tested, not the
    /// whole.
    fn overflow_bit_set(&self, frame: &Advertisement) -> bool {
        let Some([APPLE_OVERFLOW_TYPE, area @ ..]) = frame.manufacturer_data(APPLE_COMPANY) else {
            return false;
        };
        let byte = area.get(usize::from(self.ios_overflow_bit / 8));
        area.len() == 16 && byte.is_some_and(|byte| byte & 1 << (self.ios_overflow_bit % 8) != 0)
    }
}

impl Default for WireProfile {
    fn default() -> Self {
        Self {
            service: 0x4E56,
            company: 0x22B5,
            ios_service: Uuid::from_u128(0x00004E56_73F5_4BC4_A12F_17D1AD07A667),
            ios_characteristic: Uuid::from_u128(0x00004E56_73F5_4BC4_A12F_17D1AD07A689),
            // Version 3's scan filter: 01 08 00 … 00, byte 0 of the area with mask 0x08.
            ios_overflow_bit: 3,
        }
    }
}

/// LE General Discoverable, no BR/EDR. Chosen: Android's own stack writes the flags of Bluezone's
/// connectable advertiser; a broadcaster's differ and nobody reads them.
const FLAGS: u8 = 0x06;
pub(crate) const APPLE_COMPANY: u16 = 0x004C;
const APPLE_OVERFLOW_TYPE: u8 = 0x01;

/// What tells a UUID that holds an identifier from any other: "tvet". Chosen; it has to be constant
/// alone, and 32 bits are what the identifier leaves.
const UUID_END: [u8; 4] = *b"tvet";

/// The identifier and a constant end, as a UUID.
pub(in crate::protocol) fn uuid_of(id: [u8; 12]) -> Uuid {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(id.into_iter().chain(UUID_END)) {
        *to = from;
    }
    Uuid::from_bytes(bytes)
}

fn id_of(uuid: Uuid) -> Option<[u8; 12]> {
    let (id, end) = uuid.as_bytes().split_first_chunk()?;
    (end == UUID_END).then_some(*id)
}

fn malformed(got: usize) -> MalformedFrame {
    MalformedFrame {
        protocol: ProtocolKind::Bluezone,
        field: "manufacturer data",
        expected: 12,
        got,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile() -> WireProfile {
        WireProfile::default()
    }

    #[test]
    fn the_frame_is_what_android_sends() {
        let id = *b"\x13\x0C\xEA\x64\x72\x13\x0C\x18\x5D\x86\x43\xDF";
        let frame = profile().frame(&id).unwrap();
        let mut expected = vec![2, 1, 6, 3, 3, 0x56, 0x4E, 15, 0xFF, 0xB5, 0x22];
        expected.extend(id);
        assert_eq!(frame.as_bytes(), expected);
        assert_eq!(
            profile().parse(&frame),
            Ok(Some(Heard::Identifier {
                id: id.into(),
                metadata: None,
                source: Source::ManufacturerData,
            }))
        );
    }

    #[test]
    fn identifier_of_eleven_bytes() {
        let mut frame = Advertisement::new();
        frame.push_service_uuid16(0x4E56).unwrap();
        assert_eq!(profile().parse(&frame), Err(malformed(0)));
        frame.push_manufacturer_data(0x22B5, &[1; 11]).unwrap();
        assert_eq!(profile().parse(&frame), Err(malformed(11)));
    }

    #[test]
    fn other_peoples_frames_are_not_ours() {
        let mut frame = Advertisement::new();
        frame.push_manufacturer_data(0x0059, &[1; 12]).unwrap();
        assert_eq!(profile().parse(&frame), Ok(None));
    }

    #[test]
    fn an_app_of_its_own_hears_its_own_alone() {
        let [service, characteristic] = [7, 8].map(Uuid::from_u128);
        let own = WireProfile::custom(0xFFF0, 0xFFFF, service, characteristic, 9);
        let frame = own.frame(&[5; 12]).unwrap();
        assert_eq!(profile().parse(&frame), Ok(None));
        assert!(matches!(
            own.parse(&frame),
            Ok(Some(Heard::Identifier { .. }))
        ));
    }

    #[test]
    fn ios_in_the_foreground_lists_its_service() {
        let mut frame = Advertisement::new();
        frame.push_service_uuid128(profile().ios_service).unwrap();
        assert_eq!(profile().parse(&frame), Ok(Some(Heard::ReadByGatt)));
    }

    #[test]
    fn ios_in_the_background_sets_its_bit_among_others() {
        let overflow = |area: &[u8]| {
            let mut frame = Advertisement::new();
            let data = [&[1], area].concat();
            frame.push_manufacturer_data(0x004C, &data).unwrap();
            profile().parse(&frame)
        };
        let mut area = [0; 16];
        area[0] = 0x08;
        assert_eq!(overflow(&area), Ok(Some(Heard::ReadByGatt)));
        area[0] = 0x8C;
        area[11] = 0x80;
        assert_eq!(overflow(&area), Ok(Some(Heard::ReadByGatt)));
        area[0] = 0x84;
        assert_eq!(overflow(&area), Ok(None));
        assert_eq!(overflow(&[0xFF; 15]), Ok(None));
        assert_eq!(overflow(&[]), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_frame_parses_or_fails(
            company in proptest::sample::select(vec![0x22B5, 0x004C, 0x0059]),
            bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..28),
        ) {
            let mut frame = Advertisement::new();
            if frame.push_manufacturer_data(company, &bytes).is_ok() {
                let parsed = profile().parse(&frame);
                let ours = company == 0x22B5;
                proptest::prop_assert_eq!(parsed.is_err(), ours && bytes.len() != 12);
            }
        }
    }
}
