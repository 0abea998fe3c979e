//! `switchbot`: SwitchBot's meters, contacts, motion and leak sensors, hubs, plugs, covers, locks and switches.
//!
//! Source: github.com/OpenWonderLabs/SwitchBotAPI-BLE, and for newer models pySwitchbot's documentation. Service data of
//! 0xFD3D (0x0D00 of the oldest) holds the model, flags and the battery; the manufacturer's data (company 0x0969) the
//! address, and from byte 6 on the values. Bots and remotes put it under 0x0059, without values.
//!
//! Without the service data, which some stacks get by scanning actively only, the model is not known, and nothing is read.

mod sensors;
mod switches;

use super::advertisement::{Advertisement, Uuid};
use super::readings::Readings;
use super::{BleProblem, Bytes, Packet};

pub(super) const COMPANY: u16 = 0x0969;
pub(super) const SERVICE: Uuid = Uuid::short(0xfd3d);
pub(super) const OLD_SERVICE: Uuid = Uuid::short(0x0d00);

/// What one device has sent: either may lack.
#[derive(Clone, Copy)]
struct DeviceData<'a> {
    service: Bytes<'a>,
    maker: Option<Bytes<'a>>,
}

impl<'a> DeviceData<'a> {
    fn of(advertisement: &Advertisement<'a>) -> Option<Self> {
        let filled = |uuid| advertisement.service(uuid).filter(|data| !data.is_empty());
        let service = filled(SERVICE).or_else(|| filled(OLD_SERVICE))?;
        Some(Self { service, maker: advertisement.manufacturer(COMPANY) })
    }

    /// The manufacturer's data, where it is as long as the model sends it.
    fn maker(&self, length: usize) -> Option<Bytes<'a>> {
        self.maker.filter(|data| data.len() >= length)
    }

    /// Byte 2 of the service data in all models that have a battery.
    fn battery(&self, out: &mut Readings<'_>) {
        if let Ok(byte) = self.service.u8(2) {
            out.measure("battery", f64::from(byte & 0x7f));
        }
    }
}

/// A model in the last bytes of the service data of newer devices.
const LONG_MODELS: [([u8; 3], &str); 24] = [
    ([0x10, 0xb9, 0x40], "Hub 3"),
    ([0x10, 0xf3, 0xd8], "Climate Panel"),
    ([0x11, 0x36, 0x40], "Radiator Thermostat"),
    ([0x10, 0xcc, 0xc8], "Presence Sensor"),
    ([0x10, 0x53, 0xb0], "Weather Station"),
    ([0x11, 0x69, 0x08], "Lock Lite"),
    ([0x11, 0x69, 0x09], "Lock Ultra"),
    ([0x10, 0xff, 0x90], "Lock Pro"),
    ([0x10, 0xd0, 0xb0], "Light"),
    ([0x10, 0xd0, 0xb1], "Light"),
    ([0x10, 0xd0, 0xb2], "Light"),
    ([0x10, 0xd0, 0xb3], "Light"),
    ([0x10, 0xd0, 0xb4], "Light"),
    ([0x10, 0xd0, 0xb5], "Light"),
    ([0x10, 0xd0, 0xb6], "Light"),
    ([0x10, 0xd0, 0xb7], "Light"),
    ([0x11, 0x22, 0xb8], "Light"),
    ([0x11, 0xbb, 0x10], "Light"),
    ([0x11, 0x07, 0x60], "Fan"),
    ([0x10, 0xe0, 0x50], "Vacuum"),
    ([0x10, 0xfb, 0xa8], "Vacuum"),
    ([0x11, 0x3e, 0x10], "Art Frame"),
    ([0x11, 0x03, 0x78], "Keypad Vision"),
    ([0x11, 0x51, 0x98], "Keypad Vision"),
];

