//! Advertising data from the air, and what both protocols hear in it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use truyvet::advertisement::{ADVERTISEMENT_BYTES_MAX, MalformedAdvertisement};
use truyvet::protocol::bluezone::WireProfile;
use truyvet::protocol::{FrameForm, Heard, gaen};
use truyvet::uuid::Uuid;
use truyvet::{Advertisement, Protocol, ProtocolKind};

/// For tests alone (Bluetooth Assigned Numbers, 7.1).
const COMPANY: u16 = 0xFFFF;

fuzz_target!(|data: &[u8]| {
    let frame = match Advertisement::parse(data) {
        Ok(frame) => frame,
        Err(MalformedAdvertisement::StructureCut {
            offset,
            expected,
            got,
        }) => {
            assert!(offset < data.len() && got < expected);
            return;
        }
        Err(MalformedAdvertisement::TooLong { len }) => {
            assert!(len > ADVERTISEMENT_BYTES_MAX);
            return;
        }
        Err(error) => panic!("{error}"),
    };
    assert!(data.starts_with(frame.as_bytes()));
    assert_eq!(Advertisement::parse(frame.as_bytes()), Ok(frame));
    let bytes: usize = frame.structures().map(|it| it.data.len() + 2).sum();
    assert_eq!(bytes, frame.as_bytes().len());
    for uuid in frame.services() {
        assert!(frame.has_service(uuid));
    }
    for structure in frame.structures() {
        if let Some((uuid, _)) = structure.as_service_data16() {
            assert!(frame.service_data16(uuid).is_some());
        }
        if let Some((company, _)) = structure.as_manufacturer_data() {
            assert!(frame.manufacturer_data(company).is_some());
        }
    }
    for protocol in protocols() {
        heard(&protocol, &frame);
    }
});

/// Both protocols, on their own numbers and on an app's.
fn protocols() -> [Protocol; 4] {
    let [service, characteristic] = [7, 8].map(Uuid::from_u128);
    let own = WireProfile::custom(0xFFF0, COMPANY, service, characteristic, 127);
    let mut windows = gaen::Config::default();
    windows.company = Some(COMPANY);
    [
        Protocol::bluezone(),
        Protocol::gaen(),
        Protocol::Bluezone(own),
        Protocol::Gaen(windows),
    ]
}

fn heard(protocol: &Protocol, frame: &Advertisement) {
    match protocol.parse(frame) {
        Ok(Some(Heard::Identifier { id, metadata, .. })) => {
            let expected = match protocol.kind() {
                ProtocolKind::Gaen => 16,
                _ => 12,
            };
            assert_eq!(id.as_bytes().len(), expected);
            assert!(metadata.is_none() || expected == 16);
        }
        Ok(_) => {}
        Err(malformed) => {
            assert_eq!(malformed.protocol, protocol.kind());
            assert_ne!(malformed.expected, malformed.got);
        }
    }
    let company = Some(COMPANY);
    for form in [
        FrameForm::ServiceUuid,
        FrameForm::ManufacturerData { company },
    ] {
        if let Ok(made) = form.of(frame) {
            let _ = protocol.parse(&made);
        }
    }
}
