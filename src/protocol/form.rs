//! The forms that a frame takes where the system does not let an app choose its bytes.

use uuid::Uuid;

use super::bluezone;
use crate::advertisement::{Advertisement, AdvertisementTooLong, uuid_to_u16};

/// What a system lets an app advertise, if not the protocol's own frame. Every receiver understands
/// each form ([`Protocol::parse`](super::Protocol::parse)), and says in which it came
/// ([`Source`](crate::sighting::Source)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum FrameForm {
    /// Manufacturer data alone: all that Windows leaves to an app.
    ManufacturerData {
        /// Under which company identifier service data goes out. The receivers must know it too
        /// ([`gaen::Config::company`](super::gaen::Config::company)).
        company: Option<u16>,
    },
    /// The protocol's 16-bit service UUID, and one 128-bit UUID that holds the identifier: all that
    /// Apple's systems leave to an app. 22 bytes, as Apple adds the flags. GAEN's metadata stays
    /// behind.
    ServiceUuid,
}

impl FrameForm {
    /// `frame`, as a [`Protocol`](super::Protocol) has made it, in this form.
    ///
    /// # Errors
    ///
    /// [`NoSuchForm`] if what it carries does not go into this form.
    pub fn of(self, frame: &Advertisement) -> Result<Advertisement, NoSuchForm> {
        let made = match self {
            Self::ManufacturerData { company } => manufacturer_data(frame, company),
            Self::ServiceUuid => service_uuid(frame),
        };
        made?.map_err(|_| NoSuchForm {
            why: "the frame carries more than this form has room for",
        })
    }
}

/// Why a frame cannot be had in some form.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{why}")]
pub struct NoSuchForm {
    /// What is in the way, and what to do about it.
    pub why: &'static str,
}

type Made = Result<Result<Advertisement, AdvertisementTooLong>, NoSuchForm>;

fn manufacturer_data(frame: &Advertisement, company: Option<u16>) -> Made {
    let own = frame.structures().find_map(|s| s.as_manufacturer_data());
    let service = frame.structures().find_map(|s| s.as_service_data16());
    let (company, data) = match (own, service, company) {
        (Some(own), _, _) => own,
        (None, Some((_, data)), Some(company)) => (company, data),
        (None, Some(_), None) => {
            return Err(NoSuchForm {
                why: "only manufacturer data may be sent here, and no company identifier has been \
                      chosen for it: set one, in the protocol's configuration too",
            });
        }
        (None, None, _) => {
            return Err(NoSuchForm {
                why: "the frame carries no data",
            });
        }
    };
    let mut made = Advertisement::new();
    Ok(made.push_manufacturer_data(company, data).map(|()| made))
}

fn service_uuid(frame: &Advertisement) -> Made {
    let marker = frame.services().find_map(uuid_to_u16);
    let service = frame.structures().find_map(|s| s.as_service_data16());
    let manufacturer = frame.structures().find_map(|s| s.as_manufacturer_data());
    let (marker, uuid) = match (marker, service, manufacturer) {
        (_, Some((marker, [id @ .., _, _, _, _])), _) if id.len() == 16 => {
            (Some(marker), Uuid::from_slice(id).ok())
        }
        (Some(marker), None, Some((_, data))) => {
            let id = <[u8; 12]>::try_from(data).ok();
            (Some(marker), id.map(bluezone::uuid_of))
        }
        _ => (None, None),
    };
    let (Some(marker), Some(uuid)) = (marker, uuid) else {
        return Err(NoSuchForm {
            why: "only service UUIDs may be sent here, and the frame carries something else than \
                  an identifier of Bluezone or GAEN",
        });
    };
    let mut made = Advertisement::new();
    let pushed = made
        .push_service_uuid16(marker)
        .and_then(|()| made.push_service_uuid128(uuid));
    Ok(pushed.map(|()| made))
}

