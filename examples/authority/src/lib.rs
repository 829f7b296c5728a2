//! A health authority's service: it issues codes, receives what devices seal to it, and publishes keys.
//!
//! An example of the other side of [`truyvet`], complete enough to run: `README.md` beside it says how, what it
//! stores and for how long, and what it leaves to the proxy before it.

mod claim;
pub mod clock;
pub mod codes;
pub mod database;
mod declarations;
mod evidence;
pub mod files;
mod grid;
mod messages;
pub mod metrics;
mod page;
pub mod publishing;
pub mod refusal;
mod requests;
pub mod routes;
pub mod service;
pub mod settings;
mod staff;
