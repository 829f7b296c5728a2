//! How well neighbours are noticed, by when the radio is on.

use std::fmt::{self, Write};

use truyvet::sim::ScheduleOutcome;

use super::chart::WIDTH;
use crate::support::Escaped;

const ROW: f64 = 56.0;
/// Room for half a mark at both ends.
const LEFT: f64 = 6.0;
const TRACK: f64 = WIDTH - 2.0 * LEFT;

pub(super) fn section(out: &mut String, schedules: &[ScheduleOutcome]) -> fmt::Result {
    if schedules.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "<h2>Noticing neighbours, by when the radio is on</h2><p class=\"key\"><span style=\"--c:var(--with)\">in this \
         simulation</span><span style=\"--c:var(--mark)\">published by others</span></p><div class=\"figures\">\
         <figure><figcaption><b>Continuity</b>: the share of half minutes in which a neighbour who was there was heard\
         </figcaption>"
    )?;
    continuity(out, schedules)?;
    write!(
        out,
        "</figure><figure><figcaption><b>Time to notice</b> a neighbour: the bar is the mean, the line reaches to the \
         longest</figcaption>"
    )?;
    noticed(out, schedules)?;
    write!(out, "</figure></div><ul class=\"small\">")?;
    for schedule in schedules {
        write!(
            out,
            "<li><b>{}</b>: scans {:.1} % of the time, {:.1} mAh a day of the radio. {}</li>",
            Escaped(&schedule.name),
            100.0 * schedule.scanning,
            schedule.radio_mah,
            Escaped(&schedule.note)
        )?;
    }
    write!(out, "</ul>")
}

fn open(out: &mut String, rows: usize, label: &str) -> fmt::Result {
    write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {:.0}\" role=\"img\" aria-label=\"{label}\">",
        ROW * rows as f64
    )
}

/// The name, its figures beneath, and the track on which they are drawn.
fn row(out: &mut String, number: usize, name: &str, figures: &str) -> Result<f64, fmt::Error> {
    let y = ROW * number as f64;
    write!(
        out,
        "<text class=\"bold\" x=\"{LEFT}\" y=\"{:.1}\">{}</text><text class=\"soft\" x=\"{LEFT}\" y=\"{:.1}\">{figures}</text>\
         <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{TRACK}\" height=\"10\" fill=\"var(--line)\"/>",
        y + 13.0,
        Escaped(name),
        y + 28.0,
        y + 34.0
    )?;
    Ok(y + 34.0)
}

fn bar(out: &mut String, y: f64, share: f64) -> fmt::Result {
    let width = share.clamp(0.0, 1.0) * TRACK;
    write!(
        out,
        "<rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"10\" fill=\"var(--with)\"/>"
    )
}

fn continuity(out: &mut String, schedules: &[ScheduleOutcome]) -> fmt::Result {
    open(out, schedules.len(), "Continuity by schedule")?;
    for (number, schedule) in schedules.iter().enumerate() {
        let mut figures = format!("{:.2} %", 100.0 * schedule.continuity);
        if let Some(published) = schedule.published {
            write!(figures, "; published: {:.2} %", 100.0 * published)?;
        }
        let y = row(out, number, &schedule.name, &figures)?;
        bar(out, y, schedule.continuity)?;
        if let Some(published) = schedule.published {
            let x = LEFT + published.clamp(0.0, 1.0) * TRACK;
            write!(
                out,
                "<path d=\"M{x:.1} {:.1}l6 8l-6 8l-6 -8Z\" fill=\"var(--mark)\" stroke=\"var(--paper)\" \
                 stroke-width=\"1.5\"/>",
                y - 3.0
            )?;
        }
    }
    out.write_str("</svg>")
}

fn noticed(out: &mut String, schedules: &[ScheduleOutcome]) -> fmt::Result {
    let longest = schedules.iter().map(|schedule| schedule.noticed_max_s);
    let longest = longest.fold(1.0, f64::max);
    open(
        out,
        schedules.len(),
        "Time to notice a neighbour, by schedule",
    )?;
    for (number, schedule) in schedules.iter().enumerate() {
        let figures = format!(
            "{} on average, {} at most",
            seconds(schedule.noticed_mean_s),
            seconds(schedule.noticed_max_s)
        );
        let y = row(out, number, &schedule.name, &figures)?;
        bar(out, y, schedule.noticed_mean_s / longest)?;
        let end = LEFT + (schedule.noticed_max_s / longest).clamp(0.0, 1.0) * TRACK;
        write!(
            out,
            "<path d=\"M{LEFT} {:.1}H{end:.1}M{end:.1} {:.1}v10\" stroke=\"var(--ink)\" stroke-width=\"1.5\" \
             fill=\"none\"/>",
            y + 5.0,
            y
        )?;
    }
    out.write_str("</svg>")
}

fn seconds(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 10.0 => format!("{seconds:.1} s"),
        seconds => format!("{seconds:.0} s"),
    }
}