fn long_model(service: Bytes<'_>) -> Option<&'static str> {
    let ends = [service.len().checked_sub(3)?, service.len().checked_sub(4)?];
    ends.iter().find_map(|at| {
        let code: [u8; 3] = service.array(*at).ok()?;
        LONG_MODELS.iter().find(|(known, _)| *known == code).map(|(_, model)| *model)
    })
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let device = DeviceData::of(&packet.advertisement)
        .ok_or(BleProblem::Layout("its service data, which contains the model, is missing: scan actively"))?;
    // Bit 7 says that the device is encrypted for commands, which does not matter here.
    let code = device.service.u8(0)? & 0x7f;
    let model = match code {
        0 => long_model(device.service).ok_or(BleProblem::Layout("its model is not known"))?,
        _ => short_model(code).ok_or(BleProblem::Layout("its model is not known"))?,
    };
    out.note("model", model);
    match model {
        "Meter" | "Outdoor Meter" | "Meter Pro" => sensors::meter(device, out),
        "Meter Pro CO2" => sensors::meter_co2(device, out),
        "Weather Station" => sensors::weather(device, out),
        "Contact Sensor" => sensors::contact(device, out),
        "Motion Sensor" => sensors::motion(device, out),
        "Presence Sensor" => sensors::presence(device, out),
        "Leak Detector" => sensors::leak(device, out),
        "Hub 2" | "Hub Mini Matter" => sensors::hub(device, out),
        "Hub 3" => sensors::hub_3(device, out),
        "Climate Panel" => sensors::climate_panel(device, out),
        "Radiator Thermostat" => sensors::radiator(device, out),
        "Evaporative Humidifier" => sensors::humidifier(device, out),
        "Curtain" => switches::curtain(device, out),
        "Blind Tilt" => switches::blind(device, out),
        "Roller Shade" => switches::shade(device, out),
        "Bot" => switches::bot(device, out),
        "Plug Mini" => switches::plug(device, out),
        "Relay Switch 1" => switches::relay(device, out),
        "Relay Switch 1PM" => switches::relay_with_power(device, out),
        "Relay Switch 2PM" => switches::two_relays(device, out),
        "Garage Door Opener" => switches::garage(device, out),
        "Lock" | "Lock Lite" => switches::lock(device, out),
        "Lock Pro" | "Lock Ultra" => switches::lock_pro(device, out),
        "Light" => switches::light(device, out),
        "Fan" => switches::fan(device, out),
        "Air Purifier" => switches::relay(device, out),
        "Humidifier" => switches::humidifier(device, out),
        "Vacuum" => switches::battery_at(12, device, out),
        "Vacuum K10" => switches::battery_at(8, device, out),
        "Art Frame" | "Keypad Vision" => switches::battery_at(7, device, out),
        _ => {
            device.battery(out);
            Ok(())
        }
    }
}

/// By a letter; the capital one says that the device waits to be added.
fn short_model(code: u8) -> Option<&'static str> {
    Some(match code {
        b'T' | b't' | b'i' | b'I' => "Meter",
        b'w' | b'W' => "Outdoor Meter",
        b'4' | 0x14 => "Meter Pro",
        b'5' | 0x15 => "Meter Pro CO2",
        b'd' | b'D' => "Contact Sensor",
        b's' | b'S' => "Motion Sensor",
        b'&' | 0x06 => "Leak Detector",
        b'v' | b'V' => "Hub 2",
        b'%' | 0x05 => "Hub Mini Matter",
        b'#' | 0x03 => "Evaporative Humidifier",
        b'c' | b'C' | b'{' | b'[' => "Curtain",
        b'x' | b'X' => "Blind Tilt",
        b',' | 0x0c => "Roller Shade",
        b'H' | b'h' => "Bot",
        b'g' | b'G' | b'j' | b'J' => "Plug Mini",
        b';' | 0x1b => "Relay Switch 1",
        b'<' | 0x1c => "Relay Switch 1PM",
        b'=' | 0x1d => "Relay Switch 2PM",
        b'>' | 0x1e => "Garage Door Opener",
        b'o' | b'O' => "Lock",
        b'-' | 0x0d => "Lock Lite",
        b'$' | 0x04 => "Lock Pro",
        b'u' | b'U' | b'q' | b'Q' | b'n' | b'N' | b'r' | b'R' => "Light",
        b'~' => "Fan",
        b'*' | b'+' | b'7' | b'8' | 0x0a | 0x0b | 0x17 | 0x18 => "Air Purifier",
        b'e' | b'E' => "Humidifier",
        b'.' | b'3' | b'z' | b'Z' | 0x0f | 0x13 => "Vacuum",
        b'(' | b'}' | b']' | 0x08 => "Vacuum K10",
        b'y' | b'Y' => "Keypad",
        b'b' | b'B' => "Remote",
        _ => return None,
    })
}
