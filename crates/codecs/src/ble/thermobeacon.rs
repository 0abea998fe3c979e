//! `thermobeacon`: ThermoBeacon, Thermoplus and Brifit's round hygrometers, whose company id is the model's number.
//!
//! Source: as documented by the Theengs decoder's and BThome community's device pages; little endian. Of 18 bytes: button
//! (1, bit 7), address (2 to 7), mV (8), temperature (10) and humidity (12) in sixteenths, seconds in use (14). Packets
//! of 20 bytes hold the highest and lowest values and are no measurement.

use super::readings::{Readings, rounded};
use super::{BleProblem, Packet};

/// Models.
pub(super) const COMPANIES: [u16; 7] = [0x10, 0x11, 0x14, 0x15, 0x18, 0x1b, 0x30];
const CURRENT: usize = 18;
const EXTREMES: usize = 20;

pub(super) fn is_one(company: u16, data: &[u8]) -> bool {
    COMPANIES.contains(&company) && matches!(data.len(), CURRENT | EXTREMES)
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let (model, data) = packet
        .newest(|id| COMPANIES.contains(&id))
        .ok_or(BleProblem::Layout("its newest value cannot be determined"))?;
    out.note("model", model);
    match data.len() {
        CURRENT => {}
        EXTREMES => return Ok(()),
        _ => return Err(BleProblem::Layout("it has neither 18 nor 20 bytes")),
    }
    let (temperature, humidity) = (f64::from(data.i16(10)?) / 16.0, f64::from(data.u16(12)?) / 16.0);
    if temperature > 100.0 {
        return Err(BleProblem::Implausible("temperature"));
    }
    if humidity > 100.0 {
        return Err(BleProblem::Implausible("humidity"));
    }
    let millivolts = f64::from(data.u16(8)?);
    out.measure("temperature", rounded(temperature));
    out.measure("humidity", rounded(humidity));
    out.measure("voltage", millivolts / 1000.0);
    out.measure("battery", rounded(battery(millivolts)));
    out.state("button", data.u8(1)? & 0x80 != 0);
    Ok(())
}

/// How full a CR2477 is, as the maker's program shows it: straight lines between these points.
fn battery(millivolts: f64) -> f64 {
    const POINTS: [(f64, f64, f64); 4] =
        [(3000.0, 100.0, 0.0), (2600.0, 60.0, 0.1), (2500.0, 40.0, 0.2), (2450.0, 20.0, 0.4)];
    let point = POINTS.iter().find(|(from, _, _)| millivolts >= *from);
    point.map_or(0.0, |(from, percent, slope)| percent + (millivolts - from) * slope)
}
