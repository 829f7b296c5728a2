//! Captures of Bluetooth: btsnoop, pcap and pcapng, read as they stream by, and the advertisements in them.
//!
//! Two kinds of things come out: [advertisements heard](HeardAdvertisement), from the reports of a controller or from a sniffer,
//! and [broadcasts](Broadcast), which are what a controller was told to advertise and has said to do, from a capture on the
//! advertiser's own host.
//!
//! | file | link types |
//! |---|---|
//! | btsnoop (`btmon -w`, Android's HCI log) | 1001 HCI, 1002 H4, 2001 Linux monitor |
//! | pcap, pcapng (Wireshark, sniffers) | 187 H4, 201 H4 with direction, 254 Linux monitor, 251 and 256 link layer, 272 nRF Sniffer |
//!
//! The file is hostile: a length that it claims is never allocated, what is malformed inside a record is
//! [counted](Counts) and passed over, and a file that is cut ends where it is cut ([`Capture::cut`]).

mod address;
mod btsnoop;
mod hci;
mod host;
mod link_layer;
mod pcap;

use std::collections::VecDeque;
use std::io::{self, Cursor, Read};

use serde::Serialize;

use crate::sighting::Rssi;

pub use address::{Address, AddressKind};

/// The longest record that is read. Chosen: the snapshot length of tcpdump and Wireshark, four times what HCI sends at once.
pub const RECORD_BYTES_MAX: usize = 262_144;

/// The most advertising data of one advertisement (Bluetooth Core Specification 5.4, Vol. 4, Part E, 7.8.54).
pub const ADVERTISING_DATA_BYTES_MAX: usize = 1_650;

/// How much of the file is looked at to tell what it is. Chosen: pcapng's first block is some hundred bytes.
const HEAD_BYTES: u64 = 65_536;

/// An advertisement as it was heard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeardAdvertisement {
    /// When, µs since 1970 by the clock of who captured.
    pub at_us: u64,
    /// By which of its controllers.
    pub adapter: u16,
    /// From which address.
    pub address: Address,
    /// What may be done with its sender.
    pub form: Form,
    /// The AD structures, at most [`ADVERTISING_DATA_BYTES_MAX`] bytes.
    pub data: Vec<u8>,
    /// How strong.
    pub rssi: Option<Rssi>,
    /// The power the extended header names, dBm.
    pub tx_power_dbm: Option<i8>,
}

/// What a controller was told to advertise, from the moment in which it was enabled to that in which it was disabled or changed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Broadcast {
    /// Which of the host's controllers.
    pub adapter: u16,
    /// The advertising set; `None` if the controller has but one.
    pub set: Option<u8>,
    /// Under which address; `None` if the capture begins too late to tell it, or the controller chose it.
    pub address: Option<Address>,
    /// What may be done with its sender.
    pub form: Form,
    /// The AD structures.
    pub data: Vec<u8>,
    /// What is answered to a scan.
    pub scan_response: Vec<u8>,
    /// From when, µs since 1970.
    pub begun_us: u64,
    /// Until when; `None` if it was on the air as the capture ended.
    pub ended_us: Option<u64>,
    /// Until when it is known to have been on the air: its end, or the capture's last record.
    pub known_until_us: u64,
}

/// What an advertisement says may be done with its sender: the kind of its PDU.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub struct Form {
    /// It takes connections.
    pub connectable: bool,
    /// It answers scans.
    pub scannable: bool,
    /// It is meant for one receiver.
    pub directed: bool,
    /// It is itself the answer to a scan.
    pub scan_response: bool,
    /// It is one of Bluetooth 5's extended advertisements.
    pub extended: bool,
}

/// One thing that a capture tells.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Observation {
    /// An advertisement was received.
    Heard(HeardAdvertisement),
    /// An advertisement was sent by the host on which was captured. It comes once it has ended, or at the capture's end.
    Sent(Broadcast),
}

/// What a capture held, in numbers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Records read.
    pub records: u64,
    /// Advertisements heard.
    pub heard: u64,
    /// Broadcasts sent.
    pub sent: u64,
    /// Records about advertising that break their layout, or were cut by who captured.
    pub malformed: u64,
    /// Frames whose checksum is wrong: the sniffer misheard.
    pub misheard: u64,
    /// Records of link types that are not read, in a file with several.
    pub foreign: u64,
    /// Records of controllers beyond the 64th.
    pub left_out: u64,
}

