//! What is known of the chosen neighbour.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

use super::{Palette, clock_face, ruled, wrapped};
use crate::nearness::{NEAR_M, assumed_power_dbm, range, word};
use crate::neighbours::Neighbour;
use crate::state::State;

/// Of the strengths, in a picture, this is the foot: as that of the bars in the rows.
const FOOT_DBM: i16 = -95;
const TOP_DBM: i16 = -50;

/// How much of `height` it takes: a third, and on a small screen two lines beneath a rule.
pub(super) fn height(height: u16) -> u16 {
    match height {
        0..9 => 0,
        9..15 => 3,
        _ => (height / 3).clamp(6, 18),
    }
}

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, palette: Palette) {
    let Some(neighbour) = state.selected().filter(|_| area.height > 0) else {
        return;
    };
    let [rule, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let title = format!("{} {} {}", neighbour.name, neighbour.id, neighbour.protocol);
    frame.render_widget(
        ruled(title.trim_end(), "", area.width.into(), palette),
        rule,
    );
    let lines: Vec<Line<'_>> = lines(neighbour, palette, body.height < 5)
        .into_iter()
        .flat_map(|line| wrapped(line, body.width.into()))
        .collect();
    let text = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let [top, picture] =
        Layout::vertical([Constraint::Length(text), Constraint::Min(0)]).areas(body);
    frame.render_widget(Paragraph::new(lines), top);
    // One line would say what the row says.
    if picture.height >= 2 {
        draw_strengths(frame, picture, neighbour, palette);
    }
}

fn lines(neighbour: &Neighbour, palette: Palette, is_brief: bool) -> Vec<Line<'static>> {
    let entry = |name: &'static str, text: String| {
        Line::from(vec![
            Span::styled(format!("{name:10}"), palette.accent()),
            Span::raw(text),
        ])
    };
    let seconds = neighbour.near_for.as_secs();
    let gone = if neighbour.left.is_some() {
        "; gone"
    } else {
        ""
    };
    let heard = format!(
        "for {} min {} s, since {} UTC{gone}",
        seconds / 60,
        seconds % 60,
        clock_face(neighbour.since)
    );
    let nearness = neighbour.nearness();
    let distance = match &nearness {
        Some(it) if is_brief => format!("{}: 80 of 100 such are at {}", word(it), range(it)),
        Some(it) => format!(
            "{}: {:.0} of 100 such are within {NEAR_M} m, 80 of 100 at {}",
            word(it),
            100.0 * it.within(NEAR_M),
            range(it)
        ),
        None => "not known before a sighting with a strength is complete".to_owned(),
    };
    let mut lines = vec![entry("heard", heard), entry("distance", distance)];
    if is_brief {
        return lines;
    }
    let strength = match (neighbour.last, neighbour.first) {
        (Some(it), _) => format!(
            "{}, from {} to {} in the last sighting",
            it.mean,
            it.min.dbm(),
            it.max
        ),
        (None, Some(first)) => format!("{first}, of its first frame"),
        (None, None) => "the radio does not tell".to_owned(),
    };
    lines.push(entry("strength", strength));
    if nearness.is_some() {
        let hint = format!(
            "a hint: its power is assumed ({} dBm), a body costs as much as metres",
            assumed_power_dbm()
        );
        lines.push(entry("", hint));
    }
    lines
}

/// Its strengths so far, as in its row and higher.
fn draw_strengths(frame: &mut Frame<'_>, area: Rect, neighbour: &Neighbour, palette: Palette) {
    let height = |dbm: i8| u64::try_from(i16::from(dbm) - FOOT_DBM).unwrap_or(0).max(1);
    let hidden = neighbour.sightings.len().saturating_sub(area.width.into());
    let shown = neighbour.sightings.iter().skip(hidden);
    let heights = shown.map(|(rssi, _)| rssi.map(|it| height(it.dbm())));
    let picture = Sparkline::default()
        .data(heights)
        .max(u64::try_from(TOP_DBM - FOOT_DBM).unwrap_or(1))
        .style(palette.accent());
    frame.render_widget(picture, area);
}
