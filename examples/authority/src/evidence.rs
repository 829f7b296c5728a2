//! A contact's evidence: whether it was asked for, and what it is worth.
//!
//! Its sender is told what is wrong with its form or its request, and else that it has been stored. What it is worth is
//! staff's to know: whether it holds tells which published keys are of one report, whether the case heard somebody, and
//! whether somebody else has opened the same day.

use std::cell::RefCell;

use ring::hmac;
use rusqlite::Connection;
use serde_json::{Value, json};
use truyvet::protocol::{PublishedKey, ReportType};
use truyvet::report::authorisation::CodeKey;
use truyvet::report::diagnosis::{Contacts, DiagnosisReport};
use truyvet::report::evidence::{
    CaseReport, Confirmation, ContactEvidence, DayFingerprint, EvidenceRefused, EvidenceRequest,
    Extent, HeardDigests, KnownDay, confirm,
};
use truyvet::report::sealed::open;
use truyvet::time::Timestamp;

use crate::database::requests::{self, Standing, Tag};
use crate::database::{DatabaseError, filed};
use crate::service::Service;

/// What holds, or the name of why nothing does, for staff.
type Verdict = Result<Confirmation, &'static str>;

/// Evidence of at least one contact: others say nothing.
pub(crate) fn read(payload: &[u8]) -> Option<ContactEvidence> {
    let evidence = ContactEvidence::from_bytes(payload).ok()?;
    (!evidence.contacts().is_empty()).then_some(evidence)
}

/// What a request is known by here.
pub(crate) fn request_tag(key: &CodeKey, request: EvidenceRequest) -> Tag {
    tag(key, b"authority evidence request 1", &request.to_bytes())
}

/// What a day that was opened or published is known by here.
fn day_tag(key: &CodeKey, day: &DayFingerprint) -> Tag {
    tag(key, b"authority own day 1", &day.to_bytes())
}

fn tag(key: &CodeKey, label: &[u8], bytes: &[u8]) -> Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.secret().expose());
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac::sign(&key, &[label, bytes].concat()).as_ref());
    tag
}

/// Spends the request that `evidence` answers, in the transaction that is open on `connection`. The name of what it is
/// worth, for metrics; or of why it is not looked at, for its sender.
///
/// Confirming the largest evidence there is hashes some 100,000 times and looks 12,000 days up, within the transaction; it is done once for each
/// request of staff's.
pub(crate) fn settle(
    connection: &Connection,
    service: &Service,
    evidence: &ContactEvidence,
    now: Timestamp,
) -> Result<Result<&'static str, &'static str>, DatabaseError> {
    let now = now.unix_seconds();
    let request = request_tag(&service.keys.codes, evidence.request());
    let contact = match requests::standing(connection, &request, now)? {
        Some(Standing::Waiting { contact, .. }) => contact,
        Some(Standing::Expired) => return Ok(Err("evidence_request_expired")),
        Some(Standing::Settled(_)) => return Ok(Err("evidence_answered")),
        None => return Ok(Err("evidence_not_asked_for")),
    };
    let verdict = weigh(connection, service, evidence, &contact)?;
    if let Ok(confirmation) = &verdict {
        let days = confirmation.fingerprints.iter();
        let days: Vec<_> = days.map(|day| day_tag(&service.keys.codes, day)).collect();
        requests::note_days(connection, &days, &contact, now)?;
    }
    requests::settle(connection, &request, &for_staff(&verdict).to_string())?;
    Ok(Ok(verdict.map_or_else(|why| why, |_| "evidence_confirmed")))
}

/// Notes the days of an accepted report's keys, in the transaction that accepts it: who reads these keys, once they are
/// published, can open their days as his own.
pub(crate) fn note_published(
    connection: &Connection,
    service: &Service,
    keys: &[PublishedKey],
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let days = keys.iter().flat_map(DayFingerprint::of_published);
    let days: Vec<_> = days.map(|day| day_tag(&service.keys.codes, &day)).collect();
    requests::note_published(connection, &days, now.unix_seconds())
}

