//! truyvet's encounter log side by side with databases that an app could keep its sightings in instead:
//! SQLCipher, redb and fjall. The same sightings, each batch on the disk before the next begins, and
//! everything that a sighting says encrypted in all of them.
//!
//! Beside that, truyvet's matcher with `contact-tracing` and `tcn`, the published crates of its kind: the bench `matching`.
//!
//! `cargo bench -p truyvet-peers` measures time; the programs `log_size` and `flood` what is on the disk
//! and in memory. docs/log-figures.md has what they printed.

#[path = "../../days.rs"]
pub mod days;
pub mod engines;
pub mod measure;
#[cfg(any(feature = "sqlcipher", feature = "redb", feature = "fjall"))]
mod record;

/// What can go wrong in a measurement; to be read by a person.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A result of a measurement.
pub type Result<T> = std::result::Result<T, Error>;
