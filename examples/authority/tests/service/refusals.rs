//! Every refusal by its name, on a router without a socket.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use authority::clock::ServiceClock;
use authority::routes::router;
use authority::service::{Service, Shared};
use authority::settings::Settings;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;
use truyvet::protocol::PublishedKey;
use truyvet::report::answer::{ANSWER_BYTES, Answer};
use truyvet::report::authorisation::{
    Certificate, CertificateSigner, CodePolicy, Diagnosis, VerificationCode,
};
use truyvet::report::diagnosis::DiagnosisReport;
use truyvet::report::sealed::{AuthorityPublicKey, MessageKind, seal};
use truyvet::time::Timestamp;

use crate::device::{certificate, keys, prepare};

const HOUR: Duration = Duration::from_secs(3600);

/// A service that is asked in this process, and answers at once.
pub(crate) struct Asked {
    pub(crate) service: Shared,
    database: JoinHandle<()>,
    folder: TempDir,
}

impl Asked {
    pub(crate) fn new() -> Self {
        Self::by(CodePolicy::default())
    }

    fn by(codes: CodePolicy) -> Self {
        Self::start(tempfile::tempdir().unwrap(), codes, Duration::ZERO)
    }

    /// Stopped, and started again with a clock that is ahead by so much.
    pub(crate) fn restarted(self, ahead: Duration) -> Self {
        let Self {
            service,
            database,
            folder,
        } = self;
        let codes = service.settings.codes;
        drop(service);
        database.join().unwrap();
        Self::start(folder, codes, ahead)
    }

    fn start(folder: TempDir, codes: CodePolicy, ahead: Duration) -> Self {
        let settings = Settings {
            codes,
            answer_grid: Duration::ZERO,
            publish_every: None,
            demonstration: true,
            ..Settings::beneath(folder.path().to_owned())
        };
        let clock = ServiceClock::ahead_by(ahead);
        let (service, database) = Service::open(settings, clock).unwrap();
        Self {
            service,
            database,
            folder,
        }
    }

    pub(crate) async fn ask(&self, request: Request<Body>) -> (StatusCode, Vec<u8>) {
        let response = router(Arc::clone(&self.service))
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, body.to_vec())
    }

    pub(crate) async fn staff(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(
                "authorization",
                format!("Bearer {}", self.service.staff_token()),
            )
            .body(Body::from(body.to_string()))
            .unwrap();
        let (status, body) = self.ask(request).await;
        (
            status.as_u16(),
            serde_json::from_slice(&body).unwrap_or_default(),
        )
    }

    pub(crate) async fn send(&self, envelope: Vec<u8>) -> Answer {
        let (status, body) = self.post_octets(envelope).await;
        assert_eq!((status, body.len()), (StatusCode::OK, ANSWER_BYTES));
        Answer::from_bytes(&body).unwrap()
    }

    pub(crate) async fn post_octets(&self, envelope: Vec<u8>) -> (StatusCode, Vec<u8>) {
        let request = Request::post("/v1/messages")
            .header("content-type", "application/octet-stream")
            .body(Body::from(envelope))
            .unwrap();
        self.ask(request).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.service.clock.now()
    }

    pub(crate) async fn to(&self) -> AuthorityPublicKey {
        let (_, body) = self
            .ask(Request::get("/v1/authority").body(Body::empty()).unwrap())
            .await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["envelope_keys"][0].as_str().unwrap().parse().unwrap()
    }

    pub(crate) async fn issue(&self) -> VerificationCode {
        let today = self.now().utc_day().to_string();
        let asked = json!({ "report_type": "confirmed_test", "test_date": today, "onset": null });
        let (status, issued) = self.staff("POST", "/v1/codes", asked).await;
        assert_eq!(status, 201, "{issued}");
        issued["code"].as_str().unwrap().parse().unwrap()
    }

    /// A report of `keys` with its certificate.
    pub(crate) async fn certified(&self, keys: Vec<PublishedKey>) -> DiagnosisReport {
        let prepared = prepare(keys, self.now());
        let exchange = prepared
            .code_exchange(&self.issue().await, &self.to().await)
            .unwrap();
        let Answer::Certificate(bytes) = self.send(exchange).await else {
            panic!("no certificate");
        };
        prepared
            .authorised(Certificate::from_bytes(&bytes).unwrap())
            .unwrap()
    }

    pub(crate) fn keys(&self, seed: u64) -> Vec<PublishedKey> {
        keys(seed, self.now().utc_day(), 5)
    }
}

