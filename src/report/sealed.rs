//! The envelope of everything that a device sends: sealed to an authority (RFC 9180), padded to a few
//! fixed sizes.
//!
//! Whoever carries the envelope learns from it to which authority it goes and how many KiB it has. What it is, and
//! whether it is anything at all, stands in the sealed part: a [dummy](seal_dummy) looks like a report. That is
//! said of the envelope alone: the answer to it is not sealed, and whoever ends the TLS that carries it reads there
//! what the envelope was. Who sent it is not authenticated here; what a report has to show for itself is inside.
//!
//! ```
//! use truyvet::report::sealed::{AuthorityPrivateKey, MessageKind, open, seal};
//!
//! let authority = AuthorityPrivateKey::generate()?;
//! let envelope = seal(&authority.public_key()?, MessageKind::HealthDeclaration, b"fever")?;
//! assert_eq!(envelope.len(), 1024);
//! let opened = open(&[authority], &envelope)?;
//! assert_eq!(opened.kind, MessageKind::HealthDeclaration);
//! assert_eq!(*opened.payload, b"fever");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use zeroize::Zeroizing;

use crate::crypto::{
    CryptoError, ENCAPSULATED_BYTES, TAG_BYTES, open_sealed, public_key, seal_to, sha256,
};
use crate::entropy::{EntropyError, SystemEntropy, random_secret};
use crate::secret::Secret;

/// What an envelope begins with.
pub const MAGIC: [u8; 4] = *b"TVEN";

/// The version of the envelope written here.
pub const VERSION: u8 = 1;

/// HPKE's `info`: what the key is used for, so that nothing sealed for another purpose opens here.
const INFO: &[u8] = b"truyvet report envelope 1";

/// Magic, version, key id: the associated data. The encapsulated key behind it is bound by HPKE itself.
const HEADER_BYTES: usize = MAGIC.len() + 1 + KEY_ID_BYTES;
const KEY_ID_BYTES: usize = 4;

/// Kind (1) and length of the payload (4), at the sealed part's start.
const INNER_BYTES: usize = 5;

/// What an envelope has beside its payload and padding.
const OVERHEAD_BYTES: usize = HEADER_BYTES + ENCAPSULATED_BYTES + INNER_BYTES + TAG_BYTES;

/// The public key of an authority: X25519, 32 bytes. Printed and read as base64url without padding, which may begin
/// with a hyphen: a command line has to take that for a value.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct AuthorityPublicKey([u8; 32]);

impl AuthorityPublicKey {
    /// The key with these bytes (RFC 7748). A point of low order is refused when something is sealed to it.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// What an envelope names it by: the first four bytes of SHA-256("truyvet authority key" || key).
    pub fn key_id(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = sha256(&[b"truyvet authority key", &self.0]);
        [a, b, c, d]
    }
}

impl fmt::Display for AuthorityPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl FromStr for AuthorityPublicKey {
    type Err = NotAnAuthorityKey;

    fn from_str(text: &str) -> Result<Self, NotAnAuthorityKey> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok();
        let key = bytes.and_then(|bytes| bytes.try_into().ok());
        key.map(Self).ok_or(NotAnAuthorityKey { got: text.len() })
    }
}

/// Text that is no [`AuthorityPublicKey`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected an authority's key: 43 characters of base64url, got {got} bytes that are none")]
pub struct NotAnAuthorityKey {
    /// Bytes of the text.
    pub got: usize,
}

/// The private key of an authority. Wiped when dropped and never printed.
#[derive(Debug)]
pub struct AuthorityPrivateKey(Secret<32>);

impl AuthorityPrivateKey {
    /// A new key from the operating system's random numbers.
    ///
    /// # Errors
    ///
    /// [`EntropyError`] if the system has none to give.
    pub fn generate() -> Result<Self, EntropyError> {
        random_secret(&mut SystemEntropy).map(Self)
    }

    /// The key with these bytes: any 32 that are random.
    pub fn from_bytes(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Its bytes, for whoever keeps it.
    pub fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// The key that devices seal to.
    ///
    /// # Errors
    ///
    /// [`SealError::Crypto`] if it cannot be computed, which no 32 bytes known lead to.
    pub fn public_key(&self) -> Result<AuthorityPublicKey, SealError> {
        Ok(AuthorityPublicKey(public_key(&self.0)?))
    }
}

/// What an envelope holds. It stands in the sealed part, so that who carries it cannot tell.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum MessageKind {
    /// Nothing: sent so that one who watches does not learn who reports.
    Dummy,
    /// A verification code, and the commitment that a certificate is wanted for.
    CodeExchange,
    /// The keys of somebody who has been tested.
    DiagnosisReport,
    /// How somebody is.
    HealthDeclaration,
    /// That somebody was near a confirmed case.
    ContactEvidence,
}

