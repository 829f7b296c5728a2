//! What a device is said to have sent: envelopes, the messages in them, certificates, and codes that are typed.
//!
//! The first byte says which; no fuzzer breaks the seal, so that messages also come without it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use truyvet::Secret;
use truyvet::report::authorisation::{Certificate, CertificateVerifier, VerificationCode};
use truyvet::report::authorisation::{NotAuthorised, UsedInMemory};
use truyvet::report::diagnosis::{CodeExchange, DiagnosisReport};
use truyvet::report::sealed::{AuthorityPrivateKey, AuthorityPublicKey, SizeClass, open, seal};
use truyvet::report::sealed::{MessageKind, OpenError};
use truyvet::time::Timestamp;

static AUTHORITY: LazyLock<[AuthorityPrivateKey; 1]> =
    LazyLock::new(|| [AuthorityPrivateKey::from_bytes(Secret::new([1; 32]))]);

static TO: LazyLock<AuthorityPublicKey> = LazyLock::new(|| AUTHORITY[0].public_key().unwrap());

fuzz_target!(|data: &[u8]| {
    let Some((what, data)) = data.split_first() else {
        return;
    };
    match what % 6 {
        0 => envelope(data),
        1 => sealed(data),
        2 => exchange(data),
        3 => report(data),
        4 => certificate(data),
        _ => code(data),
    }
});

/// Whatever it is, only bytes of an envelope's length get as far as to be opened.
fn envelope(data: &[u8]) {
    let whole = SizeClass::of_envelope(data.len()).is_some();
    match open(&*AUTHORITY, data) {
        Err(OpenError::Length { got }) => assert!(!whole && got == data.len()),
        Err(_) | Ok(_) => assert!(whole),
    }
}

/// What is sealed is opened, and of the smallest size that holds it.
fn sealed(data: &[u8]) {
    let envelope = seal(&TO, MessageKind::HealthDeclaration, data).unwrap();
    assert_eq!(
        SizeClass::of_envelope(envelope.len()),
        SizeClass::for_payload(data.len())
    );
    assert_eq!(*open(&*AUTHORITY, &envelope).unwrap().payload, data);
}

fn exchange(data: &[u8]) {
    if let Ok(exchange) = CodeExchange::from_bytes(data) {
        let text = exchange.code.to_text();
        assert!(text.parse() == Ok(exchange.code));
        let characters: String = text.chars().filter(|c| *c != '-').collect();
        let commitment = exchange.commitment.to_bytes();
        let length = (characters.len() as u64).to_le_bytes();
        let again = [&[1], &length[..], characters.as_bytes(), &commitment].concat();
        assert_eq!(data, again, "there is one way to write it");
    }
}

/// A report that is read is read again as it is written, and nobody's is authorised.
fn report(data: &[u8]) {
    let Ok(report) = DiagnosisReport::from_bytes(data) else {
        return;
    };
    let bytes = report.to_bytes().unwrap();
    let again = DiagnosisReport::from_bytes(&bytes).unwrap();
    assert_eq!(again.keys(), report.keys());
    assert_eq!(again.contacts(), report.contacts());
    assert!(*again.to_bytes().unwrap() == *bytes);
    assert!(report.seal(&TO).is_ok());
    let verifier = CertificateVerifier::new([]);
    let mut used = UsedInMemory::default();
    let refused = verifier.authorise(report, Timestamp::from_unix_seconds(0), &mut used);
    assert!(matches!(refused, Err(NotAuthorised::Refused(_))));
}

fn certificate(data: &[u8]) {
    if let Ok(certificate) = Certificate::from_bytes(data) {
        assert_eq!(certificate.as_bytes(), data);
        let verifier = CertificateVerifier::new([]);
        let now = certificate.issued_at();
        assert!(verifier.verify(&certificate, now).is_err());
    }
}

fn code(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(code) = text.parse::<VerificationCode>() {
        let shown = code.to_text();
        assert!(shown.to_lowercase().parse() == Ok(code));
    }
}
