//! How probably a neighbour is still unnoticed after a time.

use std::time::Duration;

use super::Plan;
use crate::engine::DutyCycle;

/// Pairs of moments at which the two cycles are met, a Fibonacci number of them: with the one before it, they lie as
/// evenly over both cycles as a lattice can (Niederreiter, Random Number Generation and Quasi-Monte Carlo Methods,
/// 1992, 5.1). Chosen: a thousandth of error in a fraction of a millisecond.
const MEETINGS: u32 = 4_181;
const STEP: u32 = 2_584;

/// Below it nothing is added up any more.
const NEGLIGIBLE: f64 = 1e-9;

/// The probability that nothing was heard until each of `times`, which ascend.
pub(super) fn missed(plan: &Plan, times: &[Duration]) -> Vec<f64> {
    let times: Vec<f64> = times
        .iter()
        .map(|time| (*time).min(DutyCycle::LONGEST).as_secs_f64())
        .collect();
    let mut sums = vec![0.0; times.len()];
    for meeting in 0..MEETINGS {
        let turned = u64::from(meeting) * u64::from(STEP) % u64::from(MEETINGS);
        let part = |of: f64| (of + 0.5) / f64::from(MEETINGS);
        let mut pair = Pair {
            scan: Turns::met(plan.scan, part(f64::from(meeting)), meeting),
            advertise: Turns::met(plan.advertise, part(turned as f64), !meeting),
        };
        pair.follow(plan, &times, &mut sums);
    }
    sums.into_iter()
        .map(|sum| (sum / f64::from(MEETINGS)).clamp(0.0, 1.0))
        .collect()
}

/// The two, as they go on from one moment.
struct Pair {
    scan: Turns,
    advertise: Turns,
}

impl Pair {
    /// Adds to each of `sums` how probably nothing was heard until then.
    fn follow(&mut self, plan: &Plan, times: &[f64], sums: &mut [f64]) {
        let mut now = 0.0;
        let mut missed = 1.0;
        let mut ahead = times.iter().zip(sums).peekable();
        while ahead.peek().is_some() && missed > NEGLIGIBLE {
            let both = self.scan.is_on && self.advertise.is_on;
            let next = self.scan.until.min(self.advertise.until);
            let missed_after = |time: f64| match both {
                true => missed * missed_in(plan, time - now),
                false => missed,
            };
            while let Some((time, sum)) = ahead.next_if(|(time, _)| **time <= next) {
                *sum += missed_after(*time);
            }
            missed = missed_after(next);
            now = next;
            for turns in [&mut self.scan, &mut self.advertise] {
                if turns.until <= now {
                    turns.turn();
                }
            }
        }
    }
}

/// The probability that no frame is heard in `seconds` in which both are on: there is one frame more or less in it, as
/// it falls.
fn missed_in(plan: &Plan, seconds: f64) -> f64 {
    let frames = seconds / plan.frames.mean_interval_s();
    let loss = plan.frames.loss;
    let certain = frames.floor();
    let one_more = frames - certain;
    // More than that many are never all lost.
    let certain = certain.min(10_000.0) as i32;
    loss.powi(certain) * (1.0 - one_more * (1.0 - loss))
}

/// A cycle as it goes on.
struct Turns {
    on: f64,
    off: f64,
    jitter: f64,
    draws: Draws,
    is_on: bool,
    until: f64,
}

impl Turns {
    /// As it is met at a random moment: `part`, 0..1, says at which.
    fn met(cycle: DutyCycle, part: f64, seed: u32) -> Self {
        let mut turns = Self {
            on: cycle.on().as_secs_f64(),
            off: cycle.off().as_secs_f64(),
            jitter: cycle.jitter().as_secs_f64(),
            draws: Draws(u64::from(seed)),
            is_on: true,
            until: f64::INFINITY,
        };
        if cycle.is_continuous() {
            return turns;
        }
        let share = cycle.share_on();
        if part < share {
            turns.until = turns.on * (1.0 - part / share);
        } else {
            // A long pause is met more often than a short one.
            let (shortest, longest) = (turns.off, turns.off + turns.jitter);
            let square = |of: f64| of * of;
            let spread = square(longest) - square(shortest);
            let pause = (square(shortest) + turns.draws.next() * spread).sqrt();
            turns.is_on = false;
            turns.until = pause * (1.0 - (part - share) / (1.0 - share));
        }
        turns
    }

    fn turn(&mut self) {
        self.is_on = !self.is_on;
        self.until += match self.is_on {
            true => self.on,
            false if self.jitter == 0.0 => self.off,
            false => self.off + self.draws.next() * self.jitter,
        };
    }
}

/// Numbers of 0..1 that are the same each time (SplitMix64: Steele, Lea and Flood, 2014). They draw pauses in a
/// computation, and no keys.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}
