//! The folders of a test's devices, read and brought together.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

mod completion;
mod log;
mod members;

use super::herald::{BatteryLevel, HeraldError};
use super::sightings::DeviceState;
use crate::sighting::Rssi;
use crate::time::Timestamp;
use log::LogOf;
use members::{Member, hashes, member, names_of, require_one_test, shorts};

/// Devices of a test at most. Chosen: as many as their `detection.csv` may name.
pub const DEVICES_MAX: usize = 60;

/// Readings of one device at most. Chosen: two weeks of three neighbours at the most that Herald published, 128 MB.
pub const READINGS_MAX: usize = 8_000_000;

/// A neighbour was heard, or told who it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reading {
    /// When; to the second in Herald's logs.
    pub at: Timestamp,
    /// Whether a frame was heard (Herald's code 3). Otherwise the neighbour, or another phone on its behalf, has written
    /// who it is (code 4).
    pub measured: bool,
    /// How strong the frame was, if that was measured.
    pub rssi: Option<Rssi>,
}

/// One device's folder.
#[derive(Clone, Debug)]
pub struct DeviceLog {
    /// What the device is called: the folder's name for Herald's, whose own names tell nobody anything.
    pub name: String,
    /// Its model.
    pub model: String,
    /// From when it took part: the start of its run, or its first line.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// What it heard of each other device, in the order of the file, by [index](FieldTest::devices).
    pub heard: BTreeMap<usize, Vec<Reading>>,
    /// Readings of others, who take no part.
    pub strangers: u64,
    /// Lines that were none.
    pub refused: u64,
    /// What its battery said.
    pub battery: Vec<BatteryLevel>,
    /// The first and the last that it says of itself; only truyvet's do.
    pub states: Option<[DeviceState; 2]>,
}

/// A test: the logs of all devices that took part.
#[derive(Clone, Debug)]
pub struct FieldTest {
    /// In the order of their folders.
    pub devices: Vec<DeviceLog>,
}

/// What cannot be read as a test.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FieldError {
    /// There is no folder of a device.
    #[error(
        "{0}: expected a device's folder with contacts.csv in it, or a folder of such, got none"
    )]
    NoDevice(PathBuf),
    /// One is no test, and more than 60 are too many.
    #[error("expected the folders of 2 to {DEVICES_MAX} devices, got {0}")]
    Devices(usize),
    /// Two say that they are the same.
    #[error("expected devices of different names, got two called {0}")]
    SameName(String),
    /// They hash under different keys, so that none can be found in the other's.
    #[error(
        "expected devices of one test, got {one} and {other} with different test keys: give all runs of a test the same --test-key"
    )]
    OtherTest {
        /// A device.
        one: String,
        /// Another.
        other: String,
    },
    /// A folder has more readings than are held.
    #[error("{0}: expected at most {READINGS_MAX} readings, got more")]
    TooMany(PathBuf),
    /// A file of Herald's form cannot be used.
    #[error("{path}: {source}")]
    Herald {
        /// Which.
        path: PathBuf,
        /// Why.
        source: HeraldError,
    },
    /// Any other file cannot be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FieldTest {
    /// The devices' folders among `paths` and, one level down, within them.
    ///
    /// # Errors
    ///
    /// [`FieldError::NoDevice`] for a path without any, [`FieldError::File`] for one that cannot be read.
    pub fn folders(paths: &[PathBuf]) -> Result<Vec<PathBuf>, FieldError> {
        let is_device = |folder: &Path| folder.join("contacts.csv").is_file();
        let mut folders = Vec::new();
        for path in paths {
            if is_device(path) {
                folders.push(path.clone());
                continue;
            }
            let failed = |source| FieldError::File {
                path: path.clone(),
                source,
            };
            let mut within: Vec<PathBuf> = Vec::new();
            for entry in fs::read_dir(path).map_err(failed)? {
                let folder = entry.map_err(failed)?.path();
                if is_device(&folder) && within.len() <= DEVICES_MAX {
                    within.push(folder);
                }
            }
            if within.is_empty() {
                return Err(FieldError::NoDevice(path.clone()));
            }
            within.sort();
            folders.append(&mut within);
        }
        Ok(folders)
    }

    /// The file that is read of a device's folder, the longest in it.
    pub fn log_of(folder: &Path) -> PathBuf {
        let name = match folder.join("own.json").exists() {
            true => "sightings.jsonl",
            false => "contacts.csv",
        };
        folder.join(name)
    }

    /// Reads the [logs](Self::log_of) of all `folders`; `progress` is told of bytes as they are read.
    ///
    /// An identifier of truyvet's is whose `own.json` has its hash. A number of Herald's is whose short name was ever
    /// read from it in that log, before or after; one that several names were read from counts for each of them, as
    /// it does in Herald's analysis.
    ///
    /// # Errors
    ///
    /// [`FieldError`].
    pub fn read(folders: &[PathBuf], mut progress: impl FnMut(u64)) -> Result<Self, FieldError> {
        if !(2..=DEVICES_MAX).contains(&folders.len()) {
            return Err(FieldError::Devices(folders.len()));
        }
        let members = folders.iter().map(|folder| member(folder));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        let names = names_of(folders, &members)?;
        require_one_test(&members)?;
        let mut devices = Vec::new();
        for (index, folder) in folders.iter().enumerate() {
            let Some((member, name)) = members.get(index).zip(names.get(index)) else {
                break;
            };
            let mut reader = LogOf::new(folder, index);
            match member {
                Member::Own(_) => reader.read_own(&hashes(&members), &mut progress)?,
                Member::Herald(_) => reader.read_herald(&shorts(&members), &mut progress)?,
            }
            devices.push(reader.finish(name, member)?);
        }
        Ok(Self { devices })
    }
}

fn open(path: &Path) -> Result<File, FieldError> {
    File::open(path).map_err(|source| FieldError::File {
        path: path.to_owned(),
        source,
    })
}
