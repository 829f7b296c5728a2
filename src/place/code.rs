//! The signed text of a place's QR code: building, parsing, verifying.

use std::fmt;
use std::ops::Range;

use data_encoding::BASE32_NOPAD;

use super::personal::Disclosures;
use super::{PLACE_ID_BYTES, Place, PlaceId, PlaceSigner, is_plain};
use crate::publication::signature::{
    COMPACT_SIGNATURE_BYTES, COMPRESSED_POINT_BYTES, KeyError, SigningKey, VerificationKey,
};
use crate::time::Timestamp;

/// Bytes of a place's name in UTF-8. Chosen: what fits a poster in large type; a code stays within version
/// 10 of QR at level M.
pub const NAME_BYTES_MAX: usize = 80;

/// Characters of a code: the prefix, and base32 of the longest body, an owner's.
pub const CODE_CHARS_MAX: usize = SCHEME.len() + (OWNER_BYTES + NAME_BYTES_MAX) * 8 / 5 + 1;

/// Bytes of a scanned text that are looked at: all that a QR code can hold (version 40, level L).
pub const SCANNED_BYTES_MAX: usize = 2_953;

/// Truy vết place, version 1. All of a code is in QR's alphanumeric mode.
pub(super) const SCHEME: &str = "TVP1:";

/// What every version's scheme begins with.
const FAMILY: &str = "TVP";

/// What is signed begins with this, so that no signature for another purpose is one of a code.
pub(super) const DOMAIN: &[u8] = b"truyvet place code v1";

/// Kinds of signer, the body's first byte.
const AUTHORITY: u8 = 1;
const OWNER: u8 = 2;

/// Bytes of a key's fingerprint.
const FINGERPRINT_BYTES: usize = 4;

/// Kind, from, until, the name's length, signature.
const COMMON_BYTES: usize = 1 + 4 + 4 + 1 + COMPACT_SIGNATURE_BYTES;

/// Bytes of an owner's body but for the name.
const OWNER_BYTES: usize = COMMON_BYTES + COMPRESSED_POINT_BYTES;

/// A text that is no place's code, or one that may not be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceCodeError {
    /// Something else, such as a web address.
    #[error("expected the code of a place, which begins with {SCHEME}")]
    NotAPlaceCode,
    /// A person's own code. It is not kept.
    #[error(
        "expected the code of a place, got a person's, which would disclose: {0}; nothing of it was kept"
    )]
    Personal(Disclosures),
    /// A code of a version that is not known here.
    #[error("expected a place code of version 1, got another")]
    UnknownVersion,
    /// More than any code has.
    #[error("expected at most {CODE_CHARS_MAX} characters, got {len}")]
    TooLong {
        /// Bytes it has.
        len: usize,
    },
    /// A character that is not base32.
    #[error("expected base32 (A to Z, 2 to 7), got something else at character {position}")]
    NotBase32 {
        /// Where, from 0.
        position: usize,
    },
    /// The end is missing.
    #[error("expected more of the code: it is cut off after {got} bytes")]
    Truncated {
        /// Bytes there are of the body.
        got: usize,
    },
    /// Something follows the code.
    #[error("expected a code of {expected} bytes, got {got}")]
    TrailingBytes {
        /// Bytes by what it says.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// A kind of signer that version 1 does not have.
    #[error("expected an authority's (1) or an owner's (2) code, got {kind}")]
    UnknownSigner {
        /// What stands there.
        kind: u8,
    },
    /// A name with more than [`NAME_BYTES_MAX`] bytes.
    #[error("expected a name of at most {NAME_BYTES_MAX} bytes, got {len}")]
    NameTooLong {
        /// Bytes it has.
        len: usize,
    },
    /// No name, or one that is not to be shown: not UTF-8, or with control characters or unseen ones.
    #[error("expected a name of visible characters")]
    NameNotPlain,
    /// A validity that ends before it begins, or outside of 1970 to 2106.
    #[error("expected a validity whose end is after its start, from 1970 to 2106")]
    InvalidValidity,
    /// What should be the owner's key, or one that cannot sign.
    #[error("the key cannot be used: {0}")]
    Key(KeyError),
    /// An authority's code, and no authority that is trusted.
    #[error("expected a code of a trusted authority, got one signed with another key")]
    WrongSigner,
    /// The code was changed, or never signed by this key.
    #[error("the code's signature does not hold")]
    SignatureInvalid,
    /// Scanned before its time.
    #[error("the code is valid from {from}, and it is {now}")]
    NotYetValid {
        /// When it begins to be.
        from: Timestamp,
        /// When it was scanned.
        now: Timestamp,
    },
    /// Scanned after its time.
    #[error("the code was valid until {until}, and it is {now}")]
    Expired {
        /// When it ended.
        until: Timestamp,
        /// When it was scanned.
        now: Timestamp,
    },
}

