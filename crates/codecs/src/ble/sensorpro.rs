//! `sensorpro`: SensorPro's and Brifit's T201 and T301, company 0xAA55.
//!
//! Source: as documented by ble_monitor's Brifit page; big endian: 1, model, address, voltage ×100, temperature ×100,
//! humidity ×100, battery.

use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0xaa55;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    if data.u8(0)? != 1 {
        return Err(BleProblem::Layout("its first byte is not 1"));
    }
    out.note("model", data.u8(1)?);
    out.measure("voltage", f64::from(data.u16_be(8)?) / 100.0);
    out.measure("temperature", f64::from(data.i16_be(10)?) / 100.0);
    out.measure("humidity", f64::from(data.u16_be(12)?) / 100.0);
    out.measure("battery", data.number(14)?);
    Ok(())
}
