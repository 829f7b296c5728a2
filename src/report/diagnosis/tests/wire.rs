//! The bytes, as docs/report-format.md has them, and others.

use proptest::prelude::*;

use super::*;

#[test]
fn a_report_is_pinned() {
    let report = report(vec![gaen(1), bluezone(2)]);
    let certificate = report.certificate().as_bytes();
    let expected = [
        &[1][..],
        report.secret.expose(),
        &(certificate.len() as u64).to_le_bytes(),
        certificate,
        &[2, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0],
        &[1; 16],
        &(18_481_u32 * 144).to_le_bytes(),
        &144_u32.to_le_bytes(),
        &[0, 0, 0, 0],
        &[2; 32],
        &(18_480_u64 * 86_400).to_le_bytes(),
        &(18_480_u64 * 86_400 + 86_399).to_le_bytes(),
        &96_u32.to_le_bytes(),
        &[0, 0, 0, 0],
    ];
    assert_eq!(*report.to_bytes().unwrap(), expected.concat());
}

#[test]
fn contacts_are_pinned() {
    let tail = |contacts| {
        let report = DiagnosisReport {
            contacts,
            ..report(vec![gaen(1)])
        };
        let bytes = report.to_bytes().unwrap();
        let keys_end = 1 + 32 + 8 + report.certificate.as_bytes().len() + 8 + 28;
        bytes[keys_end..].to_vec()
    };
    assert_eq!(
        tail(Contacts::HeardDigests(vec![9, 8])),
        [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 8]
    );
    let encounters = gather([sighting(5, 0, 0, -60)].into_iter());
    let start = ago(0).start().unix_millis();
    let expected = [
        &[2, 0, 0, 0][..],
        &[1, 0, 0, 0, 0, 0, 0, 0],
        &[1, 0, 0, 0],
        &[16],
        &[5; 16],
        &start.to_le_bytes(),
        &(start + 20_000).to_le_bytes(),
        &10_u32.to_le_bytes(),
        &[1, 0xC4, 0xC4, 0xC4],
        &[0, 0, 0, 0],
    ];
    assert_eq!(tail(Contacts::Encounters(encounters)), expected.concat());
}

#[test]
fn a_code_exchange_is_pinned() {
    let code = "7KQ4M-9XP2K".parse().unwrap();
    let bytes = CodeExchange::encode(&code, Commitment::from_bytes([3; 32])).unwrap();
    let expected = [&[1, 10, 0, 0, 0, 0, 0, 0, 0][..], b"7KQ4M9XP2K", &[3; 32]];
    assert_eq!(*bytes, expected.concat());
}

fn read(bytes: &[u8]) -> MalformedReport {
    DiagnosisReport::from_bytes(bytes).unwrap_err()
}

#[test]
fn unknown_version() {
    let mut bytes = report(vec![gaen(1)]).to_bytes().unwrap();
    bytes[0] = 2;
    assert_eq!(read(&bytes), MalformedReport::Version { got: 2 });
    let error = CodeExchange::from_bytes(&[0]).unwrap_err();
    assert_eq!(error, MalformedReport::Version { got: 0 });
}

#[test]
fn truncated_and_extended() {
    let bytes = report(vec![gaen(1)]).to_bytes().unwrap();
    for end in 1..bytes.len() {
        assert_eq!(read(&bytes[..end]), MalformedReport::Layout, "{end}");
    }
    assert_eq!(read(&[]), MalformedReport::Layout);
    let extended = [&bytes[..], &[0]].concat();
    assert_eq!(read(&extended), MalformedReport::Layout);
}

#[test]
fn too_many_keys() {
    let keys: Vec<_> = (0..65).map(|_| gaen(1)).collect();
    let many = DiagnosisReport {
        keys,
        ..report(vec![gaen(1)])
    };
    assert_eq!(
        read(&many.to_bytes().unwrap()),
        MalformedReport::Keys(InvalidKeys::TooManyKeys { got: 65 })
    );
    let none = DiagnosisReport {
        keys: Vec::new(),
        ..report(vec![gaen(1)])
    };
    let error = read(&none.to_bytes().unwrap());
    assert_eq!(error, MalformedReport::Keys(InvalidKeys::NoKeys));
}

#[test]
fn too_much_heard() {
    let contacts = Contacts::HeardDigests(vec![0; HEARD_BYTES_MAX + 1]);
    let report = DiagnosisReport {
        contacts,
        ..report(vec![gaen(1)])
    };
    assert_eq!(
        read(&report.to_bytes().unwrap()),
        MalformedReport::TooMuchHeard {
            what: "bytes of digests",
            got: HEARD_BYTES_MAX + 1,
            max: HEARD_BYTES_MAX
        }
    );
}

#[test]
fn a_key_that_claims_too_much() {
    let mut bytes = report(vec![gaen(1)]).to_bytes().unwrap();
    let period = bytes.len() - 8;
    bytes[period..period + 4].copy_from_slice(&145_u32.to_le_bytes());
    assert!(matches!(read(&bytes), MalformedReport::Key(_)));
}

#[test]
fn a_code_in_another_form_than_it_is_sent_in() {
    let exchange = |code: &[u8]| {
        let length = (code.len() as u64).to_le_bytes();
        CodeExchange::from_bytes(&[&[1][..], &length, code, &[3; 32]].concat())
    };
    assert!(exchange(b"7KQ4M9XP2K").is_ok());
    for code in [&b"7KQ4M-9XP2K"[..], b"7kq4m9xp2k", &[0xFF; 10]] {
        assert_eq!(exchange(code).unwrap_err(), MalformedReport::Layout);
    }
    let wrong = exchange(b"7KQ4M9XP2L").unwrap_err();
    assert!(matches!(wrong, MalformedReport::Code(_)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bytes = bytes;
        let _ = DiagnosisReport::from_bytes(&bytes);
        let _ = CodeExchange::from_bytes(&bytes);
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        let _ = DiagnosisReport::from_bytes(&bytes);
        let _ = CodeExchange::from_bytes(&bytes);
    }
}
