//! Addresses and identifiers that do not change together, and addresses that tell who it is.

use std::collections::{BTreeMap, BTreeSet};

use crate::field::capture::AddressKind;
use crate::protocol::EphemeralId;

use super::chains::{Group, OVERLAP_MAX_US, World};
use super::presence::Presence;
use super::report::{Certainty, Evidence, Finding, Kind, Severity};

/// An identifier that is on the air for so many halves of a slot was not changed. Chosen: GAEN's systems may take two slots, and
/// a half for a change that comes late.
const HALF_SLOTS_MAX: u64 = 5;

pub(super) fn findings(world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in &world.groups {
        let pairs: Vec<&Presence> = world.pairs_of(group).collect();
        findings.extend(address_outlives_identifier(group, &pairs));
        findings.extend(identifier_outlives_address(group, &pairs));
        findings.extend(identifier_kept(&pairs));
        findings.extend(telling_address(group, &pairs));
        findings.extend(overlaps_in_group(group, &pairs));
    }
    findings.extend(own_overlaps(world));
    findings.extend(kinds_of_address(world));
    findings
}

fn identifiers(pairs: &[&Presence]) -> BTreeSet<EphemeralId> {
    pairs.iter().map(|it| it.id).collect()
}

/// The pairs whose key `key` comes again with another pair.
fn sharing<'a, K: Ord>(
    pairs: &[&'a Presence],
    key: impl Fn(&Presence) -> K,
) -> Vec<Vec<&'a Presence>> {
    let mut by: BTreeMap<K, Vec<&Presence>> = BTreeMap::new();
    for pair in pairs {
        by.entry(key(pair)).or_default().push(pair);
    }
    by.into_values().filter(|them| them.len() > 1).collect()
}

fn address_outlives_identifier(group: &Group, pairs: &[&Presence]) -> Option<Finding> {
    let kept = sharing(pairs, |it| it.address);
    if kept.is_empty() {
        return None;
    }
    let changes: usize = kept.iter().map(|them| them.len() - 1).sum();
    let evidence = kept.iter().flatten().copied();
    Some(Finding {
        kind: Kind::AddressOutlivesIdentifier,
        severity: Severity::High,
        certainty: Certainty::Certain,
        what: format!(
            "an address stayed while the identifier changed, {changes} times: {} identifiers are one device's",
            identifiers(pairs).len()
        ),
        linkable_s: Some(group.span_us() / 1_000_000),
        evidence: Evidence::of(evidence),
        advice: "give the controller a new address with each identifier, before the new one is on the air: stop \
                 advertising, change both, start",
    })
}

fn identifier_outlives_address(group: &Group, pairs: &[&Presence]) -> Option<Finding> {
    let kept = sharing(pairs, |it| it.id);
    if kept.is_empty() {
        return None;
    }
    // A relay sends somebody's identifier from an address of its own, at the same time.
    let at_once = kept.iter().any(|them| {
        them.windows(2)
            .any(|two| matches!(two, [a, b] if a.overlaps(b, OVERLAP_MAX_US)))
    });
    let many = identifiers(pairs).len() > 1;
    let changes: usize = kept.iter().map(|them| them.len() - 1).sum();
    Some(Finding {
        kind: Kind::IdentifierOutlivesAddress,
        severity: if many { Severity::High } else { Severity::Medium },
        certainty: if at_once { Certainty::Possible } else { Certainty::Certain },
        what: match at_once {
            true => "an identifier was sent from several addresses at once: two transmitters of one device, or a relay \
                     that repeats it"
                .to_owned(),
            false => format!(
                "an identifier stayed while the address changed, {changes} times: the addresses are one device's"
            ),
        },
        linkable_s: Some(group.span_us() / 1_000_000),
        evidence: Evidence::of(kept.iter().flatten().copied()),
        advice: "change the identifier whenever the address changes: where the system changes addresses by itself, restart \
                 the advertisement with a new identifier when it does",
    })
}

/// Of each identifier how long it was on the air.
fn identifier_kept(pairs: &[&Presence]) -> Vec<Finding> {
    let mut spans: BTreeMap<EphemeralId, (u64, u64, &Presence)> = BTreeMap::new();
    for pair in pairs {
        let span = spans
            .entry(pair.id)
            .or_insert((pair.first_us, pair.last_us, pair));
        (span.0, span.1) = (span.0.min(pair.first_us), span.1.max(pair.last_us));
    }
    let kept = spans.into_values().filter_map(|(first, last, pair)| {
        let (span_s, slot_s) = ((last - first) / 1_000_000, pair.protocol.slot_length().as_secs());
        (2 * span_s > HALF_SLOTS_MAX * slot_s).then(|| Finding {
            kind: Kind::IdentifierKept,
            severity: Severity::High,
            certainty: Certainty::Certain,
            what: format!(
                "an identifier was on the air for {} minutes, where {} has a new one every {}",
                span_s / 60,
                pair.protocol,
                slot_s / 60
            ),
            linkable_s: Some(span_s),
            evidence: Evidence::of([pair]),
            advice: "see why it is not changed: a timer that sleeps with the device, or a recording that is played again",
        })
    });
    kept.collect()
}

