//! How neighbours known already are heard.

use std::time::Duration;

use truyvet::radio::bluez::BluezAdvertiser;
use truyvet::radio::{AdapterState, Advertiser, Caveat, RadioEvent, ScanMode, Scanner};

use super::{Ears, SLOT, gaen_frame, on, with_bluez};

impl Ears {
    pub(super) async fn mode(&mut self) -> ScanMode {
        loop {
            if let RadioEvent::ScanMode(mode) = self.events.next().await.unwrap() {
                return mode;
            }
        }
    }
}

#[test]
fn every_frame_is_asked_for_where_bluez_offers_it() {
    with_bluez(1, async |bluez| {
        bluez.be_experimental();
        let mut ears = Ears::open("hci0").await;
        assert_eq!(ears.mode().await, ScanMode::EveryFrame);
        // Bluezone's service, GAEN's, and Bluezone's company.
        let wanted = [
            (0, 0x16, vec![0x56, 0x4E]),
            (0, 0x16, vec![0x6F, 0xFD]),
            (0, 0xFF, vec![0xB5, 0x22]),
        ];
        assert_eq!(bluez.monitored(), wanted);

        // In a pause it would scan on for the monitor alone.
        ears.scanner.stop().await.unwrap();
        assert_eq!(bluez.monitored(), []);
        ears.restart().await.unwrap();
        assert_eq!(ears.mode().await, ScanMode::EveryFrame);

        // A daemon that comes back has forgotten it.
        bluez.vanish().await;
        bluez.appear().await;
        while bluez.monitored() != wanted {
            tokio::task::yield_now().await;
        }
        drop(ears);
        while !bluez.monitored().is_empty() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn a_monitor_that_bluez_lets_go_of_is_told() {
    with_bluez(1, async |bluez| {
        bluez.be_experimental();
        let mut ears = Ears::open("hci0").await;
        assert_eq!(ears.mode().await, ScanMode::EveryFrame);
        bluez.release_monitors();
        let mode = ears.mode().await;
        assert!(matches!(mode, ScanMode::Restarted { .. }), "{mode:?}");
        // Nor is it taken at the next start.
        ears.scanner.stop().await.unwrap();
        ears.restart().await.unwrap();
        let mode = ears.mode().await;
        assert!(matches!(mode, ScanMode::Restarted { .. }), "{mode:?}");
        assert_eq!(bluez.monitors_asked(), 1);
        // Another daemon may take it.
        bluez.vanish().await;
        bluez.appear().await;
        assert_eq!(ears.mode().await, ScanMode::EveryFrame);
    });
}

#[test]
fn a_monitor_refused_is_not_asked_for_again_until_bluetoothd_comes_anew() {
    with_bluez(1, async |bluez| {
        let mut ears = Ears::open("hci0").await;
        ears.scanner.stop().await.unwrap();
        ears.restart().await.unwrap();
        assert!(matches!(ears.mode().await, ScanMode::Restarted { .. }));
        assert_eq!(bluez.monitors_asked(), 1);
        bluez.vanish().await;
        bluez.be_experimental();
        bluez.appear().await;
        assert_eq!(ears.mode().await, ScanMode::EveryFrame);
    });
}

#[test]
fn else_the_scan_is_begun_anew_again_and_again() {
    with_bluez(1, async |bluez| {
        let mut ears = Ears::open("hci0").await;
        let mode = ears.mode().await;
        assert!(matches!(mode, ScanMode::Restarted { .. }), "{mode:?}");
        let begun = bluez.scans();
        while bluez.scans() < begun + 2 {
            tokio::task::yield_now().await;
        }
        // A scan that is refused now and then is begun again too.
        bluez.refuse_scans(2);
        let begun = bluez.scans();
        while bluez.scans() < begun + 2 {
            tokio::task::yield_now().await;
        }
        ears.scanner.stop().await.unwrap();
    });
}

#[test]
fn a_scan_refused_for_seconds_is_told_until_it_is_taken_up_again() {
    with_bluez(1, async |bluez| {
        let mut ears = Ears::open("hci0").await;
        bluez.refuse_scans(u32::MAX);
        assert_eq!(ears.state().await, AdapterState::Refused);
        bluez.refuse_scans(0);
        assert_eq!(ears.state().await, AdapterState::Ready);
    });
}

#[test]
fn an_interval_that_is_not_heeded_is_told() {
    with_bluez(1, async |bluez| {
        let mut mouth = BluezAdvertiser::open(&on("hci0")).await.unwrap();
        let slow = mouth.advertise(&gaen_frame(1), SLOT).await.unwrap();
        assert_eq!(slow.interval, Some(Duration::from_millis(1_280)));
        // The machine's main.conf may have a caveat of its own.
        let is_slow = |caveat: &Caveat| matches!(caveat, Caveat::SlowInterval { .. });
        assert!(slow.caveats.iter().any(is_slow));
        bluez.vanish().await;
        bluez.be_experimental();
        bluez.appear().await;
        let fast = mouth.advertise(&gaen_frame(2), SLOT).await.unwrap();
        assert_eq!(fast.interval, Some(Duration::from_millis(270)));
        assert!(!fast.caveats.iter().any(is_slow));
        mouth.stop().await.unwrap();
    });
}
