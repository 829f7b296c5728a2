//! Being asked to end.

use std::future::Future;
use std::io;

/// Is ready once somebody asks the program to end, by Ctrl-C, by SIGTERM, or (on Linux) by closing the terminal. From this call on
/// none of them ends it by itself: make it once, before there is anything to put away.
#[cfg(unix)]
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = match may_outlive_the_terminal() {
        true => None,
        false => Some(signal(SignalKind::hangup())?),
    };
    Ok(async move {
        let hung_up = async {
            match &mut hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hung_up => {}
        }
    })
}

/// Whether SIGHUP is ignored, as `nohup` has it, or nobody knows: then it stays as it is.
#[cfg(unix)]
fn may_outlive_the_terminal() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|signals| u64::from_str_radix(signals.trim(), 16).ok());
    // Signal 1 is the lowest bit.
    ignored.is_none_or(|signals| signals & 1 != 0)
}

/// Is ready once somebody presses Ctrl-C.
#[cfg(not(unix))]
pub(crate) fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // Without a handler, Ctrl-C ends the program as it always does.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
