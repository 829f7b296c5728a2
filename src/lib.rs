//! Privacy-preserving contact tracing over Bluetooth Low Energy.

pub mod advertisement;
mod codec;
mod crypto;
pub mod entropy;
pub mod protocol;
pub mod publication;
pub mod radio;
mod secret;
pub mod sighting;
pub mod time;

pub use advertisement::Advertisement;
pub use protocol::{EphemeralId, Protocol, ProtocolKind, PublishedKey};
pub use secret::Secret;
pub use sighting::Sighting;
