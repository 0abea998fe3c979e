//! `govee`: Govee's H5xxx thermometers, hygrometers and probes; buttons and contacts of the H512x family are in [`sealed`].
//!
//! Source: as documented by the Theengs decoder's and ESPHome's device pages; Govee publishes nothing. The company ids are
//! none of Govee's, so that the layout is known by name, length and id together.
//!
//! Most pack temperature and humidity into 24 bits: the highest says below zero, the rest is temperature ×10 × 1000 +
//! humidity ×10. A battery's byte has bit 7 set where the sensor has failed: then nothing was measured.

mod probes;
mod sealed;

use super::advertisement::Advertisement;
use super::readings::Readings;
use super::{BleProblem, Bytes, Packet};

/// H5051, H5052, H5071, H5072, H5074, H5075.
const CLASSIC: u16 = 0xec88;
/// H5100 to H5112, H5140, H5174 to H5179; also Nokia's, who sends nothing.
const NEWER: u16 = 0x0001;
const H5179: u16 = 0x8801;
const H5127: [u16; 2] = [0x8803, 0x8843];
/// H5121 to H5126 and H5130, which send [`CLASSIC`] along.
const SEALED: u16 = 0xef88;
/// What some send with it: an iBeacon that says INTELLI_ROCKS.
const APPLE: u16 = 0x004c;
/// … and what some firmware glues to the end of the data.
const GLUED: usize = 25;
const GLUED_TEXT: &[u8] = b"INTELLI_ROCKS";
/// What the sensors can measure, in °C.
const RANGE: std::ops::RangeInclusive<f64> = -40.0..=100.0;

const NAMES: [&str; 6] = ["GVH", "GV5", "Govee_", "GVPROBE", "B5178", "H51"];

pub(super) fn is_name(name: &str) -> bool {
    NAMES.iter().any(|start| name.starts_with(start))
}

/// Whether a company id with data of this length identifies the format.
pub(super) fn is_company(company: u16, data: &[u8]) -> bool {
    match company {
        CLASSIC | H5179 | SEALED => true,
        NEWER => data.starts_with(&[1, 1]) && matches!(data.len(), 6 | 8 | 9 | 33),
        _ => H5127.contains(&company) || probes::Model::by_company(company).is_some(),
    }
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let name = packet.advertisement.name().unwrap_or_default();
    let mut refused = Err(BleProblem::Layout("its model sends no data of this length"));
    let entries = entries(&packet.advertisement);
    for (company, data) in entries {
        match entry(name, company, unglued(data), out) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(problem) => refused = Err(problem),
        }
    }
    refused
}

