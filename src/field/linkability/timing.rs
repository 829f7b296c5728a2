//! Times that tell: the phase of the frames kept over a change, intervals like nobody else's, and changes at a moment of one's
//! own.

use std::collections::BTreeMap;

use super::Config;
use super::chains::{Handover, World};
use super::presence::Presence;
use super::report::{Certainty, Check, Evidence, Finding, Kind, Severity};

/// Below the shortest advertising interval, 20 ms (Bluetooth Core Specification 5.4, Vol. 4, Part E, 7.8.5): frames of one
/// event on its three channels.
const GAP_MIN_US: u32 = 15_000;
/// The random delay that is added to each interval lies evenly in 0..10 ms (Vol. 6, Part B, 4.4.2.2.1): so far they spread.
const SPREAD_MIN_US: f64 = 10_000.0 / 3.464;
/// Spaces of an interval's length below which it is not known. Chosen: the mean of eight is known to a millisecond.
const GAPS_ENOUGH: usize = 8;
/// Intervals nearer to each other are not told apart. Chosen: half of the random delay.
const INTERVAL_STEP_US: f64 = 5_000.0;

/// Changes below which nothing is said of phases. Chosen: with a tenth of the phases near enough by chance, five in a row are
/// so once in a hundred thousand.
const PHASES_ENOUGH: usize = 5;
/// Changes that are compared of one device. Chosen: a week of GAEN's.
const COMPARED_MAX: usize = 1_000;
/// How improbable by chance what is found must be. Chosen: a report a day is wrong once in some years.
const CHANCE_MAX: f64 = 0.001;
/// Intervals after which nothing is left of a phase, as each adds its random delay.
const EVENTS_MAX: f64 = 8.0;
/// Above this probability a phase by chance says nothing.
const CHANCE_OF_ONE_MAX: f64 = 0.5;

/// Changes below which nothing is said of their moments, and how near to one another these are to be regular. Chosen: an
/// app's timer is exact to a second.
const MOMENTS_ENOUGH: usize = 4;
const REGULAR_WITHIN_S: f64 = 1.0;
/// Two devices' moments that differ by so much are told apart; chosen as above.
const APART_S: f64 = 1.0;
/// How far from the slots' ends a single device may change without standing out: clocks of phones are that exact. Chosen.
const OFF_THE_GRID_S: f64 = 30.0;

/// The usual space between a pair's frames.
#[derive(Clone, Copy, Debug)]
struct Interval {
    mean_us: f64,
    spread_us: f64,
    gaps: usize,
}

fn interval(pair: &Presence) -> Option<Interval> {
    let mut gaps: Vec<u32> = pair
        .gaps_us
        .iter()
        .copied()
        .filter(|it| *it >= GAP_MIN_US)
        .collect();
    gaps.sort_unstable();
    // The shortest tenth may be two frames of which the first came late; longer ones are of frames that were lost.
    let base = *gaps.get(gaps.len() / 10)?;
    let near = gaps
        .iter()
        .filter(|gap| **gap <= base.saturating_add(base / 2));
    let near: Vec<f64> = near.map(|gap| f64::from(*gap)).collect();
    if near.len() < GAPS_ENOUGH {
        return None;
    }
    let number = near.len() as f64;
    let mean_us = near.iter().sum::<f64>() / number;
    let variance = near.iter().map(|gap| (gap - mean_us).powi(2)).sum::<f64>() / number;
    Some(Interval {
        mean_us,
        spread_us: variance.sqrt().max(SPREAD_MIN_US),
        gaps: near.len(),
    })
}

