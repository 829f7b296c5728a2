//! What an authority publishes and a device reads.
//!
//! [`bluezone_json`] is Bluezone's list, which bears no signature of its own; [`gaen_export`] is
//! GAEN's signed archive; [`signature`] holds the keys that sign and verify. A [`publisher`] makes files
//! of accepted keys on a schedule, with a signed [`index`], into a [`store`]; an [`update`] reads from
//! there what is new to a device. Every reader here takes
//! bytes that anyone may have made: it refuses with an error that says where, and never allocates
//! what a file merely claims.

pub mod bluezone_json;
pub mod gaen_export;
pub mod index;
pub mod publisher;
pub mod signature;
pub mod store;
pub mod update;
