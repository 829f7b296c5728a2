//! pcap and pcapng, through pcap-parser.

use std::io::Read;

use pcap_parser::traits::PcapReaderIterator;
use pcap_parser::{Block, LegacyPcapReader, Linktype, PcapBlockOwned, PcapError, PcapNGReader};

use super::{CaptureError, Counts, Link, RECORD_BYTES_MAX, Record, Records};

/// The window in which blocks are read. Four of the longest records, as the parser wants one whole and shifts what is read.
const WINDOW_BYTES: usize = 4 * RECORD_BYTES_MAX;

/// Interfaces of one pcapng section. Chosen: one a sniffer; a file that describes more is no work of theirs.
const INTERFACES_MAX: usize = 256;

const EXPECTED: &str = "187, 201, 251, 254, 256, 272";

pub(super) struct File<'a> {
    reader: Box<dyn PcapReaderIterator + Send + 'a>,
    format: &'static str,
    /// Of pcap the only one.
    interfaces: Vec<Interface>,
}

#[derive(Clone, Copy)]
struct Interface {
    link: Option<Link>,
    /// Ticks a second.
    resolution: u64,
    offset_s: i64,
}

/// What a block of the file is to us.
enum Step {
    Record(Record),
    Other,
    End,
    More,
}

impl<'a> File<'a> {
    pub(super) fn open(file: impl Read + Send + 'a) -> Result<Self, CaptureError> {
        let reader = LegacyPcapReader::new(WINDOW_BYTES, file);
        let reader = reader.map_err(|e| malformed("pcap", 0, &e))?;
        Ok(Self {
            reader: Box::new(reader),
            format: "pcap",
            interfaces: Vec::new(),
        })
    }

    pub(super) fn open_ng(file: impl Read + Send + 'a) -> Result<Self, CaptureError> {
        let reader = PcapNGReader::new(WINDOW_BYTES, file);
        let reader = reader.map_err(|e| malformed("pcapng", 0, &e))?;
        Ok(Self {
            reader: Box::new(reader),
            format: "pcapng",
            interfaces: Vec::new(),
        })
    }

    fn step(&mut self, counts: &mut Counts) -> Result<Step, CaptureError> {
        let at = self.reader.consumed() as u64;
        let (len, step) = match self.reader.next() {
            Ok((len, block)) => {
                let step = take_block(&block, &mut self.interfaces, self.format, counts);
                (len, step)
            }
            Err(PcapError::Eof) => return Ok(Step::End),
            Err(PcapError::Incomplete(_)) => return Ok(Step::More),
            Err(PcapError::UnexpectedEof) => {
                let got = self.reader.data().len();
                return match got {
                    0 => Ok(Step::End),
                    _ => Err(CaptureError::Cut {
                        offset: at,
                        expected: claimed(self.reader.data(), self.format),
                        got: got as u64,
                    }),
                };
            }
            Err(PcapError::BufferTooSmall) => {
                return Err(CaptureError::RecordTooLong {
                    offset: at,
                    len: claimed(self.reader.data(), self.format),
                });
            }
            Err(error) => return Err(malformed(self.format, at, &error)),
        };
        self.reader.consume(len);
        step
    }
}

impl Records for File<'_> {
    fn next(&mut self, counts: &mut Counts) -> Result<Option<Record>, CaptureError> {
        loop {
            match self.step(counts)? {
                Step::Record(record) => return Ok(Some(record)),
                Step::Other => {}
                Step::End => return Ok(None),
                Step::More => {
                    let offset = self.reader.consumed() as u64;
                    let refilled = self.reader.refill();
                    refilled.map_err(|e| malformed(self.format, offset, &e))?;
                }
            }
        }
    }
}

fn malformed(format: &'static str, offset: u64, error: &PcapError<&[u8]>) -> CaptureError {
    let why = match error {
        PcapError::Eof | PcapError::Incomplete(_) | PcapError::UnexpectedEof => {
            "the header is not whole"
        }
        PcapError::ReadError => "reading failed",
        PcapError::HeaderNotRecognized => "the header is of another kind",
        _ => "the block breaks its layout",
    };
    CaptureError::Malformed {
        format,
        offset,
        why: why.to_owned(),
    }
}

