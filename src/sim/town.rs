//! Where people are: homes, buses, workplaces and a market, and a day's way between them.

use super::DAY_MS;
use super::mobility::Mobility;
use super::outcome::Parameter;
use super::random::{Stream, purpose};
use super::scenario::{SimError, parameter, within};

const MINUTE_MS: u32 = 60_000;
const HOUR_MS: u32 = 60 * MINUTE_MS;
const DAY: u32 = DAY_MS as u32;

/// Kinds of places, as the outcome names them; those of a trace follow.
pub(super) const KINDS: [&str; 4] = ["home", "bus", "work", "market"];

/// Share of households with 1, 2, … people. Chosen: their mean is the 3.6 of Viet Nam's census of 2019.
const HOUSEHOLDS: [f64; 7] = [0.10, 0.17, 0.22, 0.26, 0.13, 0.07, 0.05];

/// How the town is made. Lengths and times are chosen at the scale of a small town of Viet Nam.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TownPlan {
    /// Share of people who go to work or to school.
    pub working: f64,
    /// Share of these who take a bus.
    pub by_bus: f64,
    /// People of one workplace or class.
    pub workplace_people: u32,
    /// People of one bus.
    pub bus_people: u32,
    /// People of one market.
    pub market_people: u32,
    /// Share of people who go to the market on a day.
    pub to_market: f64,
    /// From desk to desk, m.
    pub desk_m: f64,
}

impl Default for TownPlan {
    fn default() -> Self {
        Self {
            working: 0.7,
            by_bus: 0.5,
            workplace_people: 12,
            bus_people: 18,
            market_people: 500,
            to_market: 0.3,
            desk_m: 2.0,
        }
    }
}

impl TownPlan {
    pub(super) fn check(&self) -> Result<(), SimError> {
        within("a share of people who work", self.working, 0.0, 1.0)?;
        within("a share of people on the bus", self.by_bus, 0.0, 1.0)?;
        within("a share of people at the market", self.to_market, 0.0, 1.0)?;
        within("metres between desks", self.desk_m, 0.5, 20.0)?;
        for (what, people) in [
            ("people of a workplace", self.workplace_people),
            ("people of a bus", self.bus_people),
            ("people of a market", self.market_people),
        ] {
            within(what, f64::from(people), 1.0, 2_000.0)?;
        }
        Ok(())
    }

    pub(super) fn parameters(&self, all: &mut Vec<Parameter>) {
        all.push(parameter(
            "households",
            "1 to 7 people, 3.6 in the mean".to_owned(),
            "Viet Nam's census of 2019 for the mean; the sizes are chosen around it",
        ));
        all.push(parameter(
            "work",
            format!(
                "{} of people, {} together, desks {} m apart, lunch within 6 × 6 m",
                self.working, self.workplace_people, self.desk_m
            ),
            "chosen: a small firm or a class",
        ));
        all.push(parameter(
            "bus",
            format!(
                "{} of those who work, {} together, 10 × 2.4 m",
                self.by_bus, self.bus_people
            ),
            "chosen: a town's bus",
        ));
        all.push(parameter(
            "market",
            format!(
                "{} of people a day, one for {}, 25 × 20 m",
                self.to_market, self.market_people
            ),
            "chosen: a market hall",
        ));
    }
}

/// Where somebody is for a while; milliseconds of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stay {
    pub(super) from_ms: u32,
    pub(super) to_ms: u32,
    pub(super) place: u32,
    pub(super) x_m: f32,
    pub(super) y_m: f32,
}

/// Where everybody lives and works.
#[derive(Debug)]
pub(super) struct Town {
    seed: u64,
    plan: TownPlan,
    people: Vec<Person>,
    /// The kind of each place.
    kinds: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Person {
    home: u32,
    work: Option<Work>,
    bus: Option<u32>,
    market: u32,
}

#[derive(Clone, Copy, Debug)]
struct Work {
    place: u32,
    desk: u32,
}

impl Town {
    pub(super) fn new(seed: u64, people: u32, plan: TownPlan) -> Self {
        let mut town = Self {
            seed,
            plan,
            people: Vec::new(),
            kinds: Vec::new(),
        };
        let mut households = Stream::of(seed, purpose::HOUSEHOLD, 0, 0);
        let (mut left, mut home) = (0, 0);
        // What is filled with people, one after the other, in the order in which they are drawn.
        let (mut work, mut bus) = (Group::default(), Group::default());
        let mut market = Group::default();
        for person in 0..people {
            if left == 0 {
                left = household(households.uniform());
                home = town.place(0);
            }
            left -= 1;
            let mut stream = Stream::of(seed, purpose::PERSON, u64::from(person), 0);
            let works = stream.uniform() < plan.working;
            let rides = stream.uniform() < plan.by_bus && works;
            let work = works.then(|| {
                let (place, desk) = work.join(plan.workplace_people, || town.place(2));
                Work { place, desk }
            });
            let bus = rides.then(|| bus.join(plan.bus_people, || town.place(1)).0);
            let market = market.join(plan.market_people, || town.place(3)).0;
            town.people.push(Person {
                home,
                work,
                bus,
                market,
            });
        }
        town
    }

