//! The 31 bytes of a legacy BLE advertisement: built, parsed, and refused with the field that does
//! not fit.
//!
//! Advertising data is a sequence of *AD structures*: a length byte, a type byte, `length - 1` bytes
//! of data (Bluetooth Core Specification 5.4, Vol. 3, Part C, section 11). The type numbers are
//! those of the Bluetooth Assigned Numbers document, section 2.3.

use std::fmt;

use uuid::Uuid;

/// What fits into a legacy advertising PDU.
pub const ADVERTISEMENT_BYTES_MAX: usize = 31;

/// The Bluetooth Base UUID, 00000000-0000-1000-8000-00805F9B34FB, of which a 16-bit UUID is short
/// for `base + (uuid16 << 96)`.
const BASE_UUID: u128 = 0x0000_0000_0000_1000_8000_0080_5F9B_34FB;

pub(crate) const FLAGS: u8 = 0x01;
pub(crate) const INCOMPLETE_UUIDS_16: u8 = 0x02;
pub(crate) const COMPLETE_UUIDS_16: u8 = 0x03;
pub(crate) const INCOMPLETE_UUIDS_128: u8 = 0x06;
pub(crate) const COMPLETE_UUIDS_128: u8 = 0x07;
pub(crate) const SERVICE_DATA_16: u8 = 0x16;
pub(crate) const MANUFACTURER_DATA: u8 = 0xFF;

/// The full form of a 16-bit UUID.
pub const fn uuid_from_u16(uuid16: u16) -> Uuid {
    Uuid::from_u128(BASE_UUID | ((uuid16 as u128) << 96))
}

/// The 16-bit form of `uuid`, if it has one.
pub const fn uuid_to_u16(uuid: Uuid) -> Option<u16> {
    let bits = uuid.as_u128();
    if bits & !(0xFFFF << 96) == BASE_UUID {
        Some((bits >> 96) as u16)
    } else {
        None
    }
}

/// One legacy advertisement, at most 31 bytes, every AD structure whole.
///
/// ```
/// use truyvet::Advertisement;
///
/// let mut frame = Advertisement::new();
/// frame.push_service_uuid16(0xFD6F)?;
/// frame.push_service_data16(0xFD6F, &[7; 20])?;
/// assert_eq!(frame.as_bytes().len(), 28);
/// assert_eq!(frame.service_data16(0xFD6F), Some(&[7; 20][..]));
/// assert!(frame.push_service_data16(0xFD6F, &[7; 20]).is_err());
/// # Ok::<(), truyvet::advertisement::AdvertisementTooLong>(())
/// ```
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Advertisement {
    bytes: [u8; ADVERTISEMENT_BYTES_MAX],
    len: u8,
}

impl Advertisement {
    /// An advertisement without structures.
    pub const fn new() -> Self {
        Self {
            bytes: [0; ADVERTISEMENT_BYTES_MAX],
            len: 0,
        }
    }

