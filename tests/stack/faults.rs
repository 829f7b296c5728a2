//! What goes away and comes back, and how soon a tracer works again after that.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dbus::arg::{PropMap, Variant};
use dbus::nonblock::stdintf::org_freedesktop_dbus::Properties;
use truyvet::Protocol;
use truyvet::time::SystemClock;

use super::bed::{Bed, Traced, bluetoothd, gaen_frame, on_bed, run, signal, until};
use super::stack::Stack;

const ADAPTER: &str = "org.bluez.Adapter1";

/// How soon after the return of what was missing the scan goes on.
const RECOVERY_MAX: Duration = Duration::from_secs(5);

/// Has a tracer on hci1 work beside a neighbour, breaks something, and measures from the moment that
/// `fault` returns, when all is there again.
async fn recovers(bed: &Bed, what: &str, fault: impl AsyncFnOnce(&Traced)) {
    bed.send(0, &gaen_frame(1));
    let clock = Arc::new(SystemClock::default());
    let traced = Traced::start(1, Protocol::gaen(), clock).await;
    if traced.frames() == 0 {
        traced.until_heard().await;
    }
    // It may be pausing, for the first advertisement.
    let scans = async || bed.stack.is_discovering("hci1").await;
    until("the adapter scans", scans).await;
    fault(&traced).await;
    let returned = Instant::now();
    let before = traced.frames();
    until("the scan goes on", async || traced.scans()).await;
    let scans = returned.elapsed();
    until("a frame is heard", async || traced.frames() > before).await;
    let hears = returned.elapsed();
    until("all works", async || traced.works()).await;
    println!(
        "{what}: after its return the scan was told to work after {scans:.1?}, the first frame heard \
         after {hears:.1?}, advertising told to work after {:.1?}",
        returned.elapsed()
    );
    traced.tracer.stop().await.unwrap();
    assert!(scans <= RECOVERY_MAX, "{what}: {scans:?}");
}

/// Whether hci1 is there and on.
async fn is_on(bed: &Bed) -> bool {
    let powered = bed.stack.adapter("hci1").get(ADAPTER, "Powered").await;
    powered.unwrap_or(false)
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn bluetoothd_is_killed_and_restarted() {
    on_bed(async |bed| {
        recovers(bed, "bluetoothd killed", async |traced| {
            signal("KILL", bluetoothd().unwrap());
            traced.until_deaf().await;
            run("bed-bluetoothd", &["start"]);
            until("hci1 is on", async || is_on(bed).await).await;
        })
        .await;
    });
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn the_adapter_is_unplugged_and_back() {
    on_bed(async |bed| {
        recovers(bed, "adapter unplugged", async |traced| {
            bed.air("unplug 1");
            traced.until_deaf().await;
            bed.air("plug 1");
            until("hci1 is on", async || is_on(bed).await).await;
        })
        .await;
    });
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn the_adapter_is_switched_off_and_on() {
    on_bed(async |bed| {
        recovers(bed, "adapter switched off", async |traced| {
            bed.stack.power("hci1", false).await;
            traced.until_deaf().await;
            bed.stack.power("hci1", true).await;
        })
        .await;
    });
}

#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn the_radio_is_blocked_and_unblocked() {
    on_bed(async |bed| {
        let switch = soft_block();
        recovers(bed, "radio blocked", async |traced| {
            fs::write(&switch, "1").unwrap();
            traced.until_deaf().await;
            fs::write(&switch, "0").unwrap();
            until("hci1 is on", async || is_on(bed).await).await;
        })
        .await;
    });
}

/// The file that blocks hci1, as `rfkill` does.
fn soft_block() -> PathBuf {
    let switches = fs::read_dir("/sys/class/bluetooth/hci1").unwrap();
    let mut paths = switches.map(|switch| switch.unwrap().path().join("soft"));
    paths.find(|path| path.exists()).unwrap()
}

/// BlueZ merges the filters of all its clients, so that one client's could take from another.
#[test]
#[ignore = "needs the bed: see CONTRIBUTING.md"]
fn another_client_scans_for_something_else() {
    on_bed(async |bed| {
        let clock = Arc::new(SystemClock::default());
        let mut traced = Traced::start(1, Protocol::gaen(), clock).await;
        let alone = bed.until_appeared(&mut traced, 1).await;

        let other = Stack::open();
        let adapter = other.adapter("hci1");
        let heart_rate = vec!["0000180d-0000-1000-8000-00805f9b34fb".to_owned()];
        let filter = PropMap::from([
            ("UUIDs".to_owned(), Variant(Box::new(heart_rate) as _)),
            (
                "Transport".to_owned(),
                Variant(Box::new("le".to_owned()) as _),
            ),
        ]);
        let filtered = adapter.method_call::<(), _, _, _>(ADAPTER, "SetDiscoveryFilter", (filter,));
        filtered.await.unwrap();
        let started = adapter.method_call::<(), _, _, _>(ADAPTER, "StartDiscovery", ());
        started.await.unwrap();
        let beside = bed.until_appeared(&mut traced, 2).await;
        let stopped = adapter.method_call::<(), _, _, _>(ADAPTER, "StopDiscovery", ());
        stopped.await.unwrap();
        let after = bed.until_appeared(&mut traced, 3).await;
        println!(
            "a new neighbour is heard after {alone:.1?} alone, {beside:.1?} beside another client's \
             scan for another service, {after:.1?} after that has ended"
        );
        assert!(traced.works());
        traced.tracer.stop().await.unwrap();
        assert!(beside <= RECOVERY_MAX && after <= RECOVERY_MAX);
    });
}
