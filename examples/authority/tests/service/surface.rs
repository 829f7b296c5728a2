//! Whatever is sent, by whomever: no answer is the service's own failure, and nothing panics.

use std::env;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Uri};
use truyvet::entropy::{Entropy, SeededEntropy};
use truyvet::report::sealed::{AuthorityPublicKey, MessageKind, SizeClass, seal_in};

use crate::refusals::Asked;

const REQUESTS: usize = 3_000;

const METHODS: [&str; 9] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "BREW",
];

const PATHS: [&str; 30] = [
    "/",
    "/page.css",
    "/page.js",
    "/v1/authority",
    "/v1/codes",
    "/v1/codes/",
    "/v1/codes/00",
    "/v1/codes/ffffffffffffffffffffffffffffffff",
    "/v1/messages",
    "/v1/publish",
    "/healthz",
    "/metrics",
    "/files",
    "/files/",
    "/files/index",
    "/files/../authority.db",
    "/files/%2e%2e/keys",
    "/files/%00",
    "/v1/codes/%ff%fe",
    "/files/gaen/hourly/",
    "/v1/requests",
    "/v1/requests/",
    "/v1/requests/ffffffffffffffffffffffffffffffff",
    "/v1/requests/%00",
    "/v1/declarations",
    "/v1/declarations?after=1",
    "/v1/declarations?after=-9223372036854775808",
    "/v1/declarations/1/attachment",
    "/v1/declarations/99999999999999999999/attachment",
    "/v1/declarations/%ff/attachment",
];

const JSON: [&str; 11] = [
    "{}",
    "[]",
    "null",
    r#"{"report_type":"confirmed_test","test_date":"2020-02-30"}"#,
    r#"{"report_type":"confirmed_test","test_date":"9999-12-31","onset":"0000-00-00"}"#,
    r#"{"advance_hours":65535}"#,
    r#"{"advance_hours":-1}"#,
    r#"{"report_type":7}"#,
    r#"{"same_contact_as":null}"#,
    r#"{"same_contact_as":"ffffffffffffffffffffffffffffffff"}"#,
    r#"{"same_contact_as":[]}"#,
];

const HEADERS: [&str; 12] = [
    "accept",
    "accept-encoding",
    "authorization",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "if-modified-since",
    "range",
    "x-forwarded-for",
];

const VALUES: [&str; 10] = [
    "",
    "application/octet-stream",
    "application/json",
    "Bearer ",
    "Bearer x",
    "bytes=0-",
    "bytes=-1,5-2",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "gzip",
    "18446744073709551616",
];

struct Chance(SeededEntropy);

impl Chance {
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill(&mut bytes).unwrap();
        bytes
    }

    fn below(&mut self, bound: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes).unwrap();
        usize::try_from(u64::from_le_bytes(bytes) % bound as u64).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn uri(&mut self) -> Uri {
        let mut path = self.one(&PATHS).to_owned();
        if self.below(6) == 0 {
            for byte in self.bytes(8) {
                path.push_str(&format!("%{byte:02x}"));
            }
        }
        if self.below(4) == 0 {
            path.push_str(if path.contains('?') { "&" } else { "?" });
            path.push_str("lang=en&lang=%00&");
        }
        path.parse().unwrap()
    }

    fn body(&mut self, to: &AuthorityPublicKey) -> Vec<u8> {
        let kinds = [
            MessageKind::CodeExchange,
            MessageKind::DiagnosisReport,
            MessageKind::HealthDeclaration,
            MessageKind::ContactEvidence,
            MessageKind::Dummy,
        ];
        let count = self.below(900);
        match self.below(6) {
            0 => Vec::new(),
            1 => self.bytes(count),
            2 => self.one(&JSON).as_bytes().to_vec(),
            3 => self.bytes(1024),
            4 => {
                let payload = self.bytes(count);
                seal_in(to, self.one(&kinds), &payload, SizeClass::Kib1).unwrap()
            }
            _ => {
                let mut sealed = seal_in(to, self.one(&kinds), &[], SizeClass::Kib1).unwrap();
                let at = self.below(sealed.len());
                sealed[at] ^= 1 << self.below(8);
                sealed
            }
        }
    }

    fn request(&mut self, to: &AuthorityPublicKey, token: &str) -> Request<Body> {
        let method = Method::from_bytes(self.one(&METHODS).as_bytes()).unwrap();
        let mut request = Request::builder().method(method).uri(self.uri());
        if self.below(2) == 0 {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if self.below(2) == 0 {
            request = request.header("content-type", "application/octet-stream");
        }
        for _ in 0..self.below(4) {
            let name = HeaderName::from_static(self.one(&HEADERS));
            let value = match self.below(2) {
                0 => HeaderValue::from_static(self.one(&VALUES)),
                _ => HeaderValue::from_bytes(&self.bytes(12))
                    .unwrap_or(HeaderValue::from_static("?")),
            };
            request = request.header(name, value);
        }
        request.body(Body::from(self.body(to))).unwrap()
    }
}

#[tokio::test]
async fn no_request_is_the_services_failure() {
    let seed = env::var("AUTHORITY_SURFACE_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("AUTHORITY_SURFACE_SEED={seed}");
    let asked = Asked::new();
    let to = asked.to().await;
    let mut chance = Chance(SeededEntropy::new(seed));
    let mut seen = std::collections::BTreeMap::new();
    for number in 0..REQUESTS {
        let request = chance.request(&to, asked.service.staff_token());
        let described = format!("{number}: {} {}", request.method(), request.uri());
        let (status, _) = asked.ask(request).await;
        assert!(!status.is_server_error(), "{described}: {status}");
        *seen.entry(status.as_u16()).or_insert(0) += 1;
    }
    println!("{seen:?}");
    // It was not all refused at the door.
    for status in [200, 201, 400, 401, 404, 405, 415, 422] {
        assert!(
            status == 201 || seen.contains_key(&status),
            "{status} in {seen:?}"
        );
    }
}

#[tokio::test]
async fn nothing_outside_the_folder_is_given_out() {
    let asked = Asked::new();
    for path in [
        "/files/../authority.db",
        "/files/%2e%2e/authority.db",
        "/files/..%2fkeys%2fstaff-token",
        "/files//etc/passwd",
        "/files/%2fetc%2fpasswd",
    ] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (status, _) = asked.ask(request).await;
        assert!(status.is_client_error(), "{path}: {status}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let asked = Asked::new();
    for path in ["/", "/?lang=en", "/page.css", "/page.js"] {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (status, body) = asked.ask(request).await;
        let text = String::from_utf8(body).unwrap();
        assert_eq!(status, 200);
        assert!(!text.contains("//cdn") && !text.contains("http:") && !text.contains("https:"));
        assert!(!text.contains("{{"), "{path}");
    }
}
