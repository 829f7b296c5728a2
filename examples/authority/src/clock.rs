//! What time it is, and for demonstrations what time it would be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use truyvet::time::{Clock, SystemClock, Timestamp};

/// The system's wall clock, ahead of it by as much as a demonstration or a test asks for.
///
/// Keys are published only once they have expired, which takes a day: whoever wants to see it today lets
/// the clock run ahead. A service in earnest never does.
#[derive(Debug, Default)]
pub struct ServiceClock {
    system: SystemClock,
    ahead_s: AtomicU64,
}

impl ServiceClock {
    /// A clock that is ahead by `ahead`, whole seconds.
    pub fn ahead_by(ahead: Duration) -> Self {
        let clock = Self::default();
        clock.advance(ahead);
        clock
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        let ahead = Duration::from_secs(self.ahead_s.load(Ordering::Relaxed));
        self.system.now().wall.saturating_add(ahead)
    }

    /// Moves the clock forward for good, whole seconds.
    pub fn advance(&self, by: Duration) {
        self.ahead_s.fetch_add(by.as_secs(), Ordering::Relaxed);
    }
}
