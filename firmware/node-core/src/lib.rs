//! A sensor node without its hardware: when to measure, what to report, what to store, when to send.
//!
//! A board implements the traits of [`board`] and calls [`run`]. Guarantees: what was stored before a power cut is sent after
//! it; nothing is forgotten before the gateway has acknowledged it or the memory is full (then the oldest goes, counted); a
//! record keeps its number over repetitions, so that the gateway counts it once; no allocation, no panic for any bytes from
//! outside.

#![no_std]
#![allow(async_fn_in_trait, reason = "a node has one thread: its futures need not be Send")]

pub mod board;
#[cfg(test)]
extern crate std;

mod backoff;
mod clock;
pub mod coap;
mod config;
mod node;
mod pending;
mod reporting;
mod sampling;
mod seal;
mod settings;
pub mod sntp;
mod store;
mod stored;

pub use board::{Board, Command, Delivery, Link, LinkError, Readings, Sensors, Store, StoreError};
#[cfg(feature = "sealed")]
pub use config::Sealing;
pub use config::{Config, QuietHours, Threshold, default_threshold};
/// The traits of flash that [`FlashStore`] wants.
pub use embedded_storage_async::nor_flash as storage;
pub use node::{Exit, Node, run};
pub use store::{FlashStore, RamStore};
pub use wire;
