//! Which sightings were heard by a clock that can be trusted.
//!
//! A sighting bears the wall clock's time, which somebody may have set: by a false time source, say, to yesterday, to
//! replay what he heard yesterday. The log notes beside sightings what the wall clock said and how long the machine had
//! been running, whenever the two part ([`ClockRecord`]). Their difference is a *line*: as long as nobody sets the clock,
//! a start of the machine has one.
//!
//! A line is believed
//!
//! - if the clock began on it and came back to it, or never left it, in this run of the machine; what lies between is
//!   the jump. Not if what it stored of a day stands behind later times of another run: then the clock went back
//!   while the machine was off. Nor if another has held for a day, and for longer: then the clock was put right, and
//!   went wrong again;
//! - or if none is so, and it has held for a day, or for two hours and for longer than all others of the run together.
//!
//! Where the machine's start is not told, sightings that go back behind what was stored before of the same day are
//! not believed. Where nothing is noted of the clocks, all are.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::rules::Quarantine;
use crate::sighting::Sighting;
use crate::time::{ClockRecord, Timestamp, Uptime, UtcDay};

/// Clocks nearer to each other than this are one line. Chosen: Bluezone's tolerance, the narrowest there is, lets a
/// clock be wrong by as much anyway.
const SHIFT_MAX_MS: i128 = 120_000;

/// How late a sighting may be stored. Chosen: longer than any waits in memory under a flood, and less than a replay is
/// worth in GAEN, whose tolerance is two hours.
const LATE_MAX: Duration = Duration::from_secs(1_800);

/// A line that has held for so long is believed, as the engine believes a clock after a day's running.
const HELD_MS: i128 = 86_400_000;

/// Or for so long, and longer than the others together. Chosen: what the engine asks of a day that it believes.
const HELD_MOST_MS: i128 = 7_200_000;

/// A segment is of one day, and is written to for twenty minutes more.
const SEGMENT_MS: i128 = 86_400_000 + 1_200_000;

/// Sightings that were stored one after the other, and what was noted of the clocks last before them. None where only
/// the note is. In the order of the log: day by day, and in the order in which they were stored within a day.
pub(super) struct Stored<'s> {
    pub(super) clock: Option<ClockRecord>,
    pub(super) sightings: &'s [Sighting],
}

/// What was noted at one place.
struct Note {
    /// Its place among what is stored.
    place: usize,
    since_boot_ms: i128,
    /// Of its machine's start.
    line: usize,
}

#[derive(Default)]
struct Line {
    held_ms: i128,
    /// Something of it stands behind later times of another run.
    went_back: bool,
}

/// One run of the machine: its notes in the order of time, and its lines by where they stand.
#[derive(Default)]
struct Run {
    notes: Vec<Note>,
    lines: Vec<Line>,
    by_offset: BTreeMap<i128, usize>,
}

