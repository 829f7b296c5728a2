//! The whole story over HTTP: code, certificate, report, publication, as a device reads it.

use std::io::Cursor as Bytes;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use truyvet::Secret;
use truyvet::publication::signature::{KeyName, VerificationKey};
use truyvet::publication::store::{BatchSource, Contents, StoreError};
use truyvet::publication::update::{Cursor, Update, UpdateOptions};
use truyvet::report::answer::{ANSWER_BYTES, Answer};
use truyvet::report::authorisation::VerificationCode;
use truyvet::report::sealed::{AuthorityPublicKey, SizeClass, seal_dummy};
use truyvet::time::{Clock, SystemClock, Timestamp};

use crate::device::{bytes_of, certificate, keys, prepare};
use crate::process::{Http, Process};

/// A publication read over HTTP.
struct Files<'h>(&'h Http);

impl BatchSource for Files<'_> {
    fn open(&self, name: &str, _: u64) -> Result<Option<Box<dyn Contents>>, StoreError> {
        let (status, body) = self.0.get(&format!("/files/{name}")).unwrap();
        assert!(status == 200 || status == 404, "{name}: {status}");
        Ok((status == 200).then(|| Box::new(Bytes::new(body)) as Box<dyn Contents>))
    }
}

fn issue(http: &Http) -> (VerificationCode, String) {
    let today = SystemClock::default().now().wall.utc_day();
    let asked = json!({
        "report_type": "confirmed_test",
        "test_date": today.saturating_sub(1).to_string(),
        "onset": today.saturating_sub(3).to_string(),
    });
    let (status, issued) = http.post_json("/v1/codes", &asked).unwrap();
    assert_eq!(status, 201, "{issued}");
    let code = issued["code"].as_str().unwrap().parse().unwrap();
    (code, issued["handle"].as_str().unwrap().to_owned())
}

fn state(http: &Http, handle: &str) -> String {
    let (status, body) = http.get(&format!("/v1/codes/{handle}")).unwrap();
    assert_eq!(status, 200);
    let body: Value = serde_json::from_slice(&body).unwrap();
    body["state"].as_str().unwrap().to_owned()
}

/// What a device that has read nothing yet reads at `now`.
fn read_all(http: &Http, now: Timestamp) -> Vec<Vec<u8>> {
    let (_, body) = http.get("/v1/authority").unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let pem = body["publication_key"].as_str().unwrap();
    let trusted = [VerificationKey::from_pem(pem)
        .unwrap()
        .named(KeyName::new("publication", "v1"))];
    let files = Files(http);
    let options = UpdateOptions::default();
    let mut update = Update::fetch(&files, &trusted, &Cursor::default(), options, now).unwrap();
    let mut read = Vec::new();
    while let Some(batch) = update.next_batch().unwrap() {
        read.extend(batch.into_keys(&trusted).unwrap().iter().map(bytes_of));
        update.matched();
    }
    read
}

#[test]
fn a_report_is_made_certified_sent_published_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 20);
    let http = &service.http;
    let to = http.envelope_key().unwrap();
    let now = SystemClock::default().now().wall;

    let (code, handle) = issue(http);
    assert_eq!(state(http, &handle), "unused");
    let reported = keys(1, now.utc_day(), 14);
    let expected: Vec<_> = reported.iter().map(bytes_of).collect();
    let prepared = prepare(reported, now);
    let exchange = prepared.code_exchange(&code, &to).unwrap();
    let (status, answer) = http.message(&exchange).unwrap();
    assert_eq!((status, answer.len()), (200, ANSWER_BYTES));
    assert_eq!(state(http, &handle), "used");
    assert_eq!(http.message(&exchange).unwrap(), (200, answer.clone()));

    let report = prepared.authorised(certificate(&answer)).unwrap();
    let envelope = report.seal(&to).unwrap();
    for _ in 0..2 {
        let (status, answer) = http.message(&envelope).unwrap();
        assert_eq!((status, answer.len()), (200, ANSWER_BYTES));
        assert_eq!(Answer::from_bytes(&answer).unwrap(), Answer::Accepted);
    }

    for (hours, keys) in [(0, 0), (2, 13), (24, 1), (24, 0)] {
        let asked = json!({ "advance_hours": hours });
        let (status, published) = http.post_json("/v1/publish", &asked).unwrap();
        assert_eq!(status, 200, "{published}");
        // Yesterday's key may still be waiting for its late clocks, or not.
        let got = published["keys"].as_u64().unwrap();
        assert!(
            got == keys || got.abs_diff(keys) == 1,
            "{hours}: {published}"
        );
    }
    let read = read_all(http, now.saturating_add(Duration::from_secs(50 * 3600)));
    for key in &expected {
        assert_eq!(read.iter().filter(|read| *read == key).count(), 1);
    }
    assert!(read.len() > expected.len(), "hidden among random ones");

    let (status, metrics) = http.get("/metrics").unwrap();
    let metrics = String::from_utf8(metrics).unwrap();
    assert_eq!(status, 200);
    for line in [
        "authority_messages_total{outcome=\"certified\"} 1",
        "authority_messages_total{outcome=\"report_accepted\"} 1",
        "authority_messages_total{outcome=\"answered_again\"} 2",
        "authority_published_keys_total 14",
        "authority_reports_waiting 0",
    ] {
        assert!(metrics.contains(line), "{line} in\n{metrics}");
    }
    assert!(service.terminate().success());
}

#[test]
fn dummy_and_refusal_and_certificate_look_alike() {
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 400);
    let http = &service.http;
    let to = http.envelope_key().unwrap();
    let now = SystemClock::default().now().wall;
    let (code, _) = issue(http);
    let exchange = |seed| {
        let prepared = prepare(keys(seed, now.utc_day(), 3), now);
        prepared.code_exchange(&code, &to).unwrap()
    };
    let envelopes = [
        exchange(1),
        exchange(2),
        seal_dummy(&to, SizeClass::Kib1).unwrap(),
    ];
    let mut answers = Vec::new();
    for envelope in envelopes {
        let begun = Instant::now();
        let (status, answer) = http.message(&envelope).unwrap();
        // From the request's arrival on; the machine may be busy, and then it is the next multiple.
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(400), "{took:?}");
        assert_eq!((status, answer.len()), (200, ANSWER_BYTES));
        answers.push(Answer::from_bytes(&answer).unwrap());
    }
    assert!(matches!(&answers[0], Answer::Certificate(_)));
    assert_eq!(answers[1], Answer::Refused("code_replayed".to_owned()));
    assert_eq!(answers[2], Answer::Nothing);
}

#[test]
fn another_authoritys_envelope_is_told_apart_by_form() {
    let folder = tempfile::tempdir().unwrap();
    let service = Process::start(folder.path(), 0, 20);
    let other = truyvet::report::sealed::AuthorityPrivateKey::from_bytes(Secret::new([7; 32]));
    let to: AuthorityPublicKey = other.public_key().unwrap();
    let envelope = seal_dummy(&to, SizeClass::Kib1).unwrap();
    let (status, body) = service.http.message(&envelope).unwrap();
    assert_eq!(status, 421);
    assert_eq!(body, br#"{"error":"key_unknown"}"#);
}
