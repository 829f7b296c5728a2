//! Whether it works, with every reason and every count.

use ratatui::text::{Line, Span};
use truyvet::engine::{Counters, Health, State as Doing};

use super::Palette;
use super::header::{capabilities, sign};
use crate::state::State;

/// Names stand in so many cells.
const NAME: usize = 14;

/// What does not work, and what is lost by it: the worst first.
pub(super) fn reasons(health: &Health) -> Vec<String> {
    let mut reasons = Vec::new();
    for (name, status) in capabilities(health) {
        match &status.state {
            Doing::Failing(why) => reasons.push(format!("{name} fails: {why}")),
            Doing::Unsupported(why) => reasons.push(format!("{name} is not possible: {why}")),
            _ => {}
        }
    }
    if let Some(since) = health.silent_since {
        reasons.push(format!("nobody heard since {since}, though scanning"));
    }
    if let Some(held) = health.deletion_held {
        reasons.push(held.to_string());
    }
    let caveats = health.advertised.iter().flat_map(|it| &it.caveats);
    reasons.extend(caveats.map(ToString::to_string));
    let lost = lost(&health.counters);
    if lost > 0 {
        reasons.push(format!("{lost} sightings lost: h says why"));
    }
    reasons
}

fn lost(counters: &Counters) -> u64 {
    counters.lost_sightings + counters.unproven_sightings + counters.over_budget_sightings
}

pub(super) fn lines(state: &State, palette: Palette) -> Vec<Line<'static>> {
    let Some(health) = &state.health else {
        return vec![Line::raw("Nothing is known yet.")];
    };
    let mut lines = Vec::new();
    let reading = health.reading.as_ref().map(|status| ("reading", status));
    for (name, status) in capabilities(health).into_iter().chain(reading) {
        let (sign, style) = sign(status, palette);
        lines.push(Line::from(vec![
            Span::styled(format!("{sign} {name:NAME$}"), style),
            Span::raw(format!("{} since {}", status.state, status.since)),
        ]));
    }
    lines.extend(facts(health));
    let caveats = health.advertised.iter().flat_map(|it| &it.caveats);
    lines.extend(caveats.map(|caveat| fact("but", caveat)));
    lines.push(Line::default());
    lines.extend(counted(&health.counters));
    lines
}

fn fact(name: &str, text: impl ToString) -> Line<'static> {
    Line::from(vec![
        Span::raw(format!("  {name:NAME$}")),
        Span::raw(text.to_string()),
    ])
}

/// What there is to know beside.
fn facts(health: &Health) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let mut say = |name, text: Option<String>| lines.extend(text.map(|text| fact(name, text)));
    say("hears", health.scan_mode.map(|mode| mode.to_string()));
    say("last minute", health.rate.map(|rate| rate.to_string()));
    say("last heard", health.last_heard.map(|at| at.to_string()));
    let silent = |since| format!("since {since}, though scanning");
    say("silence", health.silent_since.map(silent));
    say("own heard", health.own_heard.map(|at| at.to_string()));
    say("held", health.deletion_held.map(|held| held.to_string()));
    let interval = health.advertised.as_ref().and_then(|it| it.interval);
    let interval = interval.map(|it| format!("a frame each {} ms", it.as_millis()));
    say("on the air", interval);
    lines
}

fn counted(counters: &Counters) -> impl Iterator<Item = Line<'static>> {
    let gaps = [
        (
            counters.malformed_frames,
            "frames broke their protocol's layout",
        ),
        (
            counters.unread_frames,
            "frames of phones whose identifier was not read",
        ),
        (
            counters.failed_reads,
            "attempts to read an identifier failed",
        ),
        (
            counters.dropped_frames,
            "frames came faster than they could be taken",
        ),
        (counters.missed_frames, "frames heard and not read"),
        (
            counters.evicted_neighbours,
            "neighbours set aside because there were too many",
        ),
        (
            counters.lost_sightings,
            "sightings lost because the log failed",
        ),
        (counters.unproven_sightings, "sightings dropped in a flood"),
        (
            counters.over_budget_sightings,
            "sightings above their day's budget",
        ),
        (counters.clock_jumps, "unexplained jumps of the clock"),
    ];
    let heard = [
        (counters.frames, "frames of neighbours"),
        (counters.sightings, "sightings given to the log"),
        (counters.foreign_frames, "frames of neither protocol"),
        (counters.own_frames, "frames with the own identifier"),
        (counters.reads, "identifiers read by GATT"),
    ];
    let shown = |(number, _): &(u64, _)| *number > 0;
    // The two that everything begins with are shown though they be zero.
    let heard = heard.into_iter().enumerate();
    let heard = heard.filter(move |(place, it)| *place < 2 || shown(it));
    let gaps = gaps.into_iter().filter(shown);
    heard
        .map(|(_, it)| it)
        .chain(gaps)
        .map(|(number, what)| Line::from(vec![Span::raw(format!("{number:>9} ")), Span::raw(what)]))
}
