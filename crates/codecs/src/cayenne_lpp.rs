//! `cayenne-lpp`: Cayenne Low Power Payload, with the types that ElectronicCats' and pycayennelpp's libraries added.
//!
//! - A frame is a list of: channel (1 byte), type (1 byte), value (big endian, as long as the type says).
//! - A metric is the type's name in the words of zigbee2mqtt, and the channel: `temperature_3`, `accelerometer_42.x`.
//! - Presence, switches and digital pins count 0 and 1. Accelerations stay in g, angular velocities in °/s.
//! - A frame that breaks off, or holds a type that is not in the table, is refused whole: after an unknown type no decoder
//!   knows where the next value begins.

use serde_json::{Map, Value};

use crate::words::Quantity;
use crate::{DecodeError, Input, LppProblem, Measurements};

/// How the values of a type are written, and what they are called.
struct Kind {
    code: u8,
    /// Cayenne's own word, for [`data`].
    name: &'static str,
    /// Ours, for metrics.
    metric: &'static str,
    /// SenML; `""` where there is none.
    unit: &'static str,
    values: &'static [Number],
}

/// One number within a value.
struct Number {
    /// `x` of an accelerometer; `""` where the value is one number.
    name: &'static str,
    /// Length in bytes.
    bytes: usize,
    signed: bool,
    /// What the whole number is divided by.
    per: f64,
}

const fn one(bytes: usize, signed: bool, per: f64) -> Number {
    part("", bytes, signed, per)
}

const fn part(name: &'static str, bytes: usize, signed: bool, per: f64) -> Number {
    Number { name, bytes, signed, per }
}

const fn kind(
    code: u8,
    name: &'static str,
    metric: &'static str,
    unit: &'static str,
    values: &'static [Number],
) -> Kind {
    Kind { code, name, metric, unit, values }
}

/// Lists of points: their length is their own affair, and no measurement is in them.
const POLYLINE: u8 = 240;

/// Sources: Cayenne's documentation (0 to 3, 101 to 104, 113, 115, 134, 136), ElectronicCats/CayenneLPP and pycayennelpp.
const KINDS: [Kind; 27] = [
    kind(0, "digital_input", "digital_input", "", &[one(1, false, 1.0)]),
    kind(1, "digital_output", "digital_output", "", &[one(1, false, 1.0)]),
    kind(2, "analog_input", "analog_input", "", &[one(2, true, 100.0)]),
    kind(3, "analog_output", "analog_output", "", &[one(2, true, 100.0)]),
    kind(100, "generic", "generic", "", &[one(4, false, 1.0)]),
    kind(101, "luminosity", "illuminance", "lx", &[one(2, false, 1.0)]),
    kind(102, "presence", "presence", "", &[one(1, false, 1.0)]),
    kind(103, "temperature", "temperature", "Cel", &[one(2, true, 10.0)]),
    kind(104, "humidity", "humidity", "%RH", &[one(1, false, 2.0)]),
    kind(113, "accelerometer", "accelerometer", "", &XYZ_PER_1000),
    kind(115, "barometer", "pressure", "hPa", &[one(2, false, 10.0)]),
    kind(116, "voltage", "voltage", "V", &[one(2, false, 100.0)]),
    kind(117, "current", "current", "A", &[one(2, false, 1000.0)]),
    kind(118, "frequency", "frequency", "Hz", &[one(4, false, 1.0)]),
    kind(120, "percentage", "percentage", "/100", &[one(1, false, 1.0)]),
    kind(121, "altitude", "altitude", "m", &[one(2, true, 1.0)]),
    kind(122, "load", "load", "kg", &[one(3, true, 1000.0)]),
    kind(125, "concentration", "concentration", "ppm", &[one(2, false, 1.0)]),
    kind(128, "power", "power", "W", &[one(2, false, 1.0)]),
    kind(130, "distance", "distance", "m", &[one(4, false, 1000.0)]),
    kind(131, "energy", "energy", "kWh", &[one(4, false, 1000.0)]),
    kind(132, "direction", "direction", "", &[one(2, false, 1.0)]),
    kind(133, "unix_time", "unix_time", "s", &[one(4, false, 1.0)]),
    kind(134, "gyrometer", "gyrometer", "", &XYZ_PER_100),
    kind(135, "colour", "colour", "", &RED_GREEN_BLUE),
    kind(136, "gps", "gps", "", &POSITION),
    kind(142, "switch", "switch", "", &[one(1, false, 1.0)]),
];

