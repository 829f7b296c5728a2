//! How well truyvet tells near from far, measured on scenes that others recorded: phones on people at
//! lunch, in a train, in an office, in a queue, at a party and in motion, whose distances a camera saw.
//!
//! The recordings are DP-3T's (bt-measurements, experiment 34, CC BY-ND 4.0). They are evaluated here
//! and are no part of this repository: they are read from the conformance data beside the checkout.

pub mod chart;
pub mod evaluation;
pub mod fit;
pub mod scenes;
pub mod score;
pub mod threshold;
pub mod windows;

mod solve;

#[path = "../../../tests/conformance/mod.rs"]
mod conformance;

/// What can go wrong with a recording.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// With [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
