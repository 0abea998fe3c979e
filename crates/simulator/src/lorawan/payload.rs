//! Encodes readings in few bytes: as Cayenne LPP, or as the `node` codec's layout of five bytes. The format depends on the device,
//! so that a building has both.

use crate::device::{Sample, Values, cut};

/// The decoding of a device's payloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) codec: &'static str,
    /// The codec's metrics and the device's own names for them.
    pub(super) rename: Vec<(String, &'static str)>,
}

/// The bytes, their FPort and the number of their readings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) port: u8,
    pub(super) bytes: Vec<u8>,
    pub(super) readings: u32,
}

/// A value of Cayenne LPP: type, length in bytes, steps per unit, and the codec's name for it.
struct Lpp {
    code: u8,
    bytes: usize,
    per: f64,
    metric: &'static str,
}

const LPP_PORT: u8 = 1;
const NODE_PORT: u8 = 2;

const fn lpp(code: u8, bytes: usize, per: f64, metric: &'static str) -> Lpp {
    Lpp { code, bytes, per, metric }
}

/// `None` for metrics that Cayenne LPP has no type for, or that are too long for a frame.
fn kind(metric: &str) -> Option<Lpp> {
    Some(match metric {
        "contact" => lpp(0, 1, 1.0, "digital_input"),
        "water" => lpp(100, 4, 1.0, "generic"),
        "illuminance" => lpp(101, 2, 1.0, "illuminance"),
        "occupancy" => lpp(102, 1, 1.0, "presence"),
        "temperature" => lpp(103, 2, 10.0, "temperature"),
        "humidity" => lpp(104, 1, 2.0, "humidity"),
        "pressure" => lpp(115, 2, 10.0, "pressure"),
        "battery" | "soil_moisture" => lpp(120, 1, 1.0, "percentage"),
        "co2" => lpp(125, 2, 1.0, "concentration"),
        "power" => lpp(128, 2, 1.0, "power"),
        "energy" => lpp(131, 4, 1000.0, "energy"),
        _ => return None,
    })
}

/// The channel of each value is its index.
fn channels(values: &Values) -> impl Iterator<Item = (u8, &'static str, f64, Lpp)> {
    (1..)
        .zip(values)
        .filter_map(|(channel, (metric, value))| Some((channel, *metric, value.number(), kind(metric)?)))
}

/// Temperature in 0.1 °C, humidity in %, and the voltage of a full battery in 0.01 V, in five bytes; `None` if the sample has other values than these and CO2.
fn short(device: usize, values: &Values) -> Option<[u8; 5]> {
    match values.as_slice() {
        [("temperature", temperature), ("humidity", humidity), ("co2", _)] if device % 2 == 1 => {
            let [high, low] = (scaled(temperature.number(), 10.0) as i16).to_be_bytes();
            let [voltage_high, voltage_low] = FULL_BATTERY.to_be_bytes();
            Some([high, low, scaled(humidity.number(), 1.0) as u8, voltage_high, voltage_low])
        }
        _ => None,
    }
}

/// 3.00 V.
const FULL_BATTERY: u16 = 300;

/// `device` is the index in the building.
pub(super) fn form(device: usize, values: &Values) -> Form {
    if short(device, values).is_some() {
        return Form { codec: "node", rename: Vec::new() };
    }
    let rename =
        channels(values).map(|(channel, metric, _, lpp)| (format!("{}_{channel}", lpp.metric), metric));
    Form { codec: "cayenne-lpp", rename: rename.collect() }
}

/// `device` is the index in the building.
pub(super) fn payload(device: usize, sample: &Sample) -> Payload {
    let (port, bytes, readings) = match short(device, &sample.values) {
        Some(frame) => (NODE_PORT, frame.to_vec(), 3),
        None => {
            let bytes = channels(&sample.values).flat_map(|(channel, _, value, lpp)| {
                let [.., a, b, c, d] = scaled(value, lpp.per).to_be_bytes();
                let number = [a, b, c, d];
                let value: Vec<_> = number.into_iter().skip(number.len().saturating_sub(lpp.bytes)).collect();
                [channel, lpp.code].into_iter().chain(value)
            });
            (LPP_PORT, bytes.collect(), channels(&sample.values).count() as u32)
        }
    };
    if sample.cut {
        return Payload { port, bytes: cut(&bytes.into()).to_vec(), readings: 1 };
    }
    Payload { port, bytes, readings }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates")]
fn scaled(value: f64, per: f64) -> i64 {
    (value * per).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Value;

    fn sample(values: Values) -> Sample {
        Sample { values, clock: None, turn: 1, cut: false }
    }

    fn climate() -> Values {
        vec![
            ("temperature", Value::Number(-2.5, 2)),
            ("humidity", Value::Number(45.0, 1)),
            ("co2", Value::Number(800.0, 0)),
        ]
    }

    #[test]
    fn one_of_two_room_sensors_speaks_cayenne_lpp_and_the_other_five_bytes() {
        let even = payload(0, &sample(climate()));
        // Cayenne's documentation: channel, type, big endian.
        assert_eq!(even.bytes, [1, 0x67, 0xff, 0xe7, 2, 0x68, 90, 3, 0x7d, 0x03, 0x20]);
        assert_eq!((even.readings, even.port), (3, LPP_PORT));
        let odd = payload(1, &sample(climate()));
        assert_eq!((odd.bytes, odd.readings, odd.port), (vec![0xff, 0xe7, 45, 0x01, 0x2c], 3, NODE_PORT));
        assert_eq!((form(0, &climate()).codec, form(1, &climate()).codec), ("cayenne-lpp", "node"));
    }

    #[test]
    fn the_new_names_are_the_codecs_with_the_channel() {
        let values = vec![("water", Value::Number(70_000.0, 0)), ("battery", Value::Number(80.0, 0))];
        let rename = [("generic_1".to_owned(), "water"), ("percentage_2".to_owned(), "battery")];
        assert_eq!(form(1, &values).rename, rename);
        assert_eq!(payload(1, &sample(values)).bytes, [1, 100, 0, 1, 0x11, 0x70, 2, 120, 80]);
    }

    #[test]
    fn half_a_payload_counts_as_one_reading() {
        let cut = payload(0, &Sample { cut: true, ..sample(climate()) });
        assert_eq!((cut.bytes.len(), cut.readings), (5, 1));
    }

    #[test]
    fn a_link_quality_has_no_place_on_the_air() {
        let values = vec![("linkquality", Value::Number(90.0, 0)), ("contact", Value::Boolean(true))];
        assert_eq!(payload(0, &sample(values)).bytes, [2, 0, 1]);
    }
}
