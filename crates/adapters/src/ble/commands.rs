//! Commands to devices: a value is written to a characteristic, over the connection that there is, or one made for it.
//!
//! Promises: each is answered within about [`PATIENCE`], and at most [`WAITING`] wait for a device.

use std::time::Duration;

use ble_link::gatt::{GattError, Peripheral};
use ble_link::{BluetoothError, Uuid};
use bytes::Bytes;
use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::kind::CharacteristicTarget;

/// How long a command may wait until its device is connected.
const PATIENCE: Duration = Duration::from_secs(60);
/// Commands that wait for one device.
pub(super) const WAITING: usize = 16;

/// A value that is to be written.
#[derive(Debug)]
pub(super) struct Order {
    adapter: AdapterId,
    characteristic: Uuid,
    value: Bytes,
    done: oneshot::Sender<Result<(), CommandError>>,
    /// By then the device must be connected.
    pub(super) due: Instant,
}

impl Order {
    /// What a command wants, and the address of the device; one that cannot be is answered.
    pub(super) fn of(command: Command, adapter: &AdapterId) -> Option<(String, Self)> {
        let Command { target, payload: value, done } = command;
        let refused = |reason: String| Err(CommandError::Refused { adapter: adapter.clone(), reason });
        let Some(CharacteristicTarget { device, characteristic }) = target.get() else {
            tell(done, refused(format!("{target} is no characteristic of a Bluetooth device")));
            return None;
        };
        match characteristic.parse() {
            Ok(characteristic) => {
                let due = Instant::now() + PATIENCE;
                let order = Self { adapter: adapter.clone(), characteristic, value, done, due };
                Some((device.to_ascii_uppercase(), order))
            }
            Err(error) => {
                tell(done, refused(format!("{characteristic} {error}")));
                None
            }
        }
    }

    /// Writes the value, and tells how that went.
    pub(super) async fn carry_out(self, peripheral: &Peripheral) {
        let mut all = peripheral.characteristics().iter();
        let found = all.find(|it| it.uuid == self.characteristic && it.is_writable());
        let result = match found {
            Some(characteristic) => {
                let written = peripheral.write(characteristic, &self.value).await;
                written.map_err(|error| verdict(&self.adapter, &error))
            }
            None => {
                let reason =
                    format!("the device has no characteristic {} that can be written", self.characteristic);
                Err(CommandError::Refused { adapter: self.adapter.clone(), reason })
            }
        };
        tell(self.done, result);
    }

    /// The device could not be connected.
    pub(super) fn unreachable(self, reason: &str) {
        let error = CommandError::Unreachable { adapter: self.adapter, reason: reason.to_owned() };
        tell(self.done, Err(error));
    }

    /// There are too many before it.
    pub(super) fn busy(self) {
        tell(self.done, Err(CommandError::Busy { adapter: self.adapter }));
    }

    /// Nobody is there to carry it out.
    pub(super) fn not_connected(self) {
        tell(self.done, Err(CommandError::NotConnected { adapter: self.adapter }));
    }
}

fn verdict(adapter: &AdapterId, error: &GattError) -> CommandError {
    let (adapter, reason) = (adapter.clone(), gateway_core::chain(error));
    match error {
        GattError::Disconnected { .. }
        | GattError::Bluetooth(BluetoothError::Timeout { .. } | BluetoothError::DBus { .. }) => {
            CommandError::Unanswered { adapter, reason }
        }
        GattError::PairingNeeded { .. } | GattError::NotPermitted { .. } | GattError::TooLong { .. } => {
            CommandError::Refused { adapter, reason }
        }
        _ => CommandError::Unreachable { adapter, reason },
    }
}

fn tell(done: oneshot::Sender<Result<(), CommandError>>, result: Result<(), CommandError>) {
    // Whoever gave the command may have stopped waiting.
    let _ = done.send(result);
}
