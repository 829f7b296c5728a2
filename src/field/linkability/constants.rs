//! Values that stay while identifier and address change.

use std::collections::BTreeMap;

use super::Config;
use super::chains::{OVERLAP_MAX_US, SILENCE_MAX_US, World};
use super::fields::{Field, Place, Trait};
use super::presence::Presence;
use super::report::{Certainty, Evidence, Finding, Kind, Severity};
use super::timing;

/// Of a device's changes, how many have to be seen on both sides before a value out of few is said to be its own.
const FOLLOWED: (usize, usize) = (2, 3);

pub(super) fn findings(world: &World, config: &Config) -> Vec<Finding> {
    let mut by_members: BTreeMap<Vec<usize>, Vec<Trait>> = BTreeMap::new();
    let (begins, ends) = sorted_times(world);
    for (value, members) in holders(world) {
        // Two at the same time with one value are two devices, who share it.
        if members.len() < 2 || is_shared(world, &members) {
            continue;
        }
        let singles_out = value.singles_out(members.len(), world.groups.len())
            || (members.len() >= config.min_changes.max(2)
                && follow_each_other(world, &members)
                && in_a_crowd(world, &members, config, &begins, &ends));
        if singles_out {
            by_members.entry(members).or_default().push(value);
        }
    }
    let constant = by_members.iter();
    constant
        .filter_map(|(members, values)| finding(world, members, values))
        .collect()
}

/// The groups that have each value, in the order of their begin.
fn holders(world: &World) -> BTreeMap<Trait, Vec<usize>> {
    let mut holders: BTreeMap<Trait, Vec<usize>> = BTreeMap::new();
    let intervals = timing::interval_classes(world);
    for (index, group) in world.groups.iter().enumerate() {
        let traits = world
            .pairs_of(group)
            .flat_map(|pair| pair.traits.iter().copied());
        let interval = intervals.get(&index);
        for it in
            traits.chain(interval.map(|class| Trait::common(Field::Interval, &class.to_le_bytes())))
        {
            let members = holders.entry(it).or_default();
            if members.last() != Some(&index) {
                members.push(index);
            }
        }
    }
    holders
}

fn is_shared(world: &World, members: &[usize]) -> bool {
    let mut latest = 0;
    members
        .iter()
        .filter_map(|it| world.group(*it))
        .any(|group| {
            let shared = group.first_us.saturating_add(OVERLAP_MAX_US) < latest.min(group.last_us);
            latest = latest.max(group.last_us);
            shared
        })
}

/// Whether most of the groups begin as the one before ends.
fn follow_each_other(world: &World, members: &[usize]) -> bool {
    let followed = members.windows(2).filter(|two| match two {
        [from, to] => {
            let (from, to) = (world.group(*from), world.group(*to));
            from.zip(to).is_some_and(|(from, to)| {
                to.first_us <= from.last_us.saturating_add(SILENCE_MAX_US)
            })
        }
        _ => false,
    });
    followed.count() * FOLLOWED.1 >= (members.len() - 1) * FOLLOWED.0
}

fn sorted_times(world: &World) -> (Vec<u64>, Vec<u64>) {
    let mut begins: Vec<u64> = world.groups.iter().map(|it| it.first_us).collect();
    let mut ends: Vec<u64> = world.groups.iter().map(|it| it.last_us).collect();
    begins.sort_unstable();
    ends.sort_unstable();
    (begins, ends)
}

/// Whether beside each of the groups there were enough others, who have another value.
fn in_a_crowd(
    world: &World,
    members: &[usize],
    config: &Config,
    begins: &[u64],
    ends: &[u64],
) -> bool {
    let mut members = members.iter().filter_map(|it| world.group(*it));
    members.all(|group| {
        let begun = begins.partition_point(|begin| *begin <= group.last_us);
        let ended = ends.partition_point(|end| *end < group.first_us);
        // At either end stands the device's own identifier before and after, by a hair.
        begun.saturating_sub(ended) >= config.min_crowd.saturating_add(2)
    })
}

fn finding(world: &World, members: &[usize], values: &[Trait]) -> Option<Finding> {
    let groups: Vec<_> = members.iter().filter_map(|it| world.group(*it)).collect();
    let (first, last) = (groups.first()?, groups.last()?);
    let telling = values.iter().any(|it| it.own_bytes > 0);
    let names: Vec<String> = values
        .iter()
        .filter(|it| (it.own_bytes > 0) == telling)
        .map(name)
        .collect();
    let pairs: Vec<&Presence> = groups
        .iter()
        .filter_map(|it| world.pairs_of(it).next())
        .collect();
    Some(Finding {
        kind: Kind::ConstantField,
        severity: if telling {
            Severity::High
        } else {
            Severity::Medium
        },
        certainty: if telling {
            Certainty::Likely
        } else {
            Certainty::Possible
        },
        what: format!(
            "the same {} over {} changes of address and identifier{}",
            names.join(", "),
            members.len() - 1,
            if telling {
                ", and in nobody else's"
            } else {
                ", where all others beside it have another"
            }
        ),
        linkable_s: Some(last.last_us.saturating_sub(first.first_us) / 1_000_000),
        evidence: Evidence::of(pairs),
        advice: "send nothing beside the identifier that is the device's own: no name, no manufacturer data of another app, \
                 metadata encrypted anew, and flags, power and interval as all others of the protocol have them",
    })
}

fn name(value: &Trait) -> String {
    match value.place {
        Place::Own => value.field.to_string(),
        Place::Answer => format!("{} in the answer to a scan", value.field),
        Place::Beside => format!(
            "{} in another advertisement of the same address",
            value.field
        ),
    }
}
