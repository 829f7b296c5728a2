//! A health declaration, as JSON, as a record, and as an authority finds it in an envelope.
#![no_main]

use libfuzzer_sys::fuzz_target;
use truyvet::report::health::advice::advise;
use truyvet::report::health::message::{ATTACHMENT_BYTES_MAX, HealthMessage};
use truyvet::report::health::{HealthDeclaration, JSON_BYTES_MAX, RECORD_BYTES_MAX};
use truyvet::time::Timestamp;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_622_430_000);

fuzz_target!(|data: &[u8]| {
    if let Ok(it) = HealthDeclaration::from_json(data, NOW) {
        check(&it);
    }
    if let Ok(it) = HealthDeclaration::from_bytes(data) {
        check(&it);
        // Each has one record, as far as it keeps the rules.
        if let Ok(checked) = it.clone().check(it.made_at) {
            assert_eq!(checked.to_bytes(), data);
        }
    }
    if let Ok(message) = HealthMessage::from_bytes(data) {
        assert!(message.attachment.len() <= ATTACHMENT_BYTES_MAX);
        check(&message.declaration);
    }
});

/// What has been read is written and read again as it was, and breaks a rule or has a record.
fn check(it: &HealthDeclaration) {
    let json = it.to_json();
    if json.len() <= JSON_BYTES_MAX {
        let again = HealthDeclaration::from_json(json.as_bytes(), Timestamp::MAX);
        assert_eq!(again.as_ref(), Ok(it));
    }
    match it.clone().check(it.made_at) {
        Ok(checked) => {
            assert!(checked.to_bytes().len() <= RECORD_BYTES_MAX);
            let again = HealthDeclaration::from_bytes(checked.to_bytes());
            assert_eq!(again.as_ref(), Ok(it));
            assert!(!advise(&checked).is_empty());
        }
        Err(error) => assert!(error.to_string().starts_with(error.field())),
    }
}
