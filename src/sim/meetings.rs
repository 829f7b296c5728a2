//! Who is with whom: the truth of a day.

use super::scenario::Scenario;
use super::town::{Movements, Stay};

/// Two people in one place for a while, at one distance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Overlap {
    /// The lesser number stands first.
    pub(super) pair: (u32, u32),
    pub(super) place: u32,
    pub(super) from_ms: u32,
    pub(super) to_ms: u32,
    pub(super) distance_m: f32,
}

/// What two people had with each other on one day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Contact {
    /// The lesser number stands first.
    pub(super) pair: (u32, u32),
    /// Within range of each other.
    pub(super) together_ms: u32,
    /// Nearer than the rule's distance.
    pub(super) near_ms: u32,
    /// The distance times the time, for its mean.
    metre_ms: f64,
    /// When they were near last, of the day; together, if never near.
    pub(super) end_ms: u32,
}

impl Contact {
    pub(super) fn mean_m(&self) -> f64 {
        self.metre_ms / f64::from(self.together_ms.max(1))
    }

    pub(super) fn together_minutes(&self) -> f64 {
        f64::from(self.together_ms) / 60_000.0
    }

    pub(super) fn near_minutes(&self) -> f64 {
        f64::from(self.near_ms) / 60_000.0
    }
}

/// Where everybody is on one day.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    stays: Vec<(u32, Stay)>,
}

impl Whereabouts {
    pub(super) fn of(movements: &Movements<'_>, day: u32, isolated: &[bool]) -> Self {
        let (mut stays, mut one) = (Vec::new(), Vec::new());
        for (person, isolated) in (0..).zip(isolated) {
            one.clear();
            movements.day_of(person, day, *isolated, &mut one);
            stays.extend(one.iter().map(|stay| (person, *stay)));
        }
        stays.sort_unstable_by_key(|(person, stay)| (stay.place, stay.from_ms, *person));
        Self { stays }
    }

    /// Calls `each` with everything that two people had together, in a fixed order.
    pub(super) fn overlaps(&self, range_m: f32, mut each: impl FnMut(Overlap)) {
        for place in self.stays.chunk_by(|a, b| a.1.place == b.1.place) {
            let mut there: Vec<(u32, Stay)> = Vec::new();
            for (person, stay) in place {
                there.retain(|(_, other)| other.to_ms > stay.from_ms);
                for (other, others) in there.iter().filter(|(other, _)| other != person) {
                    let distance_m = (stay.x_m - others.x_m).hypot(stay.y_m - others.y_m);
                    if distance_m <= range_m {
                        each(Overlap {
                            pair: (*person.min(other), *person.max(other)),
                            place: stay.place,
                            from_ms: stay.from_ms,
                            to_ms: stay.to_ms.min(others.to_ms),
                            distance_m,
                        });
                    }
                }
                there.push((*person, *stay));
            }
        }
    }
}

/// Contact minutes by kind of place and hour of the day.
#[derive(Clone, Debug)]
pub(super) struct Hours(pub(super) Vec<[f64; 24]>);

impl Hours {
    pub(super) fn new(kinds: usize) -> Self {
        Self(vec![[0.0; 24]; kinds])
    }

    fn add(&mut self, kind: usize, from_ms: u32, to_ms: u32) {
        let Some(hours) = self.0.get_mut(kind) else {
            return;
        };
        for (hour, minutes) in (0_u32..).zip(hours.iter_mut()) {
            let begin = hour * 3_600_000;
            let (from, to) = (from_ms.max(begin), to_ms.min(begin + 3_600_000));
            *minutes += f64::from(to.saturating_sub(from)) / 60_000.0;
        }
    }
}

/// Gathers a day's contacts, in the order of their pairs; `hours` gets the minutes near each other.
pub(super) fn contacts(
    scenario: &Scenario,
    movements: &Movements<'_>,
    overlaps: &mut [Overlap],
    hours: &mut Hours,
) -> Vec<Contact> {
    let near_m = scenario.near_m as f32;
    for overlap in overlaps.iter().filter(|it| it.distance_m <= near_m) {
        hours.add(
            movements.kind(overlap.place),
            overlap.from_ms,
            overlap.to_ms,
        );
    }
    overlaps.sort_unstable_by_key(|it| (it.pair, it.from_ms, it.to_ms));
    overlaps
        .chunk_by(|a, b| a.pair == b.pair)
        .filter_map(|of_pair| contact(of_pair, near_m))
        .collect()
}

fn contact(overlaps: &[Overlap], near_m: f32) -> Option<Contact> {
    let mut contact = Contact {
        pair: overlaps.first()?.pair,
        together_ms: 0,
        near_ms: 0,
        metre_ms: 0.0,
        end_ms: 0,
    };
    for overlap in overlaps {
        let length = overlap.to_ms - overlap.from_ms;
        contact.together_ms += length;
        contact.metre_ms += f64::from(overlap.distance_m) * f64::from(length);
        if overlap.distance_m <= near_m {
            contact.near_ms += length;
        }
    }
    let is_last = |overlap: &&Overlap| contact.near_ms == 0 || overlap.distance_m <= near_m;
    let ends = overlaps.iter().filter(is_last).map(|it| it.to_ms);
    contact.end_ms = ends.max().unwrap_or(0);
    Some(contact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Mobility;

    #[test]
    fn two_who_part_and_meet_again() {
        let csv = "0,An,0,0\n0,Binh,1,0\n600,Binh,9,0\n900,Binh,1,0,\n1200,Binh,0,0,away\n3600,An,0,0\n0,Cuc,500,0\n";
        let trace = Mobility::parse(csv).unwrap();
        let movements = Movements::Trace(&trace);
        let there = Whereabouts::of(&movements, 0, &[false; 3]);
        let mut overlaps = Vec::new();
        there.overlaps(30.0, |overlap| overlaps.push(overlap));
        let mut hours = Hours::new(1);
        let contacts = contacts(&Scenario::new(1), &movements, &mut overlaps, &mut hours);
        assert_eq!(contacts.len(), 1);
        let contact = contacts[0];
        assert_eq!(contact.pair, (0, 1));
        assert_eq!((contact.together_ms, contact.near_ms), (1_200_000, 900_000));
        assert_eq!(contact.end_ms, 1_200_000);
        assert!((contact.mean_m() - 3.0).abs() < 1e-6);
        assert_eq!(hours.0[0][0], 15.0);
        assert_eq!(hours.0[0][1], 0.0);
    }

    #[test]
    fn who_is_isolated_in_a_trace_meets_nobody() {
        let trace = Mobility::parse("0,An,0,0\n0,Binh,1,0\n60,An,0,0").unwrap();
        let there = Whereabouts::of(&Movements::Trace(&trace), 0, &[true, false]);
        there.overlaps(30.0, |overlap| panic!("{overlap:?}"));
    }
}
