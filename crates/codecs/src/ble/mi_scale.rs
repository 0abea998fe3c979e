//! `mi-scale`: Xiaomi's scales, by their own two layouts (services 0x181D and 0x181B) and inside MiBeacon.
//!
//! Source: Bluetooth Weight Scale Profile for the service; the layouts as openScale's wiki describes them.
//! `weight` is the stable value of a person who stands still, `weight_moving` the value before.

use super::advertisement::Uuid;
use super::readings::{Readings, rounded};
use super::{BleProblem, Bytes, Packet};

pub(super) const WEIGHT: Uuid = Uuid::short(0x181d);
pub(super) const COMPOSITION: Uuid = Uuid::short(0x181b);

const POUND: f64 = 0.453_592_37;

/// Hundredths of a pound, or two hundredths of a kilogram, which are hundredths of a catty.
fn kilograms(raw: u16, pounds: bool) -> f64 {
    let raw = f64::from(raw);
    if pounds { rounded(raw / 100.0 * POUND) } else { raw / 200.0 }
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    if let Some(data) = packet.advertisement.service(WEIGHT) {
        let flags = data.at_least(10)?.u8(0)?;
        let weight = kilograms(data.u16(1)?, flags & 1 != 0);
        stand(weight, flags & 0x20 != 0, flags & 0x80 != 0, out);
        return Ok(());
    }
    let data = packet.advertisement.service(COMPOSITION).ok_or(BleProblem::Unknown)?.at_least(13)?;
    let (unit, flags) = (data.u8(0)?, data.u8(1)?);
    let weight = kilograms(data.u16(11)?, unit & 1 != 0);
    let (still, gone) = (flags & 0x20 != 0, flags & 0x80 != 0);
    stand(weight, still, gone, out);
    if still && !gone && flags & 0x02 != 0 {
        out.measure_in("impedance", f64::from(data.u16(9)?), "Ohm");
    }
    Ok(())
}

fn stand(weight: f64, still: bool, gone: bool, out: &mut Readings<'_>) {
    out.measure_in("weight_moving", weight, "kg");
    if still && !gone && weight > 0.0 {
        out.measure_in("weight", weight, "kg");
    }
}

/// MiBeacon object 0x4E16: whose profile, weight, time.
pub(super) fn weight(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let weight = data.at_least(9)?.u32(1)?;
    if weight != 0 {
        out.measure_in("weight", f64::from(weight) / 100.0, "kg");
    }
    out.note("profile", data.u8(0)?);
    Ok(())
}

/// MiBeacon object 0x6E16: 11 bits of weight, 7 of the heart's rate, 14 of impedance.
pub(super) fn composition(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let bits = data.at_least(9)?.u32(1)?;
    let (weight, heart, impedance) = (bits & 0x7ff, bits >> 11 & 0x7f, bits >> 18);
    out.note("profile", data.u8(0)?);
    if weight != 0 {
        out.measure_in("weight", f64::from(weight) / 10.0, "kg");
    }
    if (1..127).contains(&heart) {
        out.measure_in("heart_rate", f64::from(heart) + 50.0, "beat/min");
    }
    if impedance != 0 {
        let metric = if weight == 0 && heart == 0 { "impedance_high" } else { "impedance_low" };
        out.measure_in(metric, f64::from(impedance) / 10.0, "Ohm");
    }
    Ok(())
}
