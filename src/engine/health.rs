//! Whether it works: a state, a reason and since when, for each thing a tracer does.

use std::fmt;

use super::DeletionHeld;
use crate::protocol::ProtocolKind;
use crate::radio::{Advertised, ScanMode};
use crate::time::Timestamp;

/// What works and what does not, at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Health {
    /// Hearing others.
    pub scanning: Status,
    /// Being heard by others.
    pub advertising: Status,
    /// Storing what was heard.
    pub log: Status,
    /// Forgetting the keys that open what is older than the retention. While that fails, what is too old is
    /// deleted all the same, but who has a copy of it and gets the keys could still open it.
    pub erasure: Status,
    /// Since when, until when and why nothing is deleted, though a day has begun or will have: the wall clock
    /// may be false. What is due is done when that is over.
    pub deletion_held: Option<DeletionHeld>,
    /// Reading identifiers from peers that do not advertise theirs; `None` where nobody reads, and not
    /// begun until the first has been read, or could not be. It fails for the reason of the last, and no
    /// event tells of it: peers can make it fail as they like.
    pub reading: Option<Status>,
    /// How those known already are heard, once the radio has said so.
    pub scan_mode: Option<ScanMode>,
    /// What the system made of the last advertisement.
    pub advertised: Option<Advertised>,
    /// The own identifier that went on the air last; `None` before the first, and while there is none to
    /// advertise because its key was released.
    pub own_identifier: Option<OwnIdentifier>,
    /// How often neighbours were heard, in the last full minute.
    pub rate: Option<HeardRate>,
    /// When a neighbour was last heard.
    pub last_heard: Option<Timestamp>,
    /// Since when nobody has been heard, though the scan works: after ten minutes, or three turns of a
    /// schedule that rests longer. Nobody may be near; if somebody is, the radio is deaf.
    pub silent_since: Option<Timestamp>,
    /// When an own identifier was last heard, by a [witness](crate::radio::Radio::with_witness) or as an
    /// echo: what is advertised is on the air indeed.
    pub own_heard: Option<Timestamp>,
    /// What has been counted since the start.
    pub counters: Counters,
}

/// An own identifier's time on the air. Which it is, is no part of the health.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OwnIdentifier {
    /// Under which protocol.
    pub protocol: ProtocolKind,
    /// When it went on the air.
    pub since: Timestamp,
    /// When another takes its place.
    pub until: Timestamp,
}

/// What was heard in a minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct HeardRate {
    /// Frames that carried an identifier.
    pub frames: u64,
    /// Neighbours present at its end.
    pub neighbours: usize,
}

/// The state of one capability.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
}

/// What a capability is doing.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Not begun, or told to stop.
    Stopped,
    /// Asked for; the system has not answered yet.
    Starting,
    /// Working.
    Working,
    /// In a pause that the schedule wants, or silent until the next identifier because the current
    /// one was released.
    Resting,
    /// Not working, and why; tried again.
    Failing(String),
    /// Not possible with this radio, and why.
    Unsupported(String),
}

/// Things counted since the start. None of them names a neighbour.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Frames that carried an identifier.
    pub frames: u64,
    /// Frames of neither protocol.
    pub foreign_frames: u64,
    /// Frames that claim a protocol and break its layout.
    pub malformed_frames: u64,
    /// Frames of peers whose identifier has to be read by GATT, and was not.
    pub unread_frames: u64,
    /// Identifiers read by GATT.
    pub reads: u64,
    /// Attempts to read one that failed.
    pub failed_reads: u64,
    /// Frames with this device's own identifier: an echo, or somebody who repeats it.
    pub own_frames: u64,
    /// Frames dropped because they came faster than they could be taken.
    pub dropped_frames: u64,
    /// Frames that the radio heard and could not read: more new devices came at once than it looks up, or
    /// one had gone before it was.
    pub missed_frames: u64,
    /// Neighbours set aside early because there were too many.
    pub evicted_neighbours: u64,
    /// Sightings given to the log.
    pub sightings: u64,
    /// Sightings lost because the log failed for too long.
    pub lost_sightings: u64,
    /// Sightings dropped because nothing showed in time that somebody is there, while the log was flooded.
    pub unproven_sightings: u64,
    /// Sightings dropped because their day has taken all that it may of the log's budget.
    pub over_budget_sightings: u64,
    /// Unexplained jumps of the wall clock.
    pub clock_jumps: u64,
}

