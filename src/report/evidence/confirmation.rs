//! The authority's side: what of evidence holds against a report.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use super::opening::{DayFingerprint, Opening};
use super::{
    Contact, ContactEvidence, EvidenceRequest, HeardDigests, KeyReference, slot_day, slot_number,
    slots_around,
};
use crate::protocol::{EphemeralId, ProtocolKind, PublishedKey};
use crate::time::UtcDay;

/// Keys of one report. Chosen: one for each of 21 days, of both protocols, and a few that were drawn anew in a day.
const KEYS_MAX: usize = 64;

/// What an authority holds of the confirmed case whose contact is in question.
#[derive(Clone, Copy, Debug)]
pub struct CaseReport<'a> {
    /// The keys of the case's report, at most 64.
    pub keys: &'a [PublishedKey],
    /// What it heard, if its owner added that.
    pub heard: Option<&'a HeardDigests>,
}

/// What holds of a contact between F0, the confirmed case, and F1, who gave evidence.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Confirmation {
    /// F1's word that it heard F0, of which it is known that it can be true. It is not proven: F0's keys are published.
    pub f1_heard_f0: Extent,
    /// In how many slots F0 heard F1, as digests prove that F0 made before F1 was told; `None` if F0 gave none, or F1
    /// opened nothing. Looked for from the first to the last slot of each opening.
    pub f0_heard_f1: Option<usize>,
    /// The slots of both. Their minutes are F1's word.
    pub mutual: Extent,
    /// The own keys that F1 opened, one of each opening. They are to be kept with F1's case: another's evidence must not
    /// have them.
    pub fingerprints: Vec<DayFingerprint>,
}

/// Slots, and minutes in them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Extent {
    /// Slots, of 10 minutes in GAEN and 15 in Bluezone.
    pub slots: usize,
    /// Minutes begun, no more than the slots have.
    pub minutes: u32,
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slots, minutes } = self;
        write!(f, "{slots} slots ({minutes} min)")
    }
}

/// A sentence for a contact tracer.
impl fmt::Display for Confirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the contact says it heard the case in {}",
            self.f1_heard_f0
        )?;
        match self.f0_heard_f1 {
            None => f.write_str("; whether the case heard the contact is not known"),
            Some(0) => f.write_str("; the case's report holds nothing of the contact"),
            Some(slots) => write!(
                f,
                "; the case heard the contact in {slots} slots; both in {}",
                self.mutual
            ),
        }
    }
}

/// What an authority knows of an own key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KnownDay {
    /// Another's evidence opened it.
    OtherEvidence,
    /// It was published, by this authority or by another: anybody can open it.
    Published,
}

/// Evidence that does not fit the request, the report, or itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceRefused {
    /// It answers another request.
    #[error("the evidence answers another request")]
    AnotherRequest,
    /// More keys than a report has.
    #[error("expected at most {KEYS_MAX} keys of a report, got {got}")]
    TooManyKeys {
        /// How many there are.
        got: usize,
    },
    /// The digests were made for another report than this one's keys.
    #[error("the digests were made for another report")]
    DigestsOfAnotherReport,
    /// It names a key that the report does not have.
    #[error("contact {contact} names a key that is not the report's")]
    KeyNotOfReport {
        /// Which contact, counted from 0.
        contact: usize,
    },
    /// It is of a day of which the report has no key.
    #[error("contact {contact} is of {day}, of which the report has no key")]
    OutsideReport {
        /// Which contact, counted from 0.
        contact: usize,
        /// Its day.
        day: UtcDay,
    },
    /// Its identifier is none of the key's.
    #[error("the identifier of contact {contact} is none of its key's")]
    IdentifierNotOfKey {
        /// Which contact, counted from 0.
        contact: usize,
    },
    /// Its identifier was not advertised at that time.
    #[error(
        "the identifier of contact {contact} is of slot {sent}, and said to be heard in {heard}"
    )]
    HeardOutsideSlot {
        /// Which contact, counted from 0.
        contact: usize,
        /// The slot of the identifier.
        sent: u32,
        /// The slot in which it was heard.
        heard: u32,
    },
    /// No minute, or more than a slot has.
    #[error("contact {contact} claims {minutes} minutes of one slot")]
    Minutes {
        /// Which contact, counted from 0.
        contact: usize,
        /// What it claims.
        minutes: u8,
    },
    /// An opening that begins or ends in a slot in which nothing was heard.
    #[error("opening {opening} is of slots without a contact")]
    OwnKeyWrongSlot {
        /// Which opening, counted from 0.
        opening: usize,
    },
    /// An opening of the report's own key: the case as its own contact.
    #[error("opening {opening} is of a key of the report")]
    OwnKeyOfReport {
        /// Which opening, counted from 0.
        opening: usize,
    },
    /// An opening of a key that was published, in whichever report: who has read it could be anybody.
    #[error("opening {opening} is of a published key")]
    OwnKeyPublished {
        /// Which opening, counted from 0.
        opening: usize,
    },
    /// An opening of a key that another's evidence had opened.
    #[error("opening {opening} is of a key that was in other evidence")]
    OwnKeyUsedBefore {
        /// Which opening, counted from 0.
        opening: usize,
    },
}

