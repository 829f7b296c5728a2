//! An attacker who listens all the time, and wants to know which new identifier is whose.
//!
//! Greedy: of all pairs of an identifier that has ended and one that has begun about then, the likeliest first, by
//! address, by time, and by strength.

use super::calm;
use crate::protocol::{EphemeralId, Heard, ProtocolKind};
use crate::radio::Peer;
use crate::sim::device::protocol;
use crate::sim::ear::{Ear, Meeting, Spell};
use crate::sim::outcome::AttackOutcome;
use crate::sim::random::{Stream, purpose};
use crate::sim::scenario::{Scenario, SimError};
use crate::sim::stage::{Stage, beside};
use crate::sim::{DAY_MS, crowd::SLICE_MS};

/// Rooms, each with an attacker, and people in each. Chosen: two people and a thousand changes a room give a share that
/// is known to one in a hundred.
const ROOMS: u32 = 4;
const PEOPLE: u32 = 2;
const DAYS: u64 = 13;

/// Of the other variants, which need no such care.
const ROOMS_FEW: u32 = 1;
const DAYS_FEW: u64 = 2;

/// An identifier that has ended and one that begins are candidates within so long. Chosen: a few advertisements.
const APART_MAX_MS: u64 = 5_000;

/// What a difference counts: an advertising interval, and the fading of a frame.
const APART_MS: f64 = 275.0;
const STRENGTH_DB: f64 = 4.0;

/// The attacker looks at strengths for so long at both ends of an identifier's life.
const ENDS_MS: u64 = 60_000;

/// How the people are whom the attacker listens to.
#[derive(Clone, Copy)]
struct Variant {
    name: &'static str,
    what: &'static str,
    kind: ProtocolKind,
    /// Stand elsewhere each minute, or never.
    walk: bool,
    /// So long after the minute's begin, ms. At 0 each change of identifier is one of places, too.
    phase_ms: u32,
    /// Clocks differ by so much, ms (standard deviation).
    clocks_ms: f64,
    rooms: u32,
    days: u64,
}

const VARIANTS: [Variant; 5] = [
    Variant {
        name: "linker",
        what: "Two people whose places are others after each change: every identifier is heard, with its address, its times \
               and its strengths, and linked to the likeliest next one. Bluezone's all change at the same time, so that nothing \
               but the address is left to go by.",
        kind: ProtocolKind::Bluezone,
        walk: true,
        phase_ms: 0,
        clocks_ms: 0.0,
        rooms: ROOMS,
        days: DAYS,
    },
    Variant {
        name: "linker, people walk on",
        what: "The same while people stand as before for half a minute over each change, and elsewhere then: what is heard \
               in that half minute may be enough.",
        kind: ProtocolKind::Bluezone,
        walk: true,
        phase_ms: 30_000,
        clocks_ms: 0.0,
        rooms: ROOMS_FEW,
        days: DAYS_FEW,
    },
    Variant {
        name: "linker, people sit still",
        what: "The same while nobody moves: who is heard as strong as before is the same. No change of identifiers hides a \
               strength.",
        kind: ProtocolKind::Bluezone,
        walk: false,
        phase_ms: 0,
        clocks_ms: 0.0,
        rooms: ROOMS_FEW,
        days: DAYS_FEW,
    },
    Variant {
        name: "linker, clocks a second apart",
        what: "The same as the first with clocks that differ by a second or so: who changes late each time is the same.",
        kind: ProtocolKind::Bluezone,
        walk: true,
        phase_ms: 0,
        clocks_ms: 1_000.0,
        rooms: ROOMS_FEW,
        days: DAYS_FEW,
    },
    Variant {
        name: "linker, GAEN",
        what: "The same as the first with GAEN, in which each changes at a time of its own: who begins as another ends is \
               the same.",
        kind: ProtocolKind::Gaen,
        walk: true,
        phase_ms: 0,
        clocks_ms: 0.0,
        rooms: ROOMS_FEW,
        days: DAYS_FEW,
    },
];

