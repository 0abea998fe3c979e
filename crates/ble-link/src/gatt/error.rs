//! Errors of GATT operations, with what to do about them.

use crate::error::BluetoothError;
use crate::uuid::Uuid;

#[derive(Debug, thiserror::Error)]
pub enum GattError {
    /// bluetoothd does not know the device.
    #[error(
        "bluetoothd has not discovered {address} yet: is it switched on, near, and not connected to something else? `bluetoothctl devices` lists those discovered"
    )]
    NotDiscovered { address: String },
    /// The device does not answer, or refuses.
    #[error("{address} cannot be connected to ({reason}): is it near, and not connected to something else?")]
    Unreachable {
        address: String,
        /// The text of bluetoothd's error.
        reason: String,
    },
    /// The controller or bluetoothd is busy. A retry may succeed.
    #[error("the Bluetooth adapter is busy, {address} is tried again ({reason})")]
    Busy {
        address: String,
        /// The text of bluetoothd's error.
        reason: String,
    },
    /// The device requires pairing.
    #[error(
        "{address} must be paired first: `bluetoothctl pair {address}`, then `bluetoothctl trust {address}`"
    )]
    PairingNeeded { address: String },
    /// Connected, but the services were not discovered in time.
    #[error(
        "the services of {address} were not discovered: switch it off and on; `bluetoothctl remove {address}` forgets old ones"
    )]
    NoServices { address: String },
    /// The device or bluetoothd does not permit the operation.
    #[error("characteristic {uuid}: {call} is not permitted: {reason}")]
    NotPermitted { uuid: Uuid, call: &'static str, reason: String },
    /// More bytes than a characteristic can hold.
    #[error("{bytes} bytes are too many for a characteristic; {limit} are allowed")]
    TooLong { bytes: usize, limit: usize },
    #[error("{address} is gone: {reason}")]
    Disconnected { address: String, reason: &'static str },
    #[error(transparent)]
    Bluetooth(#[from] BluetoothError),
}

impl GattError {
    pub(crate) fn disconnected(address: &str) -> Self {
        Self::Disconnected { address: address.to_owned(), reason: "it has disconnected" }
    }

    pub(crate) fn no_characteristic(address: &str) -> Self {
        Self::Disconnected { address: address.to_owned(), reason: "it no longer has this characteristic" }
    }
}

/// Translates an error of `Connect`.
pub(crate) fn connect_error(address: &str, error: BluetoothError) -> GattError {
    let address = address.to_owned();
    match error {
        BluetoothError::Refused { name, reason, .. } if is_busy(&name, &reason) => {
            GattError::Busy { address, reason }
        }
        BluetoothError::Refused { name, .. } if is_bluez_gone(&name) => BluetoothError::NoBluez.into(),
        BluetoothError::Refused { name, .. } if is_unknown(&name) => GattError::NotDiscovered { address },
        BluetoothError::Refused { reason, .. } => GattError::Unreachable { address, reason },
        BluetoothError::Timeout { .. } => {
            GattError::Unreachable { address, reason: "it did not answer in time".to_owned() }
        }
        error => error.into(),
    }
}

/// Translates an error of a call to a characteristic.
pub(crate) fn characteristic_error(
    address: &str,
    uuid: Uuid,
    call: &'static str,
    error: BluetoothError,
) -> GattError {
    let BluetoothError::Refused { name, reason, .. } = error else { return error.into() };
    let pairing_needed = || GattError::PairingNeeded { address: address.to_owned() };
    match name.as_str() {
        // The characteristic requires a higher security level than the connection has.
        "org.bluez.Error.NotPermitted" if reason.contains("Not paired") => pairing_needed(),
        "org.bluez.Error.NotPaired" | "org.bluez.Error.NotAuthorized" => pairing_needed(),
        "org.bluez.Error.NotConnected" => GattError::disconnected(address),
        // The answer of bluetoothd when the device disconnects during the call.
        "org.bluez.Error.Failed" if reason.contains("Not connected") => GattError::disconnected(address),
        name if is_bluez_gone(name) => BluetoothError::NoBluez.into(),
        name if is_unknown(name) => GattError::no_characteristic(address),
        _ => GattError::NotPermitted { uuid, call, reason },
    }
}

/// No process owns bluetoothd's bus name.
fn is_bluez_gone(name: &str) -> bool {
    matches!(name, "org.freedesktop.DBus.Error.ServiceUnknown" | "org.freedesktop.DBus.Error.NameHasNoOwner")
}

fn is_unknown(name: &str) -> bool {
    matches!(
        name,
        "org.freedesktop.DBus.Error.UnknownObject"
            | "org.freedesktop.DBus.Error.UnknownMethod"
            | "org.bluez.Error.DoesNotExist"
    )
}

/// The texts of BlueZ's src/error.h; before version 5.63 they were those of errno.
fn is_busy(name: &str, reason: &str) -> bool {
    const WORDS: [&str; 5] = [
        "connection-busy",
        "concurrent-connection",
        "Operation already in progress",
        "resource busy",
        "Too many links",
    ];
    name == "org.bluez.Error.InProgress" || WORDS.iter().any(|words| reason.contains(words))
}
