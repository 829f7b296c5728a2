//! Which pairs are one device to whoever listens, and which follow one another.

use std::collections::BTreeMap;

use crate::field::capture::Address;
use crate::protocol::EphemeralId;

use super::presence::{Presence, Source};

/// How long after one identifier ended the next may begin and still be taken for its successor. Chosen: BlueZ registers an
/// advertisement anew in a tenth of a second, a phone's scan pauses for up to five.
pub(super) const SILENCE_MAX_US: u64 = 5_000_000;
/// The same for an identifier that was on the air for a moment alone.
const SILENCE_MIN_US: u64 = 500_000;
/// How long both may be on the air together. Chosen: longer is somebody else.
pub(super) const OVERLAP_MAX_US: u64 = 2_000_000;

/// Candidates that are looked at for one successor. Chosen: of more, none is told from the others.
const CANDIDATES_MAX: usize = 64;

/// Pairs that share an address or an identifier: one device, whoever listens.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// In the order of their times.
    pub(super) pairs: Vec<usize>,
    pub(super) first_us: u64,
    pub(super) last_us: u64,
    pub(super) source: Option<Source>,
}

impl Group {
    pub(super) fn span_us(&self) -> u64 {
        self.last_us.saturating_sub(self.first_us)
    }
}

/// One group began as others had ended, or were about to.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    /// Those it may have been. One alone is taken for it.
    pub(super) from: Vec<usize>,
    pub(super) to: usize,
}

/// All that was on the air, in its connections.
#[derive(Debug)]
pub(super) struct World {
    pub(super) pairs: Vec<Presence>,
    /// In the order of their begin.
    pub(super) groups: Vec<Group>,
    pub(super) handovers: Vec<Handover>,
    /// Groups that follow one another without another candidate, each in one chain.
    pub(super) chains: Vec<Vec<usize>>,
}

impl World {
    pub(super) fn new(pairs: Vec<Presence>, end_us: u64) -> Self {
        let groups = groups(&pairs);
        let handovers = handovers(&pairs, &groups, end_us);
        let chains = chains(groups.len(), &handovers);
        Self {
            pairs,
            groups,
            handovers,
            chains,
        }
    }

    /// The pairs of a group.
    pub(super) fn pairs_of<'a>(&'a self, group: &'a Group) -> impl Iterator<Item = &'a Presence> {
        group
            .pairs
            .iter()
            .filter_map(|index| self.pairs.get(*index))
    }

    pub(super) fn group(&self, index: usize) -> Option<&Group> {
        self.groups.get(index)
    }

    /// The pairs at both sides of a change from one group to another: the last of one, the first of the other.
    pub(super) fn sides(&self, from: usize, to: usize) -> Option<(&Presence, &Presence)> {
        let before = self.group(from)?.pairs.last()?;
        let after = self.group(to)?.pairs.first()?;
        Some((self.pairs.get(*before)?, self.pairs.get(*after)?))
    }
}

/// The smallest member of a set that grows by joining.
fn root(parents: &mut [usize], mut member: usize) -> usize {
    while let Some(&parent) = parents.get(member)
        && parent != member
    {
        let above = parents.get(parent).copied().unwrap_or(parent);
        if let Some(slot) = parents.get_mut(member) {
            *slot = above;
        }
        member = above;
    }
    member
}

fn join(parents: &mut [usize], a: usize, b: usize) {
    let (a, b) = (root(parents, a), root(parents, b));
    if let Some(slot) = parents.get_mut(a.max(b)) {
        *slot = a.min(b);
    }
}

