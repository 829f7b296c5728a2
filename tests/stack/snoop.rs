//! What went to a controller, as `btmon` has recorded it: advertisements, read from the commands that
//! the controller has carried out.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::bed::until;

/// Of a btsnoop file: its name, version 1, and the link type of BlueZ's monitor (2001).
const HEADER: &[u8; 16] = b"btsnoop\0\0\0\0\x01\0\0\x07\xd1";
const RECORD_HEADER_BYTES: usize = 24;

/// Operations of the monitor (BlueZ, `src/shared/btsnoop.h`).
const COMMAND: u16 = 2;
const EVENT: u16 = 3;

/// HCI (Bluetooth Core Specification 5.4, Vol. 4, Part E, 7.7.14 and 7.8).
const COMMAND_COMPLETE: u8 = 0x0e;
const RESET: u16 = 0x0c03;
const SET_RANDOM_ADDRESS: u16 = 0x2005;
const SET_ADVERTISING_PARAMETERS: u16 = 0x2006;
const SET_ADVERTISING_DATA: u16 = 0x2008;
const SET_ADVERTISING_ENABLE: u16 = 0x200a;

/// One advertisement, from the moment in which it was enabled to that in which it was disabled.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Broadcast {
    /// Whether the address is random; else it is the adapter's own, and never changes.
    pub(crate) random: bool,
    /// As it stands in the command.
    pub(crate) address: [u8; 6],
    pub(crate) data: Vec<u8>,
    /// Since an arbitrary moment.
    pub(crate) begun: Duration,
    pub(crate) ended: Option<Duration>,
}

struct Record<'a> {
    at: Duration,
    adapter: u16,
    operation: u16,
    packet: &'a [u8],
}

/// Takes the next record off `bytes`; `None` if there is no whole one.
fn next_record<'a>(bytes: &mut &'a [u8]) -> Option<Record<'a>> {
    let (header, rest) = bytes.split_at_checked(RECORD_HEADER_BYTES)?;
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap());
    let (packet, rest) = rest.split_at_checked(number(4) as usize)?;
    let micros = u64::from_be_bytes(header[16..24].try_into().unwrap());
    *bytes = rest;
    Some(Record {
        at: Duration::from_micros(micros),
        adapter: (number(8) >> 16) as u16,
        operation: number(8) as u16,
        packet,
    })
}

/// A controller, by the commands it has carried out.
#[derive(Default)]
struct Controller {
    asked: HashMap<u16, Vec<u8>>,
    next: Broadcast,
    on: Option<Broadcast>,
    past: Vec<Broadcast>,
}

impl Controller {
    fn record(&mut self, record: &Record<'_>) {
        match (record.operation, record.packet) {
            (COMMAND, [low, high, _, parameters @ ..]) => {
                let command = u16::from_le_bytes([*low, *high]);
                self.asked.insert(command, parameters.to_vec());
            }
            // What it refuses changes nothing.
            (EVENT, [COMMAND_COMPLETE, _, _, low, high, 0, ..]) => {
                let command = u16::from_le_bytes([*low, *high]);
                if let Some(parameters) = self.asked.remove(&command) {
                    self.done(record.at, command, &parameters);
                }
            }
            _ => {}
        }
    }

    fn done(&mut self, at: Duration, command: u16, parameters: &[u8]) {
        match (command, parameters) {
            (RESET, _) => self.disable(at),
            (SET_RANDOM_ADDRESS, address) => self.next.address = address.try_into().unwrap(),
            // An advertisement that is changed while it is on the air is another one from there on.
            (SET_ADVERTISING_DATA, [len, data @ ..]) => {
                self.next.data = data[..usize::from(*len)].to_vec();
                if self.on.is_some() {
                    self.disable(at);
                    self.enable(at);
                }
            }
            (SET_ADVERTISING_PARAMETERS, parameters) => self.next.random = parameters[5] == 1,
            (SET_ADVERTISING_ENABLE, [0]) => self.disable(at),
            (SET_ADVERTISING_ENABLE, [1]) if self.on.is_none() => self.enable(at),
            _ => {}
        }
    }

    fn enable(&mut self, at: Duration) {
        let begun = at;
        let next = self.next.clone();
        self.on = Some(Broadcast { begun, ..next });
    }

    fn disable(&mut self, at: Duration) {
        if let Some(broadcast) = self.on.take() {
            let ended = Some(at);
            self.past.push(Broadcast { ended, ..broadcast });
        }
    }
}

