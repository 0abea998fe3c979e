//! `oral-b`: Oral-B toothbrushes, company 0x00DC.
//!
//! Source: as documented by the oralb-io project: protocol, model, firmware, state, pressure and buttons, minutes, seconds,
//! mode, sector, and of newer models seconds in the sector and number of sectors.

use super::readings::Readings;
use super::{BleProblem, Packet};

pub(super) const COMPANY: u16 = 0x00dc;

const STATES: [&str; 11] = [
    "unknown",
    "initializing",
    "idle",
    "running",
    "charging",
    "setup",
    "flight_menu",
    "",
    "menu",
    "off",
    "statistics",
];
const RUNNING: u8 = 3;
const PRESSED_TOO_HARD: u8 = 0x80;

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = packet.advertisement.manufacturer(COMPANY).ok_or(BleProblem::Unknown)?;
    if !matches!(data.len(), 9 | 11) {
        return Err(BleProblem::Layout("it has neither 9 nor 11 bytes"));
    }
    let state = data.u8(3)?;
    out.note("model", data.u8(1)?);
    out.note("state", STATES.get(usize::from(state)).copied().unwrap_or("unknown"));
    out.state("brushing", state == RUNNING);
    out.state("pressed_too_hard", data.u8(4)? & PRESSED_TOO_HARD != 0);
    out.measure_in("duration", data.number(5)? * 60.0 + data.number(6)?, "s");
    out.measure("mode", data.number(7)?);
    out.measure("sector", f64::from(data.u8(8)? & 0x07));
    if let Ok(seconds) = data.number(9) {
        out.measure_in("sector_duration", seconds, "s");
    }
    Ok(())
}
