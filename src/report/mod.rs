//! What a device sends to a health authority, and only with its owner's consent.
//!
//! Nothing here opens a connection: an app hands the bytes on, or does not. [`sealed`] is the one form
//! in which they leave the device: sealed to the authority's key, of a few fixed sizes, the same for a
//! dummy. `docs/report-format.md` in the repository has every byte.

pub mod sealed;
