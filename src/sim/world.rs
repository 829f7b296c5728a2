//! One world: the same people and the same infection, with one share of them using the app.

use super::crowd::Crowd;
use super::device::Restart;
use super::ear::{Meeting, Slice};
use super::epidemic::Course;
use super::meetings::{Contact, Hours, Overlap, Whereabouts, contacts};
use super::outcome::{Cost, Day, PlaceHours, World};
use super::random::{Stream, purpose};
use super::scenario::{Scenario, SimError};
use super::tally::{Tally, by_reporter};
use super::town::{Movements, Town};
use super::tracing::{Found, Publication, find, report, rule};
use super::{DAY_MS, Steps};
use crate::engine::RadioUse;
use crate::exposure::risk::RiskModel;
use crate::log::RETENTION_DAYS;
use crate::protocol::{ProtocolKind, PublishedKey};

/// Nobody.
const NONE: u32 = u32::MAX;

/// What has become of somebody.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    course: Option<Course>,
    /// Stays at home before this day.
    at_home_until: i32,
}

/// What somebody gives.
struct Report {
    person: u32,
    /// Its first day.
    first: u32,
    keys: Vec<PublishedKey>,
}

/// What is gathered of a world while it goes on.
struct Sums {
    hours: Hours,
    download_bytes: u64,
    days: Vec<Day>,
}

/// A world that goes on.
struct Going<'s> {
    scenario: &'s Scenario,
    movements: Movements<'s>,
    lives: Vec<Life>,
    crowd: Crowd,
    /// The device of each person.
    device_of: Vec<u32>,
    rule: Box<dyn RiskModel>,
    tally: Tally,
    sums: Sums,
}

/// Those who use the app, at that share: whoever does at a smaller one does too.
pub(super) fn users(scenario: &Scenario, adoption: f64) -> Vec<u32> {
    let uses = |person: &u32| {
        let person = u64::from(*person);
        Stream::of(scenario.seed, purpose::ADOPTION, person, 0).uniform() < adoption
    };
    (0..scenario.population()).filter(uses).collect()
}

pub(super) fn run(
    scenario: &Scenario,
    adoption: f64,
    steps: &Steps<'_>,
) -> Result<World, SimError> {
    let mut going = Going::new(scenario, adoption)?;
    for day in 0..scenario.duration_days() {
        going.day(day, steps)?;
    }
    going.world(adoption)
}

impl<'s> Going<'s> {
    fn new(scenario: &'s Scenario, adoption: f64) -> Result<Self, SimError> {
        let people = scenario.population();
        let users = users(scenario, adoption);
        let mut device_of = vec![NONE; people as usize];
        for (device, person) in (0..).zip(&users) {
            if let Some(of) = device_of.get_mut(*person as usize) {
                *of = device;
            }
        }
        let movements = match &scenario.mobility {
            Some(trace) => Movements::Trace(trace),
            None => Movements::Town(Town::new(scenario.seed, people, scenario.town)),
        };
        let lives = first_lives(scenario);
        Ok(Self {
            crowd: Crowd::new(scenario, &users)?,
            sums: Sums {
                hours: Hours::new(movements.kinds().len()),
                download_bytes: 0,
                days: Vec::new(),
            },
            rule: rule(scenario)?,
            tally: Tally::new(scenario),
            scenario,
            movements,
            lives,
            device_of,
        })
    }

    fn day(&mut self, day: u32, steps: &Steps<'_>) -> Result<(), SimError> {
        let today = i32::try_from(day).unwrap_or(i32::MAX);
        let at_home: Vec<bool> = self
            .lives
            .iter()
            .map(|life| life.at_home_until > today)
            .collect();
        let there = Whereabouts::of(&self.movements, day, &at_home);
        let mut overlaps = Vec::new();
        let range_m = self.scenario.ether.range_m as f32;
        there.overlaps(range_m, |overlap| overlaps.push(overlap));
        drop(there);
        let meetings = self.meetings(day, &overlaps);
        let contacts = contacts(
            self.scenario,
            &self.movements,
            &mut overlaps,
            &mut self.sums.hours,
        );
        drop(overlaps);
        let infections = self.infect(today, &contacts);
        self.remember(day, contacts);
        self.draw_restarts(day);
        let weight = 1 + self.crowd.devices.len() as u64;
        self.crowd
            .run_day(self.scenario, day, &meetings, &|_| steps.did(weight))?;
        drop(meetings);
        if self.crowd.devices.is_empty() {
            steps.did(24 * weight);
        }
        self.midnight(day, infections)
    }