/// Of groups whose interval is known, its class: those whose means cannot be told apart are in one.
pub(super) fn interval_classes(world: &World) -> BTreeMap<usize, u32> {
    let known = world
        .groups
        .iter()
        .enumerate()
        .filter_map(|(index, group)| {
            let of_pairs = world.pairs_of(group).filter_map(interval);
            let best = of_pairs.max_by_key(|it| it.gaps)?;
            Some((index, best))
        });
    let mut known: Vec<(usize, Interval)> = known.collect();
    known.sort_by(|(_, a), (_, b)| a.mean_us.total_cmp(&b.mean_us));
    let mut classes = BTreeMap::new();
    let (mut class, mut before): (u32, Option<Interval>) = (0, None);
    for (index, it) in known {
        let error = |it: &Interval| it.spread_us / (it.gaps as f64).sqrt();
        if before.is_some_and(|before| {
            let step = INTERVAL_STEP_US.max(3.0 * (error(&before) + error(&it)));
            it.mean_us - before.mean_us > step
        }) {
            class += 1;
        }
        before = Some(it);
        classes.insert(index, class);
    }
    classes
}

/// What a change says of the phase.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Whether it was kept, and how probable that is by chance.
    Compared { kept: bool, chance: f64 },
    /// It was silent for so long that nothing was left to keep.
    Lost,
}

/// `None` if too few frames were heard before it, or where half of all phases would do.
fn phase(before: &Presence, after: &Presence) -> Option<Phase> {
    let ((_, last), (first, _)) = (before.heard_us?, after.heard_us?);
    if before.ear != after.ear {
        return None;
    }
    let it = interval(before)?;
    let silence = first.checked_sub(last)? as f64;
    let events = (silence / it.mean_us).round();
    if events > EVENTS_MAX {
        return Some(Phase::Lost);
    }
    // Sooner than any next frame would have come, it was begun anew.
    let window = 2.0 * it.spread_us * events.max(1.0).sqrt();
    let chance = 2.0 * window / it.mean_us;
    let kept = events >= 1.0 && (silence - events * it.mean_us).abs() <= window;
    (chance <= CHANCE_OF_ONE_MAX).then_some(Phase::Compared { kept, chance })
}

/// What a set of changes says of phases: how many kept theirs, of how many, and the probability of as many or more by chance.
#[derive(Debug, Default)]
struct Phases {
    kept: usize,
    chances: Vec<f64>,
    lost: usize,
}

impl Phases {
    fn add(&mut self, phase: Phase) {
        match phase {
            Phase::Lost => self.lost += 1,
            // The tail's sum takes the square of this.
            Phase::Compared { kept, chance } if self.chances.len() < COMPARED_MAX => {
                self.kept += usize::from(kept);
                self.chances.push(chance);
            }
            Phase::Compared { .. } => {}
        }
    }

    fn judged(&self) -> usize {
        self.chances.len() + self.lost
    }

    /// Of independent trials with these chances, the probability that at least as many succeed.
    fn by_chance(&self) -> f64 {
        let mut of_number = vec![1.0];
        for chance in &self.chances {
            let shifted = std::iter::once(&0.0).chain(&of_number);
            let stayed = of_number.iter().chain(std::iter::once(&0.0));
            of_number = shifted
                .zip(stayed)
                .map(|(fewer, same)| fewer * chance + same * (1.0 - chance))
                .collect();
        }
        of_number.iter().skip(self.kept).sum()
    }
}

pub(super) fn findings(world: &World, checks: &mut Vec<Check>) -> Vec<Finding> {
    let mut findings = phases_kept(world, checks);
    findings.extend(moments(world, checks));
    findings
}