pub(crate) fn refused(name: &str) -> Answer {
    Answer::Refused(name.to_owned())
}

#[tokio::test]
async fn codes_are_refused_by_name() {
    let asked = Asked::new();
    let to = asked.to().await;
    let exchange = |seed, code: &VerificationCode| {
        prepare(asked.keys(seed), asked.now())
            .code_exchange(code, &to)
            .unwrap()
    };
    let unknown: VerificationCode = "7KQ4M-9XP2K".parse().unwrap();
    assert_eq!(
        asked.send(exchange(1, &unknown)).await,
        refused("code_unknown")
    );

    let code = asked.issue().await;
    let answer = asked.send(exchange(2, &code)).await;
    certificate(&answer.to_bytes().unwrap());
    assert_eq!(
        asked.send(exchange(3, &code)).await,
        refused("code_replayed")
    );

    let late = asked.issue().await;
    let envelope = exchange(4, &late);
    asked.service.clock.advance(25 * HOUR);
    assert_eq!(asked.send(envelope).await, refused("code_expired"));
}

#[tokio::test]
async fn guessing_is_stopped() {
    // So few that half an hour passes before one comes back.
    let tries = 2;
    let usual = CodePolicy::default();
    let (length, lifetime) = (usual.length(), usual.lifetime());
    let asked = Asked::by(CodePolicy::new(length, lifetime, 1_000, tries).unwrap());
    let to = asked.to().await;
    let code = asked.issue().await;
    let wrong: VerificationCode = "7KQ4M-9XP2K".parse().unwrap();
    for number in 0..=tries {
        let prepared = prepare(asked.keys(number.into()), asked.now());
        let exchange = prepared.code_exchange(&wrong, &to).unwrap();
        let why = if number < tries {
            "code_unknown"
        } else {
            "too_many_attempts"
        };
        assert_eq!(asked.send(exchange).await, refused(why), "{number}");
    }
    let prepared = prepare(asked.keys(1_000_000), asked.now());
    let envelope = prepared.code_exchange(&code, &to).unwrap();
    assert_eq!(
        asked.send(envelope.clone()).await,
        refused("too_many_attempts")
    );
    asked.service.clock.advance(HOUR);
    assert!(matches!(asked.send(envelope).await, Answer::Certificate(_)));
}

#[tokio::test]
async fn reports_are_refused_by_name() {
    let asked = Asked::new();
    let to = asked.to().await;
    let report = asked.certified(asked.keys(1)).await;
    assert_eq!(
        asked.send(report.seal(&to).unwrap()).await,
        Answer::Accepted
    );
    // Sealed anew: other bytes, the same certificate.
    let again = report.seal(&to).unwrap();
    assert_eq!(asked.send(again).await, refused("certificate_replayed"));

    let same_keys = asked.certified(asked.keys(1)).await;
    let same_keys = same_keys.seal(&to).unwrap();
    assert_eq!(asked.send(same_keys).await, refused("keys_reported_before"));

    let late = asked.certified(asked.keys(3)).await;
    let envelope = late.seal(&to).unwrap();
    asked.service.clock.advance(25 * HOUR);
    assert_eq!(asked.send(envelope).await, refused("certificate_expired"));
}

