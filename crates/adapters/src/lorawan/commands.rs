//! Commands to devices: queues one downlink for each, and reports its result.
//!
//! A command is done when a forwarder has sent it or, for a confirmed one, when the device has acknowledged it. A class A
//! device listens only after its own uplinks, so a command may wait for hours. Commands that wait at the stop fail.

use std::collections::HashMap;

use bytes::Bytes;
use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError, Target};
use lorawan_link::{DownlinkId, Eui, Failure, Network, Now, Outcome, SendError};
use tokio::sync::oneshot;

use super::adapter::KnownDevice;
use crate::downlink::{DownlinkContent, DownlinkTarget};

#[derive(Debug)]
struct InFlight {
    confirmed: bool,
    done: oneshot::Sender<Result<(), CommandError>>,
}

#[derive(Debug)]
pub(super) struct Commands {
    adapter: AdapterId,
    /// Bounded by the devices' queues and the downlinks at forwarders.
    in_flight: HashMap<DownlinkId, InFlight>,
}

impl Commands {
    pub(super) fn new(adapter: &AdapterId) -> Self {
        Self { adapter: adapter.clone(), in_flight: HashMap::new() }
    }

    /// Puts a command into its device's queue, or completes it with an error.
    pub(super) fn accept(
        &mut self,
        command: Command,
        devices: &[KnownDevice],
        network: &mut Network,
        now: Now,
    ) {
        let Command { target, payload, done } = command;
        match self.send(&target, &payload, devices, network, now) {
            Ok((id, confirmed)) => {
                self.in_flight.insert(id, InFlight { confirmed, done });
            }
            Err(error) => complete(done, Err(error)),
        }
    }

    fn send(
        &self,
        target: &Target,
        payload: &Bytes,
        devices: &[KnownDevice],
        network: &mut Network,
        now: Now,
    ) -> Result<(DownlinkId, bool), CommandError> {
        let Some(DownlinkTarget { device, port, confirmed, content }) = target.get() else {
            return Err(self.refused(format!("{target} is no LoRaWAN device")));
        };
        if *content != DownlinkContent::Bytes {
            return Err(self.refused(format!("the payload for {target} is not encoded")));
        }
        let dev_eui = find(device, devices)
            .ok_or_else(|| self.refused(format!("there is no LoRaWAN device {device}")))?;
        let id =
            network.send(dev_eui, *port, payload.to_vec(), *confirmed, now).map_err(|error| match error {
                SendError::QueueFull { .. } => CommandError::Busy { adapter: self.adapter.clone() },
                SendError::UnknownDevice { .. } | SendError::Port { .. } | SendError::TooLong { .. } => {
                    self.refused(error.to_string())
                }
            })?;
        Ok((id, *confirmed))
    }

    /// Takes the outcome of a downlink.
    pub(super) fn handle_outcome(&mut self, id: DownlinkId, outcome: Outcome) {
        let Some(command) = self.in_flight.remove(&id) else { return };
        let result = match outcome {
            Outcome::Sent if command.confirmed => {
                self.in_flight.insert(id, command);
                return;
            }
            Outcome::Sent | Outcome::Acknowledged => Ok(()),
            Outcome::Failed(failure) => Err(self.failed(failure)),
        };
        complete(command.done, result);
    }

    fn failed(&self, failure: Failure) -> CommandError {
        let (adapter, reason) = (self.adapter.clone(), failure.to_string());
        match failure {
            Failure::NotAcknowledged => CommandError::Unanswered { adapter, reason },
            Failure::Forwarder(_) | Failure::Withheld => CommandError::Unreachable { adapter, reason },
            Failure::TooLong | Failure::CounterExhausted | Failure::Removed => self.refused(reason),
        }
    }

    /// Completes all commands with an error.
    pub(super) fn cancel_all(&mut self) {
        for command in std::mem::take(&mut self.in_flight).into_values() {
            complete(command.done, Err(CommandError::NotConnected { adapter: self.adapter.clone() }));
        }
    }

    fn refused(&self, reason: String) -> CommandError {
        CommandError::Refused { adapter: self.adapter.clone(), reason }
    }
}

/// Finds a device by the name of its table or by its DevEUI.
fn find(text: &str, devices: &[KnownDevice]) -> Option<Eui> {
    let named = devices.iter().find(|known| known.name == text);
    let eui = || text.parse::<Eui>().ok();
    named.map(|known| known.config.dev_eui).or_else(eui)
}

fn complete(done: oneshot::Sender<Result<(), CommandError>>, result: Result<(), CommandError>) {
    // Fails if the sender of the command no longer waits.
    let _ = done.send(result);
}