impl Health {
    pub(super) fn new(now: Timestamp) -> Self {
        let stopped = Status {
            state: State::Stopped,
            since: now,
        };
        Self {
            scanning: stopped.clone(),
            advertising: stopped.clone(),
            log: stopped.clone(),
            erasure: stopped,
            deletion_held: None,
            reading: None,
            scan_mode: None,
            advertised: None,
            own_identifier: None,
            rate: None,
            last_heard: None,
            silent_since: None,
            own_heard: None,
            counters: Counters::default(),
        }
    }

    /// Everything fails for one reason.
    pub(crate) fn fail(&mut self, reason: &str) {
        let statuses = [&mut self.scanning, &mut self.advertising, &mut self.log];
        for status in statuses.into_iter().chain(&mut self.reading) {
            status.state = State::Failing(reason.to_owned());
        }
    }

    /// Where anybody reads.
    pub(super) fn set_reading(&mut self, state: State, now: Timestamp) {
        if let Some(reading) = &mut self.reading {
            reading.set(state, now);
        }
    }

    /// Whether nothing is failing, reading and erasure aside: a device that is locked at midnight erases in
    /// the morning, and traces all the same.
    pub fn is_well(&self) -> bool {
        let failing = |status: &Status| matches!(status.state, State::Failing(_));
        ![&self.scanning, &self.advertising, &self.log]
            .into_iter()
            .any(failing)
    }
}

impl Status {
    /// Changes the state; tells whether that is news. Another reason to fail is, but the failure is
    /// as old as before; a pause that the schedule wants is not.
    pub(super) fn set(&mut self, state: State, now: Timestamp) -> bool {
        if self.state == state {
            return false;
        }
        let scheduled = |state: &State| matches!(state, State::Working | State::Resting);
        let news = !(scheduled(&self.state) && scheduled(&state));
        let failing = |state: &State| matches!(state, State::Failing(_));
        if !(failing(&self.state) && failing(&state)) {
            self.since = now;
        }
        self.state = state;
        news
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped"),
            Self::Starting => f.write_str("starting"),
            Self::Working => f.write_str("working"),
            Self::Resting => f.write_str("resting"),
            Self::Failing(reason) => write!(f, "failing: {reason}"),
            Self::Unsupported(why) => write!(f, "not possible: {why}"),
        }
    }
}

impl fmt::Display for HeardRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { frames, neighbours } = self;
        let s = if *neighbours == 1 { "" } else { "s" };
        write!(f, "{frames} frames a minute of {neighbours} neighbour{s}")
    }
}

/// One line: `scanning working, advertising working, log working`, and behind it what else there is to
/// know: how neighbours are heard, a silence, what is not erased, in what the advertisement falls short.
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "scanning {}, advertising {}, log {}",
            self.scanning.state, self.advertising.state, self.log.state
        )?;
        let begun = |status: &&Status| status.state != State::Stopped;
        if let Some(reading) = self.reading.as_ref().filter(begun) {
            write!(f, ", reading {}", reading.state)?;
        }
        if let Some(mode) = self.scan_mode {
            write!(f, "; hears {mode}")?;
        }
        if let Some(rate) = self.rate {
            write!(f, " ({rate})")?;
        }
        if let Some(since) = self.silent_since {
            write!(f, "; nobody heard since {since}, though scanning")?;
        }
        match &self.erasure.state {
            State::Failing(why) => {
                write!(
                    f,
                    "; the keys of what was deleted are not forgotten yet: {why}"
                )?;
            }
            State::Unsupported(why) => {
                write!(
                    f,
                    "; the keys of what is deleted are never forgotten: {why}"
                )?;
            }
            _ => {}
        }
        if let Some(held) = self.deletion_held {
            write!(f, "; {held}")?;
        }
        let flood = self.counters.unproven_sightings + self.counters.over_budget_sightings;
        if flood > 0 {
            write!(f, "; a flood: {flood} sightings dropped")?;
        }
        for caveat in self.advertised.iter().flat_map(|it| &it.caveats) {
            write!(f, "; {caveat}")?;
        }
        Ok(())
    }
}