fn telling_address(group: &Group, pairs: &[&Presence]) -> Option<Finding> {
    let public = pairs.iter().copied().filter(|it| it.is_public());
    let evidence = Evidence::of(public);
    (!evidence.is_empty()).then(|| Finding {
        kind: Kind::PublicAddress,
        severity: Severity::High,
        certainty: Certainty::Certain,
        what: format!(
            "the device's own, public address carries its identifiers, {} of them here",
            identifiers(pairs).len()
        ),
        linkable_s: None,
        evidence,
        advice: match group.source {
            Some(_) => "advertise under a random address: own address type 1, and a new non-resolvable one each time",
            None => "have its system advertise under random addresses",
        },
    })
}

/// Under one address, or of one identifier, old and new at the same time. What shares an address is told already; that both
/// are on the air at once is worse than that the one follows the other.
fn overlaps_in_group(group: &Group, pairs: &[&Presence]) -> Option<Finding> {
    let mut latest: Option<&Presence> = None;
    let mut evidence = Vec::new();
    for pair in pairs.iter().copied() {
        if let Some(before) = latest
            && before.id != pair.id
            && before.overlaps(pair, 0)
        {
            evidence.extend([before, pair]);
        }
        if latest.is_none_or(|before| before.last_us < pair.last_us) {
            latest = Some(pair);
        }
    }
    (!evidence.is_empty()).then(|| overlap(group.span_us(), &evidence, Certainty::Certain))
}

fn overlap(span_us: u64, evidence: &[&Presence], certainty: Certainty) -> Finding {
    Finding {
        kind: Kind::Overlap,
        severity: Severity::High,
        certainty,
        what: "old and new identifier were on the air at the same time, so that the one that ends as the other begins \
               is its successor"
            .to_owned(),
        linkable_s: Some(span_us / 1_000_000),
        evidence: Evidence::of(evidence.iter().copied()),
        advice: "stop the old advertisement, and wait until the controller says that it is stopped, before the new one starts",
    }
}

/// What a host had on the air at once, by the commands to its controllers.
fn own_overlaps(world: &World) -> Vec<Finding> {
    let mut findings = Vec::new();
    for chain in &world.chains {
        let groups = chain.windows(2).filter_map(|two| match two {
            [from, to] => world.sides(*from, *to),
            _ => None,
        });
        let at_once = groups.filter(|(before, after)| {
            before.sent_us.iter().any(|(begun, ended)| {
                let other = after.sent_us.iter();
                other.clone().any(|(from, to)| from < ended && begun < to)
            })
        });
        let evidence: Vec<&Presence> = at_once.flat_map(|(a, b)| [a, b]).collect();
        let span = |index: Option<&usize>| index.and_then(|it| world.group(*it));
        if let (Some(first), Some(last), false) =
            (span(chain.first()), span(chain.last()), evidence.is_empty())
        {
            let span_us = last.last_us.saturating_sub(first.first_us);
            findings.push(overlap(span_us, &evidence, Certainty::Certain));
        }
    }
    findings
}

/// Kinds of addresses that tell something to some: one note each for the whole of what was captured.
fn kinds_of_address(world: &World) -> Vec<Finding> {
    let of = |kind: AddressKind| {
        let them = world
            .pairs
            .iter()
            .filter(move |it| it.address.kind() == kind);
        them.collect::<Vec<_>>()
    };
    let note = |kind, them: &[&Presence], what, advice| {
        (!them.is_empty()).then(|| Finding {
            kind,
            severity: Severity::Note,
            certainty: Certainty::Possible,
            what: format!("{} pairs of address and identifier: {what}", them.len()),
            linkable_s: None,
            evidence: Evidence::of(them.iter().copied()),
            advice,
        })
    };
    let resolvable = note(
        Kind::ResolvableAddress,
        &of(AddressKind::Resolvable),
        "the address is resolvable: whoever has paired with the device can tell whose it is, nobody else",
        "advertise under non-resolvable addresses if the system has them (Android gives an app resolvable ones)",
    );
    let fixed = note(
        Kind::StaticAddress,
        &of(AddressKind::RandomStatic),
        "the address is random static, a kind that devices keep until they are switched on anew",
        "advertise under non-resolvable addresses; if these are new each time, they are only the wrong kind",
    );
    resolvable.into_iter().chain(fixed).collect()
}