fn phases_kept(world: &World, checks: &mut Vec<Check>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut most = 0;
    for chain in &world.chains {
        let mut phases = Phases::default();
        let mut evidence = Vec::new();
        for two in chain.windows(2) {
            let [from, to] = two else { continue };
            let sides = world.sides(*from, *to);
            if let Some((before, after)) = sides
                && let Some(phase) = phase(before, after)
            {
                phases.add(phase);
                evidence.extend([before, after]);
            }
        }
        most = most.max(phases.judged());
        findings.extend(phase_finding(&phases, &evidence, Certainty::Likely));
    }
    // Where several change at once, each new one is held against all that ended.
    let mut phases = Phases::default();
    let mut evidence = Vec::new();
    for Handover { from, to } in world.handovers.iter().filter(|it| it.from.len() > 1) {
        let tried = from.iter().filter_map(|from| {
            let (before, after) = world.sides(*from, *to)?;
            Some((phase(before, after)?, before, after))
        });
        let (mut none, mut kept) = (1.0, None);
        for (phase, before, after) in tried {
            if let Phase::Compared { kept: it, chance } = phase {
                none *= 1.0 - chance;
                kept = kept.or(it.then_some([before, after]));
            }
        }
        let chance = 1.0 - none;
        if chance > 0.0 && chance <= CHANCE_OF_ONE_MAX {
            evidence.extend(kept.into_iter().flatten());
            phases.add(Phase::Compared {
                kept: kept.is_some(),
                chance,
            });
        }
    }
    most = most.max(phases.judged());
    findings.extend(phase_finding(&phases, &evidence, Certainty::Possible));
    checks.push(Check {
        name: "phase of the frames over a change",
        judged: most >= PHASES_ENOUGH,
        note: format!("{most} changes with enough frames before, {PHASES_ENOUGH} needed"),
    });
    findings
}

fn phase_finding(phases: &Phases, evidence: &[&Presence], certainty: Certainty) -> Option<Finding> {
    let chance = phases.by_chance();
    if phases.chances.len() < PHASES_ENOUGH || chance > CHANCE_MAX {
        return None;
    }
    let first = evidence.iter().map(|it| it.first_us).min()?;
    let last = evidence.iter().map(|it| it.last_us).max()?;
    Some(Finding {
        kind: Kind::PhaseKept,
        severity: Severity::High,
        certainty,
        what: format!(
            "the new address begins where the old one's next frame would have come, in {} of {} changes; by chance, as \
             often with a probability of {chance:.0e}",
            phases.kept,
            phases.chances.len()
        ),
        linkable_s: Some(last.saturating_sub(first) / 1_000_000),
        evidence: Evidence::of(evidence.iter().copied()),
        advice: "stop advertising, wait for a random time of up to a few intervals, and start: the address must not change \
                 under an advertisement that runs on",
    })
}

/// When a chain's groups began, as seconds within a slot: the middle, how far they spread, and how many.
#[derive(Clone, Copy, Debug)]
struct Moments {
    chain: usize,
    middle_s: f64,
    spread_s: f64,
    slot_s: f64,
}

fn moments(world: &World, checks: &mut Vec<Check>) -> Vec<Finding> {
    let regular: Vec<Moments> = (0..world.chains.len())
        .filter_map(|chain| moments_of(world, chain))
        .collect();
    let most = (0..world.chains.len())
        .map(|chain| lasting(world, chain))
        .max()
        .unwrap_or(0);
    checks.push(Check {
        name: "moments of the changes",
        judged: most >= MOMENTS_ENOUGH,
        note: format!("{most} changes of one device after about a slot, {MOMENTS_ENOUGH} needed"),
    });
    let stands_out = regular.iter().filter(|own| {
        let mut others = regular
            .iter()
            .filter(|it| it.chain != own.chain && it.slot_s == own.slot_s)
            .peekable();
        match others.peek() {
            None => distance(own.middle_s, 0.0, own.slot_s) > OFF_THE_GRID_S,
            Some(_) => others.all(|it| {
                let apart = APART_S.max(2.0 * (own.spread_s + it.spread_s));
                distance(own.middle_s, it.middle_s, own.slot_s) > apart
            }),
        }
    });
    let found = stands_out.filter_map(|own| {
        let groups = world.chains.get(own.chain)?;
        let pairs = groups.iter().filter_map(|it| world.pairs_of(world.group(*it)?).next());
        let (first, last) = (world.group(*groups.first()?)?, world.group(*groups.last()?)?);
        Some(Finding {
            kind: Kind::FixedOffset,
            severity: Severity::Medium,
            certainty: Certainty::Likely,
            what: format!(
                "identifiers change {:.1} s into every slot, within {:.1} s, {} times, and nobody else's do then",
                own.middle_s,
                own.spread_s,
                groups.len() - 1
            ),
            linkable_s: Some(last.last_us.saturating_sub(first.first_us) / 1_000_000),
            evidence: Evidence::of(pairs),
            advice: "change with the slots of UTC, as all others do, on a clock that is set; or at a random time within each",
        })
    });
    found.collect()
}

