use super::*;
use crate::publication::publisher::ReportId;
use crate::report::authorisation::{CertificateSigner, UsedInMemory};
use crate::report::diagnosis::tests::{NOW, ago, bluezone, certified, gaen, prepared, signer};

mod bounds;

const DAY: Duration = Duration::from_secs(86_400);

struct Publisher {
    signer: CertificateSigner,
    verifier: CertificateVerifier,
    used: UsedInMemory,
}

impl Publisher {
    fn new() -> Self {
        let signer = signer();
        Self {
            verifier: CertificateVerifier::new([signer.verification_key().clone()]),
            signer,
            used: UsedInMemory::default(),
        }
    }

    fn report(&self, keys: Vec<PublishedKey>, report_type: ReportType) -> DiagnosisReport {
        let prepared = prepared(keys);
        let certificate = certified(&self.signer, prepared.commitment(), report_type);
        prepared.authorised(certificate).unwrap()
    }

    fn confirmed(&self) -> DiagnosisReport {
        let keys = vec![gaen(1), gaen(4), bluezone(1)];
        self.report(keys, ReportType::ConfirmedTest)
    }

    fn take(&mut self, report: DiagnosisReport) -> Result<AuthorisedReport, Refusal> {
        self.take_at(report, NOW)
    }

    fn take_at(
        &mut self,
        report: DiagnosisReport,
        now: Timestamp,
    ) -> Result<AuthorisedReport, Refusal> {
        let used = &mut self.used;
        self.verifier
            .authorise(report, now, used)
            .map_err(|error| match error {
                NotAuthorised::Refused(refusal) => refusal,
                NotAuthorised::Used(never) => match never {},
            })
    }
}

/// The same report as whoever sends it may change it: its bytes, from one text to another of the same length.
fn changed(report: &DiagnosisReport, from: &[u8], to: &[u8]) -> DiagnosisReport {
    let mut bytes = report.to_bytes().unwrap();
    let at = bytes.windows(from.len()).position(|it| it == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    DiagnosisReport::from_bytes(&bytes).unwrap()
}

#[test]
fn a_report_is_published_as_the_authority_says() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let (id, commitment) = (report.certificate().id(), report.certificate().commitment());
    let authorised = publisher.take(report).unwrap();
    assert_eq!(
        (authorised.certificate, authorised.commitment),
        (id, commitment)
    );
    assert_eq!(authorised.replaces, None);
    let mut accepted = authorised.clone().into_accepted_keys(NOW, ReportId(7));
    assert!(accepted.all(|key| !key.revision && key.accepted_at == NOW));
    let gaen_keys = authorised
        .keys
        .into_iter()
        .filter_map(PublishedKey::into_gaen);
    let said: Vec<_> = gaen_keys
        .map(|key| (key.report_type, key.days_since_onset))
        .collect();
    // Symptoms began three days ago.
    let confirmed = ReportType::ConfirmedTest;
    assert_eq!(said, [(confirmed, Some(2)), (confirmed, Some(-1))]);
}

#[test]
fn days_since_onset_beyond_what_gaen_knows() {
    assert_eq!(days_since(ago(14), ago(0)), Some(14));
    assert_eq!(days_since(ago(15), ago(0)), None);
    assert_eq!(days_since(ago(0), ago(14)), Some(-14));
    assert_eq!(days_since(ago(0), ago(15)), None);
}

#[test]
fn replayed() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let again = DiagnosisReport::from_bytes(&report.to_bytes().unwrap()).unwrap();
    publisher.take(report).unwrap();
    assert_eq!(publisher.take(again).unwrap_err(), Refusal::Replayed);
}

#[test]
fn expired() {
    let mut publisher = Publisher::new();
    let at = NOW.saturating_add(DAY);
    let report = publisher.confirmed();
    let error = publisher.take_at(report, at).unwrap_err();
    assert_eq!(error, Refusal::Expired { at });
    let last = at.saturating_sub(Duration::from_millis(1));
    let report = publisher.confirmed();
    assert!(publisher.take_at(report, last).is_ok());
}

#[test]
fn not_yet_valid() {
    let mut publisher = Publisher::new();
    let early = NOW.saturating_sub(CLOCKS_DIFFER);
    let report = publisher.confirmed();
    let too_early = early.saturating_sub(Duration::from_millis(1));
    let error = publisher.take_at(report, too_early).unwrap_err();
    assert_eq!(error, Refusal::NotYetValid { from: NOW });
    let report = publisher.confirmed();
    assert!(publisher.take_at(report, early).is_ok());
}

#[test]
fn wrong_signer() {
    let mut publisher = Publisher::new();
    let report = Publisher::new().confirmed();
    assert_eq!(publisher.take(report).unwrap_err(), Refusal::WrongSigner);
}

#[test]
fn signer_only_claimed() {
    let mut publisher = Publisher::new();
    let stranger = Publisher::new().confirmed();
    let ours = signer_id(publisher.signer.verification_key());
    let theirs = stranger.certificate().claims.signer;
    let claiming = changed(&stranger, &theirs, &ours);
    assert_eq!(publisher.take(claiming).unwrap_err(), Refusal::Changed);
}

