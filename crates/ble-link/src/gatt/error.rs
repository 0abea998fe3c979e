//! Why a device's values cannot be had, and what to do.

use crate::link::LinkError;
use crate::uuid::Uuid;

/// Why a device cannot be connected to, read or written.
#[derive(Debug, thiserror::Error)]
pub enum GattError {
    /// bluetoothd knows no such device.
    #[error(
        "bluetoothd has not heard {address} yet: is it switched on, near, and not connected to something else? `bluetoothctl devices` lists those heard"
    )]
    NotSeen {
        /// Its address.
        address: String,
    },
    /// It does not answer, or refuses.
    #[error("{address} cannot be connected to ({reason}): is it near, and not connected to something else?")]
    NotReached {
        /// Its address.
        address: String,
        /// In bluetoothd's words.
        reason: String,
    },
    /// The controller or bluetoothd is occupied: to be tried again.
    #[error("the Bluetooth adapter is busy, {address} is tried again ({reason})")]
    Busy {
        /// The device's address.
        address: String,
        /// In bluetoothd's words.
        reason: String,
    },
    /// It gives this only to whom it is paired with.
    #[error(
        "{address} wants to be paired first: `bluetoothctl pair {address}`, then `bluetoothctl trust {address}`"
    )]
    PairingNeeded {
        /// Its address.
        address: String,
    },
    /// Connected, but its services were not told in time.
    #[error(
        "{address} does not tell its services: switch it off and on; `bluetoothctl remove {address}` forgets old ones"
    )]
    NoServices {
        /// Its address.
        address: String,
    },
    /// The device, or bluetoothd, does not permit this.
    #[error("characteristic {uuid}: {call} is not permitted: {reason}")]
    NotPermitted {
        /// Of which characteristic.
        uuid: Uuid,
        /// What was asked.
        call: &'static str,
        /// Why.
        reason: String,
    },
    /// More bytes than a characteristic can have.
    #[error("{bytes} bytes are too many for a characteristic; {most} are allowed")]
    TooLong {
        /// How many there are.
        bytes: usize,
        /// 512.
        most: usize,
    },
    /// The connection has ended.
    #[error("{address} is gone: {why}")]
    Gone {
        /// Its address.
        address: String,
        /// How.
        why: &'static str,
    },
    /// bluetoothd cannot be spoken to, or refuses.
    #[error(transparent)]
    Link(#[from] LinkError),
}

impl GattError {
    /// Whether it is about bluetoothd rather than the device.
    #[must_use]
    pub fn is_of_bluez(&self) -> bool {
        matches!(self, Self::Link(error) if !matches!(error, LinkError::Refused { .. } | LinkError::Silent { .. }))
    }
}

/// What bluetoothd said to `Connect`.
pub(super) fn of_connecting(address: &str, error: LinkError) -> GattError {
    let address = address.to_owned();
    match error {
        LinkError::Refused { name, reason, .. } if is_busy(&name, &reason) => {
            GattError::Busy { address, reason }
        }
        LinkError::Refused { name, .. } if has_ended(&name) => LinkError::NoBluez.into(),
        LinkError::Refused { name, .. } if is_unknown(&name) => GattError::NotSeen { address },
        LinkError::Refused { reason, .. } => GattError::NotReached { address, reason },
        LinkError::Silent { .. } => {
            GattError::NotReached { address, reason: "it did not answer in time".to_owned() }
        }
        error => error.into(),
    }
}

/// What bluetoothd said to a call of a characteristic's.
pub(super) fn of_calling(address: &str, uuid: Uuid, call: &'static str, error: LinkError) -> GattError {
    let LinkError::Refused { name, reason, .. } = error else { return error.into() };
    let address = address.to_owned();
    match name.as_str() {
        // The security level of what is asked is above that of the link.
        "org.bluez.Error.NotPermitted" if reason.contains("Not paired") => {
            GattError::PairingNeeded { address }
        }
        "org.bluez.Error.NotPaired" | "org.bluez.Error.NotAuthorized" => GattError::PairingNeeded { address },
        "org.bluez.Error.NotConnected" => GattError::Gone { address, why: "it has disconnected" },
        // bluetoothd says so of a call to a device that went.
        "org.bluez.Error.Failed" if reason.contains("Not connected") => {
            GattError::Gone { address, why: "it has disconnected" }
        }
        name if has_ended(name) => LinkError::NoBluez.into(),
        name if is_unknown(name) => GattError::Gone { address, why: "it no longer has this characteristic" },
        _ => GattError::NotPermitted { uuid, call, reason },
    }
}

/// Nobody has bluetoothd's name.
fn has_ended(name: &str) -> bool {
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

/// The words are those of BlueZ's src/error.h; before 5.63 they were those of errno.
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
