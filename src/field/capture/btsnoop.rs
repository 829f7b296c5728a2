//! btsnoop (Symbian's format, as BlueZ's `src/shared/btsnoop.h` and Android's HCI log have it): a header of 16 bytes, then
//! records of 24 bytes and a packet. Everything is big-endian.

use std::io::{self, Read};

use super::{CaptureError, Counts, Link, RECORD_BYTES_MAX, Record, Records};

/// How every such file begins.
pub(super) const MAGIC: &[u8] = b"btsnoop\0";

const HEADER_BYTES: u64 = 16;
const RECORD_HEADER_BYTES: usize = 24;

/// The year 1970 in the format's time, µs since the year 0.
const EPOCH_US: u64 = 0x00DC_DDB3_0F2F_8000;

pub(super) struct File<R> {
    file: R,
    link: Link,
    offset: u64,
}

impl<R: Read> File<R> {
    pub(super) fn open(mut file: R) -> Result<Self, CaptureError> {
        let mut header = [0; HEADER_BYTES as usize];
        let got = fill(&mut file, &mut header)?;
        if got < header.len() {
            return Err(CaptureError::Malformed {
                format: "btsnoop",
                offset: 0,
                why: format!("the header has {HEADER_BYTES} bytes, {got} are there"),
            });
        }
        let [_, _, _, _, _, _, _, _, version @ .., _, _, _, _] = header;
        let [_, _, _, _, _, _, _, _, _, _, _, _, link @ ..] = header;
        let (version, link) = (u32::from_be_bytes(version), u32::from_be_bytes(link));
        if version != 1 {
            return Err(CaptureError::Version { got: version });
        }
        let link = match link {
            1001 => Link::Hci,
            1002 => Link::H4,
            2001 => Link::Monitor,
            got => {
                return Err(CaptureError::LinkType {
                    format: "btsnoop",
                    expected: "1001, 1002, 2001",
                    got,
                });
            }
        };
        Ok(Self {
            file,
            link,
            offset: HEADER_BYTES,
        })
    }

    fn cut(&self, expected: usize, got: usize) -> CaptureError {
        CaptureError::Cut {
            offset: self.offset,
            expected: expected as u64,
            got: got as u64,
        }
    }
}

impl<R: Read> Records for File<R> {
    fn next(&mut self, _: &mut Counts) -> Result<Option<Record>, CaptureError> {
        let mut header = [0; RECORD_HEADER_BYTES];
        match fill(&mut self.file, &mut header)? {
            0 => return Ok(None),
            RECORD_HEADER_BYTES => {}
            got => return Err(self.cut(RECORD_HEADER_BYTES, got)),
        }
        self.offset += RECORD_HEADER_BYTES as u64;
        let number = |at: usize| {
            let bytes = header.get(at..).and_then(|rest| rest.first_chunk());
            bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
        };
        let (len, flags) = (number(4) as usize, number(8));
        if len > RECORD_BYTES_MAX {
            return Err(CaptureError::RecordTooLong {
                offset: self.offset,
                len: len as u64,
            });
        }
        let mut bytes = vec![0; len];
        let got = fill(&mut self.file, &mut bytes)?;
        if got < len {
            return Err(self.cut(len, got));
        }
        self.offset += len as u64;
        let micros = u64::from(number(16)) << 32 | u64::from(number(20));
        Ok(Some(Record {
            at_us: micros.saturating_sub(EPOCH_US),
            link: self.link,
            flags,
            bytes,
        }))
    }
}

/// Reads until `buffer` is full or the file ends, and tells how much that was.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while let Some(rest) = buffer.get_mut(got..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => got += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}
