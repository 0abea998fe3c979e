//! `ruuvi`: RuuviTag and Ruuvi Air, data formats 3, 5 (and its short form C5), 6 and E1.
//!
//! Source: docs.ruuvi.com, "Bluetooth advertisements" (company 0x0499, then the number of the format); big endian. Each
//! field has a value that says "not measured": such a field is left out. Format 8 is encrypted with a key of the maker's.

use super::readings::{Readings, rounded};
use super::{BleProblem, Bytes, Packet};

pub(super) const COMPANY: u16 = 0x0499;

/// One thousandth of standard gravity in m/s².
const MILLI_G: f64 = 0.009_806_65;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    let format = data.u8(0)?;
    out.note("data_format", format);
    match format {
        0x03 => format_3(data.at_least(14)?, out),
        0x05 => format_5(data.at_least(18)?, out),
        0xc5 => format_c5(data.at_least(12)?, out),
        0x06 => format_6(data.at_least(17)?, out),
        0xe1 => format_e1(data.at_least(29)?, out),
        0x08 => Err(BleProblem::Closed("Ruuvi's data format 8 is encrypted with a key of the maker's own")),
        _ => Err(BleProblem::Layout("the data format is not 3, 5, C5, 6 or E1")),
    }
}

fn format_3(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.measure("humidity", data.number(1)? / 2.0);
    // Sign and magnitude, then hundredths.
    let whole = data.u8(2)?;
    let magnitude = f64::from(whole & 0x7f) + data.number(3)? / 100.0;
    out.measure("temperature", if whole & 0x80 == 0 { magnitude } else { -magnitude });
    out.measure("pressure", (f64::from(data.u16_be(4)?) + 50_000.0) / 100.0);
    acceleration(data.from(6)?, out)?;
    out.measure("voltage", f64::from(data.u16_be(12)?) / 1000.0);
    Ok(())
}

fn format_5(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    climate(data, out)?;
    acceleration(data.from(7)?, out)?;
    power(data.u16_be(13)?, out);
    counters(data.u8(15)?, data.u16_be(16)?, out);
    Ok(())
}

fn format_c5(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    climate(data, out)?;
    power(data.u16_be(7)?, out);
    counters(data.u8(9)?, data.u16_be(10)?, out);
    Ok(())
}

fn format_6(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    climate(data, out)?;
    particles("pm25", data.u16_be(7)?, out);
    gases(data.u16_be(9)?, data.u8(11)?, data.u8(12)?, data.u8(16)?, out);
    // A logarithmic scale of 254 steps up to 65,535 lx.
    let code = data.number(13)?;
    if code < 255.0 {
        let step = 65_536_f64.ln() / 254.0;
        out.measure("illuminance", (code * step).exp_m1().round());
    }
    Ok(())
}

fn format_e1(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    climate(data, out)?;
    particles("pm1", data.u16_be(7)?, out);
    particles("pm25", data.u16_be(9)?, out);
    particles("pm4", data.u16_be(11)?, out);
    particles("pm10", data.u16_be(13)?, out);
    gases(data.u16_be(15)?, data.u8(17)?, data.u8(18)?, data.u8(28)?, out);
    let illuminance = data.u24_be(19)?;
    if illuminance != 0x00ff_ffff {
        out.measure("illuminance", f64::from(illuminance) / 100.0);
    }
    Ok(())
}

/// Temperature, humidity and pressure, which all formats but 3 have at the same place.
fn climate(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let (temperature, humidity, pressure) = (data.i16_be(1)?, data.u16_be(3)?, data.u16_be(5)?);
    if temperature != i16::MIN {
        out.measure("temperature", f64::from(temperature) / 200.0);
    }
    if humidity != u16::MAX {
        out.measure("humidity", f64::from(humidity) / 400.0);
    }
    if pressure != u16::MAX {
        out.measure("pressure", (f64::from(pressure) + 50_000.0) / 100.0);
    }
    Ok(())
}

fn acceleration(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    for (axis, at) in [("acceleration_x", 0), ("acceleration_y", 2), ("acceleration_z", 4)] {
        let value = data.i16_be(at)?;
        if value != i16::MIN {
            out.measure_in(axis, rounded(f64::from(value) * MILLI_G), "m/s2");
        }
    }
    Ok(())
}

/// 11 bits of voltage and 5 of the sender's power.
fn power(bits: u16, out: &mut Readings<'_>) {
    let (voltage, sent) = (bits >> 5, bits & 0x1f);
    if voltage != 0x7ff {
        out.measure("voltage", (f64::from(voltage) + 1600.0) / 1000.0);
    }
    if sent != 0x1f {
        out.measure_in("tx_power", f64::from(sent) * 2.0 - 40.0, "dBm");
    }
}

fn counters(movements: u8, sequence: u16, out: &mut Readings<'_>) {
    if movements != u8::MAX {
        out.measure("movements", f64::from(movements));
    }
    if sequence != u16::MAX {
        out.note("sequence", sequence);
    }
}

fn particles(metric: &str, tenths: u16, out: &mut Readings<'_>) {
    if tenths != u16::MAX {
        out.measure_in(metric, f64::from(tenths) / 10.0, "ug/m3");
    }
}

/// The indices have 9 bits: the lowest of each is among the flags.
fn gases(co2: u16, voc: u8, nox: u8, flags: u8, out: &mut Readings<'_>) {
    if co2 != u16::MAX {
        out.measure("co2", f64::from(co2));
    }
    for (metric, high, low) in [("voc_index", voc, flags >> 6 & 1), ("nox_index", nox, flags >> 7)] {
        let index = u16::from(high) << 1 | u16::from(low);
        if index != 0x1ff {
            out.measure(metric, f64::from(index));
        }
    }
}
