//! A walk over the fields of a Protocol Buffers message.
//!
//! The outer messages of an export are walked field by field instead of decoded whole: a decoder would
//! build a list of whatever length the file makes it, and could not say which key is wrong.

/// A field's value, by its wire type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// One field of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Field<'a> {
    pub(super) number: u32,
    pub(super) value: Value<'a>,
    /// Where it begins in the message.
    pub(super) offset: usize,
}

/// A walk over the fields of a message. It ends after the first fault.
pub(super) struct Fields<'a> {
    rest: &'a [u8],
    len: usize,
}

/// A field that is no field; where it begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct MalformedAt(pub(super) usize);

impl<'a> Fields<'a> {
    pub(super) fn of(message: &'a [u8]) -> Self {
        Self {
            rest: message,
            len: message.len(),
        }
    }

    fn field(&mut self, offset: usize) -> Option<Field<'a>> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(len)?)
            }
            5 => self.array::<4>().map(|_| Value::Fixed32)?,
            // Groups (3 and 4) went out of use before the format came in; 6 and 7 name nothing.
            _ => return None,
        };
        Some(Field {
            number,
            value,
            offset,
        })
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// Seven bits a byte, the lowest first, at most 64 of them.
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, MalformedAt>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let offset = self.len - self.rest.len();
        let field = self.field(offset).ok_or(MalformedAt(offset));
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_of_each_wire_type() {
        let bytes = [
            0x08, 0x96, 0x01, 0x12, 2, 7, 8, 0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x25, 0, 0, 0, 0,
        ];
        let found: Vec<_> = Fields::of(&bytes).map(Result::unwrap).collect();
        let expected = [
            (1, Value::Varint(150), 0),
            (2, Value::Bytes(&[7, 8]), 3),
            (3, Value::Fixed64(1), 7),
            (4, Value::Fixed32, 16),
        ];
        assert_eq!(
            found,
            expected.map(|(number, value, offset)| Field {
                number,
                value,
                offset
            })
        );
    }

    #[test]
    fn malformed_fields() {
        let longest = [&[0x08][..], &[0xFF; 9], &[1]].concat();
        assert_eq!(
            Fields::of(&longest).next().unwrap().unwrap().value,
            Value::Varint(u64::MAX)
        );
        for bytes in [
            &[0x00, 0][..], // field 0
            &[0x0B],        // a group
            &[0x0C],        // a group's end
            &[0x0E],        // wire type 6
            &[0x08],        // no value
            &[0x08, 0x80],  // half a value
            &[0x3A, 2, 1],  // short by one
            &[
                0x3A, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1,
            ], // a length of 2^64 - 1
            &[
                0x08, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2,
            ], // 65 bits
            &[
                0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
            ], // 11 bytes
            &[0x80, 0x80, 0x80, 0x80, 0x80, 1, 0], // field 2^32
            &[0x09, 1, 2, 3, 4, 5, 6, 7],
            &[0x0D, 1, 2, 3],
        ] {
            let mut fields = Fields::of(bytes);
            assert_eq!(fields.next(), Some(Err(MalformedAt(0))), "{bytes:?}");
            assert_eq!(fields.next(), None);
        }
    }

    proptest! {
        #[test]
        fn fields_of_any_bytes(bytes: Vec<u8>) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }
    }
}
