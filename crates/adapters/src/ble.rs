//! Bluetooth Low Energy: the advertisements of sensors and beacons, and the values of connected devices.
//!
//! Guarantees:
//! - An advertisement that several adapters receive counts once. Advertisements of unknown formats are only counted.
//! - If a beacon is no longer received, its `presence` becomes 0.
//! - Advertisements that do not fit into the queue are dropped and counted. bluetoothd and devices cannot block other parts.
//! - If bluetoothd ends, or the adapter is unplugged, switched off or silent, the radio recovers step by step, and each step
//!   is in `health`.
//! - At most `max_connections` devices are connected at once, in turn. One that hangs does not delay the others.

mod adapter;
mod build;
mod check;
mod commands;
pub mod config;
mod connection;
mod connections;
mod intake;
mod kind;
mod pool;
mod probe;
mod reception;

pub use adapter::{BleAdapter, Settings};
pub use build::keys;
pub use connections::{ConnectionPlan, DevicePlan};
pub use intake::{IntakeOptions, payload};
pub use kind::{Ble, CharacteristicTarget, TargetKeys};
pub use reception::ReceptionMap;
