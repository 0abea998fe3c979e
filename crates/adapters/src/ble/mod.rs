//! Bluetooth Low Energy: what sensors and beacons advertise, heard through BlueZ, and the values of devices that are
//! connected to.
//!
//! Promises:
//! - A device that several adapters hear counts once. Of what nobody knows the format, nothing is kept.
//! - A beacon that was there and is no longer is told: its `presence` becomes 0.
//! - Advertisements that find no room are dropped and counted; nothing that bluetoothd or a device does holds anything up.
//! - bluetoothd may end, the adapter be unplugged, switched off or fall silent: it is waited for, helped step by step, and
//!   each step is in `health`.
//! - At most `max_connections` devices are connected at once, in turn; one that hangs holds nobody up.

mod adapter;
mod air;
mod build;
mod check;
mod commands;
pub mod config;
mod connection;
mod connections;
mod intake;
mod kind;
mod probe;
mod slots;

pub use adapter::{BleAdapter, Settings};
pub use air::Air;
pub use build::keys;
pub use connections::{Followed, Plan};
pub use intake::{Listener, payload};
pub use kind::{Ble, CharacteristicTarget, TargetKeys};