/// Why a capture cannot be read, or not on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// It is no capture of a known format.
    #[error("expected a btsnoop, pcap or pcapng file, got one that begins with {begins}")]
    UnknownFormat {
        /// Its first bytes in hexadecimal.
        begins: String,
    },
    /// It is of another version or byte order.
    #[error("expected btsnoop version 1, got {got}")]
    Version {
        /// What it says.
        got: u32,
    },
    /// It was captured on something else than Bluetooth, or in a form that is not read.
    #[error(
        "expected a link type of Bluetooth ({format}: {expected}), got {got}: capture again in one of these"
    )]
    LinkType {
        /// The file's format.
        format: &'static str,
        /// Those that are read.
        expected: &'static str,
        /// The one it has.
        got: u32,
    },
    /// The file ends inside a record.
    #[error("cut: the record at byte {offset} has {expected} bytes, {got} follow")]
    Cut {
        /// Where the record's bytes begin.
        offset: u64,
        /// What it claims.
        expected: u64,
        /// What is there.
        got: u64,
    },
    /// A record is longer than any is.
    #[error(
        "the record at byte {offset} claims {len} bytes, at most {RECORD_BYTES_MAX} expected: the file is damaged there"
    )]
    RecordTooLong {
        /// Where the record's bytes begin.
        offset: u64,
        /// What it claims.
        len: u64,
    },
    /// The file breaks its format.
    #[error("not {format} from byte {offset} on: {why}")]
    Malformed {
        /// The file's format.
        format: &'static str,
        /// How far it was read.
        offset: u64,
        /// What is wrong.
        why: String,
    },
    /// The file could not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How a record's bytes are to be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Link {
    /// HCI without a byte that says what it is: btsnoop's flags do.
    Hci,
    /// HCI with that byte.
    H4,
    /// The same behind four bytes of direction.
    H4Directed,
    /// BlueZ's monitor, whose controller and operation stand in btsnoop's flags.
    Monitor,
    /// The same in front of the packet.
    LinuxMonitor,
    /// The link layer, as it is on the air.
    Air,
    /// The same behind a header of the receiver's.
    AirWithHeader,
    /// nRF Sniffer.
    Nordic,
}

/// A record of the file.
#[derive(Debug)]
struct Record {
    at_us: u64,
    link: Link,
    /// btsnoop's.
    flags: u32,
    bytes: Vec<u8>,
}

/// A format, record by record.
trait Records {
    /// The next record; `None` at the end.
    fn next(&mut self, counts: &mut Counts) -> Result<Option<Record>, CaptureError>;
}

/// A capture that is being read. Its memory does not grow with the file.
pub struct Capture<'a> {
    records: Box<dyn Records + Send + 'a>,
    hci: hci::Hosts,
    ready: VecDeque<Observation>,
    counts: Counts,
    /// Of the latest record.
    last_us: u64,
    cut: Option<CaptureError>,
    ended: bool,
}

impl std::fmt::Debug for Capture<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Capture")
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<'a> Capture<'a> {
    /// A capture out of `file`, whichever format it has.
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if it is none, or not of Bluetooth.
    pub fn open(file: impl Read + Send + 'a) -> Result<Self, CaptureError> {
        let mut file = file;
        let mut head = Vec::new();
        (&mut file).take(HEAD_BYTES).read_to_end(&mut head)?;
        let begins = head.get(..8).unwrap_or(&head).to_vec();
        let file = Cursor::new(head).chain(file);
        let records: Box<dyn Records + Send + 'a> = match begins.as_slice() {
            btsnoop::MAGIC => Box::new(btsnoop::File::open(file)?),
            [0x0A, 0x0D, 0x0D, 0x0A, ..] => Box::new(pcap::File::open_ng(file)?),
            [0xA1, 0xB2, 0xC3, 0xD4, ..]
            | [0xD4, 0xC3, 0xB2, 0xA1, ..]
            | [0xA1, 0xB2, 0x3C, 0x4D, ..]
            | [0x4D, 0x3C, 0xB2, 0xA1, ..] => Box::new(pcap::File::open(file)?),
            _ => {
                let begins = data_encoding::HEXLOWER.encode(&begins);
                return Err(CaptureError::UnknownFormat { begins });
            }
        };
        Ok(Self {
            records,
            hci: hci::Hosts::default(),
            ready: VecDeque::new(),
            counts: Counts::default(),
            last_us: 0,
            cut: None,
            ended: false,
        })
    }

    /// What is told next, `None` at the end, also at that of a file that is [cut](Self::cut).
    ///
    /// # Errors
    ///
    /// [`CaptureError`] if the file cannot be read on. What was told before holds, and nothing follows.
    pub fn next_observation(&mut self) -> Result<Option<Observation>, CaptureError> {
        loop {
            if let Some(observation) = self.ready.pop_front() {
                match observation {
                    Observation::Heard(_) => self.counts.heard += 1,
                    Observation::Sent(_) => self.counts.sent += 1,
                }
                return Ok(Some(observation));
            }
            if self.ended {
                return Ok(None);
            }
            match self.records.next(&mut self.counts) {
                Ok(Some(record)) => {
                    self.counts.records += 1;
                    self.take(&record);
                }
                Ok(None) => self.end(),
                Err(cut @ CaptureError::Cut { .. }) => {
                    self.cut = Some(cut);
                    self.end();
                }
                Err(error) => {
                    self.ended = true;
                    return Err(error);
                }
            }
        }
    }

    /// Where the file is cut, if it ended inside a record: what came before was read.
    pub fn cut(&self) -> Option<&CaptureError> {
        self.cut.as_ref()
    }

    /// What it held so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    fn take(&mut self, record: &Record) {
        self.last_us = self.last_us.max(record.at_us);
        let (ready, counts) = (&mut self.ready, &mut self.counts);
        match record.link {
            Link::Air | Link::AirWithHeader | Link::Nordic => {
                link_layer::take(record, ready, counts);
            }
            _ => self.hci.take(record, ready, counts),
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.hci.end(self.last_us, &mut self.ready);
    }
}
