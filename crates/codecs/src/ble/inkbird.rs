//! `inkbird`: Inkbird's hygrometers, pool and meat thermometers, as far as their advertisements hold readings. Known by
//! their names, and IAM-T2 and newer hygrometers by their company ids.
//!
//! Source: as documented by the Theengs decoder's device pages. Older models put temperature into the company id.
//!
//! | bytes with the id | models | layout |
//! |---|---|---|
//! | 9 | IBS-TH (`sps`), IBS-TH2, IBS-P01B (`tps`) | temperature ×100, humidity ×100, …, battery at 7 |
//! | 18 | ITH-11-B, ITH-13-B, ITH-21-B, IBS-P02B | temperature ×10 at 6, humidity ×10 at 8, battery at 10 |
//! | 17 | IAM-T2 | flags at 9 (bit 1 Fahrenheit), temperature ×10, humidity ×10, CO2, big endian |
//! | 12, 14, 18, 22 | iBBQ, xBBQ | probes ×10 from 10 on, FFFF not plugged in |
//!
//! The others answer only to a connection: their advertisement says nothing that could be measured.

use super::readings::{Readings, celsius};
use super::{BleProblem, Bytes, Packet, joined};

/// ITH-xx-B and IBS-P02B.
pub(super) const COMPANY_18: u16 = 0x2449;
/// IAM-T2.
pub(super) const COMPANY_IAM_T2: u16 = 0x3254;

const NAMES: [&str; 9] =
    ["sps", "tps", "ibs-p02b", "ith-11-b", "ith-13-b", "ith-21-b", "ibbq", "xbbq", "ink@"];
/// Advertisements without a reading.
const BY_CONNECTION: [&str; 5] = ["ink@iam-t1", "ink@iht-2pb", "int-11p-b", "int-11i-b", "idt-34c-b"];
const NOT_PLUGGED_IN: i16 = -1;

pub(super) fn is_name(name: &str) -> bool {
    let starts = |known: &str| name.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known));
    NAMES.into_iter().chain(BY_CONNECTION).any(starts)
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let name = packet.advertisement.name().unwrap_or_default().to_ascii_lowercase();
    if BY_CONNECTION.iter().any(|known| name.starts_with(known)) {
        return Err(BleProblem::Closed(
            "this model sends its readings only over a connection, which `connect` of the adapter opens",
        ));
    }
    // Some send a second entry, of company 2, which is none of a sensor.
    let Some((id, data)) = packet.newest(|id| id != 2) else { return Ok(()) };
    let whole = joined(id, data);
    let data = Bytes(&whole);
    let is_bbq = name.starts_with("ibbq") || name.starts_with("xbbq");
    match data.len() {
        12 | 14 | 18 | 22 if is_bbq => probes(data.from(10)?, out),
        9 => short(&name, data, out),
        18 => long(data, out),
        17 if id == COMPANY_IAM_T2 => air(data, out),
        _ => Err(BleProblem::Layout("its model sends no data of this length")),
    }
}

fn short(name: &str, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let humidity = data.u16(2)?;
    // Models without the sensor send 0; those for water something else in its place.
    let has_humidity = name != "tps" || humidity != 0;
    if has_humidity {
        out.measure("humidity", percent("humidity", f64::from(humidity) / 100.0)?);
    }
    out.measure("battery", percent("battery", data.number(7)?)?);
    out.measure("temperature", f64::from(data.i16(0)?) / 100.0);
    Ok(())
}

fn long(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let humidity = data.u16(8)?;
    if humidity != 0 {
        out.measure("humidity", percent("humidity", f64::from(humidity) / 10.0)?);
    }
    out.measure("battery", percent("battery", data.number(10)?)?);
    out.measure("temperature", f64::from(data.i16(6)?) / 10.0);
    Ok(())
}

fn air(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let temperature = f64::from(data.i16_be(10)?) / 10.0;
    let fahrenheit = data.u8(9)? & 0x02 != 0;
    out.measure("humidity", percent("humidity", f64::from(data.u16_be(12)?) / 10.0)?);
    out.measure("temperature", if fahrenheit { celsius(temperature) } else { temperature });
    out.measure("co2", f64::from(data.u16_be(14)?));
    Ok(())
}

fn probes(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    for number in 0..data.len() / 2 {
        let value = data.i16(2 * number)?;
        if value != NOT_PLUGGED_IN {
            out.measure_of("probe_temperature", number + 1, f64::from(value) / 10.0);
        }
    }
    Ok(())
}

fn percent(what: &'static str, value: f64) -> Result<f64, BleProblem> {
    if value > 100.0 { Err(BleProblem::Implausible(what)) } else { Ok(value) }
}
