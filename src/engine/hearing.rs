//! What comes from the radio: frames, and how they are heard.

use super::neighbours::{Frame, Outcome};
use super::reading::{Ended, Next, READ_WITHIN, Reading};
use super::{Action, Engine, State};
use crate::advertisement::Advertisement;
use crate::protocol::bluezone::WireProfile;
use crate::protocol::{EphemeralId, Heard, Protocol, ProtocolKind};
use crate::radio::{Advertised, Caveat, GattRequest, Peer, ScanMode};
use crate::sighting::{Rssi, Source};
use crate::time::Moment;

/// What a witness has seen.
const SEEN_LINKED: Caveat = Caveat::LinkableAddress {
    why: "a second adapter has seen one address with two identifiers: \
          switch Privacy off in BlueZ's main.conf",
};

impl Engine {
    /// How the radio hears those it knows already.
    pub fn scan_mode(&mut self, now: Moment, mode: ScanMode) {
        self.health.scan_mode = Some(mode);
        self.tell_health(now);
    }

    /// A frame has been heard.
    pub fn heard(&mut self, now: Moment, frame: &Advertisement, rssi: Option<Rssi>) {
        self.hear(now, frame, rssi, None);
    }

    /// A frame of a peer has been heard that can be connected to, if its identifier is not in it
    /// ([`Action::ReadIdentifier`]).
    pub fn heard_from(
        &mut self,
        now: Moment,
        peer: Peer,
        frame: &Advertisement,
        rssi: Option<Rssi>,
    ) {
        self.hear(now, frame, rssi, Some(peer));
    }

    /// How [`Action::ReadIdentifier`] went: what was read, or why nothing was.
    pub fn read_result(&mut self, now: Moment, peer: Peer, result: Result<&[u8], String>) {
        self.observe(now);
        let Some(ended) = self.reading.ended(now, peer) else {
            return;
        };
        match result.and_then(identifier) {
            Ok(id) => {
                self.health.counters.reads += 1;
                self.health.set_reading(State::Working, now.wall);
                self.reading.note_id(now, &ended, id);
                if let Some(rssi) = ended.frame() {
                    self.take_frame(now, &read_frame(id, rssi));
                }
            }
            Err(reason) => self.read_failed(now, &ended, reason),
        }
    }

    /// Nobody carries out [`Action::ReadIdentifier`] any more, and why; it is not asked for again.
    pub fn reading_ended(&mut self, now: Moment, why: &str) {
        self.config.read_identifiers = false;
        self.reading = Reading::default();
        let failing = State::Failing(why.to_owned());
        self.health.set_reading(failing, now.wall);
    }

    fn read_failed(&mut self, now: Moment, ended: &Ended, reason: String) {
        self.health.counters.failed_reads += 1;
        if ended.frame().is_some() {
            self.health.counters.unread_frames += 1;
        }
        let failing = State::Failing(reason);
        self.health.set_reading(failing, now.wall);
        self.reading.note_failure(now, ended);
    }

    /// What time alone brings about: a read that nobody answers, and peers to forget.
    pub(super) fn look_at_reading(&mut self, now: Moment) {
        if let Some(ended) = self.reading.overdue(now) {
            self.read_failed(now, &ended, "nobody has answered".to_owned());
        }
        self.reading.forget_old(now);
    }

    fn hear(&mut self, now: Moment, frame: &Advertisement, rssi: Option<Rssi>, peer: Option<Peer>) {
        self.observe(now);
        if let Some(frame) = self.parse(now, frame, rssi, peer) {
            self.take_frame(now, &frame);
        }
    }

    fn take_frame(&mut self, now: Moment, frame: &Frame) {
        let mut out = Outcome::default();
        // No known neighbour has one of this device's own identifiers (`rotate` sees to it): only a new one is compared.
        if !self.neighbours.heard_again(now, frame, &mut out) {
            if self.own_ids.contains(&frame.id) {
                self.health.counters.own_frames += 1;
                self.health.own_heard = Some(now.wall);
                return;
            }
            self.neighbours.appear(now, frame, &mut out);
        }
        self.health.counters.frames += 1;
        self.health.last_heard = Some(now.wall);
        self.listening.heard(now.monotonic);
        if self.health.silent_since.take().is_some() {
            self.tell_health(now);
        }
        self.take(now, out);
    }

