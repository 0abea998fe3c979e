//! MAC commands (LoRaWAN 1.0.4, section 5): parses those of devices and builds those of the network.

use jiff::Timestamp;

use crate::region::ChannelMask;

/// Seconds from the Unix epoch to that of GPS, 1980-01-06.
const GPS_EPOCH: i64 = 315_964_800;
/// GPS time is ahead of UTC by this since 2017-01-01.
const LEAP_SECONDS: i64 = 18;

/// The status of a device (DevStatusAns).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    pub battery: Battery,
    /// The SNR margin of its last downlink in dB, -32 to 31.
    pub margin: i8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Battery {
    External,
    /// From 1 (empty) to 254 (full).
    Level(u8),
    /// The device cannot measure it.
    Unknown,
}

impl Battery {
    /// Per cent, 0 to 100.
    #[must_use]
    pub fn percent(self) -> Option<f64> {
        match self {
            Self::Level(level) => Some((f64::from(level) - 1.0) / 253.0 * 100.0),
            Self::External | Self::Unknown => None,
        }
    }
}

/// The commands of one frame; of a repeated command the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct ReceivedCommands {
    pub(crate) link_check: bool,
    pub(crate) device_time: bool,
    pub(crate) status: Option<Status>,
    /// Whether it accepted a LinkADRReq.
    pub(crate) adr: Option<bool>,
}

/// Parses the commands of an uplink up to the first unknown or truncated one, because commands carry no length.
pub(crate) fn read(mut commands: &[u8]) -> ReceivedCommands {
    let mut said = ReceivedCommands::default();
    while let [identifier, rest @ ..] = commands {
        let Some((content, behind)) = length(*identifier).and_then(|length| rest.split_at_checked(length))
        else {
            break;
        };
        match (identifier, content) {
            (0x02, _) => said.link_check = true,
            (0x03, [answer]) => said.adr = Some(answer & 0b111 == 0b111),
            (0x06, [battery, margin]) => said.status = Some(status(*battery, *margin)),
            (0x0d, _) => said.device_time = true,
            _ => {}
        }
        commands = behind;
    }
    said
}

/// The payload length of an uplink command.
const fn length(identifier: u8) -> Option<usize> {
    Some(match identifier {
        // LinkCheckReq, DutyCycleAns, RXTimingSetupAns, TxParamSetupAns, DeviceTimeReq, BeaconTimingReq.
        0x02 | 0x04 | 0x08 | 0x09 | 0x0d | 0x12 => 0,
        // LinkADRAns, RXParamSetupAns, NewChannelAns, DlChannelAns, PingSlotInfoReq, PingSlotChannelAns, BeaconFreqAns.
        0x03 | 0x05 | 0x07 | 0x0a | 0x10 | 0x11 | 0x13 => 1,
        // DevStatusAns.
        0x06 => 2,
        _ => return None,
    })
}

fn status(battery: u8, margin: u8) -> Status {
    let battery = match battery {
        0 => Battery::External,
        255 => Battery::Unknown,
        level => Battery::Level(level),
    };
    // Six bits with a sign.
    Status { battery, margin: (margin << 2).cast_signed() >> 2 }
}

/// LinkCheckAns: the SNR margin of the uplink in whole dB, and the number of gateways that received it.
pub(crate) fn link_check(margin: f32, gateways: usize) -> [u8; 3] {
    [0x02, margin.clamp(0.0, 254.0) as u8, u8::try_from(gateways).unwrap_or(u8::MAX)]
}

/// DeviceTimeAns: GPS time at the end of the uplink, in seconds and 256ths.
pub(crate) fn device_time(time: Timestamp) -> [u8; 6] {
    let seconds = time.as_second() - GPS_EPOCH + LEAP_SECONDS;
    let [a, b, c, d, ..] = seconds.to_le_bytes();
    let fraction = time.subsec_nanosecond() / 3_906_250;
    [0x0d, a, b, c, d, u8::try_from(fraction).unwrap_or(0)]
}

/// LinkADRReq: a data rate and a power, each frame sent once.
pub(crate) fn link_adr(data_rate: u8, power: u8, channels: ChannelMask) -> [u8; 5] {
    let [low, high] = channels.mask.to_le_bytes();
    [0x03, data_rate << 4 | power & 0x0f, low, high, (channels.control & 7) << 4 | 1]
}

/// DevStatusReq.
pub(crate) const STATUS: [u8; 1] = [0x06];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_commands_is_read_to_its_end() {
        let said = read(&[0x04, 0x05, 0x07, 0x06, 0xfe, 0x3f, 0x02, 0x03, 0x07, 0x0d]);
        assert!(said.link_check && said.device_time);
        assert_eq!(said.adr, Some(true));
        assert_eq!(said.status, Some(Status { battery: Battery::Level(254), margin: -1 }));
    }

    #[test]
    fn an_unknown_or_cut_command_ends_the_reading() {
        assert_eq!(
            read(&[0x02, 0x80, 0x0d]),
            ReceivedCommands { link_check: true, ..ReceivedCommands::default() }
        );
        assert_eq!(
            read(&[0x0d, 0x06, 0xff]),
            ReceivedCommands { device_time: true, ..ReceivedCommands::default() }
        );
        assert_eq!(read(&[]), ReceivedCommands::default());
    }

    #[test]
    fn batteries_are_per_cent_or_something_else() {
        assert_eq!(
            (status(254, 0).battery.percent(), status(1, 0).battery.percent()),
            (Some(100.0), Some(0.0))
        );
        assert_eq!((status(0, 0).battery, status(255, 0).battery), (Battery::External, Battery::Unknown));
        assert_eq!((status(0, 20).margin, status(0, 31).margin, status(0, 32).margin), (20, 31, -32));
    }

    #[test]
    fn time_is_that_of_gps_with_leap_seconds() {
        // 2017-01-01T00:00:00Z was 1167264018 s of GPS time.
        let time = "2017-01-01T00:00:00.5Z".parse().unwrap();
        let [identifier, a, b, c, d, fraction] = device_time(time);
        assert_eq!((identifier, u32::from_le_bytes([a, b, c, d]), fraction), (0x0d, 1_167_264_018, 128));
    }

    #[test]
    fn answers_are_written_as_the_specification_has_them() {
        assert_eq!(link_check(12.7, 3), [0x02, 12, 3]);
        assert_eq!(link_check(-3.0, 1_000), [0x02, 0, 255]);
        assert_eq!(link_adr(5, 2, ChannelMask { mask: 0x00ff, control: 6 }), [0x03, 0x52, 0xff, 0, 0x61]);
    }
}
