//! Identifiers that stand in no frame: from whom to read one, and what has been read.

use std::collections::HashMap;
use std::time::Duration;

use crate::protocol::{EphemeralId, ProtocolKind};
use crate::radio::Peer;
use crate::sighting::Rssi;
use crate::time::{Moment, Timestamp};

/// How long one read may take, from the call to the answer (Bluezone's own limit for a connection).
pub(super) const READ_WITHIN: Duration = Duration::from_secs(10);

/// Whoever reads has still not answered so long after: the read counts as failed. Chosen.
const GRACE: Duration = Duration::from_secs(5);

/// From one connection to the next. Chosen: Bluezone waits as long for the controller to settle, and
/// whoever invents peers gets no more than this of the radio's time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a peer that could not be read is left alone; doubled with each failure, to a slot at most.
/// Chosen: it may come nearer, and a connection costs both some energy.
const BACK_OFF: Duration = Duration::from_secs(60);

/// Peers remembered. Chosen: more than are in range, each for a slot; whoever was noted first gives way.
const PEERS_MAX: usize = 1_024;

/// What is known of peers whose identifiers have to be read, by their address of the moment.
///
/// What was read holds until the slot ends: the peer has another identifier in the next.
#[derive(Debug, Default)]
pub(super) struct Reading {
    peers: HashMap<Peer, Known>,
    under_way: Option<UnderWay>,
    /// No connection before.
    pause_until: Duration,
}

#[derive(Debug)]
struct Known {
    noted: Duration,
    what: What,
}

#[derive(Debug)]
enum What {
    /// What was read, in the slot that began then.
    Id(EphemeralId, Timestamp),
    /// Not before then is it worth another try.
    Failed { failures: u32, again: Duration },
}

#[derive(Debug)]
struct UnderWay {
    peer: Peer,
    rssi: Option<Rssi>,
    overdue: Duration,
}

/// What to do about a frame whose identifier has to be read.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// It has been.
    Known(EphemeralId),
    /// It is to be read now.
    Read,
    /// Nothing, for now.
    Wait,
}

impl Reading {
    /// A frame of `peer` has been heard.
    pub(super) fn next(&mut self, now: Moment, peer: Peer, rssi: Option<Rssi>) -> Next {
        match self.peers.get(&peer).map(|known| &known.what) {
            Some(What::Id(id, slot)) if *slot == slot_start(now) => return Next::Known(*id),
            Some(What::Failed { again, .. }) if now.monotonic < *again => return Next::Wait,
            _ => {}
        }
        if let Some(overdue) = self.under_way.take_if(|it| it.overdue <= now.monotonic) {
            self.note_failure(now, overdue.peer);
            return Next::Wait;
        }
        if self.under_way.is_some() || now.monotonic < self.pause_until {
            return Next::Wait;
        }
        self.under_way = Some(UnderWay {
            peer,
            rssi,
            overdue: now.monotonic.saturating_add(READ_WITHIN + GRACE),
        });
        Next::Read
    }

    /// The strength of the frame for which `peer` is being read; `None` if it is not.
    pub(super) fn ended(&mut self, now: Moment, peer: Peer) -> Option<Option<Rssi>> {
        let ended = self.under_way.take_if(|it| it.peer == peer)?;
        self.pause_until = now.monotonic.saturating_add(PAUSE);
        Some(ended.rssi)
    }

    pub(super) fn note_id(&mut self, now: Moment, peer: Peer, id: EphemeralId) {
        self.note(now, peer, What::Id(id, slot_start(now)));
    }

    pub(super) fn note_failure(&mut self, now: Moment, peer: Peer) {
        let before = match self.peers.get(&peer).map(|known| &known.what) {
            Some(What::Failed { failures, .. }) => *failures,
            _ => 0,
        };
        let longest = ProtocolKind::Bluezone.slot_length();
        let doubled = BACK_OFF.saturating_mul(1 << before.min(16));
        let again = now.monotonic.saturating_add(doubled.min(longest));
        let failures = before.saturating_add(1);
        self.note(now, peer, What::Failed { failures, again });
    }

    /// What is under way is given up.
    pub(super) fn give_up(&mut self) {
        self.under_way = None;
    }

    fn note(&mut self, now: Moment, peer: Peer, what: What) {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&peer) {
            let oldest = self.peers.iter().min_by_key(|(_, known)| known.noted);
            if let Some(oldest) = oldest.map(|(peer, _)| *peer) {
                self.peers.remove(&oldest);
            }
        }
        let noted = now.monotonic;
        self.peers.insert(peer, Known { noted, what });
    }
}

