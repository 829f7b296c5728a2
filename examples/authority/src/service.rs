//! The service as a whole: what its requests share, and what it does by itself.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, timeout};

use truyvet::publication::publisher::{Publisher, PublisherOptions};
use truyvet::publication::signature::{KeyError, SigningKey};
use truyvet::report::authorisation::{CertificateError, CertificateSigner, CertificateVerifier};
use truyvet::report::sealed::SealError;

use crate::clock::ServiceClock;
use crate::database::{Database, DatabaseError, inbox};
use crate::files::{KeyFileError, Keys};
use crate::metrics::Metrics;
use crate::publishing;
use crate::routes;
use crate::settings::Settings;

/// How often what nobody needs is dropped. Chosen: a flood of dummies then fills no disk.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// How long requests that are under way may take when the service is told to stop. Chosen: what a container's
/// runtime gives before it kills.
const STOPPING_MAX: Duration = Duration::from_secs(8);

/// What every request sees.
pub type Shared = Arc<Service>;

/// Why the service does not start, or has stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// A key file.
    #[error(transparent)]
    Keys(#[from] KeyFileError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The network or a folder.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The envelope key cannot be used.
    #[error("the envelope key: {0}")]
    Envelope(#[from] SealError),
    /// The signing keys cannot be used.
    #[error("the certificate key: {0}")]
    Signing(#[from] KeyError),
    /// Certificates cannot be made so.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The service: its keys, its database, its time.
pub struct Service {
    /// What was set.
    pub settings: Settings,
    /// The time.
    pub clock: ServiceClock,
    /// The database.
    pub database: Database,
    /// What is counted.
    pub metrics: Metrics,
    pub(crate) keys: Keys,
    pub(crate) signer: CertificateSigner,
    pub(crate) verifier: CertificateVerifier,
    pub(crate) publisher: Publisher,
    /// Held while a package is made: one at a time.
    pub(crate) publishing: Mutex<()>,
}

impl Service {
    /// Opens or makes keys, database and folder. The thread that is returned ends, the database closed, once the
    /// service has been dropped.
    ///
    /// # Errors
    ///
    /// [`ServiceError`].
    pub fn open(
        settings: Settings,
        clock: ServiceClock,
    ) -> Result<(Shared, JoinHandle<()>), ServiceError> {
        let keys = Keys::open_or_create(&settings.keys)?;
        keys.envelope.public_key()?;
        if let Some(folder) = settings.database.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::create_dir_all(&settings.folder)?;
        let (database, thread) = Database::open(&settings.database)?;
        let certificate = SigningKey::from_pkcs8_der(keys.certificate.as_pkcs8_der())?;
        let signer = CertificateSigner::new(certificate).lifetime(settings.certificate_lifetime)?;
        let verifier = CertificateVerifier::new([signer.verification_key().clone()]);
        let mut options = PublisherOptions::new(&settings.region);
        options.pause_max = settings.pause_max;
        let publisher = Publisher::new(options, keys.padding.duplicate());
        let service = Self {
            signer,
            verifier,
            publisher,
            settings,
            clock,
            database,
            metrics: Metrics::default(),
            keys,
            publishing: Mutex::new(()),
        };
        Ok((Arc::new(service), thread))
    }

    /// What the staff shows.
    pub fn staff_token(&self) -> &str {
        &self.keys.staff_token
    }

    /// Answers on `listener` until `stop` ends, then finishes what is under way.
    ///
    /// # Errors
    ///
    /// [`ServiceError::Io`] of the listener.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServiceError> {
        // Before the first message: an older database, or the clock, may be behind what is published.
        if let Err(error) = publishing::close_hours(&self, self.clock.now()).await {
            eprintln!("authority: publishing: {error}");
        }
        let (stopping, mut stopped) = watch::channel(false);
        let chores = tokio::spawn(self.clone().chores(stopped.clone()));
        let stop = async move {
            stop.await;
            stopping.send(true).ok();
        };
        let server = axum::serve(listener, routes::router(self)).with_graceful_shutdown(stop);
        let mut server = tokio::spawn(server.into_future());
        tokio::select! {
            ended = &mut server => return ended.map_err(io::Error::other)?.map_err(Into::into),
            _ = stopped.changed() => {}
        }
        if timeout(STOPPING_MAX, &mut server).await.is_err() {
            // Somebody sends or reads too slowly; what was answered is stored.
            server.abort();
            server.await.ok();
        }
        chores.await.map_err(io::Error::other)?;
        Ok(())
    }

    /// Sweeping, and publishing on its schedule.
    async fn chores(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let mut sweep = interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let never = Duration::from_secs(365 * 86_400);
        // At once, so that what a killed process began is finished; or never.
        let mut publish = match self.settings.publish_every {
            Some(every) => interval(every),
            None => interval_at(Instant::now() + never, never),
        };
        publish.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stopped.changed() => return,
                _ = sweep.tick() => self.sweep().await,
                _ = publish.tick() => {
                    if let Err(error) = publishing::run(&self).await {
                        eprintln!("authority: publishing: {error}");
                    }
                }
            }
        }
    }

    async fn sweep(&self) {
        let now = self.clock.now().unix_seconds();
        let swept = self
            .database
            .run(move |connection| inbox::sweep(connection, now));
        if let Err(error) = swept.await {
            eprintln!("authority: sweeping: {error}");
        }
    }
}
