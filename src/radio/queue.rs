//! The queue between a scanner and whoever listens to it: bounded for frames, which may be lost, and
//! without bound for the few other events, which may not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::ScanMode;
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
        /// From whom, if it can be connected to.
        peer: Option<Peer>,
    },
    /// The adapter has changed.
    Adapter(AdapterState),
    /// How those known already are heard from now on.
    ScanMode(ScanMode),
    /// There will be no more: a recording has been played to its end.
    Finished,
}

/// By what a system names a device in range: its address of the moment, or what stands for it. Only
/// good for connecting to it, and neither kept nor stored.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Peer([u8; 16]);

impl Peer {
    /// By its six-byte address.
    pub fn from_address(address: [u8; 6]) -> Self {
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(address) {
            *to = from;
        }
        Self(bytes)
    }

    /// All there is, for a field test to hash.
    #[cfg(feature = "field")]
    pub(crate) fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its address, if it was made from one.
    #[cfg(all(feature = "ble", target_os = "linux"))]
    pub(super) fn address(self) -> [u8; 6] {
        let [a, b, c, d, e, f, ..] = self.0;
        [a, b, c, d, e, f]
    }

    /// By the number that a system gives in place of the address.
    pub const fn from_system_id(id: [u8; 16]) -> Self {
        Self(id)
    }
}

/// Says nothing of the address.
impl std::fmt::Debug for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Peer(..)")
    }
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
    /// There and on, but its system refuses to scan with it; advertising may work.
    Refused,
}

/// Where a scanner puts what it hears. It never blocks; frames that do not fit are dropped and
/// counted, other events always fit.
#[derive(Clone)]
pub struct RadioSink {
    frames: mpsc::Sender<RadioEvent>,
    /// Unbounded: what comes here is rare, and who misses one of them waits for ever.
    notices: mpsc::UnboundedSender<Notice>,
    clock: Arc<dyn Clock>,
    lost: Arc<Lost>,
    #[cfg(feature = "field")]
    copy: Option<FrameCopy>,
}

/// Who is shown each frame beside the listener.
#[cfg(feature = "field")]
pub(crate) type FrameCopy = Arc<dyn Fn(&RadioEvent) + Send + Sync>;

/// Frames lost since they were last taken.
#[derive(Debug, Default)]
struct Lost {
    dropped: AtomicU64,
    missed: AtomicU64,
}

/// The other end of a [`RadioSink`].
#[derive(Debug)]
pub struct RadioEvents {
    frames: mpsc::Receiver<RadioEvent>,
    notices: mpsc::UnboundedReceiver<Notice>,
    /// The end has been announced; the frames before it come first.
    finished: bool,
    lost: Arc<Lost>,
}

/// What must not be lost.
#[derive(Debug)]
enum Notice {
    Adapter(AdapterState),
    ScanMode(ScanMode),
    Finished,
}

impl RadioSink {
    /// A queue for `capacity` frames (at least one). A tracer makes its own; this is for those who
    /// drive an engine, or test a scanner, by hand.
    pub fn new(clock: Arc<dyn Clock>, capacity: usize) -> (Self, RadioEvents) {
        let (frame_sender, frames) = mpsc::channel(capacity.max(1));
        let (notice_sender, notices) = mpsc::unbounded_channel();
        let lost = Arc::new(Lost::default());
        let sink = Self {
            frames: frame_sender,
            notices: notice_sender,
            clock,
            lost: Arc::clone(&lost),
            #[cfg(feature = "field")]
            copy: None,
        };
        let events = RadioEvents {
            frames,
            notices,
            finished: false,
            lost,
        };
        (sink, events)
    }

    /// A frame has been heard, now. `rssi` is `None` where the radio measured nothing.
    pub fn heard(&self, frame: Advertisement, rssi: Option<Rssi>) {
        self.heard_at(self.clock.now(), frame, rssi);
    }

    /// A frame was heard at `at`, on the clock of the tracer.
    pub fn heard_at(&self, at: Moment, frame: Advertisement, rssi: Option<Rssi>) {
        self.put(RadioEvent::Heard {
            at,
            frame,
            rssi,
            peer: None,
        });
    }

    /// A frame has been heard, now, of a device that can be connected to.
    pub fn heard_from(&self, peer: Peer, frame: Advertisement, rssi: Option<Rssi>) {
        self.put(RadioEvent::Heard {
            at: self.clock.now(),
            frame,
            rssi,
            peer: Some(peer),
        });
    }

    /// The same, and `copy` is shown every frame put here, those too that do not fit.
    #[cfg(feature = "field")]
    pub(crate) fn copied(self, copy: FrameCopy) -> Self {
        let copy = Some(copy);
        Self { copy, ..self }
    }

