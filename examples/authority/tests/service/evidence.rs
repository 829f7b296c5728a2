//! A contact's evidence: asked for, refused by name, confirmed; and what staff is told of it.

use std::time::Duration;

use authority::database::inbox;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use truyvet::Protocol;
use truyvet::entropy::SystemEntropy;
use truyvet::protocol::ReportType;
use truyvet::publication::signature::SigningKey;
use truyvet::report::answer::Answer;
use truyvet::report::authorisation::{Certificate, CertificateSigner, Diagnosis};
use truyvet::report::diagnosis::{Contacts, DiagnosisReport, PreparedReport};
use truyvet::report::evidence::EvidenceRequest;
use truyvet::report::sealed::{MessageKind, seal};

use crate::device::certificate;
use crate::meeting::Meeting;
use crate::refusals::{Asked, refused};

const DAY: Duration = Duration::from_secs(86_400);

/// Where evidence has its parts: `docs/evidence.md`, with a name of so many bytes.
const NAME_BYTES: usize = "CDC Bình Định".len();
const CONTACTS_AT: usize = 1 + 16 + 8 + NAME_BYTES;
const CONTACT_BYTES: usize = 4 + 16 + 4 + 17 + 1 + 4;

fn contact_at(number: usize) -> usize {
    CONTACTS_AT + 8 + number * CONTACT_BYTES
}

fn add(bytes: &mut [u8], at: usize, number: i32) {
    let slot: [u8; 4] = bytes[at..at + 4].try_into().unwrap();
    let changed = u32::from_le_bytes(slot).checked_add_signed(number).unwrap();
    bytes[at..at + 4].copy_from_slice(&changed.to_le_bytes());
}

pub(crate) fn parse(request: &Value) -> EvidenceRequest {
    let text = request["request"].as_str().unwrap();
    let bytes = HEXLOWER.decode(text.as_bytes()).unwrap();
    EvidenceRequest::from_bytes(bytes.try_into().unwrap())
}

pub(crate) fn path(request: EvidenceRequest) -> String {
    format!("/v1/requests/{}", HEXLOWER.encode(&request.to_bytes()))
}

/// What is mutual in GAEN: 10:00 to 10:30 by tens.
fn all_confirmed() -> Value {
    json!({
        "state": "confirmed",
        "f1_heard_f0": { "slots": 4, "minutes": 30 },
        "f0_heard_f1": 4,
        "mutual": { "slots": 4, "minutes": 30 },
    })
}

fn why(name: &str) -> Value {
    json!({ "state": "refused", "why": name })
}

impl Asked {
    fn meeting(&self, case: u64, contact: u64) -> Meeting {
        Meeting::of(Protocol::gaen(), case, contact, self.now())
    }

    async fn certified_report(&self, prepared: PreparedReport) -> DiagnosisReport {
        let exchange = prepared.code_exchange(&self.issue().await, &self.to().await);
        let answer = self.send(exchange.unwrap()).await.to_bytes().unwrap();
        prepared.authorised(certificate(&answer)).unwrap()
    }

    async fn report(&self, prepared: PreparedReport) -> DiagnosisReport {
        let report = self.certified_report(prepared).await;
        let envelope = report.seal(&self.to().await).unwrap();
        assert_eq!(self.send(envelope).await, Answer::Accepted);
        report
    }

    async fn request(&self, body: Value) -> EvidenceRequest {
        let (status, asked) = self.staff("POST", "/v1/requests", body).await;
        assert_eq!((status, &asked["seconds_left"]), (201, &json!(604_800)));
        parse(&asked)
    }

    async fn send_evidence(&self, bytes: &[u8]) -> Answer {
        let to = self.to().await;
        self.send(seal(&to, MessageKind::ContactEvidence, bytes).unwrap())
            .await
    }

    async fn state(&self, request: EvidenceRequest) -> Value {
        let (status, state) = self.staff("GET", &path(request), json!({})).await;
        assert_eq!(status, 200);
        state
    }

    /// What staff is told of evidence for a new request; its sender is told no more than that it is stored.
    async fn verdict(&self, meeting: &Meeting, change: impl Fn(&mut Vec<u8>)) -> Value {
        let request = self.request(json!({})).await;
        let mut bytes = meeting.evidence(request).to_bytes().unwrap().to_vec();
        change(&mut bytes);
        assert_eq!(self.send_evidence(&bytes).await, Answer::Accepted);
        self.state(request).await
    }

    async fn sweep(&self) {
        let now = self.now().unix_seconds();
        let swept = self
            .service
            .database
            .run(move |connection| inbox::sweep(connection, now));
        swept.await.unwrap();
    }
}

#[tokio::test]
async fn who_heard_each_other_is_confirmed_and_nothing_else_told() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let request = asked.request(json!({})).await;
    let waiting = asked.state(request).await;
    assert_eq!(waiting["state"], "waiting");
    assert!(
        waiting["seconds_left"]
            .as_u64()
            .is_some_and(|left| left > 604_000)
    );
    let evidence = meeting.evidence(request).to_bytes().unwrap();
    assert_eq!(asked.send_evidence(&evidence).await, Answer::Accepted);
    assert_eq!(asked.state(request).await, all_confirmed());
}

