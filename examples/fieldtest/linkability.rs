//! What an observer could link in captures.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};
use truyvet::field::capture::{Capture, CaptureError, Counts};
use truyvet::field::linkability::{
    Checker, Config, Device, Finding, Report, Severity, Stay, Verdict,
};
use truyvet::time::Timestamp;

use crate::support::{Error, Progress, count, create_new, refuse_if_there, say, warn};

/// Columns of the picture, beside its labels.
const COLUMNS: usize = 60;
/// Columns of a finding's words.
const WIDTH: usize = 90;
/// Rows of evidence that are printed of one finding.
const EVIDENCE_MAX: usize = 4;

#[derive(clap::Args, Clone, Debug)]
#[command(
    after_help = "Exit status: 0 if nothing can be linked and there was enough to judge, 1 if something can, if there \
    was too little, or if a capture could not be read, 2 for a wrong call.\n\
    How to capture, what is checked and what not: docs/linkability.md."
)]
pub(crate) struct LinkabilityArgs {
    /// Captures: btsnoop (btmon -w, Android's HCI log), pcap or pcapng (Wireshark, nRF Sniffer)
    #[arg(required = true, value_name = "CAPTURE")]
    captures: Vec<PathBuf>,
    /// Write the whole report there as JSON; a file that is there is kept
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Changes of identifier below which nothing is said to be clean
    #[arg(long, value_name = "N", default_value_t = Config::default().min_changes, value_parser = at_least_one)]
    min_changes: usize,
    /// Devices side by side below which a common value singles nobody out
    #[arg(long, value_name = "N", default_value_t = Config::default().min_crowd, value_parser = at_least_one)]
    min_crowd: usize,
    /// Devices in the picture at most
    #[arg(long, value_name = "N", default_value_t = 16)]
    rows: usize,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("0 is not in 1..".to_owned()),
        other => other.map_err(|e: std::num::ParseIntError| e.to_string()),
    }
}

pub(crate) fn run(args: &LinkabilityArgs) -> Result<(), Error> {
    if let Some(path) = &args.json {
        refuse_if_there(path)?;
    }
    let mut config = Config::default();
    (config.min_changes, config.min_crowd) = (args.min_changes, args.min_crowd);
    let mut checker = Checker::new(config);
    let mut unread = 0;
    for path in &args.captures {
        if let Err(error) = read(path, &mut checker) {
            warn(&format!("not read to its end: {}: {error}", path.display()));
            unread += 1;
        }
        checker.next_capture();
    }
    let report = checker.finish();
    print(&report, args.rows);
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report)?;
        create_new(path, true)?.write_all(&json)?;
        say!("\n{}: the same as JSON", path.display());
    }
    let number = report.findings.len() + report.findings_left_out;
    match report.verdict {
        Verdict::Linkable => Err(format!("linkable: {}", count(number, "finding")).into()),
        _ if unread > 0 => {
            Err(format!("{} could not be read whole", count(unread, "capture")).into())
        }
        Verdict::Clean => Ok(()),
        _ => Err(
            "too little to judge: capture until each device has changed its identifier a few times"
                .into(),
        ),
    }
}

/// Has the checker take all of a capture.
fn read(path: &Path, checker: &mut Checker) -> Result<(), CaptureError> {
    let file = File::open(path)?;
    let style = ProgressStyle::with_template("reading {msg} {bar:40} {bytes}/{total_bytes}");
    let bar = ProgressBar::new(file.metadata()?.len()).with_message(path.display().to_string());
    let progress = Progress::new(match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    });
    let mut capture = Capture::open(progress.bar().wrap_read(file))?;
    while let Some(observation) = capture.next_observation()? {
        checker.take(&observation);
    }
    drop(progress);
    let counts = capture.counts();
    let cut = u64::from(capture.cut().is_some());
    checker.lost(counts.malformed + counts.left_out + cut);
    say!("{}: {}", path.display(), in_numbers(counts));
    if let Some(cut) = capture.cut() {
        warn(&format!(
            "warning: {}: {cut}; what came before was read",
            path.display()
        ));
    }
    Ok(())
}

fn in_numbers(counts: Counts) -> String {
    let number = |it: u64, what: &str| count(usize::try_from(it).unwrap_or(usize::MAX), what);
    let mut text = format!(
        "{}, {} heard, {} sent by the host itself",
        number(counts.records, "record"),
        number(counts.heard, "advertisement"),
        counts.sent
    );
    let besides = [
        (counts.malformed, "malformed"),
        (counts.misheard, "with a wrong checksum"),
        (counts.foreign, "of other link types"),
        (counts.left_out, "of too many controllers"),
    ];
    for (it, what) in besides.into_iter().filter(|(it, _)| *it > 0) {
        text += &format!(", {it} {what}");
    }
    text
}