/// The code of a place, as it stands in the QR code: well-formed, and not verified yet.
///
/// ```
/// use truyvet::place::PlaceCode;
/// use truyvet::publication::signature::SigningKey;
/// use truyvet::time::Timestamp;
///
/// let key = SigningKey::generate()?; // the owner's, kept for as long as the place has its id
/// let opened = Timestamp::from_unix_seconds(1_596_880_800);
/// let year = opened..Timestamp::from_unix_seconds(1_628_416_800);
/// let code = PlaceCode::sign_as_owner("Phở Thìn", year, &key)?;
/// let scanned = code.to_string();
/// assert!(scanned.starts_with("TVP1:"));
///
/// let place = PlaceCode::parse(&scanned)?.verify(&[], opened)?;
/// assert_eq!(place.name(), "Phở Thìn");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct PlaceCode {
    body: Body,
    signature: [u8; COMPACT_SIGNATURE_BYTES],
}

/// What is signed.
#[derive(Clone, Eq, PartialEq)]
struct Body {
    signer: Signer,
    from_s: u32,
    until_s: u32,
    name: String,
}

#[derive(Clone, Eq, PartialEq)]
enum Signer {
    Authority {
        fingerprint: [u8; FINGERPRINT_BYTES],
        place: PlaceId,
    },
    Owner(VerificationKey),
}

impl fmt::Debug for PlaceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlaceCode(..)")
    }
}

impl PlaceCode {
    /// A code that an authority signs for the place `id`. `valid` is taken to whole seconds.
    ///
    /// # Errors
    ///
    /// [`PlaceCodeError::NameTooLong`], [`PlaceCodeError::NameNotPlain`],
    /// [`PlaceCodeError::InvalidValidity`], [`PlaceCodeError::Key`].
    pub fn sign_as_authority(
        id: PlaceId,
        name: &str,
        valid: Range<Timestamp>,
        key: &SigningKey,
    ) -> Result<Self, PlaceCodeError> {
        let signer = Signer::Authority {
            fingerprint: key.verification_key().fingerprint(),
            place: id,
        };
        Self::sign(signer, name, valid, key)
    }

    /// A code that the place's owner signs. The place's id is the hash of the key: a new key is a new place.
    ///
    /// # Errors
    ///
    /// As [`sign_as_authority`](Self::sign_as_authority).
    pub fn sign_as_owner(
        name: &str,
        valid: Range<Timestamp>,
        key: &SigningKey,
    ) -> Result<Self, PlaceCodeError> {
        // The key's own name is not in the code.
        let point = key.verification_key().to_compressed_point();
        let public = VerificationKey::from_compressed_point(&point).map_err(PlaceCodeError::Key)?;
        Self::sign(Signer::Owner(public), name, valid, key)
    }

