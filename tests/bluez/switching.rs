//! An adapter that is switched off while more is told of it than is taken.

use std::sync::{Arc, Condvar, Mutex};

use truyvet::radio::btleplug::BtleplugScanner;
use truyvet::radio::{AdapterState, Filter, RadioSink, Scanner};
use truyvet::time::{Clock, Moment, SystemClock};

use super::stack::Stack;
use super::{Ears, on, protocols, with_bluez};

/// More signals than may wait (`WAITING_MAX` in src/radio/bluez/signals.rs), twice over.
const FLOOD: u32 = 10_000;

/// A clock that stops whoever looks at it, and with it the task that takes what BlueZ signals: it asks when
/// a frame was heard.
#[derive(Default)]
struct Gate {
    clock: SystemClock,
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn shut(&self, shut: bool) {
        *self.is_shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl Clock for Gate {
    fn now(&self) -> Moment {
        // Other tasks go on, however few threads there are.
        tokio::task::block_in_place(|| {
            let shut = self.is_shut.lock().unwrap();
            drop(self.opened.wait_while(shut, |shut| *shut).unwrap());
        });
        self.clock.now()
    }
}

/// GAEN's identifier and metadata of a device of the flood.
fn data_of(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[0x5a; 16]].concat()
}

#[test]
fn switching_off_is_told_in_a_flood() {
    with_bluez(1, async |bluez| {
        let stack = Stack::open();
        let gate = Arc::new(Gate::default());
        let clock: Arc<dyn Clock> = gate.clone();
        let (sink, events) = RadioSink::new(clock, 16);
        let mut scanner = BtleplugScanner::open(&on("hci0")).await.unwrap();
        scanner.start(Filter::of(&protocols()), sink).await.unwrap();
        let mut ears = Ears { scanner, events };

        gate.shut(true);
        bluez.storm(0..FLOOD, data_of);
        stack.power("hci0", false).await;
        stack.power("hci0", true).await;
        bluez.storm(FLOOD..2 * FLOOD, data_of);
        gate.shut(false);
        assert_eq!(ears.state().await, AdapterState::Off);
        assert_eq!(ears.state().await, AdapterState::Ready);
        assert!(stack.is_discovering("hci0").await);
    });
}
