//! Identifiers that stand in no frame: from whom to read one, and what has been read.

use std::collections::HashMap;
use std::time::Duration;

use crate::protocol::{EphemeralId, ProtocolKind};
use crate::radio::Peer;
use crate::sighting::Rssi;
use crate::time::{Moment, Timestamp};

/// How long one read may take, from the call to the answer (Bluezone's own limit for a connection).
pub(super) const READ_WITHIN: Duration = Duration::from_secs(10);

/// Whoever reads has still not answered so long after: the read counts as failed. Chosen: more than
/// the fifteen seconds in which the tracer's radio has to end the connection.
const GRACE: Duration = Duration::from_secs(20);

/// From one connection to the next. Chosen: Bluezone waits as long for the controller to settle, and
/// whoever invents peers gets no more than this of the radio's time.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a peer that could not be read is left alone; doubled with each failure, to a slot at most.
/// Chosen: it may come nearer, and a connection costs both some energy.
const BACK_OFF: Duration = Duration::from_secs(60);

/// So many peers, one after the other, could not be read: all are left alone, as one would be. Chosen:
/// more than pass by at the edge of the range one after the other. Each attempt interrupts scan and
/// advertisement, and peers cost nothing to invent.
const FAILING_PEERS_MAX: u32 = 8;

/// What is read so soon after a slot has begun may be the identifier of the slot before, of a peer whose
/// clock is slow, and is read once more after as long. Chosen: clocks set by a network agree to seconds,
/// and those set by hand to some minutes.
const SETTLED_AFTER: Duration = Duration::from_secs(120);

/// Peers remembered. Chosen: more than are in range, each for a slot; whoever was noted first gives way.
const PEERS_MAX: usize = 1_024;

/// What is known of peers whose identifiers have to be read, by their address of the moment.
///
/// What was read holds until the slot ends: the peer has another identifier in the next. It is
/// forgotten with the next, until when it tells that the peer's clock is slow; a failure, a slot after it
/// is worth another try.
#[derive(Debug, Default)]
pub(super) struct Reading {
    peers: HashMap<Peer, Known>,
    under_way: Option<UnderWay>,
    /// No connection before.
    pause_until: Duration,
    /// Peers that have failed since one was read.
    failing_peers: u32,
}

#[derive(Debug)]
struct Known {
    noted: Duration,
    what: What,
}

#[derive(Debug)]
enum What {
    /// What was read, in the slot that began then, and when it is worth another look.
    Id(EphemeralId, Timestamp, Option<Duration>),
    /// Not before then is it worth another try.
    Failed { failures: u32, again: Duration },
}

#[derive(Debug)]
struct UnderWay {
    peer: Peer,
    /// The slot in which was asked.
    slot: Timestamp,
    /// What is known already.
    known: Option<EphemeralId>,
    rssi: Option<Rssi>,
    overdue: Duration,
}

/// A read that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    peer: Peer,
    slot: Timestamp,
    known: Option<EphemeralId>,
    rssi: Option<Rssi>,
}

impl Ended {
    /// The strength of the frame that waits for what was read; `None` if none does.
    pub(super) fn frame(&self) -> Option<Option<Rssi>> {
        self.known.is_none().then_some(self.rssi)
    }
}

/// What to do about a frame whose identifier has to be read.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    /// It has been.
    Known(EphemeralId),
    /// It has been, and is to be read once more.
    ReadAgain(EphemeralId),
    /// It is to be read now.
    Read,
    /// Nothing, for now.
    Wait,
}

impl Reading {
    /// A frame of `peer` has been heard.
    pub(super) fn next(&mut self, now: Moment, peer: Peer, rssi: Option<Rssi>) -> Next {
        let slot = slot_start(now);
        let mut known = None;
        match self.peers.get(&peer).map(|known| &known.what) {
            Some(What::Id(id, of, again)) if *of == slot => {
                if again.is_none_or(|again| now.monotonic < again) {
                    return Next::Known(*id);
                }
                known = Some(*id);
            }
            Some(What::Failed { again, .. }) if now.monotonic < *again => return Next::Wait,
            _ => {}
        }
        let free = self.under_way.is_none() && now.monotonic >= self.pause_until;
        if free {
            self.under_way = Some(UnderWay {
                peer,
                slot,
                known,
                rssi,
                overdue: now.monotonic.saturating_add(READ_WITHIN + GRACE),
            });
        }
        match known {
            Some(id) if free => Next::ReadAgain(id),
            Some(id) => Next::Known(id),
            None if free => Next::Read,
            None => Next::Wait,
        }
    }

    /// What was asked about `peer`, and is answered with this; `None` if nothing was.
    pub(super) fn ended(&mut self, now: Moment, peer: Peer) -> Option<Ended> {
        let ended = self.under_way.take_if(|it| it.peer == peer)?;
        Some(self.end(now, ended))
    }

    /// What was asked and has not been answered in time.
    pub(super) fn overdue(&mut self, now: Moment) -> Option<Ended> {
        let overdue = self.under_way.take_if(|it| it.overdue <= now.monotonic)?;
        Some(self.end(now, overdue))
    }