/// Checks `evidence`, which is to answer `request`, against `report`. `known` tells what is known of an own key: whether
/// another's evidence had [opened](Confirmation::fingerprints) it before, so that who copies evidence cannot have it count
/// as his, and whether it is [of a published key](DayFingerprint::of_published), which everybody can open. It must know
/// all published keys that there are, not this report's alone, for as long as reports of their days are confirmed
/// against. It is asked 191 times for each opening of Bluezone, and once for one of GAEN.
///
/// # Errors
///
/// [`EvidenceRefused`], by the first thing that does not fit.
pub fn confirm(
    evidence: &ContactEvidence,
    request: EvidenceRequest,
    report: CaseReport<'_>,
    known: impl Fn(&DayFingerprint) -> Option<KnownDay>,
) -> Result<Confirmation, EvidenceRefused> {
    if evidence.request != request {
        return Err(EvidenceRefused::AnotherRequest);
    }
    let got = report.keys.len();
    if got > KEYS_MAX {
        return Err(EvidenceRefused::TooManyKeys { got });
    }
    if report
        .heard
        .is_some_and(|heard| !heard.are_for(report.keys))
    {
        return Err(EvidenceRefused::DigestsOfAnotherReport);
    }
    let advertised = Advertised::by(report.keys);
    for (number, contact) in evidence.contacts.iter().enumerate() {
        advertised.check(number, contact)?;
    }
    let claimed = claimed_minutes(&evidence.contacts);
    let mut fingerprints = Vec::new();
    let mut heard = BTreeSet::new();
    for (number, opening) in evidence.openings.iter().enumerate() {
        let identifiers = check_opening(number, opening, &claimed, &advertised)?;
        match opening.fingerprints().iter().find_map(&known) {
            None => fingerprints.extend(opening.fingerprint()),
            Some(KnownDay::Published) => {
                return Err(EvidenceRefused::OwnKeyPublished { opening: number });
            }
            Some(KnownDay::OtherEvidence) => {
                return Err(EvidenceRefused::OwnKeyUsedBefore { opening: number });
            }
        }
        if let Some(digests) = report.heard {
            heard.extend(heard_by_case(opening, &identifiers, digests));
        }
    }
    let can_tell = report.heard.is_some() && !evidence.openings.is_empty();
    let mutual = claimed.iter().filter(|(slot, _)| heard.contains(slot));
    Ok(Confirmation {
        f1_heard_f0: Extent::of(claimed.values()),
        f0_heard_f1: can_tell.then_some(heard.len()),
        mutual: Extent::of(mutual.map(|(_, minutes)| minutes)),
        fingerprints,
    })
}

/// The slots of `opening` in which the case heard one of its `identifiers`.
fn heard_by_case(
    opening: &Opening,
    identifiers: &[(u32, EphemeralId)],
    digests: &HeardDigests,
) -> BTreeSet<(ProtocolKind, u32)> {
    let protocol = opening.protocol();
    let slots = opening.first..=opening.last;
    let mut heard = BTreeSet::new();
    for (own, id) in identifiers {
        let near = slots_around(protocol, *own).filter(|slot| slots.contains(slot));
        let held = near.filter(|slot| digests.hold(protocol, id, *slot));
        heard.extend(held.map(|slot| (protocol, slot)));
    }
    heard
}