    fn put(&self, heard: RadioEvent) {
        #[cfg(feature = "field")]
        if let Some(copy) = &self.copy {
            copy(&heard);
        }
        if self.frames.try_send(heard).is_err() {
            self.lost.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The adapter's state has changed. The listener learns of it ahead of the frames that wait.
    pub fn adapter(&self, state: AdapterState) {
        self.notice(Notice::Adapter(state));
    }

    /// Those known already are heard in another way from now on.
    pub fn scan_mode(&self, mode: ScanMode) {
        self.notice(Notice::ScanMode(mode));
    }

    /// So many frames were on the air that the radio could not read; they are counted apart from those
    /// dropped.
    pub fn missed(&self, count: u64) {
        self.lost.missed.fetch_add(count, Ordering::Relaxed);
    }

    /// Nothing more will come, as at the end of a recording. The listener learns of it after every
    /// frame put here before.
    pub fn finished(&self) {
        self.notice(Notice::Finished);
    }

    /// The listener's clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn notice(&self, notice: Notice) {
        // It fails if nobody listens any more.
        let _ = self.notices.send(notice);
    }
}

impl std::fmt::Debug for RadioSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RadioSink").finish_non_exhaustive()
    }
}

impl RadioEvents {
    /// The next event; `None` once every sink is gone. Of those that wait, changes of the adapter come
    /// first, the end last. A call that is given up loses nothing.
    pub async fn next(&mut self) -> Option<RadioEvent> {
        loop {
            if let Some(event) = self.try_next() {
                return Some(event);
            }
            tokio::select! {
                biased;
                notice = self.notices.recv() => match notice {
                    Some(Notice::Adapter(state)) => return Some(RadioEvent::Adapter(state)),
                    Some(Notice::ScanMode(mode)) => return Some(RadioEvent::ScanMode(mode)),
                    Some(Notice::Finished) => self.finished = true,
                    // The sinks are gone; a frame may have come since the look above.
                    None => return self.frames.recv().await,
                },
                Some(frame) = self.frames.recv() => return Some(frame),
            }
        }
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<RadioEvent> {
        while let Ok(notice) = self.notices.try_recv() {
            match notice {
                Notice::Adapter(state) => return Some(RadioEvent::Adapter(state)),
                Notice::ScanMode(mode) => return Some(RadioEvent::ScanMode(mode)),
                Notice::Finished => self.finished = true,
            }
        }
        if let Ok(frame) = self.frames.try_recv() {
            return Some(frame);
        }
        std::mem::take(&mut self.finished).then_some(RadioEvent::Finished)
    }

    /// Takes the count of frames that did not fit, since it was last taken.
    pub fn take_dropped(&self) -> u64 {
        self.lost.dropped.swap(0, Ordering::Relaxed)
    }

    /// Takes the count of frames that the radio could not read, since it was last taken.
    pub fn take_missed(&self) -> u64 {
        self.lost.missed.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ManualClock, Timestamp};

    fn queue(capacity: usize) -> (RadioSink, RadioEvents) {
        let clock = ManualClock::new(Timestamp::from_unix_seconds(0));
        RadioSink::new(Arc::new(clock), capacity)
    }

    fn names(events: impl Iterator<Item = RadioEvent>) -> String {
        events
            .map(|event| match event {
                RadioEvent::Heard { .. } => 'h',
                RadioEvent::ScanMode(_) => 'm',
                RadioEvent::Adapter(_) => 'a',
                RadioEvent::Finished => 'f',
            })
            .collect()
    }

    #[test]
    fn only_frames_are_lost_when_the_queue_is_full() {
        let (sink, mut events) = queue(2);
        for _ in 0..5 {
            sink.heard(Advertisement::new(), None);
        }
        sink.adapter(AdapterState::Off);
        sink.finished();
        sink.missed(1);
        assert_eq!((events.take_dropped(), events.take_missed()), (3, 1));
        assert_eq!((events.take_dropped(), events.take_missed()), (0, 0));
        assert_eq!(names(std::iter::from_fn(|| events.try_next())), "ahhf");
    }

    #[tokio::test]
    async fn the_adapter_comes_first_and_the_end_last() {
        let (sink, mut events) = queue(8);
        sink.heard(Advertisement::new(), None);
        sink.finished();
        sink.adapter(AdapterState::Gone);
        sink.heard(Advertisement::new(), None);
        sink.adapter(AdapterState::Ready);
        drop(sink);
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            all.push(event);
        }
        assert_eq!(names(all.into_iter()), "aahhf");
    }

    #[tokio::test]
    async fn who_waits_already_is_woken_by_each() {
        let (sink, mut events) = queue(8);
        let listener = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(event) = events.next().await {
                all.push(event);
            }
            names(all.into_iter())
        });
        tokio::task::yield_now().await;
        sink.heard(Advertisement::new(), None);
        tokio::task::yield_now().await;
        sink.adapter(AdapterState::Off);
        tokio::task::yield_now().await;
        sink.finished();
        drop(sink);
        assert_eq!(listener.await.unwrap(), "haf");
    }
}
