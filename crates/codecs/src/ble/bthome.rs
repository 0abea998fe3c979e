//! `bthome`: BTHome, versions 1 and 2, plain and encrypted. Shelly's BLU devices speak it, and much that people build.
//!
//! Source: bthome.io/format and bthome.io/encryption (version 2), bthome.io/v1 (version 1).
//!
//! Version 2 (UUID 0xFCD2): a byte of flags (bit 0 encrypted, bit 2 sends on events only, bits 5 to 7 the version), then
//! objects: an id and a value whose length follows from the id. An unknown id ends the reading, since it is unknown
//! where the next one begins; what came before it counts. Encrypted: text, counter (4 bytes), tag (4 bytes); AES-CCM with
//! the nonce address, UUID, flags, counter.
//! Version 1 (0x181C plain, 0x181E encrypted): each object begins with its length (bits 0 to 4) and its type (bits 5
//! to 7). The tag covers one associated byte 0x11; the nonce has no flags.
//!
//! The second value of an object is `temperature_2`, the third `temperature_3`.

use super::advertisement::Uuid;
use super::keys::{Plain, Sealed};
use super::readings::Readings;
use super::{BleProblem, Bytes, Novelty, Packet, shelly_blu};

pub(super) const V2: Uuid = Uuid::short(0xfcd2);
pub(super) const V1: Uuid = Uuid::short(0x181c);
pub(super) const V1_ENCRYPTED: Uuid = Uuid::short(0x181e);

const PACKET_ID: u8 = 0x00;
const BUTTON: u8 = 0x3a;
const DIMMER: u8 = 0x3c;
const TIME: u8 = 0x50;
const TEXT: u8 = 0x53;
const RAW: u8 = 0x54;
const DEVICE_TYPE: u8 = 0xf0;
const FIRMWARE_4: u8 = 0xf1;
const FIRMWARE_3: u8 = 0xf2;

/// How a value is written.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Unsigned, of so many bytes, divided by a number.
    Unsigned(usize, f64),
    Signed(usize, f64),
    /// One byte, 0 or 1.
    State,
    /// 1 where something is open; zigbee2mqtt's `contact` is 1 where it is closed.
    Opening,
}
use Form::{Opening, Signed, State, Unsigned};

