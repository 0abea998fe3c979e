//! `thermopro`: ThermoPro's hygrometers TP35x and TP39x and meat probes TP96x and TP97x, known by their names.
//!
//! Source: as documented by the Theengs decoder's device pages; the first two bytes are what Bluetooth has for the company
//! id. Hygrometers: C2, temperature ×10, humidity, battery (2 bits). Probes of 7 bytes: number, core + 30 °C, raw
//! battery, ambient + 30 °C. Probes of 23 bytes: number, ambient + 54 °F, raw battery, tip, middle and end + 54 °F.

use super::readings::{Readings, celsius, rounded};
use super::{BleProblem, Bytes, Packet, joined};

pub(super) fn is_name(name: &str) -> bool {
    ["TP35", "TP39", "TP96", "TP97"].iter().any(|family| name.starts_with(family))
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let Some((id, data)) = packet.newest(|_| true) else { return Ok(()) };
    let whole = joined(id, data);
    let data = Bytes(&whole);
    let name = packet.advertisement.name().unwrap_or_default();
    out.note("model", name.split(' ').next().unwrap_or_default());
    match data.len() {
        23 if name.starts_with("TP97") => probe_of_three(data, out),
        7 | 13 if name.starts_with("TP9") => probe(data, out),
        6.. if name.starts_with("TP3") => hygrometer(data, out),
        _ => Err(BleProblem::Layout("its model sends no data of this length")),
    }
}

fn hygrometer(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    const LEVELS: [f64; 3] = [1.0, 50.0, 100.0];
    if let Some(level) = LEVELS.get(usize::from(data.u8(4)? & 3)) {
        out.measure("battery", *level);
    }
    if data.part(1, 3)?.0 == [0xff; 3] {
        return Ok(());
    }
    out.measure("temperature", f64::from(data.i16(1)?) / 10.0);
    out.measure("humidity", data.number(3)?);
    Ok(())
}

fn probe(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let number = usize::from(data.u8(0)?) + 1;
    out.measure_of("core_temperature", number, f64::from(data.u16(1)?) - 30.0);
    out.measure_of("ambient_temperature", number, f64::from(data.u16(5)?) - 30.0);
    out.measure_of("battery", number, battery(data.u16(3)?));
    Ok(())
}

fn probe_of_three(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let number = usize::from(data.u8(0)?) + 1;
    let places = [("core_temperature", 5), ("middle_temperature", 9), ("end_temperature", 13)];
    for (metric, at) in places {
        out.measure_of(metric, number, celsius(data.from(at)?.f32()? - 54.0));
    }
    out.measure_of("ambient_temperature", number, celsius(f64::from(data.u16(1)?) - 54.0));
    out.measure_of("battery", number, battery(data.u16(3)?));
    Ok(())
}

/// The maker's raw number along a curve that others have fitted to what its program shows.
fn battery(raw: u16) -> f64 {
    let percent = 52.317_286 * (f64::from(raw) / 273.624_278 - 8.764_854).tanh() + 51.069_25;
    rounded(percent.clamp(0.0, 100.0))
}
