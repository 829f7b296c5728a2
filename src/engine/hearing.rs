//! What comes from the radio: frames, and how they are heard.

use super::Engine;
use super::neighbours::{Frame, Outcome};
use crate::advertisement::Advertisement;
use crate::protocol::Heard;
use crate::radio::ScanMode;
use crate::sighting::Rssi;
use crate::time::Moment;

impl Engine {
    /// How the radio hears those it knows already.
    pub fn scan_mode(&mut self, mode: ScanMode) {
        self.health.scan_mode = Some(mode);
    }

    /// A frame has been heard.
    pub fn heard(&mut self, now: Moment, frame: &Advertisement, rssi: Option<Rssi>) {
        self.observe(now);
        let Some(frame) = self.parse(frame, rssi) else {
            return;
        };
        if self.own_ids.contains(&frame.id) {
            self.health.counters.own_frames += 1;
            return;
        }
        self.health.counters.frames += 1;
        self.health.last_heard = Some(now.wall);
        let mut out = Outcome::default();
        self.neighbours.heard(now, &frame, &mut out);
        self.take(now, out);
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