/// (id, metric, SenML unit or "" where the name implies it or there is none, form), in the order of the ids.
const OBJECTS: &[(u8, &str, &str, Form)] = &[
    (0x01, "battery", "", Unsigned(1, 1.0)),
    (0x02, "temperature", "", Signed(2, 100.0)),
    (0x03, "humidity", "", Unsigned(2, 100.0)),
    (0x04, "pressure", "", Unsigned(3, 100.0)),
    (0x05, "illuminance", "", Unsigned(3, 100.0)),
    (0x06, "mass", "kg", Unsigned(2, 100.0)),
    (0x07, "mass_lb", "", Unsigned(2, 100.0)),
    (0x08, "dew_point", "", Signed(2, 100.0)),
    (0x09, "count", "", Unsigned(1, 1.0)),
    (0x0a, "energy", "", Unsigned(3, 1000.0)),
    (0x0b, "power", "", Unsigned(3, 100.0)),
    (0x0c, "voltage", "", Unsigned(2, 1000.0)),
    (0x0d, "pm25", "", Unsigned(2, 1.0)),
    (0x0e, "pm10", "", Unsigned(2, 1.0)),
    (0x0f, "state", "", State),
    (0x10, "power_on", "", State),
    (0x11, "contact", "", Opening),
    (0x12, "co2", "", Unsigned(2, 1.0)),
    (0x13, "voc", "ug/m3", Unsigned(2, 1.0)),
    (0x14, "moisture", "/100", Unsigned(2, 100.0)),
    (0x15, "battery_low", "", State),
    (0x16, "charging", "", State),
    (0x17, "carbon_monoxide", "", State),
    (0x18, "cold", "", State),
    (0x19, "connectivity", "", State),
    (0x1a, "contact", "", Opening),
    (0x1b, "contact", "", Opening),
    (0x1c, "gas", "", State),
    (0x1d, "heat", "", State),
    (0x1e, "light", "", State),
    (0x1f, "lock", "", State),
    (0x20, "water_leak", "", State),
    (0x21, "occupancy", "", State),
    (0x22, "moving", "", State),
    (0x23, "occupancy", "", State),
    (0x24, "plug", "", State),
    (0x25, "presence", "", State),
    (0x26, "problem", "", State),
    (0x27, "running", "", State),
    (0x28, "safety", "", State),
    (0x29, "smoke", "", State),
    (0x2a, "sound", "", State),
    (0x2b, "tamper", "", State),
    (0x2c, "vibration", "", State),
    (0x2d, "contact", "", Opening),
    (0x2e, "humidity", "", Unsigned(1, 1.0)),
    (0x2f, "moisture", "/100", Unsigned(1, 1.0)),
    (0x3d, "count", "", Unsigned(2, 1.0)),
    (0x3e, "count", "", Unsigned(4, 1.0)),
    (0x3f, "rotation", "", Signed(2, 10.0)),
    (0x40, "distance", "m", Unsigned(2, 1000.0)),
    (0x41, "distance", "m", Unsigned(2, 10.0)),
    (0x42, "duration", "s", Unsigned(3, 1000.0)),
    (0x43, "current", "", Unsigned(2, 1000.0)),
    (0x44, "speed", "m/s", Unsigned(2, 100.0)),
    (0x45, "temperature", "", Signed(2, 10.0)),
    (0x46, "uv_index", "", Unsigned(1, 10.0)),
    (0x47, "volume", "l", Unsigned(2, 10.0)),
    (0x48, "volume", "l", Unsigned(2, 1000.0)),
    (0x49, "flow", "m3/h", Unsigned(2, 1000.0)),
    (0x4a, "voltage", "", Unsigned(2, 10.0)),
    (0x4b, "gas_volume", "m3", Unsigned(3, 1000.0)),
    (0x4c, "gas_volume", "m3", Unsigned(4, 1000.0)),
    (0x4d, "energy", "", Unsigned(4, 1000.0)),
    (0x4e, "volume", "l", Unsigned(4, 1000.0)),
    (0x4f, "water", "l", Unsigned(4, 1000.0)),
    (0x51, "acceleration", "m/s2", Unsigned(2, 1000.0)),
    (0x52, "gyroscope", "", Unsigned(2, 1000.0)),
    (0x55, "volume_storage", "l", Unsigned(4, 1000.0)),
    (0x56, "conductivity", "", Unsigned(2, 1.0)),
    (0x57, "temperature", "", Signed(1, 1.0)),
    (0x58, "temperature", "", Signed(1, 1.0 / 0.35)),
    (0x59, "count", "", Signed(1, 1.0)),
    (0x5a, "count", "", Signed(2, 1.0)),
    (0x5b, "count", "", Signed(4, 1.0)),
    (0x5c, "power", "", Signed(4, 100.0)),
    (0x5d, "current", "", Signed(2, 1000.0)),
    (0x5e, "direction", "", Unsigned(2, 100.0)),
    (0x5f, "precipitation", "mm", Unsigned(2, 10.0)),
    (0x60, "channel", "", Unsigned(1, 1.0)),
    (0x61, "rotational_speed", "", Unsigned(2, 1.0)),
    (0x62, "speed", "m/s", Signed(4, 1_000_000.0)),
    (0x63, "acceleration", "m/s2", Signed(4, 1_000_000.0)),
    (0x64, "light_level", "", Unsigned(1, 1.0)),
];

const BUTTONS: [(u8, &str); 7] = [
    (0x01, "single"),
    (0x02, "double"),
    (0x03, "triple"),
    (0x04, "long"),
    (0x05, "long_double"),
    (0x06, "long_triple"),
    (0x80, "hold"),
];

