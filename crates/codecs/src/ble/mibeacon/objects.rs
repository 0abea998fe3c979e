//! The objects of MiBeacon: what an id means, and in which unit.
//!
//! Source: the platform's list of object ids ("Mi Bluetooth Beacon: attributes and events"), and for 0x48xx and later the
//! MIoT specifications of the models, whose objects several models share.

use super::super::readings::{Readings, rounded};
use super::super::{BleProblem, Bytes, mi_scale};
use super::{buttons, locks};

/// How a value is written, in little endian.
#[derive(Clone, Copy)]
enum Form {
    /// As long as the object, divided by a number.
    Unsigned(f64),
    Signed(f64),
    /// A float of four bytes, rounded to two places.
    Float,
    /// Not zero.
    State,
    /// Zero.
    Not,
}
use Form::{Float, Not, Signed, State, Unsigned};

/// (id, metric, SenML unit or "", length, form), in the order of the ids: those that mean one thing in all models.
const OBJECTS: &[(u16, &str, &str, usize, Form)] = &[
    (0x000a, "temperature", "", 2, Signed(100.0)),
    (0x1004, "temperature", "", 2, Signed(10.0)),
    (0x1006, "humidity", "", 2, Unsigned(10.0)),
    (0x1008, "moisture", "/100", 1, Unsigned(1.0)),
    (0x1009, "conductivity", "", 2, Unsigned(1.0)),
    (0x100a, "battery", "", 1, Unsigned(1.0)),
    (0x1010, "formaldehyde", "mg/m3", 2, Unsigned(100.0)),
    (0x1012, "power_on", "", 1, State),
    (0x1013, "consumable", "/100", 1, Unsigned(1.0)),
    (0x1014, "water_leak", "", 1, State),
    (0x1015, "smoke", "", 1, State),
    (0x1016, "gas", "", 1, State),
    (0x1018, "light", "", 1, State),
    (0x4801, "temperature", "", 4, Float),
    (0x4802, "humidity", "", 1, Unsigned(1.0)),
    (0x4803, "battery", "", 1, Unsigned(1.0)),
    (0x4805, "illuminance", "", 4, Float),
    (0x4806, "water_leak", "", 1, State),
    (0x4808, "humidity", "", 4, Float),
    (0x480c, "contact", "", 1, State),
    (0x483c, "occupancy", "", 1, State),
    (0x483d, "presence_duration", "s", 4, Unsigned(1.0)),
    (0x483e, "absence_duration", "s", 4, Unsigned(1.0)),
    (0x487b, "splash", "", 1, State),
    (0x4a01, "battery_low", "", 1, State),
    (0x4c01, "temperature", "", 4, Float),
    (0x4c02, "humidity", "", 1, Unsigned(1.0)),
    (0x4c03, "battery", "", 1, Unsigned(1.0)),
    (0x4c08, "humidity", "", 4, Float),
    (0x4e01, "battery_low", "", 1, State),
    (0x5003, "battery", "", 1, Unsigned(1.0)),
    (0x5403, "battery", "", 1, Unsigned(1.0)),
    (0x5413, "occupancy_near", "", 1, State),
    (0x5601, "battery_low", "", 1, State),
    (0x5810, "asleep", "", 1, Not),
    (0x6461, "wearing", "", 1, Not),
];

/// For this long after a movement there is one, in seconds.
const STILL_MOVING: f64 = 30.0;

pub(super) fn read(id: u16, data: Bytes<'_>, model: &str, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    match id {
        0x0003 => out.state("occupancy", true),
        0x0006 => fingerprint(data, out)?,
        0x0007 => door(data.u8(0)?, out),
        0x0008 => out.state("armed", data.u8(0)? == 0),
        0x000b => locks::action(data, out)?,
        0x000f => moved_with_light(data, model, out)?,
        0x0010 => toothbrush(data, out)?,
        0x1001 => buttons::press(data, model, out)?,
        0x1005 => {
            out.state("power_on", data.u8(0)? != 0);
            out.measure("temperature", data.number(1)?);
        }
        0x1007 => light(data, model, out)?,
        0x100d => {
            out.measure("temperature", f64::from(data.i16(0)?) / 10.0);
            out.measure("humidity", f64::from(data.u16(2)?) / 10.0);
        }
        0x100e if model == "DSL-C08" => out.state("lock", data.u8(0)? & 1 == 0),
        0x1017 | 0x4818 => out.state("occupancy", data.unsigned() <= STILL_MOVING),
        0x1019 => opening(data.u8(0)?, 0, 2, out),
        0x101b => out.state("occupancy", false),
        0x2000 => body_temperature(data, out)?,
        0x3003 => brushing(data, out)?,
        0x4804 | 0x4a12 => opening(data.u8(0)?, 1, u8::MAX, out),
        // Of one byte or four, by the model.
        0x4851 => out.measure_in("presence_duration", data.unsigned(), "min"),
        0x4852 => out.measure_in("absence_duration", data.unsigned(), "min"),
        0x484e => out.state("occupancy", is_occupied(data.u8(0)?, model)),
        0x4a08 => {
            out.state("occupancy", true);
            out.measure("illuminance", data.f32()?);
        }
        0x4a0f => out.state("tamper", data.u8(0)? == 1),
        0x4a13 if data.u8(0)? == 1 => out.event("", "single"),
        0x4a1a if data.u8(0)? == 1 => out.state("contact", false),
        0x4a68 => water(data.u8(0)?, out),
        0x4a0c..=0x4a0e | 0x4e0c..=0x4e0e | 0x560c..=0x560e => {
            buttons::pressed(id, data, model, out);
        }
        0x4e16 => mi_scale::weight(data, out)?,
        0x6e16 => mi_scale::composition(data, out)?,
        0x5422 => out.note("charging", data.number(0)?),
        _ => plain(id, data, out),
    }
    Ok(())
}