/// What a recording says `adapter` has advertised, in order.
fn broadcasts(recording: &[u8], adapter: u16) -> Vec<Broadcast> {
    let mut bytes = recording.strip_prefix(HEADER).unwrap_or_default();
    let mut controller = Controller::default();
    while let Some(record) = next_record(&mut bytes) {
        if record.adapter == adapter {
            controller.record(&record);
        }
    }
    controller.past.extend(controller.on);
    controller.past
}

/// A recording under way.
pub(crate) struct Snoop {
    btmon: Child,
    path: PathBuf,
    _directory: TempDir,
}

impl Snoop {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("btsnoop");
        let btmon = Command::new("btmon")
            .arg("-w")
            .arg(&path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It begins by noting the adapters there are.
        let begun = async || fs::metadata(&path).is_ok_and(|file| file.len() > 16);
        until("btmon records", begun).await;
        Self {
            btmon,
            path,
            _directory: directory,
        }
    }

    /// What hci`adapter` has advertised since the start.
    pub(crate) fn broadcasts(&self, adapter: u16) -> Vec<Broadcast> {
        broadcasts(&fs::read(&self.path).unwrap(), adapter)
    }

    /// Whether hci`adapter` is silent, having advertised.
    pub(crate) fn is_silent(&self, adapter: u16) -> bool {
        let last = self.broadcasts(adapter).pop();
        last.is_some_and(|broadcast| broadcast.ended.is_some())
    }
}

impl Drop for Snoop {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.btmon.kill();
        let _ = self.btmon.wait();
    }
}

/// A recording of commands, each carried out with this status.
fn recording(commands: &[(u16, &[u8], u8)]) -> Vec<u8> {
    let mut bytes = HEADER.to_vec();
    let mut record = |at: u64, operation: u16, packet: &[u8]| {
        let len = (packet.len() as u32).to_be_bytes();
        bytes.extend([len, len].concat());
        bytes.extend((3u32 << 16 | u32::from(operation)).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(at.to_be_bytes());
        bytes.extend(packet);
    };
    for (at, (command, parameters, status)) in (0..).zip(commands) {
        let [low, high] = command.to_le_bytes();
        let len = parameters.len() as u8;
        record(at, COMMAND, &[&[low, high, len], *parameters].concat());
        record(at, EVENT, &[COMMAND_COMPLETE, 4, 1, low, high, *status]);
    }
    bytes
}

#[test]
fn a_broadcast_is_read_from_what_was_carried_out() {
    let whole = recording(&[
        (SET_ADVERTISING_PARAMETERS, &[0, 8, 0, 8, 3, 1], 0),
        (SET_RANDOM_ADDRESS, &[1; 6], 0),
        (SET_ADVERTISING_DATA, &[2, 1, 2, 9], 0),
        (SET_ADVERTISING_ENABLE, &[1], 0),
        (SET_RANDOM_ADDRESS, &[2; 6], 0x0c),
        (SET_ADVERTISING_ENABLE, &[0], 0),
        (SET_ADVERTISING_ENABLE, &[1], 0),
    ]);
    let found = broadcasts(&whole, 3);
    let [first, second] = &found[..] else {
        panic!("{found:?}")
    };
    assert_eq!(first.begun, Duration::from_micros(3));
    assert_eq!(first.ended, Some(Duration::from_micros(5)));
    assert_eq!((first.address, &first.data[..]), ([1; 6], &[1, 2][..]));
    // The controller has refused the other address.
    assert_eq!((second.address, second.ended), ([1; 6], None));
    assert!(first.random && second.random);
    assert_eq!(broadcasts(&whole, 0), []);
    for cut in 0..whole.len() {
        assert!(broadcasts(&whole[..cut], 3).len() <= 2);
    }
}

/// Every broadcast has an address and a payload that none other has, and none begins before the one
/// before it has ended.
pub(crate) fn assert_each_has_its_own(broadcasts: &[Broadcast]) {
    for (index, broadcast) in broadcasts.iter().enumerate() {
        assert!(broadcast.random, "under the adapter's own address");
        for other in &broadcasts[..index] {
            assert_ne!(other.address, broadcast.address, "an address again");
            assert_ne!(
                other.data, broadcast.data,
                "a payload again: {other:?} and {broadcast:?}"
            );
        }
    }
}