/// The sightings that are not to be believed.
pub(super) fn quarantine(stored: &[Stored<'_>]) -> Quarantine {
    let mut runs = runs(stored);
    let back = going_back(stored, &mut runs);
    let mut doubted: Vec<bool> = vec![false; stored.len()];
    let mut doubted_before = doubted.clone();
    for run in runs.values() {
        let mut before = false;
        for note in &run.notes {
            let is_doubted = !run.believes(note.line);
            set(&mut doubted, note.place, is_doubted);
            set(&mut doubted_before, note.place, before);
            before = is_doubted;
        }
    }
    let places = stored.iter().zip(doubted.iter().zip(&doubted_before));
    let by_line = places.flat_map(|(stored, (&doubted, &before))| {
        let is_false = move |sighting: &&Sighting| match &stored.clock {
            None => false,
            Some(record) => doubted || is_of_another(record, sighting, before),
        };
        stored.sightings.iter().filter(is_false)
    });
    by_line.chain(back).collect()
}

/// Whether the clock that `sighting` was heard by was not the one that was noted before it was stored.
fn is_of_another(record: &ClockRecord, sighting: &Sighting, doubted_before: bool) -> bool {
    let noted = record.reading.wall;
    // It waited, for the moment at which the clock was noted or from before a jump.
    let late = noted.since(sighting.first);
    // Nothing is stored before it is heard; later than its day's first note, it is of that day.
    let early = sighting.first.utc_day() > noted.saturating_add(LATE_MAX).utc_day();
    late > LATE_MAX || early || (!late.is_zero() && doubted_before)
}

/// The runs of the machine, by its start.
fn runs(stored: &[Stored<'_>]) -> HashMap<[u8; 16], Run> {
    let mut notes: Vec<(Uptime, Timestamp, usize)> = Vec::new();
    for (place, stored) in stored.iter().enumerate() {
        let reading = stored.clock.map(|record| record.reading);
        if let Some((uptime, wall)) = reading.and_then(|it| Some((it.uptime?, it.wall))) {
            notes.push((uptime, wall, place));
        }
    }
    notes.sort_by_key(|(uptime, _, place)| (uptime.since_boot_ms, *place));
    let mut runs: HashMap<[u8; 16], Run> = HashMap::new();
    for (uptime, wall, place) in notes {
        let since_boot_ms = i128::from(uptime.since_boot_ms);
        let offset = i128::from(wall.unix_millis()) - since_boot_ms;
        let run = runs.entry(uptime.boot_id).or_default();
        let line = run.line_at(offset);
        run.notes.push(Note {
            place,
            since_boot_ms,
            line,
        });
    }
    for run in runs.values_mut() {
        run.measure(stored);
    }
    runs
}

impl Run {
    fn line_at(&mut self, offset: i128) -> usize {
        let near = offset - SHIFT_MAX_MS..=offset + SHIFT_MAX_MS;
        if let Some((_, line)) = self.by_offset.range(near).next() {
            return *line;
        }
        let line = self.lines.len();
        self.lines.push(Line::default());
        self.by_offset.insert(offset, line);
        line
    }

    /// How long each line has held, as far as notes and what is stored behind them show.
    fn measure(&mut self, stored: &[Stored<'_>]) {
        let mut nexts = self.notes.iter().skip(1);
        for note in &self.notes {
            let next = nexts.next();
            let until_next = next.map_or(SEGMENT_MS, |it| it.since_boot_ms - note.since_boot_ms);
            let held = match next {
                Some(next) if next.line == note.line => until_next,
                _ => stored
                    .get(note.place)
                    .map_or(0, |it| it.held_ms(until_next)),
            };
            if let Some(line) = self.lines.get_mut(note.line) {
                line.held_ms += held;
            }
        }
    }

    fn believes(&self, line: usize) -> bool {
        let ends = [self.notes.first(), self.notes.last()];
        let [first, last] = ends.map(|note| note.map(|note| note.line));
        let Some(this) = self.lines.get(line) else {
            return false;
        };
        let came_back = first == last && !first.is_some_and(|line| self.is_outlasted(line));
        if came_back && !this.went_back {
            return first == Some(line);
        }
        let all: i128 = self.lines.iter().map(|line| line.held_ms).sum();
        let holds_most = this.held_ms >= HELD_MOST_MS && 2 * this.held_ms > all;
        this.held_ms >= HELD_MS || (holds_most && !this.went_back)
    }

    /// Whether the clock was on another line for longer, and for a day: then it was put right, and went wrong again.
    fn is_outlasted(&self, line: usize) -> bool {
        let held_ms = self.lines.get(line).map_or(0, |line| line.held_ms);
        let longest_ms = self.lines.iter().map(|line| line.held_ms).max();
        longest_ms.is_some_and(|longest_ms| longest_ms >= HELD_MS && longest_ms > held_ms)
    }
}

impl Stored<'_> {
    /// The time from the note to the last sighting behind it, `at_most` so long.
    fn held_ms(&self, at_most: i128) -> i128 {
        let Some(record) = self.clock else { return 0 };
        let noted = i128::from(record.reading.wall.unix_millis());
        let behind = |sighting: &Sighting| i128::from(sighting.last.unix_millis()) - noted;
        let held = self.sightings.iter().map(behind);
        held.filter(|held| (0..=at_most).contains(held))
            .max()
            .unwrap_or(0)
    }
}

/// Marks the lines that go back behind what another run had stored of the same day before; gives the sightings that
/// do so where the machine's start is not told.
fn going_back<'s>(stored: &[Stored<'s>], runs: &mut HashMap<[u8; 16], Run>) -> Vec<&'s Sighting> {
    let lines: HashMap<usize, usize> = runs
        .values()
        .flat_map(|run| run.notes.iter().map(|note| (note.place, note.line)))
        .collect();
    let mut back = Vec::new();
    // The latest of the day, and of those before by another run.
    let mut day: Option<UtcDay> = None;
    let start = Timestamp::from_unix_millis(0);
    let (mut latest, mut latest_of_others) = (start, start);
    let mut run_now = None;
    for (place, stored) in stored.iter().enumerate() {
        let Some(record) = stored.clock else { continue };
        let (Some(first), wall) = (stored.sightings.first(), record.reading.wall) else {
            continue;
        };
        if day != Some(first.first.utc_day()) {
            day = Some(first.first.utc_day());
            (latest, latest_of_others) = (start, start);
            run_now = None;
        }
        let uptime = record.reading.uptime;
        if run_now != Some(uptime.map(|it| it.boot_id)) {
            run_now = Some(uptime.map(|it| it.boot_id));
            latest_of_others = latest;
        }
        let run = uptime.and_then(|it| runs.get_mut(&it.boot_id));
        match run.zip(lines.get(&place)) {
            Some((run, &line)) => {
                if latest_of_others.since(wall).as_millis() as i128 > SHIFT_MAX_MS
                    && let Some(line) = run.lines.get_mut(line)
                {
                    line.went_back = true;
                }
                // A false clock that ran ahead must not have the true one go back.
                if run.believes(line) {
                    let last = stored.sightings.iter().map(|it| it.last).max();
                    latest = latest.max(last.unwrap_or(latest));
                }
            }
            None => {
                for sighting in stored.sightings {
                    if latest.since(sighting.first) > LATE_MAX {
                        back.push(sighting);
                    }
                    latest = latest.max(sighting.last);
                }
            }
        }
    }
    back
}

fn set(flags: &mut [bool], place: usize, value: bool) {
    if let Some(flag) = flags.get_mut(place) {
        *flag = value;
    }
}
