//! `mopeka`: Mopeka's ultrasonic tank sensors Pro Check, Pro Plus, Pro-200, TD40 and Lippert's BottleCheck; company
//! 0x0059 with service 0xFEE5.
//!
//! Source: as documented by ESPHome's mopeka_pro_check component: model, battery (volts ×32), button (bit 7) and
//! temperature + 40, level (14 bits) and quality (2 bits), last 3 bytes of the address, position x and y.
//! The level is that of propane, by the maker's polynomial in the temperature.

use super::advertisement::Uuid;
use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0x0059;
pub(super) const SERVICE: Uuid = Uuid::short(0xfee5);

const MODELS: [u8; 10] = [0x03, 0x04, 0x05, 0x06, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x12];
const PROPANE: [f64; 3] = [0.573_045, -0.002_822, -0.000_005_35];
const LENGTH: usize = 10;

/// The company id is that of the chip's maker; devices of other makers use it too.
pub(super) fn is_one(data: &[u8]) -> bool {
    data.len() == LENGTH && data.first().is_some_and(|model| MODELS.contains(model))
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    let model = data.u8(0)?;
    // The end of its own address in it makes sure that it is one of these.
    let own = packet.address.is_some_and(|address| address.0.get(3..) == data.0.get(5..8));
    if !is_one(data.0) || !(own || packet.advertisement.offers(SERVICE)) {
        return Err(BleProblem::Unknown);
    }
    out.note("model", model);
    let (button, raw) = (data.u8(2)? & 0x80 != 0, f64::from(data.u8(2)? & 0x7f));
    let voltage = data.number(1)? / 32.0;
    out.measure("battery_voltage", voltage);
    out.measure("battery", ((voltage - 2.2) / 0.65 * 1000.0).round().clamp(0.0, 1000.0) / 10.0);
    out.measure("temperature", raw - 40.0);
    out.state("button", button);
    let level = data.u16(3)?;
    let quality = level >> 14;
    out.measure("quality", f64::from(quality));
    if quality > 0 {
        let [zero, one, two] = PROPANE;
        let millimetres = f64::from(level & 0x3fff) * (zero + one * raw + two * raw * raw);
        out.measure_in("level", millimetres.floor() / 1000.0, "m");
    }
    Ok(())
}
