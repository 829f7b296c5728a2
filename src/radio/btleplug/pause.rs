//! A pause of the scan, for whoever needs the controller to itself for a moment.

use ::btleplug::api::Central;
use ::btleplug::platform::Adapter;
use tokio::sync::oneshot;

use super::os::Power;

/// A pause, as the scanner's task sees it.
pub(super) struct Pause {
    begun: oneshot::Sender<()>,
    over: oneshot::Receiver<()>,
}

impl Pause {
    /// Ends the scan, tells so, and waits until it may begin again.
    pub(super) async fn last(self, adapter: &Adapter, power: &Power) {
        // If there is no scan it fails, and there is nothing in the way.
        let _ = adapter.stop_scan().await;
        power.hear_no_more().await;
        if self.begun.send(()).is_ok() {
            // It ends in the other end's being dropped.
            let _ = self.over.await;
        }
    }
}

#[cfg(target_os = "linux")]
pub(in crate::radio) use asked::Pauses;

#[cfg(target_os = "linux")]
mod asked {
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use tokio::sync::{mpsc, oneshot};

    use super::super::orders::Order;
    use super::Pause;

    /// Asks a scanner's task for pauses.
    ///
    /// Weak, for the task ends when nobody else can give it orders.
    #[derive(Clone, Default)]
    pub(in crate::radio) struct Pauses(Arc<Mutex<Option<mpsc::WeakSender<Order>>>>);

    impl Pauses {
        /// From now on it is the task of these `orders` that scans.
        pub(in crate::radio::btleplug) fn ask(&self, orders: &mpsc::Sender<Order>) {
            *self.orders() = Some(orders.downgrade());
        }

        fn orders(&self) -> MutexGuard<'_, Option<mpsc::WeakSender<Order>>> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Has the scan pause, and waits until it does; `None` if nobody scans here.
        pub(in crate::radio) async fn pause(&self) -> Option<Paused> {
            let orders = self.orders().as_ref().and_then(mpsc::WeakSender::upgrade);
            let (begun, waited_for) = oneshot::channel();
            let (held, over) = oneshot::channel();
            let pause = Order::Pause(Pause { begun, over });
            orders?.send(pause).await.ok()?;
            waited_for.await.ok()?;
            Some(Paused { _held: held })
        }
    }

    /// A pause that lasts until this is dropped.
    pub(in crate::radio) struct Paused {
        _held: oneshot::Sender<()>,
    }
}