    fn place(&mut self, kind: u8) -> u32 {
        self.kinds.push(kind);
        u32::try_from(self.kinds.len() - 1).unwrap_or(u32::MAX)
    }

    fn day_of(&self, number: u32, day: u32, isolated: bool, out: &mut Vec<Stay>) {
        let Some(person) = self.people.get(number as usize) else {
            return;
        };
        let stream = Stream::of(self.seed, purpose::PLAN, u64::from(number), u64::from(day));
        let mut way = Way { stream, at: 0, out };
        if isolated {
            // A room of their own, beside the others'.
            way.stay(person.home, DAY, DAY, (9.0, 0.0, 3.0, 5.0));
            return;
        }
        let weekend = day % 7 >= 5;
        if let Some(work) = person.work.filter(|_| !weekend) {
            self.working_day(person, work, &mut way);
        }
        let chance = if weekend {
            2.0 * self.plan.to_market
        } else {
            self.plan.to_market
        };
        if way.stream.uniform() < chance {
            let earliest = way.at.max(8 * HOUR_MS);
            let from = earliest + way.minutes(5.0, 180.0);
            way.at_home(person.home, from);
            let to = from + way.minutes(15.0, 45.0);
            way.stay(person.market, to, 5 * MINUTE_MS, (0.0, 0.0, 25.0, 20.0));
        }
        way.at_home(person.home, DAY);
    }

    /// Bus, desk, lunch, desk, bus.
    fn working_day(&self, person: &Person, work: Work, way: &mut Way<'_>) {
        // A bus leaves at its own time, and all of its people with it.
        let line = u64::from(person.bus.unwrap_or(u32::MAX));
        let mut timetable = Stream::of(self.seed, purpose::WALK, line, 0);
        let leaves = 6 * HOUR_MS + 30 * MINUTE_MS + timetable.below(60) * MINUTE_MS;
        let takes = (15 + timetable.below(20)) * MINUTE_MS;
        way.at_home(person.home, leaves);
        let bus = |way: &mut Way<'_>, until: u32| match person.bus {
            Some(bus) => way.stay(bus, until, DAY, (0.0, 0.0, 10.0, 2.4)),
            None => way.at = until,
        };
        bus(way, leaves + takes);
        let columns = (f64::from(self.plan.workplace_people).sqrt().ceil() as u32).max(1);
        let desk_m = self.plan.desk_m as f32;
        let desk = (
            (work.desk % columns) as f32 * desk_m - 0.4,
            (work.desk / columns) as f32 * desk_m - 0.4,
            0.8,
            0.8,
        );
        way.at += 5 * MINUTE_MS;
        let lunch = 12 * HOUR_MS;
        way.stay(work.place, lunch, 2 * HOUR_MS, desk);
        let back = lunch + way.minutes(30.0, 60.0);
        way.stay(work.place, back, 15 * MINUTE_MS, (0.0, 20.0, 6.0, 6.0));
        way.stay(work.place, 17 * HOUR_MS, 2 * HOUR_MS, desk);
        let evening = 17 * HOUR_MS + 10 * MINUTE_MS;
        way.at = evening;
        bus(way, evening + takes);
    }
}

/// A day that is being written.
struct Way<'o> {
    stream: Stream,
    at: u32,
    out: &'o mut Vec<Stay>,
}

impl Way<'_> {
    fn minutes(&mut self, from: f64, to: f64) -> u32 {
        (self.stream.between(from, to) * f64::from(MINUTE_MS)) as u32
    }

    /// Until `until`, at another point of the room (x, y, width, depth; metres) each `moves`.
    fn stay(&mut self, place: u32, until: u32, moves: u32, room: (f32, f32, f32, f32)) {
        let until = until.min(DAY);
        while self.at < until {
            let to_ms = until.min(self.at.saturating_add(moves));
            self.out.push(Stay {
                from_ms: self.at,
                to_ms,
                place,
                x_m: room.0 + room.2 * self.stream.uniform() as f32,
                y_m: room.1 + room.3 * self.stream.uniform() as f32,
            });
            self.at = to_ms;
        }
    }

    /// At home: in bed until six, and about the room each hour.
    fn at_home(&mut self, home: u32, until: u32) {
        let room = (0.0, 0.0, 6.0, 5.0);
        self.stay(home, until.min(6 * HOUR_MS), DAY, room);
        self.stay(home, until.min(22 * HOUR_MS), HOUR_MS, room);
        self.stay(home, until, DAY, room);
    }
}

/// People who go to one place, until it is full.
#[derive(Default)]
struct Group {
    place: u32,
    people: u32,
}

impl Group {
    /// The place, and which of its people this is.
    fn join(&mut self, size: u32, place: impl FnOnce() -> u32) -> (u32, u32) {
        if self.people.is_multiple_of(size) {
            self.place = place();
            self.people = 0;
        }
        self.people += 1;
        (self.place, self.people - 1)
    }
}

