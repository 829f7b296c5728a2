//! Privacy-preserving contact tracing over Bluetooth Low Energy.

pub mod advertisement;
mod codec;
mod crypto;
pub mod engine;
pub mod entropy;
pub mod exposure;
pub mod log;
pub mod protocol;
pub mod publication;
pub mod radio;
mod secret;
pub mod sighting;
pub mod time;
mod tracer;

pub use advertisement::Advertisement;
pub use engine::{Engine, Event, Health};
pub use log::EncounterLog;
pub use protocol::{EphemeralId, Protocol, ProtocolKind, PublishedKey};
pub use secret::Secret;
pub use sighting::Sighting;
pub use tracer::{Events, Tracer, TracerBuilder, TracerError};