/// By id, one more than the place in [`OBJECTS`]; 0 where there is none.
#[expect(clippy::indexing_slicing, reason = "worked out when it is compiled")]
const PLACES: [u8; 256] = {
    let mut places = [0; 256];
    let mut place = 0;
    while place < OBJECTS.len() {
        places[OBJECTS[place].0 as usize] = place as u8 + 1;
        place += 1;
    }
    places
};

pub(super) fn decode(packet: &Packet<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    if out.noting()
        && let Some(model) = shelly_blu::model(&packet.advertisement)
    {
        out.note("model", model);
    }
    if let Some(data) = packet.advertisement.service(V2) {
        return version_2(packet, data, out);
    }
    if let Some(data) = packet.advertisement.service(V1_ENCRYPTED) {
        out.note("version", 1);
        let nonce = [&packet.address()?.0[..], &[0x1e, 0x18]].concat();
        let Some(plain) = open(packet, data, nonce, &[0x11])? else { return Ok(()) };
        return objects_1(packet, Bytes(plain.bytes()), out);
    }
    let data = packet.advertisement.service(V1).ok_or(BleProblem::Unknown)?;
    packet.refuse_plain()?;
    out.note("version", 1);
    objects_1(packet, data, out)
}

fn version_2(packet: &Packet<'_>, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let flags = data.u8(0)?;
    if flags >> 5 != 2 {
        return Err(BleProblem::Layout("its version is not 2"));
    }
    out.note("version", 2);
    // An early draft of version 2 had the address in the data where bit 1 is set.
    let data = data.from(if flags & 2 == 0 { 1 } else { 7 })?;
    if flags & 1 == 0 {
        packet.refuse_plain()?;
        return objects_2(packet, data, out);
    }
    let nonce = [&packet.address()?.0[..], &[0xd2, 0xfc, flags]].concat();
    let Some(plain) = open(packet, data, nonce, &[])? else { return Ok(()) };
    objects_2(packet, Bytes(plain.bytes()), out)
}

/// What is behind text, counter and tag; `None` where it was heard before. `nonce` lacks the counter.
fn open(
    packet: &Packet<'_>,
    data: Bytes<'_>,
    mut nonce: Vec<u8>,
    associated: &[u8],
) -> Result<Option<Plain>, BleProblem> {
    let key = packet.key()?.sixteen()?;
    let text = data.len().checked_sub(8).ok_or(BleProblem::TooShort)?;
    nonce.extend(data.part(text, 4)?.0);
    let sealed =
        Sealed { text: data.part(0, text)?.0, tag: data.part(text + 4, 4)?.0, nonce: &nonce, associated };
    let plain = sealed.open(key)?;
    let heard = packet.counter(packet.address()?, u64::from(data.u32(text)?))?;
    Ok((heard == Novelty::New).then_some(plain))
}

fn objects_2(packet: &Packet<'_>, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let mut rest = data;
    while let Some((id, values)) = rest.0.split_first() {
        let values = Bytes(values);
        let length = match *id {
            TEXT | RAW => usize::from(values.u8(0)?) + 1,
            id => match length(id) {
                Some(length) => length,
                None => return Ok(()),
            },
        };
        if !object(packet, *id, None, values.part(0, length)?, out)? {
            return Ok(());
        }
        rest = values.from(length)?;
    }
    Ok(())
}

/// Version 1 says itself how long and of which type a value is: an unknown one can be passed over.
fn objects_1(packet: &Packet<'_>, data: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let mut rest = data;
    while !rest.is_empty() {
        let control = rest.u8(0)?;
        let length = usize::from(control & 0x1f);
        if length == 0 {
            rest = rest.from(1)?;
            continue;
        }
        let id = rest.u8(1)?;
        let value = rest.part(2, length - 1)?;
        if !object(packet, id, Some(control >> 5), value, out)? {
            return Ok(());
        }
        rest = rest.from(length + 1)?;
    }
    Ok(())
}