/// What is sealed first: its companion holds only the model.
fn entries<'a>(advertisement: &Advertisement<'a>) -> impl Iterator<Item = (u16, Bytes<'a>)> + use<'a> {
    let all = advertisement.manufacturer_data();
    let others = advertisement.manufacturer_data().filter(|(id, _)| !matches!(*id, APPLE | SEALED));
    all.filter(|(id, _)| *id == SEALED).chain(others)
}

fn unglued(data: Bytes<'_>) -> Bytes<'_> {
    let has = data.len() > GLUED && data.0.windows(GLUED_TEXT.len()).any(|part| part == GLUED_TEXT);
    if has { data.part(0, data.len() - GLUED).unwrap_or(data) } else { data }
}

/// Whether it was of a layout that is known.
fn entry(name: &str, company: u16, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<bool, BleProblem> {
    let is = |model: &str| name.contains(model);
    let is_classic = company == CLASSIC;
    let model = match data.len() {
        24 => {
            sealed::decode(data, out)?;
            return Ok(true);
        }
        6 if H5127.contains(&company) || is("H5127") => {
            out.state("presence", data.u8(4)? == 1);
            out.state("occupancy", data.u8(5)? == 0x11);
            "H5127"
        }
        6 if is("H5106") => {
            air(data.u32_be(2)?, out);
            "H5106"
        }
        6 if is_classic || is("H5072") || is("H5075") || is("H5129") => {
            packed(data.from(1)?, out)?;
            "H5075"
        }
        7 if is_classic || is("H5074") => {
            plain(data.from(1)?, out)?;
            "H5074"
        }
        8 if is("5112") => {
            two_probes(data, out)?;
            "H5112"
        }
        8 if is("5140") => {
            with_co2(data, out)?;
            "H5140"
        }
        6 | 8 if company == NEWER => {
            packed(data.from(2)?, out)?;
            "H5100"
        }
        9 if company == H5179 || is("H5179") => {
            plain(data.from(4)?, out)?;
            "H5179"
        }
        9 if company == NEWER || is("5178") => {
            indoors_and_out(data, out)?;
            "H5178"
        }
        9 if is_classic || is("H5051") || is("H5052") || is("H5071") => {
            plain(data.from(1)?, out)?;
            "H5051"
        }
        _ => return probes::decode(name, company, data, out),
    };
    out.note("model", model);
    Ok(true)
}

/// Temperature ×100, humidity ×100, battery, in little endian.
fn plain(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.measure("temperature", f64::from(data.i16(0)?) / 100.0);
    out.measure("humidity", f64::from(data.u16(2)?) / 100.0);
    out.measure("battery", data.number(4)?);
    Ok(())
}

/// Temperature and humidity in 24 bits.
fn unpack(bits: u32) -> (f64, f64) {
    let magnitude = bits & 0x7f_ffff;
    let (warmth, damp) = (f64::from(magnitude / 1000) / 10.0, f64::from(magnitude % 1000) / 10.0);
    (if bits & 0x80_0000 == 0 { warmth } else { -warmth }, damp)
}

/// … then the battery and whether the sensor has failed.
fn packed(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let battery = data.u8(3)?;
    let (temperature, humidity) = unpack(data.u24_be(0)?);
    if battery & 0x80 == 0 && RANGE.contains(&temperature) {
        out.measure("temperature", temperature);
        out.measure("humidity", humidity);
    }
    out.measure("battery", f64::from(battery & 0x7f));
    Ok(())
}

fn with_co2(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let (temperature, humidity) = unpack(data.u24_be(2)?);
    if data.u8(7)? == 0 && RANGE.contains(&temperature) {
        out.measure("temperature", temperature);
        out.measure("humidity", humidity);
        out.measure("co2", f64::from(data.u16_be(5)?));
    }
    Ok(())
}

/// Temperature ×10, humidity ×10 and µg/m³, three decimal digits each; the highest of 32 bits says below zero.
fn air(bits: u32, out: &mut Readings<'_>) {
    let magnitude = bits & 0x7fff_ffff;
    let temperature = f64::from(magnitude / 1_000_000) / 10.0;
    out.measure("temperature", if bits >> 31 == 0 { temperature } else { -temperature });
    out.measure("humidity", f64::from(magnitude % 1_000_000 / 1000) / 10.0);
    out.measure("pm25", f64::from(magnitude % 1000));
}

/// Two probes take turns; only the first has a hygrometer.
fn two_probes(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let number = match data.u8(7)? {
        0x41 => 1,
        0x82 => 2,
        _ => return Err(BleProblem::Layout("it is of neither probe")),
    };
    let battery = data.u8(5)?;
    let (temperature, humidity) = unpack(data.u24_be(2)?);
    if battery & 0x80 == 0 && RANGE.contains(&temperature) {
        out.measure_of("probe_temperature", number, temperature);
        if number == 1 {
            out.measure_of("probe_humidity", number, humidity);
        }
    }
    out.measure("battery", f64::from(battery & 0x7f));
    Ok(())
}

/// H5178 speaks for itself and for its remote sensor outdoors, one at a time.
fn indoors_and_out(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let part = if data.u8(2)? == 1 { "remote_" } else { "" };
    let battery = data.u8(6)?;
    let (temperature, humidity) = unpack(data.u24_be(3)?);
    if battery & 0x80 == 0 && RANGE.contains(&temperature) {
        out.measure_part(part, "temperature", temperature);
        out.measure_part(part, "humidity", humidity);
    }
    out.measure_part(part, "battery", f64::from(battery & 0x7f));
    Ok(())
}
