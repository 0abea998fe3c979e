//! Errors of the adapter and of what reaches it, with what to do about them.

use std::time::Duration;

/// The time limit of a call. Calls that wait for a device have a limit of their own.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// An error of a backend's library.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why BlueZ cannot be reached, or why it refuses a call.
#[derive(Debug, thiserror::Error)]
pub enum BluetoothError {
    #[error("no D-Bus system bus: is the package dbus installed and running?")]
    NoBus {
        #[source]
        source: Cause,
    },
    /// No process owns the name `org.bluez`.
    #[error(
        "no bluetoothd: `apt install bluez`, then `systemctl enable --now bluetooth`; in a container, mount the host's /run/dbus"
    )]
    NoBluez,
    #[error("there is no Bluetooth adapter `{wanted}`; there is: {available}")]
    NoAdapter {
        /// The name or address that was asked for.
        wanted: String,
        /// The adapters that exist.
        available: String,
    },
    /// The bus or bluetoothd denies access.
    #[error(
        "D-Bus does not let this user use Bluetooth: `usermod -aG bluetooth USER` for the user that runs Riser, then restart (the Debian package's user needs no group)"
    )]
    NotAllowed {
        #[source]
        source: Cause,
    },
    #[error("{adapter} is switched off: `rfkill unblock bluetooth`, or `bluetoothctl power on`")]
    PoweredOff { adapter: String },
    #[error("bluetoothd refuses {call}: {reason}")]
    Refused {
        call: &'static str,
        /// The name of the D-Bus error.
        name: String,
        /// The text of the D-Bus error.
        reason: String,
    },
    /// No answer within the time limit.
    #[error("bluetoothd does not answer {call}")]
    Timeout { call: &'static str },
    /// The bus connection failed, or an answer could not be read.
    #[error("the D-Bus connection broke at {call}")]
    DBus {
        call: &'static str,
        #[source]
        source: Cause,
    },
    /// The bus has closed the connection.
    #[error("the D-Bus system bus has ended")]
    BusClosed,
    /// bluetoothd has stopped or was restarted.
    #[error("bluetoothd has ended")]
    BluezStopped,
    #[error("{adapter} was unplugged")]
    Unplugged { adapter: String },
}
