//! Deflate (RFC 1951): inflating as bytes come in, in memory that no file chooses.

use std::io::{self, Read};

use zlib_rs::{Deflate, DeflateFlush, InflateFlush, Status};

/// The largest window there is (RFC 1951, 2): 2^15 bytes.
const WINDOW_BITS: u8 = 15;

/// Compressed bytes that are read at once. Chosen: few calls, little memory.
const INPUT_BYTES: usize = 32 * 1024;

/// A deflate stream (RFC 1951) without a wrapper, on its way out of `input`.
pub(super) struct Inflate<T> {
    input: T,
    buffer: Box<[u8]>,
    /// What of the buffer has been read and not inflated.
    start: usize,
    end: usize,
    state: zlib_rs::Inflate,
    ended: bool,
}

/// Why there is no more.
#[derive(Debug)]
pub(super) enum InflateFault {
    /// It is no deflate stream, or ends within.
    Corrupted,
    /// The input could not be read.
    Io(io::Error),
}

impl From<io::Error> for InflateFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<T: Read> Inflate<T> {
    pub(super) fn new(input: T) -> Self {
        Self {
            input,
            buffer: vec![0; INPUT_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            state: zlib_rs::Inflate::new(false, WINDOW_BITS),
            ended: false,
        }
    }

    /// Some of the bytes that come next; none if that was all, or `into` takes none.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, InflateFault> {
        while !self.ended && !into.is_empty() {
            if self.start == self.end {
                self.start = 0;
                // None may be left and the last of them still be on their way out.
                self.end = self.input.read(&mut self.buffer)?;
            }
            let input = self.buffer.get(self.start..self.end).unwrap_or_default();
            let (taken, given) = (self.state.total_in(), self.state.total_out());
            let status = self
                .state
                .decompress(input, into, InflateFlush::NoFlush)
                .map_err(|_| InflateFault::Corrupted)?;
            let taken = (self.state.total_in() - taken) as usize;
            let given = (self.state.total_out() - given) as usize;
            self.start += taken;
            self.ended = status == Status::StreamEnd;
            if given > 0 {
                return Ok(given);
            }
            if taken == 0 && !self.ended {
                return Err(InflateFault::Corrupted);
            }
        }
        Ok(0)
    }
}

/// `bytes` deflated, at zlib's usual level: keys are random, so higher ones gain nothing. `None` if
/// there is no memory.
pub(super) fn deflated(bytes: &[u8]) -> Option<Vec<u8>> {
    const LEVEL: i32 = 6;
    // What deflate cannot shorten it stores, at five bytes a block (RFC 1951, 3.2.4).
    let longest = bytes.len() + bytes.len() / 1000 + 64;
    let mut out = vec![0; longest];
    let mut state = Deflate::new(LEVEL, false, WINDOW_BITS);
    let status = state.compress(bytes, &mut out, DeflateFlush::Finish).ok()?;
    out.truncate(usize::try_from(state.total_out()).ok()?);
    (status == Status::StreamEnd).then_some(out)
}

impl<T> std::fmt::Debug for Inflate<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflate").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inflated(data: &[u8], piece: usize) -> Option<Vec<u8>> {
        let mut inflate = Inflate::new(data);
        let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
        loop {
            match inflate.read(&mut buffer).ok()? {
                0 => return Some(all),
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    }

    #[test]
    fn cut_streams_are_corrupted() {
        let data = deflated(&b"some text, some text".repeat(9)).unwrap();
        assert!(inflated(&data, 7).is_some());
        for end in 0..data.len() {
            assert_eq!(inflated(&data[..end], 7), None, "{end}");
        }
    }

    /// A stored block whose length and its complement disagree (RFC 1951, 3.2.4), and the reserved
    /// block type.
    #[test]
    fn what_is_no_deflate_is_corrupted() {
        assert_eq!(inflated(&[0, 0, 0, 0, 0], 7), None);
        assert_eq!(inflated(&[7, 0, 0], 7), None);
    }

    proptest! {
        #[test]
        fn deflated_bytes_survive(bytes: Vec<u8>, repeated in 1..2000usize, piece in 1..5000usize) {
            let long: Vec<u8> = bytes.iter().copied().cycle().take(bytes.len() * repeated).collect();
            for bytes in [bytes, long] {
                let data = deflated(&bytes).unwrap();
                prop_assert_eq!(inflated(&data, piece), Some(bytes));
            }
        }

        #[test]
        fn any_bytes(bytes: Vec<u8>, piece in 1..100usize) {
            let mut inflate = Inflate::new(&bytes[..]);
            let mut buffer = vec![0; piece];
            for _ in 0..1000 {
                if !matches!(inflate.read(&mut buffer), Ok(1..)) {
                    break;
                }
            }
        }
    }
}
