//! An attacker who fills a device's air with invented identifiers.

use super::{calm, keys_of};
use crate::advertisement::Advertisement;
use crate::protocol::ProtocolKind;
use crate::protocol::bluezone::WireProfile;
use crate::radio::Peer;
use crate::sim::DAY_MS;
use crate::sim::crowd::SLICE_MS;
use crate::sim::ear::{Slice, Spell};
use crate::sim::outcome::AttackOutcome;
use crate::sim::random::{Stream, purpose};
use crate::sim::scenario::{Scenario, SimError};
use crate::sim::stage::{Stage, beside};
use crate::sim::tracing::exposures;

/// The most that a channel carries: 47 bytes at 1 Mbit/s, one after the other.
const FRAMES_PER_S: u64 = 2_600;

/// True neighbours, each at so many metres.
const NEIGHBOURS: u32 = 10;
const METRES: f64 = 2.0;

/// Chosen: the flood has taken half of the day's part of the log within a minute; the rest is what is tested.
const FROM_MS: u64 = 600_000;
const TO_MS: u64 = FROM_MS + 20 * 60_000;

/// Fills the air.
fn fill(stream: &mut Stream, slice: Slice, out: &mut Vec<Spell>) {
    out.clear();
    for number in 0..FRAMES_PER_S * SLICE_MS / 1_000 {
        let (mut id, mut address) = ([0; 12], [0; 6]);
        stream.fill(&mut id);
        stream.fill(&mut address);
        let from_ms = slice.of_day(slice.from_ms + number * 1_000 / FRAMES_PER_S);
        let frame = WireProfile::default().frame(&id);
        out.push(Spell {
            from_ms,
            to_ms: from_ms + 1,
            frame: frame.unwrap_or_else(|_| Advertisement::new()),
            peer: Peer::from_address(address),
            once: true,
        });
    }
}

/// Minutes of exposure to all true neighbours that a device finds.
fn minutes(scenario: &Scenario, flooded: bool) -> Result<f64, SimError> {
    let mut stage = Stage::new(scenario, 0, 1 + NEIGHBOURS, 1)?;
    let flooder = 1 + NEIGHBOURS;
    let mut heard: Vec<_> = (1..=NEIGHBOURS)
        .map(|number| beside(scenario, number, METRES))
        .collect();
    heard.push(beside(scenario, flooder, 1.0));
    let meetings = [heard];
    let mut stream = Stream::of(scenario.seed, purpose::ATTACKER, 1, 0);
    while stage.now_ms() < TO_MS {
        stage.step(&meetings, &mut |slice, sent| {
            if let Some(out) = sent.last_mut().filter(|_| flooded) {
                match slice.from_ms >= FROM_MS {
                    true => fill(&mut stream, slice, out),
                    false => out.clear(),
                }
            }
        })?;
    }
    let end = stage.slice();
    let mut keys = Vec::new();
    for neighbour in stage.devices.iter_mut().skip(1) {
        keys.extend(keys_of(neighbour)?);
    }
    let Some(device) = stage.devices.first_mut() else {
        return Ok(0.0);
    };
    device.with_engine(end, |engine, now| engine.stop(now))?;
    device.close();
    let found = exposures(scenario, device, &keys, DAY_MS)?;
    Ok(found
        .iter()
        .map(|it| it.duration.as_secs_f64() / 60.0)
        .sum())
}

pub(super) fn flood(scenario: &Scenario) -> Result<Vec<AttackOutcome>, SimError> {
    let scenario = calm(scenario, ProtocolKind::Bluezone);
    let (alone, flooded) = (minutes(&scenario, false)?, minutes(&scenario, true)?);
    let kept = flooded / alone.max(1e-9);
    Ok(vec![AttackOutcome {
        name: "flood".to_owned(),
        what: format!(
            "{FRAMES_PER_S} invented identifiers a second for twenty minutes beside a device that has {NEIGHBOURS} true \
             neighbours and always listens; what of their frames meets none of the flood's comes through."
        ),
        measure: "share of the true neighbours' minutes that is found all the same".to_owned(),
        achieved: kept,
        baseline: 1.0,
        holds: kept >= 0.99,
    }])
}
