//! The report on the terminal, and as lines.

use std::fmt::Write;

use truyvet::field::evaluation::{Evaluation, Pair, WINDOW};

use crate::support::{count, say};

/// Cells of a strip at most.
const STRIP_CELLS: usize = 60;

pub(crate) fn show(evaluation: &Evaluation) {
    let event = evaluation.event;
    say!(
        "{} from {} to {}: {} of {} s\n",
        count(evaluation.devices.len(), "device"),
        event.from,
        event.until,
        count(evaluation.windows, "window"),
        WINDOW.as_secs()
    );
    let devices: Vec<[String; 6]> = evaluation.devices.iter().map(device_cells).collect();
    let head = ["device", "model", "battery", "CPU", "lost", "strangers"];
    table(&head, &devices);
    say!();
    let pairs: Vec<[String; 9]> = evaluation.pairs.iter().map(pair_cells).collect();
    let head = [
        "hears", "", "windows", "%", "mean s", "p50", "p95", "max", "dBm",
    ];
    table(&head, &pairs);
    strips(evaluation);
    say!("detection  {:.1} % of pairs", evaluation.detection_percent);
    say!(
        "continuity {:.3} %: {} of {} windows",
        evaluation.continuity_percent,
        evaluation.hit,
        evaluation.total
    );
    say!(
        "           {} as Herald's script counts",
        evaluation.hit_as_herald
    );
    match evaluation.longevity_percent {
        Some(percent) => say!("longevity  {percent:.3} %"),
        None => say!("longevity  not told under eight hours"),
    }
}

fn device_cells(device: &truyvet::field::evaluation::Device) -> [String; 6] {
    let lost = device.lost.map(|it| it.total().to_string());
    let missing = || "-".to_owned();
    [
        device.name.clone(),
        // The table has to fit a terminal.
        device.model.chars().take(24).collect(),
        device
            .battery_percent_per_hour
            .map_or_else(missing, |it| format!("{it:.1} %/h")),
        device
            .cpu_percent
            .map_or_else(missing, |it| format!("{it:.1} %")),
        lost.unwrap_or_else(missing),
        device.strangers.to_string(),
    ]
}

fn pair_cells(pair: &Pair) -> [String; 9] {
    let gap = |tell: fn(&truyvet::field::evaluation::Gaps) -> f64| {
        pair.gaps
            .as_ref()
            .map_or_else(|| "-".to_owned(), |gaps| format!("{:.2}", tell(gaps)))
    };
    [
        pair.seer.clone(),
        pair.seen.clone(),
        format!("{}/{}", pair.hit, pair.windows.len()),
        format!("{:.2}", pair.continuity_percent()),
        gap(|gaps| gaps.mean_s),
        gap(|gaps| gaps.p50_s),
        gap(|gaps| gaps.p95_s),
        gap(|gaps| gaps.max_s),
        pair.rssi_dbm
            .map_or_else(|| "-".to_owned(), |it| it.to_string()),
    ]
}

/// Rows under their heads, the first two columns to the left.
pub(crate) fn table<const N: usize>(head: &[&str; N], rows: &[[String; N]]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max();
        let head = head.get(column).map_or(0, |head| head.chars().count());
        widest.unwrap_or(0).max(head)
    };
    let line = |cells: &[&str]| {
        let mut line = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let width = width(column);
            let _ = match column {
                0 | 1 => write!(line, "{cell:<width$}  "),
                _ => write!(line, "{cell:>width$}  "),
            };
        }
        say!("{}", line.trim_end());
    };
    line(head);
    for row in rows {
        line(&row.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

/// Of each pair the windows from left to right, several to a cell.
fn strips(evaluation: &Evaluation) {
    let cell = evaluation.windows.div_ceil(STRIP_CELLS);
    let names = evaluation
        .pairs
        .iter()
        .map(|pair| label(pair).chars().count());
    let width = names.max().unwrap_or(0);
    say!(
        "\na cell is {}: █ all hit, ▓ one missed or more, ░ most missed, · all missed",
        count(cell, "window")
    );
    for pair in &evaluation.pairs {
        say!("{:<width$}  {}", label(pair), strip(pair, cell));
        let mut missing: Vec<String> = pair
            .missing()
            .iter()
            .map(|(first, length)| match length {
                1 => first.to_string(),
                more => format!("{first}-{}", first + more - 1),
            })
            .collect();
        if !missing.is_empty() {
            let more = missing.len().saturating_sub(8);
            missing.truncate(8);
            let more = match more {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            say!("{:<width$}  missed: {}{more}", "", missing.join(", "));
        }
    }
    say!();
}

pub(crate) fn label(pair: &Pair) -> String {
    format!("{} hears {}", pair.seer, pair.seen)
}

fn strip(pair: &Pair, cell: usize) -> String {
    let mark = |windows: &[bool]| {
        let hit = windows.iter().filter(|hit| **hit).count();
        match hit {
            0 => '·',
            all if all == windows.len() => '█',
            some if 2 * some >= windows.len() => '▓',
            _ => '░',
        }
    };
    pair.windows.chunks(cell.max(1)).map(mark).collect()
}

/// A line a pair.
pub(crate) fn csv(evaluation: &Evaluation) -> String {
    let mut lines = String::from(
        "seer,seen,windows,hit,hit_as_herald,continuity_percent,frames,gap_mean_s,gap_p50_s,gap_p95_s,gap_max_s,rssi_dbm\n",
    );
    for pair in &evaluation.pairs {
        let gaps = match pair.gaps {
            Some(it) => format!("{},{},{},{}", it.mean_s, it.p50_s, it.p95_s, it.max_s),
            None => ",,,".to_owned(),
        };
        let _ = writeln!(
            lines,
            "{},{},{},{},{},{},{},{gaps},{}",
            quoted(&pair.seer),
            quoted(&pair.seen),
            pair.windows.len(),
            pair.hit,
            pair.windows_as_herald,
            pair.continuity_percent(),
            pair.frames,
            pair.rssi_dbm.map_or_else(String::new, |it| it.to_string()),
        );
    }
    lines
}

/// A folder's name, whatever is in it.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
