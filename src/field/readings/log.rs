//! One device's log, read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::members::{Member, printable, six};
use super::{DeviceLog, FieldError, FieldTest, READINGS_MAX, Reading, open};
use crate::field::herald::{Contact, ContactsReader, What, battery_levels};
use crate::field::participants::Hash;
use crate::field::sightings::{DeviceState, Line, next_line};
use crate::time::Timestamp;

/// A log as it is read.
pub(super) struct LogOf<'a> {
    folder: &'a Path,
    path: PathBuf,
    index: usize,
    heard: BTreeMap<usize, Vec<Reading>>,
    readings: usize,
    strangers: u64,
    refused: u64,
    span: Option<(Timestamp, Timestamp)>,
    states: Option<[DeviceState; 2]>,
}

impl<'a> LogOf<'a> {
    pub(super) fn new(folder: &'a Path, index: usize) -> Self {
        Self {
            folder,
            path: FieldTest::log_of(folder),
            index,
            heard: BTreeMap::new(),
            readings: 0,
            strangers: 0,
            refused: 0,
            span: None,
            states: None,
        }
    }

    fn count(&mut self, readings: usize) -> Result<(), FieldError> {
        self.readings = self.readings.saturating_add(readings);
        match self.readings > READINGS_MAX {
            true => Err(FieldError::TooMany(self.folder.to_owned())),
            false => Ok(()),
        }
    }

    fn at(&mut self, at: Timestamp) {
        let (first, last) = self.span.unwrap_or((at, at));
        self.span = Some((first.min(at), last.max(at)));
    }

    fn add(&mut self, whose: usize, reading: Reading) {
        if whose != self.index {
            self.heard.entry(whose).or_default().push(reading);
        }
    }

    pub(super) fn read_own(
        &mut self,
        hashes: &HashMap<Hash, usize>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), FieldError> {
        let mut from = BufReader::new(Counted(open(&self.path)?, progress));
        loop {
            let line = next_line(&mut from, &mut self.refused);
            let line = line.map_err(|source| FieldError::File {
                path: self.path.clone(),
                source,
            })?;
            match line {
                None => return Ok(()),
                Some(Line::Frame(frame)) => {
                    self.count(1)?;
                    self.at(frame.at);
                    let reading = Reading {
                        at: frame.at,
                        measured: true,
                        rssi: frame.rssi,
                    };
                    match hashes.get(&frame.identifier) {
                        Some(whose) => self.add(*whose, reading),
                        None => self.strangers += 1,
                    }
                }
                Some(Line::State(state)) => {
                    if let Some(at) = state.at {
                        self.at(at);
                    }
                    let first = self.states.map_or(state, |[first, _]| first);
                    self.states = Some([first, state]);
                }
            }
        }
    }

    pub(super) fn read_herald(
        &mut self,
        shorts: &HashMap<&str, usize>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), FieldError> {
        let mut phones: HashMap<String, Phone> = HashMap::new();
        let path = self.path.clone();
        let failed = |source| FieldError::Herald {
            path: path.clone(),
            source,
        };
        let from = Counted(open(&path)?, progress);
        let mut contacts = ContactsReader::new(from).map_err(failed)?;
        while let Some(Contact { at, id, what }) = contacts.next().map_err(failed)? {
            self.at(at);
            match what {
                What::Read(name) => {
                    let phone = phones.entry(id.to_owned()).or_default();
                    if let Some(whose) = shorts.get(six(name)) {
                        phone.whose.insert(*whose);
                    }
                }
                What::Measure { rssi, .. } => phones
                    .entry(id.to_owned())
                    .or_default()
                    .readings
                    .push(Reading {
                        at,
                        measured: true,
                        rssi,
                    }),
                What::Share(name) => {
                    let reading = Reading {
                        at,
                        measured: false,
                        rssi: None,
                    };
                    match shorts.get(six(name)) {
                        Some(whose) => self.add(*whose, reading),
                        None => self.strangers += 1,
                    }
                }
                _ => continue,
            }
            self.count(1)?;
        }
        self.refused = contacts.refused();
        self.resolve(phones)
    }

    /// Gives each number's readings to those it is.
    fn resolve(&mut self, phones: HashMap<String, Phone>) -> Result<(), FieldError> {
        for Phone { whose, readings } in phones.into_values() {
            if whose.is_empty() {
                self.strangers += readings.len() as u64;
            }
            // The first has been counted as it was read.
            self.count(whose.len().saturating_sub(1) * readings.len())?;
            for whose in whose {
                for reading in &readings {
                    self.add(whose, *reading);
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, name: &str, member: &Member) -> Result<DeviceLog, FieldError> {
        // A phone's address changes, and what was heard under each stands together so far.
        for readings in self.heard.values_mut() {
            readings.sort_by_key(|reading| reading.at);
        }
        let path = self.folder.join("battery.csv");
        let battery = match path.exists() {
            true => battery_levels(BufReader::new(open(&path)?))
                .map_err(|source| FieldError::Herald { path, source })?,
            false => Vec::new(),
        };
        let epoch = Timestamp::from_unix_seconds(0);
        let (first, last) = self.span.unwrap_or((epoch, epoch));
        let (model, from, until) = match member {
            Member::Own(own) => (&own.model, own.from, own.until.unwrap_or(last)),
            Member::Herald(detection) => (&detection.model, first, last),
        };
        Ok(DeviceLog {
            name: name.to_owned(),
            model: printable(model),
            from,
            until,
            heard: self.heard,
            strangers: self.strangers,
            refused: self.refused,
            battery,
            states: self.states,
        })
    }
}

/// A number of Herald's. Who it is may be read after it was heard.
#[derive(Default)]
struct Phone {
    whose: BTreeSet<usize>,
    readings: Vec<Reading>,
}

/// Tells how much has been read.
struct Counted<'a, R>(R, &'a mut dyn FnMut(u64));

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(into)?;
        (self.1)(read as u64);
        Ok(read)
    }
}