fn groups(pairs: &[Presence]) -> Vec<Group> {
    let mut parents: Vec<usize> = (0..pairs.len()).collect();
    let mut addresses: BTreeMap<Address, usize> = BTreeMap::new();
    let mut identifiers: BTreeMap<EphemeralId, usize> = BTreeMap::new();
    for (index, pair) in pairs.iter().enumerate() {
        let by_address = *addresses.entry(pair.address).or_insert(index);
        join(&mut parents, by_address, index);
        let by_identifier = *identifiers.entry(pair.id).or_insert(index);
        join(&mut parents, by_identifier, index);
    }
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..pairs.len() {
        let root = root(&mut parents, index);
        members.entry(root).or_default().push(index);
    }
    let mut groups: Vec<Group> = members
        .into_values()
        .map(|mut members| {
            members.sort_by_key(|it| pairs.get(*it).map(|it| (it.first_us, it.last_us)));
            let all = || members.iter().filter_map(|it| pairs.get(*it));
            Group {
                first_us: all().map(|it| it.first_us).min().unwrap_or(0),
                last_us: all().map(|it| it.last_us).max().unwrap_or(0),
                source: all().find_map(|it| it.source),
                pairs: members,
            }
        })
        .collect();
    groups.sort_by_key(|it| (it.first_us, it.last_us));
    groups
}

fn handovers(pairs: &[Presence], groups: &[Group], end_us: u64) -> Vec<Handover> {
    let mut ends: Vec<(u64, usize)> = groups.iter().map(|it| it.last_us).zip(0..).collect();
    ends.sort_unstable();
    let mut claimed = vec![false; groups.len()];
    let mut latest = BTreeMap::new();
    let mut found = Vec::new();
    let protocol = |group: &Group| {
        let first = group.pairs.first().and_then(|it| pairs.get(*it));
        first.map(|it| it.protocol)
    };
    for (to, group) in groups.iter().enumerate() {
        // On its own host's capture it is known whose successor it is.
        let from = match group.source {
            Some(source) => latest
                .insert((source, protocol(group)), to)
                .into_iter()
                .collect(),
            None => {
                let is_candidate = |(_, from): &&(u64, usize)| {
                    let Some(other) = groups.get(*from) else {
                        return false;
                    };
                    let silence = (other.span_us() / 4).clamp(SILENCE_MIN_US, SILENCE_MAX_US);
                    let overlapping = other.last_us > group.first_us;
                    let unclaimed = claimed.get(*from) == Some(&false);
                    unclaimed
                        && other.source.is_none()
                        && protocol(other) == protocol(group)
                        && other.first_us < group.first_us
                        && other.last_us < group.last_us
                        && other.last_us.saturating_add(silence) >= group.first_us
                        // At the capture's end everybody ends.
                        && !(overlapping && other.last_us.saturating_add(OVERLAP_MAX_US) > end_us)
                };
                let begin = group.first_us.saturating_sub(SILENCE_MAX_US);
                let begin = ends.partition_point(|(end, _)| *end < begin);
                let end = group.first_us.saturating_add(OVERLAP_MAX_US);
                let near = ends.iter().skip(begin).take_while(|(at, _)| *at <= end);
                let candidates = near.filter(is_candidate).take(CANDIDATES_MAX);
                candidates.map(|(_, from)| *from).collect::<Vec<_>>()
            }
        };
        if let [from] = from.as_slice()
            && let Some(slot) = claimed.get_mut(*from)
        {
            *slot = true;
        }
        if !from.is_empty() {
            found.push(Handover { from, to });
        }
    }
    found
}

fn chains(groups: usize, handovers: &[Handover]) -> Vec<Vec<usize>> {
    let mut chains: Vec<Vec<usize>> = Vec::new();
    let mut chain_of: BTreeMap<usize, usize> = BTreeMap::new();
    let before: BTreeMap<usize, usize> = handovers
        .iter()
        .filter_map(|it| match it.from.as_slice() {
            [from] => Some((it.to, *from)),
            _ => None,
        })
        .collect();
    for group in 0..groups {
        let chain = before
            .get(&group)
            .and_then(|from| chain_of.get(from))
            .copied();
        let chain = chain.unwrap_or(chains.len());
        match chains.get_mut(chain) {
            Some(chain) => chain.push(group),
            None => chains.push(vec![group]),
        }
        chain_of.insert(group, chain);
    }
    chains
}
