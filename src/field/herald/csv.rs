//! Lines of fields, with bounds: what a file holds decides neither how much memory is taken nor whether it ends.

use std::io::Read;

use csv_core::ReadRecordResult;

use super::HeraldError;

/// Bytes of a line at most, without its commas. Chosen: forty times the longest of the lines that were published.
pub const RECORD_BYTES_MAX: usize = 4_096;

/// Fields of a line at most: a test of sixty devices has as many in its `detection.csv`. Chosen.
pub const FIELDS_MAX: usize = 64;

/// What is read at a time.
const CHUNK_BYTES: usize = 65_536;

/// Splits a file.
pub(super) struct Records<R> {
    from: R,
    splitter: csv_core::Reader,
    chunk: Box<[u8]>,
    /// What of the chunk has not been split yet.
    rest: std::ops::Range<usize>,
    fields: Box<[u8]>,
    /// One more than there may be, as the splitter may want room left when a line ends; so have the fields.
    ends: [usize; FIELDS_MAX + 1],
    /// How much of both the line takes that was read last.
    written: usize,
    ended: usize,
    line: u64,
}

/// One line.
pub(super) struct Record<'a> {
    fields: &'a [u8],
    ends: &'a [usize],
}

impl<'a> Record<'a> {
    /// The field `index`; nothing if it is not there, or no UTF-8.
    pub(super) fn field(&self, index: usize) -> Option<&'a str> {
        let end = *self.ends.get(index)?;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        std::str::from_utf8(self.fields.get(start..end)?).ok()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = Option<&'a str>> {
        (0..self.len()).map(|index| self.field(index))
    }
}

impl<R: Read> Records<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            splitter: csv_core::Reader::new(),
            chunk: vec![0; CHUNK_BYTES].into(),
            rest: 0..0,
            fields: vec![0; RECORD_BYTES_MAX + 1].into(),
            ends: [0; FIELDS_MAX + 1],
            written: 0,
            ended: 0,
            line: 0,
        }
    }

    /// Goes on to the next line that is not empty; `false` if there is none.
    pub(super) fn advance(&mut self) -> Result<bool, HeraldError> {
        let (mut written, mut ended) = (0, 0);
        loop {
            if self.rest.is_empty() {
                self.rest = 0..self.from.read(&mut self.chunk)?;
            }
            let input = self.chunk.get(self.rest.clone()).unwrap_or_default();
            let fields = self.fields.get_mut(written..).unwrap_or_default();
            let ends = self.ends.get_mut(ended..).unwrap_or_default();
            let (result, read, wrote, ends) = self.splitter.read_record(input, fields, ends);
            self.rest.start += read;
            written += wrote;
            ended += ends;
            let too_long = HeraldError::TooLong {
                line: self.line + 1,
            };
            match result {
                _ if written > RECORD_BYTES_MAX || ended > FIELDS_MAX => return Err(too_long),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err(too_long);
                }
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return Ok(false),
            }
        }
        self.line += 1;
        (self.written, self.ended) = (written, ended);
        Ok(true)
    }

    /// The line that was read last.
    pub(super) fn record(&self) -> Record<'_> {
        Record {
            fields: self.fields.get(..self.written).unwrap_or_default(),
            ends: self.ends.get(..self.ended).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<Vec<String>> {
        let mut records = Records::new(text.as_bytes());
        let mut all = Vec::new();
        while records.advance().unwrap() {
            let record = records.record();
            all.push(record.iter().map(|it| it.unwrap().to_owned()).collect());
        }
        all
    }

    #[test]
    fn quoted_fields_hold_commas_and_quotes() {
        assert_eq!(
            split("a,\"b,\"\"c\"\"\",\r\n\n,d"),
            [vec!["a", "b,\"c\"", ""], vec!["", "d"]]
        );
    }

    #[test]
    fn lines_at_the_bounds() {
        let widest = vec!["x"; FIELDS_MAX].join(",");
        assert_eq!(split(&widest)[0].len(), FIELDS_MAX);
        let longest = "y".repeat(RECORD_BYTES_MAX);
        assert_eq!(split(&format!("{longest}\nz")).len(), 2);
        for text in [
            format!("a\n{widest},x\n"),
            format!("a\n{longest}y\n"),
            format!("a\n\"{}", "\n".repeat(RECORD_BYTES_MAX + 1)),
        ] {
            let mut records = Records::new(text.as_bytes());
            assert!(records.advance().is_ok());
            let error = records.advance().err().unwrap().to_string();
            assert!(
                error.starts_with("line 2: expected at most 4096"),
                "{error}"
            );
        }
    }
}