    fn sign(
        signer: Signer,
        name: &str,
        valid: Range<Timestamp>,
        key: &SigningKey,
    ) -> Result<Self, PlaceCodeError> {
        let seconds = |time: Timestamp| {
            u32::try_from(time.unix_seconds()).map_err(|_| PlaceCodeError::InvalidValidity)
        };
        let body = Body {
            signer,
            from_s: seconds(valid.start)?,
            until_s: seconds(valid.end)?,
            name: name.to_owned(),
        };
        body.check()?;
        let signature = key
            .sign_compact(&[DOMAIN, &body.bytes()].concat())
            .map_err(PlaceCodeError::Key)?;
        Ok(Self { body, signature })
    }

    /// Reads what was scanned.
    ///
    /// # Errors
    ///
    /// [`PlaceCodeError`]: [`Personal`](PlaceCodeError::Personal) if it is a person's code, else what does not fit.
    pub fn parse(scanned: &str) -> Result<Self, PlaceCodeError> {
        let too_long = PlaceCodeError::TooLong { len: scanned.len() };
        if scanned.len() > SCANNED_BYTES_MAX {
            return Err(too_long);
        }
        let Some(base32) = scanned.strip_prefix(SCHEME) else {
            return Err(not_of_this_scheme(scanned));
        };
        if scanned.len() > CODE_CHARS_MAX {
            return Err(too_long);
        }
        Self::from_bytes(&decode(base32)?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, PlaceCodeError> {
        let cut = PlaceCodeError::Truncated { got: bytes.len() };
        let (signer, rest) = match bytes.split_first().ok_or(cut.clone())? {
            (&AUTHORITY, rest) => {
                let (fingerprint, rest) = rest
                    .split_first_chunk::<FINGERPRINT_BYTES>()
                    .ok_or(cut.clone())?;
                let (place, rest) = rest
                    .split_first_chunk::<PLACE_ID_BYTES>()
                    .ok_or(cut.clone())?;
                let place = PlaceId::from_bytes(*place);
                let fingerprint = *fingerprint;
                (Signer::Authority { fingerprint, place }, rest)
            }
            (&OWNER, rest) => {
                let (point, rest) = rest
                    .split_first_chunk::<COMPRESSED_POINT_BYTES>()
                    .ok_or(cut.clone())?;
                let key = VerificationKey::from_compressed_point(point);
                (Signer::Owner(key.map_err(PlaceCodeError::Key)?), rest)
            }
            (&kind, _) => return Err(PlaceCodeError::UnknownSigner { kind }),
        };
        let (from_s, rest) = rest.split_first_chunk().ok_or(cut.clone())?;
        let (until_s, rest) = rest.split_first_chunk().ok_or(cut.clone())?;
        let (name_len, rest) = rest.split_first().ok_or(cut.clone())?;
        let len = usize::from(*name_len);
        if len > NAME_BYTES_MAX {
            return Err(PlaceCodeError::NameTooLong { len });
        }
        let (name, rest) = rest.split_at_checked(len).ok_or(cut.clone())?;
        let (signature, after) = rest.split_first_chunk().ok_or(cut)?;
        if !after.is_empty() {
            return Err(PlaceCodeError::TrailingBytes {
                expected: bytes.len() - after.len(),
                got: bytes.len(),
            });
        }
        let name = std::str::from_utf8(name).map_err(|_| PlaceCodeError::NameNotPlain)?;
        let body = Body {
            signer,
            from_s: u32::from_be_bytes(*from_s),
            until_s: u32::from_be_bytes(*until_s),
            name: name.to_owned(),
        };
        body.check()?;
        Ok(Self {
            body,
            signature: *signature,
        })
    }

    /// The place, if the code holds at `now`: signed by its owner's own key, or by one of the authorities
    /// `trusted`.
    ///
    /// # Errors
    ///
    /// [`PlaceCodeError::WrongSigner`], [`PlaceCodeError::SignatureInvalid`], and only of a code whose
    /// signature holds [`PlaceCodeError::NotYetValid`] or [`PlaceCodeError::Expired`].
    pub fn verify(
        &self,
        trusted: &[VerificationKey],
        now: Timestamp,
    ) -> Result<Place, PlaceCodeError> {
        let bytes = self.body.bytes();
        let holds = |key: &VerificationKey| key.verify_compact(&[DOMAIN, &bytes], &self.signature);
        let (id, signer, verified) = match &self.body.signer {
            Signer::Owner(key) => (PlaceId::of_owner(key), PlaceSigner::Owner, holds(key)),
            Signer::Authority { fingerprint, place } => {
                let mut named = trusted
                    .iter()
                    .filter(|key| key.fingerprint() == *fingerprint)
                    .peekable();
                named.peek().ok_or(PlaceCodeError::WrongSigner)?;
                (*place, PlaceSigner::Authority, named.any(holds))
            }
        };
        if !verified {
            return Err(PlaceCodeError::SignatureInvalid);
        }
        let valid = self.body.valid();
        if now < valid.start {
            let from = valid.start;
            return Err(PlaceCodeError::NotYetValid { from, now });
        }
        if now >= valid.end {
            let until = valid.end;
            return Err(PlaceCodeError::Expired { until, now });
        }
        Ok(Place {
            id,
            name: self.body.name.clone(),
            signer,
            valid,
        })
    }

    /// The name that the code bears, which nobody has vouched for yet.
    pub fn unverified_name(&self) -> &str {
        &self.body.name
    }
}

/// The text of the QR code.
impl fmt::Display for PlaceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [self.body.bytes().as_slice(), &self.signature].concat();
        write!(f, "{SCHEME}{}", BASE32_NOPAD.encode(&bytes))
    }
}

