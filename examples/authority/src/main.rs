//! The service's command line.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use authority::clock::ServiceClock;
use authority::service::{Service, ServiceError};
use authority::settings::Settings;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use truyvet::report::authorisation::CodePolicy;

#[derive(Parser)]
#[command(
    about = "A health authority's service: issue codes, receive sealed reports, publish keys",
    after_help = "Examples, to be typed in the checkout:\n\n  \
        cargo run --release -p authority\n      \
        on http://127.0.0.1:8088, with everything beneath ./authority-data; open it in a browser,\n      \
        and show it the token of authority-data/keys/staff-token\n  \
        cargo run --release -p authority -- --listen 127.0.0.1:9000 --database /var/lib/authority/authority.db \\\n      \
            --keys /etc/authority/keys --folder /srv/published\n      \
        each in its place\n  \
        curl -X POST -H \"Authorization: Bearer $(cat authority-data/keys/staff-token)\" \\\n      \
            http://127.0.0.1:8088/v1/publish\n      \
        publish now what may be published\n  \
        cargo run --release -p authority -- --demonstration\n      \
        staff may let the clock run ahead, so that today's keys expire at once: the body of /v1/publish\n      \
        is then {\"advance_hours\": 30}\n\n\
        It speaks HTTP and is to stand behind a proxy that speaks TLS: README.md beside the sources."
)]
struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8088")]
    listen: SocketAddr,
    /// Where what has no place of its own is kept
    #[arg(long, value_name = "DIR", default_value = "authority-data")]
    data: PathBuf,
    /// The key files, made at first start [default: DATA/keys]
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// The database file [default: DATA/authority.db]
    #[arg(long, value_name = "FILE")]
    database: Option<PathBuf>,
    /// The folder to publish in [default: DATA/published]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The country that published files are for, ISO 3166
    #[arg(long, value_name = "CODE", default_value = "VN")]
    region: String,
    /// Hours that a code can be used
    #[arg(long, value_name = "HOURS", default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=168))]
    code_hours: u16,
    /// Random characters of a code, beside its check character
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u8).range(8..=16))]
    code_length: u8,
    /// Minutes between two runs of publishing; 0: only when staff asks
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    publish_minutes: u16,
    /// Hours without publishing after which it goes on by itself: after more, the clock may be wrong, and it waits for
    /// a start with more hours
    #[arg(long, value_name = "HOURS", default_value_t = 168, value_parser = clap::value_parser!(u16).range(1..))]
    pause_max_hours: u16,
    /// Milliseconds whose multiples answers wait for
    #[arg(long, value_name = "MS", default_value_t = 250)]
    answer_grid_ms: u16,
    /// Threads that answer [default: one a processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    threads: Option<u8>,
    /// Let staff move the clock forward. Never in earnest: keys would be published while they are valid
    #[arg(long)]
    demonstration: bool,
    /// How far a demonstration's clock is ahead at the start
    #[arg(
        long,
        value_name = "HOURS",
        default_value_t = 0,
        requires = "demonstration"
    )]
    clock_ahead_hours: u16,
}

impl Args {
    fn settings(&self) -> Result<Settings, Box<dyn std::error::Error>> {
        let chosen = Settings::beneath(self.data.clone());
        let usual = CodePolicy::default();
        let codes = CodePolicy::new(
            usize::from(self.code_length),
            Duration::from_secs(3600 * u64::from(self.code_hours)),
            usual.outstanding_max(),
            usual.wrong_tries_per_hour(),
        )?;
        let minutes = u64::from(self.publish_minutes);
        Ok(Settings {
            keys: self.keys.clone().unwrap_or(chosen.keys),
            database: self.database.clone().unwrap_or(chosen.database),
            folder: self.folder.clone().unwrap_or(chosen.folder),
            region: self.region.clone(),
            codes,
            answer_grid: Duration::from_millis(self.answer_grid_ms.into()),
            publish_every: (minutes > 0).then(|| Duration::from_secs(60 * minutes)),
            pause_max: Duration::from_secs(3600 * u64::from(self.pause_max_hours)),
            demonstration: self.demonstration,
            certificate_lifetime: chosen.certificate_lifetime,
        })
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("authority: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn std::error::Error>> {
    let settings = args.settings()?;
    let mut runtime = Builder::new_multi_thread();
    if let Some(threads) = args.threads {
        runtime.worker_threads(threads.into());
    }
    let runtime = runtime.enable_all().build()?;
    let ahead = Duration::from_secs(3600 * u64::from(args.clock_ahead_hours));
    let (service, database) = Service::open(settings, ServiceClock::ahead_by(ahead))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(args.listen).await?;
        let token = service.settings.keys.join("staff-token");
        say(&format!("listening on http://{}", listener.local_addr()?));
        say(&format!("staff's token: {}", token.display()));
        if service.settings.demonstration {
            say("a demonstration: staff may let the clock run ahead");
        }
        service.serve(listener, stop_signal()).await?;
        Ok::<_, ServiceError>(())
    })?;
    drop(runtime);
    // The last transaction is on the disk, and the file closed.
    database.join().ok();
    say("stopped");
    Ok(())
}

/// A line for whoever reads; nobody need.
fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

/// Ends when the process is asked to: Ctrl-C, or what a service manager sends.
async fn stop_signal() {
    let interrupted = tokio::signal::ctrl_c();
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    interrupted.await.ok();
}
