//! For tests only: a real broker on a free port, a clock that tests move, and waiting on conditions.
//!
//! Everything here panics with a plain sentence where it cannot do its work: a test that lacks its peer has failed.
#![allow(clippy::panic, clippy::expect_used, reason = "a test's tool fails the test")]

pub mod clock;
mod eventually;
pub mod mosquitto;

pub use eventually::eventually;
