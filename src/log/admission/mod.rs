//! Which sightings earn a place in the log, so that a flood of invented identifiers neither fills the disk
//! nor pushes out true neighbours. No clock and no disk: times are the sightings' own, and the caller
//! tells what a day takes.
//!
//! # The rules
//!
//! A UTC day has a share of the disk, and asks for more as it fills:
//!
//! | of the share is used | stored is |
//! |---|---|
//! | less than 1/2 | everything, at once; nothing is remembered and no memory taken |
//! | less than 5/8 | what was heard for a minute |
//! | less than 3/4 | what was heard for four minutes |
//! | the rest | what was heard for eight minutes, at -80 dBm or more on average |
//!
//! The last quarter opens as the day passes, so that no flood of one hour takes the others' part. What has not
//! proven itself waits in memory, and is stored with the sighting that proves it. A proof is good
//! for as long as an identifier lives, twenty minutes, and for its own stage alone: who proved himself for
//! a minute while that sufficed cannot live on it when eight are asked for. What waits longer is dropped and
//! counted, as is what comes when a day's share is used up.
//!
//! Time heard is the time from an identifier's first frame to its last, without what is beyond five minutes of
//! each silence.
//!
//! # Who gives way when memory is full
//!
//! Identifiers are sorted into eight classes by what they have shown: four by time, each in near and far.
//! Of the class that takes most room the identifier gives way that was heard longest ago. So a flood of
//! one kind pushes out itself: identifiers that come once do not touch those that came twice, and whoever
//! lets ten thousand run for ten minutes from afar does not touch the near ones. All steps are lists and a
//! hash table with random keys; one sighting costs the same however much is held.
//!
//! # What each attack costs
//!
//! With a share of 8 MiB, of which fifty neighbours about all day take 1.9 (`attacks.rs` prints this table; far is
//! at -90 dBm, near at -60). Kept are, of the half minutes of all neighbours:
//!
//! | invented identifiers | near | far | stored |
//! |---|---|---|---|
//! | 10,000,000 heard once, in a day or in an hour | 99.9 % | 99.9 % | 5.8 MiB |
//! | 5,000,000 heard twice, a minute apart, all day | 99.8 % | 56 % | 6.8 MiB |
//! | 2,000 at a time, 15 minutes each, at -90 dBm, all day | 99.8 % | 9 % | 7.7 MiB |
//! | the same at -60 dBm, for two hours | 99.8 % | 45 % | 7.7 MiB |
//! | the same at -60 dBm, all day | 62 % | 9 % | 8.0 MiB |
//!
//! An attacker whose identifiers are near, or sent at a higher power, for eight minutes each is a crowd: nothing in
//! a frame tells it from one. He fills three quarters of the day at once and takes his part of what opens
//! afterwards; what opens after he has gone is free, and so is every other day. Those who are far or pass by
//! are not stored from when three quarters are used until midnight; a scan that listens for seconds in five
//! minutes proves little in one slot, and loses more than the table says. If the last quarter is less than
//! what near neighbours take, the part that is missing is lost too.
//!
//! The memory is 16 MiB, taken when half of a day's share is used and given back when nothing waits.
//!
//! What waits in memory is lost when the process dies, and not seen by a reader meanwhile.

use crate::sighting::Sighting;
use crate::time::{Timestamp, UtcDay};

mod hold;
mod index;
mod share;
mod slab;
mod watched;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;

use hold::{Heard, Hold, Limits};
use share::{Days, Proof, Room, Share};

/// Identifiers of one class that are let go of with a sighting, at most. Chosen: each of eight classes has
/// its turn with every eighth sighting, so two go for one that comes; and one sighting with a false
/// time costs no more.
const EXPIRED_AT_ONCE: usize = 16;

/// What became of all sightings that were given. Together they are as many, but for those that were given twice
/// because the disk failed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Admitted {
    /// Let through to be stored.
    pub stored: u64,
    /// Waiting in memory.
    pub held: u64,
    /// Dropped, as nothing proved in time that somebody is there.
    pub unproven: u64,
    /// Dropped, as the day's share was used up.
    pub over_budget: u64,
}

/// What a log takes up.
pub(crate) struct Admission {
    share: Share,
    hold: Hold,
    tally: Tally,
    /// Let through, and not stored yet as the disk failed.
    pub(super) owed: Vec<Sighting>,
    /// Whose turn it is to be looked through for what has expired.
    turn: usize,
    now: Timestamp,
}

#[derive(Default)]
struct Tally {
    stored: u64,
    over_budget: u64,
}

impl Admission {
    /// Each UTC day may take `day_share_bytes`.
    pub(crate) fn new(day_share_bytes: u64) -> Self {
        Self::within(day_share_bytes, Limits::FULL)
    }

    fn within(day_share_bytes: u64, limits: Limits) -> Self {
        Self {
            share: Share::new(day_share_bytes),
            hold: Hold::new(limits),
            tally: Tally::default(),
            owed: Vec::new(),
            turn: 0,
            now: Timestamp::from_unix_millis(0),
        }
    }