/// The identifiers of opening `number`, once it is known to be of slots with a contact and not the report's.
fn check_opening(
    number: usize,
    opening: &Opening,
    claimed: &BTreeMap<(ProtocolKind, u32), u32>,
    advertised: &Advertised,
) -> Result<Vec<(u32, EphemeralId)>, EvidenceRefused> {
    let ends = [opening.first, opening.last].map(|slot| (opening.protocol(), slot));
    if !ends.iter().all(|slot| claimed.contains_key(slot)) {
        return Err(EvidenceRefused::OwnKeyWrongSlot { opening: number });
    }
    let identifiers = opening.identifiers();
    if identifiers.iter().any(|(_, id)| advertised.has(id)) {
        return Err(EvidenceRefused::OwnKeyOfReport { opening: number });
    }
    Ok(identifiers)
}

impl Extent {
    fn of<'m>(minutes: impl Iterator<Item = &'m u32>) -> Self {
        minutes.fold(Self::default(), |sum, minutes| Self {
            slots: sum.slots + 1,
            minutes: sum.minutes.saturating_add(*minutes),
        })
    }
}

/// The minutes claimed of each slot. Of several keys in one slot, which one device may have had, no more than it has.
fn claimed_minutes(contacts: &[Contact]) -> BTreeMap<(ProtocolKind, u32), u32> {
    let mut claimed: BTreeMap<_, u32> = BTreeMap::new();
    for contact in contacts {
        let minutes = claimed.entry((contact.protocol, contact.slot)).or_default();
        *minutes = (*minutes + u32::from(contact.minutes)).min(slot_minutes(contact.protocol));
    }
    claimed
}

fn slot_minutes(protocol: ProtocolKind) -> u32 {
    u32::try_from(protocol.slot_length().as_secs() / 60).unwrap_or(u32::MAX)
}

/// What a report's keys stand for.
struct Advertised {
    /// The slot of each key's identifiers.
    slots: HashMap<(ProtocolKind, KeyReference, EphemeralId), u32>,
    identifiers: BTreeSet<EphemeralId>,
    keys: BTreeSet<KeyReference>,
    days: BTreeSet<UtcDay>,
}

impl Advertised {
    fn by(keys: &[PublishedKey]) -> Self {
        let mut advertised = Self {
            slots: HashMap::new(),
            identifiers: BTreeSet::new(),
            keys: BTreeSet::new(),
            days: BTreeSet::new(),
        };
        for key in keys {
            let reference = KeyReference::of(key);
            let protocol = key.protocol();
            advertised.keys.insert(reference);
            key.for_each_candidate(|candidate| {
                let slot = slot_number(protocol, candidate.first);
                let place = (protocol, reference, candidate.id);
                advertised.slots.insert(place, slot);
                advertised.identifiers.insert(candidate.id);
                let days = slots_around(protocol, slot).map(|slot| slot_day(protocol, slot));
                advertised.days.extend(days);
            });
        }
        advertised
    }

    fn has(&self, id: &EphemeralId) -> bool {
        self.identifiers.contains(id)
    }

    fn check(&self, number: usize, contact: &Contact) -> Result<(), EvidenceRefused> {
        if !self.keys.contains(&contact.key) {
            return Err(EvidenceRefused::KeyNotOfReport { contact: number });
        }
        let day = contact.day();
        if !self.days.contains(&day) {
            return Err(EvidenceRefused::OutsideReport {
                contact: number,
                day,
            });
        }
        let Some(sent) = self.slots.get(&(contact.protocol, contact.key, contact.id)) else {
            return Err(EvidenceRefused::IdentifierNotOfKey { contact: number });
        };
        if !slots_around(contact.protocol, *sent).contains(&contact.slot) {
            return Err(EvidenceRefused::HeardOutsideSlot {
                contact: number,
                sent: *sent,
                heard: contact.slot,
            });
        }
        let minutes = contact.minutes;
        if !(1..=slot_minutes(contact.protocol)).contains(&u32::from(minutes)) {
            return Err(EvidenceRefused::Minutes {
                contact: number,
                minutes,
            });
        }
        Ok(())
    }
}
