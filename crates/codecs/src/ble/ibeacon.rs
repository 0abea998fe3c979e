//! `ibeacon`: Apple's iBeacon, and Tilt hydrometers, which are iBeacons of eight known UUIDs (`tilt`).
//!
//! Source: Apple, "Proximity Beacon Specification": company 0x004C, type 2, length 21, UUID (16 bytes), major and minor (big
//! endian), power at 1 m (dBm). Tilt: tilthydrometer.com, "Tilt hydrometer iBeacon data format".
//!
//! An iBeacon measures nothing: its reception is the information. [`identity`] names it independently of its address, which may
//! change.

use super::advertisement::Advertisement;
use super::readings::{Readings, celsius};
use super::{BleProblem, Bytes, Packet};

pub(super) const COMPANY: u16 = 0x004c;
const PREFIX: [u8; 2] = [0x02, 0x15];
const LENGTH: usize = 23;

/// `a495bb10-c5b1-4b44-b512-1370f02d74de/100/7`: UUID, major, minor.
pub(super) fn identity(advertisement: &Advertisement<'_>) -> Option<String> {
    let data = find(advertisement)?;
    let uuid = u128::from_be_bytes(data.array(2).ok()?);
    let (major, minor) = (data.u16_be(18).ok()?, data.u16_be(20).ok()?);
    Some(format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}/{major}/{minor}",
        uuid >> 96,
        uuid >> 80 & 0xffff,
        uuid >> 64 & 0xffff,
        uuid >> 48 & 0xffff,
        uuid & 0xffff_ffff_ffff
    ))
}

pub(super) fn find<'a>(advertisement: &Advertisement<'a>) -> Option<Bytes<'a>> {
    let data = advertisement.manufacturer(COMPANY)?;
    (data.len() >= LENGTH && data.0.starts_with(&PREFIX)).then_some(data)
}

pub(super) fn is_one(advertisement: &Advertisement<'_>) -> bool {
    find(advertisement).is_some()
}

/// A Tilt's UUID is A495BB?0-C5B1-4B44-B512-1370F02D74DE; the digit is its colour.
const TILT: u128 = 0xa495_bb00_c5b1_4b44_b512_1370_f02d_74de;
const COLOURS: [&str; 8] = ["red", "green", "black", "purple", "orange", "blue", "yellow", "pink"];
/// A Tilt Pro has one more place behind the point, so that its gravity is above this.
const PRO: f64 = 5000.0;

fn tilt_colour(data: Bytes<'_>) -> Option<&'static str> {
    let uuid = u128::from_be_bytes(data.array(2).ok()?);
    let digit = uuid >> 100 & 0xf;
    let colour = COLOURS.get(usize::try_from(digit.checked_sub(1)?).ok()?)?;
    (uuid == TILT | digit << 100).then_some(colour)
}

pub(super) fn is_tilt(advertisement: &Advertisement<'_>) -> bool {
    find(advertisement).is_some_and(|data| tilt_colour(data).is_some())
}

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = find(&packet.advertisement).ok_or(BleProblem::Unknown)?;
    out.state("presence", true);
    out.measure_in("power_at_1m", f64::from(data.i8(22)?), "dBm");
    if out.noting() {
        out.note("identity", identity(&packet.advertisement));
    }
    Ok(())
}

pub(super) fn decode_tilt(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let data = find(&packet.advertisement).ok_or(BleProblem::Unknown)?;
    let (fahrenheit, gravity) = (f64::from(data.i16_be(18)?), f64::from(data.u16_be(20)?));
    let is_pro = gravity >= PRO;
    out.note("colour", tilt_colour(data));
    out.note("model", if is_pro { "Tilt Pro" } else { "Tilt" });
    out.measure("temperature", celsius(if is_pro { fahrenheit / 10.0 } else { fahrenheit }));
    out.measure("specific_gravity", gravity / if is_pro { 10_000.0 } else { 1000.0 });
    Ok(())
}