impl Body {
    fn check(&self) -> Result<(), PlaceCodeError> {
        let len = self.name.len();
        if len > NAME_BYTES_MAX {
            return Err(PlaceCodeError::NameTooLong { len });
        }
        if !is_plain(&self.name) {
            return Err(PlaceCodeError::NameNotPlain);
        }
        if self.from_s >= self.until_s {
            return Err(PlaceCodeError::InvalidValidity);
        }
        Ok(())
    }

    /// The one form in which it is signed and written.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(OWNER_BYTES + self.name.len());
        match &self.signer {
            Signer::Authority { fingerprint, place } => {
                bytes.push(AUTHORITY);
                bytes.extend(fingerprint);
                bytes.extend(place.as_bytes());
            }
            Signer::Owner(key) => {
                bytes.push(OWNER);
                bytes.extend(key.to_compressed_point());
            }
        }
        bytes.extend(self.from_s.to_be_bytes());
        bytes.extend(self.until_s.to_be_bytes());
        // Checked: at most NAME_BYTES_MAX.
        bytes.push(u8::try_from(self.name.len()).unwrap_or(u8::MAX));
        bytes.extend(self.name.as_bytes());
        bytes
    }

    fn valid(&self) -> Range<Timestamp> {
        let at = |seconds: u32| Timestamp::from_unix_seconds(u64::from(seconds));
        at(self.from_s)..at(self.until_s)
    }
}

/// What a text is that does not begin as a code of this version does.
fn not_of_this_scheme(scanned: &str) -> PlaceCodeError {
    let version = scanned
        .strip_prefix(FAMILY)
        .and_then(|rest| rest.split_once(':'))
        .is_some_and(|(version, _)| {
            !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit())
        });
    match Disclosures::of(scanned) {
        _ if version => PlaceCodeError::UnknownVersion,
        Some(disclosures) => PlaceCodeError::Personal(disclosures),
        None => PlaceCodeError::NotAPlaceCode,
    }
}

fn decode(base32: &str) -> Result<Vec<u8>, PlaceCodeError> {
    use data_encoding::DecodeKind;
    BASE32_NOPAD
        .decode(base32.as_bytes())
        .map_err(|error| match error.kind {
            // So many characters no bytes have, or the last one has bits of a byte that is missing.
            DecodeKind::Length | DecodeKind::Trailing => PlaceCodeError::Truncated {
                got: base32.len() * 5 / 8,
            },
            _ => PlaceCodeError::NotBase32 {
                position: SCHEME.len() + error.position,
            },
        })
}

#[cfg(test)]
mod tests;
