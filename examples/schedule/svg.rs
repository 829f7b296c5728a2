//! The schedules as a picture: a row each, with the curve on the left and the energy on the right.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::support::Escaped;
use crate::{Row, duration, percent};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1b1f;--paper:#fffdf9;--line:#8886;--curve:#0072b2;--energy:#b45f00}\
@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#16151a;--curve:#56b4e9;--energy:#e69f00}}\
text{fill:var(--ink);font:13px system-ui,sans-serif}.title{font-size:17px;font-weight:600}.name{font-weight:600}";

const WIDTH: f64 = 760.0;
const CURVE_WIDTH: f64 = 470.0;
const CURVE_HEIGHT: f64 = 46.0;
const ENERGY_LEFT: f64 = 520.0;
const ENERGY_WIDTH: f64 = 160.0;
const TOP: f64 = 64.0;
const ROW: f64 = 84.0;
const POINTS: u32 = 235;

pub(crate) fn picture(rows: &[Row], until: Duration, loss: f64) -> String {
    let mut picture = String::new();
    write_picture(&mut picture, rows, until, loss).map_or_else(|_| String::new(), |()| picture)
}

fn write_picture(out: &mut String, rows: &[Row], until: Duration, loss: f64) -> fmt::Result {
    let height = TOP + ROW * rows.len() as f64 + 30.0;
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"How soon a neighbour is noticed, and what that costs\"><style>{STYLE}</style>\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"var(--paper)\"/>\
         <text class=\"title\" x=\"16\" y=\"28\">How surely a neighbour is noticed until then</text>\
         <text x=\"16\" y=\"48\">{} % of the frames are lost</text>\
         <text class=\"title\" x=\"{ENERGY_LEFT}\" y=\"28\">mAh a day</text>\
         <text x=\"{ENERGY_LEFT}\" y=\"48\">of the radio alone</text>",
        100.0 * loss
    )?;
    let dearest = rows.iter().map(|row| row.mah_per_day).fold(0.0, f64::max);
    for (number, row) in rows.iter().enumerate() {
        let top = TOP + ROW * number as f64;
        curve(out, row, until, top)?;
        let width = row.mah_per_day / dearest * ENERGY_WIDTH;
        write!(
            out,
            "<rect x=\"{ENERGY_LEFT}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"18\" fill=\"var(--energy)\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{:.1}</text>",
            top + 40.0,
            ENERGY_LEFT + width + 6.0,
            top + 54.0,
            row.mah_per_day
        )?;
    }
    axis(out, until, TOP + ROW * rows.len() as f64)?;
    out.write_str("</svg>\n")
}

fn curve(out: &mut String, row: &Row, until: Duration, top: f64) -> fmt::Result {
    let (base, left) = (top + 24.0 + CURVE_HEIGHT, 16.0);
    let noticed = row.plan.curve(until, POINTS);
    let last = noticed.last().copied().unwrap_or_default();
    write!(
        out,
        "<text class=\"name\" x=\"{left}\" y=\"{:.1}\">{}</text><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}, \
         at most {}</text><path d=\"M{left} {base:.1}",
        top + 16.0,
        Escaped(&row.name),
        left + CURVE_WIDTH,
        top + 16.0,
        percent(last),
        duration(row.plan.worst_case())
    )?;
    for (point, noticed) in noticed.iter().enumerate() {
        let x = left + (point + 1) as f64 / f64::from(POINTS) * CURVE_WIDTH;
        write!(out, "L{x:.1} {:.1}", base - noticed * CURVE_HEIGHT)?;
    }
    write!(
        out,
        "V{base:.1}Z\" fill=\"var(--curve)\" fill-opacity=\".35\" stroke=\"var(--curve)\" stroke-width=\"1.5\"/>\
         <path d=\"M{left} {base:.1}h{CURVE_WIDTH}m0 {:.1}h-{CURVE_WIDTH}\" stroke=\"var(--line)\" fill=\"none\"/>",
        -CURVE_HEIGHT
    )
}

fn axis(out: &mut String, until: Duration, top: f64) -> fmt::Result {
    for (part, anchor) in [(0.0, "start"), (0.5, "middle"), (1.0, "end")] {
        write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{} s</text>",
            16.0 + part * CURVE_WIDTH,
            top + 12.0,
            part * until.as_secs_f64()
        )?;
    }
    Ok(())
}