impl MessageKind {
    const ALL: [Self; 5] = [
        Self::Dummy,
        Self::CodeExchange,
        Self::DiagnosisReport,
        Self::HealthDeclaration,
        Self::ContactEvidence,
    ];

    /// Its byte, for ever.
    const fn byte(self) -> u8 {
        match self {
            Self::Dummy => 0,
            Self::CodeExchange => 1,
            Self::DiagnosisReport => 2,
            Self::HealthDeclaration => 3,
            Self::ContactEvidence => 4,
        }
    }
}

/// The sizes that an envelope may have. Chosen: each four times the one before, so that five sizes do for
/// everything from a code to two weeks of encounters.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SizeClass {
    /// 1 KiB.
    Kib1,
    /// 4 KiB.
    Kib4,
    /// 16 KiB.
    Kib16,
    /// 64 KiB.
    Kib64,
    /// 256 KiB.
    Kib256,
}

impl SizeClass {
    /// What every message fits into but those that say who was near: sent in this, a code, the keys of a
    /// report, a declaration and a dummy cannot be told apart.
    pub const USUAL: Self = Self::Kib4;

    /// All of them, smallest first.
    pub const ALL: [Self; 5] = [
        Self::Kib1,
        Self::Kib4,
        Self::Kib16,
        Self::Kib64,
        Self::Kib256,
    ];

    /// Bytes of a whole envelope of this size.
    pub const fn envelope_bytes(self) -> usize {
        match self {
            Self::Kib1 => 1 << 10,
            Self::Kib4 => 4 << 10,
            Self::Kib16 => 16 << 10,
            Self::Kib64 => 64 << 10,
            Self::Kib256 => 256 << 10,
        }
    }

    /// Bytes of payload that it can hold.
    pub const fn payload_bytes_max(self) -> usize {
        self.envelope_bytes() - OVERHEAD_BYTES
    }

    /// The smallest that holds a payload of `len` bytes.
    pub fn for_payload(len: usize) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|class| len <= class.payload_bytes_max())
    }

    /// The size of an envelope of `len` bytes, if it is one.
    pub fn of_envelope(len: usize) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|class| len == class.envelope_bytes())
    }
}

/// Nothing was sealed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The payload does not fit.
    #[error("the message has {got} bytes, expected at most {max}")]
    TooLong {
        /// Bytes it has.
        got: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// The authority's key is a point of low order, or the system has no random numbers to give.
    #[error("nothing can be sealed to this authority's key")]
    Crypto,
}

impl From<CryptoError> for SealError {
    fn from(_: CryptoError) -> Self {
        Self::Crypto
    }
}

/// Seals `payload` to an authority, in an envelope of the smallest [`SizeClass`] that holds it.
///
/// # Errors
///
/// [`SealError::TooLong`], or [`SealError::Crypto`].
pub fn seal(
    to: &AuthorityPublicKey,
    kind: MessageKind,
    payload: &[u8],
) -> Result<Vec<u8>, SealError> {
    let size = SizeClass::for_payload(payload.len()).unwrap_or(SizeClass::Kib256);
    seal_in(to, kind, payload, size)
}

/// [`seal`], in an envelope of `size`: for an app that sends everything in one.
///
/// # Errors
///
/// As [`seal`].
pub fn seal_in(
    to: &AuthorityPublicKey,
    kind: MessageKind,
    payload: &[u8],
    size: SizeClass,
) -> Result<Vec<u8>, SealError> {
    let too_long = SealError::TooLong {
        got: payload.len(),
        max: size.payload_bytes_max(),
    };
    if payload.len() > size.payload_bytes_max() {
        return Err(too_long);
    }
    let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
    let inner_bytes = INNER_BYTES + size.payload_bytes_max();
    let mut inner = Zeroizing::new(Vec::with_capacity(inner_bytes));
    inner.push(kind.byte());
    inner.extend(length.to_le_bytes());
    inner.extend(payload);
    inner.resize(inner_bytes, 0);
    seal_inner(to, &inner)
}

/// [`seal`], in [the usual size](SizeClass::USUAL) at least.
pub(super) fn seal_usual(
    to: &AuthorityPublicKey,
    kind: MessageKind,
    payload: &[u8],
) -> Result<Vec<u8>, SealError> {
    let wanted = SizeClass::for_payload(payload.len()).unwrap_or(SizeClass::Kib256);
    seal_in(to, kind, payload, wanted.max(SizeClass::USUAL))
}

