//! `sightings.jsonl`: what a device heard, frame by frame, and what it cost; one JSON object a line.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use super::participants::Hash;
use crate::protocol::ProtocolKind;
use crate::sighting::{Rssi, Source};
use crate::time::Timestamp;

/// Bytes of a line at most. Chosen: ten times the longest there is.
pub const LINE_BYTES_MAX: u64 = 4_096;

/// A line.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Line {
    /// A frame of a neighbour was heard.
    Frame(Frame),
    /// How the device was, each half minute.
    State(DeviceState),
}

/// A frame that carried an identifier.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Deserialize, Serialize)]
pub struct Frame {
    /// When, in milliseconds.
    pub at: Timestamp,
    /// What stands for the identifier.
    pub identifier: Hash,
    /// What stands for the address it came from, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Hash>,
    /// Its protocol.
    pub protocol: ProtocolKind,
    /// Where the identifier stood.
    pub source: Source,
    /// How strong it was, dBm, if that was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rssi: Option<Rssi>,
    /// With what power it says it was sent, dBm: the frame's own field, which neither protocol has. GAEN's power is
    /// encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_power_dbm: Option<i8>,
}

/// How a device is. What is counted is counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct DeviceState {
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Processor time that the process has taken, milliseconds, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// How full the battery is, percent, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_percent: Option<f32>,
    /// Whether the device is fed from outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_power: Option<bool>,
    /// Whether the tracer hears.
    pub scanning: bool,
    /// Whether it advertises.
    pub advertising: bool,
    /// Frames lost, by cause.
    pub lost: Lost,
}

/// Frames of which nothing came, by cause.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Deserialize, Serialize)]
pub struct Lost {
    /// They came faster than the tracer could take them.
    pub dropped: u64,
    /// The radio heard and could not read them.
    pub missed: u64,
    /// They claim a protocol and break its layout.
    pub malformed: u64,
    /// Their identifier has to be read over a connection, and was not.
    pub unread: u64,
    /// The tracer had them, and the field log has not: the disk was too slow.
    pub unwritten: u64,
}

impl Lost {
    /// All of them.
    pub fn total(&self) -> u64 {
        let all = [
            self.dropped,
            self.missed,
            self.malformed,
            self.unread,
            self.unwritten,
        ];
        all.into_iter().fold(0, u64::saturating_add)
    }
}

/// The next line of `from` that is one, or how many there were that are none before the end.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidData`] for a line that is too long; any other if the file cannot be read.
pub fn next_line(from: &mut impl BufRead, refused: &mut u64) -> io::Result<Option<Line>> {
    let mut text = Vec::new();
    loop {
        text.clear();
        let read = from.take(LINE_BYTES_MAX).read_until(b'\n', &mut text)?;
        if read == 0 {
            return Ok(None);
        }
        if read as u64 == LINE_BYTES_MAX && text.last() != Some(&b'\n') {
            let why = format!("expected lines of at most {LINE_BYTES_MAX} bytes, got a longer one");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        match serde_json::from_slice(&text) {
            Ok(line) => return Ok(Some(line)),
            // A device that dies leaves half a line behind.
            Err(_) => *refused += u64::from(!text.trim_ascii().is_empty()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_are_written() {
        let identifier = Hash::try_from("0123456789abcdef".to_owned()).unwrap();
        let frame = Line::Frame(Frame {
            at: Timestamp::from_unix_millis(1_234),
            identifier,
            peer: None,
            protocol: ProtocolKind::Gaen,
            source: Source::ServiceData,
            rssi: Rssi::from_dbm(-60),
            tx_power_dbm: None,
        });
        let state = Line::State(DeviceState {
            battery_percent: Some(92.5),
            ..DeviceState::default()
        });
        let [first, second] = [frame, state].map(|line| serde_json::to_string(&line).unwrap());
        assert_eq!(
            first,
            r#"{"kind":"frame","at":1234,"identifier":"0123456789abcdef","protocol":"Gaen","source":"ServiceData","rssi":-60}"#
        );
        let text = format!("{first}\n\nhalf a {second}\n{second}\n{{\"kind\":\"fra");
        let (mut bytes, mut refused) = (text.as_bytes(), 0);
        let mut next = || next_line(&mut bytes, &mut refused).unwrap();
        assert_eq!((next(), next(), next()), (Some(frame), Some(state), None));
        assert_eq!(refused, 2);
    }

    #[test]
    fn a_line_without_end() {
        let text = vec![b' '; 5_000];
        assert!(next_line(&mut &text[..], &mut 0).is_err());
    }
}