/// How long the block says it is that is not all there: in pcap behind its times, in pcapng behind its type. Whichever byte
/// order, it is the smaller one of two readings, as no length has its high byte set.
fn claimed(data: &[u8], format: &str) -> u64 {
    // In pcap without the header of 16 bytes that it stands in.
    let (at, header) = if format == "pcap" { (8, 16) } else { (4, 0) };
    let bytes = data.get(at..).and_then(|rest| rest.first_chunk());
    bytes.map_or(header, |bytes| {
        let len = u32::from_le_bytes(*bytes).min(u32::from_be_bytes(*bytes));
        header + u64::from(len)
    })
}

fn link_of(linktype: Linktype) -> Option<Link> {
    match linktype.0 {
        187 => Some(Link::H4),
        201 => Some(Link::H4Directed),
        251 => Some(Link::Air),
        254 => Some(Link::LinuxMonitor),
        256 => Some(Link::AirWithHeader),
        272 => Some(Link::Nordic),
        _ => None,
    }
}

fn take_block(
    block: &PcapBlockOwned<'_>,
    interfaces: &mut Vec<Interface>,
    format: &'static str,
    counts: &mut Counts,
) -> Result<Step, CaptureError> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let link = link_of(header.network);
            if link.is_none() {
                return Err(CaptureError::LinkType {
                    format,
                    expected: EXPECTED,
                    got: header.network.0.cast_unsigned(),
                });
            }
            let nanos = header.is_nanosecond_precision();
            interfaces.push(Interface {
                link,
                resolution: if nanos { 1_000_000_000 } else { 1_000_000 },
                offset_s: 0,
            });
            Ok(Step::Other)
        }
        PcapBlockOwned::Legacy(block) => {
            let Some(interface) = interfaces.first() else {
                return Ok(Step::Other);
            };
            let ticks = u64::from(block.ts_sec)
                .saturating_mul(interface.resolution)
                .saturating_add(u64::from(block.ts_usec));
            Ok(record(interface, ticks, block.data, counts))
        }
        PcapBlockOwned::NG(block) => Ok(take_ng(block, interfaces, counts)),
    }
}

fn take_ng(block: &Block<'_>, interfaces: &mut Vec<Interface>, counts: &mut Counts) -> Step {
    match block {
        // Interfaces are numbered in each section anew.
        Block::SectionHeader(_) => interfaces.clear(),
        Block::InterfaceDescription(block) if interfaces.len() < INTERFACES_MAX => {
            interfaces.push(Interface {
                link: link_of(block.linktype),
                resolution: block.ts_resolution().unwrap_or(1_000_000),
                offset_s: block.if_tsoffset,
            });
        }
        Block::EnhancedPacket(block) => {
            let bytes = block.data.get(..block.caplen as usize);
            let interface = interfaces.get(block.if_id as usize);
            if let (Some(bytes), Some(interface)) = (bytes, interface) {
                let ticks = u64::from(block.ts_high) << 32 | u64::from(block.ts_low);
                return record(interface, ticks, bytes, counts);
            }
            counts.malformed += 1;
        }
        // A simple packet has no time, without which nothing can be told from it.
        Block::SimplePacket(_) => counts.foreign += 1,
        _ => {}
    }
    Step::Other
}

fn record(interface: &Interface, ticks: u64, bytes: &[u8], counts: &mut Counts) -> Step {
    let Some(link) = interface.link else {
        counts.foreign += 1;
        return Step::Other;
    };
    let micros = u128::from(ticks) * 1_000_000 / u128::from(interface.resolution.max(1));
    let offset_us = i128::from(interface.offset_s) * 1_000_000;
    let at_us = i128::try_from(micros)
        .unwrap_or(i128::MAX)
        .saturating_add(offset_us);
    Step::Record(Record {
        at_us: u64::try_from(at_us.max(0)).unwrap_or(u64::MAX),
        link,
        flags: 0,
        bytes: bytes.to_vec(),
    })
}