#[tokio::test]
async fn of_a_case_that_gave_keys_alone_the_contacts_word_is_known() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report_of_keys_alone()).await;
    let mut expected = all_confirmed();
    expected["f0_heard_f1"] = Value::Null;
    expected["mutual"] = json!({ "slots": 0, "minutes": 0 });
    assert_eq!(asked.verdict(&meeting, |_| {}).await, expected);
}

#[tokio::test]
async fn a_published_report_is_still_confirmed_against_until_it_is_forgotten() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    for hours in [2, 24, 24] {
        let advance = json!({ "advance_hours": hours });
        assert_eq!(asked.staff("POST", "/v1/publish", advance).await.0, 200);
        asked.sweep().await;
    }
    let waiting = asked.service.database.run(inbox::waiting_count).await;
    assert_eq!(waiting.unwrap(), 0);
    let first = asked.request(json!({})).await;
    let evidence = meeting.evidence(first).to_bytes().unwrap();
    assert_eq!(asked.send_evidence(&evidence).await, Answer::Accepted);
    assert_eq!(asked.state(first).await, all_confirmed());

    asked.service.clock.advance(12 * DAY);
    asked.sweep().await;
    let forgotten = asked.verdict(&meeting, |_| {}).await;
    assert_eq!(forgotten, why("evidence_of_no_report"));
}

#[tokio::test]
async fn evidence_that_was_not_asked_for() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let invented = EvidenceRequest::from_bytes([7; 16]);
    let evidence = meeting.evidence(invented).to_bytes().unwrap();
    assert_eq!(
        asked.send_evidence(&evidence).await,
        refused("evidence_not_asked_for")
    );
    let (status, body) = asked.staff("GET", &path(invented), json!({})).await;
    assert_eq!(
        (status, body["error"].as_str()),
        (404, Some("request_unknown"))
    );
}

#[tokio::test]
async fn a_request_that_expired() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let request = asked.request(json!({})).await;
    let evidence = meeting.evidence(request).to_bytes().unwrap();
    asked.service.clock.advance(7 * DAY);
    assert_eq!(
        asked.send_evidence(&evidence).await,
        refused("evidence_request_expired")
    );
    assert_eq!(asked.state(request).await, json!({ "state": "expired" }));
    asked.service.clock.advance(7 * DAY);
    asked.sweep().await;
    assert_eq!(
        asked.send_evidence(&evidence).await,
        refused("evidence_not_asked_for")
    );
}

#[tokio::test]
async fn a_request_that_was_answered() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let request = asked.request(json!({})).await;
    let to = asked.to().await;
    let envelope = meeting.evidence(request).seal(&to).unwrap();
    // The same bytes, because an answer was lost, get the same answer.
    for _ in 0..2 {
        assert_eq!(asked.send(envelope.clone()).await, Answer::Accepted);
        asked.sweep().await;
    }
    let again = meeting.evidence(request).seal(&to).unwrap();
    assert_eq!(asked.send(again).await, refused("evidence_answered"));
    assert_eq!(asked.state(request).await, all_confirmed());
}

#[tokio::test]
async fn malformed_evidence_spends_no_request() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let request = asked.request(json!({})).await;
    let bytes = meeting.evidence(request).to_bytes().unwrap();
    for cut in [0, 1, CONTACTS_AT, bytes.len() - 1] {
        assert_eq!(
            asked.send_evidence(&bytes[..cut]).await,
            refused("evidence_malformed")
        );
    }
    let nothing_heard = [&bytes[..CONTACTS_AT], &[0; 16]].concat();
    assert_eq!(
        asked.send_evidence(&nothing_heard).await,
        refused("evidence_malformed")
    );
    assert_eq!(asked.send_evidence(&bytes).await, Answer::Accepted);
    assert_eq!(asked.state(request).await, all_confirmed());
}

#[tokio::test]
async fn lies_are_told_apart_for_staff_alone() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let (key, slot, id, minutes) = (4, 20, 25, 41);
    let lie = |part: usize, number: i32| {
        move |bytes: &mut Vec<u8>| match part {
            20 => add(bytes, contact_at(3) + part, number),
            _ => bytes[contact_at(3) + part] ^= 0x40,
        }
    };
    for (change, name) in [
        (lie(key, 0), "evidence_key_not_of_report"),
        (lie(slot, 3 * 144), "evidence_outside_report"),
        (lie(id, 0), "evidence_identifier_not_of_key"),
        (lie(slot, 4), "evidence_heard_outside_slot"),
        (lie(minutes, 0), "evidence_minutes"),
    ] {
        assert_eq!(asked.verdict(&meeting, change).await, why(name));
    }
    // The opening begins before anything was heard.
    let opened_more = |bytes: &mut Vec<u8>| add(bytes, contact_at(4) + 8 + 4, -1);
    let verdict = asked.verdict(&meeting, opened_more).await;
    assert_eq!(verdict, why("evidence_own_key_wrong_slot"));
    let unknown = |bytes: &mut Vec<u8>| (0..4).for_each(|it| bytes[contact_at(it) + key] ^= 1);
    assert_eq!(
        asked.verdict(&meeting, unknown).await,
        why("evidence_of_no_report")
    );
    // After all that, the truth counts.
    assert_eq!(asked.verdict(&meeting, |_| {}).await, all_confirmed());
}

