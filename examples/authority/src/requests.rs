//! Requests for evidence over HTTP, for staff: ask one contact, see what came of it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use serde::Deserialize;
use truyvet::entropy::SystemEntropy;
use truyvet::report::evidence::EvidenceRequest;

use crate::database::requests::{self, Asking, Standing};
use crate::evidence::request_tag;
use crate::refusal::Refusal;
use crate::service::Shared;
use crate::settings::REQUEST_LIFETIME_S;
use crate::staff::{self, Staff};

/// Whom staff asks.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// A request to the same contact before this one. The days that he opened then, he may open again.
    same_contact_as: Option<String>,
}

/// `POST /v1/requests`.
pub(crate) async fn ask(
    State(service): State<Shared>,
    _: Staff,
    body: Bytes,
) -> Result<Response, Refusal> {
    let asked: Asked = staff::asked(&body)?;
    let key = &service.keys.codes;
    let before = match &asked.same_contact_as {
        Some(text) => Some(request_tag(key, request(text)?)),
        None => None,
    };
    let request = EvidenceRequest::draw(&mut SystemEntropy).map_err(|_| Refusal::Unavailable)?;
    let tag = request_tag(key, request);
    let now = service.clock.now().unix_seconds();
    let asking = service
        .database
        .run(move |connection| requests::ask(connection, &tag, before.as_ref(), now));
    match asking.await? {
        Asking::ContactUnknown => Err(Refusal::RequestUnknown),
        Asking::TooManyOpen => Err(Refusal::TooManyOpen),
        Asking::Open => {
            let body = serde_json::json!({
                "request": HEXLOWER.encode(&request.to_bytes()),
                "seconds_left": REQUEST_LIFETIME_S,
            });
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
    }
}

/// `GET /v1/requests/{request}`.
pub(crate) async fn state(
    State(service): State<Shared>,
    Path(text): Path<String>,
    _: Staff,
) -> Result<Response, Refusal> {
    let tag = request_tag(&service.keys.codes, request(&text)?);
    let now = service.clock.now().unix_seconds();
    let standing = service
        .database
        .run(move |connection| requests::standing(connection, &tag, now))
        .await?;
    let body = match standing.ok_or(Refusal::RequestUnknown)? {
        Standing::Settled(verdict) => {
            return Ok(([(CONTENT_TYPE, "application/json")], verdict).into_response());
        }
        Standing::Expired => serde_json::json!({ "state": "expired" }),
        Standing::Waiting { expires_at, .. } => serde_json::json!({
            "state": "waiting",
            "seconds_left": expires_at.saturating_sub(now),
        }),
    };
    Ok(Json(body).into_response())
}

fn request(text: &str) -> Result<EvidenceRequest, Refusal> {
    let bytes = HEXLOWER.decode(text.as_bytes()).ok();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or(Refusal::RequestUnknown)?;
    Ok(EvidenceRequest::from_bytes(bytes))
}
