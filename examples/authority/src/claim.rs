//! What a sealed message asks for, and what becomes of it.

use std::time::Duration;

use rusqlite::Connection;
use truyvet::entropy::SystemEntropy;
use truyvet::report::answer::Answer;
use truyvet::report::authorisation::{CertificateError, Diagnosis, NotAuthorised, Refusal};
use truyvet::report::diagnosis::{CodeExchange, DiagnosisReport};
use truyvet::report::evidence::{ContactEvidence, KeyReference};
use truyvet::report::health::message::HealthMessage;
use truyvet::report::sealed::{MessageKind, Opened};
use truyvet::time::{Timestamp, UtcDay};

use crate::codes::{hashes, report_type, report_type_number};
use crate::database::DatabaseError;
use crate::database::codes::{self, Exchange, Findings};
use crate::database::filed::Filing;
use crate::database::inbox::{self, Work};
use crate::database::used::Used;
use crate::evidence;
use crate::service::Service;
use crate::settings::{FOR_STAFF_BYTES_MAX, INBOX_KEPT_S, REQUEST_LIFETIME_S};

/// A message that has been read.
pub(crate) enum Claim {
    /// A dummy.
    Nothing,
    /// A code for a certificate.
    Exchange(Box<CodeExchange>),
    /// Keys to be published.
    Report(Box<DiagnosisReport>),
    /// A contact's evidence.
    Evidence(Box<ContactEvidence>),
    /// A health declaration, which staff will read.
    Declaration,
    /// It is not what it says it is.
    Refused(&'static str),
}

/// What became of a message.
pub(crate) struct Outcome {
    /// By name, for metrics.
    pub(crate) name: &'static str,
    pub(crate) answer: Answer,
    pub(crate) work: Work,
    /// Under what it is found again.
    pub(crate) filing: Filing,
    /// The report type that was said of the same keys before, as the database numbers it.
    pub(crate) replaces: Option<u8>,
    /// Unix seconds.
    pub(crate) keep_until: u64,
}

/// Reads what was sealed.
pub(crate) fn read(opened: &Opened) -> Claim {
    match opened.kind {
        MessageKind::Dummy => Claim::Nothing,
        MessageKind::CodeExchange => CodeExchange::from_bytes(&opened.payload)
            .map_or(Claim::Refused("exchange_malformed"), |exchange| {
                Claim::Exchange(Box::new(exchange))
            }),
        MessageKind::DiagnosisReport => DiagnosisReport::from_bytes(&opened.payload)
            .map_or(Claim::Refused("report_malformed"), |report| {
                Claim::Report(Box::new(report))
            }),
        MessageKind::HealthDeclaration => HealthMessage::from_bytes(&opened.payload)
            .map_or(Claim::Refused("declaration_malformed"), |_| {
                Claim::Declaration
            }),
        MessageKind::ContactEvidence => evidence::read(&opened.payload)
            .map_or(Claim::Refused("evidence_malformed"), |evidence| {
                Claim::Evidence(Box::new(evidence))
            }),
        _ => Claim::Refused("kind_unknown"),
    }
}

impl Claim {
    /// Does what is asked, in the transaction that is open on `connection`.
    pub(crate) fn settle(
        self,
        connection: &Connection,
        service: &Service,
        now: Timestamp,
    ) -> Result<Outcome, DatabaseError> {
        let done = |name, answer, keep: Duration| Outcome {
            name,
            answer,
            work: Work::Done,
            filing: Filing::Nowhere,
            replaces: None,
            keep_until: now.saturating_add(keep).unix_seconds(),
        };
        // What is refused, or was nothing, would be answered the same again: it need not be kept.
        let refused =
            |name: &'static str| done(name, Answer::Refused(name.to_owned()), Duration::ZERO);
        let kept = Duration::from_secs(INBOX_KEPT_S);
        Ok(match self {
            Self::Nothing => done("dummy", Answer::Nothing, Duration::ZERO),
            Self::Refused(name) => refused(name),
            Self::Declaration if inbox::for_staff_bytes(connection)? > FOR_STAFF_BYTES_MAX => {
                refused("inbox_full")
            }
            Self::Declaration => Outcome {
                work: Work::ForStaff,
                filing: Filing::Declaration,
                ..done("declaration_accepted", Answer::Accepted, kept)
            },
            Self::Evidence(sent) => match evidence::settle(connection, service, &sent, now)? {
                Ok(name) => done(
                    name,
                    Answer::Accepted,
                    Duration::from_secs(REQUEST_LIFETIME_S),
                ),
                Err(name) => refused(name),
            },
            Self::Exchange(exchange) => match certify(connection, service, &exchange, now)? {
                Ok(certificate) => done(
                    "certified",
                    Answer::Certificate(certificate),
                    service.settings.certificate_lifetime,
                ),
                Err(name) => refused(name),
            },
            Self::Report(report) => {
                let valid = report.certificate().expires_at().since(now);
                let reported = report.keys().to_vec();
                let keys = reported.iter();
                let keys = keys.map(|key| KeyReference::of(key).to_bytes()).collect();
                match service
                    .verifier
                    .authorise(*report, now, &mut Used(connection))
                {
                    Ok(authorised) => {
                        evidence::note_published(connection, service, &reported, now)?;
                        Outcome {
                            work: Work::Publish,
                            replaces: authorised.replaces.map(report_type_number),
                            filing: Filing::Report(keys),
                            ..done("report_accepted", Answer::Accepted, valid.max(kept))
                        }
                    }
                    Err(NotAuthorised::Refused(refusal)) => refused(refusal_name(&refusal)),
                    Err(NotAuthorised::Used(error)) => return Err(error),
                    Err(_) => return Err(DatabaseError::NotCommitted),
                }
            }
        })
    }
}

/// The certificate that a code is worth, or why it is worth none.
fn certify(
    connection: &Connection,
    service: &Service,
    exchange: &CodeExchange,
    now: Timestamp,
) -> Result<Result<Vec<u8>, &'static str>, DatabaseError> {
    let hashes = hashes(&service.keys.codes, &exchange.code);
    let commitment = exchange.commitment;
    let tries = service.settings.codes.wrong_tries_per_hour();
    let now_s = now.unix_seconds();
    let exchanged = codes::exchange(connection, &hashes, &commitment.to_bytes(), tries, now_s)?;
    let findings = match exchanged {
        Exchange::Accepted(findings) => findings,
        Exchange::Again(certificate) => return Ok(Ok(certificate)),
        Exchange::Unknown => return Ok(Err("code_unknown")),
        Exchange::Replayed => return Ok(Err("code_replayed")),
        Exchange::Expired => return Ok(Err("code_expired")),
        Exchange::Blocked => return Ok(Err("code_blocked")),
        Exchange::TooManyAttempts => return Ok(Err("too_many_attempts")),
    };
    let diagnosis = diagnosis(findings, now.utc_day());
    let signed = service
        .signer
        .sign(&diagnosis, commitment, now, &mut SystemEntropy);
    match signed {
        Ok(certificate) => {
            let certificate = certificate.as_bytes().to_vec();
            codes::certify(connection, &hashes, &certificate)?;
            Ok(Ok(certificate))
        }
        // The keys or the system's random numbers fail: the code is not burnt.
        Err(CertificateError::Key(_) | CertificateError::Entropy) => {
            Err(DatabaseError::NotCommitted)
        }
        // A code may live for a week after a test of three weeks ago.
        Err(_) => Ok(Err("test_too_old")),
    }
}

/// What the health worker said. A day that has begun there may not have begun in UTC: it counts as today.
fn diagnosis(findings: Findings, today: UtcDay) -> Diagnosis {
    let day = |days: Option<u32>| days.map(|days| UtcDay::from_unix_days(days).min(today));
    Diagnosis {
        report_type: report_type(findings.report_type),
        test_date: day(findings.test_date),
        onset: day(findings.onset),
    }
}

/// The library's names, with what they are of.
fn refusal_name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::WrongSigner => "certificate_of_another_authority",
        Refusal::Changed => "certificate_changed",
        Refusal::NotYetValid { .. } => "certificate_not_yet_valid",
        Refusal::Expired { .. } => "certificate_expired",
        Refusal::OtherKeys => "keys_swapped",
        Refusal::Keys(_) => "keys_invalid",
        Refusal::Day { .. } => "keys_of_another_time",
        Refusal::Replayed => "certificate_replayed",
        Refusal::ReportedBefore => "keys_reported_before",
        Refusal::GoesBack { .. } => "report_goes_back",
        Refusal::NothingToRevoke => "nothing_to_revoke",
        _ => "report_refused",
    }
}
