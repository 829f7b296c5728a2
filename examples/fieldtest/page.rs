//! The report as one page: no script, nothing from elsewhere, readable on a phone.

use std::fmt::{self, Write};

use truyvet::field::evaluation::{ContactEvent, Device, Evaluation, Pair, WINDOW};
use truyvet::time::Timestamp;

use crate::support::{Escaped, count};
use crate::tables::label;

const STYLE: &str = "\
:root{color-scheme:light dark;--hit:#2e7d6b;--part:#e8a33d;--missed:#b3261e;--line:#8886;--ink:#1c1b1f;--paper:#fffdf9}
@media(prefers-color-scheme:dark){:root{--hit:#58b09c;--missed:#f2736b;--ink:#eee;--paper:#16151a}}
body{font:1rem/1.5 system-ui,sans-serif;max-width:46rem;margin:auto;padding:1rem;color:var(--ink);\
background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
svg{width:100%;height:auto;display:block}svg text{fill:var(--ink);font:9px system-ui,sans-serif;\
paint-order:stroke;stroke:var(--paper);stroke-width:3px}
svg .on{fill:#fff;font-weight:600;stroke:none}
.wide{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem}
th,td{padding:.15rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}.small{font-size:.85rem;opacity:.8}";

/// The width of every picture, in its own units.
const WIDTH: f64 = 360.0;

/// The whole page.
pub(crate) fn page(evaluation: &Evaluation) -> String {
    let mut page = String::new();
    write_page(&mut page, evaluation).map_or_else(|_| String::new(), |()| page)
}

fn write_page(out: &mut String, evaluation: &Evaluation) -> fmt::Result {
    let event = evaluation.event;
    write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">\
         <title>Field test</title><style>{STYLE}</style>\
         <h1>{} of {} windows heard: {:.3} %</h1>\
         <p>{} from {} to {}, in {} of {} s.</p>\
         <ul><li>Detection: {:.1} % of the ordered pairs heard one another.</li>\
         <li>Longevity: {}.</li>\
         <li>As Herald's script counts, {} windows.</li></ul>",
        evaluation.hit,
        evaluation.total,
        evaluation.continuity_percent,
        count(evaluation.devices.len(), "device"),
        event.from,
        event.until,
        count(evaluation.windows, "window"),
        WINDOW.as_secs(),
        evaluation.detection_percent,
        match evaluation.longevity_percent {
            Some(percent) => format!("{percent:.3} %"),
            None => "not told under eight hours".to_owned(),
        },
        evaluation.hit_as_herald,
    )?;
    out.write_str("<h2>Who hears whom</h2>")?;
    matrix(out, evaluation)?;
    out.write_str("<h2>Windows, one after another</h2>")?;
    strips(out, evaluation)?;
    out.write_str("<h2>From one frame to the next</h2>")?;
    gaps(out, &evaluation.pairs)?;
    pairs(out, &evaluation.pairs)?;
    out.write_str("<h2>Devices</h2>")?;
    devices(out, &evaluation.devices)?;
    out.write_str(
        "<p class=\"small\">A window is 30 seconds, counted from the start of the event; it is heard if it holds a \
         frame, or an identity that was written. The event is from when the last device came in to when the first went \
         out. Herald's script begins its windows with a device's first reading and counts one at the very end, so that \
         it may find a window more. Times are as the logs have them.</p></html>\n",
    )
}

/// A square a pair: rows hear, columns are heard.
fn matrix(out: &mut String, evaluation: &Evaluation) -> fmt::Result {
    const LEFT: f64 = 80.0;
    let names: Vec<&str> = evaluation
        .devices
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    let cell = ((WIDTH - LEFT) / names.len() as f64).min(60.0);
    let height = 14.0 + names.len() as f64 * 26.0;
    picture(out, height, "Continuity of each pair")?;
    for (column, name) in names.iter().enumerate() {
        let x = LEFT + (column as f64 + 0.5) * cell;
        write!(
            out,
            "<text x=\"{x:.1}\" y=\"9\" text-anchor=\"middle\">{}</text>",
            short(name, (cell / 5.0) as usize)
        )?;
    }
    for (row, name) in names.iter().enumerate() {
        let y = 14.0 + row as f64 * 26.0;
        write!(
            out,
            "<text x=\"0\" y=\"{:.1}\">{}</text>",
            y + 15.0,
            short(name, 16)
        )?;
        for (column, other) in names.iter().enumerate() {
            let mut pairs = evaluation.pairs.iter();
            let Some(pair) = pairs.find(|it| it.seer == *name && it.seen == *other) else {
                continue;
            };
            let x = LEFT + column as f64 * cell;
            let percent = pair.continuity_percent();
            write!(
                out,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"24\" rx=\"2\" fill=\"{}\"/>\
                 <text class=\"on\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                x + 1.0,
                y + 1.0,
                cell - 2.0,
                colour(percent),
                x + cell / 2.0,
                y + 16.0,
                // Not rounded up to a whole that it is not.
                match percent {
                    whole if whole >= 100.0 => "100".to_owned(),
                    less => format!("{:.1}", (less * 10.0).floor() / 10.0),
                }
            )?;
        }
    }
    out.write_str("</svg><p class=\"small\">Percent of windows. Rows hear, columns are heard.</p>")
}

/// Green from 99 of 100 on, red below 50; white letters can be read on all three.
fn colour(percent: f64) -> &'static str {
    match percent {
        many if many >= 99.0 => "#2e7d6b",
        some if some >= 50.0 => "#96680f",
        _ => "#b3261e",
    }
}

/// A bar a pair, with what was missed in red.
fn strips(out: &mut String, evaluation: &Evaluation) -> fmt::Result {
    const ROW: f64 = 25.0;
    let height = evaluation.pairs.len() as f64 * ROW + 14.0;
    let scale = WIDTH / evaluation.windows as f64;
    picture(out, height, "Windows heard and missed, over time")?;
    for (row, pair) in evaluation.pairs.iter().enumerate() {
        let y = row as f64 * ROW;
        write!(
            out,
            "<text x=\"0\" y=\"{:.1}\">{}</text><text x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"0\" y=\"{:.1}\" width=\"{WIDTH}\" height=\"9\" fill=\"var(--hit)\"/>",
            y + 9.0,
            Escaped(&label(pair)),
            y + 9.0,
            match pair.windows.len() - pair.hit {
                0 => "all heard".to_owned(),
                missed => format!("{missed} missed"),
            },
            y + 12.0
        )?;
        for (first, length) in pair.missing() {
            // One of thousands is to be seen too.
            let width = (length as f64 * scale).max(1.5);
            let x = (first as f64 * scale).min(WIDTH - width);
            write!(
                out,
                "<rect x=\"{x:.2}\" y=\"{:.1}\" width=\"{width:.2}\" height=\"9\" fill=\"var(--missed)\"/>",
                y + 12.0
            )?;
        }
    }
    let foot = height - 4.0;
    let ContactEvent { from, until } = evaluation.event;
    write!(
        out,
        "<text x=\"0\" y=\"{foot}\">{}</text><text x=\"{WIDTH}\" y=\"{foot}\" text-anchor=\"end\">{}</text></svg>",
        clock(from),
        clock(until)
    )
}

/// The ends of the scale of gaps, seconds. Chosen: less is less than an advertising interval, and more is far beyond a
/// window.
const GAP_MIN_S: f64 = 0.1;
const GAP_MAX_S: f64 = 1_000.0;

/// A line a pair: half, 95 of 100, all; the scale is logarithmic.
fn gaps(out: &mut String, pairs: &[Pair]) -> fmt::Result {
    const ROW: f64 = 22.0;
    let height = pairs.len() as f64 * ROW + 14.0;
    let place = |seconds: f64| {
        let log = (seconds.clamp(GAP_MIN_S, GAP_MAX_S) / GAP_MIN_S).log10();
        4.0 + log / (GAP_MAX_S / GAP_MIN_S).log10() * (WIDTH - 12.0)
    };
    picture(out, height, "Times from one frame to the next")?;
    for (seconds, name) in [
        (0.1, "0.1 s"),
        (1.0, "1 s"),
        (10.0, "10 s"),
        (30.0, "30"),
        (100.0, "100 s"),
        (1000.0, "1000 s"),
    ] {
        let (x, foot) = (place(seconds), height - 12.0);
        let anchor = match seconds {
            0.1 => "start",
            1000.0 => "end",
            _ => "middle",
        };
        write!(
            out,
            "<path d=\"M{x:.1} 0V{foot:.1}\" stroke=\"var(--line)\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{name}</text>",
            height - 3.0
        )?;
    }
    for (row, pair) in pairs.iter().enumerate() {
        let (text, y) = (row as f64 * ROW + 9.0, row as f64 * ROW + 15.0);
        write!(
            out,
            "<text x=\"0\" y=\"{text:.1}\">{}</text>",
            Escaped(&label(pair))
        )?;
        let Some(it) = pair.gaps else {
            write!(
                out,
                "<text x=\"{WIDTH}\" y=\"{text:.1}\" text-anchor=\"end\">never twice</text>"
            )?;
            continue;
        };
        let (half, most, all) = (place(it.p50_s), place(it.p95_s), place(it.max_s));
        write!(
            out,
            "<text x=\"{WIDTH}\" y=\"{text:.1}\" text-anchor=\"end\">max {:.1} s</text>\
             <path d=\"M{half:.1} {y}H{all:.1}\" stroke=\"var(--part)\" stroke-width=\"1.5\"/>\
             <path d=\"M{half:.1} {y}H{most:.1}\" stroke=\"var(--hit)\" stroke-width=\"5\"/>\
             <circle cx=\"{half:.1}\" cy=\"{y}\" r=\"3.5\" fill=\"var(--hit)\"/>\
             <circle cx=\"{all:.1}\" cy=\"{y}\" r=\"2.5\" fill=\"var(--missed)\"/>",
            it.max_s
        )?;
    }
    out.write_str(
        "</svg><p class=\"small\">Green: from the median to what 95 of 100 do not exceed. Red: the longest. Herald's logs \
         are to the second: what is under one is 0 there, and stands at the left edge.</p>",
    )
}

fn pairs(out: &mut String, pairs: &[Pair]) -> fmt::Result {
    out.write_str(
        "<div class=\"wide\"><table><tr><th>pair<th>windows<th>%<th>frames<th>mean s<th>p50<th>p95<th>max<th>dBm",
    )?;
    for pair in pairs {
        write!(
            out,
            "<tr><td>{}<td>{}/{}<td>{:.2}<td>{}",
            Escaped(&label(pair)),
            pair.hit,
            pair.windows.len(),
            pair.continuity_percent(),
            pair.frames
        )?;
        match pair.gaps {
            Some(it) => write!(
                out,
                "<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}",
                it.mean_s, it.p50_s, it.p95_s, it.max_s
            )?,
            None => out.write_str("<td>-<td>-<td>-<td>-")?,
        }
        match pair.rssi_dbm {
            Some(dbm) => write!(out, "<td>{dbm}")?,
            None => out.write_str("<td>-")?,
        }
    }
    out.write_str("</table></div>")
}

fn devices(out: &mut String, devices: &[Device]) -> fmt::Result {
    out.write_str(
        "<div class=\"wide\"><table><tr><th>device<th>model<th>battery<th>CPU<th>frames lost<th>of strangers",
    )?;
    for device in devices {
        let told = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            Escaped(&device.name),
            Escaped(&device.model),
            told(
                device
                    .battery_percent_per_hour
                    .map(|it| format!("{it:.1} %/h"))
            ),
            told(device.cpu_percent.map(|it| format!("{it:.1} %"))),
            told(device.lost.map(|it| {
                format!(
                    "{} dropped, {} missed, {} malformed, {} unread, {} unwritten",
                    it.dropped, it.missed, it.malformed, it.unread, it.unwritten
                )
            })),
            device.strangers
        )?;
    }
    out.write_str("</table></div>")
}

fn picture(out: &mut String, height: f64, what: &str) -> fmt::Result {
    write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{what}\">"
    )
}

/// `23:20`, and the day for an event that is not all of one.
fn clock(time: Timestamp) -> String {
    time.to_string()
        .chars()
        .take(16)
        .map(|it| if it == 'T' { ' ' } else { it })
        .collect()
}

/// A name that fits so many letters.
fn short(name: &str, letters: usize) -> String {
    let name: String = match name.chars().count() > letters {
        true => name
            .chars()
            .take(letters.saturating_sub(1))
            .chain(['…'])
            .collect(),
        false => name.to_owned(),
    };
    Escaped(&name).to_string()
}
