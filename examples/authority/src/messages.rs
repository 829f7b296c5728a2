//! What devices send: one endpoint, one size of answer, one time of answering.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use ring::digest;
use rusqlite::Connection;
use tokio::time::Instant;
use truyvet::report::answer::Answer;
use truyvet::report::sealed::{OpenError, open};

use crate::claim::{self, Outcome};
use crate::database::DatabaseError;
use crate::database::filed;
use crate::database::inbox::{self, Arrival};
use crate::grid;
use crate::refusal::Refusal;
use crate::service::Shared;

const OCTETS: &str = "application/octet-stream";

/// `POST /v1/messages`. A body of the wrong form is refused by status; everything else is answered alike.
pub(crate) async fn receive(
    State(service): State<Shared>,
    headers: HeaderMap,
    envelope: Bytes,
) -> Response {
    let arrived = Instant::now();
    let answered = answer(&service, &headers, envelope).await;
    let name = match &answered {
        Ok((name, _)) => name,
        Err(refusal) => refusal.name(),
    };
    service.metrics.message(name, arrived.elapsed());
    grid::wait(arrived, service.settings.answer_grid).await;
    match answered {
        Ok((_, answer)) => ([(CONTENT_TYPE, OCTETS)], answer).into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// What became of it by name, and the answer, once all of it is on the disk.
async fn answer(
    service: &Shared,
    headers: &HeaderMap,
    envelope: Bytes,
) -> Result<(&'static str, Vec<u8>), Refusal> {
    if headers
        .get(CONTENT_TYPE)
        .is_none_or(|value| value != OCTETS)
    {
        return Err(Refusal::ContentType);
    }
    let opened = open(std::slice::from_ref(&service.keys.envelope), &envelope);
    let opened = opened.map_err(|error| match error {
        OpenError::OtherAuthority => Refusal::KeyUnknown,
        _ => Refusal::EnvelopeMalformed,
    })?;
    let now = service.clock.now();
    let claim = claim::read(&opened);
    let shared = service.clone();
    let settled = service.database.run(move |connection| {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &envelope).as_ref());
        if let Some(answer) = inbox::answered(connection, &hash, now.unix_seconds())? {
            return Ok(Some(("answered_again", answer)));
        }
        if inbox::is_full(connection)? {
            return Ok(None);
        }
        let outcome = claim.settle(connection, &shared, now)?;
        keep(connection, &outcome, hash, &envelope, now.unix_seconds()).map(Some)
    });
    settled.await?.ok_or(Refusal::Unavailable)
}

fn keep(
    connection: &Connection,
    outcome: &Outcome,
    envelope_hash: [u8; 32],
    envelope: &[u8],
    received_at: u64,
) -> Result<(&'static str, Vec<u8>), DatabaseError> {
    // A certificate is a third of what fits; a refusal's name is one of ours.
    let answer = outcome
        .answer
        .to_bytes()
        .or_else(|_| Answer::Nothing.to_bytes());
    let answer = answer.map_err(|_| DatabaseError::NotCommitted)?;
    let arrival = Arrival {
        envelope_hash,
        envelope,
        answer: &answer,
        work: outcome.work,
        replaces: outcome.replaces,
        received_at,
        keep_until: outcome.keep_until,
    };
    let id = inbox::keep(connection, &arrival)?;
    filed::file(connection, id, &outcome.filing, outcome.keep_until)?;
    Ok((outcome.name, answer.to_vec()))
}
