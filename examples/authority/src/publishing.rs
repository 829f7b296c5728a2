//! From the inbox to the folder: on a schedule, and when staff asks.
//!
//! Reports wait sealed. A run opens all that wait, and the publisher puts each key into the package of the hour in which
//! it became publishable. A run that is killed is made again, and comes to the same files; a report whose keys are all
//! published is then forgotten.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use truyvet::protocol::ReportType;
use truyvet::publication::publisher::{AcceptedKey, PublishError, Published, ReportId};
use truyvet::publication::store::FolderStore;
use truyvet::report::authorisation::{CertificateId, UseOfCertificate, UsedCertificates};
use truyvet::report::diagnosis::DiagnosisReport;
use truyvet::report::keys::{Commitment, KeyDigest};
use truyvet::report::sealed::open;
use truyvet::time::Timestamp;

use crate::codes::report_type;
use crate::database::DatabaseError;
use crate::database::inbox::{self, Waiting};
use crate::refusal::Refusal;
use crate::service::{Service, Shared};
use crate::staff::{self, Staff};

/// Envelopes that are read from the database at a time. Chosen: half a MiB of the usual size.
const READ_AT_ONCE: usize = 128;

/// Hours that a demonstration may let the clock run ahead at once: a day less than the longest pause
/// that the publisher usually goes on after.
const ADVANCE_HOURS_MAX: u16 = 6 * 24;

/// Why nothing was published.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishingError {
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The publisher.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// A report that waits was sealed or certified with a key that was taken away since. It stays until the key is back.
    #[error("a report that waits does not open or verify with the keys there are")]
    Unreadable,
    /// The thread that publishes ended.
    #[error("publishing was interrupted")]
    Interrupted,
}

/// Publishes what may be published now.
///
/// # Errors
///
/// [`PublishingError`]: what was published before stands, and the next run goes on.
pub async fn run(service: &Shared) -> Result<Published, PublishingError> {
    let _one_at_a_time = service.publishing.lock().await;
    let begun = Instant::now();
    // Before the inbox is read: what comes later belongs to a later hour, or is read by the next run.
    let now = service.clock.now();
    close_hours(service, now).await?;
    let keys = waiting_keys(service).await?;
    let shared = service.clone();
    let publish = move || {
        let store = FolderStore::new(&shared.settings.folder);
        let signers = [&shared.keys.publication];
        shared.publisher.run(&store, keys, &signers, now)
    };
    let published = tokio::task::spawn_blocking(publish)
        .await
        .map_err(|_| PublishingError::Interrupted)??;
    let ids: Vec<_> = published
        .finished
        .iter()
        .filter_map(|report| i64::try_from(report.0).ok())
        .collect();
    service
        .database
        .run(move |connection| inbox::done(connection, &ids))
        .await?;
    if published.closed > 0 {
        // The run that closed them was given them, or they would wait for a later hour: it was killed afterwards.
        let closed = published.closed;
        eprintln!("authority: {closed} keys of hours that an earlier run has closed are done");
    }
    let keys = u64::try_from(published.keys).unwrap_or(u64::MAX);
    service.metrics.published(keys, begun.elapsed());
    Ok(published)
}

/// Notes, before the inbox is read, which hours a run at `now` closes: a report that comes afterwards is published with a
/// later one, even if the clock is set back.
pub(crate) async fn close_hours(service: &Shared, now: Timestamp) -> Result<(), PublishingError> {
    let shared = service.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let store = FolderStore::new(&shared.settings.folder);
        let signers = [&shared.keys.publication];
        shared.publisher.closes_until(&store, &signers, now)
    });
    let until = asked.await.map_err(|_| PublishingError::Interrupted)??;
    let close = move |connection: &_| inbox::close(connection, until.unix_seconds());
    service.database.run(close).await?;
    Ok(())
}

/// The keys of all reports that wait.
async fn waiting_keys(service: &Shared) -> Result<Vec<AcceptedKey>, PublishingError> {
    let mut keys = Vec::new();
    let mut after = i64::MIN;
    loop {
        let read = service
            .database
            .run(move |connection| inbox::waiting_reports(connection, after, READ_AT_ONCE))
            .await?;
        let Some(last) = read.last() else {
            return Ok(keys);
        };
        after = last.id;
        let shared = service.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let opened = read.iter().map(|waiting| accepted_keys(&shared, waiting));
            opened.collect::<Result<Vec<_>, _>>()
        });
        let opened = opened.await.map_err(|_| PublishingError::Interrupted)??;
        keys.extend(opened.into_iter().flatten());
    }
}

/// The keys of a report, which was authorised when it came: the same check at the same time says the same.
/// One that no longer opens stops the run: an hour that is closed without its keys does not come again.
fn accepted_keys(
    service: &Service,
    waiting: &Waiting,
) -> Result<Vec<AcceptedKey>, PublishingError> {
    let received_at = Timestamp::from_unix_seconds(waiting.received_at);
    let keys = std::slice::from_ref(&service.keys.envelope);
    let report = open(keys, &waiting.envelope)
        .ok()
        .and_then(|opened| DiagnosisReport::from_bytes(&opened.payload).ok());
    let mut used = AsItWas(waiting.replaces.map(report_type));
    let authorised = report.and_then(|report| {
        let authorised = service.verifier.authorise(report, received_at, &mut used);
        authorised.ok()
    });
    let authorised = authorised.ok_or(PublishingError::Unreadable)?;
    let accepted_at = Timestamp::from_unix_seconds(waiting.publish_after);
    let report = ReportId(u64::try_from(waiting.id).unwrap_or_default());
    Ok(authorised.into_accepted_keys(accepted_at, report).collect())
}

/// What had been reported when a report came.
struct AsItWas(Option<ReportType>);

impl UsedCertificates for AsItWas {
    type Error = Infallible;

    fn is_used(&mut self, _: &CertificateId) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn report_type_of(&mut self, _: &Commitment) -> Result<Option<ReportType>, Infallible> {
        Ok(self.0)
    }

    fn reported_with(&mut self, _: &KeyDigest) -> Result<Option<Commitment>, Infallible> {
        Ok(None)
    }

    fn note(&mut self, _: &UseOfCertificate) -> Result<(), Infallible> {
        Ok(())
    }
}

/// What a demonstration may ask beside.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    advance_hours: u16,
}

/// `POST /v1/publish`.
pub(crate) async fn publish_now(
    State(service): State<Shared>,
    _: Staff,
    body: Bytes,
) -> Result<Response, Refusal> {
    let asked: Asked = staff::asked(&body)?;
    let allowed = match service.settings.demonstration {
        true => ADVANCE_HOURS_MAX,
        false => 0,
    };
    if asked.advance_hours > allowed {
        return Err(Refusal::NoDemonstration);
    }
    service
        .clock
        .advance(Duration::from_secs(3600 * u64::from(asked.advance_hours)));
    let published = run(&service).await.map_err(|error| {
        eprintln!("authority: publishing: {error}");
        Refusal::Unavailable
    })?;
    let packages: Vec<_> = published.packages.iter().map(|new| new.name()).collect();
    let body = serde_json::json!({
        "keys": published.keys,
        "waiting": published.waiting,
        "packages": packages,
        "published_until": published.until.to_string(),
    });
    Ok(Json(body).into_response())
}
