//! Commands to devices: one downlink each, in the device's queue, and what became of it.
//!
//! A command is done when a forwarder has sent it, or, where it asks for that, when the device has confirmed it. A device
//! of class A listens only after its own uplinks: a command may wait for hours. What waits at the stop has failed.

use std::collections::HashMap;

use bytes::Bytes;
use gateway_core::AdapterId;
use gateway_core::ports::{Command, CommandError, Target};
use lorawan_link::{DownlinkId, Eui, Failure, Network, Now, Outcome, SendError};
use tokio::sync::oneshot;

use super::adapter::KnownDevice;
use crate::downlink::{DownlinkContent, DownlinkTarget};

#[derive(Debug)]
struct UnderWay {
    confirmed: bool,
    done: oneshot::Sender<Result<(), CommandError>>,
}

#[derive(Debug)]
pub(super) struct Commands {
    adapter: AdapterId,
    /// As many as the devices' queues hold, and those that forwarders have.
    under_way: HashMap<DownlinkId, UnderWay>,
}

impl Commands {
    pub(super) fn new(adapter: &AdapterId) -> Self {
        Self { adapter: adapter.clone(), under_way: HashMap::new() }
    }

    /// Puts a command into its device's queue; one that cannot be given is told so.
    pub(super) fn take(
        &mut self,
        command: Command,
        devices: &[KnownDevice],
        network: &mut Network,
        now: Now,
    ) {
        let Command { target, payload, done } = command;
        match self.send(&target, &payload, devices, network, now) {
            Ok((id, confirmed)) => {
                self.under_way.insert(id, UnderWay { confirmed, done });
            }
            Err(error) => tell(done, Err(error)),
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

    /// What the network tells of a downlink.
    pub(super) fn told(&mut self, id: DownlinkId, outcome: Outcome) {
        let Some(command) = self.under_way.remove(&id) else { return };
        let result = match outcome {
            Outcome::Sent if command.confirmed => {
                self.under_way.insert(id, command);
                return;
            }
            Outcome::Sent | Outcome::Acknowledged => Ok(()),
            Outcome::Failed(failure) => Err(self.failed(failure)),
        };
        tell(command.done, result);
    }

    fn failed(&self, failure: Failure) -> CommandError {
        let (adapter, reason) = (self.adapter.clone(), failure.to_string());
        match failure {
            Failure::NotAcknowledged => CommandError::Unanswered { adapter, reason },
            Failure::Forwarder(_) | Failure::Withheld => CommandError::Unreachable { adapter, reason },
            Failure::TooLong | Failure::CounterExhausted | Failure::Removed => self.refused(reason),
        }
    }

    /// Nobody waits for devices any more.
    pub(super) fn give_up(&mut self) {
        for command in std::mem::take(&mut self.under_way).into_values() {
            tell(command.done, Err(CommandError::NotConnected { adapter: self.adapter.clone() }));
        }
    }

    fn refused(&self, reason: String) -> CommandError {
        CommandError::Refused { adapter: self.adapter.clone(), reason }
    }
}

/// By the name of its table, or by its DevEUI.
fn find(said: &str, devices: &[KnownDevice]) -> Option<Eui> {
    let named = devices.iter().find(|known| known.name == said);
    let eui = || said.parse::<Eui>().ok();
    named.map(|known| known.config.dev_eui).or_else(eui)
}

fn tell(done: oneshot::Sender<Result<(), CommandError>>, result: Result<(), CommandError>) {
    // Whoever gave the command may have stopped waiting.
    let _ = done.send(result);
}
