//! What one day may take on the disk, and what it asks for as it fills.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::{Timestamp, UtcDay};

/// What a sighting takes at most: its identifier, metadata and each number in their longest form, and its
/// part of a chunk of 1,024. Reckoned with until the caller tells what was written.
pub(super) const SIGHTING_BYTES_MAX: u64 = 42;

/// What a day's part of a batch takes beside its sightings: a chunk's bytes, and a segment's header.
const BATCH_BYTES: u64 = 42 + 48;

const DAY: Duration = Duration::from_secs(86_400);

/// How well an identifier has shown that somebody is there. Each asks for more than the one before.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Proof {
    /// Heard at all.
    Heard,
    /// Heard for a minute.
    Minute,
    /// Heard for four minutes.
    Minutes,
    /// Heard for eight minutes, and near.
    Stay,
}

/// The bytes of a UTC day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    whole: u64,
}

impl Share {
    pub(super) const fn new(whole: u64) -> Self {
        Self { whole }
    }

    /// What a day asks for of which `used` bytes are taken.
    pub(super) const fn asks_for(self, used: u64) -> Proof {
        let (half, eighth) = (self.whole / 2, self.whole / 8);
        if used < half {
            Proof::Heard
        } else if used < half + eighth {
            Proof::Minute
        } else if used < self.paced_from() {
            Proof::Minutes
        } else {
            Proof::Stay
        }
    }

    /// What `day` may have taken by `now`: the last quarter opens as the day passes.
    fn limit(self, day: UtcDay, now: Timestamp) -> u64 {
        let passed = now.since(day.start()).min(DAY).as_millis();
        let quarter = u128::from(self.whole - self.paced_from());
        let open = quarter * passed / DAY.as_millis();
        self.paced_from() + u64::try_from(open).unwrap_or(0)
    }

    const fn paced_from(self) -> u64 {
        self.whole - self.whole / 4
    }
}

/// Whether one more sighting fits into a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Room {
    Now,
    /// Not before the day has gone on.
    Later,
    Never,
}

/// The days of one batch, with what each takes as far as is known.
pub(super) struct Days<F> {
    share: Share,
    used: F,
    taken: BTreeMap<UtcDay, u64>,
}

impl<F: FnMut(UtcDay) -> u64> Days<F> {
    pub(super) fn new(share: Share, used: F) -> Self {
        let taken = BTreeMap::new();
        Self { share, used, taken }
    }

    /// What `day` asks for, and whether it has room by `now`.
    pub(super) fn look(&mut self, day: UtcDay, now: Timestamp) -> (Proof, Room) {
        let share = self.share;
        let taken = *self.taken(day);
        let then = taken.saturating_add(SIGHTING_BYTES_MAX);
        let room = if then <= share.paced_from() || then <= share.limit(day, now) {
            Room::Now
        } else if then <= share.whole {
            Room::Later
        } else {
            Room::Never
        };
        (share.asks_for(taken), room)
    }

    /// Takes room for a sighting of `day`; `false` if there is none.
    pub(super) fn take(&mut self, day: UtcDay) -> bool {
        let whole = self.share.whole;
        let taken = self.taken(day);
        let then = taken.saturating_add(SIGHTING_BYTES_MAX);
        let fits = then <= whole;
        if fits {
            *taken = then;
        }
        fits
    }

    fn taken(&mut self, day: UtcDay) -> &mut u64 {
        let used = &mut self.used;
        self.taken
            .entry(day)
            .or_insert_with(|| used(day).saturating_add(BATCH_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Share = Share::new(800);

    #[test]
    fn what_is_asked_for_grows_with_what_is_used() {
        for (used, asked) in [
            (0, Proof::Heard),
            (399, Proof::Heard),
            (400, Proof::Minute),
            (499, Proof::Minute),
            (500, Proof::Minutes),
            (599, Proof::Minutes),
            (600, Proof::Stay),
            (u64::MAX, Proof::Stay),
        ] {
            assert_eq!(SHARE.asks_for(used), asked, "{used}");
        }
    }

    #[test]
    fn the_last_quarter_opens_as_the_day_passes() {
        let day: UtcDay = "2020-08-08".parse().unwrap();
        let hours =
            |hours: u64| Timestamp::from_unix_seconds(day.start().unix_seconds() + hours * 3_600);
        for (now, limit) in [
            (Timestamp::from_unix_millis(0), 600),
            (day.start(), 600),
            (hours(6), 650),
            (hours(12), 700),
            (hours(24), 800),
            (Timestamp::MAX, 800),
        ] {
            assert_eq!(SHARE.limit(day, now), limit, "{now}");
        }
    }

    #[test]
    fn shares_of_nothing_and_of_everything() {
        let day = UtcDay::from_unix_days(18_482);
        let look = |whole, used| Days::new(Share::new(whole), |_| used).look(day, day.start());
        assert_eq!(look(0, 0), (Proof::Stay, Room::Never));
        assert_eq!(look(u64::MAX, 0), (Proof::Heard, Room::Now));
        assert_eq!(look(u64::MAX, u64::MAX).0, Proof::Stay);
    }

    #[test]
    fn a_batch_reckons_with_what_it_let_through() {
        let day = UtcDay::from_unix_days(18_482);
        let mut asked = 0;
        let mut days = Days::new(Share::new(BATCH_BYTES + 2 * SIGHTING_BYTES_MAX), |_| {
            asked += 1;
            0
        });
        assert_eq!(days.look(day, day.end()).1, Room::Now);
        assert!(days.take(day));
        assert!(days.take(day));
        assert_eq!(days.look(day, day.end()).1, Room::Never);
        assert!(!days.take(day));
        assert_eq!(asked, 1);
    }
}
