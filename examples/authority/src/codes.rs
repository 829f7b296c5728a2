//! Codes over HTTP, for staff: issue one, see what became of it.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use truyvet::entropy::SystemEntropy;
use truyvet::protocol::ReportType;
use truyvet::report::authorisation::{CodeKey, VerificationCode};
use truyvet::time::{Timestamp, UtcDay};

use crate::database::codes::{self, CodeHashes, CodeState, Findings, Issued, NewCode};
use crate::refusal::Refusal;
use crate::service::Shared;
use crate::staff::Staff;

/// Days that a test or an onset may be past: GAEN's and Bluezone's memory of 14, and a week of waiting for results.
pub const FINDING_DAYS_MAX: u32 = 21;

/// A day begins so much earlier in the first country that has it than in UTC.
const EARLIEST_ZONE: Duration = Duration::from_secs(14 * 3600);

/// Characters of a code that are hashed apart: its first group.
const HEAD_CHARACTERS: usize = 5;

/// Draws of a code before giving up. Chosen: with 10,000 codes open one in three thousand begins as another does.
const DRAWS_MAX: usize = 8;

/// What a health worker asks for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    report_type: ReportType,
    test_date: Option<String>,
    onset: Option<String>,
}

impl Asked {
    fn findings(&self, now: Timestamp) -> Result<Findings, Refusal> {
        let report_type = report_type_number(self.report_type);
        if !(1..=ISSUED_TYPE_MAX).contains(&report_type) {
            return Err(Refusal::Malformed);
        }
        let last = latest_day(now);
        let first = now.utc_day().saturating_sub(FINDING_DAYS_MAX);
        let day = |text: &Option<String>, future: Refusal, old: Refusal| {
            let Some(text) = text else {
                return Ok(None);
            };
            let day: UtcDay = text.parse().map_err(|_| Refusal::Malformed)?;
            match day {
                day if day > last => Err(future),
                day if day < first => Err(old),
                day => Ok(Some(day.unix_days())),
            }
        };
        let test_date = day(
            &self.test_date,
            Refusal::TestDateInFuture,
            Refusal::TestDateTooOld,
        )?;
        if test_date.is_none() {
            return Err(Refusal::TestDateMissing);
        }
        Ok(Findings {
            report_type,
            test_date,
            onset: day(&self.onset, Refusal::OnsetInFuture, Refusal::OnsetTooOld)?,
        })
    }
}

/// Report types as the database and GAEN's format number them; staff may issue codes for the first two.
const REPORT_TYPES: [(u8, ReportType); 4] = [
    (1, ReportType::ConfirmedTest),
    (2, ReportType::ConfirmedClinicalDiagnosis),
    (3, ReportType::SelfReport),
    (5, ReportType::Revoked),
];
const ISSUED_TYPE_MAX: u8 = 2;

/// The number of `report_type`; 0 if it has none.
pub(crate) fn report_type_number(report_type: ReportType) -> u8 {
    let mut all = REPORT_TYPES.iter();
    all.find(|(_, known)| *known == report_type)
        .map_or(0, |(number, _)| *number)
}

/// The report type that the database keeps as `number`.
pub(crate) fn report_type(number: u8) -> ReportType {
    let mut all = REPORT_TYPES.iter();
    all.find(|(known, _)| *known == number)
        .map_or(ReportType::Unknown, |(_, report_type)| *report_type)
}

/// The day that it may be somewhere at `now`.
pub(crate) fn latest_day(now: Timestamp) -> UtcDay {
    now.saturating_add(EARLIEST_ZONE).utc_day()
}

/// What a code is looked up by.
pub(crate) fn hashes(key: &CodeKey, code: &VerificationCode) -> CodeHashes {
    let text = code.to_text();
    let head: String = text.chars().take(HEAD_CHARACTERS).collect();
    let hmac_key = hmac::Key::new(hmac::HMAC_SHA256, key.secret().expose());
    let message = zeroize::Zeroizing::new(["authority code head 1", head.as_str()].concat());
    let mut bytes = [0; 32];
    let tag = hmac::sign(&hmac_key, message.as_bytes());
    bytes.copy_from_slice(tag.as_ref());
    CodeHashes {
        head: bytes,
        digest: key.digest(code).to_bytes(),
    }
}

/// `POST /v1/codes`.
pub(crate) async fn issue(
    State(service): State<Shared>,
    _: Staff,
    body: Bytes,
) -> Result<Response, Refusal> {
    let issued = issue_one(&service, &body).await;
    service.metrics.code(match &issued {
        Ok(_) => "issued",
        Err(refusal) => refusal.name(),
    });
    issued
}

async fn issue_one(service: &Shared, body: &[u8]) -> Result<Response, Refusal> {
    let asked: Asked = serde_json::from_slice(body).map_err(|_| Refusal::Malformed)?;
    let now = service.clock.now();
    let findings = asked.findings(now)?;
    let policy = service.settings.codes;
    let mut handle = [0; 16];
    SystemRandom::new()
        .fill(&mut handle)
        .map_err(|_| Refusal::Unavailable)?;
    for _ in 0..DRAWS_MAX {
        let (code, issued) = policy
            .issue(&service.keys.codes, now, &mut SystemEntropy)
            .map_err(|_| Refusal::Unavailable)?;
        let new = NewCode {
            handle,
            hashes: hashes(&service.keys.codes, &code),
            findings,
            expires_at: issued.expires_at.unix_seconds(),
        };
        let now_s = now.unix_seconds();
        let kept = service
            .database
            .run(move |connection| codes::issue(connection, &new, policy.outstanding_max(), now_s));
        match kept.await? {
            Issued::BeginsAlike => {}
            Issued::TooManyOpen => return Err(Refusal::TooManyOpen),
            Issued::Open => {
                let body = serde_json::json!({
                    "code": code.to_text().as_str(),
                    "handle": HEXLOWER.encode(&handle),
                    "seconds_left": policy.lifetime().as_secs(),
                });
                return Ok((StatusCode::CREATED, Json(body)).into_response());
            }
        }
    }
    Err(Refusal::TooManyOpen)
}

/// `GET /v1/codes/{handle}`.
pub(crate) async fn state(
    State(service): State<Shared>,
    Path(handle): Path<String>,
    _: Staff,
) -> Result<Response, Refusal> {
    let bytes = HEXLOWER.decode(handle.as_bytes()).ok();
    let handle = bytes.and_then(|bytes| bytes.try_into().ok());
    let handle = handle.ok_or(Refusal::HandleUnknown)?;
    let now = service.clock.now().unix_seconds();
    let state = service
        .database
        .run(move |connection| codes::state(connection, handle, now))
        .await?;
    let body = match state.ok_or(Refusal::HandleUnknown)? {
        CodeState::Unused { expires_at } => serde_json::json!({
            "state": "unused",
            "seconds_left": expires_at.saturating_sub(now),
        }),
        CodeState::Used => serde_json::json!({ "state": "used" }),
        CodeState::Expired => serde_json::json!({ "state": "expired" }),
        CodeState::Blocked => serde_json::json!({ "state": "blocked" }),
    };
    Ok(Json(body).into_response())
}
