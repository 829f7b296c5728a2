//! A radio half that is turned on and off.

use std::time::Duration;

use super::DutyCycle;

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
        let periodic = !self.cycle.is_continuous();
        self.turn_at = periodic.then(|| now.saturating_add(self.cycle.on()));
    }

    pub(super) fn turn_off(&mut self) {
        self.on = false;
        self.turn_at = None;
    }

    /// Turns if it is time, and tells whether it did. `chance`, 0..1, is how much of the jitter the
    /// time off gets.
    pub(super) fn turn_if_due(&mut self, now: Duration, chance: impl FnOnce() -> f64) -> bool {
        if self.turn_at.is_none_or(|at| at > now) {
            return false;
        }
        if self.on && !self.cycle.is_continuous() {
            let jitter = self.cycle.jitter().mul_f64(chance());
            self.on = false;
            self.turn_at = Some(now.saturating_add(self.cycle.off()).saturating_add(jitter));
        } else {
            self.turn_on(now);
        }
        true
    }

    /// Follows another cycle from now on, beginning with its time on. What waits after a failure goes
    /// on waiting.
    pub(super) fn set_cycle(&mut self, cycle: DutyCycle, now: Duration) -> bool {
        self.cycle = cycle;
        if self.failures == 0 {
            self.turn_on(now);
        }
        self.failures == 0
    }

    /// Puts the next try off, if it waits for one: what failed says by itself when it is back.
    pub(super) fn wait_long(&mut self, now: Duration) {
        if !self.on && self.turn_at.is_some() {
            self.turn_at = Some(now.saturating_add(RETRY_LONGEST));
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_periodic_switch_turns_on_time() {
        let cycle = DutyCycle::periodic(s(40), s(260)).unwrap();
        let mut switch = Switch::new(cycle.jittered(s(90)).unwrap());
        switch.turn_on(s(10));
        assert!(!switch.turn_if_due(s(49), || 0.0) && switch.on);
        assert!(switch.turn_if_due(s(50), || 0.5) && !switch.on);
        assert_eq!(switch.next_turn(), Some(s(310 + 45)));
        assert!(switch.turn_if_due(s(355), || 0.0) && switch.on);
    }

    #[test]
    fn another_cycle_begins_at_once_but_not_before_a_failure_is_over() {
        let cycle = DutyCycle::periodic(s(4), s(206)).unwrap();
        let mut switch = Switch::new(DutyCycle::CONTINUOUS);
        switch.turn_on(s(0));
        assert!(switch.set_cycle(cycle, s(10)));
        assert_eq!(switch.next_turn(), Some(s(14)));
        switch.failed(s(12));
        assert!(!switch.set_cycle(DutyCycle::CONTINUOUS, s(13)));
        assert_eq!((switch.on, switch.next_turn()), (false, Some(s(14))));
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_minute() {
        let mut switch = Switch::new(DutyCycle::CONTINUOUS);
        switch.turn_on(s(0));
        for pause in [2, 4, 8, 16, 32, 64, 64] {
            switch.failed(s(100));
            assert_eq!(switch.next_turn(), Some(s(100 + pause)));
        }
        assert!(switch.turn_if_due(s(164), || 0.0) && switch.on);
        switch.succeeded();
        switch.failed(s(200));
        assert_eq!(switch.next_turn(), Some(s(202)));
    }
}
