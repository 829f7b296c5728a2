//! Every frame of every neighbour, where BlueZ offers it.
//!
//! The kernel lets the controller drop repeated frames, so that a neighbour is heard about every ten
//! seconds. It does not while an `org.bluez.AdvertisementMonitor1` is registered. BlueZ offers that if it
//! was started with `--experimental`, or has `Experimental = true` in its `main.conf`.

use std::sync::{Arc, Mutex, PoisonError};

use dbus::Path;
use dbus_crossroads::{Crossroads, IfaceBuilder, IfaceToken};

use super::bus::Bus;
use crate::advertisement::{MANUFACTURER_DATA, SERVICE_DATA_16, uuid_to_u16};
use crate::protocol::bluezone::APPLE_COMPANY;
use crate::radio::Filter;

const MANAGER: &str = "org.bluez.AdvertisementMonitorManager1";
const ROOT: &str = "/vn/truyvet/monitors";
const MONITOR: &str = "/vn/truyvet/monitors/neighbours";

/// Position in the structure, AD type, bytes.
type Pattern = (u8, u8, Vec<u8>);

/// A monitor served over one connection.
pub(crate) struct Monitor {
    objects: Arc<Mutex<Crossroads>>,
    interface: IfaceToken<Vec<Pattern>>,
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
        }
    }

    /// Has every frame that `filter` wants reported from the next scan on; tells whether BlueZ does.
    pub(crate) async fn register(
        &self,
        bus: &Bus,
        adapter: &Path<'static>,
        filter: &Filter,
    ) -> bool {
        let patterns = patterns(filter);
        if patterns.is_empty() {
            return false;
        }
        // One that is left from before may have other patterns.
        self.unregister(bus, adapter).await;
        self.objects
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(MONITOR, &[self.interface], patterns);
        let root = Path::from(ROOT);
        // Whatever the reason for a refusal, there is another way to hear more.
        bus.call::<()>(adapter, MANAGER, "RegisterMonitor", (root,))
            .await
            .is_ok()
    }

    /// Else BlueZ goes on to scan for the monitor alone.
    pub(crate) async fn unregister(&self, bus: &Bus, adapter: &Path<'static>) {
        let root = Path::from(ROOT);
        // It fails if there is none.
        let _ = bus
            .call::<()>(adapter, MANAGER, "UnregisterMonitor", (root,))
            .await;
    }
}

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
    services.chain(companies).collect()
}

/// `org.bluez.AdvertisementMonitor1`, as BlueZ's `doc/advertisement-monitor-api.txt` has it. What it
/// calls us for is of no interest: the scan reports the frames.
fn describe(interface: &mut IfaceBuilder<Vec<Pattern>>) {
    interface.method("Release", (), (), |_, _, ()| Ok(()));
    interface.method("Activate", (), (), |_, _, ()| Ok(()));
    for method in ["DeviceFound", "DeviceLost"] {
        interface.method(method, ("device",), (), |_, _, _: (Path<'static>,)| Ok(()));
    }
    interface
        .property("Type")
        .get(|_, _| Ok("or_patterns".to_owned()));
    interface
        .property("Patterns")
        .get(|_, patterns| Ok(patterns.clone()));
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
