//! Attackers, each with radios of its own in the same air.

mod carrying;
mod flood;
mod linker;

use super::device::Device;
use super::ear::{Arrival, Slice, Spell};
use super::outcome::AttackOutcome;
use super::scenario::{Scenario, SimError};
use super::tracing::{exposures, report, rule, windows};
use super::{DAY_MS, Steps};
use crate::engine::Schedule;
use crate::exposure::risk::RiskLevel;
use crate::exposure::{Exposure, MatchConfig, Matcher};
use crate::log::LogReader;
use crate::protocol::{ProtocolKind, PublishedKey};

/// Both protocols.
const KINDS: [ProtocolKind; 2] = [ProtocolKind::Bluezone, ProtocolKind::Gaen];

/// What each attack is counted as, in steps.
pub(super) const STEPS_EACH: u64 = 500;

/// So many are run.
pub(super) const ATTACKS: u64 = 5;

pub(super) fn run(scenario: &Scenario, steps: &Steps<'_>) -> Result<Vec<AttackOutcome>, SimError> {
    let mut outcomes = Vec::new();
    for attack in [
        carrying::replay,
        carrying::live_relay,
        flood::flood,
        carrying::time_travel,
        linker::linkers,
    ] {
        outcomes.extend(attack(scenario)?);
        steps.did(STEPS_EACH);
    }
    Ok(outcomes)
}

/// The same air, with devices that speak `kind`, always on, and have no faults.
fn calm(scenario: &Scenario, kind: ProtocolKind) -> Scenario {
    let mut calm = scenario.clone();
    calm.protocol = kind;
    calm.schedule = Schedule::continuous();
    calm.faults.wrong_clocks = 0.0;
    calm.faults.restarts_a_day = 0.0;
    calm
}

/// What somebody has recorded of a sender.
#[derive(Clone, Copy, Debug)]
struct Recorded {
    spell: Spell,
    /// Milliseconds since the simulation began.
    first_ms: u64,
    last_ms: u64,
}

/// Adds what has arrived in the slice to what was recorded, one entry for each frame in a row.
fn record(tape: &mut Vec<Recorded>, slice: Slice, arrivals: &[Arrival], sent: &[Vec<Spell>]) {
    for arrival in arrivals {
        let sent = sent.get(arrival.sender as usize);
        let Some(spell) = sent.and_then(|sent| sent.get(arrival.spell as usize)) else {
            continue;
        };
        let at_ms = slice.day_ms + u64::from(arrival.at_ms);
        match tape.last_mut() {
            Some(last) if last.spell.frame == spell.frame => last.last_ms = at_ms,
            _ => tape.push(Recorded {
                spell: *spell,
                first_ms: at_ms,
                last_ms: at_ms,
            }),
        }
    }
}

/// Sends in the slice what was recorded, `delay_ms` later.
fn send_again(tape: &[Recorded], delay_ms: u64, slice: Slice, out: &mut Vec<Spell>) {
    for recorded in tape {
        let from_ms = (recorded.first_ms + delay_ms).max(slice.from_ms);
        let to_ms = (recorded.last_ms + delay_ms).min(slice.to_ms);
        if from_ms < to_ms {
            out.push(Spell {
                from_ms: slice.of_day(from_ms),
                to_ms: slice.of_day(to_ms),
                ..recorded.spell
            });
        }
    }
}

/// The keys that the owner of `device` gives of the first day, at its end.
fn keys_of(device: &mut Device) -> Result<Vec<PublishedKey>, SimError> {
    let slice = Slice {
        day_ms: 0,
        from_ms: DAY_MS,
        to_ms: DAY_MS,
    };
    report(device, slice, 0, 0)
}

/// Whether `device` warns of `keys`, which were published at the first day's end.
fn warns(scenario: &Scenario, device: &Device, keys: &[PublishedKey]) -> Result<bool, SimError> {
    is_high(scenario, &exposures(scenario, device, keys, DAY_MS)?)
}

/// Whether it would if nothing but the identifiers and their times were looked at.
fn warns_unguarded(
    scenario: &Scenario,
    device: &Device,
    keys: &[PublishedKey],
) -> Result<bool, SimError> {
    let reader = LogReader::open_on(device.storage.clone(), &device.keys)?;
    let sightings: Result<Vec<_>, _> = reader.sightings()?.collect();
    let matcher = Matcher::new(MatchConfig::default(), sightings?);
    is_high(scenario, &matcher.exposures(keys))
}

fn is_high(scenario: &Scenario, exposures: &[Exposure]) -> Result<bool, SimError> {
    let today = super::tracing::utc_day(1);
    let assessment = rule(scenario)?.assess(&windows(exposures), today);
    Ok(assessment.level == RiskLevel::High)
}
