//! What a radio hears of the others in the air, a device's or an attacker's.

use super::ether::Reception;
use super::random::Stream;
use super::scenario::Scenario;
use crate::advertisement::Advertisement;
use crate::radio::Peer;

/// The mean of the jitter that is added to an advertising interval, ms.
const MEAN_JITTER_MS: f64 = 5.0;

/// What somebody sends for a while, and under which address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spell {
    /// Milliseconds of the day.
    pub(super) from_ms: u32,
    pub(super) to_ms: u32,
    pub(super) frame: Advertisement,
    pub(super) peer: Peer,
    /// Sent once, at its beginning, and not again and again.
    pub(super) once: bool,
}

/// Somebody whom a radio may hear, for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meeting {
    /// Milliseconds of the day.
    pub(super) from_ms: u32,
    pub(super) to_ms: u32,
    /// Who sends, by number.
    pub(super) sender: u32,
    /// Strength without the fading of each frame, dBm.
    pub(super) mean_dbm: f32,
}

/// A part of a day, milliseconds since the simulation began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) day_ms: u64,
    pub(super) from_ms: u64,
    pub(super) to_ms: u64,
}

impl Slice {
    /// A time as milliseconds of the day.
    pub(super) fn of_day(&self, at_ms: u64) -> u32 {
        u32::try_from(at_ms.saturating_sub(self.day_ms)).unwrap_or(u32::MAX)
    }
}

/// A frame that is heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// Of the day.
    pub(super) at_ms: u32,
    pub(super) sender: u32,
    /// Which of what the sender has sent in the slice.
    pub(super) spell: u32,
    pub(super) dbm: i8,
}

/// A radio that listens.
#[derive(Debug)]
pub(super) struct Ear {
    stream: Stream,
    /// When it listened in the slice, milliseconds of the day.
    pub(super) windows: Vec<(u32, u32)>,
    /// Meetings of the day that are not over, and how many have begun.
    present: Vec<Meeting>,
    begun: usize,
    arrivals: Vec<Arrival>,
}

impl Ear {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            windows: Vec::new(),
            present: Vec::new(),
            begun: 0,
            arrivals: Vec::new(),
        }
    }

    /// Another day's meetings begin.
    pub(super) fn begin_day(&mut self) {
        self.present.clear();
        self.begun = 0;
    }

    /// The frames that arrive in the windows of the slice, in the order of their times. `meetings` are the day's, in
    /// the order of their beginnings.
    pub(super) fn hear<'a>(
        &mut self,
        scenario: &Scenario,
        slice: Slice,
        meetings: &[Meeting],
        sent_by: &impl Fn(u32) -> &'a [Spell],
    ) -> &[Arrival] {
        self.arrivals.clear();
        if self.windows.is_empty() {
            return &self.arrivals;
        }
        let from_ms = slice.of_day(slice.from_ms);
        let to_ms = slice.of_day(slice.to_ms);
        self.present.retain(|meeting| meeting.to_ms > from_ms);
        let coming = meetings.get(self.begun..).unwrap_or_default();
        let coming: &[Meeting] = coming
            .get(..coming.partition_point(|it| it.from_ms < to_ms))
            .unwrap_or_default();
        self.begun += coming.len();
        let is_present = |meeting: &&Meeting| meeting.to_ms > from_ms;
        self.present.extend(coming.iter().filter(is_present));
        let windows = std::mem::take(&mut self.windows);
        for window in &windows {
            self.gather(scenario, *window, sent_by);
        }
        self.windows = windows;
        self.arrivals
            .sort_unstable_by_key(|it| (it.at_ms, it.sender, it.spell));
        &self.arrivals
    }

    /// What arrived in the last slice.
    pub(super) fn arrivals(&self) -> &[Arrival] {
        &self.arrivals
    }

    /// Draws the frames that arrive in one window.
    fn gather<'a>(
        &mut self,
        scenario: &Scenario,
        (from_ms, to_ms): (u32, u32),
        sent_by: &impl Fn(u32) -> &'a [Spell],
    ) {
        let interval_ms = scenario.advertising_interval.as_secs_f64() * 1_000.0;
        let (stream, arrivals) = (&mut self.stream, &mut self.arrivals);
        let hears = |it: &&Meeting| it.from_ms < to_ms && it.to_ms > from_ms;
        let heard = || self.present.iter().filter(hears);
        // Frames on a channel, of which one meets all but those of its own sender.
        let rate = |it: &Meeting| frames_per_s(sent_by(it.sender), (from_ms, to_ms), interval_ms);
        let all_per_s: f64 = heard().map(rate).sum();
        for meeting in heard() {
            let clear = scenario.ether.clear((all_per_s - rate(meeting)).max(0.0));
            let begin_ms = meeting.from_ms.max(from_ms);
            let end_ms = meeting.to_ms.min(to_ms);
            let reception = Reception {
                mean_dbm: meeting.mean_dbm,
                clear,
                interval_ms: interval_ms as f32,
            };
            for (number, spell) in (0..).zip(sent_by(meeting.sender)) {
                let span = (begin_ms.max(spell.from_ms), end_ms.min(spell.to_ms));
                if span.0 >= span.1 {
                    continue;
                }
                let mut arrive = |at_ms, dbm| {
                    arrivals.push(Arrival {
                        at_ms,
                        sender: meeting.sender,
                        spell: number,
                        dbm,
                    });
                };
                if !spell.once {
                    scenario.ether.frames(stream, span, reception, arrive);
                } else if let Some(dbm) = scenario.ether.frame(stream, reception) {
                    arrive(span.0, dbm);
                }
            }
        }
    }
}

