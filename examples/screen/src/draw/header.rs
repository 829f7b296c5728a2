//! What this device does: the lines at the top.

use ratatui::text::{Line, Span};
use truyvet::engine::{Health, State as Doing, Status};

use super::{Palette, clock_face, health, minutes, shortened};
use crate::state::State;

pub(super) fn lines(state: &State, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let mut lines = vec![
        title(state, palette, width),
        own(state, palette, width),
        working(state, palette, width),
    ];
    if let Some(why) = worst(state) {
        let text = shortened(&format!("! {why}"), width);
        lines.push(Line::styled(text, palette.doubtful()));
    }
    if let Some(next) = &state.next {
        let text = shortened(next, width.saturating_sub("story: ".len()));
        lines.push(Line::from(vec![
            Span::styled("story: ", palette.accent()),
            Span::raw(text),
        ]));
    }
    lines
}

fn title(state: &State, palette: Palette, width: usize) -> Line<'static> {
    let now = state.now.map_or_else(String::new, clock_face);
    let seconds = state.elapsed.as_secs();
    let passed = match state.length {
        Some(length) => format!("{} of {} min", seconds / 60, length.as_secs().div_ceil(60)),
        None => minutes(seconds),
    };
    let right = format!("{passed}, {now} UTC");
    let used = "truyvet  ".len() + right.len() + 1;
    let radio = shortened(state.radio, width.saturating_sub(used));
    let gap = width.saturating_sub(used + Span::raw(&radio).width() - 1);
    Line::from(vec![
        Span::styled("truyvet  ", palette.title()),
        Span::raw(radio),
        Span::raw(" ".repeat(gap)),
        Span::raw(right),
    ])
}

fn own(state: &State, palette: Palette, width: usize) -> Line<'static> {
    let on_the_air = |it: &&Health| matches!(it.advertising.state, Doing::Working | Doing::Resting);
    let own = state.health.as_ref().filter(on_the_air);
    let text = match (own.and_then(|it| it.own_identifier), state.now) {
        (Some(own), Some(now)) => {
            let age = now.unix_seconds().saturating_sub(own.since.unix_seconds());
            let left = own.until.unix_seconds().saturating_sub(now.unix_seconds());
            format!(
                "{}, {} old, new in {} ({})",
                own.protocol,
                minutes(age),
                minutes(left),
                clock_face(own.until).get(..5).unwrap_or_default()
            )
        }
        _ => "none is on the air".to_owned(),
    };
    let before = "own identifier: ";
    Line::from(vec![
        Span::styled(before, palette.accent()),
        Span::raw(shortened(&text, width.saturating_sub(before.len()))),
    ])
}

/// A sign for each thing a tracer does, and how much it hears.
fn working(state: &State, palette: Palette, width: usize) -> Line<'static> {
    let Some(health) = &state.health else {
        return Line::raw("");
    };
    let mut spans = Vec::new();
    for (name, status) in capabilities(health) {
        let (sign, style) = sign(status, palette);
        spans.push(Span::styled(sign, style));
        spans.push(Span::raw(format!(" {name}  ")));
    }
    if let Some(rate) = state.frames_per_s() {
        let used: usize = spans.iter().map(Span::width).sum();
        let rate = format!("{rate:.1} frames/s");
        spans.push(Span::raw(shortened(&rate, width.saturating_sub(used))));
    }
    Line::from(spans)
}

/// What a tracer does, by name.
pub(super) fn capabilities(health: &Health) -> [(&'static str, &Status); 4] {
    [
        ("scanning", &health.scanning),
        ("advertising", &health.advertising),
        ("log", &health.log),
        ("erasure", &health.erasure),
    ]
}

/// How it goes, at a glance.
pub(super) fn sign(status: &Status, palette: Palette) -> (&'static str, ratatui::style::Style) {
    match status.state {
        Doing::Working => ("✓", palette.good()),
        Doing::Resting => ("z", palette.good()),
        Doing::Starting => ("…", palette.doubtful()),
        Doing::Failing(_) => ("✗", palette.bad()),
        _ => ("-", palette.faint()),
    }
}

/// What somebody should know first, if there is anything.
fn worst(state: &State) -> Option<String> {
    let noted = state.noted().map(str::to_owned);
    let reasons = || health::reasons(state.health.as_ref()?).into_iter().next();
    noted.or_else(reasons)
}
