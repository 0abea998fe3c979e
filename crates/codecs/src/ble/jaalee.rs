//! `jaalee`: Jaalee's hygrometer JHT: an iBeacon whose UUID ends in F525 and that has one byte more, or service data of
//! 0xF525.
//!
//! Source: as documented by the Theengs decoder's device page; big endian. iBeacon: temperature and humidity in place of
//! major and minor, power, battery. Service: battery, address (reversed), … temperature and humidity at the end.

use super::advertisement::{Advertisement, Uuid};
use super::readings::{Readings, rounded};
use super::{BleProblem, Bytes, Packet, ibeacon};

pub(super) const SERVICE: Uuid = Uuid::short(0xf525);
const FULL: f64 = 65_535.0;

pub(super) fn is_one(advertisement: &Advertisement<'_>) -> bool {
    find(advertisement).is_some()
}

fn find<'a>(advertisement: &Advertisement<'a>) -> Option<Bytes<'a>> {
    let data = ibeacon::find(advertisement)?;
    (data.len() == 24 && data.u16_be(16) == Ok(0xf525)).then_some(data)
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    if let Some(data) = packet.advertisement.service(SERVICE) {
        let words = data.at_least(11)?.len() - 4;
        out.measure("battery", data.number(0)?);
        return climate(data.from(words)?, out);
    }
    let data = find(&packet.advertisement).ok_or(BleProblem::Unknown)?;
    out.measure("battery", data.number(23)?);
    climate(data.from(18)?, out)
}

fn climate(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.measure("temperature", rounded(f64::from(data.u16_be(0)?) / FULL * 175.0 - 45.0));
    out.measure("humidity", rounded(f64::from(data.u16_be(2)?) / FULL * 100.0));
    Ok(())
}
