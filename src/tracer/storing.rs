//! What a tracer's task does with its log: it tries again what fails, and loses no more than it must.

use std::sync::Arc;
use std::time::Duration;

use super::shell::Shell;
use crate::log::{EncounterLog, LogError, NotAppended, Purged};
use crate::sighting::Sighting;

/// Sightings held while the log fails. Chosen: some hours of a busy room, about a megabyte.
const UNSTORED_MAX: usize = 16_384;

/// How long a failed write waits for its next try.
const STORE_RETRY: Duration = Duration::from_secs(30);

impl Shell {
    /// Does what waits to be done with the log; what fails goes on waiting.
    pub(super) async fn store(&mut self) {
        self.retry_at = None;
        self.read_clock();
        let result = self.store_once().await;
        let now = self.clock.now();
        if result.is_err() {
            self.retry_at = Some(now.monotonic.saturating_add(STORE_RETRY));
            let surplus = self.unstored.len().saturating_sub(UNSTORED_MAX);
            self.unstored.drain(..surplus);
            self.engine.count_lost_sightings(surplus as u64);
        }
        self.engine
            .log_result(now, result.map_err(|e| e.to_string()));
    }

    /// Tries everything, though one of it fails, and gives the first failure.
    pub(super) async fn store_once(&mut self) -> Result<(), LogError> {
        let keys = match self.keys_unsaved {
            true => self.save_keys().await,
            false => Ok(()),
        };
        let sightings = self.append().await;
        let gaps = self.append_gaps().await;
        let purged = self.purge().await;
        keys.and(sightings).and(gaps).and(purged)
    }

    async fn purge(&mut self) -> Result<(), LogError> {
        if let Some(today) = self.purge_due {
            let Purged { keys, .. } = self.with_log(move |log| log.purge(today)).await?;
            self.purge_due = None;
            self.engine.erasure_result(self.clock.now(), &keys);
        }
        Ok(())
    }

    async fn save_keys(&mut self) -> Result<(), LogError> {
        let own_keys = self.engine.own_keys();
        let keys: Vec<_> = own_keys.iter().map(|key| key.to_stored()).collect();
        self.with_log(move |log| log.save_stored_keys(&keys))
            .await?;
        self.keys_unsaved = false;
        Ok(())
    }

    async fn append(&mut self) -> Result<(), LogError> {
        if self.unstored.is_empty() {
            return Ok(());
        }
        let batch: Vec<Sighting> = self.unstored.drain(..).collect();
        let given = batch.len() as u64;
        let work = move |log: &mut EncounterLog| Ok((log.append(&batch), log.admitted()));
        match self.with_log(work).await {
            Ok((appended, admitted)) => {
                self.engine.log_admitted(admitted);
                appended.map_err(|NotAppended { sightings, source }| {
                    self.unstored.extend(sightings);
                    source
                })
            }
            Err(died) => {
                // A writer that dies takes what it was given with it.
                self.engine.count_lost_sightings(given);
                Err(died)
            }
        }
    }

    /// Ends the log, with what still waits in it.
    pub(super) async fn close(&mut self) -> Result<(), NotAppended> {
        let died = |_| NotAppended {
            sightings: Vec::new(),
            source: LogError::WriterDied,
        };
        let Some(log) = self.log.take() else {
            return Ok(());
        };
        let closed = tokio::task::spawn_blocking(|| log.close()).await;
        closed.map_err(died).and_then(|closed| closed)
    }

    async fn append_gaps(&mut self) -> Result<(), LogError> {
        if !self.gaps.is_empty() {
            let gaps = self.gaps.clone();
            self.with_log(move |log| log.append_gaps(&gaps)).await?;
            self.gaps.clear();
        }
        Ok(())
    }

    /// Runs `work` on the log where it may block, and tells the log the time before.
    pub(super) async fn with_log<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut EncounterLog) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let mut log = self.log.take().ok_or(LogError::WriterDied)?;
        let clock = Arc::clone(&self.clock);
        let task = tokio::task::spawn_blocking(move || {
            log.observe(clock.reading());
            let result = work(&mut log);
            (log, result)
        });
        let (log, result) = task.await.map_err(|_| LogError::WriterDied)?;
        self.log = Some(log);
        result
    }
}
