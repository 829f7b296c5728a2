//! Virtual Bluetooth LE controllers of this kernel (`/dev/vhci`) that share one emulated air, with an RSSI,
//! noise and loss for each pair of them: what `tests/stack` needs in place of radios. They advertise and
//! scan; nobody connects.

mod air;
mod control;
mod controller;
mod hci;
mod port;
mod random;

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use air::{Air, Link, Setting};
use controller::Dedup;

const USAGE: &str = "usage: truyvet-air CONTROLLERS [--ext] [--rssi DBM] [--noise DB] [--loss SHARE] \
                     [--seed NUMBER] [--dedup address|address+data|none] [--control SOCKET]";

/// How often hosts are listened to: std has no way to wait for several files. Chosen: short beside the
/// shortest interval of advertising, 20 ms, and cheap on an emulated machine.
const TICK: Duration = Duration::from_millis(2);

/// As many as addresses are numbered.
const CONTROLLERS_MAX: usize = 254;

fn main() -> ExitCode {
    let done = settings(env::args().skip(1)).and_then(|(setting, control)| run(&setting, control));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("truyvet-air: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(
    mut words: impl Iterator<Item = String>,
) -> Result<(Setting, Option<PathBuf>), Box<dyn Error>> {
    let controllers = words.next().ok_or(USAGE)?;
    let controllers = controllers.parse().map_err(|_| USAGE)?;
    if controllers > CONTROLLERS_MAX {
        return Err(format!("at most {CONTROLLERS_MAX} controllers").into());
    }
    let mut setting = Setting {
        controllers,
        extended: false,
        dedup: Dedup::Address,
        link: Link {
            rssi_dbm: Some(-60.0),
            noise_db: 0.0,
            loss: 0.0,
        },
        seed: 0,
    };
    let mut control = None;
    while let Some(option) = words.next() {
        if option == "--ext" {
            setting.extended = true;
            continue;
        }
        let value = words.next().ok_or(USAGE)?;
        match option.as_str() {
            "--rssi" => setting.link.rssi_dbm = Some(value.parse()?),
            "--noise" => setting.link.noise_db = value.parse()?,
            "--loss" => setting.link.loss = value.parse()?,
            "--seed" => setting.seed = value.parse()?,
            "--control" => control = Some(PathBuf::from(value)),
            "--dedup" => {
                setting.dedup = match value.as_str() {
                    "address" => Dedup::Address,
                    "address+data" => Dedup::AddressAndData,
                    "none" => Dedup::None,
                    _ => return Err(USAGE.into()),
                }
            }
            _ => return Err(USAGE.into()),
        }
    }
    Ok((setting, control))
}

fn run(setting: &Setting, control: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let mut air = Air::new(setting);
    for k in 0..air.len() {
        air.plug(k)?;
    }
    let (orders, ordered) = channel();
    if let Some(path) = control {
        control::serve(&path, air.len(), orders.clone())?;
    }
    loop {
        air.turn(Instant::now());
        // While `orders` is held here, the channel stays open.
        match ordered.recv_timeout(TICK) {
            Ok(request) => control::obey(&mut air, request),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
