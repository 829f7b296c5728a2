//! Writes down what a device hears, in Herald's form and frame by frame.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::herald::{
    BATTERY_HEADER, BatteryLevel, CONTACTS_HEADER, Contact, Detection, STATISTICS_HEADER,
    Statistics, What,
};
use super::participants::{Advertised, Hash, OWN_VERSION, Participant, ShortName, TestKey};
use super::sightings::{DeviceState, Frame, Line};
use super::tap::Tapped;
use crate::advertisement::Advertisement;
use crate::protocol::{EphemeralId, Heard, Protocol, ProtocolKind};
use crate::sighting::Source;
use crate::time::Timestamp;

/// Identifiers of which readings are counted at most. Chosen: a hundred neighbours for ten days.
const KNOWN_MAX: usize = 131_072;

/// The AD type of a sender's power (Bluetooth Assigned Numbers, 2.3), one signed byte.
const TX_POWER_LEVEL: u8 = 0x0A;

/// What is known of a run when it begins.
#[derive(Clone, Debug)]
pub struct RunStart {
    /// What the device is called.
    pub name: ShortName,
    /// Its model.
    pub model: String,
    /// Its system.
    pub system: String,
    /// The system's version.
    pub system_version: String,
    /// What its radio is called.
    pub radio: String,
    /// When it begins.
    pub at: Timestamp,
    /// What it advertises.
    pub advertise: Protocol,
    /// What else it listens for.
    pub also_listen: Vec<Protocol>,
}

/// A run's folder, being written.
///
/// | file | what |
/// |---|---|
/// | `contacts.csv` | Herald's, a line a frame; `id` is the identifier's hash, and its first six letters stand for its name |
/// | `detection.csv`, `statistics.csv` | Herald's, written at the end |
/// | `battery.csv` | Herald's, where there is a battery |
/// | `sightings.jsonl` | the same frames with milliseconds, and the device's state each half minute |
/// | `own.json` | who this is, and hashes of what it advertised |
///
/// Whose hashes the names are, nobody knows before all devices' folders are brought together:
/// [`FieldTest`](super::readings::FieldTest) does that, and [`complete`](super::readings::FieldTest::complete) writes Herald's
/// files again with the names in them.
#[derive(Debug)]
pub struct Recorder {
    folder: PathBuf,
    key: TestKey,
    own: Participant,
    listen: Vec<Protocol>,
    contacts: BufWriter<File>,
    sightings: BufWriter<File>,
    battery: BufWriter<File>,
    known: HashMap<Hash, Statistics>,
}

impl Recorder {
    /// Makes the folder, and its files.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::AlreadyExists`] if a run is in it already; any other if it cannot be written.
    pub fn create(folder: &Path, key: TestKey, run: RunStart) -> io::Result<Self> {
        make_private(folder)?;
        // What is written at the end would come too late to be refused.
        for name in ["detection.csv", "statistics.csv", "own.json"] {
            if folder.join(name).symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
        }
        let new = |name: &str, header: &str| {
            let mut file = BufWriter::new(File::create_new(folder.join(name))?);
            if !header.is_empty() {
                writeln!(file, "{header}")?;
            }
            io::Result::Ok(file)
        };
        let own = Participant {
            version: OWN_VERSION,
            name: run.name,
            test: key.name(),
            model: run.model,
            system: run.system,
            system_version: run.system_version,
            protocol: run.advertise.kind(),
            radio: run.radio,
            from: run.at,
            until: None,
            identifiers: Vec::new(),
        };
        let recorder = Self {
            contacts: new("contacts.csv", CONTACTS_HEADER)?,
            sightings: new("sightings.jsonl", "")?,
            battery: new("battery.csv", BATTERY_HEADER)?,
            folder: folder.to_owned(),
            key,
            own,
            listen: std::iter::once(run.advertise)
                .chain(run.also_listen)
                .collect(),
            known: HashMap::new(),
        };
        recorder.write_own()?;
        Ok(recorder)
    }

    /// Writes down what has passed the tap. Frames of no protocol, and echoes of the own identifiers, are passed over.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if it cannot be written; the run is to end then.
    pub fn take(&mut self, tapped: &Tapped) -> io::Result<()> {
        match *tapped {
            Tapped::Heard {
                at,
                frame,
                rssi,
                peer,
            } => {
                let Some((protocol, id, source)) = self.parse(&frame) else {
                    return Ok(());
                };
                self.heard(Frame {
                    at: at.wall,
                    identifier: self.key.identifier(&id),
                    peer: peer.map(|peer| self.key.peer(&peer)),
                    protocol,
                    source,
                    rssi,
                    tx_power_dbm: tx_power(&frame),
                })
            }
            Tapped::Advertised { at, frame, until } => {
                let Some((_, id, _)) = self.parse(&frame) else {
                    return Ok(());
                };
                let identifier = self.key.identifier(&id);
                let last = self.own.identifiers.last_mut();
                match last.filter(|last| last.identifier == identifier) {
                    Some(last) => last.until = until,
                    None => self.own.identifiers.push(Advertised {
                        identifier,
                        from: at.wall,
                        until,
                    }),
                }
                self.write_own()
            }
            Tapped::Silent { at } => {
                if let Some(last) = self.own.identifiers.last_mut() {
                    last.until = last.until.min(at.wall);
                }
                Ok(())
            }
        }
    }

