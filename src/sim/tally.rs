//! The truth beside what was found.

use std::collections::{BTreeMap, VecDeque};

use super::meetings::Contact;
use super::outcome::{Cell, Detection};
use super::scenario::Scenario;
use super::tracing::Found;

/// Edges of distance, m. Chosen: around the rule's two metres.
const METRES: [f64; 7] = [0.0, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];

/// Edges of duration, minutes. Chosen: around the rule's fifteen.
const MINUTES: [f64; 6] = [0.0, 5.0, 15.0, 30.0, 60.0, 1_440.0];

/// Days of contacts that are kept: those of which a key can be published.
const DAYS_KEPT: usize = 15;

/// What is counted of contacts with those who reported.
pub(super) struct Tally {
    near_minutes: f64,
    detection: Detection,
    pub(super) delay_hours: Vec<f64>,
    /// Contacts of two devices, by day, the latest last.
    history: VecDeque<(u32, Vec<Contact>)>,
}

impl Tally {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let cells = METRES.windows(2).flat_map(|metres| {
            MINUTES.windows(2).map(move |minutes| Cell {
                from_m: edge(metres, 0),
                to_m: edge(metres, 1),
                from_minutes: edge(minutes, 0),
                to_minutes: edge(minutes, 1),
                meetings: 0,
                seen: 0,
                told: 0,
            })
        });
        Self {
            near_minutes: f64::from(scenario.near_minutes),
            detection: Detection {
                contacts: 0,
                found: 0,
                missed: 0,
                false_alerts: 0,
                false_far: 0,
                near_m: scenario.near_m,
                near_minutes: f64::from(scenario.near_minutes),
                far_m: scenario.ether.range_m,
                cells: cells.collect(),
            },
            delay_hours: Vec::new(),
            history: VecDeque::new(),
        }
    }

    /// Another day's contacts of two devices.
    pub(super) fn remember(&mut self, day: u32, contacts: Vec<Contact>) {
        self.history.push_back((day, contacts));
        let surplus = self.history.len().saturating_sub(DAYS_KEPT);
        self.history.drain(..surplus);
    }

    /// Counts what came of the keys that `reporter` has given of `days`: `found` by device's person. Told at
    /// `told_hours` of the simulation.
    pub(super) fn count(
        &mut self,
        reporter: u32,
        days: std::ops::RangeInclusive<u32>,
        found: &BTreeMap<(u32, u32, u32), bool>,
        told_hours: f64,
    ) {
        for (day, contacts) in &self.history {
            if !days.contains(day) {
                continue;
            }
            let mut met = Vec::new();
            for contact in contacts {
                let (a, b) = contact.pair;
                let Some(other) = other_of(reporter, (a, b)) else {
                    continue;
                };
                met.push(other);
                let of_day = found.get(&(reporter, *day, other));
                let ended = f64::from(*day) * 24.0 + f64::from(contact.end_ms) / 3_600_000.0;
                let is_true = contact.near_minutes() >= self.near_minutes;
                match (is_true, of_day) {
                    (true, Some(true)) => {
                        self.detection.found += 1;
                        self.delay_hours.push(told_hours - ended);
                    }
                    (true, _) => self.detection.missed += 1,
                    (false, Some(true)) => self.detection.false_alerts += 1,
                    (false, _) => {}
                }
                self.detection.contacts += u64::from(is_true);
                count_cell(&mut self.detection.cells, contact, of_day);
            }
            let of_day = found.range((reporter, *day, 0)..=(reporter, *day, u32::MAX));
            let far = of_day.filter(|((_, _, other), told)| **told && !met.contains(other));
            let far = far.count() as u64;
            self.detection.false_alerts += far;
            self.detection.false_far += far;
        }
    }

    pub(super) fn detection(&self) -> Detection {
        self.detection.clone()
    }
}

/// What was found, by reporter, day, and who found it.
pub(super) fn by_reporter(found: &[(u32, Vec<Found>)]) -> BTreeMap<(u32, u32, u32), bool> {
    let mut all = BTreeMap::new();
    for (person, found) in found {
        for one in found {
            *all.entry((one.reporter, one.day, *person)).or_insert(false) |= one.told;
        }
    }
    all
}

fn other_of(one: u32, (a, b): (u32, u32)) -> Option<u32> {
    match (a == one, b == one) {
        (true, _) => Some(b),
        (_, true) => Some(a),
        _ => None,
    }
}

fn count_cell(cells: &mut [Cell], contact: &Contact, found: Option<&bool>) {
    // Two who stay in are together for the whole of a day, which the last cell holds too.
    let day = 1_440_f64.next_down();
    let (metres, minutes) = (contact.mean_m(), contact.together_minutes().min(day));
    let holds = |cell: &&mut Cell| {
        (cell.from_m..cell.to_m).contains(&metres)
            && (cell.from_minutes..cell.to_minutes).contains(&minutes)
    };
    if let Some(cell) = cells.iter_mut().find(holds) {
        cell.meetings += 1;
        cell.seen += u64::from(found.is_some());
        cell.told += u64::from(found == Some(&true));
    }
}

fn edge(edges: &[f64], index: usize) -> f64 {
    edges.get(index).copied().unwrap_or(0.0)
}
