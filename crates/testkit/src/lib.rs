//! For tests only: a real broker on a free port, a clock that tests move, waiting on conditions, a message, a
//! process for a test alone, and what a process takes.
//!
//! Everything here panics with a plain sentence where it cannot do its work: a test that lacks its peer has failed.
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
