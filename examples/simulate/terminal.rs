//! The outcome in the terminal: a line a world, and the attackers.

use truyvet::sim::{AttackOutcome, Outcome, World};

use crate::support::{block, count, say};

/// Columns of a curve at most.
const COLUMNS: usize = 35;

pub(crate) fn show(outcome: &Outcome) {
    if let Some(world) = outcome.worlds.first() {
        say!(
            "{} in a town, {}, seed {}. A model, and no medical advice.",
            people(world.people),
            count(world.days.len(), "day"),
            outcome.seed
        );
        say!();
    }
    worlds(&outcome.worlds);
    for schedule in &outcome.schedules {
        let published = schedule.published.map_or_else(String::new, |published| {
            format!(", published {:.2} %", 100.0 * published)
        });
        say!(
            "{}: continuity {:.2} %{published}; noticed after {:.1} s on average, {:.1} s at most",
            schedule.name,
            100.0 * schedule.continuity,
            schedule.noticed_mean_s,
            schedule.noticed_max_s
        );
    }
    if !outcome.schedules.is_empty() {
        say!();
    }
    for attack in &outcome.attacks {
        say!("{}: {}", attack.name, verdict(attack));
    }
    if !outcome.attacks.is_empty() {
        say!();
    }
}

fn people(number: u32) -> String {
    match number {
        1 => "1 person".to_owned(),
        number => format!("{number} people"),
    }
}

fn worlds(worlds: &[World]) {
    let highest = worlds.iter().flat_map(|world| &world.days);
    let highest = highest.map(|day| day.infectious).max().unwrap_or_default();
    say!(
        "{:>8}  {:COLUMNS$}  {:>8} {:>9} {:>7}",
        "",
        "infectious, day by day",
        "infected",
        "contacts",
        "found"
    );
    for world in worlds {
        let step = world.days.len().div_ceil(COLUMNS).max(1);
        let curve: String = world
            .days
            .chunks(step)
            .map(|days| {
                days.iter()
                    .map(|day| day.infectious)
                    .max()
                    .unwrap_or_default()
            })
            .map(|people| height(people, highest))
            .collect();
        let infected: u32 = world.days.iter().map(|day| day.infections).sum();
        let name = match world.tracing {
            true => format!("{} %", round(100.0 * world.adoption)),
            false => "without".to_owned(),
        };
        let found = match (world.tracing, world.detection.contacts) {
            (false, _) => String::new(),
            (true, 0) => "-".to_owned(),
            (true, contacts) => format!(
                "{:.1} %",
                100.0 * world.detection.found as f64 / contacts as f64
            ),
        };
        let contacts = match world.tracing {
            true => world.detection.contacts.to_string(),
            false => String::new(),
        };
        say!("{name:>8}  {curve:COLUMNS$}  {infected:>8} {contacts:>9} {found:>7}");
    }
    say!();
}

fn height(people: u32, highest: u32) -> char {
    match (people, highest) {
        (0, _) | (_, 0) => ' ',
        (people, highest) => block((people * 8 / highest).saturating_sub(1) as usize),
    }
}

/// With as many digits as it needs, and two at most.
pub(crate) fn round(number: f64) -> f64 {
    (100.0 * number).round() / 100.0
}

pub(crate) fn verdict(attack: &AttackOutcome) -> String {
    let holds = match attack.holds {
        true => "holds",
        false => "DOES NOT HOLD",
    };
    format!(
        "{holds}: {} {}, against {}",
        attack.measure,
        round(attack.achieved),
        round(attack.baseline)
    )
}
