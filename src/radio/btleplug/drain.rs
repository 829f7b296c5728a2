//! The task that takes the system's events, for as long as a scanner lives.

use std::pin::Pin;
use std::time::{Duration, Instant};

use ::btleplug::api::Central as _;
use ::btleplug::platform::Adapter;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::calls::{Begun, begin};
use super::orders::{Events, News, Order};
use super::os::{Power, Presence};
use super::overhearing::Overhearing;
use super::pause::Pause;
use super::{absence, is_absent};
use crate::radio::join::{Join, Joined};
use crate::radio::{AdapterState, Peer, Pieces, RadioError, RadioSink, ScanMode};

/// How soon a scan that the system refuses to take up again is asked for anew. A `bluetoothd` that has
/// crashed leaves the controller scanning, and its successor refuses until that has ended, in up to
/// ten seconds, of which nobody is told. Chosen: short beside those, and each try costs little.
const RETRY: Duration = Duration::from_millis(500);

/// A scan refused so often, two seconds long, is told. Chosen: one that is only begun anew may find the
/// system busy for a moment.
const REFUSALS_UNTOLD: u32 = 4;

/// A scan that is begun anew is deaf meanwhile: for at most one part in so many of the time. Chosen: less
/// than is lost of frames anyway.
const HEARING_PER_DEAFNESS: u32 = 50;

/// However long it takes to begin a scan anew, it is done so often. Chosen: the kernel does it by itself
/// each 10.24 seconds, and is no less deaf meanwhile.
const RESTART_AT_LATEST: Duration = Duration::from_secs(10);

/// How long a scanner that has been dropped may take to end its scan.
const FAREWELL: Duration = Duration::from_secs(5);

type Errand = Pin<Box<dyn Future<Output = Done> + Send>>;

/// An errand's result.
enum Done {
    /// What the system knew before the scan.
    Knows(Vec<(Peer, Vec<Uuid>)>),
    /// How a scan was begun, if there is to be one, and how long that took.
    Resumed(Begun, Duration),
    /// It is time to begin the scan of this number anew, to hear everybody again.
    RestartDue(u64),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Resuming {
    /// What `state` says was true when last looked at.
    No,
    Yes,
    /// What happened meanwhile calls for another try.
    YesAndAgain,
}

/// Takes the system's events. It waits for nothing else: what needs an answer from the
/// system is an errand, run beside the events.
pub(super) struct Drain {
    adapter: Adapter,
    power: Power,
    /// The adapter's state, as far as known.
    state: AdapterState,
    /// Whom to tell of the adapter: whoever has listened last.
    sink: Option<RadioSink>,
    /// What is heard, while there is to be a scan.
    join: Option<Join>,
    /// Who waits to be told how the scan began.
    answer: Option<oneshot::Sender<Result<(), RadioError>>>,
    errands: FuturesUnordered<Errand>,
    resuming: Resuming,
    /// Tries to scan since one succeeded.
    refusals: u32,
    overhearing: Overhearing,
    /// A pause that waits until the scan has been resumed.
    pause: Option<Pause>,
    /// What the last sink was told.
    mode: Option<ScanMode>,
    /// Counts the scans begun.
    scan_number: u64,
}

impl Drain {
    pub(super) fn new(adapter: Adapter, power: Power, state: AdapterState) -> Self {
        Self {
            adapter,
            power,
            state,
            sink: None,
            join: None,
            answer: None,
            errands: FuturesUnordered::new(),
            resuming: Resuming::No,
            refusals: 0,
            overhearing: Overhearing::default(),
            pause: None,
            mode: None,
            scan_number: 0,
        }
    }