fn print(report: &Report, rows: usize) {
    let totals = &report.totals;
    say!(
        "{} under {} in {} min, {}",
        count(totals.identifiers, "identifier"),
        count(totals.addresses, "address"),
        totals.seconds / 60,
        count(totals.changes, "change")
    );
    let besides = [
        (totals.strangers, "frames of others, who are no tracers"),
        (
            totals.unreadable,
            "frames of tracers without a readable identifier: nothing is said of their senders",
        ),
        (
            totals.unaddressed,
            "own broadcasts under an address that the capture does not tell",
        ),
        (
            totals.left_out,
            "records that could not be read, or are of more than is remembered",
        ),
    ];
    for (it, what) in besides.into_iter().filter(|(it, _)| *it > 0) {
        say!("  besides {it} {what}");
    }
    print_picture(report, rows);
    for finding in &report.findings {
        print_finding(finding);
    }
    if report.findings_left_out > 0 {
        say!(
            "\n… and {} more",
            count(report.findings_left_out, "finding")
        );
    }
    say!("\nChecked:");
    for check in &report.checks {
        let mark = if check.judged { "yes" } else { "NO " };
        say!("  {mark} {}: {}", check.name, check.note);
    }
    match report.verdict {
        Verdict::Clean => say!("\nClean: an observer links nothing by what is checked."),
        Verdict::Linkable => say!("\nLINKABLE."),
        _ => say!("\nNothing found, in too little to say more."),
    }
}

/// The times between which the picture is drawn.
#[derive(Clone, Copy)]
struct Span {
    from_us: u64,
    to_us: u64,
}

impl Span {
    fn column(self, at_us: u64) -> usize {
        let length = self.to_us.saturating_sub(self.from_us).max(1);
        let at = u128::from(at_us.saturating_sub(self.from_us)) * COLUMNS as u128;
        usize::try_from(at / u128::from(length))
            .unwrap_or(COLUMNS)
            .min(COLUMNS - 1)
    }
}

/// A device takes two lines, addresses above, identifiers below: where both change in one column, all is well.
fn print_picture(report: &Report, rows: usize) {
    let stays = || report.devices.iter().flat_map(|it| &it.stays);
    let ends = (
        stays().map(|it| it.from_us).min(),
        stays().map(|it| it.to_us).max(),
    );
    let (Some(from_us), Some(to_us)) = ends else {
        return;
    };
    let span = Span { from_us, to_us };
    let clock = |at_us: u64| Timestamp::from_unix_millis(at_us / 1_000).to_string();
    say!("\n{:18} {} to {}", "", clock(from_us), clock(to_us));
    for (number, device) in report.devices.iter().take(rows).enumerate() {
        let name = match device.sender {
            // Of several captures each has its own controllers.
            Some((0, adapter)) => format!("hci{adapter}"),
            Some((capture, adapter)) => format!("hci{adapter} of {}", capture + 1),
            None => format!("device {}", number + 1),
        };
        say!("{name:<12} addr |{}|", line(span, device, |it| &it.address));
        say!(
            "  {:<11}  id |{}|",
            device.protocol.to_string(),
            line(span, device, |it| &it.identifier)
        );
    }
    let hidden = report.devices.len().saturating_sub(rows) + report.devices_left_out;
    if hidden > 0 {
        say!("… and {} more", count(hidden, "row"));
    }
    say!(
        "Each letter is another address or identifier; * where two are there at once. What nothing links has a row of its own."
    );
}

/// One line of a device: a letter for each value, in the order in which they come.
fn line(span: Span, device: &Device, value: impl Fn(&Stay) -> &String) -> String {
    const LETTERS: &[u8; 26] = b"abcdefghijklmnopqrstuvwxyz";
    let mut cells = vec![(' ', 0); COLUMNS];
    let mut values: Vec<&String> = Vec::new();
    for stay in &device.stays {
        let value = value(stay);
        let place = values.iter().position(|it| *it == value);
        let place = place.unwrap_or_else(|| {
            values.push(value);
            values.len() - 1
        });
        let letter = LETTERS
            .get(place % LETTERS.len())
            .map_or('?', |it| char::from(*it));
        let columns = span.column(stay.from_us)..=span.column(stay.to_us);
        for (cell, until_us) in cells
            .iter_mut()
            .skip(*columns.start())
            .take(columns.count())
        {
            *cell = match *cell {
                before if before != letter && *until_us > stay.from_us => '*',
                _ => letter,
            };
            *until_us = stay.to_us.max(*until_us);
        }
    }
    cells.into_iter().map(|(cell, _)| cell).collect()
}

fn print_finding(finding: &Finding) {
    let sign = if finding.severity == Severity::Note {
        "note"
    } else {
        "LINKABLE"
    };
    let how_long = match finding.linkable_s {
        None => "without end".to_owned(),
        Some(seconds) if seconds < 120 => format!("for {seconds} s"),
        Some(seconds) => format!("for {} min", seconds / 60),
    };
    say!(
        "\n{sign}: {} ({}, {}), {how_long}",
        finding.kind,
        finding.severity,
        finding.certainty
    );
    print_wrapped(&finding.what);
    for it in finding.evidence.iter().take(EVIDENCE_MAX) {
        let at = |us: u64| Timestamp::from_unix_millis(us / 1_000);
        say!(
            "  address {} identifier {}: {} to {}",
            it.address,
            it.identifier,
            at(it.from_us),
            at(it.to_us)
        );
    }
    print_wrapped(&format!("What to do: {}.", finding.advice));
}

/// Words in lines of a terminal's width, two columns in.
fn print_wrapped(text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.chars().count() + word.chars().count() > WIDTH {
            say!("  {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    say!("  {line}");
}