    /// Whom each device may hear, and how strong.
    fn meetings(&self, day: u32, overlaps: &[Overlap]) -> Vec<Vec<Meeting>> {
        let scenario = self.scenario;
        let mut all = vec![Vec::new(); self.crowd.devices.len()];
        let device = |person: u32| self.device_of.get(person as usize).copied().unwrap_or(NONE);
        for overlap in overlaps {
            let (a, b) = (device(overlap.pair.0), device(overlap.pair.1));
            if a == NONE || b == NONE {
                continue;
            }
            let meeting = u64::from(day) << 32 | u64::from(overlap.from_ms);
            let shadow = scenario
                .ether
                .shadow_db(scenario.seed, overlap.pair, meeting);
            let distance_m = f64::from(overlap.distance_m);
            let strength = scenario.ether.strength_dbm(distance_m, scenario.protocol);
            for (hears, sender) in [(a, b), (b, a)] {
                if let Some(meetings) = all.get_mut(hears as usize) {
                    meetings.push(Meeting {
                        from_ms: overlap.from_ms,
                        to_ms: overlap.to_ms,
                        sender,
                        mean_dbm: (strength + shadow) as f32,
                    });
                }
            }
        }
        for meetings in &mut all {
            meetings.sort_unstable_by_key(|it| (it.from_ms, it.sender, it.to_ms));
        }
        all
    }

    /// Who is infected today.
    fn infect(&mut self, today: i32, contacts: &[Contact]) -> u32 {
        let model = &self.scenario.model;
        let mut infected = Vec::new();
        for contact in contacts.iter().filter(|contact| contact.near_ms > 0) {
            let (a, b) = contact.pair;
            for (from, to) in [(a, b), (b, a)] {
                let course = |person: u32| self.lives.get(person as usize).and_then(|it| it.course);
                let Some(course) = course(from).filter(|_| course(to).is_none()) else {
                    continue;
                };
                if !(course.infectious_from..=course.infectious_to).contains(&today) {
                    continue;
                }
                let rate = model.transmission.value * model.infectivity.on(today - course.onset);
                let chance = 1.0 - (-rate * contact.near_minutes()).exp();
                let pair = u64::from(from) << 32 | u64::from(to);
                let day = u64::from(today.unsigned_abs());
                let mut draw = Stream::of(self.scenario.seed, purpose::INFECTION, pair, day);
                if draw.uniform() < chance {
                    infected.push(to);
                }
            }
        }
        infected.sort_unstable();
        infected.dedup();
        for person in &infected {
            if let Some(life) = self.lives.get_mut(*person as usize) {
                let course = model.course(self.scenario.seed, *person, today.unsigned_abs());
                life.course = Some(course);
            }
        }
        u32::try_from(infected.len()).unwrap_or(u32::MAX)
    }

    /// Keeps the contacts of two devices.
    fn remember(&mut self, day: u32, mut contacts: Vec<Contact>) {
        if self.crowd.devices.is_empty() {
            return;
        }
        let has = |person: u32| self.device_of.get(person as usize) != Some(&NONE);
        contacts.retain(|contact| has(contact.pair.0) && has(contact.pair.1));
        contacts.shrink_to_fit();
        self.tally.remember(day, contacts);
    }

    fn draw_restarts(&mut self, day: u32) {
        let chance = self.scenario.faults.restarts_a_day;
        for device in &mut self.crowd.devices {
            let person = u64::from(device.person);
            let mut stream =
                Stream::of(self.scenario.seed, purpose::RESTART, person, u64::from(day));
            if stream.uniform() < chance {
                let at_ms = u64::from(stream.below(DAY_MS as u32));
                device.restart = Some(Restart {
                    at_ms: u64::from(day) * DAY_MS + at_ms,
                    reboots: stream.uniform() < 0.5,
                });
            }
        }
    }