    /// Decides on `sightings` of one batch, which come in the order in which they were heard. Those to be stored now are
    /// appended to `out`, each behind what was held of its identifier.
    ///
    /// `used` tells what a day takes on the disk before this batch, in bytes; it is asked once a day.
    pub(crate) fn admit(
        &mut self,
        sightings: &[Sighting],
        used: impl FnMut(UtcDay) -> u64,
        out: &mut Vec<Sighting>,
    ) {
        let mut days = Days::new(self.share, used);
        for sighting in sightings {
            self.now = sighting.first;
            self.let_go(&mut days, out);
            self.decide(sighting, &mut days, out);
        }
        self.hold.shrink();
    }

    /// It is `now`, whether or not anything is heard: what waited too long is let go of, as by
    /// [`admit`](Self::admit).
    pub(crate) fn age(
        &mut self,
        now: Timestamp,
        used: impl FnMut(UtcDay) -> u64,
        out: &mut Vec<Sighting>,
    ) {
        let mut days = Days::new(self.share, used);
        self.now = now;
        for class in 0..watched::CLASSES {
            while let Some(number) = self.hold.expired(class, now) {
                self.last_call(number, &mut days, out);
            }
        }
        self.hold.shrink();
    }

    /// The log is closed in good order: what is held is stored if its proof suffices by now, and dropped
    /// else. The proofs still wanting will not come.
    pub(crate) fn finish(&mut self, used: impl FnMut(UtcDay) -> u64, out: &mut Vec<Sighting>) {
        let mut days = Days::new(self.share, used);
        while let Some(number) = self.hold.any() {
            self.last_call(number, &mut days, out);
        }
        self.hold.shrink();
    }

    /// What has become of all that was given so far.
    pub(crate) fn counters(&self) -> Admitted {
        Admitted {
            stored: self.tally.stored,
            held: self.hold.waiting() as u64,
            unproven: self.hold.dropped,
            over_budget: self.tally.over_budget,
        }
    }

    fn decide<F: FnMut(UtcDay) -> u64>(
        &mut self,
        sighting: &Sighting,
        days: &mut Days<F>,
        out: &mut Vec<Sighting>,
    ) {
        let (asked, room) = days.look(sighting.first.utc_day(), self.now);
        match (asked, room) {
            (_, Room::Never) => self.tally.over_budget += 1,
            (Proof::Heard, _) => {
                if let Some(number) = self.hold.find(sighting) {
                    self.release(number, days, out);
                    self.hold.forget(number);
                }
                self.tally.store(sighting.clone(), days, out);
            }
            _ => match self.hear(sighting, days, out) {
                Heard::Proven(number, proven) if proven >= asked && room == Room::Now => {
                    self.release(number, days, out);
                    self.tally.store(sighting.clone(), days, out);
                }
                Heard::Proven(number, _) => self.hold.hold(number, sighting),
                Heard::Over(_) | Heard::NoRoom => self.hold.dropped += 1,
            },
        }
    }

    fn hear<F: FnMut(UtcDay) -> u64>(
        &mut self,
        sighting: &Sighting,
        days: &mut Days<F>,
        out: &mut Vec<Sighting>,
    ) -> Heard {
        let heard = self.hold.hear(sighting);
        let Heard::Over(number) = heard else {
            return heard;
        };
        // It lives on, and must prove itself anew.
        self.last_call(number, days, out);
        self.hold.hear(sighting)
    }

    fn let_go<F: FnMut(UtcDay) -> u64>(&mut self, days: &mut Days<F>, out: &mut Vec<Sighting>) {
        self.turn = self.turn.wrapping_add(1);
        for _ in 0..EXPIRED_AT_ONCE {
            let Some(number) = self.hold.expired(self.turn, self.now) else {
                return;
            };
            self.last_call(number, days, out);
        }
    }

    /// Watches an identifier no longer. It may have proven itself, and only waited for room that there is now.
    fn last_call<F: FnMut(UtcDay) -> u64>(
        &mut self,
        number: u32,
        days: &mut Days<F>,
        out: &mut Vec<Sighting>,
    ) {
        if let Some((proven, heard)) = self.hold.proof_of(number) {
            let (asked, room) = days.look(heard.utc_day(), self.now);
            if proven >= asked && room == Room::Now {
                self.release(number, days, out);
            }
        }
        self.hold.forget(number);
    }

    fn release<F: FnMut(UtcDay) -> u64>(
        &mut self,
        number: u32,
        days: &mut Days<F>,
        out: &mut Vec<Sighting>,
    ) {
        let tally = &mut self.tally;
        self.hold
            .release(number, |sighting| tally.store(sighting, days, out));
    }
}

impl Tally {
    /// `sighting` is stored, unless its own day is used up: what waited may be of the day before.
    fn store<F: FnMut(UtcDay) -> u64>(
        &mut self,
        sighting: Sighting,
        days: &mut Days<F>,
        out: &mut Vec<Sighting>,
    ) {
        if days.take(sighting.first.utc_day()) {
            self.stored += 1;
            out.push(sighting);
        } else {
            self.over_budget += 1;
        }
    }
}
