//! The keys, and what the signs mean.

use ratatui::text::{Line, Span};

use super::Palette;
use crate::nearness::{NEAR_M, assumed_power_dbm};
use crate::state::{State, View};

/// The last line of the screen.
pub(super) fn keys(state: &State, palette: Palette) -> Line<'static> {
    let pause = if state.is_paused() { "go on" } else { "pause" };
    let keys = match state.view {
        View::List => vec![
            ("q", "quit"),
            ("↑↓", "select"),
            ("h", "health"),
            ("p", pause),
            ("?", "help"),
        ],
        View::Health => vec![
            ("q", "quit"),
            ("↑↓", "scroll"),
            ("h", "back"),
            ("?", "help"),
        ],
        View::Help => vec![
            ("q", "quit"),
            ("↑↓", "scroll"),
            ("?", "back"),
            ("h", "health"),
        ],
    };
    let mut spans = Vec::new();
    for (key, what) in keys {
        spans.push(Span::styled(key, palette.title()));
        spans.push(Span::raw(format!(" {what}  ")));
    }
    Line::from(spans)
}

pub(super) fn lines(palette: Palette) -> Vec<Line<'static>> {
    let power = assumed_power_dbm();
    let texts = [
        ("q Ctrl-C", "end in order: what was heard is stored"),
        (
            "↑ ↓ j k",
            "select, or scroll; PageUp, PageDown, Home and End as well",
        ),
        ("h", "health: whether it works, and why not"),
        ("p", "pause the list; tracing goes on"),
        ("Ctrl-Z", "stop for a while; fg goes on"),
        ("", ""),
        (
            "✓ z … ✗ -",
            "working, resting, starting, failing, off or not possible",
        ),
        (
            "▁▄█",
            "signal of each sighting, half a minute or so, the newest on the right: from -95 dBm to -50 dBm and more",
        ),
        (
            "gone",
            "not heard for a minute, or under another identifier now",
        ),
    ];
    let mut lines: Vec<_> = texts
        .into_iter()
        .map(|(sign, text)| entry(sign, text.to_owned(), palette))
        .collect();
    let near = format!(
        "within {NEAR_M} m, or farther, is twice as probable as not; else it is near or far. A hint: a signal's \
         strength is no distance. A body costs as much as metres do, and the sender's power is assumed ({power} dBm): \
         docs/proximity.md"
    );
    lines.push(entry("near? far?", near, palette));
    lines
}

fn entry(sign: &str, text: String, palette: Palette) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!("{sign:12}"), palette.accent()),
        Span::raw(text),
    ])
}