/// Frames that are sent each second of a window, in the mean, on one channel.
fn frames_per_s(spells: &[Spell], (from_ms, to_ms): (u32, u32), interval_ms: f64) -> f64 {
    let (mut repeated_ms, mut once) = (0, 0_u32);
    for spell in spells {
        let part_ms = spell
            .to_ms
            .min(to_ms)
            .saturating_sub(spell.from_ms.max(from_ms));
        if part_ms > 0 && spell.once {
            once += 1;
        } else if !spell.once {
            repeated_ms += part_ms;
        }
    }
    let length_ms = f64::from((to_ms - from_ms).max(1));
    let repeated = f64::from(repeated_ms) / (interval_ms + MEAN_JITTER_MS);
    (repeated + f64::from(once)) * 1_000.0 / length_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: Slice = Slice {
        day_ms: 86_400_000,
        from_ms: 86_410_000,
        to_ms: 86_420_000,
    };

    fn spell(from_ms: u32, to_ms: u32, once: bool) -> Spell {
        Spell {
            from_ms,
            to_ms,
            frame: Advertisement::new(),
            peer: Peer::from_address([0; 6]),
            once,
        }
    }

    fn meeting(from_ms: u32, to_ms: u32, sender: u32) -> Meeting {
        Meeting {
            from_ms,
            to_ms,
            sender,
            mean_dbm: -60.0,
        }
    }

    #[test]
    fn only_who_is_met_and_sends_in_a_window_is_heard_in_order_of_time() {
        let scenario = Scenario::new(1);
        let mut ear = Ear::new(Stream::of(1, 0, 0, 0));
        ear.windows = vec![(12_000, 16_000)];
        let sent = [
            vec![spell(10_000, 20_000, false)],
            vec![spell(15_000, 20_000, false)],
            vec![spell(10_000, 20_000, false)],
        ];
        let sent_by = |sender: u32| sent[sender as usize].as_slice();
        let meetings = [
            meeting(0, 11_000, 2),
            meeting(0, 14_000, 0),
            meeting(0, 86_400_000, 1),
        ];
        let heard = ear.hear(&scenario, SLICE, &meetings, &sent_by).to_vec();
        assert!(heard.is_sorted_by_key(|it| it.at_ms));
        let span = |sender: u32| {
            let times = heard.iter().filter(|it| it.sender == sender);
            let times: Vec<u32> = times.map(|it| it.at_ms).collect();
            (times[0], times[times.len() - 1], times.len())
        };
        let (first, last, frames) = span(0);
        assert!(first >= 12_000 && last < 14_000 && (5..=8).contains(&frames));
        let (first, last, _) = span(1);
        assert!(first >= 15_000 && last < 16_000);
        assert!(heard.iter().all(|it| it.sender != 2));
    }

    #[test]
    fn the_rate_of_what_repeats_and_of_what_does_not() {
        let rate = |spells: &[Spell]| frames_per_s(spells, (0, 10_000), 270.0);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-9;
        assert!(near(
            rate(&[spell(0, 5_000, false)]),
            5_000.0 / 275.0 / 10.0
        ));
        assert!(near(rate(&[spell(1, 2, true), spell(3, 4, true)]), 0.2));
        assert!(near(rate(&[spell(10_000, 20_000, false)]), 0.0));
    }
}
