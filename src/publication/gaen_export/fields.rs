//! A walk over the fields of a Protocol Buffers message.
//!
//! The messages of an export are walked field by field instead of decoded whole: a decoder would build
//! a list of whatever length the file makes it, and could not say which key is wrong.

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

/// A field without the bytes that it may announce.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) number: u32,
    pub(super) value: HeadValue,
    /// Bytes it has.
    pub(super) len: usize,
}

/// A head's value, by its wire type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeadValue {
    Varint(u64),
    Fixed64(u64),
    /// So many bytes follow, as the field claims.
    Announced(u64),
    Fixed32,
}

/// The bytes that a head has at most: two varints.
pub(super) const HEAD_BYTES_MAX: usize = 20;

impl Head {
    /// The head that `bytes` begin with; `None` if they begin with none, or end within it.
    #[inline]
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let mut rest = Rest(bytes);
        let key = u32::try_from(rest.varint()?).ok()?;
        let number = Some(key >> 3).filter(|number| *number > 0)?;
        let value = match key & 7 {
            0 => HeadValue::Varint(rest.varint()?),
            1 => HeadValue::Fixed64(u64::from_le_bytes(rest.array()?)),
            2 => HeadValue::Announced(rest.varint()?),
            5 => rest.array::<4>().map(|_| HeadValue::Fixed32)?,
            // Groups (3 and 4) went out of use before the format came in; 6 and 7 name nothing.
            _ => return None,
        };
        Some(Self {
            number,
            value,
            len: bytes.len() - rest.0.len(),
        })
    }
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    #[inline]
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// Seven bits a byte, the lowest first, at most 64 of them.
    #[inline]
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

    #[inline]
    fn field(&mut self, offset: usize) -> Option<Field<'a>> {
        let head = Head::of(self.rest)?;
        let rest = self.rest.get(head.len..)?;
        let (value, rest) = match head.value {
            HeadValue::Varint(number) => (Value::Varint(number), rest),
            HeadValue::Fixed64(number) => (Value::Fixed64(number), rest),
            HeadValue::Fixed32 => (Value::Fixed32, rest),
            HeadValue::Announced(len) => {
                let (taken, rest) = rest.split_at_checked(usize::try_from(len).ok()?)?;
                (Value::Bytes(taken), rest)
            }
        };
        self.rest = rest;
        Some(Field {
            number: head.number,
            value,
            offset,
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, MalformedAt>;

    #[inline]
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
            &[0x80, 0x80, 0x80, 0x80, 0x10, 0], // field 2^29, one past the last
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
