//! What an authority publishes and a device reads.
//!
//! [`bluezone_json`] is Bluezone's list, which bears no signature of its own; [`gaen_export`] is
//! GAEN's signed archive; [`signature`] holds the keys that sign and verify. Every reader here takes
//! bytes that anyone may have made: it refuses with an error that says where, and never allocates
//! what a file merely claims.

pub mod bluezone_json;
pub mod gaen_export;
pub mod signature;
