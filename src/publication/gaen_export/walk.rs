//! The fields of `export.bin` as its bytes come by, in memory that no file chooses.

use super::error::malformed;
use super::fields::{Field, HEAD_BYTES_MAX, Head, HeadValue, Value};
use super::{BIN, ExportError, FIELD_BYTES_MAX, HEADER, proto};

/// Where the bytes come from, in their order.
pub(super) trait Source {
    /// Fills some of `into`, of which there is some; none only at the end.
    fn fill(&mut self, into: &mut [u8]) -> Result<usize, ExportError>;
}

impl Source for &[u8] {
    fn fill(&mut self, into: &mut [u8]) -> Result<usize, ExportError> {
        let len = self.len().min(into.len());
        if let (Some((now, later)), Some(to)) = (self.split_at_checked(len), into.get_mut(..len)) {
            to.copy_from_slice(now);
            *self = later;
        }
        Ok(len)
    }
}

/// The bytes that are held at once. Chosen: the longest field and then some, so that what is left of a
/// field at the end is seldom moved.
const WINDOW_BYTES: usize = 8 * FIELD_BYTES_MAX;

/// A walk over the fields of an `export.bin`.
pub(super) struct Walk<S> {
    source: S,
    window: Box<[u8]>,
    /// What of the window has been read and not walked over.
    start: usize,
    end: usize,
    /// Where in the file the window's `start` is: someone with a hex editor looks there.
    position: usize,
    ended: bool,
}

impl<S: Source> Walk<S> {
    /// A walk that begins behind the [`HEADER`], which must be there.
    pub(super) fn new(source: S) -> Result<Self, ExportError> {
        let mut walk = Self {
            source,
            window: vec![0; WINDOW_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            position: 0,
            ended: false,
        };
        walk.ensure(HEADER.len())?;
        if !walk.available().starts_with(HEADER) {
            return Err(ExportError::Header);
        }
        walk.advance(HEADER.len());
        Ok(walk)
    }

    fn available(&self) -> &[u8] {
        self.window.get(self.start..self.end).unwrap_or_default()
    }

    fn advance(&mut self, len: usize) {
        self.start += len;
        self.position += len;
    }

    /// Sees to it that `wanted` bytes, no more than the window, are there, unless the file ends
    /// before; how many are.
    #[inline]
    fn ensure(&mut self, wanted: usize) -> Result<usize, ExportError> {
        while self.end - self.start < wanted && !self.ended {
            self.window.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            let room = self.window.get_mut(self.end..).unwrap_or_default();
            let read = self.source.fill(room)?;
            self.end += read;
            self.ended = read == 0;
        }
        Ok(self.end - self.start)
    }

    /// The next field; `None` at the end. Of fields that nobody reads, those with bytes are passed
    /// over, however long.
    pub(super) fn next_field(&mut self) -> Result<Option<Field<'_>>, ExportError> {
        loop {
            if self.ensure(HEAD_BYTES_MAX)? == 0 {
                return Ok(None);
            }
            let offset = self.position;
            let head = Head::of(self.available()).ok_or_else(|| malformed(BIN, offset))?;
            let number = head.number;
            let value = match head.value {
                HeadValue::Varint(value) => Value::Varint(value),
                HeadValue::Fixed64(value) => Value::Fixed64(value),
                HeadValue::Fixed32 => Value::Fixed32,
                HeadValue::Announced(len) if is_read(number) => {
                    return self.contents(head, len).map(Some);
                }
                HeadValue::Announced(len) => {
                    self.advance(head.len);
                    self.skip(len, offset)?;
                    continue;
                }
            };
            self.advance(head.len);
            return Ok(Some(Field {
                number,
                value,
                offset,
            }));
        }
    }

    /// The field of `head`, with its `len` bytes.
    #[inline]
    fn contents(&mut self, head: Head, len: u64) -> Result<Field<'_>, ExportError> {
        let offset = self.position;
        let bytes = usize::try_from(len).unwrap_or(usize::MAX);
        if bytes > FIELD_BYTES_MAX {
            return Err(ExportError::FieldTooLong { offset, len });
        }
        let whole = head.len + bytes;
        if self.ensure(whole)? < whole {
            return Err(malformed(BIN, offset));
        }
        let from = self.start + head.len;
        self.advance(whole);
        let bytes = self.window.get(from..self.start).unwrap_or_default();
        Ok(Field {
            number: head.number,
            value: Value::Bytes(bytes),
            offset,
        })
    }

    /// Passes over `len` bytes of the field at `offset`.
    fn skip(&mut self, mut len: u64, offset: usize) -> Result<(), ExportError> {
        while len > 0 {
            let here = match self.ensure(1)? {
                0 => return Err(malformed(BIN, offset)),
                here => (here as u64).min(len),
            };
            self.advance(here as usize);
            len -= here;
        }
        Ok(())
    }
}