    fn parse(&self, frame: &Advertisement) -> Option<(ProtocolKind, EphemeralId, Source)> {
        self.listen
            .iter()
            .find_map(|protocol| match protocol.parse(frame) {
                Ok(Some(Heard::Identifier { id, source, .. })) => {
                    Some((protocol.kind(), id, source))
                }
                _ => None,
            })
    }

    fn heard(&mut self, frame: Frame) -> io::Result<()> {
        let own = &self.own.identifiers;
        if own.iter().any(|own| own.identifier == frame.identifier) {
            return Ok(());
        }
        let (id, short) = (frame.identifier.to_string(), frame.identifier.short());
        let mut write = |what| {
            let at = frame.at;
            writeln!(self.contacts, "{}", Contact { at, id: &id, what })
        };
        if !self.known.contains_key(&frame.identifier) {
            write(What::Detect)?;
            write(What::Read(&short))?;
        }
        write(What::Measure {
            rssi: frame.rssi,
            tx_power_dbm: frame.tx_power_dbm,
        })?;
        self.line(&Line::Frame(frame))?;
        let known = self.known.len() < KNOWN_MAX || self.known.contains_key(&frame.identifier);
        if known {
            let statistics = self.known.entry(frame.identifier).or_default();
            statistics.add(frame.at);
        }
        Ok(())
    }

    /// Writes down how the device is, and makes sure that all so far is with the system. To be called each half
    /// minute, as Herald's phones do.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if it cannot be written; the run is to end then.
    pub fn state(&mut self, at: Timestamp, state: DeviceState) -> io::Result<()> {
        if let Some(percent) = state.battery_percent {
            let external = state.external_power.unwrap_or(false);
            let level = BatteryLevel {
                at,
                external,
                percent,
            };
            writeln!(self.battery, "{level}")?;
        }
        let at = Some(at);
        self.line(&Line::State(DeviceState { at, ..state }))?;
        for file in [&mut self.contacts, &mut self.sightings, &mut self.battery] {
            file.flush()?;
        }
        Ok(())
    }

    /// Ends the run at `at`.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if it cannot be written.
    pub fn finish(mut self, at: Timestamp, state: DeviceState) -> io::Result<()> {
        self.state(at, state)?;
        self.own.until = Some(at);
        if let Some(last) = self.own.identifiers.last_mut() {
            last.until = last.until.min(at);
        }
        self.write_own()?;
        let names = self.known.iter().map(|(hash, it)| (hash.short(), *it));
        write_summaries(&self.folder, &self.own, names.collect())
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.sightings, line)?;
        self.sightings.write_all(b"\n")
    }

    fn write_own(&self) -> io::Result<()> {
        self.own.write(&self.folder.join("own.json"))
    }
}

/// Makes a folder for its owner alone: what is in it says when strangers were near.
pub(in crate::field) fn make_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Writes `detection.csv` and `statistics.csv`, which are not there yet.
pub(in crate::field) fn write_summaries(
    folder: &Path,
    own: &Participant,
    mut names: Vec<(String, Statistics)>,
) -> io::Result<()> {
    names.sort_by(|one, other| one.0.cmp(&other.0));
    let detection = Detection {
        model: own.model.clone(),
        system: own.system.clone(),
        version: own.system_version.clone(),
        own: own.name.to_string(),
        seen: names.iter().map(|(name, _)| name.clone()).collect(),
    };
    let write = |name: &str, text: String| {
        let mut file = File::create_new(folder.join(name))?;
        file.write_all(text.as_bytes())
    };
    write("detection.csv", format!("{detection}\n"))?;
    let lines = names
        .iter()
        .filter_map(|(name, statistics)| statistics.line(name));
    let lines: String = lines.map(|line| line + "\n").collect();
    write("statistics.csv", format!("{STATISTICS_HEADER}\n{lines}"))
}

/// The power in the frame itself.
fn tx_power(frame: &Advertisement) -> Option<i8> {
    let mut structures = frame.structures();
    let level = structures.find(|it| it.ad_type == TX_POWER_LEVEL)?;
    match level.data {
        [power] => Some(i8::from_le_bytes([*power])),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_in_a_frame() {
        let frame = |bytes: &[u8]| tx_power(&Advertisement::parse(bytes).unwrap());
        assert_eq!(frame(&[2, 0x0A, 0xF4]), Some(-12));
        assert_eq!(frame(&[3, 0x0A, 0xF4, 0]), None);
        assert_eq!(frame(&[2, 1, 6]), None);
    }
}
