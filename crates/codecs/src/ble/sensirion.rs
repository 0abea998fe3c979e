//! `sensirion`: Sensirion's gadgets and development kits, company 0x06D5.
//!
//! Source: Sensirion, arduino-ble-gadget, "BLE advertisement format": type 0, sample type, device id (2 bytes), then the
//! words of the sensor in little endian.

use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0x06d5;

/// The largest word.
const FULL: f64 = 65_535.0;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    if data.u8(0)? != 0 {
        return Err(BleProblem::Layout("its advertisement type is not 0"));
    }
    let sample = data.u8(1)?;
    out.note("sample_type", sample);
    out.note("device_id", format!("{:04X}", data.u16_be(2)?));
    // SHT4x measures beyond both ends, and with more places than the others.
    let (offset, span, places) = match sample {
        4 | 8 => (0.0, 100.0, 10.0),
        6 => (-6.0, 125.0, 100.0),
        _ => return Err(BleProblem::Layout("its sample type is none of 4 (SHT3x), 6 (SHT4x) and 8 (SCD4x)")),
    };
    let to_places = |value: f64| (value * places).round() / places;
    out.measure("temperature", to_places(f64::from(data.u16(4)?) / FULL * 175.0 - 45.0));
    out.measure("humidity", to_places(f64::from(data.u16(6)?) / FULL * span + offset).clamp(0.0, 100.0));
    if sample == 8 {
        out.measure("co2", f64::from(data.u16(8)?));
    }
    Ok(())
}
