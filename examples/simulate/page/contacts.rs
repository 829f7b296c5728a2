//! Where people met, and which of their meetings the library saw.

use std::fmt::{self, Write};

use truyvet::sim::{Cell, Detection, World};

use super::chart::{WIDTH, grouped};
use crate::support::Escaped;
use crate::terminal::round;

/// What was found of the meetings with people who reported, by distance and duration.
pub(super) fn found(out: &mut String, detection: &Detection) -> fmt::Result {
    if detection.cells.is_empty() {
        return Ok(());
    }
    let grid = Grid::of(&detection.cells);
    for (title, what, seen) in [
        ("Seen", "with an exposure of any length in the log", true),
        ("Told", "by the rule", false),
    ] {
        write!(
            out,
            "<figure><figcaption><b>{title}</b>: {what}</figcaption>"
        )?;
        grid.draw(out, title, |cell| if seen { cell.seen } else { cell.told })?;
        let frame = (detection.near_m, detection.near_minutes);
        grid.frame(out, frame)?;
        write!(out, "</svg></figure>")?;
    }
    Ok(())
}

/// The cells by the bounds they have.
struct Grid<'a> {
    cells: &'a [Cell],
    /// Ascending, from where each column begins and where it ends.
    metres: Vec<(f64, f64)>,
    minutes: Vec<(f64, f64)>,
}

const LEFT: f64 = 74.0;
const TOP: f64 = 18.0;
const ROW: f64 = 36.0;

impl<'a> Grid<'a> {
    fn of(cells: &'a [Cell]) -> Self {
        let bounds = |of: fn(&Cell) -> (f64, f64)| {
            let mut bounds: Vec<_> = cells.iter().map(of).collect();
            bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
            bounds.dedup();
            bounds
        };
        Self {
            cells,
            metres: bounds(|cell| (cell.from_m, cell.to_m)),
            minutes: bounds(|cell| (cell.from_minutes, cell.to_minutes)),
        }
    }

    fn column(&self) -> f64 {
        (WIDTH - LEFT) / self.metres.len().max(1) as f64
    }

    /// Longer meetings stand higher.
    fn row_top(&self, row: usize) -> f64 {
        TOP + (self.minutes.len() - 1 - row) as f64 * ROW
    }

    fn draw(&self, out: &mut String, title: &str, count: impl Fn(&Cell) -> u64) -> fmt::Result {
        let foot = TOP + self.minutes.len() as f64 * ROW;
        write!(
            out,
            "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{title}, by distance and duration\">\
             <text class=\"soft\" x=\"0\" y=\"11\">minutes</text>",
            foot + 36.0
        )?;
        for (row, bounds) in self.minutes.iter().enumerate() {
            write!(
                out,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                self.row_top(row) + ROW / 2.0 + 4.0,
                between(*bounds)
            )?;
        }
        for (column, bounds) in self.metres.iter().enumerate() {
            write!(
                out,
                "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                LEFT + (column as f64 + 0.5) * self.column(),
                foot + 15.0,
                between(*bounds)
            )?;
        }
        write!(
            out,
            "<text class=\"soft\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">mean distance, m</text>",
            foot + 31.0
        )?;
        self.cells
            .iter()
            .try_for_each(|cell| self.cell(out, cell, count(cell)))
    }

    fn cell(&self, out: &mut String, cell: &Cell, counted: u64) -> fmt::Result {
        let column = self.metres.iter().position(|it| it.0 == cell.from_m);
        let row = self.minutes.iter().position(|it| it.0 == cell.from_minutes);
        let (Some(column), Some(row)) = (column, row) else {
            return Ok(());
        };
        let (x, y, width) = (
            LEFT + column as f64 * self.column(),
            self.row_top(row),
            self.column(),
        );
        let middle = x + width / 2.0;
        if cell.meetings == 0 {
            return write!(
                out,
                "<text class=\"soft\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">–</text>",
                y + ROW / 2.0 + 4.0
            );
        }
        let share = counted as f64 / cell.meetings as f64;
        write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--heat)\" fill-opacity=\"{:.2}\"/>\
             <text class=\"bold\" x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{:.0} %</text>\
             <text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"font-size:10.5px\">of {}</text>",
            x + 1.0,
            y + 1.0,
            width - 2.0,
            ROW - 2.0,
            0.06 + 0.94 * share,
            y + 16.0,
            100.0 * share,
            y + 29.0,
            grouped(cell.meetings)
        )
    }

    /// Around what the rule is to tell.
    fn frame(&self, out: &mut String, (near_m, near_minutes): (f64, f64)) -> fmt::Result {
        let columns = self.metres.iter().take_while(|it| it.1 <= near_m).count();
        let below = self
            .minutes
            .iter()
            .take_while(|it| it.0 < near_minutes)
            .count();
        let rows = self.minutes.len() - below;
        if columns == 0 || rows == 0 {
            return Ok(());
        }
        write!(
            out,
            "<rect x=\"{LEFT:.1}\" y=\"{TOP:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"none\" stroke=\"var(--mark)\" \
             stroke-width=\"2.5\"/>",
            columns as f64 * self.column(),
            rows as f64 * ROW
        )
    }
}

/// `2–4`; without an end, `8+`.
fn between((from, to): (f64, f64)) -> String {
    match to.is_finite() && to < 1e6 {
        true => format!("{}–{}", round(from), round(to)),
        false => format!("{}+", round(from)),
    }
}

/// A row a kind of place, a field an hour: the more contact minutes, the stronger.
pub(super) fn places(out: &mut String, world: &World) -> fmt::Result {
    const LABEL: f64 = 62.0;
    const TALL: f64 = 26.0;
    let most = world
        .places
        .iter()
        .flat_map(|place| &place.minutes)
        .copied();
    let most = most.fold(0.0, f64::max);
    if most <= 0.0 {
        return Ok(());
    }
    let hour = (WIDTH - LABEL) / 24.0;
    let foot = TALL * world.places.len() as f64;
    write!(
        out,
        "<figure><figcaption><b>When and where people are near each other</b>: contact minutes of all by the hour of the \
         day, a day's mean; the strongest field has {}, and the colour goes with the root</figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"Contact minutes by place and hour\">",
        grouped(most.round() as u64),
        foot + 34.0
    )?;
    for (row, place) in world.places.iter().enumerate() {
        let y = row as f64 * TALL;
        write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LABEL - 8.0,
            y + TALL / 2.0 + 4.0,
            Escaped(&place.place)
        )?;
        for (number, minutes) in place.minutes.iter().enumerate() {
            write!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--heat)\" \
                 fill-opacity=\"{:.2}\"><title>{}, {number:02}:00: {:.0} minutes</title></rect>",
                LABEL + number as f64 * hour + 0.5,
                y + 1.0,
                hour - 1.0,
                TALL - 2.0,
                0.06 + 0.94 * (minutes / most).sqrt(),
                Escaped(&place.place),
                minutes
            )?;
        }
    }
    for number in [0_u8, 6, 12, 18, 24] {
        let anchor = match number {
            0 => "start",
            24 => "end",
            _ => "middle",
        };
        write!(
            out,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{number:02}</text>",
            LABEL + f64::from(number) * hour,
            foot + 14.0
        )?;
    }
    write!(
        out,
        "<text class=\"soft\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">hour of the day</text></svg></figure>",
        foot + 30.0
    )
}
