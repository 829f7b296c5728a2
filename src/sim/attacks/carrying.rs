//! Attackers who carry a patient's identifiers to people who never met the patient: later, at once, or into the past
//! of their clocks.

use super::{KINDS, Recorded, calm, keys_of, record, send_again, warns, warns_unguarded};
use crate::protocol::{ProtocolKind, PublishedKey};
use crate::sim::DAY_MS;
use crate::sim::crowd::SLICE_MS;
use crate::sim::device::Restart;
use crate::sim::ear::{Ear, Meeting, Slice, Spell};
use crate::sim::outcome::AttackOutcome;
use crate::sim::random::{Stream, purpose};
use crate::sim::scenario::{Scenario, SimError};
use crate::sim::stage::{Stage, beside};

const HOUR_MS: u64 = 3_600_000;
const MINUTE_MS: u64 = 60_000;

/// The patient is 0; these are in another place.
const VICTIMS: u32 = 4;

/// The attacker's radio beside them.
const SENDER: u32 = 1 + VICTIMS;

/// When the attacker is beside the patient, on the first day. Chosen: longer than any rule's time.
const RECORDS_MS: std::ops::Range<u64> = 8 * HOUR_MS..9 * HOUR_MS;

/// When clocks are set back by a day, on the second: a little longer.
const FALSE_MS: std::ops::Range<u64> =
    DAY_MS + RECORDS_MS.start - 5 * MINUTE_MS..DAY_MS + RECORDS_MS.end + 5 * MINUTE_MS;

/// An attacker who records beside a patient, and sends beside others.
struct Carrier {
    ear: Ear,
    tape: Vec<Recorded>,
    delays_ms: Vec<u64>,
    near: [Meeting; 1],
}

impl Carrier {
    fn new(scenario: &Scenario, delays_ms: &[u64]) -> Self {
        let stream = Stream::of(scenario.seed, purpose::ATTACKER, 0, 0);
        Self {
            ear: Ear::new(stream),
            tape: Vec::new(),
            delays_ms: delays_ms.to_vec(),
            near: [beside(scenario, 0, 1.0)],
        }
    }

    fn act(&mut self, scenario: &Scenario, slice: Slice, sent: &mut [Vec<Spell>]) {
        self.ear.windows.clear();
        if RECORDS_MS.contains(&slice.from_ms) {
            let all = slice.of_day(slice.from_ms)..slice.of_day(slice.to_ms);
            self.ear.windows.push((all.start, all.end));
        }
        let heard = &*sent;
        let sent_by = |sender: u32| heard.get(sender as usize).map_or(&[][..], Vec::as_slice);
        let arrivals = self.ear.hear(scenario, slice, &self.near, &sent_by);
        record(&mut self.tape, slice, arrivals, heard);
        if let Some(out) = sent.get_mut(SENDER as usize) {
            out.clear();
            for delay_ms in &self.delays_ms {
                send_again(&self.tape, *delay_ms, slice, out);
            }
        }
    }
}

/// How many of the victims warn.
#[derive(Clone, Copy, Debug, Default)]
struct Warned {
    devices: u32,
    /// If nothing but the identifiers and their times were looked at.
    unguarded: u32,
}

