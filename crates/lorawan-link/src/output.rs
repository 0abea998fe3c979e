//! The outputs of a network: datagrams to send, states to store, and events.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::data_rate::DataRate;
use crate::device::DeviceState;
use crate::ids::{DevAddr, Eui};
use crate::mac::Status;
use crate::reason::Reason;
use crate::semtech::{Antenna, Rxpk, TxError};

#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// An answer to a forwarder's datagram. It may be sent at once, even while a state waits to be stored.
    Send {
        /// Its address.
        to: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A downlink frame for a forwarder.
    Transmit(Transmission),
    /// The state of a device has changed. Store it before handling later outputs.
    Store {
        /// For [`Network::state_stored`](crate::Network::state_stored); only a join waits for it.
        token: StoreToken,
        /// The state of the token's device.
        state: Box<DeviceState>,
    },
    Uplink(Box<Uplink>),
    /// A device has used the session offered by its join accept.
    Joined {
        device: Eui,
        address: DevAddr,
    },
    /// The result of a downlink.
    Downlink {
        device: Eui,
        id: DownlinkId,
        outcome: Outcome,
    },
    /// A datagram or a frame was rejected.
    Refused {
        reason: Reason,
        from: SocketAddr,
        gateway: Option<Eui>,
        claimed: Option<Claimed>,
    },
}

/// A frame for a forwarder. Send it after all earlier states are stored, and report it with
/// [`Network::transmission_sent`](crate::Network::transmission_sent) or
/// [`Network::transmission_cancelled`](crate::Network::transmission_cancelled).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmission {
    pub id: TransmissionId,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    /// After this time it is too late for the device.
    pub until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransmissionId(pub(crate) u64);

/// The claimed sender of a rejected frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// In a data frame.
    Address(DevAddr),
    /// In a join request.
    Device(Eui),
}

/// A decrypted uplink.
#[derive(Debug, Clone, PartialEq)]
pub struct Uplink {
    /// For [`Network::uplink_accepted`](crate::Network::uplink_accepted).
    pub token: UplinkToken,
    pub device: Eui,
    pub address: DevAddr,
    /// The full 32-bit counter.
    pub f_cnt: u32,
    /// Whether the device expects an acknowledgement; it is sent when the uplink is
    /// [accepted](crate::Network::uplink_accepted).
    pub confirmed: bool,
    /// The application data.
    pub data: Option<Data>,
    /// The number of missing frames since the last uplink.
    pub frames_lost: u32,
    /// It was reported before and has not been accepted.
    pub again: bool,
    /// The previous uplink was [rejected](crate::Network::uplink_rejected), and the device has given up on it.
    pub one_given_up: bool,
    /// The forwarder's time if it is near ours, otherwise the time of arrival.
    pub time: Timestamp,
    pub airtime: Duration,
    /// The best first; never empty.
    pub receivers: Vec<Receiver>,
    /// The status of the device, if the frame reports it.
    pub status: Option<Status>,
}

/// The application data of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// 1 to 255; 224 and above are reserved.
    pub f_port: u8,
    /// Decrypted; may be empty.
    pub payload: Vec<u8>,
}

/// How a forwarder received a frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Receiver {
    pub gateway: Eui,
    /// The concentrator's clock at the end of the frame in microseconds, modulo 2³².
    pub tmst: u32,
    pub time: Option<Timestamp>,
    /// Nanoseconds within the second of the fine timestamp.
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
    /// Separates the metadata from the frame.
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

    /// Compares receivers: SNR, then RSSI.
    pub(crate) fn quality(&self) -> (f32, f32) {
        (self.snr.unwrap_or(f32::NEG_INFINITY), self.rssi)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UplinkToken {
    pub(crate) device: Eui,
    pub(crate) serial: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StoreToken {
    pub device: Eui,
    pub(crate) serial: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DownlinkId(pub(crate) u64);

/// The result of a downlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was sent to a forwarder, which did not report an error.
    Sent,
    Acknowledged,
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    #[error("the packet forwarder could not send: {0:?}")]
    Forwarder(TxError),
    #[error("the device did not confirm it")]
    NotAcknowledged,
    #[error("the payload is too long for the device's data rate")]
    TooLong,
    #[error("the session's counter is used up: the device has to join again")]
    CounterExhausted,
    #[error("it was not sent in time: the session's state was not on disk yet, or the socket had no room")]
    Withheld,
    #[error("the device was removed")]
    Removed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error(
        "no LoRaWAN device has the DevEUI {device}: add it under [devices.*] with lorawan = {{ dev_eui = … }}"
    )]
    UnknownDevice { device: Eui },
    #[error("LoRaWAN port {f_port} is not for applications: use 1 to 223")]
    Port { f_port: u8 },
    #[error("a LoRaWAN payload of {length} bytes is too long: {most} is the most")]
    TooLong { length: usize, most: usize },
    #[error(
        "{waiting} downlinks are queued for the device {device}; one is sent after each of its own frames"
    )]
    QueueFull { device: Eui, waiting: usize },
}