fn household(chance: f64) -> u32 {
    let mut sum = 0.0;
    for (size, share) in (1..).zip(HOUSEHOLDS) {
        sum += share;
        if chance < sum {
            return size;
        }
    }
    1
}

/// Where everybody is, by the town or by a trace.
#[derive(Debug)]
pub(super) enum Movements<'s> {
    Town(Town),
    Trace(&'s Mobility),
}

impl Movements<'_> {
    /// Where `person` is on `day`, in order of time. Who is isolated is at home, or away from everybody.
    pub(super) fn day_of(&self, person: u32, day: u32, isolated: bool, out: &mut Vec<Stay>) {
        match self {
            Self::Town(town) => town.day_of(person, day, isolated, out),
            Self::Trace(_) if isolated => {}
            Self::Trace(trace) => trace_day(trace, person, day, out),
        }
    }

    /// Kinds of places, in their order.
    pub(super) fn kinds(&self) -> Vec<String> {
        match self {
            Self::Town(_) => KINDS.map(str::to_owned).to_vec(),
            Self::Trace(trace) => {
                let named = |name: &String| match name.is_empty() {
                    true => "everywhere".to_owned(),
                    false => name.clone(),
                };
                trace.places.iter().map(named).collect()
            }
        }
    }

    /// Of which kind `place` is.
    pub(super) fn kind(&self, place: u32) -> usize {
        match self {
            Self::Town(town) => town
                .kinds
                .get(place as usize)
                .map_or(0, |it| usize::from(*it)),
            Self::Trace(_) => place as usize,
        }
    }
}

fn trace_day(trace: &Mobility, person: u32, day: u32, out: &mut Vec<Stay>) {
    let begin = u64::from(day) * DAY_MS;
    let end = (begin + DAY_MS).min(trace.end_ms());
    let first = trace.rows.partition_point(|row| row.person < person);
    let rows = trace.rows.get(first..).unwrap_or_default();
    let rows = rows.get(..rows.partition_point(|row| row.person == person));
    let rows = rows.unwrap_or_default();
    let nexts = rows.iter().skip(1).map(|row| row.at_ms).chain([end]);
    for (row, next) in rows.iter().zip(nexts) {
        let (from, to) = (row.at_ms.max(begin), next.min(end));
        let Some(place) = row.place.filter(|_| from < to) else {
            continue;
        };
        out.push(Stay {
            from_ms: u32::try_from(from - begin).unwrap_or(DAY),
            to_ms: u32::try_from(to - begin).unwrap_or(DAY),
            place,
            x_m: row.x_m,
            y_m: row.y_m,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(town: &Town, person: u32, day: u32, isolated: bool) -> Vec<Stay> {
        let mut stays = Vec::new();
        town.day_of(person, day, isolated, &mut stays);
        stays
    }

    #[test]
    fn nobody_is_in_two_places_at_once_and_everybody_comes_home() {
        let town = Town::new(1, 300, TownPlan::default());
        for person in 0..300 {
            for number in 0..7 {
                let stays = day(&town, person, number, false);
                assert!(stays.iter().all(|stay| stay.from_ms < stay.to_ms));
                assert!(stays.windows(2).all(|two| two[0].to_ms <= two[1].from_ms));
                let (first, last) = (stays[0], stays[stays.len() - 1]);
                assert_eq!((first.place, last.to_ms), (last.place, DAY));
            }
        }
    }

    #[test]
    fn who_is_isolated_stays_at_home() {
        let town = Town::new(1, 30, TownPlan::default());
        let stays = day(&town, 7, 3, true);
        assert_eq!(stays.len(), 1);
        assert_eq!(stays[0].place, town.people[7].home);
    }

    #[test]
    fn households_have_the_census_mean() {
        let town = Town::new(1, 20_000, TownPlan::default());
        let homes = town.kinds.iter().filter(|kind| **kind == 0).count();
        let mean = 20_000.0 / homes as f64;
        assert!((3.4..3.8).contains(&mean), "{mean}");
    }

    #[test]
    fn a_trace_is_cut_into_days() {
        let trace = Mobility::parse("86000,An,1,2\n86500,An,3,4\n90000,An,5,6\n").unwrap();
        let movements = Movements::Trace(&trace);
        let of = |day| {
            let mut stays = Vec::new();
            movements.day_of(0, day, false, &mut stays);
            let spans: Vec<_> = stays
                .iter()
                .map(|stay| (stay.from_ms, stay.to_ms, stay.x_m))
                .collect();
            spans
        };
        // Metres from where the first row is.
        assert_eq!(of(0), [(86_000_000, 86_400_000, 0.0)]);
        assert_eq!(of(1), [(0, 100_000, 0.0), (100_000, 3_600_000, 2.0)]);
        assert_eq!(movements.kinds(), ["everywhere"]);
    }
}
