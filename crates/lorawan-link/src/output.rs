//! What comes out of a network: datagrams to send, sessions to store, and what happened.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::data_rate::DataRate;
use crate::device::DeviceState;
use crate::ids::{DevAddr, Eui};
use crate::mac::Status;
use crate::reason::Reason;
use crate::semtech::{Antenna, Rxpk, TxError};

/// What there is to do or to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// An answer to a forwarder's datagram. May leave at once, whatever waits to be stored.
    Send {
        /// Its address.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A frame for a device, in a datagram for a forwarder.
    Transmit(Transmission),
    /// The state of a device has changed: what was stored of it before is out of date. To be stored before the outputs
    /// behind this one are acted on.
    Store {
        /// For [`Network::stored`](crate::Network::stored); only a join waits for it.
        token: StoreToken,
        /// What to store, under the token's device.
        state: Box<DeviceState>,
    },
    /// A frame of a device.
    Uplink(Box<Uplink>),
    /// A device has used the session that its join accept offered.
    Joined {
        /// The device.
        device: Eui,
        /// Its new address.
        address: DevAddr,
    },
    /// What became of a downlink.
    Downlink {
        /// The device.
        device: Eui,
        /// Which one.
        id: DownlinkId,
        /// What became of it.
        outcome: Outcome,
    },
    /// A datagram or a frame was not taken.
    Refused {
        /// Why.
        reason: Reason,
        /// Who sent the datagram.
        from: SocketAddr,
        /// Its forwarder.
        gateway: Option<Eui>,
        /// The device that it claims to be from.
        claimed: Option<Claimed>,
    },
}

/// A frame that a forwarder is to send. It may leave when all is stored that came out before it; the host says which it
/// was: [`Network::left`](crate::Network::left) or [`Network::withheld`](crate::Network::withheld).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    /// Its name.
    pub id: TransmissionId,
    /// The forwarder's address.
    pub to: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
    /// After this it is no use to the device any more.
    pub until: Instant,
}

/// Names a transmission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransmissionId(pub(crate) u64);

/// Who a refused frame claims to be from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// A data frame says this.
    Address(DevAddr),
    /// A join request says this.
    Device(Eui),
}

/// A frame of a device, in the clear.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    /// For [`Network::taken`](crate::Network::taken).
    pub token: UplinkToken,
    /// Whose it is.
    pub device: Eui,
    /// Its address.
    pub address: DevAddr,
    /// Its whole counter.
    pub f_cnt: u32,
    /// Whether the device waits for an answer: it gets one when the frame is [taken](crate::Network::taken).
    pub confirmed: bool,
    /// What it carries for the application.
    pub data: Option<Data>,
    /// Frames between the last one and this that were not heard.
    pub frames_lost: u32,
    /// It came before, and the host has not said that it has it.
    pub again: bool,
    /// The frame before this one was [not taken](crate::Network::untaken), and its device has given it up.
    pub one_given_up: bool,
    /// The forwarder's time where it is near ours, else when it came.
    pub time: Timestamp,
    /// How long it was on the air.
    pub airtime: Duration,
    /// Who heard it, the best first; never empty.
    pub receivers: Vec<Receiver>,
    /// How the device feels, where it says so.
    pub status: Option<Status>,
}

/// What a frame carries for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// 1 to 255; from 224 on reserved.
    pub f_port: u8,
    /// In the clear; may be empty.
    pub payload: Vec<u8>,
}

/// How a forwarder heard a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    /// The forwarder.
    pub gateway: Eui,
    /// Its concentrator's clock at the end of the frame, in microseconds, modulo 2³².
    pub tmst: u32,
    /// Its time.
    pub time: Option<Timestamp>,
    /// Nanoseconds within the second by its fine clock.
    pub fine_time: Option<u32>,
    /// In dBm.
    pub rssi: f32,
    /// In dB; none for FSK.
    pub snr: Option<f32>,
    /// In Hz.
    pub frequency: u32,
    /// Modulation and speed.
    pub data_rate: DataRate,
    /// `4/5`; none for FSK.
    pub coding_rate: Option<String>,
    /// The concentrator's channel.
    pub channel: Option<u8>,
    /// Each antenna's view, where there is more than one.
    pub antennas: Vec<Antenna>,
}

impl Receiver {
    /// The forwarder's view, and the frame.
    pub(crate) fn split(gateway: Eui, rxpk: Rxpk) -> (Self, Vec<u8>) {
        let receiver = Self {
            gateway,
            tmst: rxpk.tmst,
            time: rxpk.time,
            fine_time: rxpk.fine_time,
            rssi: rxpk.rssi,
            snr: rxpk.snr,
            frequency: rxpk.frequency,
            data_rate: rxpk.data_rate,
            coding_rate: rxpk.coding_rate,
            channel: rxpk.channel,
            antennas: rxpk.antennas,
        };
        (receiver, rxpk.data)
    }

    /// What to compare receivers by: SNR, then RSSI.
    pub(crate) fn quality(&self) -> (f32, f32) {
        (self.snr.unwrap_or(f32::NEG_INFINITY), self.rssi)
    }
}

/// Names an uplink that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UplinkToken {
    pub(crate) device: Eui,
    pub(crate) serial: u64,
}

/// Names a state that is to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreToken {
    /// Whose state it is.
    pub device: Eui,
    pub(crate) serial: u64,
}

/// Names a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DownlinkId(pub(crate) u64);

/// What became of a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It left for a forwarder, which did not say that it could not send it.
    Sent,
    /// The device has confirmed it.
    Acknowledged,
    /// The device or the network has not got it.
    Failed(Failure),
}

/// Why a downlink failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The forwarder could not send it.
    #[error("the packet forwarder could not send: {0:?}")]
    Forwarder(TxError),
    /// The device's next frame did not confirm it.
    #[error("the device did not confirm it")]
    NotAcknowledged,
    /// The device's data rate does not allow so long a frame.
    #[error("the payload is too long for the device's data rate")]
    TooLong,
    /// The session can count no further.
    #[error("the session's counter is used up: the device has to join again")]
    CounterExhausted,
    /// The host did not let it leave in time.
    #[error("it could not leave in time: the session behind it was not on disk, or the socket had no room")]
    Withheld,
    /// The device is no longer known.
    #[error("the device was removed")]
    Removed,
}

/// Why a downlink is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No device has this DevEUI.
    #[error(
        "no LoRaWAN device has the DevEUI {device}: add it under [devices.*] with lorawan = {{ dev_eui = … }}"
    )]
    UnknownDevice {
        /// The DevEUI.
        device: Eui,
    },
    /// Not a port for applications.
    #[error("LoRaWAN port {f_port} is not for applications: use 1 to 223")]
    Port {
        /// The port.
        f_port: u8,
    },
    /// Longer than any data rate of the region allows.
    #[error("a LoRaWAN payload of {length} bytes is too long: {most} is the most")]
    TooLong {
        /// In bytes.
        length: usize,
        /// In bytes.
        most: usize,
    },
    /// The device has too many downlinks waiting.
    #[error("{waiting} downlinks wait for the device {device}; it gets one after each of its own frames")]
    QueueFull {
        /// The DevEUI.
        device: Eui,
        /// How many wait.
        waiting: usize,
    },
}