    /// A witness, a second adapter of this device, has heard a frame from `peer`. Only own identifiers
    /// count: one heard shows that they are on the air, and two from one peer that its address outlives
    /// them.
    pub fn witnessed(&mut self, now: Moment, frame: &Advertisement, peer: Option<Peer>) {
        let heard = self.config.advertise.parse(frame);
        let Ok(Some(Heard::Identifier { id, .. })) = heard else {
            return;
        };
        if !self.own_ids.contains(&id) {
            return;
        }
        self.health.own_heard = Some(now.wall);
        let Some(peer) = peer else {
            return;
        };
        let Some((_, before)) = self.own_peer.replace((id, peer)).filter(|it| it.0 != id) else {
            return;
        };
        self.linked = before == peer;
        if let Some(advertised) = self.health.advertised.take() {
            self.set_advertised(advertised);
            self.tell_health(now);
        }
    }

    /// What the system made of the advertisement, with what a witness has seen of it.
    pub(super) fn set_advertised(&mut self, mut advertised: Advertised) {
        advertised.caveats.retain(|caveat| *caveat != SEEN_LINKED);
        if self.linked {
            advertised.caveats.push(SEEN_LINKED);
        }
        self.health.advertised = Some(advertised);
    }

    /// What `frame` says in the first protocol in which it says something, or what it is counted as.
    fn parse(
        &mut self,
        now: Moment,
        frame: &Advertisement,
        rssi: Option<Rssi>,
        peer: Option<Peer>,
    ) -> Option<Frame> {
        let counters = &mut self.health.counters;
        let mut counted_as = &mut counters.foreign_frames;
        for protocol in &self.config.listen {
            match protocol.parse(frame) {
                Ok(None) => {}
                Ok(Some(Heard::Identifier {
                    id,
                    metadata,
                    source,
                })) => {
                    return Some(Frame {
                        protocol: protocol.kind(),
                        id,
                        metadata,
                        source,
                        rssi,
                    });
                }
                // An address that speaks several protocols may mention one and carry another.
                Ok(Some(Heard::ReadByGatt)) => {
                    counted_as = &mut counters.unread_frames;
                    let (Protocol::Bluezone(profile), Some(peer)) = (protocol, peer) else {
                        continue;
                    };
                    if !self.config.read_identifiers || !self.running {
                        continue;
                    }
                    match self.reading.next(now, peer, rssi) {
                        Next::Known(id) => return Some(read_frame(id, rssi)),
                        Next::ReadAgain(id) => {
                            self.actions.push_back(ask(peer, profile));
                            return Some(read_frame(id, rssi));
                        }
                        Next::Wait => {}
                        Next::Read => {
                            self.actions.push_back(ask(peer, profile));
                            // It counts once it is known how that went.
                            return None;
                        }
                    }
                }
                Err(_) => counted_as = &mut counters.malformed_frames,
            }
        }
        *counted_as += 1;
        None
    }
}

/// What was read, if it can be one of Bluezone's.
fn identifier(value: &[u8]) -> Result<EphemeralId, String> {
    let id = <[u8; 12]>::try_from(value);
    let len = value.len();
    id.map(EphemeralId::from)
        .map_err(|_| format!("expected 12 bytes, got {len}"))
}

/// What stands for a frame whose identifier has been read.
fn read_frame(id: EphemeralId, rssi: Option<Rssi>) -> Frame {
    Frame {
        protocol: ProtocolKind::Bluezone,
        id,
        metadata: None,
        source: Source::GattRead,
        rssi,
    }
}

fn ask(peer: Peer, profile: &WireProfile) -> Action {
    Action::ReadIdentifier {
        request: GattRequest::new(peer, profile.ios_service, profile.ios_characteristic),
        within: READ_WITHIN,
    }
}
