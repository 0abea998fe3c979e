//! `aranet`: SAF Tehnika's Aranet4, Aranet2, Aranet Radiation and Aranet Radon, company 0x0702. "Smart Home integrations"
//! must be switched on in the device's app, else it sends only its version.
//!
//! Source: the maker's Aranet4-Python, advertisements. Behind a byte for the kind, which an Aranet4 leaves out: flags
//! (bit 5 integrations), version (3), then, little endian:
//!
//! | kind | from byte | |
//! |---|---|---|
//! | 0 Aranet4 | 9 | CO2, temperature ×20, pressure ×10, humidity, battery, colour, interval, age |
//! | 1 Aranet2 | 8 | -, temperature ×20, -, humidity ×10, -, battery, status, interval, age, counter |
//! | 2 Radiation | 6 | dose in nSv (4), its seconds (4), rate in nSv/h, -, battery, -, interval, age, counter |
//! | 3 Radon | 8 | Bq/m³, temperature ×20, pressure ×10, humidity ×10, -, battery, colour, interval, age, counter |

use super::readings::Readings;
use super::{BleProblem, Bytes, Packet};

pub(super) const COMPANY: u16 = 0x0702;
const INTEGRATIONS: u8 = 1 << 5;
/// Without the kind's byte.
const ARANET4_LENGTHS: [usize; 2] = [7, 22];

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    let is_4 = match packet.advertisement.name() {
        Some(name) if name.starts_with("Aranet") => name.starts_with("Aranet4"),
        _ => ARANET4_LENGTHS.contains(&data.len()),
    };
    let (kind, data) = if is_4 { (0, data) } else { (data.u8(0)?, data.from(1)?) };
    if data.u8(0)? & INTEGRATIONS == 0 {
        return Err(BleProblem::Closed(
            "the device keeps its readings to itself; switch on \"Smart Home integrations\" in the Aranet Home app",
        ));
    }
    out.note("firmware", format!("{}.{}.{}", data.u8(3)?, data.u8(2)?, data.u8(1)?));
    match kind {
        0 => aranet4(data.from(8)?, out),
        1 => aranet2(data.from(7)?, out),
        2 => radiation(data.from(5)?, out),
        3 => radon(data.from(7)?, out),
        _ => Err(BleProblem::Layout("its kind is not Aranet4, 2, Radiation or Radon")),
    }
}

fn aranet4(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.note("model", "Aranet4");
    let data = data.at_least(9)?;
    let co2 = data.u16(0)?;
    if is_valid(co2) {
        out.measure("co2", f64::from(co2));
    }
    temperature(data.u16(2)?, out);
    pressure(data.u16(4)?, out);
    out.measure("humidity", data.number(6)?);
    out.measure("battery", data.number(7)?);
    out.note("status", data.u8(8)?);
    Ok(())
}

fn aranet2(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.note("model", "Aranet2");
    temperature(data.at_least(16)?.u16(2)?, out);
    humidity(data.u16(6)?, out);
    out.measure("battery", data.number(9)?);
    Ok(())
}

fn radiation(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.note("model", "Aranet Radiation");
    let data = data.at_least(18)?;
    out.measure_in("radiation_dose", f64::from(data.u32(0)?) / 1e9, "Sv");
    out.measure_in("radiation_duration", f64::from(data.u32(4)?), "s");
    let rate = data.u16(8)?;
    if is_valid(rate) {
        out.measure_in("radiation_rate", f64::from(rate) / 1000.0, "uSv/h");
    }
    out.measure("battery", data.number(11)?);
    Ok(())
}

fn radon(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    /// From here on the number says what is wrong.
    const ERRORS: u16 = 0x1f00;
    out.note("model", "Aranet Radon");
    let radon = data.at_least(16)?.u16(0)?;
    if radon < ERRORS {
        out.measure_in("radon", f64::from(radon), "Bq/m3");
    }
    // The smaller model has neither of the two and sends 0.
    let (warmth, damp) = (data.u16(2)?, data.u16(6)?);
    if warmth != 0 {
        temperature(warmth, out);
    }
    if damp != 0 {
        humidity(damp, out);
    }
    pressure(data.u16(4)?, out);
    out.measure("battery", data.number(9)?);
    Ok(())
}

fn is_valid(raw: u16) -> bool {
    raw >> 15 == 0
}

fn temperature(raw: u16, out: &mut Readings<'_>) {
    // In two's complement, but for the bit that says that there is none.
    const NONE: u16 = 1 << 14;
    if raw & NONE == 0 || raw >> 15 == 1 {
        out.measure("temperature", f64::from(raw.cast_signed()) / 20.0);
    }
}

fn pressure(raw: u16, out: &mut Readings<'_>) {
    if is_valid(raw) {
        out.measure("pressure", f64::from(raw) / 10.0);
    }
}

fn humidity(raw: u16, out: &mut Readings<'_>) {
    if is_valid(raw) {
        out.measure("humidity", f64::from(raw) / 10.0);
    }
}
