//! The reasons for which input is rejected. Each is counted.

use std::fmt;

/// Why a datagram or a frame in it is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// A datagram too short for its kind.
    DatagramShort,
    /// A version of the protocol that is neither 1 nor 2.
    Version,
    /// A kind of datagram that no forwarder sends.
    DatagramKind,
    /// The forwarder is not on the list of allowed ones.
    GatewayUnknown,
    /// Too many forwarders.
    GatewaysFull,
    /// A PUSH_DATA whose JSON is broken.
    Json,
    /// A PUSH_DATA with more than 255 frames; those are read.
    FramesMany,
    /// A received frame without what it needs, or with a value of a wrong type.
    Rxpk,
    /// Not a modulation or data rate of LoRaWAN.
    DataRate,
    /// The PHYPayload is not base64.
    Base64,
    /// The PHYPayload does not have the stated length.
    Size,
    /// The checksum is wrong.
    CrcFailed,
    /// An uplink without a checksum.
    CrcMissing,
    /// A frame too short for its type, or one whose parts overrun it.
    FrameShort,
    /// A frame longer than 255 bytes.
    FrameLong,
    /// A major version other than LoRaWAN R1.
    Major,
    /// A downlink or join accept of another gateway or network.
    Downlink,
    /// A rejoin request of LoRaWAN 1.1.
    Rejoin,
    /// A proprietary frame.
    Proprietary,
    /// MAC commands in FOpts and under port 0 at once.
    TwiceMac,
    /// No device has this address.
    AddressUnknown,
    /// No device has this DevEUI.
    DeviceUnknown,
    /// A join request of an ABP device, or with another JoinEUI.
    JoinEui,
    /// An invalid MIC: a frame of another device, a wrong key, or a forgery.
    Mic,
    /// A frame that was received before, or an older one.
    Replay,
    /// A copy of the last frame from a slow forwarder.
    LateCopy,
    /// The repetition of an unacknowledged confirmed frame: acknowledged again, counted once.
    Repeated,
    /// A counter too far ahead.
    Gap,
    /// The device's counters were lost, so its frame may be a replay.
    CountersLost,
    /// A used DevNonce.
    DevNonce,
    /// A device has used up its AppNonces, or its network all addresses.
    JoinExhausted,
}

impl Reason {
    /// A short name for logs and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DatagramShort => "datagram_short",
            Self::Version => "version",
            Self::DatagramKind => "datagram_kind",
            Self::GatewayUnknown => "gateway_unknown",
            Self::GatewaysFull => "gateways_full",
            Self::Json => "json",
            Self::FramesMany => "frames_many",
            Self::Rxpk => "rxpk",
            Self::DataRate => "data_rate",
            Self::Base64 => "base64",
            Self::Size => "size",
            Self::CrcFailed => "crc_failed",
            Self::CrcMissing => "crc_missing",
            Self::FrameShort => "frame_short",
            Self::FrameLong => "frame_long",
            Self::Major => "major",
            Self::Downlink => "downlink",
            Self::Rejoin => "rejoin",
            Self::Proprietary => "proprietary",
            Self::TwiceMac => "twice_mac",
            Self::AddressUnknown => "address_unknown",
            Self::DeviceUnknown => "device_unknown",
            Self::JoinEui => "join_eui",
            Self::Mic => "mic",
            Self::Replay => "replay",
            Self::LateCopy => "late_copy",
            Self::Repeated => "repeated",
            Self::Gap => "gap",
            Self::CountersLost => "counters_lost",
            Self::DevNonce => "dev_nonce",
            Self::JoinExhausted => "join_exhausted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DatagramShort => "the datagram is too short",
            Self::Version => "the datagram has a version other than 1 and 2",
            Self::DatagramKind => "the datagram is of a kind that no forwarder sends",
            Self::GatewayUnknown => "the forwarder's EUI is not among those allowed",
            Self::GatewaysFull => "there are more forwarders than there is room for",
            Self::Json => "the datagram's JSON is broken",
            Self::FramesMany => "the datagram has more than 255 frames",
            Self::Rxpk => "a received frame lacks a value or has one of a wrong type",
            Self::DataRate => "the data rate is not one of LoRaWAN's",
            Self::Base64 => "the frame is no base64",
            Self::Size => "the frame is not as long as the forwarder says",
            Self::CrcFailed => "the frame's checksum is wrong",
            Self::CrcMissing => "the frame has no checksum",
            Self::FrameShort => "the frame is too short for its type",
            Self::FrameLong => "the frame is longer than 255 bytes",
            Self::Major => "the frame's major version is not LoRaWAN R1",
            Self::Downlink => "the frame is a downlink",
            Self::Rejoin => "the frame is a rejoin request of LoRaWAN 1.1",
            Self::Proprietary => "the frame is proprietary",
            Self::TwiceMac => "the frame has MAC commands in two places",
            Self::AddressUnknown => "no device has the frame's address",
            Self::DeviceUnknown => "no device has this DevEUI",
            Self::JoinEui => "the device is not to join, or not with this JoinEUI",
            Self::Mic => "the frame's integrity code is wrong: check the device's keys",
            Self::Replay => "the frame's counter was in use before",
            Self::LateCopy => "another forwarder has delivered the frame already",
            Self::Repeated => "a confirmed frame was sent again",
            Self::Gap => "the frame's counter is too far ahead",
            Self::CountersLost => {
                "the device's counters were lost, so the frame may be an old one: write its fcnt_up"
            }
            Self::DevNonce => "the join request's DevNonce was in use before",
            Self::JoinExhausted => "the device has joined too often, or the network has no address left",
        })
    }
}
