use proptest::prelude::*;

use super::*;
use crate::entropy::SystemEntropy;
use crate::report::diagnosis::tests::{NOW, ago, signer};

const COMMITMENT: Commitment = Commitment::from_bytes([7; 32]);

fn diagnosis() -> Diagnosis {
    Diagnosis {
        report_type: ReportType::ConfirmedTest,
        test_date: Some(ago(1)),
        onset: None,
    }
}

fn sign(diagnosis: &Diagnosis) -> Result<Certificate, CertificateError> {
    signer().sign(diagnosis, COMMITMENT, NOW, &mut SystemEntropy)
}

/// As docs/report-format.md has it.
#[test]
fn certificates_are_pinned() {
    let certificate = sign(&diagnosis()).unwrap();
    let claims = [
        &certificate.claims.signer[..],
        &certificate.id().to_bytes(),
        &[7; 32],
        &[1],
        &[1],
        &18_481_u32.to_le_bytes(),
        &[0],
        &1_596_880_800_u64.to_le_bytes(),
        &(1_596_880_800_u64 + 86_400).to_le_bytes(),
    ]
    .concat();
    let length = (certificate.signature.len() as u64).to_le_bytes();
    let expected = [&[1][..], &claims, &length, &certificate.signature].concat();
    assert_eq!(certificate.as_bytes(), expected);
    assert!(expected.len() < 200);
    let signed = [&b"truyvet certificate 1"[..], &claims].concat();
    assert_eq!(certificate.claims.to_signed().unwrap(), signed);
    assert_eq!(Certificate::from_bytes(&expected), Ok(certificate));
}

#[test]
fn certificates_have_names_of_their_own() {
    let id = || sign(&diagnosis()).unwrap().id();
    assert_ne!(id(), id());
}

#[test]
fn report_types_that_are_not_certified() {
    for report_type in [ReportType::Unknown, ReportType::Recursive] {
        let diagnosis = Diagnosis {
            report_type,
            ..diagnosis()
        };
        assert_eq!(sign(&diagnosis), Err(CertificateError::ReportType));
    }
}

#[test]
fn days_that_cannot_be() {
    let tomorrow = UtcDay::from_unix_days(ago(0).unix_days() + 1);
    for day in [tomorrow, ago(29)] {
        let test = Diagnosis {
            test_date: Some(day),
            ..diagnosis()
        };
        let onset = Diagnosis {
            onset: Some(day),
            ..diagnosis()
        };
        for (what, diagnosis) in [("test date", test), ("onset", onset)] {
            let expected = CertificateError::Day {
                what,
                day,
                oldest: ago(28),
                today: ago(0),
            };
            assert_eq!(sign(&diagnosis), Err(expected));
        }
    }
    let oldest = Diagnosis {
        onset: Some(ago(28)),
        ..diagnosis()
    };
    assert!(sign(&oldest).is_ok());
}

#[test]
fn lifetimes_out_of_bounds() {
    for got_s in [0, 59, 604_801] {
        let error = signer().lifetime(Duration::from_secs(got_s)).unwrap_err();
        assert_eq!(error, CertificateError::Lifetime { got_s });
    }
    let week = signer().lifetime(LIFETIME_MAX).unwrap();
    let certificate = week.sign(&diagnosis(), COMMITMENT, NOW, &mut SystemEntropy);
    let certificate = certificate.unwrap();
    assert_eq!(
        certificate.expires_at().since(certificate.issued_at()),
        LIFETIME_MAX
    );
}

#[test]
fn malformed() {
    let bytes = sign(&diagnosis()).unwrap().as_bytes().to_vec();
    let read = |bytes: &[u8]| Certificate::from_bytes(bytes).unwrap_err();
    assert_eq!(read(&[]), MalformedCertificate::Layout);
    for end in 1..bytes.len() {
        assert_eq!(read(&bytes[..end]), MalformedCertificate::Layout);
    }
    let extended = [&bytes[..], &[0]].concat();
    assert_eq!(read(&extended), MalformedCertificate::Layout);
    let changed = |at: usize, with: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        read(&bytes)
    };
    assert_eq!(changed(0, &[2]), MalformedCertificate::Version { got: 2 });
    for got in [0, 4, 6] {
        assert_eq!(
            changed(53, &[got]),
            MalformedCertificate::ReportType { got }
        );
    }
    assert_eq!(changed(55, &[0xFF; 4]), MalformedCertificate::Time);
    assert_eq!(changed(60, &[0xFF; 8]), MalformedCertificate::Time);
    assert_eq!(changed(54, &[2]), MalformedCertificate::Layout);
    let long = Certificate::of(sign(&diagnosis()).unwrap().claims, vec![0; 73]).unwrap();
    assert_eq!(
        read(long.as_bytes()),
        MalformedCertificate::Signature { got: 73 }
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_certificate_or_are_not(bytes in proptest::collection::vec(any::<u8>(), 0..250)) {
        let mut bytes = bytes;
        if let Some(version) = bytes.first_mut() {
            *version = 1;
        }
        if let Ok(certificate) = Certificate::from_bytes(&bytes) {
            let again = Certificate::of(certificate.claims.clone(), certificate.signature.clone());
            prop_assert_eq!(again.unwrap().bytes, bytes);
        }
    }
}

/// What an authority may do that does not keep to the library.
impl CertificateSigner {
    pub(in crate::report::authorisation) fn living(self, lifetime: Duration) -> Self {
        Self { lifetime, ..self }
    }
}
