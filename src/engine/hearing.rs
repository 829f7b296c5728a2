//! What comes from the radio: frames, and how they are heard.

use super::Engine;
use super::neighbours::{Frame, Outcome};
use crate::advertisement::Advertisement;
use crate::protocol::Heard;
use crate::radio::{Advertised, Caveat, Peer, ScanMode};
use crate::sighting::Rssi;
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
        self.observe(now);
        let Some(frame) = self.parse(frame, rssi) else {
            return;
        };
        if self.own_ids.contains(&frame.id) {
            self.health.counters.own_frames += 1;
            self.health.own_heard = Some(now.wall);
            return;
        }
        self.health.counters.frames += 1;
        self.health.last_heard = Some(now.wall);
        self.listening.heard(now.monotonic);
        if self.health.silent_since.take().is_some() {
            self.tell_health(now);
        }
        let mut out = Outcome::default();
        self.neighbours.heard(now, &frame, &mut out);
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
    fn parse(&mut self, frame: &Advertisement, rssi: Option<Rssi>) -> Option<Frame> {
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
                Ok(Some(Heard::ReadByGatt)) => counted_as = &mut counters.unread_frames,
                Err(_) => counted_as = &mut counters.malformed_frames,
            }
        }
        *counted_as += 1;
        None
    }
}