    /// Reads advertising data as it was on the air. Early termination by a zero length byte is
    /// allowed, as the specification has it; what follows it is dropped.
    ///
    /// # Errors
    ///
    /// [`MalformedAdvertisement`] if a structure runs past the end or there are over 31 bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedAdvertisement> {
        let mut frame = Self::new();
        let mut rest = bytes;
        while let Some((&len, after)) = rest.split_first() {
            if len == 0 {
                break;
            }
            let offset = bytes.len() - rest.len();
            let Some((structure, next)) = after.split_at_checked(usize::from(len)) else {
                return Err(MalformedAdvertisement::StructureCut {
                    offset,
                    expected: usize::from(len),
                    got: after.len(),
                });
            };
            let (ad_type, data) = structure.split_first().unwrap_or((&0, &[]));
            frame
                .push("structure", *ad_type, &[data])
                .map_err(|_| MalformedAdvertisement::TooLong { len: bytes.len() })?;
            rest = next;
        }
        Ok(frame)
    }

    /// The bytes as they go on the air.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Appends the Flags structure (3 bytes).
    ///
    /// # Errors
    ///
    /// [`AdvertisementTooLong`], as every `push_…`; the advertisement is unchanged then.
    pub fn push_flags(&mut self, flags: u8) -> Result<(), AdvertisementTooLong> {
        self.push("flags", FLAGS, &[&[flags]])
    }

    /// Appends a complete list of one 16-bit service UUID (4 bytes).
    ///
    /// # Errors
    ///
    /// [`AdvertisementTooLong`].
    pub fn push_service_uuid16(&mut self, uuid: u16) -> Result<(), AdvertisementTooLong> {
        self.push("service UUID", COMPLETE_UUIDS_16, &[&uuid.to_le_bytes()])
    }

    /// Appends a complete list of one 128-bit service UUID (18 bytes).
    ///
    /// # Errors
    ///
    /// [`AdvertisementTooLong`].
    pub fn push_service_uuid128(&mut self, uuid: Uuid) -> Result<(), AdvertisementTooLong> {
        let bytes = uuid.as_u128().to_le_bytes();
        self.push("128-bit service UUID", COMPLETE_UUIDS_128, &[&bytes])
    }

    /// Appends service data under a 16-bit UUID (4 bytes and the data).
    ///
    /// # Errors
    ///
    /// [`AdvertisementTooLong`].
    pub fn push_service_data16(
        &mut self,
        uuid: u16,
        data: &[u8],
    ) -> Result<(), AdvertisementTooLong> {
        let uuid = uuid.to_le_bytes();
        self.push("service data", SERVICE_DATA_16, &[&uuid, data])
    }

    /// Appends manufacturer data under a company identifier (4 bytes and the data).
    ///
    /// # Errors
    ///
    /// [`AdvertisementTooLong`].
    pub fn push_manufacturer_data(
        &mut self,
        company: u16,
        data: &[u8],
    ) -> Result<(), AdvertisementTooLong> {
        let company = company.to_le_bytes();
        self.push("manufacturer data", MANUFACTURER_DATA, &[&company, data])
    }

    /// The AD structures in order.
    pub fn structures(&self) -> impl Iterator<Item = AdStructure<'_>> {
        let mut rest = self.as_bytes();
        std::iter::from_fn(move || {
            let (&len, after) = rest.split_first()?;
            let (structure, next) = after.split_at_checked(usize::from(len))?;
            rest = next;
            let (&ad_type, data) = structure.split_first()?;
            Some(AdStructure { ad_type, data })
        })
    }

    /// Whether a service UUID list names `uuid`.
    pub fn has_service(&self, uuid: Uuid) -> bool {
        self.services().any(|service| service == uuid)
    }

    /// All service UUIDs listed, in their full form.
    pub fn services(&self) -> impl Iterator<Item = Uuid> {
        self.structures().flat_map(|structure| {
            let width = match structure.ad_type {
                INCOMPLETE_UUIDS_16 | COMPLETE_UUIDS_16 => 2,
                INCOMPLETE_UUIDS_128 | COMPLETE_UUIDS_128 => 16,
                // No UUID has 32 bytes, so nothing comes of the list.
                _ => 32,
            };
            structure.data.chunks_exact(width).filter_map(|bytes| {
                if let Ok(short) = <[u8; 2]>::try_from(bytes) {
                    return Some(uuid_from_u16(u16::from_le_bytes(short)));
                }
                let long = <[u8; 16]>::try_from(bytes).ok()?;
                Some(Uuid::from_u128(u128::from_le_bytes(long)))
            })
        })
    }

    /// The first service data under the 16-bit `uuid`.
    pub fn service_data16(&self, uuid: u16) -> Option<&[u8]> {
        self.structures()
            .find_map(|structure| structure.tagged(SERVICE_DATA_16, uuid))
    }

    /// The first manufacturer data under `company`.
    pub fn manufacturer_data(&self, company: u16) -> Option<&[u8]> {
        self.structures()
            .find_map(|structure| structure.tagged(MANUFACTURER_DATA, company))
    }

    fn push(
        &mut self,
        field: &'static str,
        ad_type: u8,
        parts: &[&[u8]],
    ) -> Result<(), AdvertisementTooLong> {
        let data_len: usize = parts.iter().map(|part| part.len()).sum();
        let start = usize::from(self.len);
        let len = start + 2 + data_len;
        let too_long = AdvertisementTooLong {
            field,
            len,
            max: ADVERTISEMENT_BYTES_MAX,
        };
        let room = self.bytes.get_mut(start..len).ok_or(too_long)?;
        let header = [u8::try_from(data_len + 1).map_err(|_| too_long)?, ad_type];
        let bytes = header.iter().chain(parts.iter().copied().flatten());
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
        }
        self.len = u8::try_from(len).map_err(|_| too_long)?;
        Ok(())
    }
}

impl Default for Advertisement {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints the length alone: the bytes hold an identifier.
impl fmt::Debug for Advertisement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Advertisement({} bytes)", self.len)
    }
}

/// One AD structure.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct AdStructure<'a> {
    /// The AD type.
    pub ad_type: u8,
    /// Its data, without length and type.
    pub data: &'a [u8],
}

impl<'a> AdStructure<'a> {
    /// Service data of a 16-bit UUID, if this structure is such.
    pub fn as_service_data16(self) -> Option<(u16, &'a [u8])> {
        self.split_tag(SERVICE_DATA_16)
    }

