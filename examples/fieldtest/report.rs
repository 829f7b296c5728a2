//! `fieldtest report`: reads the folders of all devices, and tells what they come to.

use std::fs;
use std::path::PathBuf;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use truyvet::field::evaluation::{ContactEvent, Evaluation};
use truyvet::field::herald::parse_time;
use truyvet::field::readings::FieldTest;
use truyvet::time::Timestamp;

use crate::support::{Error, Progress, refuse_if_there, say, write_new};
use crate::{page, tables};

#[derive(Args)]
pub(crate) struct ReportArgs {
    /// The devices' folders, or folders of them: truyvet's, or Herald's as it published them
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// When the last device had come in; when the last log begins, if not given
    #[arg(long, value_name = "'YYYY-MM-DD HH:MM:SS'", value_parser = time)]
    from: Option<Timestamp>,
    /// When the first device went out; when the first log ends, if not given
    #[arg(long, value_name = "'YYYY-MM-DD HH:MM:SS'", value_parser = time)]
    until: Option<Timestamp>,
    /// Write a line a pair to this file
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write everything to this file, for machines
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with pictures to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write truyvet's contacts.csv again into this folder, with the devices' names, for Herald's own analysis
    #[arg(long, value_name = "DIR")]
    herald: Option<PathBuf>,
}

pub(crate) fn time(text: &str) -> Result<Timestamp, String> {
    parse_time(text).ok_or_else(|| "expected a time such as '2020-12-08 23:20:00'".to_owned())
}

pub(crate) fn run(args: &ReportArgs) -> Result<(), Error> {
    for file in [&args.csv, &args.json, &args.html].into_iter().flatten() {
        refuse_if_there(file)?;
    }
    let test = read(&args.folders)?;
    let logs = ContactEvent::of(&test);
    let event = ContactEvent {
        from: args.from.unwrap_or(logs.from),
        until: args.until.unwrap_or(logs.until),
    };
    let evaluation =
        Evaluation::of(&test, event).map_err(|e| format!("{e}: give --from and --until"))?;
    tables::show(&evaluation);
    if let Some(path) = &args.csv {
        write_new(path, tables::csv(&evaluation).as_bytes(), false)?;
        say!("{}: a line a pair", path.display());
    }
    if let Some(path) = &args.json {
        let json = serde_json::to_string_pretty(&evaluation)?;
        write_new(path, format!("{json}\n").as_bytes(), false)?;
        say!("{}: the same for machines", path.display());
    }
    if let Some(path) = &args.html {
        write_new(path, page::page(&evaluation).as_bytes(), false)?;
        say!("{}: the same as a page", path.display());
    }
    if let Some(folder) = &args.herald {
        FieldTest::complete(&FieldTest::folders(&args.folders)?, folder)?;
        say!("{}: for Herald's analysis", folder.display());
    }
    Ok(())
}

/// The test in `folders`, with a bar that runs along with the bytes.
pub(crate) fn read(folders: &[PathBuf]) -> Result<FieldTest, Error> {
    let folders = FieldTest::folders(folders)?;
    let sizes = folders
        .iter()
        .map(|folder| fs::metadata(FieldTest::log_of(folder)));
    let bytes = sizes.flatten().map(|metadata| metadata.len()).sum();
    let bar = ProgressBar::new(bytes);
    let style = ProgressStyle::with_template("reading {bar:40} {bytes}/{total_bytes}");
    let progress = Progress::new(match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    });
    Ok(FieldTest::read(&folders, |read| progress.bar().inc(read))?)
}
