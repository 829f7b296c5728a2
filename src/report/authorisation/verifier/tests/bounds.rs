//! How long certificates live and their uses are known, and what is printed of them.

use super::*;
use crate::report::answer::Answer;

#[test]
fn nothing_of_a_diagnosis_is_printed() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let certificate = report.certificate().clone();
    let diagnosis = *certificate.diagnosis();
    let authorised = publisher.take(report).unwrap();
    let used = UseOfCertificate {
        id: certificate.id(),
        commitment: certificate.commitment(),
        keys: Vec::new(),
        report_type: ReportType::ConfirmedTest,
        keep_until: NOW,
    };
    let dates = [diagnosis.test_date, diagnosis.onset].map(|day| day.unwrap().to_string());
    for shown in [
        format!("{certificate:?}"),
        format!("{authorised:?}"),
        format!("{diagnosis:?}"),
        format!("{used:?}"),
        format!("{:?}", Answer::Certificate(certificate.as_bytes().to_vec())),
    ] {
        for secret in [
            "Confirmed",
            "onset",
            "test_date",
            "1, 1,",
            &dates[0],
            &dates[1],
        ] {
            assert!(!shown.contains(secret), "{secret} in {shown}");
        }
        assert!(!shown.contains("UtcDay"), "{shown}");
    }
}

#[test]
fn lives_too_long() {
    let mut publisher = Publisher::new();
    let longest = Duration::from_secs(604_800);
    for (lifetime, taken) in [(longest, true), (longest + Duration::from_secs(1), false)] {
        publisher.signer = publisher.signer.living(lifetime);
        let report = publisher.confirmed();
        let refusal = publisher.take(report).err();
        let got_s = lifetime.as_secs();
        let expected = (!taken).then_some(Refusal::LivesTooLong { got_s });
        assert_eq!(refusal, expected);
        publisher.used = UsedInMemory::default();
    }
}

/// A report sent as its certificate expires, with a key of that day, and the last certificate that may have that key
/// among its own.
#[test]
fn uses_are_known_for_as_long_as_a_certificate_could_admit_their_keys() {
    let mut publisher = Publisher::new();
    publisher.signer = publisher.signer.living(LIFETIME_MAX);
    let report = publisher.confirmed();
    let first = report.certificate();
    let last_key = first.expires_at().utc_day();
    let keep_until = publisher.verifier.keep_until(first);
    let last_day = UtcDay::from_unix_days(last_key.unix_days() + 14);
    let days = [last_key];
    let verifier = &publisher.verifier;
    let issued_at = last_day.end().saturating_sub(Duration::from_secs(1));
    let expires_at = issued_at.saturating_add(LIFETIME_MAX);
    assert!(
        verifier
            .require_allowed(&days, issued_at, expires_at)
            .is_ok()
    );
    let next = last_day.end();
    assert!(verifier.require_allowed(&days, next, next).is_err());
    assert!(expires_at <= keep_until);
}