/// The one service UUID of a frame that has no short form, if there is one: the identifier, where the
/// sender may advertise nothing else. Beside a 16-bit UUID, 31 bytes have no room for a second.
pub(super) fn long_service(frame: &Advertisement) -> Option<Uuid> {
    frame.services().find(|uuid| uuid_to_u16(*uuid).is_none())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::{Heard, Protocol, bluezone::WireProfile, gaen};
    use crate::sighting::Source;

    const WINDOWS: FrameForm = FrameForm::ManufacturerData {
        company: Some(0xFFFF),
    };

    fn gaen_frame(data: &[u8]) -> Advertisement {
        let mut frame = Advertisement::new();
        frame.push_flags(0x1A).unwrap();
        frame.push_service_uuid16(0xFD6F).unwrap();
        frame.push_service_data16(0xFD6F, data).unwrap();
        frame
    }

    fn gaen_on_windows() -> Protocol {
        Protocol::Gaen(gaen::Config {
            company: Some(0xFFFF),
            ..gaen::Config::default()
        })
    }

    fn refused(form: FrameForm, frame: &Advertisement) -> bool {
        form.of(frame).is_err()
    }

    #[test]
    fn apples_form_of_gaen_byte_by_byte() {
        let id: [u8; 16] = std::array::from_fn(|n| n as u8 + 1);
        let frame = gaen_frame(&[&id[..], &[0xEE; 4]].concat());
        let made = FrameForm::ServiceUuid.of(&frame).unwrap();
        let mut expected = vec![3, 3, 0x6F, 0xFD, 17, 7];
        // UUIDs are little-endian on the air.
        expected.extend((1..=16).rev());
        assert_eq!(made.as_bytes(), expected);
    }

    #[test]
    fn apples_form_of_bluezone_byte_by_byte() {
        let frame = WireProfile::default().frame(&[0xAB; 12]).unwrap();
        let made = FrameForm::ServiceUuid.of(&frame).unwrap();
        let mut expected = vec![3, 3, 0x56, 0x4E, 17, 7];
        expected.extend(*b"tevt");
        expected.extend([0xAB; 12]);
        assert_eq!(made.as_bytes(), expected);
    }

    #[test]
    fn service_data_needs_a_company() {
        let none = FrameForm::ManufacturerData { company: None };
        let error = none.of(&gaen_frame(&[1; 20])).unwrap_err();
        assert!(error.to_string().contains("company identifier"), "{error}");
        // Bluezone brings its own.
        let bluezone = WireProfile::default().frame(&[1; 12]).unwrap();
        assert!(none.of(&bluezone).is_ok());
    }

    #[test]
    fn frames_without_an_identifier_have_no_other_form() {
        let mut bare = Advertisement::new();
        bare.push_service_uuid16(0xFD6F).unwrap();
        let mut unmarked = Advertisement::new();
        unmarked.push_manufacturer_data(0x22B5, &[1; 12]).unwrap();
        for frame in [Advertisement::new(), bare, gaen_frame(&[1; 19]), unmarked] {
            assert!(refused(FrameForm::ServiceUuid, &frame));
        }
        assert!(refused(WINDOWS, &bare));
    }

    #[test]
    fn a_company_that_was_not_chosen_is_not_heard() {
        let made = WINDOWS.of(&gaen_frame(&[1; 20])).unwrap();
        assert_eq!(Protocol::gaen().parse(&made), Ok(None));
    }

    #[test]
    fn manufacturer_data_of_another_length_is_malformed() {
        let mut frame = Advertisement::new();
        frame.push_manufacturer_data(0xFFFF, &[1; 19]).unwrap();
        assert_eq!(gaen_on_windows().parse(&frame).unwrap_err().got, 19);
    }

    #[test]
    fn service_data_wins_over_the_other_forms() {
        let mut frame = Advertisement::new();
        frame.push_manufacturer_data(0xFFFF, &[]).unwrap();
        frame.push_service_data16(0xFD6F, &[2; 20]).unwrap();
        let heard = gaen_on_windows().parse(&frame).unwrap().unwrap();
        let Heard::Identifier { id, source, .. } = heard else {
            panic!("{heard:?}");
        };
        assert_eq!((id.as_bytes(), source), (&[2; 16][..], Source::ServiceData));
    }

    #[test]
    fn a_long_uuid_without_the_marker_is_a_strangers() {
        let mut frame = Advertisement::new();
        frame.push_service_uuid128(Uuid::from_u128(7)).unwrap();
        assert_eq!(Protocol::gaen().parse(&frame), Ok(None));
        let ours = bluezone::uuid_of([7; 12]);
        let mut frame = Advertisement::new();
        frame.push_service_uuid128(ours).unwrap();
        assert_eq!(Protocol::bluezone().parse(&frame), Ok(None));
    }

    #[test]
    fn bluezones_marker_beside_a_uuid_of_another_end() {
        let mut frame = Advertisement::new();
        frame.push_service_uuid16(0x4E56).unwrap();
        frame.push_service_uuid128(Uuid::from_u128(7)).unwrap();
        assert!(Protocol::bluezone().parse(&frame).is_err());
    }

    proptest! {
        #[test]
        fn every_form_of_gaen_comes_back(data in any::<[u8; 20]>()) {
            let frame = gaen_frame(&data);
            let protocol = gaen_on_windows();
            let (id, metadata) = data.split_at(16);
            for (made, source) in [
                (frame, Source::ServiceData),
                (WINDOWS.of(&frame).unwrap(), Source::ManufacturerData),
                (FrameForm::ServiceUuid.of(&frame).unwrap(), Source::ServiceUuid),
            ] {
                let expected = Heard::Identifier {
                    id: <[u8; 16]>::try_from(id).unwrap().into(),
                    metadata: (source != Source::ServiceUuid).then(|| metadata.try_into().unwrap()),
                    source,
                };
                prop_assert_eq!(protocol.parse(&made), Ok(Some(expected)));
                prop_assert_eq!(Protocol::bluezone().parse(&made), Ok(None));
            }
        }

        #[test]
        fn every_form_of_bluezone_comes_back(id in any::<[u8; 12]>()) {
            let frame = WireProfile::default().frame(&id).unwrap();
            for (made, source) in [
                (frame, Source::ManufacturerData),
                (WINDOWS.of(&frame).unwrap(), Source::ManufacturerData),
                (FrameForm::ServiceUuid.of(&frame).unwrap(), Source::ServiceUuid),
            ] {
                let expected = Heard::Identifier { id: id.into(), metadata: None, source };
                prop_assert_eq!(Protocol::bluezone().parse(&made), Ok(Some(expected)));
                prop_assert_eq!(Protocol::gaen().parse(&made), Ok(None));
            }
        }

        #[test]
        fn any_frame_has_a_form_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..32)) {
            if let Ok(frame) = Advertisement::parse(&bytes) {
                for form in [WINDOWS, FrameForm::ServiceUuid] {
                    let _ = form.of(&frame);
                }
                for protocol in [Protocol::bluezone(), gaen_on_windows()] {
                    let _ = protocol.parse(&frame);
                }
            }
        }
    }
}
