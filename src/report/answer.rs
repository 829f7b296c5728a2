//! What an authority answers: always as many bytes, whatever came and whatever became of it.
//!
//! ```
//! use truyvet::report::answer::{ANSWER_BYTES, Answer};
//!
//! let bytes = Answer::Refused("code_expired".to_owned()).to_bytes()?;
//! assert_eq!(bytes.len(), ANSWER_BYTES);
//! assert_eq!(Answer::from_bytes(&bytes)?, Answer::Refused("code_expired".to_owned()));
//! # Ok::<(), truyvet::report::answer::AnswerError>(())
//! ```

use std::fmt;

/// Bytes of every answer. Chosen: the smallest envelope, and a certificate several times over.
pub const ANSWER_BYTES: usize = 1024;

/// What an answer begins with: name and version.
const MAGIC: [u8; 5] = *b"TVAN\x01";

/// Magic (5), kind (1), bytes of what follows (2, little-endian).
const HEADER_BYTES: usize = MAGIC.len() + 3;

/// Characters of a refusal's name. Chosen: no name is half as long.
pub const NAME_CHARS_MAX: usize = 64;

/// What became of a message. A dummy's sender learns nothing, and there is nothing to learn.
#[derive(Clone, Eq, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// Nothing was asked.
    Nothing,
    /// The message is stored.
    Accepted,
    /// A certificate, as its own module encodes it.
    Certificate(Vec<u8>),
    /// The message was refused, for the reason of this name: lower-case letters, digits and `_`.
    Refused(String),
}

/// Not the certificate, which says a diagnosis.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Accepted => f.write_str("Accepted"),
            Self::Certificate(bytes) => write!(f, "Certificate({} bytes)", bytes.len()),
            Self::Refused(name) => f.debug_tuple("Refused").field(name).finish(),
        }
    }
}

/// Bytes that are no answer, or an answer that does not fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// Of another length.
    #[error("expected an answer of {ANSWER_BYTES} bytes, got {got}")]
    Length {
        /// Bytes there are.
        got: usize,
    },
    /// It does not begin as an answer of a version known here does.
    #[error("no answer of a version known here")]
    Version,
    /// Its length, its padding, or what it holds, is none that an authority writes.
    #[error("a malformed answer")]
    Malformed,
    /// A certificate or a name that does not fit.
    #[error("expected at most {max} bytes in an answer, got {got}")]
    TooLong {
        /// Bytes there are.
        got: usize,
        /// Bytes that fit.
        max: usize,
    },
}

impl Answer {
    /// The answer as it is sent.
    ///
    /// # Errors
    ///
    /// [`AnswerError::TooLong`], and [`AnswerError::Malformed`] for a name of other characters.
    pub fn to_bytes(&self) -> Result<[u8; ANSWER_BYTES], AnswerError> {
        let (kind, content): (u8, &[u8]) = match self {
            Self::Nothing => (0, &[]),
            Self::Accepted => (1, &[]),
            Self::Certificate(certificate) => (2, certificate),
            Self::Refused(name) if is_name(name) => (3, name.as_bytes()),
            Self::Refused(_) => return Err(AnswerError::Malformed),
        };
        let too_long = AnswerError::TooLong {
            got: content.len(),
            max: ANSWER_BYTES - HEADER_BYTES,
        };
        let len = u16::try_from(content.len()).map_err(|_| too_long)?;
        let mut bytes = [0; ANSWER_BYTES];
        let parts = [&MAGIC, &[kind][..], &len.to_le_bytes(), content].concat();
        bytes
            .get_mut(..parts.len())
            .ok_or(too_long)?
            .copy_from_slice(&parts);
        Ok(bytes)
    }

    /// The answer in `bytes`.
    ///
    /// # Errors
    ///
    /// [`AnswerError`]: every byte is looked at, and an answer has one form alone.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AnswerError> {
        if bytes.len() != ANSWER_BYTES {
            return Err(AnswerError::Length { got: bytes.len() });
        }
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(AnswerError::Malformed)?;
        let [magic @ .., kind, low, high] = header;
        if *magic != MAGIC {
            return Err(AnswerError::Version);
        }
        let len = usize::from(u16::from_le_bytes([*low, *high]));
        let (content, padding) = rest.split_at_checked(len).ok_or(AnswerError::Malformed)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(AnswerError::Malformed);
        }
        match (kind, content) {
            (0, []) => Ok(Self::Nothing),
            (1, []) => Ok(Self::Accepted),
            (2, certificate) => Ok(Self::Certificate(certificate.to_vec())),
            (3, name) => {
                let name = str::from_utf8(name).map_err(|_| AnswerError::Malformed)?;
                if !is_name(name) {
                    return Err(AnswerError::Malformed);
                }
                Ok(Self::Refused(name.to_owned()))
            }
            _ => Err(AnswerError::Malformed),
        }
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn each() -> [Answer; 5] {
        [
            Answer::Nothing,
            Answer::Accepted,
            Answer::Certificate(vec![7; 300]),
            Answer::Certificate(vec![7; ANSWER_BYTES - HEADER_BYTES]),
            Answer::Refused("certificate_replayed".to_owned()),
        ]
    }

    #[test]
    fn what_was_answered_is_read() {
        for answer in each() {
            let bytes = answer.to_bytes().unwrap();
            assert_eq!(Answer::from_bytes(&bytes).unwrap(), answer);
        }
    }

    #[test]
    fn any_other_byte_is_refused_or_another_answer() {
        for answer in each() {
            let bytes = answer.to_bytes().unwrap();
            for at in 0..bytes.len() {
                let mut changed = bytes;
                changed[at] ^= 0x20;
                assert_ne!(Answer::from_bytes(&changed).ok().as_ref(), Some(&answer));
            }
        }
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let bytes = Answer::Nothing.to_bytes().unwrap();
        assert_eq!(
            Answer::from_bytes(&bytes[1..]),
            Err(AnswerError::Length { got: 1023 })
        );
        let changed = |at: usize, byte: u8| {
            let mut bytes = bytes;
            bytes[at] = byte;
            Answer::from_bytes(&bytes)
        };
        assert_eq!(changed(4, 2), Err(AnswerError::Version));
        assert_eq!(changed(5, 9), Err(AnswerError::Malformed));
        assert_eq!(changed(6, 1), Err(AnswerError::Malformed));
        assert_eq!(changed(7, 0xff), Err(AnswerError::Malformed));
        assert_eq!(changed(1023, 1), Err(AnswerError::Malformed));
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let long = Answer::Certificate(vec![0; ANSWER_BYTES - HEADER_BYTES + 1]);
        assert!(matches!(long.to_bytes(), Err(AnswerError::TooLong { .. })));
        for name in ["", "Name", "a b", &"a".repeat(65)] {
            let answer = Answer::Refused(name.to_owned());
            assert_eq!(answer.to_bytes(), Err(AnswerError::Malformed));
        }
    }
}
