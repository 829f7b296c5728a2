//! What a check comes to.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::Serialize;

use crate::field::capture::AddressKind;
use crate::protocol::ProtocolKind;

use super::chains::World;
use super::fields::digest;
use super::presence::{Presence, Presences};
use super::{Config, constants, pairs, timing};

/// The version of this form in JSON.
pub const REPORT_VERSION: u32 = 1;

/// Findings that are listed. Chosen: more than anybody reads; the number of all is told.
const FINDINGS_MAX: usize = 200;
/// Pieces of evidence for one finding. Chosen: a screen.
const EVIDENCE_MAX: usize = 16;
/// Devices in the picture, and identifiers of each. Chosen: some screens, and a day.
const DEVICES_MAX: usize = 200;
const STAYS_MAX: usize = 200;

/// All that a check found. The same observations give the same report.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// What it comes to.
    pub verdict: Verdict,
    /// What an observer could link, the worst first.
    pub findings: Vec<Finding>,
    /// Findings that are not listed.
    pub findings_left_out: usize,
    /// What was checked, and what was too little to be.
    pub checks: Vec<Check>,
    /// What there was.
    pub totals: Totals,
    /// Who was there, as an observer sees it who takes successors for what they seem to be.
    pub devices: Vec<Device>,
    /// Devices that are not listed.
    pub devices_left_out: usize,
}

/// What a check comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Something can be linked.
    Linkable,
    /// Nothing can be by what is checked, and there was enough to judge.
    Clean,
    /// Nothing was found in too little.
    TooLittle,
}

/// What can be linked.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Two identifiers under one address.
    AddressOutlivesIdentifier,
    /// Two addresses with one identifier.
    IdentifierOutlivesAddress,
    /// An identifier that is not changed in time.
    IdentifierKept,
    /// Old and new at the same time.
    Overlap,
    /// An identifier under the device's own address.
    PublicAddress,
    /// A value that stays over a change.
    ConstantField,
    /// Frames that go on in their rhythm over a change.
    PhaseKept,
    /// Changes at a moment of the device's own.
    FixedOffset,
    /// An address of the kind that is kept until a device starts anew.
    StaticAddress,
    /// An address that those who hold a key can resolve.
    ResolvableAddress,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Of use to nobody who only listens: no reason to call it linkable.
    Note,
    /// Links little, or in a crowd only with luck.
    Medium,
    /// Links identifiers.
    High,
}

/// How sure it is.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It may be something else, which is said.
    Possible,
    /// Chance would hardly do the same.
    Likely,
    /// It stands in the bytes.
    Certain,
}

/// Something that can be linked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// How bad it is.
    pub severity: Severity,
    /// How sure it is.
    pub certainty: Certainty,
    /// In a sentence.
    pub what: String,
    /// For how long somebody could be followed by it in what was captured, s; `None`: without end.
    pub linkable_s: Option<u64>,
    /// Where it shows, at most sixteen of them.
    pub evidence: Vec<Evidence>,
    /// What to do about it.
    pub advice: &'static str,
}

/// A place in the captures. Addresses and identifiers are told by the first three bytes of their SHA-256, which compare and tell
/// nothing else.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
pub struct Evidence {
    /// From when, µs since 1970.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
    /// The address's digest in hexadecimal.
    pub address: String,
    /// The identifier's.
    pub identifier: String,
}

impl Evidence {
    pub(super) fn of<'a>(pairs: impl IntoIterator<Item = &'a Presence>) -> Vec<Self> {
        let mut all: Vec<Self> = pairs
            .into_iter()
            .map(|pair| Self {
                from_us: pair.first_us,
                to_us: pair.last_us,
                address: short(&pair.address.bytes()),
                identifier: short(pair.id.as_bytes()),
            })
            .collect();
        all.sort();
        all.dedup();
        all.truncate(EVIDENCE_MAX);
        all
    }
}

fn short(value: &[u8]) -> String {
    HEXLOWER.encode(digest(value).get(..3).unwrap_or_default())
}

/// One thing that is looked for.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// What.
    pub name: &'static str,
    /// Whether there was enough to judge it.
    pub judged: bool,
    /// What there was, and what it takes.
    pub note: String,
}

/// What there was, in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Frames heard with an identifier.
    pub frames: u64,
    /// Different identifiers.
    pub identifiers: usize,
    /// Different addresses that carried one.
    pub addresses: usize,
    /// Identifiers that began as another one ended.
    pub changes: usize,
    /// From first to last, s.
    pub seconds: u64,
    /// Frames of a protocol without an identifier that can be read: malformed, or read over a connection (iPhones with
    /// Bluezone). Nothing is said of their senders.
    pub unreadable: u64,
    /// Frames of others.
    pub strangers: u64,
    /// Own broadcasts under an address that the capture does not tell, since it began too late or the controller makes them.
    pub unaddressed: u64,
    /// Frames and values beyond those that are remembered, and records that could not be read.
    pub left_out: u64,
}

/// Somebody, as it seems.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Device {
    /// Which controller of which capture sent it, both from 0, if the capture tells. Else successors were guessed.
    pub sender: Option<(u32, u16)>,
    /// What it speaks.
    pub protocol: ProtocolKind,
    /// Its addresses and identifiers, at most 200, by time.
    pub stays: Vec<Stay>,
}

