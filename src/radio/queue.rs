//! The bounded queue between a scanner and whoever listens to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::advertisement::Advertisement;
use crate::sighting::Rssi;
use crate::time::{Clock, Moment};

/// What a scanner reports.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum RadioEvent {
    /// A frame was heard.
    Heard {
        /// When.
        at: Moment,
        /// What.
        frame: Advertisement,
        /// How strong, if that was measured.
        rssi: Option<Rssi>,
    },
    /// The adapter has changed.
    Adapter(AdapterState),
    /// There will be no more: a recording has been played to its end.
    Finished,
}

/// The state of the Bluetooth adapter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AdapterState {
    /// Powered and ready.
    Ready,
    /// Switched off.
    Off,
    /// Unplugged, or its driver or daemon has gone.
    Gone,
}

/// Where a scanner puts what it hears. It never blocks; what does not fit is dropped and counted.
#[derive(Clone)]
pub struct RadioSink {
    queue: mpsc::Sender<RadioEvent>,
    clock: Arc<dyn Clock>,
    dropped: Arc<AtomicU64>,
}

/// The other end of a [`RadioSink`].
#[derive(Debug)]
pub struct RadioEvents {
    queue: mpsc::Receiver<RadioEvent>,
    dropped: Arc<AtomicU64>,
}

impl RadioSink {
    /// A queue for `capacity` events (at least one). A tracer makes its own; this is for those who
    /// drive an engine, or test a scanner, by hand.
    pub fn new(clock: Arc<dyn Clock>, capacity: usize) -> (Self, RadioEvents) {
        let (sender, receiver) = mpsc::channel(capacity.max(1));
        let dropped = Arc::new(AtomicU64::new(0));
        let sink = Self {
            queue: sender,
            clock,
            dropped: Arc::clone(&dropped),
        };
        let events = RadioEvents {
            queue: receiver,
            dropped,
        };
        (sink, events)
    }

    /// A frame has been heard, now. `rssi` is `None` where the radio measured nothing.
    pub fn heard(&self, frame: Advertisement, rssi: Option<Rssi>) {
        self.heard_at(self.clock.now(), frame, rssi);
    }

    /// A frame was heard at `at`, on the clock of the tracer.
    pub fn heard_at(&self, at: Moment, frame: Advertisement, rssi: Option<Rssi>) {
        self.put(RadioEvent::Heard { at, frame, rssi });
    }

    /// The adapter's state has changed.
    pub fn adapter(&self, state: AdapterState) {
        self.put(RadioEvent::Adapter(state));
    }

    /// A frame may have been on the air that the radio could not keep up to read; it is counted with
    /// those dropped.
    pub fn missed(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Nothing more will come, as at the end of a recording.
    pub fn finished(&self) {
        self.put(RadioEvent::Finished);
    }

    /// The listener's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Whether nobody listens any more.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    fn put(&self, event: RadioEvent) {
        if self.queue.try_send(event).is_err() {
            self.missed();
        }
    }
}

impl std::fmt::Debug for RadioSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RadioSink").finish_non_exhaustive()
    }
}

impl RadioEvents {
    /// The next event; `None` once every sink is gone.
    pub async fn next(&mut self) -> Option<RadioEvent> {
        self.queue.recv().await
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<RadioEvent> {
        self.queue.try_recv().ok()
    }

    /// Takes the count of events dropped since it was last taken.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}