/// On a circle of `around` seconds.
fn distance(a: f64, b: f64, around: f64) -> f64 {
    let apart = (a - b).rem_euclid(around);
    apart.min(around - apart)
}

/// How many identifiers of a chain lasted as the protocol has it. Those of a clock that runs faster have no place in its slots.
fn lasting(world: &World, chain: usize) -> usize {
    let groups = world
        .chains
        .get(chain)
        .into_iter()
        .flat_map(|it| it.windows(2));
    let lasted = groups.filter_map(|two| match two {
        [from, to] => {
            let (before, after) = world.sides(*from, *to)?;
            let slot_us = before.protocol.slot_length().as_micros();
            let begun_us = world.group(*from)?.first_us;
            Some(2 * u128::from(after.first_us.saturating_sub(begun_us)) > slot_us)
        }
        _ => None,
    });
    lasted.filter(|it| *it).count()
}

fn moments_of(world: &World, chain: usize) -> Option<Moments> {
    let groups = world.chains.get(chain)?;
    let slot_s = world
        .sides(*groups.first()?, *groups.last()?)?
        .0
        .protocol
        .slot_length()
        .as_secs_f64();
    let begins = groups.iter().skip(1).filter_map(|it| world.group(*it));
    let begins: Vec<f64> = begins.map(|it| it.first_us as f64 / 1e6).collect();
    let first = *begins.first()?;
    // Identifiers that last for another time than the protocol's have no place in its slots.
    let regular = begins.windows(2).all(|two| match two {
        [a, b] => distance(b - a, 0.0, slot_s) <= REGULAR_WITHIN_S && b - a > slot_s / 2.0,
        _ => true,
    });
    if begins.len() < MOMENTS_ENOUGH || !regular {
        return None;
    }
    let offsets = begins.iter().map(|it| {
        let apart = (it - first).rem_euclid(slot_s);
        if apart > slot_s / 2.0 {
            apart - slot_s
        } else {
            apart
        }
    });
    let offsets: Vec<f64> = offsets.collect();
    let low = offsets.iter().copied().fold(f64::INFINITY, f64::min);
    let high = offsets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (high - low <= 2.0 * REGULAR_WITHIN_S).then_some(Moments {
        chain,
        middle_s: (first + f64::midpoint(low, high)).rem_euclid(slot_s),
        spread_s: (high - low) / 2.0,
        slot_s,
    })
}

/// Whether intervals could be compared.
pub(super) fn interval_check(world: &World, config: &Config) -> Check {
    let classes = interval_classes(world);
    let groups = || classes.keys().filter_map(|it| world.group(*it));
    let mut ends: Vec<u64> = groups().map(|it| it.last_us).collect();
    ends.sort_unstable();
    // In the order of their begin, as groups are: so many have begun, and these have ended.
    let at_once = groups().zip(1_usize..).map(|(group, begun)| {
        begun.saturating_sub(ends.partition_point(|end| *end < group.first_us))
    });
    let known = at_once.max().unwrap_or(0);
    Check {
        name: "advertising intervals",
        judged: known >= config.min_crowd,
        note: format!(
            "the interval of {known} devices at once is known, {} needed",
            config.min_crowd
        ),
    }
}
