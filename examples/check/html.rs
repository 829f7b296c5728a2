//! The report as one page: no script, nothing from elsewhere, readable on a phone.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use truyvet::exposure::Exposure;
use truyvet::exposure::risk::Assessment;
use truyvet::log::DayStatistics;
use truyvet::time::{Timestamp, UtcDay};

use crate::Matched;
use crate::support::{Escaped, count};

const STYLE: &str = "\
:root{color-scheme:light dark;--near:#b3261e;--far:#e8a33d;--line:#8886;--ink:#1c1b1f;--paper:#fffdf9}
@media(prefers-color-scheme:dark){:root{--ink:#eee;--paper:#16151a}}
body{font:1rem/1.5 system-ui,sans-serif;max-width:44rem;margin:auto;padding:1rem;color:var(--ink);\
background:var(--paper)}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
svg{width:100%;height:auto;display:block}svg text{fill:var(--ink);font:10px system-ui,sans-serif}
.warn{border-left:.3rem solid var(--far);padding-left:.7rem}.small{font-size:.85rem;opacity:.8}";

/// Attenuations drawn as nearest and farthest. Chosen: a hand's breadth, and hardly heard.
const NEAREST_DB: u8 = 30;
const FARTHEST_DB: u8 = 90;

const SECONDS_PER_DAY: u64 = 86_400;

/// The whole page.
pub(crate) fn page(
    days: &[DayStatistics],
    keys: usize,
    matched: &Matched,
    missing: &[String],
) -> String {
    let mut page = String::new();
    write_page(&mut page, days, keys, matched, missing).map_or_else(|_| String::new(), |()| page)
}

fn write_page(
    out: &mut String,
    days: &[DayStatistics],
    keys: usize,
    matched: &Matched,
    missing: &[String],
) -> fmt::Result {
    write!(
        out,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline'\">\
         <title>Exposures</title><style>{STYLE}</style><h1>{}</h1>",
        headline(&matched.exposures, missing)
    )?;
    let sightings: u64 = days.iter().map(|day| day.sightings).sum();
    writeln!(
        out,
        "<p>{} against {} on {}. All times are UTC.</p>",
        count(keys, "published key"),
        count(sightings as usize, "sighting"),
        count(days.len(), "day")
    )?;
    for why in missing {
        writeln!(
            out,
            "<p class=\"warn\">Of the published files, {}: an exposure to keys in them is not shown.</p>",
            Escaped(why)
        )?;
    }
    for damage in &matched.damage {
        writeln!(
            out,
            "<p class=\"warn\">Part of the log cannot be read, and an exposure may have been in it: {}</p>",
            Escaped(damage)
        )?;
    }
    if matched.not_counted.total() > 0 {
        writeln!(
            out,
            "<p class=\"warn\">{}</p>",
            Escaped(&matched.not_counted.to_string())
        )?;
    }
    calendar(out, days, &matched.exposures)?;
    if let Some(assessment) = &matched.assessment {
        assessed(out, assessment)?;
    }
    for exposure in &matched.exposures {
        write!(out, "<h2>{}</h2>", exposure.day)?;
        stay(out, exposure)?;
        writeln!(out, "<p>{}</p>", Escaped(&exposure.to_string()))?;
    }
    write!(
        out,
        "<p class=\"small\">Made on this device from its own log; nothing was sent anywhere. This page says when you \
         were near others: keep it as you would a diary.</p></html>"
    )
}

fn headline(exposures: &[Exposure], missing: &[String]) -> String {
    match exposures {
        [] if missing.is_empty() => "No exposure was found".to_owned(),
        [] => "No exposure was found in the files that could be used".to_owned(),
        exposures => {
            let mut days: Vec<UtcDay> = exposures.iter().map(|it| it.day).collect();
            days.dedup();
            format!(
                "{} on {}",
                count(exposures.len(), "exposure"),
                count(days.len(), "day")
            )
        }
    }
}

/// A row a day, from midnight to midnight: when somebody reported was near, the nearer the redder.
fn calendar(out: &mut String, days: &[DayStatistics], exposures: &[Exposure]) -> fmt::Result {
    const LEFT: f64 = 62.0;
    const WIDTH: f64 = 240.0;
    const ROW: usize = 18;
    let mut rows: BTreeMap<UtcDay, u32> = days
        .iter()
        .map(|day| (day.day, day.minutes_heard))
        .collect();
    for exposure in exposures {
        rows.entry(exposure.day).or_default();
    }
    let height = rows.len() * ROW + 16;
    write!(
        out,
        "<svg viewBox=\"0 0 360 {height}\" role=\"img\" aria-label=\"When on each day\">"
    )?;
    for hour in [0_u32, 6, 12, 18, 24] {
        let x = LEFT + f64::from(hour) / 24.0 * WIDTH;
        let foot = height - 14;
        write!(
            out,
            "<path d=\"M{x:.1} 0V{foot}\" stroke=\"var(--line)\"/>\
             <text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{hour:02}</text>",
            height - 3
        )?;
    }
    for (row, (day, minutes)) in rows.iter().enumerate() {
        let top = row * ROW;
        write!(out, "<text x=\"0\" y=\"{}\">{day}</text>", top + 12)?;
        write!(
            out,
            "<text x=\"360\" y=\"{}\" text-anchor=\"end\">{minutes} min</text>",
            top + 12
        )?;
        for exposure in exposures.iter().filter(|it| it.day == *day) {
            for (from, to, colour) in bars(exposure) {
                let x = LEFT + from / SECONDS_PER_DAY as f64 * WIDTH;
                let width = ((to - from) / SECONDS_PER_DAY as f64 * WIDTH).max(1.2);
                write!(
                    out,
                    "<rect x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" fill=\"{colour}\"/>",
                    top + 3,
                    ROW - 6
                )?;
            }
        }
    }
    writeln!(
        out,
        "</svg><p class=\"small\">On the right, in how many minutes of the day anybody at all was heard.</p>"
    )
}

/// What the exposures come to: the model's own words, a paragraph a day, its windows folded away.
fn assessed(out: &mut String, assessment: &Assessment) -> fmt::Result {
    let text = assessment.to_string();
    let mut lines = text.lines().peekable();
    let head = lines.next().unwrap_or_default();
    writeln!(out, "<h2>{}</h2>", Escaped(head))?;
    while let Some(day) = lines.next() {
        writeln!(
            out,
            "<p>{}</p><details><summary>Why</summary><ul>",
            Escaped(day)
        )?;
        while let Some(window) = lines.next_if(|line| line.starts_with(' ')) {
            writeln!(out, "<li>{}</li>", Escaped(window.trim_start()))?;
        }
        writeln!(out, "</ul></details>")?;
    }
    writeln!(
        out,
        "<p class=\"small\">A model's rule, and no diagnosis: a signal's loss tells little of a distance.</p>"
    )
}

/// When each sighting was, in seconds of its day, and its colour.
fn bars(exposure: &Exposure) -> impl Iterator<Item = (f64, f64, String)> {
    let second = |time: Timestamp| time.since(exposure.day.start()).as_secs_f64();
    let bars = exposure.sightings.iter();
    bars.map(move |it| {
        (
            second(it.first),
            second(it.last),
            colour(it.attenuation.map(|it| it.mean.db())),
        )
    })
}

fn colour(attenuation_db: Option<u8>) -> String {
    match attenuation_db {
        None => "var(--line)".to_owned(),
        Some(db) => {
            let range = f64::from(FARTHEST_DB - NEAREST_DB);
            let near = (f64::from(FARTHEST_DB) - f64::from(db)) / range;
            let near = (near.clamp(0.0, 1.0) * 100.0).round();
            format!("color-mix(in srgb,var(--near) {near}%,var(--far))")
        }
    }
}

/// The attenuation over the time of one exposure: up is near.
fn stay(out: &mut String, exposure: &Exposure) -> fmt::Result {
    let (first, last) = (exposure.first(), exposure.last());
    let span = last.since(first).as_secs_f64().max(1.0);
    write!(
        out,
        "<svg viewBox=\"0 0 360 96\" role=\"img\" aria-label=\"How near\">\
         <text x=\"0\" y=\"10\">near</text><text x=\"0\" y=\"78\">far</text>\
         <path d=\"M34 80H356\" stroke=\"var(--line)\"/>"
    )?;
    for sighting in &exposure.sightings {
        let db = sighting.attenuation.map(|it| it.mean.db());
        let height = |db: u8| {
            let depth = db.clamp(NEAREST_DB, FARTHEST_DB) - NEAREST_DB;
            4.0 + f64::from(depth) / f64::from(FARTHEST_DB - NEAREST_DB) * 74.0
        };
        let x = 34.0 + sighting.first.since(first).as_secs_f64() / span * 318.0;
        let y = db.map_or(80.0, height);
        write!(
            out,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{}\"/>",
            colour(db)
        )?;
    }
    write!(
        out,
        "<text x=\"34\" y=\"93\">{}</text><text x=\"356\" y=\"93\" text-anchor=\"end\">{}</text></svg>",
        clock(first),
        clock(last)
    )
}

fn clock(time: Timestamp) -> String {
    let minute = time.unix_seconds() % SECONDS_PER_DAY / 60;
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
