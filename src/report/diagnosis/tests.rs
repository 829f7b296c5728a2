use std::time::Duration;

use super::*;
use crate::crypto::EcdsaP256KeyPair;
use crate::entropy::SeededEntropy;
use crate::protocol::ProtocolKind;
use crate::protocol::bluezone::PublishedEntry;
use crate::protocol::gaen::DiagnosisKey;
use crate::publication::signature::SigningKey;
use crate::report::authorisation::{CertificateSigner, CodeKey, CodePolicy, Diagnosis};
use crate::report::consent::ConsentRequest;
use crate::report::sealed::{AuthorityPrivateKey, SizeClass, open};
use crate::sighting::{Rssi, RssiSummary, Source};
use crate::time::{IntervalNumber, Timestamp};

mod wire;

/// 2020-08-08T10:00Z.
pub(in crate::report) const NOW: Timestamp = Timestamp::from_unix_seconds(1_596_880_800);

pub(in crate::report) fn ago(days: u32) -> UtcDay {
    NOW.utc_day().saturating_sub(days)
}

/// GAEN's key of a day, whole.
pub(in crate::report) fn gaen(days: u32) -> PublishedKey {
    let start = IntervalNumber::at(ago(days).start());
    let byte = u8::try_from(days).unwrap();
    DiagnosisKey::new([byte; 16], start, 144).unwrap().into()
}

pub(in crate::report) fn bluezone(days: u32) -> PublishedKey {
    let start = ago(days).start().unix_seconds();
    let byte = u8::try_from(days).unwrap();
    PublishedEntry::new([byte; 32], start, start + 86_399, 96)
        .unwrap()
        .into()
}

pub(in crate::report) fn consent(first: u32, scope: Scope) -> Consent {
    let request = ConsentRequest::new("CDC", ago(first), ago(0)).scope(scope);
    request.granted(NOW, 14).unwrap()
}

pub(in crate::report) fn prepared(keys: Vec<PublishedKey>) -> PreparedReport {
    DiagnosisReport::prepare(consent(14, Scope::KeysOnly), keys).unwrap()
}

pub(in crate::report) fn signer() -> CertificateSigner {
    let pkcs8 = EcdsaP256KeyPair::generate_pkcs8().unwrap();
    CertificateSigner::new(SigningKey::from_pkcs8_der(&pkcs8).unwrap())
}

pub(in crate::report) fn certified(
    signer: &CertificateSigner,
    commitment: Commitment,
    report_type: crate::protocol::ReportType,
) -> Certificate {
    let diagnosis = Diagnosis {
        report_type,
        test_date: Some(ago(1)),
        onset: Some(ago(3)),
    };
    let id = &mut SystemEntropy;
    signer.sign(&diagnosis, commitment, NOW, id).unwrap()
}

/// What a device may do that does not keep to the library.
impl DiagnosisReport {
    pub(in crate::report) fn with_keys(&self, keys: Vec<PublishedKey>) -> Self {
        Self {
            keys,
            secret: self.secret.duplicate(),
            certificate: self.certificate.clone(),
            contacts: self.contacts.clone(),
        }
    }

    pub(in crate::report) fn with_certificate(self, certificate: Certificate) -> Self {
        Self {
            certificate,
            ..self
        }
    }

    pub(in crate::report) fn commitment(&self) -> Commitment {
        Commitment::to_keys(&self.keys, &self.secret)
    }
}

fn report(keys: Vec<PublishedKey>) -> DiagnosisReport {
    finished(prepared(keys))
}

fn finished(prepared: PreparedReport) -> DiagnosisReport {
    let confirmed = crate::protocol::ReportType::ConfirmedTest;
    let certificate = certified(&signer(), prepared.commitment(), confirmed);
    prepared.authorised(certificate).unwrap()
}

fn sighting(byte: u8, days: u32, offset_s: u64, dbm: i32) -> Sighting {
    let first = ago(days)
        .start()
        .saturating_add(Duration::from_secs(offset_s));
    let rssi = Rssi::from_dbm(dbm).unwrap();
    Sighting {
        protocol: ProtocolKind::Gaen,
        id: [byte; 16].into(),
        metadata: None,
        first,
        last: first.saturating_add(Duration::from_secs(20)),
        frames: 10,
        rssi: Some(RssiSummary {
            min: rssi,
            mean: rssi,
            max: rssi,
        }),
        source: Source::ServiceData,
    }
}

fn authority() -> AuthorityPrivateKey {
    AuthorityPrivateKey::from_bytes(Secret::new([1; 32]))
}

