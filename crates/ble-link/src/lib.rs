//! Bluetooth Low Energy through BlueZ over D-Bus: scanning for advertisements, and GATT with connected devices.
//!
//! This crate knows no sensor format. Every call has a time limit and every queue a bound. After a failure of bluetoothd or of
//! the adapter it resumes by itself.

mod adapter;
mod backend;
mod bluez;
mod error;
pub mod gatt;
mod radio;
mod recovery;
mod scan_result;
mod simulated;
mod uuid;

pub use adapter::BluetoothAdapter;
pub use error::{BluetoothError, Cause};
pub use radio::{Pattern, Radio, RadioOptions, RadioState, RadioStatus, ScanMode};
pub use recovery::{Recovery, RecoveryStep};
pub use scan_result::ScanResult;
pub use simulated::SimulatedRadio;
pub use uuid::{ParseUuidError, Uuid};
