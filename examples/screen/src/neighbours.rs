//! Neighbours as they come and go, in the order in which they came: a row never jumps.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use truyvet::exposure::Proximity;
use truyvet::sighting::{Rssi, RssiSummary};
use truyvet::time::Timestamp;

use crate::nearness::nearness;

/// Sightings kept of each, two a minute: two hours.
const SIGHTINGS_MAX: usize = 240;

/// How long, in life, one who has left is still shown. Chosen: long enough to be seen.
pub(crate) const SHOWN_AFTER_LEAVING: Duration = Duration::from_secs(6);

/// One of them.
#[derive(Clone)]
pub(crate) struct Neighbour {
    /// Its number, as it prints.
    pub(crate) name: String,
    /// Six digits of its identifier, and its protocol; empty if its coming was missed.
    pub(crate) id: String,
    pub(crate) protocol: String,
    /// By the tracer's clock.
    pub(crate) since: Timestamp,
    /// From its first frame to its last.
    pub(crate) near_for: Duration,
    /// The first frame's strength, until a sighting is complete.
    pub(crate) first: Option<Rssi>,
    /// The last sighting's strengths.
    pub(crate) last: Option<RssiSummary>,
    /// Of each sighting: mean strength and seconds; the newest last.
    pub(crate) sightings: VecDeque<(Option<Rssi>, u32)>,
    pub(crate) left: Option<Instant>,
}

impl Neighbour {
    /// The strength that it had last.
    pub(crate) fn rssi(&self) -> Option<Rssi> {
        self.last.map(|it| it.mean).or(self.first)
    }

    pub(crate) fn nearness(&self) -> Option<Proximity> {
        nearness(self.sightings.iter())
    }
}

/// All of them.
#[derive(Clone, Default)]
pub(crate) struct Neighbours(pub(crate) Vec<Neighbour>);

impl Neighbours {
    pub(crate) fn appeared(
        &mut self,
        name: String,
        id: String,
        protocol: String,
        rssi: Option<Rssi>,
        now: Timestamp,
    ) {
        self.0.push(Neighbour {
            name,
            id,
            protocol,
            since: now,
            near_for: Duration::ZERO,
            first: rssi,
            last: None,
            sightings: VecDeque::new(),
            left: None,
        });
    }

    pub(crate) fn grew(
        &mut self,
        name: &str,
        near_for: Duration,
        rssi: Option<RssiSummary>,
        now: Timestamp,
    ) {
        if self.present(name).is_none() {
            // The event that told of it was dropped.
            let since = now.saturating_sub(near_for);
            self.appeared(name.to_owned(), String::new(), String::new(), None, since);
        }
        let Some(neighbour) = self.present(name) else {
            return;
        };
        let seconds = near_for.saturating_sub(neighbour.near_for).as_secs();
        neighbour.near_for = near_for;
        neighbour.last = rssi.or(neighbour.last);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        neighbour
            .sightings
            .push_back((rssi.map(|it| it.mean), seconds));
        if neighbour.sightings.len() > SIGHTINGS_MAX {
            neighbour.sightings.pop_front();
        }
    }

    pub(crate) fn left(&mut self, name: &str, near_for: Duration, at: Instant) {
        if let Some(neighbour) = self.present(name) {
            neighbour.near_for = near_for;
            neighbour.left = Some(at);
        }
    }

    /// Forgets who left long enough ago; tells whether anybody did.
    pub(crate) fn forget(&mut self, now: Instant) -> bool {
        let before = self.0.len();
        self.0.retain(|it| {
            it.left
                .is_none_or(|left| now.saturating_duration_since(left) < SHOWN_AFTER_LEAVING)
        });
        self.0.len() < before
    }

    pub(crate) fn count_present(&self) -> usize {
        self.0.iter().filter(|it| it.left.is_none()).count()
    }

    fn present(&mut self, name: &str) -> Option<&mut Neighbour> {
        self.0
            .iter_mut()
            .find(|it| it.name == name && it.left.is_none())
    }
}