/// What is known of an identifier.
#[derive(Clone, Copy, Debug)]
struct Track {
    id: EphemeralId,
    peer: Peer,
    /// The truth, for the count alone.
    sender: u32,
    first_ms: u64,
    last_ms: u64,
    begin_dbm: Mean,
    /// Of the present and of the former minute.
    end_dbm: [Mean; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: f64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1.0;
    }

    fn value(self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }
}

impl Track {
    fn heard(&mut self, at_ms: u64, dbm: i8) {
        if at_ms / ENDS_MS != self.last_ms / ENDS_MS {
            self.end_dbm = [
                Mean::default(),
                self.end_dbm.first().copied().unwrap_or_default(),
            ];
        }
        self.last_ms = at_ms;
        if at_ms < self.first_ms + ENDS_MS {
            self.begin_dbm.add(f64::from(dbm));
        }
        if let Some(mean) = self.end_dbm.first_mut() {
            mean.add(f64::from(dbm));
        }
    }

    /// How unlike the next one of the same device `next` is; less is likelier.
    fn unlike(&self, next: &Self) -> Option<f64> {
        let apart_ms = self.last_ms.abs_diff(next.first_ms);
        if apart_ms > APART_MAX_MS {
            return None;
        }
        if self.peer == next.peer {
            return Some(0.0);
        }
        let ended = self.end_dbm.iter().find_map(|mean| mean.value());
        let strength = ended.zip(next.begin_dbm.value());
        let strength = strength.map_or(0.0, |(a, b)| (a - b).abs() / STRENGTH_DB);
        Some(1.0 + apart_ms as f64 / APART_MS + strength)
    }
}

/// Links found, of those there were.
#[derive(Clone, Copy, Debug, Default)]
struct Links {
    right: u64,
    all: u64,
}

pub(super) fn linkers(scenario: &Scenario) -> Result<Vec<AttackOutcome>, SimError> {
    let mut outcomes = Vec::new();
    for variant in VARIANTS {
        let mut scenario = calm(scenario, variant.kind);
        scenario.schedule = crate::engine::Schedule::gaen();
        let mut links = Links::default();
        for room in 0..variant.rooms {
            let tracks = listen(&scenario, variant, room)?;
            let found = link(&tracks);
            links.right += found.right;
            links.all += found.all;
        }
        let achieved = links.right as f64 / links.all.max(1) as f64;
        let chance = 1.0 / f64::from(PEOPLE);
        outcomes.push(AttackOutcome {
            name: variant.name.to_owned(),
            what: variant.what.to_owned(),
            measure: format!("share of {} changes linked rightly", links.all),
            achieved,
            baseline: chance,
            holds: achieved <= 1.05 * chance,
        });
    }
    Ok(outcomes)
}

