//! A second adapter that listens to what the first one sends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::radio_call::in_time;
use crate::radio::{AdapterState, DynScanner, Filter, RadioEvent, RadioEvents, RadioSink};
use crate::time::{Clock, sleep_until};

/// Frames that may wait. Chosen: what is lost here is heard again.
const FRAMES_WAITING_MAX: usize = 256;

/// How soon a witness that failed is asked again. Chosen: it is a luxury.
const RETRY: Duration = Duration::from_secs(60);

/// A task with the witness's scanner, so that one that hangs delays nothing else.
pub(super) struct Witness {
    events: RadioEvents,
    /// It has lost its adapter.
    gone: Arc<Notify>,
    /// Ends the task by being dropped.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Witness {
    pub(super) fn start(
        scanner: Box<dyn DynScanner>,
        filter: Filter,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (sink, events) = RadioSink::new(Arc::clone(clock), FRAMES_WAITING_MAX);
        let (stop, stopped) = oneshot::channel();
        let gone = Arc::new(Notify::new());
        let listening = listen(scanner, filter, sink, Arc::clone(&gone), stopped);
        Self {
            events,
            gone,
            stop,
            task: tokio::spawn(listening),
        }
    }

    pub(super) async fn stop(self) {
        drop(self.stop);
        // Whatever comes of it, nobody listens to it any more.
        let _ = self.task.await;
    }
}

/// What `witness` hears next; never anything if there is none.
pub(super) async fn witnessed(witness: &mut Option<Witness>) -> RadioEvent {
    if let Some(Witness { events, gone, .. }) = witness
        && let Some(event) = events.next().await
    {
        if let RadioEvent::Adapter(AdapterState::Gone) = event {
            gone.notify_one();
        }
        return event;
    }
    // Its task has died, and tells nothing more.
    std::future::pending().await
}

async fn listen(
    mut scanner: Box<dyn DynScanner>,
    filter: Filter,
    sink: RadioSink,
    gone: Arc<Notify>,
    mut stopped: oneshot::Receiver<()>,
) {
    let clock = Arc::clone(sink.clock());
    loop {
        let started = in_time(scanner.start(filter.clone(), sink.clone())).await;
        let pause = async {
            // One that has only lost its adapter goes on by itself, unless the bus has gone with it.
            if started.is_ok() {
                gone.notified().await;
            }
            let due = clock.now().monotonic.saturating_add(RETRY);
            sleep_until(clock.as_ref(), due).await;
        };
        let ended = tokio::select! {
            _ = &mut stopped => true,
            () = pause => false,
        };
        // It counts as stopped in any case.
        let _ = in_time(scanner.stop()).await;
        if ended {
            return;
        }
    }
}
