//! `mikrotik`: MikroTik's TG-BT5-IN and TG-BT5-OUT tags, company 0x094F.
//!
//! Source: help.mikrotik.com, "MikroTik Tag advertisement formats": version, flags (bit 0 encrypted), salt (2), acceleration
//! x, y, z and temperature in 8.8 fixed point, uptime (4), what has happened, battery; little endian.

use super::readings::{Readings, rounded};
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0x094f;
/// The tag for indoors has no thermometer.
const NO_TEMPERATURE: i16 = i16::MIN;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    if data.u8(1)? & 1 != 0 {
        return Err(BleProblem::Closed("this tag encrypts; switch its encryption off in its settings"));
    }
    for (axis, at) in [("acceleration_x", 4), ("acceleration_y", 6), ("acceleration_z", 8)] {
        out.measure_in(axis, rounded(f64::from(data.i16(at)?) / 256.0), "m/s2");
    }
    let temperature = data.i16(10)?;
    if temperature != NO_TEMPERATURE {
        out.measure("temperature", rounded(f64::from(temperature) / 256.0));
    }
    out.measure("uptime", f64::from(data.u32(12)?));
    let flags = data.u8(16)?;
    for (bit, metric) in [(0, "contact"), (1, "tilt"), (2, "drop")] {
        out.state(metric, flags >> bit & 1 == 1);
    }
    out.state("impact", flags & 0x38 != 0);
    out.measure("battery", data.number(17)?);
    Ok(())
}