/// An object of the table. One of another length is of a model that means something else by it.
fn plain(id: u16, data: Bytes<'_>, out: &mut Readings<'_>) {
    let place = OBJECTS.binary_search_by_key(&id, |object| object.0).ok();
    let Some((_, metric, unit, length, form)) = place.and_then(|place| OBJECTS.get(place)) else { return };
    if data.len() != *length {
        return;
    }
    let value = match form {
        Unsigned(per) => data.unsigned() / per,
        Signed(per) => data.signed() / per,
        Float => rounded(data.f32().unwrap_or(f64::NAN)),
        State => return out.state(metric, data.unsigned() != 0.0),
        Not => return out.state(metric, data.unsigned() == 0.0),
    };
    if unit.is_empty() { out.measure(metric, value) } else { out.measure_in(metric, value, unit) }
}

fn fingerprint(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    const RESULTS: [&str; 7] =
        ["match", "no_match", "timeout", "low_quality", "insufficient_area", "too_dry", "too_wet"];
    let result = data.u8(4)?;
    out.state("fingerprint", result == 0);
    out.note("key", data.u32(0)?);
    out.note("fingerprint_result", RESULTS.get(usize::from(result)).copied());
    Ok(())
}

/// 0 open, 1 closed, 2 not closed in time, 3 somebody knocks, 4 pried open, 5 stuck.
fn door(state: u8, out: &mut Readings<'_>) {
    match state {
        0 | 2 | 4 => out.state("contact", false),
        1 | 3 | 5 => out.state("contact", true),
        _ => {}
    }
    match state {
        3 => out.event("", "knock"),
        4 => out.state("tamper", true),
        _ => {}
    }
}

fn opening(state: u8, open: u8, left_open: u8, out: &mut Readings<'_>) {
    if state == open || state == left_open {
        out.state("contact", false);
    } else if state == open + 1 {
        out.state("contact", true);
    }
}

fn moved_with_light(data: Bytes<'_>, model: &str, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.state("occupancy", true);
    let value = f64::from(data.u24(0)?);
    match model {
        "MJYD02YL" | "RTCGQ02LM" => out.state("light", value >= 100.0),
        _ => out.measure("illuminance", value),
    }
    Ok(())
}

fn light(data: Bytes<'_>, model: &str, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let value = f64::from(data.u24(0)?);
    match model {
        // These only distinguish light (100) from dark (1).
        "MJYD02YL" | "MCCGQ02HL" => out.state("light", value == 100.0),
        _ => out.measure("illuminance", value),
    }
    Ok(())
}

fn is_occupied(state: u8, model: &str) -> bool {
    if model == "XMOSB01XS" { state == 1 } else { state > 0 }
}

/// 0 and 1 under water and dry again, 2 and 3 splashed and dry again.
fn water(event: u8, out: &mut Readings<'_>) {
    match event {
        0 | 1 => out.state("water_leak", event == 0),
        2 | 3 => out.state("splash", event == 2),
        _ => {}
    }
}

fn toothbrush(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let brushing = data.u8(0)? == 0;
    out.state("brushing", brushing);
    if let Ok(value) = data.number(1) {
        out.measure(if brushing { "counter" } else { "score" }, value);
    }
    Ok(())
}

fn brushing(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    out.state("brushing", data.u8(0)? == 0);
    if let Ok(score) = data.number(5) {
        out.measure("score", score);
    }
    Ok(())
}

/// Of the thermometer MMC-T201-1, whose two sensors make one temperature by a curve that was fitted to its own display.
fn body_temperature(data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let (inner, outer) = (f64::from(data.i16(0)?) / 100.0, f64::from(data.i16(2)?) / 100.0);
    #[expect(clippy::approx_constant, reason = "a number that was fitted")]
    let value = 3.71934e-11 * (0.69314 * inner).exp() - 1.02801e-8 * (0.53871 * outer).exp() + 36.413;
    out.measure("temperature", rounded(value));
    out.measure("battery", data.number(4)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_objects_are_in_order_and_stand_once() {
        assert!(super::OBJECTS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