#[test]
fn day_taken_out() {
    let request = ConsentRequest::new("CDC", ago(2), ago(0)).without(ago(1));
    let consent = request.granted(NOW, 14).unwrap();
    let keys = vec![gaen(2), gaen(1), gaen(0)];
    assert_eq!(
        DiagnosisReport::prepare(consent, keys).unwrap_err(),
        ReportError::DayNotConsented { day: ago(1) }
    );
}

#[test]
fn day_not_asked_for() {
    let keys = vec![bluezone(3), bluezone(2)];
    assert_eq!(
        DiagnosisReport::prepare(consent(2, Scope::KeysOnly), keys).unwrap_err(),
        ReportError::DayNotConsented { day: ago(3) }
    );
    let none = DiagnosisReport::prepare(consent(2, Scope::KeysOnly), Vec::new());
    assert_eq!(none.unwrap_err(), ReportError::Keys(InvalidKeys::NoKeys));
}

#[test]
fn what_was_not_agreed_to_is_not_added() {
    let with = |scope| DiagnosisReport::prepare(consent(2, scope), vec![gaen(1)]).unwrap();
    for scope in [Scope::KeysOnly, Scope::WithHeardDigests] {
        let refused = with(scope).with_sightings([]).unwrap_err();
        assert_eq!(refused, ReportError::OutOfScope);
    }
    for scope in [Scope::KeysOnly, Scope::WithSightings] {
        let refused = with(scope).with_heard_digests(vec![1]).unwrap_err();
        assert_eq!(refused, ReportError::OutOfScope);
    }
    let too_long = with(Scope::WithHeardDigests).with_heard_digests(vec![0; HEARD_BYTES_MAX + 1]);
    assert_eq!(
        too_long.unwrap_err(),
        ReportError::HeardTooLong {
            got: HEARD_BYTES_MAX + 1,
            max: HEARD_BYTES_MAX
        }
    );
}

#[test]
fn certificate_of_other_keys() {
    let other = prepared(vec![gaen(2)]).commitment();
    let confirmed = crate::protocol::ReportType::ConfirmedTest;
    let certificate = certified(&signer(), other, confirmed);
    let refused = prepared(vec![gaen(1)]).authorised(certificate.clone());
    assert_eq!(refused.unwrap_err(), ReportError::OtherCommitment);
    let refused = report(vec![gaen(1)]).revised(certificate);
    assert_eq!(refused.unwrap_err(), ReportError::OtherCommitment);
}

#[test]
fn contacts_are_not_given_again_with_a_revision() {
    let prepared = DiagnosisReport::prepare(consent(2, Scope::WithHeardDigests), vec![gaen(1)]);
    let report = finished(prepared.unwrap().with_heard_digests(vec![1]).unwrap());
    let revoked = crate::protocol::ReportType::Revoked;
    let certificate = certified(&signer(), report.commitment(), revoked);
    let revised = report.revised(certificate).unwrap();
    assert_eq!(revised.contacts(), &Contacts::None);
}

#[test]
fn two_reports_of_the_same_keys_have_nothing_in_common() {
    let commitment = || prepared(vec![gaen(1)]).commitment();
    assert_ne!(commitment(), commitment());
}

#[test]
fn every_message_without_contacts_has_the_usual_size() {
    let to = authority().public_key().unwrap();
    let mut keys: Vec<_> = (0..=14).map(bluezone).collect();
    keys.extend((15..KEYS_MAX_BYTE).map(|byte| {
        let start = ago(0).start().unix_seconds();
        PublishedEntry::new([byte; 32], start, start, 96)
            .unwrap()
            .into()
    }));
    assert_eq!(keys.len(), crate::report::keys::KEYS_MAX);
    for keys in [vec![gaen(1)], keys] {
        let prepared = prepared(keys);
        let key = CodeKey::from_bytes(Secret::new([1; 32]));
        let issued = CodePolicy::default().issue(&key, NOW, &mut SeededEntropy::new(1));
        let exchange = prepared.code_exchange(&issued.unwrap().0, &to).unwrap();
        let report = finished(prepared).seal(&to).unwrap();
        let usual = SizeClass::USUAL.envelope_bytes();
        assert_eq!((exchange.len(), report.len()), (usual, usual));
    }
}

const KEYS_MAX_BYTE: u8 = crate::report::keys::KEYS_MAX as u8;