const XYZ_PER_1000: [Number; 3] =
    [part("x", 2, true, 1000.0), part("y", 2, true, 1000.0), part("z", 2, true, 1000.0)];
const XYZ_PER_100: [Number; 3] =
    [part("x", 2, true, 100.0), part("y", 2, true, 100.0), part("z", 2, true, 100.0)];
const RED_GREEN_BLUE: [Number; 3] =
    [part("r", 1, false, 1.0), part("g", 1, false, 1.0), part("b", 1, false, 1.0)];
const POSITION: [Number; 3] =
    [part("lat", 3, true, 10_000.0), part("lon", 3, true, 10_000.0), part("alt", 3, true, 100.0)];

/// Of these, 0 and 1 are two states and no numbers.
const TWO_VALUED: [u8; 4] = [0, 1, 102, 142];

pub(crate) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    out.begin_record();
    let mut name = out.take_scratch();
    let read = walk(input.payload, |channel, kind, number, value| {
        name.clear();
        push_name(&mut name, kind.metric, channel);
        if !number.name.is_empty() {
            name.push('.');
            name.push_str(number.name);
        }
        let boolean = TWO_VALUED.contains(&kind.code) && (value == 0.0 || value == 1.0);
        out.push(&name, Quantity { value, boolean })?;
        match unit(kind, number) {
            "" => Ok(()),
            unit => {
                out.set_unit(&name, unit);
                Ok(())
            }
        }
    });
    out.return_scratch(name);
    read
}

/// As Cayenne's libraries name it: `{"temperature_3": 21.5, "gps_1": {"lat": …, "lon": …, "alt": …}}`.
pub(crate) fn data(input: &Input<'_>) -> Result<Value, DecodeError> {
    let mut found = Map::new();
    walk(input.payload, |channel, kind, number, value| {
        let mut name = String::new();
        push_name(&mut name, kind.name, channel);
        if number.name.is_empty() {
            found.insert(name, Value::from(value));
        } else if let Value::Object(parts) = found.entry(name).or_insert_with(|| Value::Object(Map::new())) {
            parts.insert(number.name.to_owned(), Value::from(value));
        }
        Ok(())
    })?;
    Ok(Value::Object(found))
}

/// Gives every number of the frame to `each`.
fn walk(
    frame: &[u8],
    mut each: impl FnMut(u8, &Kind, &Number, f64) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut rest = frame;
    while !rest.is_empty() {
        let at = frame.len() - rest.len();
        let refused = |problem| DecodeError::Lpp { at, problem };
        let [channel, code, values @ ..] = rest else { return Err(refused(LppProblem::Truncated)) };
        let kind = kind_of(*code).map_err(refused)?;
        rest = values;
        for number in kind.values {
            let (bytes, behind) =
                rest.split_at_checked(number.bytes).ok_or(refused(LppProblem::Truncated))?;
            rest = behind;
            each(*channel, kind, number, whole(bytes, number.signed) / number.per)?;
        }
    }
    Ok(())
}

fn kind_of(code: u8) -> Result<&'static Kind, LppProblem> {
    if code == POLYLINE {
        return Err(LppProblem::Polyline);
    }
    let found = KINDS.binary_search_by_key(&code, |kind| kind.code).ok().and_then(|index| KINDS.get(index));
    found.ok_or(LppProblem::UnknownType { code })
}

/// Up to four bytes, big endian.
fn whole(bytes: &[u8], signed: bool) -> f64 {
    let value = bytes.iter().fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
    let is_negative = signed && bytes.first().is_some_and(|first| *first >= 0x80);
    let value = if is_negative { value - (1 << (8 * bytes.len())) } else { value };
    value as f64
}

/// `temperature_3`, without the machinery of `format!`: this is the hot path.
fn push_name(name: &mut String, metric: &str, channel: u8) {
    name.push_str(metric);
    name.push('_');
    let digits = [channel / 100, channel / 10 % 10, channel % 10];
    let leading = if channel >= 100 {
        0
    } else if channel >= 10 {
        1
    } else {
        2
    };
    name.extend(digits.iter().skip(leading).map(|digit| char::from(b'0' + digit)));
}

fn unit(kind: &Kind, number: &Number) -> &'static str {
    match number.name {
        "lat" => "lat",
        "lon" => "lon",
        "alt" => "m",
        _ => kind.unit,
    }
}