fn slot_start(now: Moment) -> Timestamp {
    ProtocolKind::Bluezone.slot_at(now.wall).start
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDNIGHT: u64 = 1_596_844_800;

    fn at(seconds: u64) -> Moment {
        Moment {
            wall: Timestamp::from_unix_seconds(MIDNIGHT + seconds),
            monotonic: Duration::from_secs(seconds),
        }
    }

    fn peer(n: u32) -> Peer {
        let [a, b, c, d] = n.to_be_bytes();
        Peer::from_address([0xC0, 0, a, b, c, d])
    }

    fn id(n: u8) -> EphemeralId {
        EphemeralId::from([n; 12])
    }

    /// Reads `peer` at `seconds`, and says how that went.
    fn read(reading: &mut Reading, seconds: u64, peer: Peer, result: Option<EphemeralId>) {
        assert_eq!(reading.next(at(seconds), peer, None), Next::Read);
        assert_eq!(reading.ended(at(seconds), peer), Some(None));
        match result {
            Some(id) => reading.note_id(at(seconds), peer, id),
            None => reading.note_failure(at(seconds), peer),
        }
    }

    #[test]
    fn what_was_read_holds_until_the_slot_ends() {
        let mut reading = Reading::default();
        read(&mut reading, 100, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(899), peer(1), None), Next::Known(id(7)));
        assert_eq!(reading.next(at(900), peer(1), None), Next::Read);
    }

    #[test]
    fn the_same_slot_of_another_day_is_another() {
        let mut reading = Reading::default();
        read(&mut reading, 100, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(86_400 + 100), peer(1), None), Next::Read);
    }

    #[test]
    fn one_at_a_time_with_a_pause_between() {
        let mut reading = Reading::default();
        assert_eq!(reading.next(at(0), peer(1), None), Next::Read);
        assert_eq!(reading.next(at(1), peer(2), None), Next::Wait);
        assert_eq!(reading.ended(at(2), peer(2)), None);
        assert!(reading.ended(at(2), peer(1)).is_some());
        reading.note_id(at(2), peer(1), id(1));
        assert_eq!(reading.next(at(2), peer(2), None), Next::Wait);
        assert_eq!(reading.next(at(3), peer(2), None), Next::Read);
    }

    #[test]
    fn whoever_fails_is_left_alone_for_longer_each_time() {
        let mut reading = Reading::default();
        let mut now = 10;
        for wait in [60, 120, 240, 480, 900, 900] {
            read(&mut reading, now, peer(1), None);
            assert_eq!(reading.next(at(now + wait - 1), peer(1), None), Next::Wait);
            // Others do not wait for it.
            assert_eq!(reading.next(at(now + 1), peer(2), None), Next::Read);
            reading.give_up();
            now += wait;
        }
        read(&mut reading, now, peer(1), Some(id(1)));
        read(&mut reading, now + 900, peer(1), None);
        assert_eq!(reading.next(at(now + 960), peer(1), None), Next::Read);
    }

    #[test]
    fn a_read_that_nobody_answers_is_not_waited_for_for_ever() {
        let mut reading = Reading::default();
        assert_eq!(reading.next(at(0), peer(1), None), Next::Read);
        assert_eq!(reading.next(at(14), peer(2), None), Next::Wait);
        assert_eq!(reading.next(at(15), peer(2), None), Next::Wait);
        assert_eq!(reading.next(at(16), peer(2), None), Next::Read);
        assert_eq!(reading.next(at(16), peer(1), None), Next::Wait);
        // An answer after all is too late.
        assert_eq!(reading.ended(at(17), peer(1)), None);
    }

    #[test]
    fn peers_are_bounded_and_the_oldest_gives_way() {
        let mut reading = Reading::default();
        let flood = u32::try_from(PEERS_MAX).unwrap() + 100;
        for n in 0..flood {
            let now = Moment {
                monotonic: Duration::from_secs(n.into()),
                ..at(0)
            };
            reading.note_id(now, peer(n), id(1));
        }
        assert_eq!(reading.peers.len(), PEERS_MAX);
        assert!(!reading.peers.contains_key(&peer(99)));
        assert!(reading.peers.contains_key(&peer(100)));
    }
}
