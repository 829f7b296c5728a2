//! Evidence over HTTP, from a service that is killed while it comes.

use std::thread;
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use truyvet::Protocol;
use truyvet::report::answer::Answer;
use truyvet::report::diagnosis::PreparedReport;
use truyvet::report::evidence::EvidenceRequest;
use truyvet::time::{Clock, SystemClock};

use crate::device::certificate;
use crate::evidence::{parse, path};
use crate::meeting::Meeting;
use crate::process::{Http, Process};

fn asked_over(http: &Http, body: Value) -> EvidenceRequest {
    let (status, asked) = http.post_json("/v1/requests", &body).unwrap();
    assert_eq!(status, 201, "{asked}");
    parse(&asked)
}

fn state_over(http: &Http, request: EvidenceRequest) -> Value {
    let (status, body) = http.get(&path(request)).unwrap();
    assert_eq!(status, 200);
    serde_json::from_slice(&body).unwrap()
}

fn report_over(http: &Http, prepared: PreparedReport) {
    let to = http.envelope_key().unwrap();
    let today = SystemClock::default().now().wall.utc_day().to_string();
    let asked = json!({ "report_type": "confirmed_test", "test_date": today });
    let (_, issued) = http.post_json("/v1/codes", &asked).unwrap();
    let code = issued["code"].as_str().unwrap().parse().unwrap();
    let (_, answer) = http
        .message(&prepared.code_exchange(&code, &to).unwrap())
        .unwrap();
    let report = prepared.authorised(certificate(&answer)).unwrap();
    let (_, answer) = http.message(&report.seal(&to).unwrap()).unwrap();
    assert_eq!(Answer::from_bytes(&answer).unwrap(), Answer::Accepted);
}

/// Of both protocols, over HTTP; killed while evidence is on its way, it is confirmed once all the same.
#[test]
fn mutual_contacts_are_confirmed_over_http_whenever_the_service_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Process::start(folder.path(), 0, 1);
    let now = SystemClock::default().now().wall;
    for (protocol, slots) in [(Protocol::bluezone(), 3), (Protocol::gaen(), 4)] {
        let meeting = Meeting::of(protocol, 1, 2, now);
        report_over(&service.http, meeting.report());
        let first = asked_over(&service.http, json!({}));
        for delay_us in [0, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000] {
            let same = HEXLOWER.encode(&first.to_bytes());
            let request = asked_over(&service.http, json!({ "same_contact_as": same }));
            let envelope = meeting
                .evidence(request)
                .seal(&service.http.envelope_key().unwrap())
                .unwrap();
            let sender = {
                let (http, envelope) = (service.http.clone(), envelope.clone());
                thread::spawn(move || http.message(&envelope).is_ok())
            };
            thread::sleep(Duration::from_micros(delay_us));
            service.kill();
            let answered = sender.join().unwrap();
            service = Process::start(folder.path(), 0, 1);
            let before = state_over(&service.http, request);
            assert!(!answered || before["state"] == "confirmed", "{before}");
            let (status, answer) = service.http.message(&envelope).unwrap();
            assert_eq!(
                (status, Answer::from_bytes(&answer)),
                (200, Ok(Answer::Accepted))
            );
            let confirmed = state_over(&service.http, request);
            let both = json!({ "slots": slots, "minutes": 30 });
            assert_eq!(
                (&confirmed["f1_heard_f0"], &confirmed["mutual"]),
                (&both, &both)
            );
            assert_eq!(confirmed["f0_heard_f1"], slots);
        }
    }
}