/// What is heard in one room, in the order in which identifiers begin.
fn listen(scenario: &Scenario, variant: Variant, room: u32) -> Result<Vec<Track>, SimError> {
    let mut stage = Stage::new(scenario, room * PEOPLE, PEOPLE, 0)?;
    let mut stream = Stream::of(scenario.seed, purpose::ATTACKER, 2, u64::from(room));
    for device in &mut stage.devices {
        device.clock.offset_ms = (variant.clocks_ms * stream.normal()) as i64;
    }
    let protocol = protocol(scenario, variant.kind);
    let mut ear = Ear::new(Stream::of(
        scenario.seed,
        purpose::ATTACKER,
        3,
        u64::from(room),
    ));
    let mut there = meetings(scenario, variant, room, 0);
    let mut tracks: Vec<Track> = Vec::new();
    while stage.now_ms() < variant.days * DAY_MS {
        let slice = stage.slice();
        if slice.from_ms == slice.day_ms {
            there = meetings(scenario, variant, room, slice.day_ms / DAY_MS);
            ear.begin_day();
        }
        stage.step(&[], &mut |slice, sent: &mut [Vec<Spell>]| {
            let from_ms = slice.of_day(slice.from_ms);
            ear.windows.clear();
            ear.windows.push((from_ms, from_ms + SLICE_MS as u32));
            let sent = &*sent;
            let sent_by = |sender: u32| sent.get(sender as usize).map_or(&[][..], Vec::as_slice);
            for arrival in ear.hear(scenario, slice, &there, &sent_by) {
                let Some(spell) = sent_by(arrival.sender).get(arrival.spell as usize) else {
                    continue;
                };
                let Ok(Some(Heard::Identifier { id, .. })) = protocol.parse(&spell.frame) else {
                    continue;
                };
                let at_ms = slice.day_ms + u64::from(arrival.at_ms);
                // Of the few that are on the air the newest stand last.
                let known = tracks.iter_mut().rev().take(4 * PEOPLE as usize);
                if let Some(track) = known.into_iter().find(|track| track.id == id) {
                    track.heard(at_ms, arrival.dbm);
                    continue;
                }
                let mut track = Track {
                    id,
                    peer: spell.peer,
                    sender: arrival.sender,
                    first_ms: at_ms,
                    last_ms: at_ms,
                    begin_dbm: Mean::default(),
                    end_dbm: [Mean::default(); 2],
                };
                track.heard(at_ms, arrival.dbm);
                tracks.push(track);
            }
        })?;
    }
    Ok(tracks)
}

/// Where the people of a room stand on a day, as the attacker hears them: anywhere within some metres, and another
/// place each minute if they walk.
fn meetings(scenario: &Scenario, variant: Variant, room: u32, day: u64) -> Vec<Meeting> {
    let mut all = Vec::new();
    for sender in 0..PEOPLE {
        let who = u64::from(room) << 32 | u64::from(sender);
        let drawn_of = if variant.walk { day + 1 } else { 0 };
        let mut stream = Stream::of(scenario.seed, purpose::WALK, who, drawn_of);
        let minute_ms = if variant.walk {
            60_000
        } else {
            DAY_MS as usize
        };
        let moves = (variant.phase_ms..DAY_MS as u32).step_by(minute_ms);
        let mut begins: Vec<u32> = std::iter::once(0).chain(moves).collect();
        begins.dedup();
        let ends = begins.iter().skip(1).copied().chain([DAY_MS as u32]);
        for (from_ms, to_ms) in begins.iter().copied().zip(ends) {
            let metres = stream.between(1.0, 8.0);
            let shadow_db = scenario.ether.shadowing_db * stream.normal();
            let whole = beside(scenario, sender, metres);
            all.push(Meeting {
                from_ms,
                to_ms,
                mean_dbm: whole.mean_dbm + shadow_db as f32,
                ..whole
            });
        }
    }
    all.sort_by_key(|meeting| meeting.from_ms);
    all
}

/// Links what was heard, the likeliest first.
fn link(tracks: &[Track]) -> Links {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (before, ended) in tracks.iter().enumerate() {
        for (after, begun) in tracks
            .iter()
            .enumerate()
            .skip(before + 1)
            .take(4 * PEOPLE as usize)
        {
            if let Some(unlike) = ended.unlike(begun) {
                pairs.push((unlike, before, after));
            }
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let mut is_ended = vec![false; tracks.len()];
    let mut is_begun = is_ended.clone();
    let mut links = Links::default();
    for (_, before, after) in pairs {
        let (Some(ended), Some(begun)) = (is_ended.get_mut(before), is_begun.get_mut(after)) else {
            continue;
        };
        if std::mem::replace(ended, true) {
            continue;
        }
        if std::mem::replace(begun, true) {
            *ended = false;
            continue;
        }
        let senders = [before, after].map(|at| tracks.get(at).map(|track| track.sender));
        links.right += u64::from(senders.first() == senders.last());
    }
    // Each but the first of a sender follows another.
    links.all = (tracks.len() as u64).saturating_sub(u64::from(PEOPLE));
    links
}
