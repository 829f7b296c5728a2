//! The service, as devices, staff, the curious and the power company meet it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    missing_docs
)]

#[path = "../../../../tests/browser/mod.rs"]
mod browser;
mod declarations;
#[allow(dead_code)]
mod device;
mod evidence;
mod evidence_over_http;
mod flow;
mod kills;
mod losses;
mod meeting;
mod page;
#[allow(dead_code)]
mod process;
mod refusals;
mod surface;
