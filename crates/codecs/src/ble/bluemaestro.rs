//! `bluemaestro`: Blue Maestro's Tempo Discs and Pebble, company 0x0133.
//!
//! Source: Blue Maestro, "Tempo Disc Bluetooth Sensor Beacon and Data Logger: API"; big endian, the Pebble's little endian:
//! model, battery, interval, number of records, temperature ×10, humidity ×10, dew point ×10 (or pressure ×10), mode.

use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0x0133;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    let model = data.u8(0)?;
    out.note("model", model);
    match model {
        0x01 => {
            out.measure("temperature", f64::from(data.i16(3)?) / 10.0);
            out.measure("humidity", data.number(7)?);
            out.measure("pressure", f64::from(data.u16(8)?));
        }
        0x16 | 0x17 | 0x1b => {
            out.measure("battery", data.number(1)?);
            out.measure("temperature", f64::from(data.i16_be(6)?) / 10.0);
            out.measure("humidity", f64::from(data.u16_be(8)?) / 10.0);
            let last = f64::from(data.i16_be(10)?) / 10.0;
            out.measure(if model == 0x1b { "pressure" } else { "dew_point" }, last);
        }
        _ => return Err(BleProblem::Layout("its model is not known")),
    }
    Ok(())
}
