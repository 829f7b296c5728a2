//! Variable-size records as bytes: the only place that names bincode.
//!
//! One configuration, fixed for ever: little-endian, fixed-width integers, a length in eight bytes
//! before every sequence. It has exactly one encoding for each value, and the same bytes are what
//! wincode's default gives, so that bincode can be left behind in this one file.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// No stored record is larger; without a limit, eleven hostile bytes make bincode abort the
/// process. Chosen: over four times the largest record written (a full chunk of sightings).
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 18;

const CONFIG: Configuration<LittleEndian, Fixint, Limit<RECORD_BYTES_MAX>> =
    bincode::config::standard()
        .with_little_endian()
        .with_fixed_int_encoding()
        .with_limit::<RECORD_BYTES_MAX>();

#[derive(Debug, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("the record is malformed: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    #[error("the record cannot be encoded: {0}")]
    Encode(#[from] bincode::error::EncodeError),
    #[error("the record has {len} bytes, more than the {RECORD_BYTES_MAX} allowed")]
    TooLong { len: usize },
    #[error("the record has {len} bytes, of which only {used} were expected")]
    TrailingBytes { len: usize, used: usize },
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    encode_into(Vec::new(), value)
}

/// Encodes behind what `bytes` holds. A secret that is encoded wants room for all of it beforehand: a
/// vector that grows leaves copies behind.
pub(crate) fn encode_into<T: Serialize>(
    mut bytes: Vec<u8>,
    value: &T,
) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_into_std_write(value, &mut bytes, CONFIG)?;
    // bincode's limit acts on reading alone.
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(CodecError::TooLong { len: bytes.len() });
    }
    Ok(bytes)
}

/// Decodes `bytes`, every one of them.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, CONFIG)?;
    if used != bytes.len() {
        return Err(CodecError::TrailingBytes {
            len: bytes.len(),
            used,
        });
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Record {
        number: u32,
        list: Vec<u8>,
        choice: Option<u16>,
    }

    #[test]
    fn bytes_are_pinned() {
        let record = Record {
            number: 0x0102_0304,
            list: vec![9, 8],
            choice: Some(0x0506),
        };
        let golden = [4, 3, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 8, 1, 6, 5];
        assert_eq!(encode(&record).unwrap(), golden);
        assert_eq!(decode::<Record>(&golden).unwrap(), record);
    }

    #[test]
    fn trailing_byte() {
        let error = decode::<u16>(&[1, 0, 0]).unwrap_err();
        assert!(matches!(
            error,
            CodecError::TrailingBytes { len: 3, used: 2 }
        ));
    }

    #[test]
    fn length_beyond_the_limit() {
        let mut bytes = (i64::MAX as u64).to_le_bytes().to_vec();
        bytes.extend([1, 2, 3]);
        assert!(matches!(
            decode::<Vec<u8>>(&bytes),
            Err(CodecError::Decode(_))
        ));
        assert!(matches!(
            encode(&vec![0u8; RECORD_BYTES_MAX]),
            Err(CodecError::TooLong { .. })
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(record) = decode::<Record>(&bytes) {
                prop_assert_eq!(encode(&record).unwrap(), bytes);
            }
        }
    }
}
