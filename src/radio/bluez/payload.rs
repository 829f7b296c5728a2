//! An advertisement in the form that BlueZ takes: not bytes, but properties to make bytes of.

use std::collections::HashMap;

use dbus::arg::Variant;

use crate::advertisement::{
    ADVERTISEMENT_BYTES_MAX, Advertisement, AdvertisementTooLong, COMPLETE_UUIDS_16,
    COMPLETE_UUIDS_128, FLAGS, INCOMPLETE_UUIDS_16, INCOMPLETE_UUIDS_128, MANUFACTURER_DATA,
    SERVICE_DATA_16, uuid_from_u16,
};
use crate::radio::RadioError;

/// The Flags are the kernel's own: a frame's are not passed on. Their bytes are reckoned with all the
/// same, because on an adapter without BR/EDR the kernel adds them to every frame.
const FLAGS_BYTES: usize = 3;
/// Length and type of any structure.
const HEADER_BYTES: usize = 2;

/// What goes into an `org.bluez.LEAdvertisement1`.
#[derive(Clone, Default)]
pub(super) struct Payload {
    /// `ServiceUUIDs`, in full form; BlueZ shortens those that have a short one.
    pub(super) services: Vec<String>,
    /// `ServiceData`.
    pub(super) service_data: HashMap<String, Variant<Vec<u8>>>,
    /// `ManufacturerData`.
    pub(super) manufacturer_data: HashMap<u16, Variant<Vec<u8>>>,
}

impl Payload {
    /// Takes `frame` apart.
    ///
    /// # Errors
    ///
    /// [`RadioError::TooLong`] if it has over 31 bytes with the kernel's flags,
    /// [`RadioError::Unsupported`] if it holds what BlueZ has no property for.
    pub(super) fn of(frame: &Advertisement) -> Result<Self, RadioError> {
        let mut payload = Self {
            services: frame.services().map(|uuid| uuid.to_string()).collect(),
            ..Self::default()
        };
        let mut len = FLAGS_BYTES;
        for structure in frame.structures() {
            if structure.ad_type == FLAGS {
                continue;
            }
            let field = field(structure.ad_type).ok_or(NO_PROPERTY)?;
            len += HEADER_BYTES + structure.data.len();
            if len > ADVERTISEMENT_BYTES_MAX {
                let max = ADVERTISEMENT_BYTES_MAX;
                return Err(AdvertisementTooLong { field, len, max }.into());
            }
            let replaced = if let Some((uuid, data)) = structure.as_service_data16() {
                let uuid = uuid_from_u16(uuid).to_string();
                payload.service_data.insert(uuid, Variant(data.to_vec()))
            } else if let Some((company, data)) = structure.as_manufacturer_data() {
                let data = Variant(data.to_vec());
                payload.manufacturer_data.insert(company, data)
            } else {
                None
            };
            if replaced.is_some() {
                return Err(NO_PROPERTY);
            }
        }
        Ok(payload)
    }
}

const NO_PROPERTY: RadioError = RadioError::Unsupported {
    why: "BlueZ advertises service UUIDs, and data of each service and company once",
};

fn field(ad_type: u8) -> Option<&'static str> {
    match ad_type {
        INCOMPLETE_UUIDS_16 | COMPLETE_UUIDS_16 => Some("service UUID"),
        INCOMPLETE_UUIDS_128 | COMPLETE_UUIDS_128 => Some("128-bit service UUID"),
        SERVICE_DATA_16 => Some("service data"),
        MANUFACTURER_DATA => Some("manufacturer data"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaens_frame_just_fits() {
        let mut frame = Advertisement::new();
        frame.push_flags(0x1A).unwrap();
        frame.push_service_uuid16(0xFD6F).unwrap();
        frame.push_service_data16(0xFD6F, &[5; 20]).unwrap();
        let payload = Payload::of(&frame).unwrap();
        let service = "0000fd6f-0000-1000-8000-00805f9b34fb";
        assert_eq!(payload.services, [service]);
        assert_eq!(payload.service_data[service].0, [5; 20]);
        assert!(payload.manufacturer_data.is_empty());
    }

    #[test]
    fn one_byte_beyond_the_kernels_flags() {
        // 29 bytes without flags, so 32 with them.
        let mut frame = Advertisement::new();
        frame.push_service_uuid16(0x4E56).unwrap();
        frame.push_manufacturer_data(0x22B5, &[1; 21]).unwrap();
        let error = Payload::of(&frame).err().unwrap();
        assert_eq!(
            error.to_string(),
            "the manufacturer data does not fit: the advertisement would have 32 bytes, \
             at most 31 allowed"
        );
    }

    #[test]
    fn what_bluez_cannot_carry_is_refused() {
        let name = Advertisement::parse(&[3, 0x09, b'm', b'e']).unwrap();
        let refused = Payload::of(&name);
        assert!(matches!(refused, Err(RadioError::Unsupported { .. })));

        let mut twice = Advertisement::new();
        twice.push_manufacturer_data(0x22B5, &[1]).unwrap();
        twice.push_manufacturer_data(0x22B5, &[2]).unwrap();
        let refused = Payload::of(&twice);
        assert!(matches!(refused, Err(RadioError::Unsupported { .. })));
    }
}
