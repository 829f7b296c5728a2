//! Health declarations over HTTP, for staff: opened when they are read, and not before.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use truyvet::report::health::message::HealthMessage;
use truyvet::report::sealed::{MessageKind, Opened, open};
use truyvet::time::Timestamp;

use crate::database::filed::{self, SealedDeclaration};
use crate::refusal::Refusal;
use crate::service::{Service, Shared};
use crate::settings::DECLARATIONS_AT_ONCE;
use crate::staff::Staff;

/// `GET /v1/declarations?after=N`: those after number N, or from the first that there is.
pub(crate) async fn list(
    State(service): State<Shared>,
    _: Staff,
    uri: Uri,
) -> Result<Response, Refusal> {
    let after = after(&uri)?;
    let read = service
        .database
        .run(move |connection| filed::declarations_after(connection, after, DECLARATIONS_AT_ONCE));
    let read = read.await?;
    let next_after = read.last().map_or(after, |last| last.number);
    let more = read.len() == DECLARATIONS_AT_ONCE;
    let shared = service.clone();
    let opened = spawn_blocking(move || {
        let told = read.iter().filter_map(|sealed| told(&shared, sealed));
        told.collect::<Vec<_>>()
    });
    let body = json!({
        "declarations": opened.await.map_err(|_| Refusal::Unavailable)?,
        "next_after": next_after,
        "more": more,
    });
    Ok(Json(body).into_response())
}

/// `GET /v1/declarations/{number}/attachment`: the app's bytes, which nobody here has looked at.
pub(crate) async fn attachment(
    State(service): State<Shared>,
    Path(number): Path<String>,
    _: Staff,
) -> Result<Response, Refusal> {
    let number = number.parse().map_err(|_| Refusal::DeclarationUnknown)?;
    let read = service
        .database
        .run(move |connection| filed::declaration(connection, number));
    let sealed = read.await?.ok_or(Refusal::DeclarationUnknown)?;
    let shared = service.clone();
    let attachment = spawn_blocking(move || {
        let opened = open_declaration(&shared, &sealed)?;
        let message = HealthMessage::from_bytes(&opened.payload).ok()?;
        Some(message.attachment.to_vec())
    });
    let attachment = attachment.await.map_err(|_| Refusal::Unavailable)?;
    let attachment = attachment.ok_or(Refusal::DeclarationUnknown)?;
    // Saved, never shown: whoever sent it may have chosen what it does in a browser.
    let headers = [
        (CONTENT_TYPE, "application/octet-stream"),
        (CONTENT_DISPOSITION, "attachment"),
    ];
    Ok((headers, attachment).into_response())
}

fn after(uri: &Uri) -> Result<i64, Refusal> {
    match uri.query() {
        None | Some("") => Ok(0),
        Some(query) => query
            .strip_prefix("after=")
            .and_then(|number| number.parse().ok())
            .ok_or(Refusal::Malformed),
    }
}

/// None for what was kept for staff before declarations were read, and is none.
fn open_declaration(service: &Service, sealed: &SealedDeclaration) -> Option<Opened> {
    let keys = std::slice::from_ref(&service.keys.envelope);
    match open(keys, &sealed.envelope) {
        Ok(opened) => (opened.kind == MessageKind::HealthDeclaration).then_some(opened),
        Err(_) => {
            // Sealed to a key that was taken away since.
            eprintln!("authority: a declaration cannot be opened with the keys there are");
            None
        }
    }
}

/// What staff reads of a declaration: it, and what the rules say of it as of when it came. A device may have kept none.
fn told(service: &Service, sealed: &SealedDeclaration) -> Option<Value> {
    let opened = open_declaration(service, sealed)?;
    let message = HealthMessage::from_bytes(&opened.payload).ok()?;
    let declaration = message.declaration;
    let in_wire_names: Value = serde_json::from_str(&declaration.to_json()).ok()?;
    let received_at = Timestamp::from_unix_seconds(sealed.received_at);
    let checked = declaration.check(received_at);
    let breaks = checked
        .as_ref()
        .err()
        .map(|rule| json!({ "field": rule.field(), "rule": rule.to_string() }));
    Some(json!({
        "number": sealed.number,
        "received_at": sealed.received_at,
        // What a correction refers to it by; of one that breaks a rule nothing is a correction.
        "id": checked.ok().map(|checked| checked.id().to_string()),
        "breaks": breaks,
        "attachment_bytes": message.attachment.len(),
        "declaration": in_wire_names,
    }))
}
