//! Field tests: logs by hand, Herald's own against what was published of them, and runs on the virtual air.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "field/calibrating.rs"]
mod calibrating;
mod conformance;
#[path = "field/counting.rs"]
mod counting;
#[path = "field/published.rs"]
mod published;
#[path = "field/recording.rs"]
mod recording;
