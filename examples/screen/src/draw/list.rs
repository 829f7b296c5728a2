//! The neighbours, a row each.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, HighlightSpacing, Paragraph, Row, Table, TableState, Wrap};

use super::{Palette, clock_face, ruled};
use crate::nearness::{range, word};
use crate::neighbours::Neighbour;
use crate::state::State;
use crate::support::bar;

/// From this width on the protocol is shown in the row, and from that on the range.
const WITH_PROTOCOL: u16 = 72;
const WITH_RANGE: u16 = 100;

/// No more sightings are shown than are kept, two a minute.
const SIGNAL_MAX: u16 = 90;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &mut State, palette: Palette) {
    let [rule, body] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(area);
    let columns = Columns::of(body.width);
    let rows = state.rows();
    if rows.is_empty() {
        let title = ruled("neighbours", &paused(state), body.width.into(), palette);
        frame.render_widget(title, rule);
        let nobody = Paragraph::new("Nobody is heard yet. h says whether it works.");
        return frame.render_widget(nobody.wrap(Wrap { trim: true }), body);
    }
    // The names of the columns stand above; where there is no room for a row, one is reckoned with all the same.
    let (all, shown) = (
        rows.len(),
        usize::from(body.height).saturating_sub(1).max(1),
    );
    let chosen = state.selected_place().unwrap_or(0);
    // As little as shows the chosen row, and no row empty while there are some above.
    let top = state.top.clamp((chosen + 1).saturating_sub(shown), chosen);
    let top = top.min(all.saturating_sub(shown));
    let seen = rows.iter().skip(top).take(shown);
    let table = Table::new(seen.map(|it| columns.row(it, palette)), columns.widths())
        .header(Row::new(columns.names()).style(palette.faint()))
        .row_highlight_style(palette.chosen())
        .highlight_symbol("▸ ")
        .highlight_spacing(HighlightSpacing::Always)
        .column_spacing(1);
    let mut place = TableState::new().with_selected(chosen - top);
    frame.render_stateful_widget(table, body, &mut place);
    state.top = top;
    let title = format!("neighbours {}", state.count_present());
    let more = more(top, shown, all) + &paused(state);
    frame.render_widget(ruled(&title, &more, body.width.into(), palette), rule);
}

/// What is above and below of what is shown.
fn more(above: usize, shown: usize, all: usize) -> String {
    match all.saturating_sub(above + shown) {
        0 if above == 0 => String::new(),
        below => format!("↑ {above} ↓ {below} more "),
    }
}

fn paused(state: &State) -> String {
    match state.is_paused() {
        true => "PAUSED".to_owned(),
        false => String::new(),
    }
}

/// What there is room for.
struct Columns {
    has_protocol: bool,
    has_range: bool,
    signal: u16,
}

impl Columns {
    fn of(width: u16) -> Self {
        let (has_protocol, has_range) = (width >= WITH_PROTOCOL, width >= WITH_RANGE);
        let mut columns = Self {
            has_protocol,
            has_range,
            signal: 0,
        };
        // The mark of the chosen row, and a cell between columns.
        let used: u16 = columns.fixed().iter().map(|(_, width, _)| width + 1).sum();
        columns.signal = width.saturating_sub(used + 2).clamp(4, SIGNAL_MAX);
        columns
    }

    /// Names, widths and sides of all columns; the signal takes what is left.
    fn fixed(&self) -> Vec<(&'static str, u16, Alignment)> {
        let protocol = ("protocol", 8, Alignment::Left);
        let range = ("80 of 100 at", 13, Alignment::Left);
        let mut columns = vec![
            ("#", 5, Alignment::Left),
            ("identifier", 10, Alignment::Left),
        ];
        columns.extend(self.has_protocol.then_some(protocol));
        columns.extend([
            ("min", 4, Alignment::Right),
            ("signal", self.signal, Alignment::Left),
            ("dBm", 4, Alignment::Right),
            ("distance", 11, Alignment::Left),
        ]);
        columns.extend(self.has_range.then_some(range));
        columns
    }

    fn names(&self) -> impl Iterator<Item = Cell<'static>> {
        let columns = self.fixed().into_iter();
        columns.map(|(name, _, side)| Cell::from(Text::from(name).alignment(side)))
    }

    fn widths(&self) -> impl Iterator<Item = Constraint> {
        let columns = self.fixed().into_iter();
        columns.map(|(_, width, _)| Constraint::Length(width))
    }

    fn row(&self, neighbour: &Neighbour, palette: Palette) -> Row<'static> {
        let right = |text: String| Cell::from(Line::from(text).right_aligned());
        let style = match neighbour.left {
            Some(_) => palette.faint(),
            None => Style::new(),
        };
        let (near, near_style) = distance(neighbour, palette);
        let mut cells = vec![
            Cell::from(neighbour.name.clone()),
            Cell::from(identifier(neighbour)),
        ];
        let protocol = || Cell::from(neighbour.protocol.clone());
        cells.extend(self.has_protocol.then(protocol));
        let dbm = neighbour.rssi().map(|it| it.dbm().to_string());
        cells.extend([
            right((neighbour.near_for.as_secs() / 60).to_string()),
            Cell::from(signal(neighbour, self.signal.into())).style(palette.accent()),
            right(dbm.unwrap_or_default()),
            Cell::from(near).style(near_style),
        ]);
        let range = || {
            Cell::from(
                neighbour
                    .nearness()
                    .as_ref()
                    .map_or_else(String::new, range),
            )
        };
        cells.extend(self.has_range.then(range));
        Row::new(cells).style(style)
    }
}

/// In words, how near, or that it has left.
fn distance(neighbour: &Neighbour, palette: Palette) -> (String, Style) {
    if neighbour.left.is_some() {
        return ("gone".to_owned(), Style::new());
    }
    match neighbour.nearness() {
        Some(nearness) => {
            let word = word(&nearness);
            let style = match word {
                "near?" => palette.doubtful(),
                _ => Style::new(),
            };
            (word.to_owned(), style)
        }
        None => (
            format!(
                "new {}",
                clock_face(neighbour.since).get(..5).unwrap_or_default()
            ),
            palette.good(),
        ),
    }
}

fn identifier(neighbour: &Neighbour) -> String {
    match neighbour.id.is_empty() {
        true => "missed".to_owned(),
        false => neighbour.id.clone(),
    }
}

/// A bar a sighting, the newest last.
fn signal(neighbour: &Neighbour, cells: usize) -> String {
    let all = &neighbour.sightings;
    let bar_of = |rssi: Option<truyvet::sighting::Rssi>| match rssi {
        Some(rssi) => bar(Some(rssi.dbm())),
        None => '·',
    };
    if all.is_empty() {
        return bar_of(neighbour.first).to_string();
    }
    let hidden = all.len().saturating_sub(cells);
    all.iter()
        .skip(hidden)
        .map(|(rssi, _)| bar_of(*rssi))
        .collect()
}
