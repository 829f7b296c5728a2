//! Which of the sightings found for one published key count, and why the others do not.
//!
//! An identifier that was heard outside its time is not found at all ([`Candidate::heard_at`] with the protocol's
//! tolerance); these are the rules for what is left. `docs/protocols.md` has their sources.
//!
//! [`Candidate::heard_at`]: crate::protocol::Candidate::heard_at

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Duration;

use super::{Exposure, MatchConfig};
use crate::protocol::{EphemeralId, PublishedKey};
use crate::sighting::Sighting;
use crate::time::Timestamp;

/// How long after its first sighting a GAEN identifier may be heard: two intervals, the longest that one is advertised
/// (Google's `getValidSightingsForRpi`; Apple's `DEFAULT_ALLOWABLE_RPI_BROADCAST_DURATION`, 20 * 60 s).
const GAEN_HEARD_MAX: Duration = Duration::from_secs(20 * 60);

const DAY_S: u64 = 86_400;

/// Why a sighting of a published key's identifier does not count.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Reason {
    /// It was heard longer after the identifier's first sighting than anybody advertises one: 20 minutes in GAEN, the slot
    /// of 15 and the tolerance in Bluezone.
    Replayed,
    /// It was heard, or heard still, once the key was published: from then on everybody can send its identifiers.
    AfterPublication,
    /// It was heard while the clock stood where nothing vouches for it. Somebody may have set it to a time of which he
    /// had identifiers to replay.
    ClockJump,
}

/// A sighting that was found and does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct SetAside {
    /// Which of the keys given to the matcher, counted from 0.
    pub key_index: usize,
    /// When the first frame was heard, by the clock of then.
    pub first: Timestamp,
    /// When the last frame was heard.
    pub last: Timestamp,
    /// Why it does not count.
    pub reason: Reason,
}

/// How many sightings did not count, by reason; prints as a sentence.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct NotCounted {
    /// [`Reason::Replayed`].
    pub replayed: usize,
    /// [`Reason::AfterPublication`].
    pub after_publication: usize,
    /// [`Reason::ClockJump`].
    pub clock_jump: usize,
}

/// What a search found: what counts, and what does not.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Findings {
    /// The exposures, in the order of their days, then of the keys.
    pub exposures: Vec<Exposure>,
    /// Sightings that made none, in the order of the keys, then of time.
    pub set_aside: Vec<SetAside>,
}

impl Findings {
    /// How many sightings did not count, by reason.
    pub fn not_counted(&self) -> NotCounted {
        let mut counted = NotCounted::default();
        for set_aside in &self.set_aside {
            *match set_aside.reason {
                Reason::Replayed => &mut counted.replayed,
                Reason::AfterPublication => &mut counted.after_publication,
                Reason::ClockJump => &mut counted.clock_jump,
            } += 1;
        }
        counted
    }
}

impl NotCounted {
    /// All of them.
    pub fn total(&self) -> usize {
        self.replayed + self.after_publication + self.clock_jump
    }
}

impl fmt::Display for NotCounted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        if total == 0 {
            return f.write_str("every sighting counted");
        }
        let plural = if total == 1 { "" } else { "s" };
        write!(f, "{total} sighting{plural} did not count")?;
        let reasons = [
            (self.replayed, "replayed"),
            (self.after_publication, "heard after publication"),
            (self.clock_jump, "in a clock jump"),
        ];
        let mut separator = ": ";
        for (number, reason) in reasons.into_iter().filter(|(number, _)| *number > 0) {
            write!(f, "{separator}{number} {reason}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// Sightings whose time cannot be trusted.
#[derive(Default)]
pub(super) struct Quarantine(HashSet<(EphemeralId, Timestamp)>);

impl Quarantine {
    pub(super) fn holds(&self, sighting: &Sighting) -> bool {
        self.0.contains(&(sighting.id, sighting.first))
    }
}

impl<'s> FromIterator<&'s Sighting> for Quarantine {
    fn from_iter<I: IntoIterator<Item = &'s Sighting>>(sightings: I) -> Self {
        let places = sightings.into_iter().map(|it| (it.id, it.first));
        Self(places.collect())
    }
}

/// What the rules go by for one key.
pub(super) struct Rules<'a> {
    /// How long after its first sighting an identifier may be heard.
    pub(super) heard_max: Duration,
    /// When the key was published, if that is known.
    pub(super) published: Option<Timestamp>,
    pub(super) quarantine: &'a Quarantine,
}

/// How long after its first sighting an identifier of `key` may be heard.
///
/// In Bluezone its slot and the tolerance once: that allows for a clock that is wrong and for a sender that overruns its
/// slot, and a wrong clock moves all sightings of an identifier by the same, so that of the two ends one alone can be used.
pub(super) fn heard_max(config: &MatchConfig, key: &PublishedKey) -> Duration {
    match key {
        PublishedKey::Gaen(_) => GAEN_HEARD_MAX,
        PublishedKey::Bluezone(entry) => {
            let slot_s = DAY_S / u64::from(entry.slots_per_day());
            Duration::from_secs(slot_s).saturating_add(config.bluezone_tolerance)
        }
    }
}

/// Parts what was found for one key, in any order, into what counts and what does not, both in order of time.
pub(super) fn judge<'s>(
    rules: &Rules<'_>,
    mut found: Vec<&'s Sighting>,
) -> (Vec<&'s Sighting>, Vec<(&'s Sighting, Reason)>) {
    found.sort_by_key(|sighting| (sighting.first, sighting.last, sighting.id));
    // A write that failed halfway and was repeated leaves a sighting twice.
    found.dedup();
    // Of those that count: what was heard under a false clock says nothing of when an identifier was first heard.
    let mut first_heard: HashMap<EphemeralId, Timestamp> = HashMap::new();
    let mut set_aside = Vec::new();
    found.retain(|&sighting| {
        let reason = if rules.quarantine.holds(sighting) {
            Reason::ClockJump
        } else if rules.published.is_some_and(|at| sighting.last >= at) {
            Reason::AfterPublication
        } else {
            let first = first_heard.entry(sighting.id).or_insert(sighting.first);
            if sighting.first.since(*first) <= rules.heard_max {
                return true;
            }
            Reason::Replayed
        };
        set_aside.push((sighting, reason));
        false
    });
    (found, set_aside)
}