#[tokio::test]
async fn a_case_as_its_own_contact() {
    let asked = Asked::new();
    let alone = asked.meeting(1, 1);
    asked.report(alone.report()).await;
    let verdict = asked.verdict(&alone, |_| {}).await;
    assert_eq!(verdict, why("evidence_own_key_of_report"));
}

#[tokio::test]
async fn digests_that_were_made_for_another_report() {
    let asked = Asked::new();
    let (meeting, other) = (asked.meeting(1, 2), asked.meeting(3, 2));
    // What ties its digests to a report stands in them behind version and salt.
    let tie = |report: &DiagnosisReport| match report.contacts() {
        Contacts::HeardDigests(bytes) => bytes[17..33].to_vec(),
        other => panic!("{other:?}"),
    };
    let others = tie(&asked.certified_report(other.report()).await);
    let report = asked.certified_report(meeting.report()).await;
    let own = tie(&report);
    let mut bytes = report.to_bytes().unwrap().to_vec();
    let place = bytes.windows(16).position(|part| part == own).unwrap();
    bytes[place..place + 16].copy_from_slice(&others);
    let to = asked.to().await;
    let envelope = seal(&to, MessageKind::DiagnosisReport, &bytes).unwrap();
    assert_eq!(asked.send(envelope).await, Answer::Accepted);
    let verdict = asked.verdict(&meeting, |_| {}).await;
    assert_eq!(verdict, why("evidence_digests_of_another_report"));
}

#[tokio::test]
async fn a_report_that_was_revoked() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    let report = asked.report(meeting.report()).await;
    let pem = std::fs::read_to_string(asked.service.settings.keys.join("certificate.pem")).unwrap();
    let signer = CertificateSigner::new(SigningKey::from_pkcs8_pem(&pem).unwrap());
    let diagnosis = Diagnosis {
        report_type: ReportType::Revoked,
        test_date: None,
        onset: None,
    };
    let commitment = report.certificate().commitment();
    let revoked = signer
        .sign(&diagnosis, commitment, asked.now(), &mut SystemEntropy)
        .unwrap();
    let revoked: Certificate = revoked;
    let envelope = report
        .revised(revoked)
        .unwrap()
        .seal(&asked.to().await)
        .unwrap();
    assert_eq!(asked.send(envelope).await, Answer::Accepted);
    let verdict = asked.verdict(&meeting, |_| {}).await;
    assert_eq!(verdict, why("evidence_of_revoked_report"));
}

#[tokio::test]
async fn copied_evidence_is_refused_and_ones_own_again_is_not() {
    let asked = Asked::new();
    let meeting = asked.meeting(1, 2);
    asked.report(meeting.report()).await;
    let first = asked.request(json!({})).await;
    let evidence = meeting.evidence(first).to_bytes().unwrap();
    assert_eq!(asked.send_evidence(&evidence).await, Answer::Accepted);

    // Somebody else who was asked, and got the bytes from the contact.
    let copied = asked.verdict(&meeting, |_| {}).await;
    assert_eq!(copied, why("evidence_own_key_used_before"));

    let text = HEXLOWER.encode(&first.to_bytes());
    let again = asked.request(json!({ "same_contact_as": text })).await;
    let evidence = meeting.evidence(again).to_bytes().unwrap();
    assert_eq!(asked.send_evidence(&evidence).await, Answer::Accepted);
    assert_eq!(asked.state(again).await, all_confirmed());
}

/// The contact is found to be ill too, and whoever reads its published key opens its day as his own.
#[tokio::test]
async fn another_cases_published_key_opened_as_ones_own() {
    for protocol in [Protocol::bluezone(), Protocol::gaen()] {
        let asked = Asked::new();
        let meeting = Meeting::of(protocol.clone(), 1, 2, asked.now());
        asked.report(meeting.report()).await;
        let before = asked.verdict(&meeting, |_| {}).await;
        assert_eq!(before["state"], "confirmed");
        let contact_as_case = Meeting::of(protocol, 2, 3, asked.now());
        asked.report(contact_as_case.report_of_keys_alone()).await;
        let verdict = asked.verdict(&meeting, |_| {}).await;
        assert_eq!(verdict, why("evidence_own_key_published"));
    }
}

#[tokio::test]
async fn asking_is_refused_by_name() {
    let asked = Asked::new();
    for (body, status, name) in [
        (json!([]), 422, "malformed"),
        (json!({ "name": "A" }), 422, "malformed"),
        (json!({ "same_contact_as": "07" }), 404, "request_unknown"),
        (
            json!({ "same_contact_as": "07".repeat(16) }),
            404,
            "request_unknown",
        ),
    ] {
        let answer = asked.staff("POST", "/v1/requests", body).await;
        assert_eq!((answer.0, answer.1["error"].as_str()), (status, Some(name)));
    }
}
