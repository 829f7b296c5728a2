//! The state as cells. Everything that a colour says, a sign or a word says too.

mod detail;
mod header;
mod health;
mod help;
mod list;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use truyvet::time::Timestamp;

use crate::state::{State, View};

/// What is drawn on less says nothing. Chosen.
const SMALLEST: (u16, u16) = (30, 8);

/// Styles, by what they are for.
#[derive(Clone, Copy)]
pub(crate) struct Palette {
    has_colours: bool,
}

/// The terminal's own colours, unless the user wants none (<https://no-color.org>).
impl Default for Palette {
    fn default() -> Self {
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            has_colours: !unwanted,
        }
    }
}

impl Palette {
    #[cfg(test)]
    pub(crate) fn of(has_colours: bool) -> Self {
        Self { has_colours }
    }

    fn coloured(self, colour: Color) -> Style {
        match self.has_colours {
            true => Style::new().fg(colour),
            false => Style::new(),
        }
    }

    fn good(self) -> Style {
        self.coloured(Color::Green)
    }

    fn bad(self) -> Style {
        self.coloured(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn doubtful(self) -> Style {
        self.coloured(Color::Yellow)
    }

    fn accent(self) -> Style {
        self.coloured(Color::Cyan)
    }

    fn title(self) -> Style {
        self.accent().add_modifier(Modifier::BOLD)
    }

    fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

/// Draws all of it.
pub(crate) fn draw(frame: &mut Frame<'_>, state: &mut State, palette: Palette) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let text = format!("{} × {} or more, please; q quits", SMALLEST.0, SMALLEST.1);
        return frame.render_widget(Paragraph::new(text).wrap(Default::default()), area);
    }
    let head = header::lines(state, palette, usize::from(area.width));
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(u16::try_from(head.len()).unwrap_or(0)),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    frame.render_widget(Paragraph::new(head), top);
    match state.view {
        View::List => {
            let [rows, detail] = Layout::vertical([
                Constraint::Min(3),
                Constraint::Length(detail::height(middle.height)),
            ])
            .areas(middle);
            list::draw(frame, rows, state, palette);
            detail::draw(frame, detail, state, palette);
        }
        View::Health => {
            let lines = health::lines(state, palette);
            page(frame, middle, "health", lines, state, palette);
        }
        View::Help => page(frame, middle, "help", help::lines(palette), state, palette),
    }
    frame.render_widget(help::keys(state, palette), bottom);
}

/// A text that can be longer than the screen.
fn page(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &str,
    lines: Vec<Line<'_>>,
    state: &mut State,
    palette: Palette,
) {
    let [rule, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let width = usize::from(body.width);
    let lines: Vec<Line<'_>> = lines
        .into_iter()
        .flat_map(|line| wrapped(line, width))
        .collect();
    let hidden = lines.len().saturating_sub(usize::from(body.height));
    state.scroll = state.scroll.min(u16::try_from(hidden).unwrap_or(u16::MAX));
    let below = hidden.saturating_sub(usize::from(state.scroll));
    let more = match (state.scroll, below) {
        (0, 0) => String::new(),
        (above, below) => format!("↑ {above} ↓ {below} more lines"),
    };
    frame.render_widget(ruled(title, &more, width, palette), rule);
    frame.render_widget(Paragraph::new(lines).scroll((state.scroll, 0)), body);
}

/// `title ────────── more`
fn ruled(title: &str, more: &str, width: usize, palette: Palette) -> Line<'static> {
    let title = shortened(title, width.saturating_sub(4));
    let used = Span::raw(&title).width() + Span::raw(more).width() + 4;
    let more = match used <= width {
        true if !more.is_empty() => format!(" {more} "),
        _ => String::new(),
    };
    let used = Span::raw(&title).width() + Span::raw(&more).width() + 3;
    Line::from(vec![
        Span::styled("─ ", palette.faint()),
        Span::styled(title, palette.title()),
        Span::styled(
            format!(" {}", "─".repeat(width.saturating_sub(used))),
            palette.faint(),
        ),
        Span::raw(more),
    ])
}

/// `text` in so many cells at most; what is cut off, a point of three says.
fn shortened(text: &str, cells: usize) -> String {
    if Span::raw(text).width() <= cells {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for grapheme in Span::raw(text).styled_graphemes(Style::new()) {
        used += Span::raw(grapheme.symbol).width();
        // The last cell is the point's.
        if used >= cells {
            break;
        }
        kept.push_str(grapheme.symbol);
    }
    kept + "…"
}

/// `line`, whose first span stands before the rest, in as many lines as it takes at so many cells.
fn wrapped(line: Line<'_>, cells: usize) -> Vec<Line<'static>> {
    let mut spans = line.spans.into_iter();
    let Some(first) = spans.next() else {
        return vec![Line::default()];
    };
    let indent = first.width();
    let room = cells.saturating_sub(indent).max(1);
    let mut lines = vec![Line::from(Span::styled(
        first.content.into_owned(),
        first.style,
    ))];
    let mut used = 0;
    for span in spans {
        for word in span.content.split_inclusive(' ') {
            // A word that fits on no line is cut.
            let word = shortened(word, room);
            let needed = Span::raw(word.trim_end()).width();
            if used > 0 && used + needed > room {
                lines.push(Line::from(" ".repeat(indent)));
                used = 0;
            }
            used += Span::raw(&word).width();
            if let Some(line) = lines.last_mut() {
                line.push_span(Span::styled(word, span.style));
            }
        }
    }
    lines
}

/// `9:03:12` as it is in UTC.
fn clock_face(time: Timestamp) -> String {
    let second = time.unix_seconds() % 86_400;
    format!(
        "{:02}:{:02}:{:02}",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

/// `12 min`, or seconds where it is less.
fn minutes(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        _ => format!("{} min", seconds / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(shortened("Tuấn", 4), "Tuấn");
        assert_eq!(shortened("Tuấn, across", 5), "Tuấn…");
        // Two cells each: half of one does not fit.
        assert_eq!(shortened("接触者", 4), "接…");
        assert_eq!(shortened("接触者", 6), "接触者");
        assert_eq!(shortened("abc", 0), "…");
    }

    #[test]
    fn a_long_line_goes_on_below_itself() {
        let line = Line::from(vec![
            Span::raw("log  "),
            Span::raw("failing: the disk is full"),
        ]);
        let text: Vec<_> = wrapped(line, 16).iter().map(Line::to_string).collect();
        assert_eq!(text, ["log  failing: ", "     the disk is ", "     full"]);
    }

    #[test]
    fn a_word_without_end_is_cut() {
        let line = Line::from(vec![Span::raw("a "), Span::raw("接".repeat(50))]);
        let lines = wrapped(line, 9);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].to_string(), "a 接接接…");
    }
}
