//! Tracers on the real Bluetooth stack: the kernel, `bluetoothd`, and virtual controllers whose air a
//! test directs. They run on the bed alone, see CONTRIBUTING.md.
#![cfg(all(feature = "ble", target_os = "linux"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

#[path = "stack/bed.rs"]
mod bed;
#[path = "stack/crowd.rs"]
mod crowd;
#[path = "stack/faults.rs"]
mod faults;
#[path = "stack/flood.rs"]
mod flood;
#[path = "stack/leaving.rs"]
mod leaving;
#[path = "stack/rotation.rs"]
mod rotation;
#[path = "stack/snoop.rs"]
mod snoop;
#[path = "stack/soak.rs"]
mod soak;
#[expect(dead_code, reason = "the tests on a private bus ask more of it")]
#[path = "bluez/stack.rs"]
mod stack;
