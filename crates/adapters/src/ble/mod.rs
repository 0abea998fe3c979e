//! Bluetooth Low Energy: what sensors and beacons advertise, heard through BlueZ.
//!
//! Promises:
//! - A device that several adapters hear counts once. Of what nobody knows the format, nothing is kept.
//! - A beacon that was there and is no longer is told: its `presence` becomes 0.
//! - Advertisements that find no room are dropped and counted; nothing that bluetoothd or a device does holds anything up.
//! - bluetoothd may end, the adapter be unplugged, switched off or fall silent: it is waited for, helped step by step, and
//!   each step is in `health`.

mod adapter;
mod air;
pub mod config;
mod intake;

pub use adapter::{BleAdapter, Settings};
pub use air::Air;
pub use intake::{Listener, payload};
