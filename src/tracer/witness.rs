//! A second adapter that listens to what the first one sends.

use std::sync::Arc;
use std::time::Duration;

use super::radio_call::in_time;
use crate::radio::{DynScanner, Filter, RadioEvent, RadioEvents, RadioSink};
use crate::time::Clock;

/// Frames that may wait. Chosen: what is lost here is heard again.
const FRAMES_WAITING_MAX: usize = 256;

/// How soon a witness that failed is asked again. Chosen: it is a luxury.
const RETRY: Duration = Duration::from_secs(60);

pub(super) struct Witness {
    scanner: Box<dyn DynScanner>,
    filter: Filter,
    clock: Arc<dyn Clock>,
    sink: RadioSink,
    events: RadioEvents,
    /// When it is to begin, if it has not.
    due: Option<Duration>,
}

impl Witness {
    pub(super) fn new(
        scanner: Box<dyn DynScanner>,
        filter: Filter,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (sink, events) = RadioSink::new(Arc::clone(clock), FRAMES_WAITING_MAX);
        Self {
            scanner,
            filter,
            clock: Arc::clone(clock),
            sink,
            events,
            due: Some(Duration::ZERO),
        }
    }

    /// When [`start_if_due`](Self::start_if_due) is to be called, on the monotonic clock.
    pub(super) fn due(&self) -> Option<Duration> {
        self.due
    }

    pub(super) async fn start_if_due(&mut self) {
        let now = self.clock.now().monotonic;
        if self.due.take_if(|due| *due <= now).is_some() {
            let started = self.scanner.start(self.filter.clone(), self.sink.clone());
            if in_time(started).await.is_err() {
                self.due = Some(now.saturating_add(RETRY));
            }
        }
    }

    pub(super) async fn stop(&mut self) {
        // Whatever comes of it, nobody listens to it any more.
        let _ = in_time(self.scanner.stop()).await;
    }
}

/// What `witness` hears next; never anything if there is none.
pub(super) async fn witnessed(witness: &mut Option<Witness>) -> RadioEvent {
    match witness {
        Some(Witness { events, .. }) => match events.next().await {
            Some(event) => event,
            // It holds a sink itself.
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}