    /// Manufacturer data with its company identifier, if this structure is such.
    pub fn as_manufacturer_data(self) -> Option<(u16, &'a [u8])> {
        self.split_tag(MANUFACTURER_DATA)
    }

    fn split_tag(self, ad_type: u8) -> Option<(u16, &'a [u8])> {
        let (tag, data) = self.data.split_first_chunk()?;
        (self.ad_type == ad_type).then(|| (u16::from_le_bytes(*tag), data))
    }

    fn tagged(self, ad_type: u8, tag: u16) -> Option<&'a [u8]> {
        self.split_tag(ad_type)
            .and_then(|(found, data)| (found == tag).then_some(data))
    }
}

/// A structure that does not fit behind those already there.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the {field} does not fit: the advertisement would have {len} bytes, at most {max} allowed"
)]
pub struct AdvertisementTooLong {
    /// The field that does not fit.
    pub field: &'static str,
    /// Bytes there would be with it.
    pub len: usize,
    /// Bytes there may be.
    pub max: usize,
}

/// Advertising data that the sender got wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MalformedAdvertisement {
    /// A structure claims more bytes than follow it.
    #[error("the structure at byte {offset} claims {expected} bytes, {got} follow")]
    StructureCut {
        /// Where the structure's length byte stands.
        offset: usize,
        /// What it claims.
        expected: usize,
        /// What follows.
        got: usize,
    },
    /// More bytes than a legacy advertisement has.
    #[error("the advertisement has {len} bytes, at most {ADVERTISEMENT_BYTES_MAX} expected")]
    TooLong {
        /// Bytes there are.
        len: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn uuids_have_a_short_form_only_on_the_base() {
        let full = Uuid::parse_str("0000FD6F-0000-1000-8000-00805F9B34FB").unwrap();
        assert_eq!(uuid_from_u16(0xFD6F), full);
        assert_eq!(uuid_to_u16(full), Some(0xFD6F));
        let other = Uuid::parse_str("00004E56-73F5-4BC4-A12F-17D1AD07A667").unwrap();
        assert_eq!(uuid_to_u16(other), None);
    }

    #[test]
    fn thirty_two_bytes_name_the_field() {
        let mut frame = Advertisement::new();
        frame.push_flags(0x1A).unwrap();
        frame.push_service_uuid16(0xFD6F).unwrap();
        let before = frame;
        assert_eq!(
            frame.push_service_data16(0xFD6F, &[0; 21]),
            Err(AdvertisementTooLong {
                field: "service data",
                len: 32,
                max: 31
            })
        );
        assert_eq!(frame, before);
        frame.push_service_data16(0xFD6F, &[0; 20]).unwrap();
        assert_eq!(frame.as_bytes().len(), 31);
    }

    #[test]
    fn data_of_any_length_is_refused_not_cut() {
        let mut frame = Advertisement::new();
        for len in [28, 254, 255, 256, 65_536] {
            assert!(frame.push_manufacturer_data(1, &vec![0; len]).is_err());
        }
        assert_eq!(frame, Advertisement::new());
    }

    #[test]
    fn structure_cut() {
        assert_eq!(
            Advertisement::parse(&[2, 1, 6, 5, 9, 65]),
            Err(MalformedAdvertisement::StructureCut {
                offset: 3,
                expected: 5,
                got: 2
            })
        );
    }

    #[test]
    fn zero_length_ends_the_data() {
        let frame = Advertisement::parse(&[2, 1, 6, 0, 200, 200]).unwrap();
        assert_eq!(frame.as_bytes(), [2, 1, 6]);
    }

    #[test]
    fn services_of_both_widths() {
        let ios = Uuid::parse_str("00004E56-73F5-4BC4-A12F-17D1AD07A667").unwrap();
        let mut frame = Advertisement::new();
        frame.push_service_uuid16(0x4E56).unwrap();
        frame.push_service_uuid128(ios).unwrap();
        assert!(frame.has_service(uuid_from_u16(0x4E56)) && frame.has_service(ios));
        assert!(!frame.has_service(uuid_from_u16(0xFD6F)));
    }

    #[test]
    fn debug_shows_no_byte_of_it() {
        let mut frame = Advertisement::new();
        frame.push_manufacturer_data(0x22B5, &[0xAB; 12]).unwrap();
        assert_eq!(format!("{frame:?}"), "Advertisement(16 bytes)");
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(frame) = Advertisement::parse(&bytes) {
                prop_assert!(bytes.starts_with(frame.as_bytes()));
                prop_assert_eq!(Advertisement::parse(frame.as_bytes()), Ok(frame));
                let len: usize = frame.structures().map(|s| s.data.len() + 2).sum();
                prop_assert_eq!(len, frame.as_bytes().len());
                let _ = (frame.services().count(), frame.service_data16(0xFD6F));
            }
        }
    }
}