/// An envelope with nothing in it, that nobody but the authority can tell from one of the same size with
/// a report.
///
/// # Errors
///
/// [`SealError::Crypto`].
pub fn seal_dummy(to: &AuthorityPublicKey, like: SizeClass) -> Result<Vec<u8>, SealError> {
    seal_in(to, MessageKind::Dummy, &[], like)
}

fn seal_inner(to: &AuthorityPublicKey, inner: &[u8]) -> Result<Vec<u8>, SealError> {
    let header = header(to);
    let (encapsulated, sealed) = seal_to(&to.0, INFO, &header, inner)?;
    Ok([&header[..], &encapsulated, &sealed].concat())
}

fn header(to: &AuthorityPublicKey) -> [u8; HEADER_BYTES] {
    let ([m0, m1, m2, m3], [k0, k1, k2, k3]) = (MAGIC, to.key_id());
    [m0, m1, m2, m3, VERSION, k0, k1, k2, k3]
}

/// What was in an envelope.
#[non_exhaustive]
pub struct Opened {
    /// What it is.
    pub kind: MessageKind,
    /// Its bytes, without the padding: nobody has looked at them yet. Wiped when dropped.
    pub payload: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// An envelope that does not open.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It has none of the sizes that an envelope has: cut short, or something was added.
    #[error("expected an envelope of 1, 4, 16, 64 or 256 KiB, got {got} bytes")]
    Length {
        /// Bytes it has.
        got: usize,
    },
    /// It does not begin as an envelope does.
    #[error("expected an envelope, got bytes that begin as none does")]
    NotAnEnvelope,
    /// It is of another version.
    #[error("expected an envelope of version {VERSION}, got version {got}")]
    Version {
        /// Its version.
        got: u8,
    },
    /// It names a key that is not among those given.
    #[error("the envelope is sealed to another authority's key")]
    OtherAuthority,
    /// It was changed, or sealed to another key of the same name.
    #[error("the envelope is not as it was sealed")]
    Changed,
    /// Its sender means something that is not known here.
    #[error("expected a known kind of message, got kind {got}")]
    UnknownKind {
        /// The byte that says which.
        got: u8,
    },
    /// Its sender says that it has more bytes than there are.
    #[error("the message claims {claimed} bytes, and the envelope holds at most {max}")]
    InnerLength {
        /// Bytes claimed.
        claimed: u32,
        /// Bytes there are.
        max: usize,
    },
    /// Its sender has left something behind the message.
    #[error("expected zeros behind the message, got other bytes")]
    PaddingNotZero,
}

/// Opens an envelope with that of `keys` which it names.
///
/// # Errors
///
/// [`OpenError`], by name.
pub fn open(keys: &[AuthorityPrivateKey], envelope: &[u8]) -> Result<Opened, OpenError> {
    let got = envelope.len();
    SizeClass::of_envelope(got).ok_or(OpenError::Length { got })?;
    let cut = envelope
        .split_first_chunk::<HEADER_BYTES>()
        .and_then(|(header, rest)| Some((header, rest.split_first_chunk()?)));
    let (header, (encapsulated, sealed)) = cut.ok_or(OpenError::Length { got })?;
    let [magic @ .., version, _, _, _, _] = header;
    if *magic != MAGIC {
        return Err(OpenError::NotAnEnvelope);
    }
    if *version != VERSION {
        return Err(OpenError::Version { got: *version });
    }
    // Four bytes may name two keys.
    let mut refusal = OpenError::OtherAuthority;
    for key in keys {
        let named = key.public_key().map(|public| self::header(&public));
        if named.as_ref() != Ok(header) {
            continue;
        }
        match open_sealed(&key.0, encapsulated, INFO, header, sealed) {
            Ok(inner) => return read_inner(&inner),
            Err(CryptoError) => refusal = OpenError::Changed,
        }
    }
    Err(refusal)
}

fn read_inner(inner: &[u8]) -> Result<Opened, OpenError> {
    let max = inner.len().saturating_sub(INNER_BYTES);
    let claims_none = OpenError::InnerLength { claimed: 0, max };
    let ([kind, length @ ..], rest) = inner
        .split_first_chunk::<INNER_BYTES>()
        .ok_or(claims_none)?;
    let claimed = u32::from_le_bytes(*length);
    let (payload, padding) = usize::try_from(claimed)
        .ok()
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(OpenError::InnerLength { claimed, max })?;
    if padding.iter().any(|byte| *byte != 0) {
        return Err(OpenError::PaddingNotZero);
    }
    let mut known = MessageKind::ALL.into_iter();
    Ok(Opened {
        kind: known
            .find(|known| known.byte() == *kind)
            .ok_or(OpenError::UnknownKind { got: *kind })?,
        payload: Zeroizing::new(payload.to_vec()),
    })
}

#[cfg(test)]
mod tests;