/// How long the value is, without its id, in version 2.
fn length(id: u8) -> Option<usize> {
    match id {
        PACKET_ID | BUTTON => Some(1),
        DIMMER | DEVICE_TYPE => Some(2),
        FIRMWARE_3 => Some(3),
        TIME | FIRMWARE_4 => Some(4),
        _ => Some(match entry(id)?.3 {
            Unsigned(length, _) | Signed(length, _) => length,
            State | Opening => 1,
        }),
    }
}

fn entry(id: u8) -> Option<&'static (u8, &'static str, &'static str, Form)> {
    let place = PLACES.get(usize::from(id)).copied()?;
    OBJECTS.get(usize::from(place).checked_sub(1)?)
}

/// Whether to read on: not where the packet was heard before.
fn object(
    packet: &Packet<'_>,
    id: u8,
    kind: Option<u8>,
    value: Bytes<'_>,
    out: &mut Readings<'_>,
) -> Result<bool, BleProblem> {
    match id {
        PACKET_ID => return Ok(packet.number(value.u8(0)?) == Novelty::New),
        BUTTON => button(value.u8(0)?, out),
        DIMMER => dimmer(value, out)?,
        TIME => out.note("timestamp", value.unsigned()),
        TEXT => out.note("text", String::from_utf8_lossy(value.from(1)?.0).into_owned()),
        DEVICE_TYPE => out.note("device_type", value.unsigned()),
        FIRMWARE_4 | FIRMWARE_3 => {
            let parts: Vec<_> = value.0.iter().rev().map(u8::to_string).collect();
            out.note("firmware", parts.join("."));
        }
        _ => {
            let Some((_, metric, unit, form)) = entry(id) else { return Ok(true) };
            measure(metric, unit, *form, kind, value, out)?;
        }
    }
    Ok(true)
}

fn measure(
    metric: &str,
    unit: &str,
    form: Form,
    kind: Option<u8>,
    value: Bytes<'_>,
    out: &mut Readings<'_>,
) -> Result<(), BleProblem> {
    let number = match (form, kind) {
        (State | Opening, _) => {
            out.state_again(metric, (value.u8(0)? != 0) != (form == Opening));
            return Ok(());
        }
        // Version 1 may say otherwise than the table: 0 unsigned, 1 signed, 2 a float.
        (Unsigned(_, per) | Signed(_, per), Some(0)) => value.unsigned() / per,
        (Unsigned(_, per) | Signed(_, per), Some(1)) => value.signed() / per,
        (Unsigned(_, per) | Signed(_, per), Some(2)) => float(value)? / per,
        (Unsigned(_, per), _) => value.unsigned() / per,
        (Signed(_, per), _) => value.signed() / per,
    };
    out.measure_again(metric, number, unit);
    Ok(())
}

/// A float of 2, 4 or 8 bytes.
fn float(value: Bytes<'_>) -> Result<f64, BleProblem> {
    match value.len() {
        2 => Ok(half(value.u16(0)?)),
        4 => Ok(f64::from(f32::from_le_bytes(value.array(0)?))),
        8 => Ok(f64::from_le_bytes(value.array(0)?)),
        _ => Err(BleProblem::Layout("a float has 2, 4 or 8 bytes")),
    }
}

/// IEEE 754 binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    match exponent {
        0 => sign * fraction * 2_f64.powi(-14),
        31 => f64::NAN,
        _ => sign * (1.0 + fraction) * 2_f64.powi(exponent - 15),
    }
}

fn button(code: u8, out: &mut Readings<'_>) {
    let which = out.next_button();
    if let Some((_, what)) = BUTTONS.iter().find(|(known, _)| *known == code) {
        out.event(&which, what);
    }
}

/// Steps to the left count below zero.
fn dimmer(value: Bytes<'_>, out: &mut Readings<'_>) -> Result<(), BleProblem> {
    let steps = value.number(1)?;
    match value.u8(0)? {
        1 => out.measure_again("dimmer", -steps, ""),
        2 => out.measure_again("dimmer", steps, ""),
        _ => {}
    }
    Ok(())
}