/// Lets the attacker carry what was recorded, by such delays; gives how many of the victims warn. `meddle` does something
/// to the stage before each slice.
fn carry(
    scenario: &Scenario,
    delays_ms: &[u64],
    company: bool,
    meddle: &mut dyn FnMut(&mut Stage<'_>),
) -> Result<Warned, SimError> {
    let mut stage = Stage::new(scenario, 0, 1 + VICTIMS, 1)?;
    let mut carrier = Carrier::new(scenario, delays_ms);
    let meetings = meetings(scenario, company);
    let last_ms = delays_ms.iter().max().copied().unwrap_or(0);
    let end_ms = (RECORDS_MS.end + last_ms + HOUR_MS / 2).max(DAY_MS);
    let mut keys: Vec<PublishedKey> = Vec::new();
    while stage.now_ms() < end_ms {
        meddle(&mut stage);
        stage.step(&meetings, &mut |slice, sent| {
            carrier.act(scenario, slice, sent);
        })?;
        if stage.now_ms() == DAY_MS
            && let Some(patient) = stage.devices.first_mut()
        {
            keys = keys_of(patient)?;
        }
    }
    let end = stage.slice();
    let mut warned = Warned::default();
    for device in stage.devices.iter_mut().skip(1) {
        // What is held in memory is stored, as at the end of an app.
        device.with_engine(end, |engine, now| engine.stop(now))?;
        warned.devices += u32::from(warns(scenario, device, &keys)?);
        warned.unguarded += u32::from(warns_unguarded(scenario, device, &keys)?);
    }
    Ok(warned)
}

/// The victims hear the attacker and, in `company`, each other; the patient hears nobody.
fn meetings(scenario: &Scenario, company: bool) -> Vec<Vec<Meeting>> {
    let of = |victim: u32| {
        let others = (1..=VICTIMS).filter(move |other| company && *other != victim);
        let mut heard: Vec<_> = others.map(|other| beside(scenario, other, 2.0)).collect();
        heard.push(beside(scenario, SENDER, 1.0));
        heard
    };
    std::iter::once(Vec::new())
        .chain((1..=VICTIMS).map(of))
        .collect()
}

fn both(
    scenario: &Scenario,
    delays_ms: impl Fn(ProtocolKind) -> Vec<u64>,
) -> Result<u32, SimError> {
    let mut warned = 0;
    for kind in KINDS {
        let scenario = calm(scenario, kind);
        warned += carry(&scenario, &delays_ms(kind), true, &mut |_| {})?.devices;
    }
    Ok(warned)
}

fn all_victims() -> f64 {
    f64::from(VICTIMS) * KINDS.len() as f64
}

/// Later, and after publication.
pub(super) fn replay(scenario: &Scenario) -> Result<Vec<AttackOutcome>, SimError> {
    let late = both(scenario, |_| vec![3 * HOUR_MS, DAY_MS])?;
    let mut soon = Vec::new();
    for (kind, delay_ms) in [
        (ProtocolKind::Bluezone, MINUTE_MS),
        (ProtocolKind::Gaen, HOUR_MS),
    ] {
        let scenario = calm(scenario, kind);
        soon.push((
            kind,
            carry(&scenario, &[delay_ms], true, &mut |_| {})?.devices,
        ));
    }
    let mut outcomes = vec![AttackOutcome {
        name: "replay".to_owned(),
        what: "An hour of a patient's identifiers is sent elsewhere three hours later, and again the next day, once the \
               keys are published."
            .to_owned(),
        measure: "devices that warn, of those it was sent to (both protocols)".to_owned(),
        achieved: f64::from(late),
        baseline: all_victims(),
        holds: late == 0,
    }];
    for (kind, warned) in soon {
        let (within, tolerance) = match kind {
            ProtocolKind::Bluezone => ("a minute", "2 minutes"),
            ProtocolKind::Gaen => ("an hour", "2 hours"),
        };
        outcomes.push(AttackOutcome {
            name: format!("replay within {kind}'s tolerance"),
            what: format!(
                "The same, {within} later: the protocol lets clocks differ by {tolerance}, and nothing tells this from a \
                 relay."
            ),
            measure: "devices that warn, of those it was sent to".to_owned(),
            achieved: f64::from(warned),
            baseline: f64::from(VICTIMS),
            holds: warned == 0,
        });
    }
    Ok(outcomes)
}

/// At once.
pub(super) fn live_relay(scenario: &Scenario) -> Result<Vec<AttackOutcome>, SimError> {
    let warned = both(scenario, |_| vec![SLICE_MS])?;
    Ok(vec![AttackOutcome {
        name: "live relay".to_owned(),
        what: "Two radios carry a patient's identifiers to another place within ten seconds. No system of this kind can \
               tell; only what is known of places could."
            .to_owned(),
        measure: "devices that warn, of those it was sent to (both protocols)".to_owned(),
        achieved: f64::from(warned),
        baseline: all_victims(),
        holds: warned == 0,
    }])
}

/// Into the past of the victims' clocks: one has its clock set back and right again while the app runs, one while the
/// app is closed, one while it is off; the last one's clock is left alone.
pub(super) fn time_travel(scenario: &Scenario) -> Result<Vec<AttackOutcome>, SimError> {
    let what = "Clocks are set back by a day, the identifiers of published keys are sent as if it were then, and the \
                clocks are set right (while the app runs, while it is closed, while the device is off)";
    Ok(vec![
        travel(scenario, true, "time travel", format!("{what}."))?,
        travel(
            scenario,
            false,
            "time travel, nobody else near",
            format!(
                "{what}, of devices that hear nobody but the attacker in all that time: their logs hold nothing that the \
                 false time could be told by, unless the app ran on."
            ),
        )?,
    ])
}

fn travel(
    scenario: &Scenario,
    company: bool,
    name: &str,
    what: String,
) -> Result<AttackOutcome, SimError> {
    let (mut warned, mut unguarded) = (0, 0);
    for kind in KINDS {
        let scenario = calm(scenario, kind);
        // In the false hour it is yesterday's again.
        let found = carry(&scenario, &[DAY_MS], company, &mut set_clocks)?;
        warned += found.devices;
        unguarded += found.unguarded;
    }
    Ok(AttackOutcome {
        name: name.to_owned(),
        what,
        measure:
            "devices that warn, beside those that would if nothing were noted of the clocks (both protocols)"
                .to_owned(),
        achieved: f64::from(warned),
        baseline: f64::from(unguarded),
        holds: warned == 0,
    })
}

fn set_clocks(stage: &mut Stage<'_>) {
    let now_ms = stage.now_ms();
    let offset_ms = match now_ms {
        _ if now_ms == FALSE_MS.start => -(DAY_MS.cast_signed()),
        _ if now_ms == FALSE_MS.end => 0,
        _ => return,
    };
    for (number, device) in stage.devices.iter_mut().enumerate().skip(1).take(3) {
        device.clock.offset_ms = offset_ms;
        device.restart = (number > 1).then_some(Restart {
            at_ms: now_ms,
            reboots: number == 3,
        });
    }
}