    /// Results of tests, reports, and what comes of them.
    fn midnight(&mut self, day: u32, infections: u32) -> Result<(), SimError> {
        let today = i32::try_from(day).unwrap_or(i32::MAX);
        let (positive, given) = self.tests(day, today)?;
        let reports = given.len();
        let notified = match given.is_empty() {
            true => 0,
            false => self.publish(day, given)?,
        };
        let count = |is: &dyn Fn(&Course) -> bool| {
            let courses = self.lives.iter().filter_map(|life| life.course.as_ref());
            u32::try_from(courses.filter(|course| is(course)).count()).unwrap_or(u32::MAX)
        };
        let at_home = self.lives.iter().filter(|it| it.at_home_until > today + 1);
        let infected = count(&|_| true);
        self.sums.days.push(Day {
            day,
            susceptible: self.scenario.population() - infected,
            exposed: count(&|course| course.infectious_from > today),
            infectious: count(&|it| (it.infectious_from..=it.infectious_to).contains(&today)),
            recovered: count(&|course| course.infectious_to < today),
            infections,
            tests_positive: positive,
            reports: u32::try_from(reports).unwrap_or(u32::MAX),
            notified,
            isolated: u32::try_from(at_home.count()).unwrap_or(u32::MAX),
        });
        Ok(())
    }

    /// Who is tested positive today, how many, and the keys that those give who have the app and agree.
    fn tests(&mut self, day: u32, today: i32) -> Result<(u32, Vec<Report>), SimError> {
        let (mut positive, mut given) = (0, Vec::new());
        let before = self.scenario.model.reported_before_onset.value as i32;
        for (person, life) in (0..).zip(&mut self.lives) {
            let Some(course) = life.course.filter(|course| course.result == Some(today)) else {
                continue;
            };
            positive += 1;
            life.at_home_until = life.at_home_until.max(course.infectious_to + 1);
            let device = self.device_of.get(person as usize).copied();
            let device = device.and_then(|device| self.crowd.devices.get_mut(device as usize));
            let Some(device) = device.filter(|_| course.consents) else {
                continue;
            };
            let oldest = day.saturating_sub(RETENTION_DAYS);
            let first = u32::try_from(course.onset - before)
                .unwrap_or(0)
                .max(oldest);
            let keys = report(device, end_of(day), first, day)?;
            given.push(Report {
                person,
                first,
                keys,
            });
        }
        Ok((positive, given))
    }

    /// Publishes what was given, has every device look for it, and tells people; gives how many.
    fn publish(&mut self, day: u32, given: Vec<Report>) -> Result<u32, SimError> {
        let reporters: Vec<(u32, u32)> = given.iter().map(|it| (it.person, it.first)).collect();
        let given = given.into_iter().map(|it| (it.person, it.keys));
        let publication = Publication::of(self.scenario, day, given.collect())?;
        self.sums.download_bytes += publication.bytes as u64;
        let (scenario, rule) = (self.scenario, self.rule.as_ref());
        let now_ms = end_of(day).to_ms;
        let found = self.crowd.each(|device| {
            let found = find(scenario, rule, device, &publication, now_ms)?;
            Ok((device.person, found))
        })?;
        let told_hours = f64::from(day + 1) * 24.0;
        let by_reporter = by_reporter(&found);
        for (reporter, first) in reporters {
            self.tally
                .count(reporter, first..=day, &by_reporter, told_hours);
        }
        Ok(self.tell(&found))
    }

