//! Attacks of a day, each beside fifty true neighbours: what is stored, what it takes, what is lost.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use super::*;
use crate::protocol::EphemeralId;

/// The day's share of a log of 120 MiB.
const SHARE: u64 = 8 << 20;

/// True neighbours, there all day.
const NEIGHBOURS: u64 = 50;

const HALF_MINUTES: u64 = 2_880;
const HALF_MINUTE_MS: u64 = 30_000;
const HOUR_MS: u64 = 120 * HALF_MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// Identifiers that the packer remembers.
const REMEMBERED: usize = 4_096;

/// Metadata by which this test, and nobody else, knows who is who.
const TRUE: Option<[u8; 4]> = Some([0; 4]);
const INVENTED: Option<[u8; 4]> = Some([1; 4]);

/// What the log takes, as docs/log-format.md has it.
#[derive(Default)]
struct Disk {
    bytes: u64,
    known: HashSet<EphemeralId>,
    written: VecDeque<EphemeralId>,
}

impl Disk {
    fn write(&mut self, sightings: &[Sighting]) {
        self.bytes += 42 * sightings.len().div_ceil(1_024) as u64;
        for sighting in sightings {
            if self.known.contains(&sighting.id) {
                self.bytes += 12;
                continue;
            }
            self.bytes += 31;
            self.known.insert(sighting.id);
            self.written.push_back(sighting.id);
            if self.written.len() > REMEMBERED {
                self.known.remove(&self.written.pop_front().unwrap());
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Lives {
    /// Each is heard once.
    Once,
    /// Twice, a minute apart.
    Twice,
    /// Each half minute, for fifteen.
    Quarter,
}

#[derive(Clone, Copy)]
struct Attack {
    name: &'static str,
    from_ms: u64,
    to_ms: u64,
    sightings: u64,
    dbm: i32,
    lives: Lives,
}

const ATTACKS: [Attack; 6] = [
    Attack {
        name: "10,000,000 identifiers, once each, all day",
        from_ms: 0,
        to_ms: DAY_MS,
        sightings: 10_000_000,
        dbm: -60,
        lives: Lives::Once,
    },
    Attack {
        name: "10,000,000 identifiers, once each, in an hour",
        from_ms: 9 * HOUR_MS,
        to_ms: 10 * HOUR_MS,
        sightings: 10_000_000,
        dbm: -60,
        lives: Lives::Once,
    },
    Attack {
        name: "5,000,000 identifiers, twice each, a minute apart, all day",
        from_ms: 0,
        to_ms: DAY_MS,
        sightings: 10_000_000,
        dbm: -60,
        lives: Lives::Twice,
    },
    Attack {
        name: "2,000 at a time for 15 minutes each, at -90 dBm, all day",
        from_ms: 0,
        to_ms: DAY_MS,
        sightings: 2_000 * HALF_MINUTES,
        dbm: -90,
        lives: Lives::Quarter,
    },
    Attack {
        name: "2,000 at a time for 15 minutes each, at -60 dBm, in two hours",
        from_ms: 9 * HOUR_MS,
        to_ms: 11 * HOUR_MS,
        sightings: 2_000 * 240,
        dbm: -60,
        lives: Lives::Quarter,
    },
    Attack {
        name: "2,000 at a time for 15 minutes each, at -60 dBm, all day",
        from_ms: 0,
        to_ms: DAY_MS,
        sightings: 2_000 * HALF_MINUTES,
        dbm: -60,
        lives: Lives::Quarter,
    },
];

impl Attack {
    /// The sightings from one time to another, in milliseconds since midnight.
    fn between(&self, from_ms: u64, to_ms: u64) -> impl Iterator<Item = Sighting> {
        let span = self.to_ms - self.from_ms;
        let before = |ms: u64| {
            let passed = ms.clamp(self.from_ms, self.to_ms) - self.from_ms;
            self.sightings * passed / span
        };
        let half_minute = self.sightings * HALF_MINUTE_MS / span;
        (before(from_ms)..before(to_ms)).map(move |number| {
            let who = match self.lives {
                Lives::Once => number,
                Lives::Twice => {
                    let minute = 2 * half_minute;
                    number / (2 * minute) * minute + number % minute
                }
                Lives::Quarter => number / half_minute / 30 * half_minute + number % half_minute,
            };
            let ms = self.from_ms + number * span / self.sightings;
            sighting(who, INVENTED, ms, self.dbm)
        })
    }
}

fn sighting(who: u64, metadata: Option<[u8; 4]>, ms: u64, dbm: i32) -> Sighting {
    let day: UtcDay = "2020-08-08".parse().unwrap();
    let first = day.start().saturating_add(Duration::from_millis(ms));
    let mut id = [0; 16];
    id[..8].copy_from_slice(&who.to_le_bytes());
    id[8..12].copy_from_slice(&metadata.unwrap());
    Sighting {
        id: id.into(),
        metadata,
        ..tests::sighting(0, first, dbm)
    }
}

/// Each of so many neighbours once in the half minute of this number. Their identifiers change each
/// quarter of an hour, not all at once.
fn neighbours(count: u64, half_minute: u64, dbm: i32) -> impl Iterator<Item = Sighting> {
    (0..count).map(move |neighbour| {
        let who = (neighbour << 32) | ((half_minute + neighbour) / 30);
        let ms = half_minute * HALF_MINUTE_MS + neighbour * HALF_MINUTE_MS / count;
        sighting(who, TRUE, ms, dbm)
    })
}

struct Outcome {
    bytes: u64,
    /// Of the true neighbours' half minutes, those stored.
    kept: f64,
    /// The same of those before the attack, and after it when twenty minutes had passed, if there are such.
    kept_beside: f64,
    held_bytes: usize,
    /// Sightings admitted a second: all in all, and in the median batch.
    a_second: [f64; 2],
}

/// A day, with a tenth of everybody and everything for a `scale` of ten.
fn run(attack: &Attack, scale: u64, true_dbm: i32) -> Outcome {
    let attack = Attack {
        sightings: attack.sightings / scale,
        ..*attack
    };
    let count = NEIGHBOURS / scale;
    let mut admission = Admission::new(SHARE / scale);
    let (mut disk, mut heard, mut stored) = (Disk::default(), Vec::new(), Vec::new());
    let (mut spent, mut held_bytes) = (Vec::new(), 0);
    let mut kept = Vec::new();
    for half_minute in 0..HALF_MINUTES {
        let from_ms = half_minute * HALF_MINUTE_MS;
        heard.extend(neighbours(count, half_minute, true_dbm));
        heard.extend(attack.between(from_ms, from_ms + HALF_MINUTE_MS));
        let is_last = half_minute + 1 == HALF_MINUTES;
        // As many sightings come at once, whatever the scale.
        if !is_last && (half_minute + 1) % scale != 0 {
            continue;
        }
        heard.sort_by_key(|sighting| sighting.first);
        let (begun, used) = (Instant::now(), disk.bytes);
        admission.admit(&heard, |_| used, &mut stored);
        spent.push((begun.elapsed().as_secs_f64(), heard.len() as f64));
        held_bytes = held_bytes.max(admission.hold.bytes());
        if is_last {
            admission.finish(|_| used, &mut stored);
        }
        disk.write(&stored);
        let true_ones = stored.iter().filter(|sighting| sighting.metadata == TRUE);
        kept.extend(true_ones.map(|sighting| sighting.first));
        heard.clear();
        stored.clear();
    }
    let at = |ms| sighting(0, TRUE, ms, 0).first;
    let (from, to) = (at(attack.from_ms), at(attack.to_ms + HOUR_MS / 3));
    let beside = kept.iter().filter(|first| **first < from || **first >= to);
    let time_beside = from.since(at(0)) + at(DAY_MS).since(to);
    let beside_max = time_beside.as_millis() as u64 / HALF_MINUTE_MS * count;
    Outcome {
        bytes: disk.bytes,
        kept: kept.len() as f64 / (count * HALF_MINUTES) as f64,
        kept_beside: beside.count() as f64 / beside_max as f64,
        held_bytes,
        a_second: rates(&spent),
    }
}

fn rates(spent: &[(f64, f64)]) -> [f64; 2] {
    let seconds: f64 = spent.iter().map(|(seconds, _)| seconds).sum();
    let sightings: f64 = spent.iter().map(|(_, sightings)| sightings).sum();
    let mut each: Vec<f64> = spent.iter().map(|(seconds, n)| n / seconds).collect();
    each.sort_by(f64::total_cmp);
    [sightings / seconds, each[each.len() / 2]]
}

impl Outcome {
    fn assert_within(&self, share: u64) {
        assert!(self.bytes <= share, "{} bytes", self.bytes);
        assert!(self.held_bytes <= 24 << 20, "{} bytes", self.held_bytes);
    }

    /// Near ones are kept, unless the attack is a crowd itself; then those whom it did not meet.
    fn assert_near_kept(&self, attack: &Attack) {
        let is_crowd = matches!(attack.lives, Lives::Quarter) && attack.dbm == -60;
        let all_day = attack.to_ms == DAY_MS;
        match (is_crowd, all_day) {
            (false, _) => assert!(self.kept >= 0.99, "{}", self.kept),
            (true, false) => assert!(self.kept_beside >= 0.99, "{}", self.kept_beside),
            (true, true) => assert!(self.kept >= 0.5, "{}", self.kept),
        }
    }
}

#[test]
fn near_neighbours_are_kept_through_a_part_of_each_attack() {
    for attack in &ATTACKS[..5] {
        // A hundred thousand that are not heard again fill the half as well as ten million do.
        let sightings = attack.sightings.min(1_000_000);
        let attack = Attack {
            sightings: if matches!(attack.lives, Lives::Quarter) {
                attack.sightings
            } else {
                sightings
            },
            ..*attack
        };
        let near = run(&attack, 10, -60);
        near.assert_within(SHARE / 10);
        near.assert_near_kept(&attack);
    }
}

#[test]
#[ignore = "some seventy million sightings, for a release build"]
fn near_neighbours_are_kept_through_each_attack() {
    for attack in &ATTACKS {
        let near = run(attack, 1, -60);
        let far = run(attack, 1, -90);
        let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
        println!(
            "{}: near {:.1} %, far {:.1} %; {:.2} MiB stored, {:.1} MiB of memory, {:.2} million a \
             second (median batch {:.2})",
            attack.name,
            100.0 * near.kept,
            100.0 * far.kept,
            mib(near.bytes as usize),
            mib(near.held_bytes),
            near.a_second[0] / 1e6,
            near.a_second[1] / 1e6,
        );
        near.assert_within(SHARE);
        far.assert_within(SHARE);
        near.assert_near_kept(attack);
    }
}
