//! Field tests: what devices side by side write down of one another, and what is told from it.
//!
//! A [`Recorder`](recorder::Recorder) writes what a [tapped](tap::tap) radio hears and sends, in
//! [Herald's](herald) form and frame by frame; [`FieldTest`](readings::FieldTest) reads the folders of all devices
//! again, Herald's own too, and [`Evaluation`](evaluation::Evaluation) says who heard whom, in how many windows of half a
//! minute, and with what pauses. [`calibration`] makes a model's row of such a run. [`linkability`] says what somebody who only listens could
//! link in a [`capture`].
//!
//! A field log is raw, and that is its purpose: it says of every frame when it was heard and how strongly, which
//! the encounter log keeps from everybody but its owner. Of an identifier and of an address it holds a hash under the
//! [test's key](participants::TestKey) alone. Nothing of it is written unless a program asks for it: without
//! the feature `field` the library has no tap.

pub mod calibration;
pub mod capture;
pub mod evaluation;
pub mod herald;
pub mod linkability;
pub mod participants;
pub mod readings;
pub mod recorder;
pub mod sightings;
pub mod tap;
