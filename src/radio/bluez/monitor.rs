//! Every frame of every neighbour, where BlueZ offers it.
//!
//! The kernel lets the controller drop repeated frames, so that a neighbour is heard about every ten
//! seconds. It does not while an `org.bluez.AdvertisementMonitor1` is registered. BlueZ offers that if it
//! was started with `--experimental`, or has `Experimental = true` in its `main.conf`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dbus::Path;
use dbus_crossroads::{Crossroads, IfaceBuilder, IfaceToken};
use tokio::sync::Notify;

use super::bus::{Bus, radio_error};
use crate::advertisement::{MANUFACTURER_DATA, SERVICE_DATA_16, uuid_to_u16};
use crate::protocol::bluezone::APPLE_COMPANY;
use crate::radio::{Filter, RadioError};

const MANAGER: &str = "org.bluez.AdvertisementMonitorManager1";
const ROOT: &str = "/vn/truyvet/monitors";
const MONITOR: &str = "/vn/truyvet/monitors/neighbours";

/// Position in the structure, AD type, bytes.
type Pattern = (u8, u8, Vec<u8>);

/// A monitor served over one connection.
pub(crate) struct Monitor {
    objects: Arc<Mutex<Crossroads>>,
    interface: IfaceToken<Served>,
    registration: Arc<Registration>,
    /// What BlueZ has taken, and when, as [`Bus::changes`] counts.
    taken: Mutex<Option<(u64, Vec<Pattern>)>>,
    /// When BlueZ last refused the monitor. It will not take it later.
    refused_at: Mutex<Option<u64>>,
}

/// What BlueZ makes of the monitor while it has it.
#[derive(Default)]
struct Registration {
    /// Whether it is to have it. It calls `Release` of what we take back, too.
    wanted: AtomicBool,
    released: Notify,
}

/// The monitor's object.
struct Served {
    patterns: Vec<Pattern>,
    registration: Arc<Registration>,
}

impl Monitor {
    pub(crate) fn serve(bus: &Bus) -> Self {
        let mut objects = Crossroads::new();
        let manager = objects.object_manager();
        objects.insert(ROOT, &[manager], ());
        let interface = objects.register("org.bluez.AdvertisementMonitor1", describe);
        Self {
            objects: bus.serve(objects),
            interface,
            registration: Arc::default(),
            taken: Mutex::default(),
            refused_at: Mutex::default(),
        }
    }

    /// Waits until BlueZ lets go of the monitor by itself. It is refused from then on, until
    /// `bluetoothd` or the adapter comes anew.
    pub(crate) async fn released(&self, bus: &Bus) {
        self.registration.released.notified().await;
        self.refused(bus);
    }

    fn refused(&self, bus: &Bus) {
        *self
            .refused_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(bus.changes());
    }

    fn is_refused(&self, bus: &Bus) -> bool {
        let refused_at = self
            .refused_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *refused_at == Some(bus.changes())
    }

    /// Has every frame that `filter` wants reported from the next scan on; tells whether BlueZ does.
    pub(crate) async fn register(
        &self,
        bus: &Bus,
        adapter: &Path<'static>,
        filter: &Filter,
    ) -> bool {
        let patterns = patterns(filter);
        if patterns.is_empty() || self.is_refused(bus) {
            return false;
        }
        let taken = Some((bus.changes(), patterns.clone()));
        if self.registration.wanted.load(Ordering::Relaxed) && *self.taken() == taken {
            // Frames may come by it meanwhile.
            return true;
        }
        // One that is left from before may have other patterns.
        self.unregister(bus, adapter).await;
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(MONITOR, &[self.interface], self.serving(patterns));
        self.registration.wanted.store(true, Ordering::Relaxed);
        let root = Path::from(ROOT);
        let registered = bus.call::<()>(adapter, MANAGER, "RegisterMonitor", (root,));
        match registered.await.map_err(radio_error) {
            Ok(()) => {
                *self.taken() = taken;
                true
            }
            // Nobody has refused anything.
            Err(RadioError::NoService(_)) => false,
            // Whatever the reason for a refusal, there is another way to hear more.
            Err(_) => {
                self.refused(bus);
                false
            }
        }
    }

    fn taken(&self) -> MutexGuard<'_, Option<(u64, Vec<Pattern>)>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self, patterns: Vec<Pattern>) -> Served {
        Served {
            patterns,
            registration: Arc::clone(&self.registration),
        }
    }

    /// Else BlueZ goes on to scan for the monitor alone.
    pub(crate) async fn unregister(&self, bus: &Bus, adapter: &Path<'static>) {
        self.registration.wanted.store(false, Ordering::Relaxed);
        *self.taken() = None;
        let root = Path::from(ROOT);
        // It fails if there is none.
        let _ = bus
            .call::<()>(adapter, MANAGER, "UnregisterMonitor", (root,))
            .await;
    }
}

/// At most seven: `bluetoothd` counts the bytes of its command to the kernel, 34 for each, in eight bits
/// (`cp_len` in src/adv_monitor.c), and 5.82 was seen to crash with sixteen.
const PATTERNS_MAX: usize = 7;

/// A few that match are enough: while there is a monitor, the scan reports every frame. BlueZ calls us
/// for each device that matches, so the iPhones of all the world are not among them.
fn patterns(filter: &Filter) -> Vec<Pattern> {
    let services = filter.services().iter().filter_map(|uuid| {
        let short = uuid_to_u16(*uuid)?;
        Some((0, SERVICE_DATA_16, short.to_le_bytes().to_vec()))
    });
    let companies = filter.companies().iter().filter_map(|company| {
        let ours = *company != APPLE_COMPANY;
        ours.then(|| (0, MANUFACTURER_DATA, company.to_le_bytes().to_vec()))
    });
    services.chain(companies).take(PATTERNS_MAX).collect()
}

/// `org.bluez.AdvertisementMonitor1`, as BlueZ's `doc/advertisement-monitor-api.txt` has it. What it
/// calls us for is of no interest: the scan reports the frames.
fn describe(interface: &mut IfaceBuilder<Served>) {
    // It could not be carried out, or `bluetoothd` or the adapter is about to go.
    interface.method("Release", (), (), |_, served, ()| {
        if served.registration.wanted.swap(false, Ordering::Relaxed) {
            served.registration.released.notify_one();
        }
        Ok(())
    });
    interface.method("Activate", (), (), |_, _, ()| Ok(()));
    for method in ["DeviceFound", "DeviceLost"] {
        interface.method(method, ("device",), (), |_, _, _: (Path<'static>,)| Ok(()));
    }
    interface
        .property("Type")
        .get(|_, _| Ok("or_patterns".to_owned()));
    interface
        .property("Patterns")
        .get(|_, served| Ok(served.patterns.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    #[test]
    fn patterns_of_both_protocols_and_of_no_iphone() {
        let filter = Filter::of(&[Protocol::bluezone(), Protocol::gaen()]);
        let mut patterns = patterns(&filter);
        patterns.sort();
        assert_eq!(
            patterns,
            [
                (0, 0x16, vec![0x56, 0x4E]),
                (0, 0x16, vec![0x6F, 0xFD]),
                (0, 0xFF, vec![0xB5, 0x22]),
            ]
        );
    }
}