#[test]
fn onset_changed() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let (from, to) = (ago(3).unix_days(), ago(2).unix_days());
    let report = changed(&report, &from.to_le_bytes(), &to.to_le_bytes());
    assert_eq!(report.certificate().diagnosis().onset, Some(ago(2)));
    assert_eq!(publisher.take(report).unwrap_err(), Refusal::Changed);
}

#[test]
fn signature_changed() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let signature = report.certificate().signature.clone();
    let mut other = signature.clone();
    *other.last_mut().unwrap() ^= 1;
    let report = changed(&report, &signature, &other);
    assert_eq!(publisher.take(report).unwrap_err(), Refusal::Changed);
}

#[test]
fn swapped_keys() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let swapped = report.with_keys(vec![gaen(2), gaen(5), bluezone(2)]);
    assert_eq!(publisher.take(swapped).unwrap_err(), Refusal::OtherKeys);
    // One of them.
    let swapped = report.with_keys(vec![gaen(1), gaen(5), bluezone(1)]);
    assert_eq!(publisher.take(swapped).unwrap_err(), Refusal::OtherKeys);
}

#[test]
fn truncated_keys() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let truncated = report.with_keys(report.keys()[..2].to_vec());
    assert_eq!(publisher.take(truncated).unwrap_err(), Refusal::OtherKeys);
}

#[test]
fn key_added() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let added = [report.keys(), &[gaen(5)]].concat();
    let added = report.with_keys(added);
    assert_eq!(publisher.take(added).unwrap_err(), Refusal::OtherKeys);
}

#[test]
fn key_time_changed() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let (from, to) = (144_u32.to_le_bytes(), 143_u32.to_le_bytes());
    let report = changed(&report, &from, &to);
    assert_eq!(publisher.take(report).unwrap_err(), Refusal::OtherKeys);
}

#[test]
fn certificate_of_another_report() {
    let mut publisher = Publisher::new();
    let (a, b) = (publisher.confirmed(), publisher.confirmed());
    let mixed = a.with_certificate(b.certificate().clone());
    assert_eq!(publisher.take(mixed).unwrap_err(), Refusal::OtherKeys);
    assert!(publisher.take(b).is_ok());
}

#[test]
fn keys_in_another_order() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let mut keys = report.keys().to_vec();
    keys.reverse();
    assert!(publisher.take(report.with_keys(keys)).is_ok());
}

/// A device that signs whatever it likes into its commitment is held to the rules of keys all the same.
fn committed_to(publisher: &Publisher, keys: Vec<PublishedKey>) -> DiagnosisReport {
    let base = publisher.confirmed().with_keys(keys);
    let commitment = base.commitment();
    let certificate = certified(&publisher.signer, commitment, ReportType::ConfirmedTest);
    base.with_certificate(certificate)
}

#[test]
fn keys_of_days_that_are_not_allowed() {
    let mut publisher = Publisher::new();
    let report = committed_to(&publisher, vec![gaen(1), gaen(15)]);
    let refusal = Refusal::Day {
        day: ago(15),
        first: ago(14),
        last: ago(0),
    };
    assert_eq!(publisher.take(report).unwrap_err(), refusal);
    let report = committed_to(&publisher, vec![gaen(0), gaen(14)]);
    assert!(publisher.take(report).is_ok());
}

#[test]
fn a_key_of_tomorrow() {
    let mut publisher = Publisher::new();
    let tomorrow = UtcDay::from_unix_days(ago(0).unix_days() + 1);
    let start = crate::time::IntervalNumber::at(tomorrow.start());
    let key = crate::protocol::gaen::DiagnosisKey::new([1; 16], start, 144).unwrap();
    let report = committed_to(&publisher, vec![key.into()]);
    let refused = publisher.take(report).unwrap_err();
    assert!(matches!(refused, Refusal::Day { day, .. } if day == tomorrow));
}

#[test]
fn keys_overlapping() {
    let mut publisher = Publisher::new();
    let report = committed_to(&publisher, vec![gaen(1), gaen(1)]);
    let overlap = InvalidKeys::Overlap { day: ago(1) };
    assert_eq!(publisher.take(report).unwrap_err(), Refusal::Keys(overlap));
}

#[test]
fn a_refused_report_may_come_again() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let truncated = report.with_keys(report.keys()[..2].to_vec());
    assert!(publisher.take(truncated).is_err());
    assert!(publisher.take(report).is_ok());
}