    fn end(&mut self, now: Moment, ended: UnderWay) -> Ended {
        self.pause_until = now.monotonic.saturating_add(PAUSE);
        let UnderWay {
            peer,
            slot,
            known,
            rssi,
            ..
        } = ended;
        Ended {
            peer,
            slot,
            known,
            rssi,
        }
    }

    /// When something is overdue.
    pub(super) fn due(&self) -> Option<Duration> {
        self.under_way.as_ref().map(|it| it.overdue)
    }

    pub(super) fn note_id(&mut self, now: Moment, read: &Ended, id: EphemeralId) {
        self.failing_peers = 0;
        let before = match self.peers.get(&read.peer).map(|known| &known.what) {
            Some(What::Id(id, slot, _)) if *slot < read.slot => Some(*id),
            _ => None,
        };
        let settled = now.wall.since(read.slot) >= SETTLED_AFTER;
        // Once, whatever comes of it.
        let again = (read.known.is_none() && (!settled || before == Some(id)))
            .then(|| now.monotonic.saturating_add(SETTLED_AFTER));
        self.note(now, read.peer, What::Id(id, read.slot, again));
    }

    pub(super) fn note_failure(&mut self, now: Moment, read: &Ended) {
        if let Some(id) = read.known {
            return self.note(now, read.peer, What::Id(id, read.slot, None));
        }
        let before = match self.peers.get(&read.peer).map(|known| &known.what) {
            Some(What::Failed { failures, .. }) => *failures,
            _ => 0,
        };
        if before == 0 || self.failing_peers >= FAILING_PEERS_MAX {
            self.failing_peers = self.failing_peers.saturating_add(1);
        }
        if let Some(beyond) = self.failing_peers.checked_sub(FAILING_PEERS_MAX) {
            self.pause_until = now.monotonic.saturating_add(back_off(beyond));
        }
        let again = now.monotonic.saturating_add(back_off(before));
        let failures = before.saturating_add(1);
        self.note(now, read.peer, What::Failed { failures, again });
    }

    /// Forgets whom nothing is worth knowing of any more.
    pub(super) fn forget_old(&mut self, now: Moment) {
        let slot = ProtocolKind::Bluezone.slot_length();
        let current = slot_start(now);
        self.peers.retain(|_, known| match &known.what {
            What::Id(_, of, _) => *of <= current && current.since(*of) <= slot,
            What::Failed { again, .. } => now.monotonic < again.saturating_add(slot),
        });
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

/// How long whoever has failed so often before is left alone.
fn back_off(before: u32) -> Duration {
    let doubled = BACK_OFF.saturating_mul(1 << before.min(16));
    doubled.min(ProtocolKind::Bluezone.slot_length())
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

    /// What comes of the read of `peer` that is under way.
    fn end(reading: &mut Reading, seconds: u64, peer: Peer, result: Option<EphemeralId>) {
        let ended = reading.ended(at(seconds), peer).unwrap();
        match result {
            Some(id) => reading.note_id(at(seconds), &ended, id),
            None => reading.note_failure(at(seconds), &ended),
        }
    }

    /// Reads `peer` at `seconds`, and says how that went.
    fn read(reading: &mut Reading, seconds: u64, peer: Peer, result: Option<EphemeralId>) {
        assert_eq!(reading.next(at(seconds), peer, None), Next::Read);
        end(reading, seconds, peer, result);
    }

    #[test]
    fn what_was_read_holds_until_the_slot_ends() {
        let mut reading = Reading::default();
        read(&mut reading, 120, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(899), peer(1), None), Next::Known(id(7)));
        assert_eq!(reading.next(at(900), peer(1), None), Next::Read);
    }

    #[test]
    fn the_same_slot_of_another_day_is_another() {
        let mut reading = Reading::default();
        read(&mut reading, 200, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(86_400 + 200), peer(1), None), Next::Read);
    }