/// What is known of `day`, which `contact` says is his own.
fn known_of(
    connection: &Connection,
    day: &Tag,
    contact: &Tag,
) -> Result<Option<KnownDay>, DatabaseError> {
    if requests::is_published(connection, day)? {
        return Ok(Some(KnownDay::Published));
    }
    let anothers = requests::is_anothers(connection, day, contact)?;
    Ok(anothers.then_some(KnownDay::OtherEvidence))
}

/// Confirms `evidence` against the report of the first key that it names.
fn weigh(
    connection: &Connection,
    service: &Service,
    evidence: &ContactEvidence,
    contact: &Tag,
) -> Result<Verdict, DatabaseError> {
    let Some(named) = evidence.contacts().first() else {
        return Ok(Err("evidence_of_no_report"));
    };
    let envelope = filed::report_with(connection, &named.key.to_bytes())?;
    let Some(report) = envelope.and_then(|envelope| open_report(service, &envelope)) else {
        return Ok(Err("evidence_of_no_report"));
    };
    if report.certificate().diagnosis().report_type == ReportType::Revoked {
        return Ok(Err("evidence_of_revoked_report"));
    }
    let heard = match report.contacts() {
        Contacts::HeardDigests(bytes) => HeardDigests::from_bytes(bytes).ok(),
        _ => None,
    };
    let case = CaseReport {
        keys: report.keys(),
        heard: heard.as_ref(),
    };
    let failed = RefCell::new(None);
    let known = |day: &DayFingerprint| {
        let day = day_tag(&service.keys.codes, day);
        known_of(connection, &day, contact).unwrap_or_else(|error| {
            failed.replace(Some(error));
            Some(KnownDay::Published)
        })
    };
    let confirmed = confirm(evidence, evidence.request(), case, known);
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(confirmed.map_err(|refused| name(&refused))),
    }
}

fn open_report(service: &Service, envelope: &[u8]) -> Option<DiagnosisReport> {
    let opened = open(std::slice::from_ref(&service.keys.envelope), envelope).ok()?;
    DiagnosisReport::from_bytes(&opened.payload).ok()
}

/// What staff is told: how long, and nothing of keys or identifiers.
fn for_staff(verdict: &Verdict) -> Value {
    let extent = |of: Extent| json!({ "slots": of.slots, "minutes": of.minutes });
    match verdict {
        Ok(confirmation) => json!({
            "state": "confirmed",
            "f1_heard_f0": extent(confirmation.f1_heard_f0),
            "f0_heard_f1": confirmation.f0_heard_f1,
            "mutual": extent(confirmation.mutual),
        }),
        Err(why) => json!({ "state": "refused", "why": why }),
    }
}

/// The library's names, with what they are of.
fn name(refused: &EvidenceRefused) -> &'static str {
    match refused {
        EvidenceRefused::TooManyKeys { .. } => "evidence_report_too_large",
        EvidenceRefused::DigestsOfAnotherReport => "evidence_digests_of_another_report",
        EvidenceRefused::KeyNotOfReport { .. } => "evidence_key_not_of_report",
        EvidenceRefused::OutsideReport { .. } => "evidence_outside_report",
        EvidenceRefused::IdentifierNotOfKey { .. } => "evidence_identifier_not_of_key",
        EvidenceRefused::HeardOutsideSlot { .. } => "evidence_heard_outside_slot",
        EvidenceRefused::Minutes { .. } => "evidence_minutes",
        EvidenceRefused::OwnKeyWrongSlot { .. } => "evidence_own_key_wrong_slot",
        EvidenceRefused::OwnKeyOfReport { .. } => "evidence_own_key_of_report",
        EvidenceRefused::OwnKeyPublished { .. } => "evidence_own_key_published",
        EvidenceRefused::OwnKeyUsedBefore { .. } => "evidence_own_key_used_before",
        _ => "evidence_refused",
    }
}
