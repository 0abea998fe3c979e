//! `sensorpush`: SensorPush HT1, HT.w, HTP.xw and TC.x, whose company id is the first two bytes of the data.
//!
//! Source: as documented by SensorPush's Bluetooth API for the ranges and steps of each model. Newer models pack their
//! values as digits of one number, each with as many steps as its range has; the first byte holds the page (bits 0 and
//! 1, only page 0 has values) and the model. The HT1 has the raw words of its Sensirion SHT2x.
//!
//! Since the company id varies, a stack that accumulates data collects several: the newest is the one not seen before.

use super::advertisement::Uuid;
use super::readings::{Readings, rounded};
use super::{BleProblem, Bytes, Packet, joined};

pub(super) const SERVICE_HT1: Uuid = Uuid(0xef09_0000_11d6_42ba_93b8_9dd7_ec09_0aa9);
pub(super) const SERVICE: Uuid = Uuid(0xef09_0000_11d6_42ba_93b8_9dd7_ec09_0ab0);

/// An iBeacon that it sends along.
const APPLE: u16 = 0x004c;
const PAGE: u8 = 0x03;

/// A metric, its range from, to, and step, and what its unit is divided by.
struct Digit(&'static str, f64, f64, f64, f64);

const HTP: [Digit; 3] = [
    Digit("temperature", -40.0, 140.0, 0.0025, 1.0),
    Digit("humidity", 0.0, 100.0, 0.0025, 1.0),
    Digit("pressure", 30_000.0, 125_000.0, 1.0, 100.0),
];
const HT: [Digit; 2] =
    [Digit("temperature", -40.0, 125.0, 0.0025, 1.0), Digit("humidity", 0.0, 100.0, 0.0025, 1.0)];
const TC: [Digit; 1] = [Digit("temperature", -200.0, 1800.0, 0.0625, 1.0)];

/// Whether a device of this name is one.
pub(super) fn is_name(name: &str) -> bool {
    name == "s" || name.starts_with("SensorPush")
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let newest = packet.newest(|id| id != APPLE);
    let Some((id, data)) = newest else { return Ok(()) };
    let whole = joined(id, data);
    let data = Bytes(&whole);
    if packet.advertisement.name() == Some("s") {
        return ht1(data, out);
    }
    let first = data.u8(0)?;
    if first & PAGE != 0 {
        return Ok(());
    }
    let (model, digits): (_, &[Digit]) = match first >> 2 {
        0 => ("HTP.xw", &HTP),
        1 => ("HT.w", &HT),
        2 => ("TC.x", &TC),
        _ => return Err(BleProblem::Layout("the model is not HT1, HT.w, HTP.xw or TC.x")),
    };
    out.note("model", model);
    let mut rest = data.from(1)?.whole();
    for Digit(metric, from, to, step, per) in digits {
        let range = to - from;
        // As many as the range has steps, and both ends.
        let steps = (range / step + step / 2.0).floor() + 1.0;
        let (value, left) = divide(rest, steps);
        rest = left;
        out.measure(metric, rounded(value * step + from) / per);
    }
    Ok(())
}

/// Remainder and quotient by a small whole number.
fn divide(number: u64, by: f64) -> (f64, u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a constant below 100,000")]
    let by = (by as u64).max(1);
    ((number % by) as f64, number / by)
}

fn ht1(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    const HT1: u32 = 1;
    let bits = data.u32(0)?;
    if bits >> 26 & 0x1f != HT1 {
        return Ok(());
    }
    let (humidity, temperature) = (f64::from(bits & 0xfff), f64::from(bits >> 12 & 0x3fff));
    out.note("model", "HT1");
    out.measure("temperature", rounded(temperature / 16_384.0 * 175.72 - 46.85));
    out.measure("humidity", rounded(humidity / 4096.0 * 125.0 - 6.0).clamp(0.0, 100.0));
    Ok(())
}
