//! Privacy-preserving contact tracing over Bluetooth Low Energy.
//!
//! A device advertises a rotating identifier, hears its neighbours', keeps an encrypted log of
//! encounters, and later tells its owner, and nobody else, how long and how near they were to people
//! whose keys a health authority has published. Two deployed protocols are spoken bit for bit:
//! [Bluezone v3](protocol::bluezone) and [GAEN v1.2](protocol::gaen).
//!
//! Nothing here opens a network connection: bytes go in, bytes come out. (With the feature `object-store`, which is
//! for an authority's program and off by default, a [publisher](publication::publisher) writes to the object store
//! that it is given.)
//!
//! # The whole way
//!
//! Two devices on the [virtual air](radio::air), half an hour side by side; then one of them
//! publishes, and the other finds out.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use truyvet::exposure::{MatchConfig, Matcher};
//! use truyvet::log::MemoryKey;
//! use truyvet::radio::air::{Air, AirConfig};
//! use truyvet::time::{SimulatedClock, Timestamp};
//! use truyvet::{EncounterLog, Protocol, Tracer};
//!
//! // With tokio's time paused (its feature `test-util`), half an hour takes no time at all.
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (home, away) = (tempfile::tempdir()?, tempfile::tempdir()?);
//!     let start = Timestamp::from_unix_seconds(1_596_880_800); // 2020-08-08T10:00Z
//!     let air = Air::new(AirConfig::default(), Arc::new(SimulatedClock::new(start, 1)));
//!     let mut tracers = Vec::new();
//!     for (directory, x_m) in [(home.path(), 0.0), (away.path(), 2.0)] {
//!         let log = EncounterLog::open(directory, MemoryKey::random()?)?;
//!         let tracer = Tracer::builder(log, air.place(x_m, 0.0).radio())
//!             .advertise(Protocol::gaen())
//!             .clock(air.clock());
//!         tracers.push(tracer.start().await?);
//!     }
//!     tokio::time::sleep(Duration::from_secs(1_800)).await;
//!
//!     let published = tracers[1].release([start.utc_day()]).await?;
//!     let matcher = Matcher::from_log(MatchConfig::default(), &tracers[0].log_reader()?)?;
//!     for exposure in matcher.exposures(&published) {
//!         println!("{exposure}"); // 2020-08-08: 29 minutes near a reported GAEN user, …
//! #   assert!(exposure.duration.as_secs() > 1_600);
//!     }
//! # assert_eq!(matcher.exposures(&published).len(), 1);
//!     Ok(())
//! }
//! ```
//!
//! # The rooms
//!
//! | | |
//! |---|---|
//! | [`Tracer`] | all of it running, on tokio |
//! | [`Engine`] | the same behaviour with no I/O, for apps whose system owns Bluetooth |
//! | [`radio`] | the system's Bluetooth, the virtual air, replayed recordings, and the traits for others |
//! | [`log`] | what was heard, sealed |
//! | [`publication`] | what an authority publishes: Bluezone's list, GAEN's signed export, both on a schedule |
//! | [`place`] | signed codes of places, check-ins, published lists of places |
//! | [`exposure`] | published keys against the log, exposure windows, risk models |
//! | [`protocol`] | keys, identifiers and frames, as pure functions |
//! | [`report`] | what a device sends to an authority, with its owner's consent: sealed, of fixed sizes |
//!
//! `docs/threat-model.md` in the repository says what is protected from whom, and what not.

#[cfg(feature = "adoption")]
pub mod adoption;
pub mod advertisement;
mod codec;
mod crypto;
pub mod engine;
pub mod entropy;
pub mod exposure;
#[cfg(feature = "field")]
pub mod field;
pub mod log;
pub mod place;
pub mod protocol;
pub mod publication;
pub mod radio;
pub mod report;
mod secret;
pub mod sighting;
#[cfg(feature = "sim")]
pub mod sim;
pub mod time;
mod tracer;

pub use advertisement::Advertisement;
pub use engine::{Engine, Event, Health};
pub use log::EncounterLog;
pub use protocol::{EphemeralId, Protocol, ProtocolKind, PublishedKey};
pub use secret::Secret;
pub use sighting::Sighting;
pub use tracer::{Events, Tracer, TracerBuilder, TracerError};
/// The crate of the service UUIDs in this one's interface.
pub use uuid;

/// The README's example is compiled as it stands.
#[cfg(all(doctest, feature = "ble"))]
#[doc = include_str!("../README.md")]
struct Readme;