    #[test]
    fn what_is_answered_in_the_next_slot_is_of_the_one_in_which_it_was_asked() {
        let mut reading = Reading::default();
        assert_eq!(reading.next(at(898), peer(1), None), Next::Read);
        end(&mut reading, 902, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(904), peer(1), None), Next::Read);
    }

    #[test]
    fn a_peer_with_a_slow_clock_is_read_once_more() {
        let mut reading = Reading::default();
        read(&mut reading, 905, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(1_024), peer(1), None), Next::Known(id(7)));
        let again = Next::ReadAgain(id(7));
        assert_eq!(reading.next(at(1_025), peer(1), None), again);
        // What is known counts meanwhile.
        assert_eq!(reading.next(at(1_026), peer(1), None), Next::Known(id(7)));
        end(&mut reading, 1_027, peer(1), Some(id(8)));
        for seconds in [1_028, 1_500, 1_799] {
            assert_eq!(reading.next(at(seconds), peer(1), None), Next::Known(id(8)));
        }
    }

    #[test]
    fn a_peer_whose_clock_is_minutes_slow_is_read_once_more_and_not_again() {
        let mut reading = Reading::default();
        read(&mut reading, 500, peer(1), Some(id(7)));
        read(&mut reading, 1_100, peer(1), Some(id(7)));
        let again = Next::ReadAgain(id(7));
        assert_eq!(reading.next(at(1_220), peer(1), None), again);
        end(&mut reading, 1_221, peer(1), Some(id(7)));
        assert_eq!(reading.next(at(1_799), peer(1), None), Next::Known(id(7)));
    }

    #[test]
    fn what_cannot_be_read_once_more_is_still_known() {
        let mut reading = Reading::default();
        read(&mut reading, 0, peer(1), Some(id(7)));
        reading.next(at(120), peer(1), None);
        end(&mut reading, 121, peer(1), None);
        assert_eq!(reading.next(at(899), peer(1), None), Next::Known(id(7)));
    }

    #[test]
    fn one_at_a_time_with_a_pause_between() {
        let mut reading = Reading::default();
        assert_eq!(reading.next(at(200), peer(1), None), Next::Read);
        assert_eq!(reading.next(at(201), peer(2), None), Next::Wait);
        assert!(reading.ended(at(202), peer(2)).is_none());
        end(&mut reading, 202, peer(1), Some(id(1)));
        assert_eq!(reading.next(at(202), peer(2), None), Next::Wait);
        assert_eq!(reading.next(at(203), peer(2), None), Next::Read);
    }

    #[test]
    fn whoever_fails_is_left_alone_for_longer_each_time() {
        let mut reading = Reading::default();
        let mut now = 10;
        for wait in [60, 120, 240, 480, 900, 900] {
            read(&mut reading, now, peer(1), None);
            assert_eq!(reading.next(at(now + wait - 1), peer(1), None), Next::Wait);
            // Others do not wait for it.
            read(&mut reading, now + 1, peer(2), Some(id(2)));
            reading.peers.remove(&peer(2));
            now += wait;
        }
        read(&mut reading, now, peer(1), Some(id(1)));
        read(&mut reading, now + 900, peer(1), None);
        assert_eq!(reading.next(at(now + 960), peer(1), None), Next::Read);
    }

    #[test]
    fn invented_peers_do_not_keep_the_radio_busy() {
        let mut reading = Reading::default();
        let mut attempts = Vec::new();
        for seconds in 0..3_600 {
            let invented = peer(u32::try_from(seconds).unwrap());
            if reading.next(at(seconds), invented, None) == Next::Read {
                attempts.push(seconds);
                end(&mut reading, seconds, invented, None);
            }
        }
        let begun = [0, 1, 2, 3, 4, 5, 6, 7];
        let longer = [67, 187, 427, 907, 1_807, 2_707];
        assert_eq!(attempts, [&begun[..], &longer[..]].concat());
        // The first that can be read ends that.
        read(&mut reading, 3_607, peer(9_999), Some(id(1)));
        read(&mut reading, 3_608, peer(9_998), None);
        assert_eq!(reading.next(at(3_609), peer(9_997), None), Next::Read);
    }

    #[test]
    fn one_that_fails_again_and_again_does_not_stand_for_all() {
        let mut reading = Reading::default();
        let mut now = 0;
        for _ in 0..20 {
            read(&mut reading, now, peer(1), None);
            now += 900;
        }
        assert_eq!(reading.next(at(now), peer(2), None), Next::Read);
    }

    #[test]
    fn a_read_that_nobody_answers_is_not_waited_for_for_ever() {
        let mut reading = Reading::default();
        assert_eq!(reading.next(at(0), peer(1), None), Next::Read);
        assert_eq!(reading.due(), Some(Duration::from_secs(30)));
        assert!(reading.overdue(at(29)).is_none());
        let overdue = reading.overdue(at(30)).unwrap();
        reading.note_failure(at(30), &overdue);
        assert_eq!(reading.next(at(30), peer(2), None), Next::Wait);
        assert_eq!(reading.next(at(31), peer(2), None), Next::Read);
        assert_eq!(reading.next(at(31), peer(1), None), Next::Wait);
        // An answer after all is too late.
        assert!(reading.ended(at(32), peer(1)).is_none());
    }

    #[test]
    fn nobody_is_remembered_for_longer_than_of_use() {
        let mut reading = Reading::default();
        read(&mut reading, 500, peer(1), Some(id(7)));
        read(&mut reading, 501, peer(2), None);
        for (seconds, known) in [(1_460, 2), (1_461, 1), (1_799, 1), (1_800, 0)] {
            reading.forget_old(at(seconds));
            assert_eq!(reading.peers.len(), known, "{seconds}");
        }
    }

    #[test]
    fn peers_are_bounded_and_the_oldest_gives_way() {
        let mut reading = Reading::default();
        let flood = PEERS_MAX as u64 + 100;
        for n in 0..flood {
            let invented = peer(u32::try_from(n).unwrap());
            read(&mut reading, n, invented, Some(id(1)));
        }
        assert_eq!(reading.peers.len(), PEERS_MAX);
        assert!(!reading.peers.contains_key(&peer(99)));
        assert!(reading.peers.contains_key(&peer(100)));
    }
}
