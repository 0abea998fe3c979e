//! The link of a node over LoRaWAN in Europe (EU868, class A, joining over the air), for any radio and timer of `lorawan-device`.
//!
//! Frames go up on port 2 and commands come down on it. Guarantees: an uplink that asked for an answer and got none is an error,
//! so that the node keeps the frame; a network that has forgotten the node is joined again; no two uplinks of a session share
//! a frame counter. The session is in RAM only: after a restart the node joins again.

#![no_std]
#![allow(async_fn_in_trait, reason = "a node has one thread: its futures need not be Send")]

mod rates;

use lorawan_device::async_device::radio::{PhyRxTx, Timer};
use lorawan_device::async_device::region::{Configuration, DR};
use lorawan_device::async_device::{Device, JoinMode, JoinResponse, SendResponse, Timings};
use lorawan_device::default_crypto::DefaultFactory;
use lorawan_device::{AppEui, AppKey, DevEui, Prng, Region};
use node_core::{Command, Delivery, Link, LinkError};
pub use rates::{Next, Policy, Rate};

/// The port of frames and commands.
pub const PORT: u8 = 2;

/// The longest frame in bytes: what the slowest data rate carries, of LoRaWAN Regional Parameters (EU863-870, M without
/// repeater). Answers to the network's own commands may make an uplink longer by up to 15 bytes.
pub const MTU: usize = 51;

/// How many commands wait until the node asks for them.
const COMMANDS: usize = 4;

/// Who the node is in the network, all in the order in which they are printed: the most significant byte first.
#[derive(Clone)]
pub struct Credentials {
    /// The node's own number.
    pub dev_eui: [u8; 8],
    /// The join server's number; zeros where there is one network only.
    pub join_eui: [u8; 8],
    /// The node's key.
    pub app_key: [u8; 16],
}

impl core::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // The key belongs in no log.
        f.debug_struct("Credentials").field("dev_eui", &self.dev_eui).finish_non_exhaustive()
    }
}

/// How the link uses the band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The data rate that the node begins with, and its fastest.
    pub fastest: Rate,
    /// Whether it rests after each uplink as [`Rate::pause_seconds`] says, as the law wants it. Off for simulated radios only.
    pub keeps_duty_cycle: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { fastest: Rate::Dr3, keeps_duty_cycle: true }
    }
}

/// The link.
pub struct LorawanLink<R: PhyRxTx + Timings, T: Timer> {
    device: Device<R, DefaultFactory, T, Prng>,
    credentials: Credentials,
    settings: Settings,
    policy: Policy,
    is_joined: bool,
    commands: heapless::Deque<Command, COMMANDS>,
}

impl<R: PhyRxTx + Timings, T: Timer> LorawanLink<R, T> {
    /// A link without a session; the first delivery joins.
    ///
    /// `seed` comes from a true random number generator, anew at each start: the numbers of join requests (DevNonce) are drawn
    /// from it, and a network refuses one that it has seen. A refused join is tried again with another number. Networks that
    /// want counted numbers, as LoRaWAN 1.0.4 does, must have that check switched off for the node.
    pub fn new(radio: R, timer: T, seed: u64, credentials: Credentials, settings: Settings) -> Self {
        Self {
            device: Device::new_with_seed(Configuration::new(Region::EU868), radio, timer, seed),
            credentials,
            settings,
            policy: Policy::new(settings.fastest),
            is_joined: false,
            commands: heapless::Deque::new(),
        }
    }

    /// The radio, for tests.
    pub fn radio(&mut self) -> &mut R {
        self.device.get_mut_radio()
    }

    /// Whether there is a session.
    #[must_use]
    pub const fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// The data rate of the next uplink.
    #[must_use]
    pub const fn rate(&self) -> Rate {
        self.policy.rate()
    }

    async fn join(&mut self) -> Result<(), LinkError> {
        // LoRaWAN sends these numbers in the reverse order of how they are printed.
        let reversed = |mut eui: [u8; 8]| {
            eui.reverse();
            eui
        };
        let mode = JoinMode::OTAA {
            deveui: DevEui::from(reversed(self.credentials.dev_eui)),
            appeui: AppEui::from(reversed(self.credentials.join_eui)),
            appkey: AppKey::from(self.credentials.app_key),
        };
        self.device.set_datarate(data_rate(self.policy.rate()));
        if let Ok(JoinResponse::JoinSuccess) = self.device.join(&mode).await {
            self.policy.joined();
            self.is_joined = true;
            return Ok(());
        }
        self.policy.not_joined();
        Err(LinkError::Down)
    }

    fn leave(&mut self) {
        self.is_joined = false;
        self.policy.leave();
    }

    fn take_downlinks(&mut self) {
        while let Some(downlink) = self.device.take_downlink() {
            let Ok(command) = Command::from_slice(&downlink.data) else { continue };
            if downlink.fport == PORT {
                // Full: the gateway sends what had no effect again.
                let _ = self.commands.push_back(command);
            }
        }
    }
}

const fn data_rate(rate: Rate) -> DR {
    match rate {
        Rate::Dr0 => DR::_0,
        Rate::Dr1 => DR::_1,
        Rate::Dr2 => DR::_2,
        Rate::Dr3 => DR::_3,
        Rate::Dr4 => DR::_4,
        Rate::Dr5 => DR::_5,
    }
}

impl<R: PhyRxTx + Timings, T: Timer> Link for LorawanLink<R, T> {
    fn mtu(&self) -> usize {
        MTU
    }

    /// Joins if needed, then sends. `lorawan-device` takes any downlink as the answer to a confirmed uplink, also one without the
    /// acknowledgement bit: a network that sends such a downlink after losing the uplink costs that frame.
    async fn deliver(&mut self, frame: &[u8]) -> Result<Delivery, LinkError> {
        if frame.len() > MTU {
            return Err(LinkError::Refused);
        }
        if !self.is_joined {
            self.join().await?;
        }
        let is_confirmed = self.policy.confirms(frame);
        self.device.set_datarate(data_rate(self.policy.rate()));
        let response = self.device.send(frame, PORT, is_confirmed).await;
        self.take_downlinks();
        match response {
            Ok(SendResponse::DownlinkReceived(_)) => {
                self.policy.acknowledged();
                Ok(Delivery::Acknowledged)
            }
            Ok(SendResponse::RxComplete) => {
                self.policy.sent();
                Ok(Delivery::Sent)
            }
            Ok(SendResponse::NoAck) => {
                if self.policy.not_acknowledged() == Next::Join {
                    self.leave();
                }
                Err(LinkError::Down)
            }
            // The frame counter stays as it was when the radio fails, and the uplink may have been heard: another one must not
            // have its number, which is also the nonce of its encryption.
            Ok(SendResponse::SessionExpired) | Err(_) => {
                self.leave();
                Err(LinkError::Down)
            }
        }
    }

    fn take_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn pause_seconds(&self) -> u32 {
        if self.settings.keeps_duty_cycle { self.policy.rate().pause_seconds() } else { 0 }
    }
}
