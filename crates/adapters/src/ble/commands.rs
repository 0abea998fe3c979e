//! Commands to devices: a value is written to a characteristic, over an existing or a new connection.
//!
//! Each command is answered within about [`COMMAND_TIMEOUT`], and at most [`MAX_PENDING_COMMANDS`] wait for a device.

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
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// Commands queued for one device.
pub(super) const MAX_PENDING_COMMANDS: usize = 16;

/// A value that is to be written.
#[derive(Debug)]
pub(super) struct WriteRequest {
    adapter: AdapterId,
    characteristic: Uuid,
    value: Bytes,
    done: oneshot::Sender<Result<(), CommandError>>,
    /// The device must be connected by then.
    pub(super) due: Instant,
}

impl WriteRequest {
    /// The request of a command, and the address of the device. An impossible command is answered.
    pub(super) fn new(command: Command, adapter: &AdapterId) -> Option<(String, Self)> {
        let Command { target, payload: value, done } = command;
        let refused = |reason: String| Err(CommandError::Refused { adapter: adapter.clone(), reason });
        let Some(CharacteristicTarget { device, characteristic }) = target.get() else {
            answer(done, refused(format!("{target} is no characteristic of a Bluetooth device")));
            return None;
        };
        match characteristic.parse() {
            Ok(characteristic) => {
                let due = Instant::now() + COMMAND_TIMEOUT;
                let order = Self { adapter: adapter.clone(), characteristic, value, done, due };
                Some((device.to_ascii_uppercase(), order))
            }
            Err(error) => {
                answer(done, refused(format!("{characteristic} {error}")));
                None
            }
        }
    }

    /// Writes the value and answers the command.
    pub(super) async fn execute(self, peripheral: &Peripheral) {
        let mut all = peripheral.characteristics().iter();
        let found = all.find(|it| it.uuid == self.characteristic && it.is_writable());
        let result = match found {
            Some(characteristic) => {
                let written = peripheral.write(characteristic, &self.value).await;
                written.map_err(|error| command_error(&self.adapter, &error))
            }
            None => {
                let reason =
                    format!("the device has no characteristic {} that can be written", self.characteristic);
                Err(CommandError::Refused { adapter: self.adapter.clone(), reason })
            }
        };
        answer(self.done, result);
    }

    /// The device could not be connected.
    pub(super) fn unreachable(self, reason: &str) {
        let error = CommandError::Unreachable { adapter: self.adapter, reason: reason.to_owned() };
        answer(self.done, Err(error));
    }

    /// The queue is full.
    pub(super) fn busy(self) {
        answer(self.done, Err(CommandError::Busy { adapter: self.adapter }));
    }

    /// The adapter does not run.
    pub(super) fn not_connected(self) {
        answer(self.done, Err(CommandError::NotConnected { adapter: self.adapter }));
    }
}

fn command_error(adapter: &AdapterId, error: &GattError) -> CommandError {
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

fn answer(done: oneshot::Sender<Result<(), CommandError>>, result: Result<(), CommandError>) {
    // The sender of the command may have stopped waiting.
    let _ = done.send(result);
}
