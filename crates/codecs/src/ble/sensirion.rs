//! `sensirion`: Sensirion's gadgets and development kits, company 0x06D5.
//!
//! Source: Sensirion, arduino-ble-gadget, "BLE communication protocol", and the sample types of arduino-upt-core: type 0,
//! sample type, device id (2 bytes), then words in little endian, which the sample type names.

use super::readings::{Readings, rounded};
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0x06d5;

/// What a word is.
#[derive(Clone, Copy)]
enum Word {
    Temperature,
    Humidity,
    /// As the SHT4x has it, which measures beyond both ends.
    Humidity4,
    Co2,
    Voc,
    Nox,
    /// Up to 1,000 µg/m³.
    Pm25,
    /// In tenths, as the four below.
    Pm25Tenths,
    Pm1,
    Pm4,
    Pm10,
    /// In fifths of a ppb.
    Formaldehyde,
    Velocity,
    Hydrogen,
    Pressure,
}
use Word::{
    Co2, Formaldehyde, Humidity, Humidity4, Hydrogen, Nox, Pm1, Pm4, Pm10, Pm25, Pm25Tenths, Pressure,
    Temperature, Velocity, Voc,
};

const SAMPLES: [(u8, &[Word]); 21] = [
    (3, &[Temperature, Humidity, Voc]),
    (4, &[Temperature, Humidity]),
    (6, &[Temperature, Humidity4]),
    (8, &[Temperature, Humidity, Co2]),
    (10, &[Temperature, Humidity, Co2]),
    (12, &[Temperature, Humidity, Co2, Pm25]),
    (14, &[Temperature, Humidity, Formaldehyde]),
    (16, &[Temperature, Humidity, Voc, Pm25]),
    (20, &[Temperature, Humidity, Co2, Voc, Pm25, Formaldehyde]),
    (22, &[Temperature, Humidity, Voc, Nox]),
    (24, &[Temperature, Humidity, Voc, Nox, Pm25Tenths]),
    (26, &[Temperature, Humidity, Co2, Voc, Nox, Pm25Tenths]),
    (28, &[Temperature, Humidity, Co2, Pm25Tenths]),
    (30, &[Temperature, Humidity, Voc, Pm25Tenths]),
    (31, &[Temperature, Humidity, Co2, Voc, Pm25Tenths, Formaldehyde]),
    (34, &[Pm1, Pm25Tenths, Pm4, Pm10]),
    (36, &[Co2]),
    (38, &[Velocity, Temperature]),
    (40, &[Temperature, Humidity, Hydrogen, Pressure]),
    (42, &[Temperature, Humidity, Pm25]),
    (44, &[Temperature, Humidity, Formaldehyde, Voc, Nox, Pm25]),
];

/// The largest word.
const FULL: f64 = 65_535.0;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    if data.u8(0)? != 0 {
        return Err(BleProblem::Layout("its advertisement type is not 0"));
    }
    let sample = data.u8(1)?;
    let known = SAMPLES.iter().find(|(known, _)| *known == sample);
    let (_, words) = known.ok_or(BleProblem::Layout("its sample type is not known"))?;
    if out.noting() {
        out.note("sample_type", sample);
        out.note("device_id", format!("{:04X}", data.u16_be(2)?));
    }
    for (index, word) in words.iter().enumerate() {
        measure(*word, f64::from(data.u16(4 + 2 * index)?), out);
    }
    Ok(())
}

fn measure(word: Word, raw: f64, out: &mut Readings<'_>) {
    let share = raw / FULL;
    match word {
        Temperature => out.measure("temperature", rounded(share * 175.0 - 45.0)),
        Humidity => out.measure("humidity", rounded(share * 100.0)),
        Humidity4 => out.measure("humidity", rounded(share * 125.0 - 6.0).clamp(0.0, 100.0)),
        Co2 => out.measure("co2", raw),
        Voc => out.measure("voc_index", raw),
        Nox => out.measure("nox_index", raw),
        Pm25 => out.measure("pm25", rounded(share * 1000.0)),
        Pm25Tenths => out.measure("pm25", raw / 10.0),
        Pm1 => out.measure("pm1", raw / 10.0),
        Pm4 => out.measure_in("pm4", raw / 10.0, "ug/m3"),
        Pm10 => out.measure("pm10", raw / 10.0),
        Formaldehyde => out.measure_in("formaldehyde", raw / 5.0, "ppb"),
        Velocity => out.measure_in("velocity", rounded(share * 1024.0), "m/s"),
        Hydrogen => out.measure_in("hydrogen", raw / 100.0, "/100"),
        Pressure => out.measure("pressure", raw),
    }
}