/// Whether anybody looks at the bytes of field `number`. `signature_infos` says only which signatures to
/// expect; `export.sig` has them.
fn is_read(number: u32) -> bool {
    matches!(
        number,
        proto::START_TIMESTAMP..=proto::BATCH_SIZE | proto::KEYS | proto::REVISED_KEYS
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::{Fields, MalformedAt};
    use super::*;

    /// Gives so many bytes at once, as a file on a slow disk may.
    struct Drops<'a>(&'a [u8], usize);

    impl Source for Drops<'_> {
        fn fill(&mut self, into: &mut [u8]) -> Result<usize, ExportError> {
            let len = self.1.min(into.len());
            self.0.fill(&mut into[..len])
        }
    }

    fn walked(bytes: &[u8], drop: usize) -> Result<Vec<(u32, String, usize)>, ExportError> {
        let bytes = [HEADER.as_slice(), bytes].concat();
        let mut walk = Walk::new(Drops(&bytes, drop))?;
        let mut found = Vec::new();
        while let Some(field) = walk.next_field()? {
            found.push((
                field.number,
                format!("{:?}", field.value),
                field.offset - 16,
            ));
        }
        Ok(found)
    }

    #[test]
    fn fields_longer_than_the_window() {
        let head = [0x32, 0x80, 0x80, 0x80, 0x02];
        let unread = [&head[..], &vec![7; 4 << 20], &[0x20, 1]].concat();
        let expected = vec![(4, String::from("Varint(1)"), head.len() + (4 << 20))];
        assert_eq!(walked(&unread, 100_000), Ok(expected));
        let cut = &unread[..unread.len() - 3];
        let error = ExportError::Malformed {
            name: BIN,
            offset: 16,
        };
        assert_eq!(walked(cut, 100_000), Err(error));
        let read = [&[0x1A], &unread[1..]].concat();
        let error = ExportError::FieldTooLong {
            offset: 16,
            len: 4 << 20,
        };
        assert_eq!(walked(&read, 100_000), Err(error));
        let longest = [&[0x1A, 0x80, 0x80, 0x01][..], &vec![7; FIELD_BYTES_MAX]].concat();
        assert_eq!(walked(&longest, 1000).unwrap().len(), 1);
    }

    proptest! {
        /// However the bytes drop in, the fields are those of the message, up to the same fault.
        #[test]
        fn as_the_whole_message(
            fields in prop::collection::vec((0u8..9, prop::collection::vec(any::<u8>(), 0..20)), 0..60),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..2),
            drop in 1..70usize,
        ) {
            let mut bytes: Vec<u8> = Vec::new();
            for (number, contents) in fields {
                bytes.extend([number << 3 | 2, contents.len() as u8]);
                bytes.extend(contents);
            }
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    *at.get_mut(&mut bytes) = byte;
                }
            }
            let mut expected = Vec::new();
            let mut fault = None;
            for field in Fields::of(&bytes) {
                match field {
                    Ok(field) if is_read(field.number) || !matches!(field.value, Value::Bytes(_)) => {
                        expected.push((field.number, format!("{:?}", field.value), field.offset));
                    }
                    Ok(_) => {}
                    Err(MalformedAt(offset)) => fault = Some(offset + 16),
                }
            }
            match (walked(&bytes, drop), fault) {
                (Ok(found), None) => prop_assert_eq!(found, expected),
                (Err(ExportError::Malformed { offset, .. }), Some(at)) => prop_assert_eq!(offset, at),
                (Err(ExportError::FieldTooLong { offset, .. }), Some(at)) => {
                    prop_assert_eq!(offset, at);
                }
                (found, fault) => prop_assert!(false, "{found:?} {fault:?}"),
            }
        }
    }
}
