//! Scans that are refused while a monitor has frames reported, as after a `bluetoothd` that has crashed.

use truyvet::radio::bluez::BluezAdvertiser;
use truyvet::radio::{AdapterState, Advertiser, RadioEvent, ScanMode, Scanner};
use truyvet::{Advertisement, EphemeralId};

use super::fake::Fake;
use super::{Ears, SLOT, bluezone_frame, gaen_frame, identifier, on, with_bluez};

/// A scanner on hci1 whose `bluetoothd` comes anew and refuses every scan, beside a neighbour that sends
/// `frame`.
async fn crash(bluez: &Fake, frame: &Advertisement) -> (Ears, BluezAdvertiser) {
    bluez.be_experimental();
    let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
    let mut ears = Ears::open("hci1").await;
    assert_eq!(ears.mode().await, ScanMode::EveryFrame);
    bluez.vanish().await;
    assert_eq!(ears.state().await, AdapterState::Gone);
    bluez.refuse_scans(u32::MAX);
    bluez.appear().await;
    mouth.advertise(frame, SLOT).await.unwrap();
    (ears, mouth)
}

/// What was told until the adapter was told to be in a certain state.
struct Told {
    modes: Vec<ScanMode>,
    states: Vec<AdapterState>,
    ids: Vec<EphemeralId>,
}

impl Ears {
    async fn until(&mut self, wanted: AdapterState) -> Told {
        let mut told = Told {
            modes: Vec::new(),
            states: Vec::new(),
            ids: Vec::new(),
        };
        loop {
            match self.events.next().await.unwrap() {
                RadioEvent::Heard { frame, .. } => told.ids.push(identifier(&frame)),
                RadioEvent::ScanMode(mode) => told.modes.push(mode),
                RadioEvent::Adapter(state) if state == wanted => return told,
                RadioEvent::Adapter(state) => told.states.push(state),
                _ => {}
            }
        }
    }
}

#[test]
fn what_matches_the_monitor_is_heard_while_the_scan_is_refused() {
    with_bluez(2, async |bluez| {
        let (mut ears, mut mouth) = crash(bluez, &gaen_frame(1)).await;
        let told = ears.until(AdapterState::Ready).await;
        assert_eq!(told.modes, [ScanMode::System]);
        // The frame may come after it.
        if !told.ids.contains(&identifier(&gaen_frame(1))) {
            ears.hear(&gaen_frame(1)).await;
        }
        // Who comes later, too, by the same monitor.
        let asked = bluez.monitors_asked();
        mouth.advertise(&gaen_frame(2), SLOT).await.unwrap();
        ears.hear(&gaen_frame(2)).await;
        assert_eq!(bluez.monitors_asked(), asked);

        // Whoever scans anew is told that it works, and how.
        let scans = bluez.scans();
        ears.scanner.stop().await.unwrap();
        ears.restart().await.unwrap();
        assert_eq!(ears.mode().await, ScanMode::System);
        assert_eq!(bluez.scans(), scans);

        bluez.refuse_scans(0);
        assert_eq!(ears.mode().await, ScanMode::EveryFrame);
        // Said again: what was in the scan's way may have been in an advertisement's.
        assert_eq!(ears.state().await, AdapterState::Ready);
    });
}

#[test]
fn without_a_frame_it_is_not_claimed() {
    with_bluez(2, async |bluez| {
        let (mut ears, mut mouth) = crash(bluez, &gaen_frame(1)).await;
        ears.until(AdapterState::Ready).await;
        mouth.stop().await.unwrap();
        bluez.vanish().await;
        assert_eq!(ears.state().await, AdapterState::Gone);
        // What was heard of the daemon before says nothing of this one.
        bluez.appear().await;
        assert_eq!(ears.state().await, AdapterState::Refused);
    });
}

#[test]
fn a_bluez_that_does_not_match_what_is_wanted_is_not_believed() {
    with_bluez(2, async |bluez| {
        bluez.look_behind_uuids();
        let (mut ears, mut mouth) = crash(bluez, &gaen_frame(1)).await;
        assert_eq!(ears.state().await, AdapterState::Refused);
        // It does match companies.
        mouth.advertise(&bluezone_frame(1), SLOT).await.unwrap();
        ears.hear(&bluezone_frame(1)).await;
        bluez.refuse_scans(0);
        let told = ears.until(AdapterState::Ready).await;
        assert_eq!((told.modes, told.states), (vec![], vec![]));
        ears.hear(&bluezone_frame(1)).await;
        assert!(bluez.scans() > 1);
    });
}
