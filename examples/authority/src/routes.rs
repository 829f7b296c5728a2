//! Which path leads where, and what every answer says to a browser.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use tower_http::services::ServeDir;
use tower_http::timeout::TimeoutLayer;
use truyvet::report::answer::ANSWER_BYTES;
use truyvet::report::sealed::SizeClass;

use crate::database::inbox;
use crate::refusal::Refusal;
use crate::service::Shared;
use crate::settings::{REQUEST_TIME_MAX, STAFF_BODY_BYTES_MAX};
use crate::staff::Staff;
use crate::{codes, declarations, messages, page, publishing, requests};

/// Nothing but the page's own style and script, and requests to where it came from.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Characters of the path of a published file. Chosen: three times the longest.
const PATH_CHARS_MAX: usize = 200;

/// The service's routes.
pub fn router(service: Shared) -> Router {
    let envelope_bytes_max = SizeClass::Kib256.envelope_bytes();
    let messages = Router::new()
        .route("/v1/messages", post(messages::receive))
        .layer(DefaultBodyLimit::max(envelope_bytes_max));
    let others = Router::new()
        .route("/", get(page::index))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/v1/authority", get(authority))
        .route("/v1/codes", post(codes::issue))
        .route("/v1/codes/{handle}", get(codes::state))
        .route("/v1/requests", post(requests::ask))
        .route("/v1/requests/{request}", get(requests::state))
        .route("/v1/declarations", get(declarations::list))
        .route(
            "/v1/declarations/{number}/attachment",
            get(declarations::attachment),
        )
        .route("/v1/publish", post(publishing::publish_now))
        .route("/healthz", get(health))
        .route("/metrics", get(metrics))
        .layer(DefaultBodyLimit::max(STAFF_BODY_BYTES_MAX));
    let private = messages
        .merge(others)
        .layer(map_response(async |mut response: Response| {
            let no_store = HeaderValue::from_static("no-store");
            response.headers_mut().insert(CACHE_CONTROL, no_store);
            response
        }));
    let files = Router::new()
        .fallback_service(ServeDir::new(&service.settings.folder))
        .layer(from_fn(published_names_alone));
    private
        .nest("/files", files)
        .fallback(async || StatusCode::NOT_FOUND)
        .layer(map_response(in_a_browser))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            REQUEST_TIME_MAX,
        ))
        .with_state(service)
}

/// Other names would be asked of the file system, which has its own opinion of some.
async fn published_names_alone(request: Request, next: Next) -> Response {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let path = request.uri().path();
    let hidden = path.split('/').any(|part| part.starts_with('.'));
    if path.len() > PATH_CHARS_MAX || hidden || !path.bytes().all(is_plain) {
        return StatusCode::NOT_FOUND.into_response();
    }
    next.run(request).await
}

async fn in_a_browser(mut response: Response) -> Response {
    let fixed: [(HeaderName, &'static str); 3] = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// What a device has to know: keys and limits.
async fn authority(State(service): State<Shared>) -> Result<Response, Refusal> {
    let envelope = service.keys.envelope.public_key();
    let envelope = envelope.map_err(|_| Refusal::Unavailable)?;
    let settings = &service.settings;
    let body = serde_json::json!({
        "version": 1,
        "envelope_keys": [envelope.to_string()],
        "certificate_key": service.keys.certificate.verification_key().to_pem(),
        "publication_key": service.keys.publication.verification_key().to_pem(),
        "region": settings.region,
        "envelope_bytes": SizeClass::ALL.map(SizeClass::envelope_bytes),
        "answer_bytes": ANSWER_BYTES,
        "answer_grid_ms": settings.answer_grid.as_millis(),
        "code_lifetime_s": settings.codes.lifetime().as_secs(),
        "certificate_lifetime_s": settings.certificate_lifetime.as_secs(),
        "files": "/files/",
    });
    Ok(Json(body).into_response())
}

/// Whether a transaction reaches the disk.
async fn health(State(service): State<Shared>) -> Result<&'static str, Refusal> {
    service.database.run(|_| Ok(())).await?;
    Ok("ok\n")
}

/// For staff alone: a count that is read before and after a message tells what it was.
async fn metrics(State(service): State<Shared>, _: Staff) -> Result<Response, Refusal> {
    let reports = service.database.run(inbox::waiting_count).await?;
    let tasks = u64::try_from(service.database.waiting()).unwrap_or(u64::MAX);
    let text = service.metrics.text(reports, tasks);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(CONTENT_TYPE, content_type)], text).into_response())
}
