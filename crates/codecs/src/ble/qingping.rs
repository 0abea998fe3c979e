//! `qingping`: Qingping's (Cleargrass') own format, service data of 0xFDCD.
//!
//! Source: developer.qingping.co, "Bluetooth broadcast protocol": frame control, product, address (6 bytes, reversed), then
//! objects: id, length, data in little endian. An unknown object is passed over.

use super::advertisement::Uuid;
use super::readings::Readings;
use super::{BleProblem, Bytes, Packet};

pub(super) const SERVICE: Uuid = Uuid::short(0xfdcd);

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.service(SERVICE).ok_or(BleProblem::Unknown)?;
    out.note("product", data.u8(1)?);
    let mut rest = data.from(8)?;
    while !rest.is_empty() {
        let (id, length) = (rest.u8(0)?, usize::from(rest.u8(1)?));
        object(id, rest.part(2, length)?, out)?;
        rest = rest.from(2 + length)?;
    }
    Ok(())
}

fn object(id: u8, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    match (id, data.len()) {
        (0x01, 4) => {
            out.measure("temperature", f64::from(data.i16(0)?) / 10.0);
            out.measure("humidity", f64::from(data.u16(2)?) / 10.0);
        }
        (0x02, 1) => out.measure("battery", data.number(0)?),
        // 0 open, 1 closed, 2 left open.
        (0x04, 1) => out.state("contact", data.u8(0)? == 1),
        (0x07, 2) => out.measure("pressure", f64::from(data.u16(0)?) / 10.0),
        (0x08, 4) => {
            out.state("occupancy", data.u8(0)? != 0);
            out.measure("illuminance", f64::from(data.u24(1)?));
        }
        (0x09, 4) => out.measure("illuminance", f64::from(data.u32(0)?)),
        (0x11, 1) => out.state("light", data.u8(0)? != 0),
        (0x12, 4) => {
            out.measure("pm25", f64::from(data.u16(0)?));
            out.measure("pm10", f64::from(data.u16(2)?));
        }
        (0x13, 2) => out.measure("co2", f64::from(data.u16(0)?)),
        (0x0f, 1) => out.note("sequence", data.u8(0)?),
        _ => {}
    }
    Ok(())
}