/// One identifier under one address.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stay {
    /// From when, µs since 1970.
    pub from_us: u64,
    /// Until when.
    pub to_us: u64,
    /// The address's digest in hexadecimal.
    pub address: String,
    /// Its kind.
    pub address_kind: AddressKind,
    /// The identifier's digest.
    pub identifier: String,
    /// Frames heard.
    pub frames: u64,
}

pub(super) fn report(config: &Config, presences: Presences) -> Report {
    let (first_us, last_us) = (presences.first_us.unwrap_or(0), presences.last_us);
    let counted = presences.totals;
    let world = World::new(presences.into_pairs(), last_us);
    let mut identifiers: Vec<_> = world.pairs.iter().map(|it| it.id).collect();
    identifiers.sort_unstable();
    identifiers.dedup();
    let mut addresses: Vec<_> = world.pairs.iter().map(|it| it.address).collect();
    addresses.dedup();
    let totals = Totals {
        frames: counted.frames,
        identifiers: identifiers.len(),
        addresses: addresses.len(),
        changes: world.handovers.len(),
        seconds: last_us.saturating_sub(first_us) / 1_000_000,
        unreadable: counted.unreadable,
        strangers: counted.strangers,
        unaddressed: counted.unaddressed,
        left_out: counted.left_out,
    };
    let mut checks = vec![changes_check(config, &totals), left_out_check(&totals)];
    let mut findings = pairs::findings(&world);
    findings.extend(constants::findings(&world, config));
    findings.extend(timing::findings(&world, &mut checks));
    checks.push(timing::interval_check(&world, config));
    sort(&mut findings);
    let linkable = findings.iter().any(|it| it.severity > Severity::Note);
    // The first two are about what was there; the others say for themselves what they could not judge.
    let enough = checks.iter().take(2).all(|it| it.judged);
    let verdict = match (linkable, enough) {
        (true, _) => Verdict::Linkable,
        (false, true) => Verdict::Clean,
        (false, false) => Verdict::TooLittle,
    };
    let findings_left_out = findings.len().saturating_sub(FINDINGS_MAX);
    findings.truncate(FINDINGS_MAX);
    let mut devices = devices(&world);
    let devices_left_out = devices.len().saturating_sub(DEVICES_MAX);
    devices.truncate(DEVICES_MAX);
    Report {
        version: REPORT_VERSION,
        verdict,
        findings,
        findings_left_out,
        checks,
        totals,
        devices,
        devices_left_out,
    }
}

/// The worst first, and in one order whatever the order in which they were found.
fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |it: &Finding| (it.severity, it.certainty);
        key(b)
            .cmp(&key(a))
            .then_with(|| (a.kind, &a.evidence, &a.what).cmp(&(b.kind, &b.evidence, &b.what)))
    });
}

fn changes_check(config: &Config, totals: &Totals) -> Check {
    Check {
        name: "addresses, identifiers and what else is sent, over a change",
        judged: totals.changes >= config.min_changes,
        note: format!(
            "{} changes of identifier, {} needed",
            totals.changes, config.min_changes
        ),
    }
}

fn left_out_check(totals: &Totals) -> Check {
    Check {
        name: "all that was captured",
        judged: totals.left_out == 0 && totals.unaddressed == 0,
        note: format!(
            "{} records lost or left out, {} own broadcasts under an unknown address",
            totals.left_out, totals.unaddressed
        ),
    }
}

/// Own controllers first, then by how much is known of each.
fn devices(world: &World) -> Vec<Device> {
    let chains = world.chains.iter().filter_map(|chain| {
        let groups = chain.iter().filter_map(|it| world.group(*it));
        let pairs: Vec<&Presence> = groups.clone().flat_map(|it| world.pairs_of(it)).collect();
        let stays = pairs.iter().take(STAYS_MAX).map(|pair| Stay {
            from_us: pair.first_us,
            to_us: pair.last_us,
            address: short(&pair.address.bytes()),
            address_kind: pair.address.kind(),
            identifier: short(pair.id.as_bytes()),
            frames: pair.frames,
        });
        let source = groups.clone().find_map(|it| it.source);
        Some(Device {
            sender: source.map(|it| (it.capture, it.adapter)),
            protocol: pairs.first()?.protocol,
            stays: stays.collect(),
        })
    });
    let mut devices: Vec<Device> = chains.collect();
    devices.sort_by_key(|it| {
        let unknown = it.sender.is_none();
        (
            unknown,
            it.sender,
            std::cmp::Reverse(it.stays.len()),
            it.stays.first().map(|it| it.from_us),
        )
    });
    devices
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddressOutlivesIdentifier => "address outlives identifier",
            Self::IdentifierOutlivesAddress => "identifier outlives address",
            Self::IdentifierKept => "identifier kept",
            Self::Overlap => "old and new at once",
            Self::PublicAddress => "public address",
            Self::ConstantField => "constant field",
            Self::PhaseKept => "phase kept",
            Self::FixedOffset => "changes at a fixed offset",
            Self::StaticAddress => "static address",
            Self::ResolvableAddress => "resolvable address",
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        })
    }
}
