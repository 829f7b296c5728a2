//! A declaration on its way to an authority, with what an app adds to it.

use std::fmt;

use zeroize::Zeroizing;

use super::super::sealed::{AuthorityPublicKey, MessageKind, SealError, seal_usual};
use super::{CheckedDeclaration, HealthDeclaration, RecordError};

/// Bytes of an attachment at most. Chosen: a photograph of a test that can be read, and half of what the largest
/// envelope holds.
pub const ATTACHMENT_BYTES_MAX: usize = 128 << 10;

const VERSION: u8 = 1;

/// Version, and the length of the declaration.
const HEADER_BYTES: usize = 1 + 2;

/// Bytes that are no message, or cannot be one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HealthMessageError {
    /// The attachment is too long.
    #[error("attachment: expected at most {ATTACHMENT_BYTES_MAX} bytes, got {len}")]
    AttachmentTooLong {
        /// Its length.
        len: usize,
    },
    /// Of a newer release.
    #[error("the message has version {found}, expected {VERSION}")]
    UnsupportedVersion {
        /// Its version.
        found: u8,
    },
    /// It ends before the declaration does.
    #[error("the message is cut: it has {len} bytes")]
    Cut {
        /// Its length.
        len: usize,
    },
    /// The declaration in it is none.
    #[error(transparent)]
    Declaration(#[from] RecordError),
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Seals a declaration to an authority, with an attachment of the app's, empty if there is none: this crate does not
/// look at it. The envelope has [the usual size](super::super::sealed::SizeClass::USUAL), and a larger one only if a large one is there.
///
/// # Errors
///
/// [`HealthMessageError::AttachmentTooLong`], [`HealthMessageError::Seal`].
pub fn seal_declaration(
    to: &AuthorityPublicKey,
    declaration: &CheckedDeclaration,
    attachment: &[u8],
) -> Result<Vec<u8>, HealthMessageError> {
    let len = attachment.len();
    if len > ATTACHMENT_BYTES_MAX {
        return Err(HealthMessageError::AttachmentTooLong { len });
    }
    let record = declaration.to_bytes();
    let mut payload = Zeroizing::new(Vec::with_capacity(HEADER_BYTES + record.len() + len));
    payload.push(VERSION);
    // A record has 4,096 bytes at most.
    payload.extend((record.len() as u16).to_le_bytes());
    payload.extend(record);
    payload.extend(attachment);
    Ok(seal_usual(to, MessageKind::HealthDeclaration, &payload)?)
}

/// What an authority finds in an envelope of [`MessageKind::HealthDeclaration`].
#[derive(Eq, PartialEq)]
pub struct HealthMessage<'a> {
    /// What was declared: [`check`](HealthDeclaration::check) it, as a device may have kept no rule.
    pub declaration: HealthDeclaration,
    /// The app's attachment, at most [`ATTACHMENT_BYTES_MAX`] bytes; empty if there is none.
    pub attachment: &'a [u8],
}

/// Not what is attached: a photograph of a test, say.
impl fmt::Debug for HealthMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HealthMessage")
            .field("declaration", &self.declaration)
            .field("attachment_len", &self.attachment.len())
            .finish()
    }
}

impl<'a> HealthMessage<'a> {
    /// Reads the payload of an envelope.
    ///
    /// # Errors
    ///
    /// [`HealthMessageError`].
    pub fn from_bytes(payload: &'a [u8]) -> Result<Self, HealthMessageError> {
        let cut = HealthMessageError::Cut { len: payload.len() };
        let (&[version, low, high], rest) = payload.split_first_chunk().ok_or(cut)?;
        if version != VERSION {
            return Err(HealthMessageError::UnsupportedVersion { found: version });
        }
        let len = usize::from(u16::from_le_bytes([low, high]));
        let (record, attachment) = rest.split_at_checked(len).ok_or(cut)?;
        let len = attachment.len();
        if len > ATTACHMENT_BYTES_MAX {
            return Err(HealthMessageError::AttachmentTooLong { len });
        }
        let declaration = HealthDeclaration::from_bytes(record)?;
        Ok(Self {
            declaration,
            attachment,
        })
    }
}
