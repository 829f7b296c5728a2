//! How long it took until somebody was told.

use std::fmt::{self, Write};

use truyvet::sim::World;

use super::chart::{Area, grouped, round_top};

/// Widths of a bar that are tried, hours.
const WIDTHS: [f64; 7] = [1.0, 2.0, 6.0, 12.0, 24.0, 48.0, 168.0];
const BARS_MAX: f64 = 24.0;

pub(super) fn figure(out: &mut String, world: &World) -> fmt::Result {
    let hours = &world.delay_hours;
    let Some(longest) = hours.last().copied() else {
        return Ok(());
    };
    let fits = |width: &&f64| longest / **width < BARS_MAX;
    let width = WIDTHS
        .iter()
        .find(fits)
        .copied()
        .unwrap_or(longest / BARS_MAX);
    let bars = (longest / width).floor() as usize + 1;
    let mut counts = vec![0_u32; bars];
    for hours in hours {
        if let Some(count) = counts.get_mut((hours.max(0.0) / width) as usize) {
            *count += 1;
        }
    }
    // Days, unless it is a matter of hours.
    let (unit, name) = if longest > 72.0 {
        (24.0, "days")
    } else {
        (1.0, "hours")
    };
    let most = counts.iter().copied().max().unwrap_or_default();
    let area = Area::new(130.0, bars as f64 * width / unit, round_top(most.into()));
    let median = hours.get(hours.len() / 2).copied().unwrap_or_default();
    write!(
        out,
        "<figure><figcaption><b>Delay</b> from a contact's end to its notification: {} notified contacts, half of them \
         within {:.1} {name}</figcaption>",
        grouped(hours.len() as u64),
        median / unit
    )?;
    area.open(out, "Delay to notification", "notified contacts")?;
    for (bar, count) in counts.iter().enumerate() {
        let (from, to) = (bar as f64 * width / unit, (bar + 1) as f64 * width / unit);
        write!(
            out,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"var(--with)\"/>",
            area.x(from) + 0.5,
            area.y((*count).into()),
            area.x(to) - area.x(from) - 1.0,
            area.bottom() - area.y((*count).into())
        )?;
    }
    let x = area.x(median / unit);
    write!(
        out,
        "<path d=\"M{x:.1} {:.1}V{:.1}\" stroke=\"var(--mark)\" stroke-width=\"2\" stroke-dasharray=\"4 3\"/>",
        area.top,
        area.bottom()
    )?;
    let (x, anchor) = if x > 220.0 {
        (x - 5.0, "end")
    } else {
        (x + 5.0, "start")
    };
    write!(
        out,
        "<text class=\"bold\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\" style=\"fill:var(--mark)\">median</text>",
        area.top - 4.0
    )?;
    area.close(out, name)?;
    write!(out, "</figure>")
}