    pub(super) async fn run(
        mut self,
        mut events: Events,
        mut presence: Presence,
        mut orders: mpsc::Receiver<Order>,
    ) {
        let power = self.power.clone();
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => break,
                },
                event = events.next() => match event {
                    Some(event) => self.event(event),
                    None => return self.report(AdapterState::Gone),
                },
                Some(done) = self.errands.next() => self.done(done),
                () = power.hears_less() => self.begin_anew(),
                here = presence.changed() => {
                    if self.power.is_lost() {
                        return self.report(AdapterState::Gone);
                    }
                    // Also if it is here: it may have been away unseen, and all it did has ended then.
                    self.report(AdapterState::Gone);
                    if here {
                        self.resume();
                    } else {
                        self.look_again();
                    }
                }
            }
        }
        // The scanner has been dropped. btleplug keeps its connection, and with it the scan.
        if self.join.take().is_some() {
            let _ = tokio::time::timeout(FAREWELL, self.adapter.stop_scan()).await;
            let _ = tokio::time::timeout(FAREWELL, self.power.hear_no_more()).await;
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Listen(filter, sink, answer) => {
                self.overhearing.scan_ended();
                self.drop_errands();
                self.join = Some(Join::new(filter));
                let power = self.power.clone();
                self.errands.push(Box::pin(
                    async move { Done::Knows(power.known_devices().await) },
                ));
                self.sink = Some(sink);
                self.mode = None;
                self.answer = Some(answer);
                self.resume();
            }
            Order::Ignore(done) => {
                self.overhearing.scan_ended();
                self.join = None;
                if self.drop_errands() {
                    self.resume();
                }
                // It may have been given up as well.
                let _ = done.send(());
            }
            Order::Pause(pause) => self.pause(pause),
        }
    }

    /// Whether there is something among them that is to be found out all the same.
    fn drop_errands(&mut self) -> bool {
        self.errands.clear();
        self.pause = None;
        // Whoever gave the order before has given up waiting.
        self.answer = None;
        std::mem::replace(&mut self.resuming, Resuming::No) != Resuming::No
    }

    fn report(&mut self, state: AdapterState) {
        if is_absent(state) {
            self.overhearing.adapter_gone();
        }
        if std::mem::replace(&mut self.state, state) != state
            && let Some(sink) = &self.sink
        {
            sink.adapter(state);
        }
    }

    fn event(&mut self, news: News) {
        if let News::Powered(on) = news {
            return self.powered(on);
        }
        let (Some(join), Some(sink)) = (&mut self.join, &self.sink) else {
            return;
        };
        let (peer, joined) = match news {
            News::Device(peer, all) => (peer, join.properties(peer, &all)),
            News::Changed(peer, pieces) => (peer, join.changed(peer, &pieces)),
            News::Forgotten(peer) => return join.forget(peer),
            News::Lost(count) => return sink.missed(count),
            News::Powered(_) => return,
        };
        if let Some(Joined { frame, rssi }) = joined {
            let proves = join.filter().proves_patterns(&frame);
            sink.heard_from(peer, frame, rssi);
            self.overhearing.frame(proves, Instant::now());
        }
    }

    fn powered(&mut self, on: bool) {
        if !on {
            self.report(AdapterState::Off);
            self.look_again();
        } else if self.state != AdapterState::Ready || self.resuming != Resuming::No {
            // Said of an adapter that has not been off, it is no reason to interrupt the scan.
            self.resume();
        }
    }

    /// Notes what a device has listed before, of which the system does not tell again.
    fn remember(&mut self, peer: Peer, services: Vec<Uuid>) {
        if let Some(join) = &mut self.join {
            let known = Pieces {
                services: Some(services),
                ..Pieces::default()
            };
            join.properties(peer, &known);
        }
    }

    /// Looks whether the adapter is on, and begins the scan if there is to be one.
    fn resume(&mut self) {
        match self.resuming {
            Resuming::No => self.resume_after(Duration::ZERO),
            Resuming::Yes | Resuming::YesAndAgain => self.look_again(),
        }
    }

    /// What is being found out may be true no longer.
    fn look_again(&mut self) {
        if self.resuming == Resuming::Yes {
            self.resuming = Resuming::YesAndAgain;
        }
    }

    fn resume_after(&mut self, delay: Duration) {
        self.begin_after(tokio::time::sleep(delay));
    }

    /// Lets go of the controller for as long as `pause` lasts, and then begins the scan anew.
    fn pause(&mut self, pause: Pause) {
        if self.resuming != Resuming::No {
            self.pause = Some(pause);
            return;
        }
        let (adapter, power) = (self.adapter.clone(), self.power.clone());
        self.begin_after(async move { pause.last(&adapter, &power).await });
    }

    fn begin_after(&mut self, before: impl Future<Output = ()> + Send + 'static) {
        self.resuming = Resuming::Yes;
        let (adapter, power) = (self.adapter.clone(), self.power.clone());
        let filter = self.join.as_ref().map(|join| join.filter().clone());
        self.errands.push(Box::pin(async move {
            before.await;
            let begun = Instant::now();
            let how = begin(&adapter, &power, filter).await;
            Done::Resumed(how, begun.elapsed())
        }));
    }

    fn resumed(&mut self, Begun { mode, result }: Begun, took: Duration) {
        if std::mem::replace(&mut self.resuming, Resuming::No) == Resuming::YesAndAgain {
            return self.resume();
        }
        let state = match &result {
            Ok(()) => Some(AdapterState::Ready),
            // To be switched on, and to be plugged in, are events that lead here again.
            Err(error) => absence(error),
        };
        match state {
            Some(state) => self.settled(state, mode, took),
            None => self.refused(mode),
        }
        if let Some(answer) = self.answer.take() {
            // Whoever asked may have given up waiting.
            let _ = answer.send(match self.overhearing.overhears() {
                true => Ok(()),
                false => result,
            });
        }
        if let Some(pause) = self.pause.take() {
            self.pause(pause);
        }
    }

    /// The scan has begun if there is to be one, or the adapter is not there for it.
    fn settled(&mut self, state: AdapterState, mode: Option<ScanMode>, took: Duration) {
        self.refusals = 0;
        match mode {
            Some(mode) if state == AdapterState::Ready => {
                self.heard_by(mode, took);
                if self.overhearing.scan_begun()
                    && let Some(sink) = &self.sink
                {
                    // What kept it from scanning may have kept it from advertising.
                    sink.adapter(state);
                }
                self.report(state);
            }
            _ => {
                self.overhearing.scan_ended();
                self.report(state);
            }
        }
    }

    /// The scan is refused: tries again, after whoever waits for a pause, as nobody scans now.
    fn refused(&mut self, mode: Option<ScanMode>) {
        let monitored = cfg!(target_os = "linux") && mode == Some(ScanMode::EveryFrame);
        self.overhearing.refused(monitored, Instant::now());
        let overhears = self.overhearing.overhears();
        if self.answer.is_some() && self.state == AdapterState::Ready && !overhears {
            // Nothing has changed that would make another try succeed: that is for whoever asked.
            self.join = None;
            return;
        }
        self.refusals += 1;
        if overhears {
            // Of each neighbour the first, and then what differs (`RSSI_THRESHOLD` in BlueZ's src/device.c).
            self.tell_mode(ScanMode::System);
            self.report(AdapterState::Ready);
        } else if self.refusals >= REFUSALS_UNTOLD {
            self.report(AdapterState::Refused);
        }
        if self.pause.is_none() {
            self.resume_after(RETRY);
        }
    }

    /// Tells how the scan is heard, and sees to it that it is.
    fn heard_by(&mut self, mode: ScanMode, took: Duration) {
        self.tell_mode(mode);
        if let ScanMode::Restarted { every } = mode {
            // In a crowd, of which BlueZ forgets everybody each time, it takes longer.
            let seldom = took.saturating_mul(HEARING_PER_DEAFNESS);
            let every = every.max(seldom.min(RESTART_AT_LATEST));
            self.scan_number += 1;
            let number = self.scan_number;
            self.errands.push(Box::pin(async move {
                tokio::time::sleep(every).await;
                Done::RestartDue(number)
            }));
        }
    }

    fn tell_mode(&mut self, mode: ScanMode) {
        if self.mode.replace(mode) != Some(mode)
            && let Some(sink) = &self.sink
        {
            sink.scan_mode(mode);
        }
    }

    fn restart(&mut self, number: u64) {
        // A scan that has been begun since has a time of its own, and what is under way begins it anew.
        if number == self.scan_number && self.resuming == Resuming::No {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        if self.join.is_some() && self.state == AdapterState::Ready {
            self.resume();
        }
    }

    fn done(&mut self, done: Done) {
        match done {
            Done::Resumed(begun, took) => self.resumed(begun, took),
            Done::RestartDue(number) => self.restart(number),
            Done::Knows(devices) => {
                for (peer, services) in devices {
                    self.remember(peer, services);
                }
            }
        }
    }
}