    /// Those who are told stay at home, if they comply.
    fn tell(&mut self, found: &[(u32, Vec<Found>)]) -> u32 {
        let model = &self.scenario.model;
        let mut told = 0;
        for (person, found) in found {
            let latest = found.iter().filter(|it| it.told).map(|it| it.day).max();
            let life = self.lives.get_mut(*person as usize);
            let (Some(latest), Some(life)) = (latest, life) else {
                continue;
            };
            told += 1;
            let person = u64::from(*person);
            // Who does not comply once never does.
            let mut draw = Stream::of(self.scenario.seed, purpose::COMPLIANCE, person, 0);
            if draw.uniform() < model.compliance.value {
                let until = f64::from(latest) + model.quarantine.value + 1.0;
                life.at_home_until = life.at_home_until.max(until as i32);
            }
        }
        told
    }

    fn world(mut self, adoption: f64) -> Result<World, SimError> {
        let cost = self.cost()?;
        let days = f64::from(self.scenario.duration_days().max(1));
        let hours = self.sums.hours.0.iter();
        let places = self.movements.kinds().into_iter().zip(hours);
        let mut delay_hours = std::mem::take(&mut self.tally.delay_hours);
        delay_hours.sort_by(f64::total_cmp);
        Ok(World {
            adoption,
            tracing: adoption > 0.0,
            people: self.scenario.population(),
            devices: u32::try_from(self.crowd.devices.len()).unwrap_or(u32::MAX),
            detection: self.tally.detection(),
            delay_hours,
            cost,
            places: places
                .map(|(place, minutes)| PlaceHours {
                    place,
                    minutes: minutes.iter().map(|minutes| minutes / days).collect(),
                })
                .collect(),
            days: self.sums.days,
        })
    }

    fn cost(&mut self) -> Result<Cost, SimError> {
        let days = self.scenario.duration_days();
        let stored_days = f64::from(days.clamp(1, RETENTION_DAYS + 1));
        let devices = self.crowd.devices.len() as f64;
        let per_day = f64::from(days.max(1)) * devices.max(1.0);
        let each = self
            .crowd
            .each(|device| Ok((device.log_bytes()?, device.done())))?;
        let sum = |of: &dyn Fn(&(u64, super::device::Done)) -> u64| {
            each.iter().map(of).sum::<u64>() as f64
        };
        let radio_mah = match self.crowd.devices.is_empty() {
            true => 0.0,
            false => radio_use(self.scenario).mah_per_day(RadioUse::RECEIVE_MA, RadioUse::SEND_MA),
        };
        Ok(Cost {
            log_bytes: sum(&|it| it.0) / stored_days / devices.max(1.0),
            frames: sum(&|it| it.1.frames) / per_day,
            sightings: sum(&|it| it.1.sightings) / per_day,
            download_bytes: self.sums.download_bytes as f64 / f64::from(days.max(1)),
            radio_mah,
        })
    }
}

/// Everybody as it begins: some are infected, nobody knows.
fn first_lives(scenario: &Scenario) -> Vec<Life> {
    let people = scenario.population();
    let mut lives = vec![Life::default(); people as usize];
    let mut draws = Stream::of(scenario.seed, purpose::FIRST_INFECTED, 0, 0);
    let mut others: Vec<u32> = (0..people).collect();
    for _ in 0..scenario.model.infected_first.min(people) {
        let left = u32::try_from(others.len()).unwrap_or(u32::MAX);
        let person = others.swap_remove(draws.below(left) as usize);
        if let Some(life) = lives.get_mut(person as usize) {
            life.course = Some(scenario.model.course(scenario.seed, person, 0));
        }
    }
    lives
}

/// What the scenario's schedule asks of a radio.
fn radio_use(scenario: &Scenario) -> RadioUse {
    scenario.schedule.radio_use(
        frame_bytes(scenario.protocol),
        scenario.advertising_interval,
    )
}

/// Bytes of a frame's data.
pub(super) fn frame_bytes(protocol: ProtocolKind) -> u8 {
    match protocol {
        ProtocolKind::Bluezone => 23,
        ProtocolKind::Gaen => 31,
    }
}

/// The last moment of a day, which is the first of the next.
fn end_of(day: u32) -> Slice {
    let day_ms = u64::from(day) * DAY_MS;
    Slice {
        day_ms,
        from_ms: day_ms + DAY_MS,
        to_ms: day_ms + DAY_MS,
    }
}
