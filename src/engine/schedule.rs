//! When the radio is on.

use std::time::Duration;

/// On for a while, off for a while, again and again; or always on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum DutyCycle {
    /// Never off.
    Continuous,
    /// Off between.
    Periodic {
        /// How long it is on; more than zero.
        on: Duration,
        /// How long it is off; more than zero.
        off: Duration,
    },
}

/// When a tracer scans and when it advertises.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Schedule {
    /// Scanning.
    pub scan: DutyCycle,
    /// Advertising.
    pub advertise: DutyCycle,
}

impl Schedule {
    /// Always on: for devices on mains power, and the default.
    pub const fn continuous() -> Self {
        Self {
            scan: DutyCycle::Continuous,
            advertise: DutyCycle::Continuous,
        }
    }

    /// What Bluezone 3 does in the background: scan 40 s and rest 260 s, advertise 15 s and rest
    /// 15 s. A neighbour is noticed within five minutes.
    pub const fn bluezone_background() -> Self {
        Self {
            scan: periodic(40, 260),
            advertise: periodic(15, 15),
        }
    }

    /// What Google's implementation of GAEN does: scan for 4 s every 4 minutes (its 210 to 300 s,
    /// without their jitter), advertise always.
    pub const fn gaen() -> Self {
        Self {
            scan: periodic(4, 236),
            advertise: DutyCycle::Continuous,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::continuous()
    }
}

const fn periodic(on_s: u64, off_s: u64) -> DutyCycle {
    DutyCycle::Periodic {
        on: Duration::from_secs(on_s),
        off: Duration::from_secs(off_s),
    }
}

/// A switch that a duty cycle turns, and that pauses itself for a while after a failure.
#[derive(Debug)]
pub(super) struct Switch {
    cycle: DutyCycle,
    pub(super) on: bool,
    turn_at: Option<Duration>,
    failures: u32,
}

/// The first pause after a failure; it doubles up to the longest. Chosen: a daemon that restarts is
/// back within seconds, and an adapter that is off should cost nothing.
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_LONGEST: Duration = Duration::from_secs(64);

impl Switch {
    pub(super) fn new(cycle: DutyCycle) -> Self {
        Self {
            cycle,
            on: false,
            turn_at: None,
            failures: 0,
        }
    }

    pub(super) fn next_turn(&self) -> Option<Duration> {
        self.turn_at
    }

    pub(super) fn turn_on(&mut self, now: Duration) {
        self.on = true;
        self.turn_at = match self.cycle {
            DutyCycle::Continuous => None,
            DutyCycle::Periodic { on, .. } => Some(now.saturating_add(on.max(SHORTEST))),
        };
    }

    pub(super) fn turn_off(&mut self) {
        self.on = false;
        self.turn_at = None;
    }

    /// Turns if it is time, and tells whether it did.
    pub(super) fn turn_if_due(&mut self, now: Duration) -> bool {
        if self.turn_at.is_none_or(|at| at > now) {
            return false;
        }
        match self.cycle {
            DutyCycle::Periodic { off, .. } if self.on => {
                self.on = false;
                self.turn_at = Some(now.saturating_add(off.max(SHORTEST)));
            }
            _ => self.turn_on(now),
        }
        true
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Turns off, to be turned on again after a pause.
    pub(super) fn failed(&mut self, now: Duration) {
        let pause = RETRY_FIRST.saturating_mul(1 << self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        self.on = false;
        self.turn_at = Some(now.saturating_add(pause.min(RETRY_LONGEST)));
    }
}

/// A cycle's half is never shorter, lest a zero in a configuration spin the radio. Chosen.
const SHORTEST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_periodic_switch_turns_on_time() {
        let mut switch = Switch::new(periodic(40, 260));
        switch.turn_on(s(10));
        assert!(!switch.turn_if_due(s(49)) && switch.on);
        assert!(switch.turn_if_due(s(50)) && !switch.on);
        assert_eq!(switch.next_turn(), Some(s(310)));
        assert!(switch.turn_if_due(s(310)) && switch.on);
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_minute() {
        let mut switch = Switch::new(DutyCycle::Continuous);
        switch.turn_on(s(0));
        for pause in [2, 4, 8, 16, 32, 64, 64] {
            switch.failed(s(100));
            assert_eq!(switch.next_turn(), Some(s(100 + pause)));
        }
        assert!(switch.turn_if_due(s(164)) && switch.on);
        switch.succeeded();
        switch.failed(s(200));
        assert_eq!(switch.next_turn(), Some(s(202)));
    }
}
