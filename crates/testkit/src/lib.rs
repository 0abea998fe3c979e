//! Helpers for tests: a real broker on a free port, a clock that tests control, waiting for conditions, an uplink, a
//! separate process for one test, and the memory of a process.
//!
//! All functions panic with a clear message on failure: a test without its peer has failed.
#![allow(clippy::panic, clippy::expect_used, reason = "a test's tool fails the test")]

mod alone;
pub mod clock;
mod eventually;
mod memory;
pub mod mosquitto;
mod uplink;

pub use alone::alone;
pub use eventually::eventually;
pub use memory::resident;
pub use uplink::uplink;