#[tokio::test]
async fn certificates_of_others_and_changed_reports() {
    let asked = Asked::new();
    let to = asked.to().await;
    let prepared = prepare(asked.keys(1), asked.now());
    let stranger = truyvet::publication::signature::SigningKey::generate().unwrap();
    let diagnosis = Diagnosis {
        report_type: truyvet::protocol::ReportType::ConfirmedTest,
        test_date: Some(asked.now().utc_day()),
        onset: None,
    };
    let forged = CertificateSigner::new(stranger)
        .sign(
            &diagnosis,
            prepared.commitment(),
            asked.now(),
            &mut truyvet::entropy::SystemEntropy,
        )
        .unwrap();
    let envelope = prepared.authorised(forged).unwrap().seal(&to).unwrap();
    assert_eq!(
        asked.send(envelope).await,
        refused("certificate_of_another_authority")
    );

    let report = asked.certified(asked.keys(2)).await;
    let payload = report.to_bytes().unwrap();
    let key = crate::device::bytes_of(&report.keys()[0]);
    let mut swapped = payload.to_vec();
    let at = swapped.windows(key.len()).position(|window| window == key);
    swapped[at.expect("the key stands in the report as it is")] ^= 1;
    let sealed = |payload: &[u8]| seal(&to, MessageKind::DiagnosisReport, payload).unwrap();
    assert_eq!(asked.send(sealed(&swapped)).await, refused("keys_swapped"));
    for cut in [0, 1, payload.len() / 2, payload.len() - 1] {
        assert_eq!(
            asked.send(sealed(&payload[..cut])).await,
            refused("report_malformed")
        );
    }
    let exchange = seal(&to, MessageKind::CodeExchange, &payload).unwrap();
    assert_eq!(asked.send(exchange).await, refused("exchange_malformed"));
    // After all that, the true one counts.
    assert_eq!(asked.send(sealed(&payload)).await, Answer::Accepted);
}

#[tokio::test]
async fn bodies_of_the_wrong_form_are_refused_by_status() {
    let asked = Asked::new();
    let to = asked.to().await;
    let good = seal(&to, MessageKind::Dummy, &[]).unwrap();
    for (body, expected) in [
        (Vec::new(), StatusCode::BAD_REQUEST),
        (good[1..].to_vec(), StatusCode::BAD_REQUEST),
        ([&good[..1000], &[0; 24]].concat(), StatusCode::BAD_REQUEST),
        (vec![0; (256 << 10) + 1], StatusCode::PAYLOAD_TOO_LARGE),
        (
            [&good[..5], b"none", &good[9..]].concat(),
            StatusCode::MISDIRECTED_REQUEST,
        ),
    ] {
        assert_eq!(asked.post_octets(body).await.0, expected);
    }
    let without_type = Request::post("/v1/messages")
        .body(Body::from(good))
        .unwrap();
    assert_eq!(
        asked.ask(without_type).await.0,
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn staff_is_refused_by_name() {
    let asked = Asked::new();
    let request = Request::post("/v1/codes").body(Body::empty()).unwrap();
    let (status, body) = asked.ask(request).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body, br#"{"error":"token_unknown"}"#);

    let today = asked.now().utc_day();
    let day = |ago: u32| today.saturating_sub(ago).to_string();
    let future = asked.now().saturating_add(48 * HOUR).utc_day().to_string();
    let ask = |test_date: Option<String>, onset: Option<String>| json!({ "report_type": "confirmed_test", "test_date": test_date, "onset": onset });
    for (body, name) in [
        (json!({}), "malformed"),
        (
            json!({ "report_type": "revoked", "test_date": day(0) }),
            "malformed",
        ),
        (
            json!({ "report_type": "confirmed_test", "test_date": day(0), "name": "A" }),
            "malformed",
        ),
        (ask(Some("yesterday".to_owned()), None), "malformed"),
        (ask(None, None), "test_date_missing"),
        (ask(Some(future.clone()), None), "test_date_in_future"),
        (ask(Some(day(22)), None), "test_date_too_old"),
        (ask(Some(day(0)), Some(future)), "onset_in_future"),
        (ask(Some(day(0)), Some(day(22))), "onset_too_old"),
    ] {
        let (status, answer) = asked.staff("POST", "/v1/codes", body).await;
        assert_eq!((status, answer["error"].as_str()), (422, Some(name)));
    }
    for handle in ["0123", "zz", "00000000000000000000000000000000"] {
        let path = format!("/v1/codes/{handle}");
        let (status, answer) = asked.staff("GET", &path, json!({})).await;
        assert_eq!(
            (status, answer["error"].as_str()),
            (404, Some("handle_unknown"))
        );
    }
}
