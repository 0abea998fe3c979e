//! Bluetooth Low Energy: scanning for advertisements, and GATT with connected devices. The way to the radio is BlueZ over
//! D-Bus on Linux, and btleplug elsewhere.
//!
//! This crate knows no sensor format. Every call has a time limit and every queue a bound. After a failure of bluetoothd or of
//! the adapter it resumes by itself.

mod adapter;
mod backend;
#[cfg(target_os = "linux")]
mod bluez;
#[cfg(any(feature = "btleplug", not(target_os = "linux")))]
mod btleplug;
mod connection_guard;
mod error;
pub mod gatt;
mod radio;
mod recovery;
mod scan_result;
mod simulated;
mod uuid;

pub use adapter::{Backend, BluetoothAdapter};
pub use error::{BluetoothError, Cause};
pub use radio::{Pattern, Radio, RadioOptions, RadioState, RadioStatus, ScanMode};
pub use recovery::{Recovery, RecoveryStep};
pub use scan_result::ScanResult;
pub use simulated::SimulatedRadio;
pub use uuid::{ParseUuidError, Uuid};