#[test]
fn a_code_exchange_comes_through() {
    let to = authority().public_key().unwrap();
    let prepared = prepared(vec![gaen(1), bluezone(1)]);
    let code: VerificationCode = "0000000100101".parse().unwrap();
    let sent = prepared.code_exchange(&code, &to).unwrap();
    let opened = open(&[authority()], &sent).unwrap();
    assert_eq!(opened.kind, MessageKind::CodeExchange);
    let exchange = CodeExchange::from_bytes(&opened.payload).unwrap();
    assert_eq!(
        (exchange.code, exchange.commitment),
        (code, prepared.commitment())
    );
}

#[test]
fn a_report_comes_through() {
    let to = authority().public_key().unwrap();
    let report = report(vec![gaen(1), bluezone(1), gaen(0)]);
    let opened = open(&[authority()], &report.seal(&to).unwrap()).unwrap();
    assert_eq!(opened.kind, MessageKind::DiagnosisReport);
    let read = DiagnosisReport::from_bytes(&opened.payload).unwrap();
    assert_eq!(read.keys(), report.keys());
    assert_eq!(read.certificate(), report.certificate());
    assert!(read.is_committed_to(&report.certificate().commitment()));
    assert_eq!(read.contacts(), &Contacts::None);
}

#[test]
fn sightings_of_days_not_consented_to_stay_on_the_device() {
    let prepared = DiagnosisReport::prepare(consent(1, Scope::WithSightings), vec![gaen(1)]);
    let sightings = [
        sighting(1, 1, 0, -60),
        sighting(1, 1, 60, -70),
        sighting(2, 2, 0, -60),
        // Begins on a day that is not in it, and ends on one that is.
        sighting(3, 2, 86_390, -60),
    ];
    let report = finished(prepared.unwrap().with_sightings(sightings).unwrap());
    let Contacts::Encounters(encounters) = report.contacts() else {
        panic!("encounters")
    };
    let [heard] = encounters.heard.as_slice() else {
        panic!("one encounter")
    };
    assert_eq!(heard.id, [1; 16].into());
    assert_eq!(heard.last.since(heard.first), Duration::from_secs(80));
    assert_eq!(heard.frames, 20);
    let rssi = heard.rssi.unwrap();
    let dbm = [rssi.min, rssi.mean, rssi.max].map(Rssi::dbm);
    assert_eq!(dbm, [-70, -65, -60]);
    assert_eq!(encounters.left_out, 0);
}

#[test]
fn too_many_encounters_leave_the_shortest_out() {
    let sightings = (0..6_000_u16).map(|number| {
        let [a, b] = number.to_be_bytes();
        let mut id = [0; 16];
        id[..2].copy_from_slice(&[a, b]);
        let first = ago(1).start().saturating_add(Duration::from_secs(100));
        Sighting {
            id: id.into(),
            first,
            last: first.saturating_add(Duration::from_millis(u64::from(number))),
            ..sighting(0, 1, 0, -60)
        }
    });
    let prepared = DiagnosisReport::prepare(consent(1, Scope::WithSightings), vec![gaen(1)]);
    let report = finished(prepared.unwrap().with_sightings(sightings).unwrap());
    let Contacts::Encounters(encounters) = report.contacts() else {
        panic!("encounters")
    };
    assert_eq!(encounters.heard.len(), ENCOUNTERS_MAX);
    assert_eq!(encounters.left_out, 1_000);
    let shortest = encounters.heard.iter().map(|it| it.last.since(it.first));
    assert_eq!(shortest.min(), Some(Duration::from_secs(1)));
    fits_and_comes_back(&report);
}

#[test]
fn as_many_digests_as_there_may_be() {
    let prepared = DiagnosisReport::prepare(
        consent(14, Scope::WithHeardDigests),
        (0..=14).map(bluezone).collect(),
    );
    let digests = vec![7; HEARD_BYTES_MAX];
    fits_and_comes_back(&finished(
        prepared.unwrap().with_heard_digests(digests).unwrap(),
    ));
}

fn fits_and_comes_back(report: &DiagnosisReport) {
    let sent = report.seal(&authority().public_key().unwrap()).unwrap();
    assert_eq!(sent.len(), SizeClass::Kib256.envelope_bytes());
    let opened = open(&[authority()], &sent).unwrap();
    let read = DiagnosisReport::from_bytes(&opened.payload).unwrap();
    assert_eq!(read.contacts(), report.contacts());
}

#[test]
fn nothing_of_a_report_is_printed() {
    let report = report(vec![gaen(7)]);
    assert_eq!(
        format!("{report:?}"),
        "DiagnosisReport { keys: 1, contacts: None, .. }"
    );
    let contacts = Contacts::HeardDigests(vec![7; 3]);
    assert_eq!(format!("{contacts:?}"), "HeardDigests(3 bytes)");
}
