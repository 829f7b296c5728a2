//! A radio that shows what it hears and sends to somebody beside the tracer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::advertisement::Advertisement;
use crate::radio::{
    Advertised, Advertiser, DynAdvertiser, DynScanner, Filter, FrameCopy, Peer, Radio, RadioError,
    RadioEvent, RadioSink, Scanner,
};
use crate::sighting::Rssi;
use crate::time::{Clock, Moment, Timestamp};

/// Copies that may wait. Chosen: ten seconds of a storm of 6,000 frames a second, 5 MB.
const WAITING_MAX: usize = 65_536;

/// What passed a tapped radio.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Tapped {
    /// A frame was heard that passes the tracer's filter.
    Heard {
        /// When.
        at: Moment,
        /// What.
        frame: Advertisement,
        /// How strong, if that was measured.
        rssi: Option<Rssi>,
        /// From whom, if the system tells.
        peer: Option<Peer>,
    },
    /// This device advertises a frame from now on.
    Advertised {
        /// Since when.
        at: Moment,
        /// What.
        frame: Advertisement,
        /// When its identifier ends.
        until: Timestamp,
    },
    /// This device has stopped advertising.
    Silent {
        /// Since when.
        at: Moment,
    },
}

/// What passes a radio, in order. It ends with the radio.
#[derive(Debug)]
pub struct Tap {
    copies: mpsc::Receiver<Tapped>,
    lost: Arc<AtomicU64>,
}

impl Tap {
    /// The next thing that passed; `None` once the radio is gone.
    pub async fn next(&mut self) -> Option<Tapped> {
        self.copies.recv().await
    }

    /// The next thing that is there already.
    pub fn try_next(&mut self) -> Option<Tapped> {
        self.copies.try_recv().ok()
    }

    /// Copies lost so far because they were not taken. The tracer has had them all the same.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// `radio`, and what passes it: what its scanner hears, and what its advertiser is told to send and does.
/// To the tracer nothing changes; a slow reader of the tap loses copies, never the tracer its frames.
/// `clock` is the tracer's.
///
/// What is read from a peer over a connection is no frame, and does not pass here.
pub fn tap(radio: Radio, clock: Arc<dyn Clock>) -> (Radio, Tap) {
    let (sender, copies) = mpsc::channel(WAITING_MAX);
    let lost = Arc::new(AtomicU64::new(0));
    let copies_to = Copies {
        sender,
        lost: Arc::clone(&lost),
    };
    let scanner = TappedScanner {
        inner: radio.scanner,
        copies: copies_to.clone(),
    };
    let advertiser = radio.advertiser.map(|inner| {
        let tapped = TappedAdvertiser {
            inner,
            copies: copies_to,
            clock,
        };
        Box::new(tapped) as Box<dyn DynAdvertiser>
    });
    let radio = Radio {
        scanner: Box::new(scanner),
        advertiser,
        ..radio
    };
    (radio, Tap { copies, lost })
}

#[derive(Clone)]
struct Copies {
    sender: mpsc::Sender<Tapped>,
    lost: Arc<AtomicU64>,
}

impl Copies {
    fn put(&self, tapped: Tapped) {
        if self.sender.try_send(tapped).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

struct TappedScanner {
    inner: Box<dyn DynScanner>,
    copies: Copies,
}

impl Scanner for TappedScanner {
    async fn start(&mut self, filter: Filter, sink: RadioSink) -> Result<(), RadioError> {
        let copies = self.copies.clone();
        let copy: FrameCopy = Arc::new(move |event| {
            if let RadioEvent::Heard {
                at,
                frame,
                rssi,
                peer,
            } = *event
            {
                copies.put(Tapped::Heard {
                    at,
                    frame,
                    rssi,
                    peer,
                });
            }
        });
        self.inner.start(filter, sink.copied(copy)).await
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        self.inner.stop().await
    }
}

struct TappedAdvertiser {
    inner: Box<dyn DynAdvertiser>,
    copies: Copies,
    clock: Arc<dyn Clock>,
}

impl Advertiser for TappedAdvertiser {
    async fn advertise(
        &mut self,
        frame: &Advertisement,
        lifetime: Duration,
    ) -> Result<Advertised, RadioError> {
        // Told before it is done: others may hear it before the system has answered.
        let at = self.clock.now();
        let until = at.wall.saturating_add(lifetime);
        let frame = *frame;
        self.copies.put(Tapped::Advertised { at, frame, until });
        let advertised = self.inner.advertise(&frame, lifetime).await;
        if advertised.is_err() {
            let at = self.clock.now();
            self.copies.put(Tapped::Silent { at });
        }
        advertised
    }

    async fn stop(&mut self) -> Result<(), RadioError> {
        let stopped = self.inner.stop().await;
        let at = self.clock.now();
        self.copies.put(Tapped::Silent { at });
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;
    use crate::radio::air::{Air, AirConfig};
    use crate::time::ManualClock;

    #[tokio::test]
    async fn what_is_heard_and_sent_passes_the_tap_too() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(
            1_596_844_800,
        )));
        let config = AirConfig {
            loss: 0.0,
            ..AirConfig::default()
        };
        let air = Air::new(config, clock.clone());
        let (here, there) = (air.place(0.0, 0.0), air.place(1.0, 0.0));
        let (mut radio, mut tap) = tap(here.radio(), air.clock());
        let (sink, mut events) = RadioSink::new(air.clock(), 1);
        let filter = Filter::of(&[Protocol::bluezone()]);
        radio.scanner.start(filter, sink).await.unwrap();
        let mut frame = Advertisement::new();
        frame.push_manufacturer_data(0x22B5, &[1; 12]).unwrap();
        there.send(Some(frame));
        clock.advance(Duration::from_millis(900));
        air.catch_up();
        let copies = std::iter::from_fn(|| tap.try_next()).count();
        assert!(
            copies >= 3,
            "the tracer's queue has room for one, the tap got {copies}"
        );
        assert!(events.try_next().is_some() && events.try_next().is_none());
        let advertiser = radio.advertiser.as_mut().unwrap();
        let lifetime = Duration::from_secs(600);
        advertiser.advertise(&frame, lifetime).await.unwrap();
        advertiser.stop().await.unwrap();
        let ends = Timestamp::from_unix_millis(1_596_844_800_900 + 600_000);
        assert!(matches!(tap.try_next(), Some(Tapped::Advertised { until, .. }) if until == ends));
        assert!(matches!(tap.try_next(), Some(Tapped::Silent { .. })));
        assert_eq!(tap.lost(), 0);
        drop(radio);
        here.listen(None);
        assert!(tap.next().await.is_none());
    }
}