#[test]
fn revised() {
    let mut publisher = Publisher::new();
    let report = publisher.report(vec![gaen(1)], ReportType::SelfReport);
    let bytes = report.to_bytes().unwrap();
    let later = |publisher: &Publisher, report_type| {
        let report = DiagnosisReport::from_bytes(&bytes).unwrap();
        let commitment = report.certificate().commitment();
        let certificate = certified(&publisher.signer, commitment, report_type);
        report.revised(certificate).unwrap()
    };
    publisher.take(report).unwrap();
    let confirmed = later(&publisher, ReportType::ConfirmedTest);
    let authorised = publisher.take(confirmed).unwrap();
    assert_eq!(authorised.replaces, Some(ReportType::SelfReport));
    let mut accepted = authorised.into_accepted_keys(NOW, ReportId(7));
    assert!(accepted.all(|key| key.revision && !key.revoked && key.report == ReportId(7)));
    for to in [
        ReportType::SelfReport,
        ReportType::ConfirmedClinicalDiagnosis,
        ReportType::ConfirmedTest,
    ] {
        let back = later(&publisher, to);
        let from = ReportType::ConfirmedTest;
        assert_eq!(
            publisher.take(back).unwrap_err(),
            Refusal::GoesBack { from, to }
        );
    }
    let revoked = later(&publisher, ReportType::Revoked);
    let authorised = publisher.take(revoked).unwrap();
    assert_eq!(authorised.replaces, Some(ReportType::ConfirmedTest));
    assert!(authorised.keys.iter().all(PublishedKey::is_revoked));
    let mut accepted = authorised.into_accepted_keys(NOW, ReportId(7));
    assert!(accepted.all(|key| key.revision && key.revoked));
    let unrevoked = later(&publisher, ReportType::ConfirmedTest);
    assert!(matches!(
        publisher.take(unrevoked).unwrap_err(),
        Refusal::GoesBack { .. }
    ));
}

#[test]
fn revoked_before_it_was_reported() {
    let mut publisher = Publisher::new();
    let report = publisher.report(vec![gaen(1)], ReportType::Revoked);
    assert_eq!(
        publisher.take(report).unwrap_err(),
        Refusal::NothingToRevoke
    );
}

/// Somebody else's keys, which are public by now, under a certificate of one's own: to withdraw them, say.
#[test]
fn keys_of_another_report() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    publisher.take(report).unwrap();
    let report = publisher.report(vec![gaen(2), gaen(4)], ReportType::Revoked);
    assert_eq!(publisher.take(report).unwrap_err(), Refusal::ReportedBefore);
}

#[test]
fn what_is_forgotten_could_not_be_used_any_more() {
    let mut publisher = Publisher::new();
    let report = publisher.confirmed();
    let bytes = report.to_bytes().unwrap();
    publisher.take(report).unwrap();
    let again = || DiagnosisReport::from_bytes(&bytes).unwrap();
    // The certificate, and a later one of the same keys.
    for days in 0..30 {
        let now = NOW.saturating_add(DAY * days);
        publisher.used.forget(now);
        let refused = publisher.take_at(again(), now).unwrap_err();
        let expected = if days == 0 { "replayed" } else { "expired" };
        assert_eq!(refused.name(), expected);
        let diagnosis = Diagnosis {
            report_type: ReportType::ConfirmedTest,
            test_date: None,
            onset: None,
        };
        let commitment = again().certificate().commitment();
        let random = &mut crate::entropy::SystemEntropy;
        let certificate = publisher.signer.sign(&diagnosis, commitment, now, random);
        let revised = again().revised(certificate.unwrap()).unwrap();
        assert!(publisher.take_at(revised, now).is_err());
    }
    assert_eq!(
        publisher.used.is_used(&again().certificate().id()),
        Ok(false)
    );
}

#[test]
fn names_are_not_shared() {
    let day = ago(0);
    let refusals = [
        Refusal::WrongSigner,
        Refusal::Changed,
        Refusal::NotYetValid { from: NOW },
        Refusal::Expired { at: NOW },
        Refusal::OtherKeys,
        Refusal::Keys(InvalidKeys::NoKeys),
        Refusal::Day {
            day,
            first: day,
            last: day,
        },
        Refusal::Replayed,
        Refusal::ReportedBefore,
        Refusal::GoesBack {
            from: ReportType::Revoked,
            to: ReportType::Revoked,
        },
        Refusal::NothingToRevoke,
    ];
    let names: std::collections::HashSet<_> = refusals.iter().map(Refusal::name).collect();
    assert_eq!(names.len(), refusals.len());
}

/// A database that fails notes nothing, and says so.
#[test]
fn a_database_that_fails() {
    struct Broken;
    impl UsedCertificates for Broken {
        type Error = std::io::Error;
        fn is_used(&mut self, _: &CertificateId) -> std::io::Result<bool> {
            Ok(false)
        }
        fn report_type_of(&mut self, _: &Commitment) -> std::io::Result<Option<ReportType>> {
            Ok(None)
        }
        fn reported_with(&mut self, _: &KeyDigest) -> std::io::Result<Option<Commitment>> {
            Ok(None)
        }
        fn note(&mut self, _: &UseOfCertificate) -> std::io::Result<()> {
            Err(std::io::Error::other("disk full"))
        }
    }
    let publisher = Publisher::new();
    let error = publisher
        .verifier
        .authorise(publisher.confirmed(), NOW, &mut Broken)
        .unwrap_err();
    assert!(matches!(error, NotAuthorised::Used(_)));
}
