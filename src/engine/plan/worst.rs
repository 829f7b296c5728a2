//! The longest that a neighbour can go unnoticed.
//!
//! A stretch in which both are on is certain to hold a frame if it is as long as the longest time between two frames:
//! the *margin*. Times are whole nanoseconds, and what comes out is rounded up to a microsecond: the worst is to come
//! just too late, whatever that is.

use std::time::Duration;

use super::{DELAY_MAX, Plan};
use crate::engine::DutyCycle;

/// Turns through which a pair is followed. Chosen: what takes more is rare, and told by a bound.
const TURNS_MAX: i64 = 64;

pub(super) fn worst_case(plan: &Plan) -> Option<Duration> {
    let margin = nanos(plan.frames.interval + DELAY_MAX);
    let (scan, advertise) = (plan.scan, plan.advertise);
    let worst = match (scan.is_continuous(), advertise.is_continuous()) {
        (true, true) => Some(margin),
        (false, true) => one_pauses(Cycle::of(scan), margin),
        (true, false) => one_pauses(Cycle::of(advertise), margin),
        (false, false) => both_pause(Cycle::of(scan), Cycle::of(advertise), margin),
    };
    let micros = u64::try_from(worst?).ok()?.div_ceil(1_000);
    let worst = Duration::from_micros(micros);
    (worst <= DutyCycle::LONGEST).then_some(worst)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[derive(Clone, Copy)]
struct Cycle {
    on: i64,
    off: i64,
    jitter: i64,
}

impl Cycle {
    fn of(cycle: DutyCycle) -> Self {
        let (on, off, jitter) = (cycle.on(), cycle.off(), cycle.jitter());
        Self {
            on: nanos(on),
            off: nanos(off),
            jitter: nanos(jitter),
        }
    }

    fn period(self) -> i64 {
        self.on + self.off
    }

    fn pause_max(self) -> i64 {
        self.off + self.jitter
    }

    /// Whether each of its times on holds enough of the other's, however they lie.
    fn meets(self, other: Self, margin: i64) -> bool {
        self.on >= other.pause_max() + 2 * margin && other.on >= margin
    }
}

/// Whoever comes just too late for a frame waits for the next time on, and for a frame in it.
fn one_pauses(cycle: Cycle, margin: i64) -> Option<i64> {
    (cycle.on >= margin).then(|| cycle.pause_max() + 2 * margin)
}

fn both_pause(a: Cycle, b: Cycle, margin: i64) -> Option<i64> {
    if a.on < margin || b.on < margin {
        return None;
    }
    let bounds = [(a, b), (b, a)].map(|(one, other)| {
        let met = one.meets(other, margin);
        met.then(|| one.pause_max() + 2 * other.pause_max() + 4 * margin)
    });
    let bound = bounds.into_iter().flatten().min();
    if a.jitter > 0 || b.jitter > 0 {
        return bound;
    }
    let misses = misses_in_a_row(a, b, margin)?;
    let bound = bound.unwrap_or_else(|| (misses + 2).saturating_mul(a.period()));
    let turns = (misses + 3).saturating_mul(1 + a.period() / b.period() + b.period() / a.period());
    match turns <= TURNS_MAX {
        true => Some(followed(a, b, margin, bound).max(followed(b, a, margin, bound))),
        false => Some(bound),
    }
}

/// The most times on of `a` in a row of which none holds enough of `b`'s; `None` if there is no end to them within a
/// day.
///
/// Such a time on begins in `b`'s cycle within an arc of `free` nanoseconds. From one to the next that beginning turns
/// about `b`'s cycle by `a`'s period, so that it keeps within the arc as long as the gaps between the beginnings leave
/// room for the rest of the cycle.
fn misses_in_a_row(a: Cycle, b: Cycle, margin: i64) -> Option<i64> {
    let free = b.off + 2 * margin - a.on;
    if free <= 0 {
        return Some(0);
    }
    let rest = b.period() - free;
    if rest < gcd(a.period(), b.period()) {
        return None;
    }
    let most = nanos(DutyCycle::LONGEST) / a.period();
    let keeps = |misses: i64| largest_gap(misses, a.period(), b.period()) > rest;
    let mut beyond = 2;
    while keeps(beyond) {
        beyond *= 2;
        if beyond > 2 * most {
            return None;
        }
    }
    let mut within = beyond / 2;
    while beyond - within > 1 {
        let middle = within + (beyond - within) / 2;
        match keeps(middle) {
            true => within = middle,
            false => beyond = middle,
        }
    }
    Some(within)
}

/// The largest gap on a circle of `length` between the points 0, `step`, 2 `step`, …, as many as `points`.
fn largest_gap(points: i64, step: i64, length: i64) -> i64 {
    let mut places: Vec<_> = (0..points)
        .map(|point| (i128::from(point) * i128::from(step)).rem_euclid(i128::from(length)) as i64)
        .collect();
    places.sort_unstable();
    let last = places.last().map_or(length, |last| length - last);
    let between = places.windows(2).map(|pair| match pair {
        [one, next] => next - one,
        _ => 0,
    });
    between.chain([last]).max().unwrap_or(length)
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a,
        b => gcd(b, a % b),
    }
}

/// The longest wait of those who come when `a`'s time on has just too little left, over all that `b` may be at then.
/// Between the moments at which an end of the one meets an end of the other, give or take the margin, the wait changes
/// evenly: it is longest beside one of them.
fn followed(a: Cycle, b: Cycle, margin: i64, bound: i64) -> i64 {
    let came = a.on - margin + 1;
    let mut longest = 0;
    for turn in 0..=bound / a.period() + 1 {
        for end in [0, a.on] {
            let passed = turn * a.period() + end - came;
            for other_end in [0, b.on] {
                for shift in [-margin, 0, margin] {
                    for beside in [-1, 0, 1] {
                        let at = (other_end + shift + beside - passed).rem_euclid(b.period());
                        longest = longest.max(wait(a, came, b, at, margin, bound));
                    }
                }
            }
        }
    }
    longest
}

/// From a moment at which `a` is at `at_a` of its cycle and `b` at `at_b`, how long until a frame is certain.
fn wait(a: Cycle, at_a: i64, b: Cycle, at_b: i64, margin: i64, bound: i64) -> i64 {
    let (mut from_a, mut from_b) = (-at_a, -at_b);
    loop {
        let began = from_a.max(from_b).max(0);
        let ends = (from_a + a.on).min(from_b + b.on);
        if ends - began >= margin || began > bound {
            return began + margin;
        }
        // Whichever ends first has its next time on.
        match from_a + a.on <= from_b + b.on {
            true => from_a += a.period(),
            false => from_b += b.period(),
        }
    }
}
