//! `hhcc`: the plant sensor HHCCJCY10 of HHCC, service data of 0xFD50. Its older ones speak MiBeacon.
//!
//! Source: as documented by the Theengs decoder's device page; big endian: moisture, temperature ×10, illuminance (3),
//! battery, conductivity.

use super::advertisement::Uuid;
use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const SERVICE: Uuid = Uuid::short(0xfd50);

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.service(SERVICE).ok_or(BleProblem::Unknown)?;
    // Tuya's devices use the same service for other things.
    if data.len() != 9 {
        return Err(BleProblem::Layout("it has not 9 bytes"));
    }
    out.measure_in("moisture", data.number(0)?, "/100");
    out.measure("temperature", f64::from(data.i16_be(1)?) / 10.0);
    out.measure("illuminance", f64::from(data.u24_be(3)?));
    out.measure("battery", data.number(6)?);
    out.measure("conductivity", f64::from(data.u16_be(7)?));
    Ok(())
}
