//! `teltonika`: Teltonika's EYE sensors (company 0x089A) and Blue Puck and Coin (0x0757).
//!
//! Source: wiki.teltonika-gps.com, "EYE sensor: Bluetooth frame": version, flags, then what the flags say is there, big
//! endian: temperature ×100, humidity, movements (15 bits below "moving"), pitch and roll, battery above 2 V in 10 mV.
//! Puck and Coin: a type, then little endian.

use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const EYE: u16 = 0x089a;
pub(super) const PUCK: u16 = 0x0757;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    if packet.advertisement.manufacturer(EYE).is_some() { eye(packet, out) } else { puck(packet, out) }
}

fn eye(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(EYE).ok_or(BleProblem::Unknown)?;
    let flags = data.u8(1)?;
    let has = |bit: u8| flags >> bit & 1 == 1;
    let mut rest = data.from(2)?;
    if has(0) {
        out.measure("temperature", f64::from(rest.i16_be(0)?) / 100.0);
        rest = rest.from(2)?;
    }
    if has(1) {
        out.measure("humidity", rest.number(0)?);
        rest = rest.from(1)?;
    }
    // The magnet is there while the door is closed.
    if has(2) {
        out.state("contact", has(3));
    }
    if has(4) {
        let bits = rest.u16_be(0)?;
        out.state("moving", bits >> 15 == 1);
        out.measure("movements", f64::from(bits & 0x7fff));
        rest = rest.from(2)?;
    }
    if has(5) {
        out.measure("pitch", f64::from(rest.i8(0)?));
        out.measure("roll", f64::from(rest.i16_be(1)?));
        rest = rest.from(3)?;
    }
    out.state("battery_low", has(6));
    if has(7) {
        out.measure("voltage", 2.0 + rest.number(0)? / 100.0);
    }
    Ok(())
}

fn puck(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let entries = packet.advertisement.manufacturer_data().filter(|(company, _)| *company == PUCK);
    for (_, data) in entries {
        match data.u8(0)? {
            0x12 => out.measure("temperature", f64::from(data.i16(1)?) / 100.0),
            0x21 => {
                out.measure("humidity", data.number(1)?);
                out.measure("temperature", f64::from(data.i16(3)?) / 100.0);
            }
            0xf1 => out.measure("battery", data.number(1)?),
            _ => {}
        }
    }
    Ok(())
}
