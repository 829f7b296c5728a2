//! How the radio and the log fare, and what of it is told.

use std::time::Duration;

use super::{Action, Engine, Event, OwnIdentifier, State};
use crate::log::Admitted;
use crate::radio::{AdapterState, Advertised};
use crate::sighting::{GapCause, ScanGap};
use crate::time::{Moment, Timestamp};

/// Gaps shorter than this are not worth a record. Chosen: a frame of a neighbour comes at least so
/// often.
const GAP_MIN: Duration = Duration::from_secs(1);

impl Engine {
    /// The adapter's state has changed.
    pub fn adapter(&mut self, now: Moment, state: AdapterState) {
        self.observe(now);
        if !self.running {
            return;
        }
        let reason = match state {
            AdapterState::Ready => {
                // Only what waits after a failure: a pause that the schedule wants goes on.
                if matches!(self.health.scanning.state, State::Failing(_)) {
                    self.scan.turn_on(now.monotonic);
                    self.begin_scan(now);
                }
                return self.advertise_if_failing(now);
            }
            AdapterState::Refused => {
                let reason = "the system's Bluetooth refuses to scan: restart it if that lasts";
                self.scan_result(now, Err(reason.to_owned()));
                self.scan.wait_long(now.monotonic);
                return self.advertise_if_failing(now);
            }
            AdapterState::Off => "the Bluetooth adapter is off: switch it on",
            AdapterState::Gone => "the Bluetooth adapter or its service has gone",
        };
        self.open_gap(now.wall, GapCause::Adapter);
        self.scan_result(now, Err(reason.to_owned()));
        self.advertise_result(now, Err(reason.to_owned()));
        // The radio says when it is back; asking again and again would only disturb it.
        self.scan.wait_long(now.monotonic);
        self.advertise.wait_long(now.monotonic);
    }

    fn advertise_if_failing(&mut self, now: Moment) {
        if matches!(self.health.advertising.state, State::Failing(_)) {
            self.advertise.turn_on(now.monotonic);
            self.rotate(now);
        }
    }

    /// How beginning to scan went, or why scanning ended by itself.
    pub fn scan_result(&mut self, now: Moment, result: Result<(), String>) {
        if !self.running {
            return;
        }
        match result {
            Ok(()) => {
                self.scan.succeeded();
                self.close_gap(now.wall);
                self.set_scanning(State::Working, now);
            }
            Err(reason) => {
                self.scan.failed(now.monotonic);
                self.open_gap(now.wall, GapCause::Radio);
                self.set_scanning(State::Failing(reason), now);
            }
        }
    }

    /// How [`Action::Advertise`] went.
    pub fn advertise_result(&mut self, now: Moment, result: Result<Advertised, String>) {
        if !self.running || self.advertise_unsupported {
            return;
        }
        match result {
            Ok(advertised) => {
                self.advertise.succeeded();
                self.set_advertised(advertised);
                if let Some(Event::Rotated { protocol, until }) = self.announcement {
                    let since = now.wall;
                    self.health.own_identifier = Some(OwnIdentifier {
                        protocol,
                        since,
                        until,
                    });
                }
                self.health.advertising.set(State::Working, now.wall);
                self.tell_health(now);
                if let Some(event) = self.announcement.take() {
                    self.tell(event);
                }
            }
            Err(reason) => {
                self.advertise.failed(now.monotonic);
                self.set_advertising(State::Failing(reason), now);
            }
        }
    }

    /// The radio cannot advertise at all; it is not asked to again.
    pub fn advertise_unsupported(&mut self, now: Moment, why: &str) {
        self.advertise_unsupported = true;
        self.advertise.turn_off();
        self.set_advertising(State::Unsupported(why.to_owned()), now);
    }

    /// How [`Action::Store`] and its like went.
    pub fn log_result(&mut self, now: Moment, result: Result<(), String>) {
        let state = match result {
            Ok(()) => State::Working,
            Err(reason) => State::Failing(reason),
        };
        if self.health.log.set(state, now.wall) {
            self.tell_health(now);
        }
    }

    /// The radio will hear nothing more.
    pub fn radio_finished(&mut self) {
        self.tell(Event::RadioFinished);
    }

    /// Frames were lost outside the engine: `dropped`, as they came faster than they could be handed over,
    /// or `missed`, as the radio could not read what it had heard. Both are counted in health.
    pub fn count_lost_frames(&mut self, dropped: u64, missed: u64) {
        self.health.counters.dropped_frames += dropped;
        self.health.counters.missed_frames += missed;
    }

    /// Sightings were lost outside the engine; they are counted in health.
    pub fn count_lost_sightings(&mut self, lost: u64) {
        self.health.counters.lost_sightings += lost;
    }

    /// What the log has made of all sightings it was given: see [`EncounterLog::admitted`](crate::EncounterLog::admitted).
    pub fn log_admitted(&mut self, admitted: Admitted) {
        self.health.counters.unproven_sightings = admitted.unproven;
        self.health.counters.over_budget_sightings = admitted.over_budget;
    }

    pub(super) fn set_scanning(&mut self, state: State, now: Moment) {
        if self.health.scanning.set(state, now.wall) {
            self.tell_health(now);
        }
    }

    pub(super) fn set_advertising(&mut self, state: State, now: Moment) {
        if self.health.advertising.set(state, now.wall) {
            self.tell_health(now);
        }
    }

    /// Tells of the health, unless it has only got worse: that may be over in a moment.
    pub(super) fn tell_health(&mut self, now: Moment) {
        if self.announcer.is_to_tell(&self.health, now.monotonic) {
            self.tell(Event::Health(Box::new(self.health())));
        }
    }

    /// What time alone brings about: a failure that lasts, and a silence that does.
    pub(super) fn look_at_health(&mut self, now: Moment) {
        self.listening.roll(now.monotonic, self.neighbours.len());
        self.health.rate = self.listening.rate;
        if self.silence_due().is_some_and(|due| due <= now.monotonic) {
            let since = self.listening.silence(now.monotonic);
            self.health.silent_since = Some(now.wall.saturating_sub(since));
            self.listening.silence_told = true;
            self.tell_health(now);
        }
        if self.announcer.is_due(&self.health, now.monotonic) {
            self.tell(Event::Health(Box::new(self.health())));
        }
    }

    /// When it is to be told that nobody is heard, if nobody is until then.
    pub(super) fn silence_due(&self) -> Option<Duration> {
        let scan = self.config.schedule.scan;
        let listens = matches!(self.health.scanning.state, State::Working | State::Resting);
        self.listening.silence_due(scan).filter(|_| listens)
    }

    /// From now on nothing is heard, though it should be.
    pub(super) fn open_gap(&mut self, from: Timestamp, cause: GapCause) {
        // The first cause is the one that counts.
        self.gap.get_or_insert((from, cause));
        self.health.silent_since = None;
    }

    pub(super) fn close_gap(&mut self, to: Timestamp) {
        let Some((from, cause)) = self.gap.take() else {
            return;
        };
        if to.since(from) >= GAP_MIN {
            let gap = ScanGap { from, to, cause };
            self.actions.push_back(Action::StoreGap(gap));
        }
    }
}
