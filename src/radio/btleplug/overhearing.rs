//! Frames that come though a scan is refused.
//!
//! BlueZ tells of frames that match a monitor whoever scans, and the kernel goes on with the scan of a
//! `bluetoothd` that has crashed, for ten seconds in which its successor may begin none. Whether they come
//! depends on the release: 5.66 compares a pattern with all of a service's data, 5.82 with what stands behind
//! the UUID (`match_service` in src/shared/ad.c), where ours do not match. So nothing counts but a frame
//! that came for the sake of such a pattern.

use std::time::{Duration, Instant};

/// How long a refused scan counts as heard after a frame. Chosen: twelve seconds. The scan that is in the
/// way ends in 10.24 at the latest (`DISCOV_LE_TIMEOUT` in include/net/bluetooth/hci_core.h), and
/// BlueZ says nothing meanwhile of a neighbour that sends on as before.
const LASTS: Duration = Duration::from_secs(12);

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct Overhearing {
    /// Whether a scan of ours goes on: what comes by it says nothing of others.
    scanning: bool,
    /// When a frame last came, since the adapter came or our scan was over.
    frame_at: Option<Instant>,
    overhears: bool,
}

impl Overhearing {
    /// Whether the last refused scan was heard all the same, and none has begun since.
    pub(super) fn overhears(&self) -> bool {
        self.overhears
    }

    /// A frame has come, which `proves` that what is wanted does.
    pub(super) fn frame(&mut self, proves: bool, now: Instant) {
        if proves && !self.scanning {
            self.frame_at = Some(now);
        }
    }

    /// A scan of ours is refused; `monitored`: BlueZ has a monitor.
    pub(super) fn refused(&mut self, monitored: bool, now: Instant) {
        self.scan_ended();
        let lately = |at: Instant| now.saturating_duration_since(at) < LASTS;
        self.overhears = monitored && self.frame_at.is_some_and(lately);
    }

    /// A scan of ours has begun. Tells whether those before it were refused, and heard.
    pub(super) fn scan_begun(&mut self) -> bool {
        let overheard = self.overhears;
        *self = Self {
            scanning: true,
            ..Self::default()
        };
        overheard
    }

    /// No scan of ours goes on, and what came by it is forgotten.
    pub(super) fn scan_ended(&mut self) {
        if std::mem::take(&mut self.scanning) {
            self.frame_at = None;
        }
    }

    /// The adapter cannot be used: it will be another, or another's.
    pub(super) fn adapter_gone(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MONITORED: bool = true;
    const PROVES: bool = true;

    #[test]
    fn a_frame_of_another_scan_counts_for_a_while() {
        let (mut it, now) = (Overhearing::default(), Instant::now());
        it.frame(PROVES, now);
        it.refused(MONITORED, now);
        assert!(it.overhears());
        it.refused(MONITORED, now + LASTS - Duration::from_millis(1));
        assert!(it.overhears());
        it.refused(MONITORED, now + LASTS);
        assert!(!it.overhears());
    }

    #[test]
    fn without_a_frame_nothing_is_claimed() {
        let (mut it, now) = (Overhearing::default(), Instant::now());
        it.refused(MONITORED, now);
        assert!(!it.overhears());
        it.frame(!PROVES, now);
        it.refused(MONITORED, now);
        assert!(!it.overhears());
        it.frame(PROVES, now);
        it.refused(MONITORED, now);
        assert!(it.overhears());
        assert!(it.scan_begun());
        assert!(!it.overhears());
    }

    #[test]
    fn a_frame_without_a_monitor_is_no_hearing() {
        let (mut it, now) = (Overhearing::default(), Instant::now());
        it.frame(PROVES, now);
        it.refused(!MONITORED, now);
        assert!(!it.overhears());
    }

    #[test]
    fn frames_of_a_scan_of_ours_do_not_count() {
        let (mut it, now) = (Overhearing::default(), Instant::now());
        assert!(!it.scan_begun());
        it.frame(PROVES, now);
        it.refused(MONITORED, now);
        assert!(!it.overhears());
        it.scan_begun();
        it.frame(PROVES, now);
        it.scan_ended();
        it.refused(MONITORED, now);
        assert!(!it.overhears());
    }

    #[test]
    fn frames_of_an_adapter_that_has_gone_do_not_count() {
        let (mut it, now) = (Overhearing::default(), Instant::now());
        it.frame(PROVES, now);
        it.adapter_gone();
        it.refused(MONITORED, now);
        assert!(!it.overhears());
    }
}
