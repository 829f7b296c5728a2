//! `fieldtest calibrate`: a model's row for the calibration table, from a run at known distances.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use truyvet::exposure::{Calibration, CalibrationConfidence};
use truyvet::field::calibration::{CalibrationRow, FRAMES_MIN, Known, Roles, Step};
use truyvet::field::evaluation::ContactEvent;
use truyvet::time::Timestamp;

use crate::report::{read, time};
use crate::support::{Error, say};
use crate::tables::table;

#[derive(Args)]
pub(crate) struct CalibrateArgs {
    /// The devices' folders, or folders of them
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The device that stayed where it is
    #[arg(long, value_name = "NAME")]
    station: String,
    /// The device whose model is known: NAME=CORRECTION,POWER in dB and dBm, or NAME=OEM,DEVICE,MODEL as Google lists it
    #[arg(long, value_name = "NAME=…")]
    known: KnownDevice,
    /// The device to be calibrated, which stood beside the known one
    #[arg(long, value_name = "NAME")]
    device: String,
    /// Its model, the first three columns of the row
    #[arg(long, value_name = "OEM,DEVICE,MODEL", value_parser = model)]
    model: String,
    /// The distances from the station, metres, one after another
    #[arg(long, value_name = "M,…", required = true, value_delimiter = ',', value_parser = distance)]
    distances: Vec<f64>,
    /// When the first distance was taken; when the last log begins, if not given
    #[arg(long, value_name = "'YYYY-MM-DD HH:MM:SS'", value_parser = time)]
    from: Option<Timestamp>,
    /// How long they stood at each distance, seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(10..=3_600))]
    each: u64,
    /// How long of that, at its beginning, they were still on their way, seconds
    #[arg(long, value_name = "N", default_value_t = 5)]
    settle: u64,
}

#[derive(Clone, Debug)]
struct KnownDevice {
    name: String,
    known: Known,
}

impl FromStr for KnownDevice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = "expected NAME=CORRECTION,POWER or NAME=OEM,DEVICE,MODEL";
        let (name, of) = text.split_once('=').ok_or(expected)?;
        let parts: Vec<&str> = of.split(',').collect();
        let known = match parts.as_slice() {
            [correction, power] => Known {
                rssi_correction_db: correction.parse().map_err(|_| expected)?,
                tx_power_dbm: power.parse().map_err(|_| expected)?,
            },
            [maker, device, model] => {
                let listed = Calibration::of(maker, device, model);
                if listed.confidence != CalibrationConfidence::High {
                    return Err(format!(
                        "the calibration table has no {of}: expected a model of it, or CORRECTION,POWER as measured"
                    ));
                }
                Known {
                    rssi_correction_db: listed.rssi_correction_db,
                    tx_power_dbm: listed.tx_power_dbm,
                }
            }
            _ => return Err(expected.to_owned()),
        };
        let name = name.to_owned();
        Ok(Self { name, known })
    }
}

fn model(text: &str) -> Result<String, String> {
    let plain = |part: &str| !part.trim().is_empty() && !part.contains(['"', '\n', '#']);
    let parts: Vec<&str> = text.split(',').collect();
    match parts.len() == 3 && parts.into_iter().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("expected three names, such as 'lenovo,x1,ThinkPad X1'".to_owned()),
    }
}

fn distance(text: &str) -> Result<f64, String> {
    let metres = text.parse().ok();
    let within = metres.filter(|it| (0.1..=100.0).contains(it));
    within.ok_or_else(|| "expected metres from 0.1 to 100".to_owned())
}

pub(crate) fn run(args: &CalibrateArgs) -> Result<(), Error> {
    if args.settle >= args.each {
        return Err("--settle leaves nothing of --each: expected less".into());
    }
    let test = read(&args.folders)?;
    let begin = args.from.unwrap_or(ContactEvent::of(&test).from);
    let each = Duration::from_secs(args.each);
    let (mut steps, mut from) = (Vec::new(), begin);
    for distance_m in &args.distances {
        let until = from.saturating_add(each);
        steps.push(Step {
            distance_m: *distance_m,
            from: from.saturating_add(Duration::from_secs(args.settle)),
            until,
        });
        from = until;
    }
    let roles = Roles {
        station: &args.station,
        known: (&args.known.name, args.known.known),
        device: &args.device,
    };
    let row = CalibrationRow::of(&test, roles, &steps)?;
    let rows: Vec<[String; 4]> = row
        .distances
        .iter()
        .map(|at| {
            let value = |it: fn((f64, f64)) -> f64| match at.values {
                Some(values) => format!("{:.1}", it(values)),
                None => format!("under {FRAMES_MIN}"),
            };
            [
                format!("{} m", at.distance_m),
                at.frames.to_string(),
                value(|it| it.0),
                value(|it| it.1),
            ]
        })
        .collect();
    table(&["distance", "frames", "correction dB", "power dBm"], &rows);
    say!();
    say!("RSSI correction  {} dB", row.rssi_correction_db);
    say!("tx power         {} dBm", row.tx_power_dbm);
    say!("± holds the true value 95 times in 100, if distances err independently of one another\n");
    say!("oem,device,model,rssi_correction,tx_power,confidence");
    say!("{}", row.line(&args.model));
    Ok(())
}
