//! `gatt`: the value of one GATT characteristic, whose UUID is the topic (`2a6e`; the second of its kind in a device
//! `2a6e/2`), for the Environmental Sensing Service and the other quantities that a building measures.
//!
//! Types, scales and special values are those of Bluetooth SIG's GATT Specification Supplement. What says "not known" or
//! "not valid" measures nothing; "65534 or greater" is 65534; what it prohibits is refused. docs/formats.md has the same
//! table.

use std::ops::RangeInclusive;

use serde_json::{Value, json};

use crate::words::Quantity;
use crate::{DecodeError, Input, Measurements};

use Number::{Medfloat16, Signed, Unsigned};

/// How the bytes, little endian, make a number.
#[derive(Debug, Clone, Copy)]
enum Number {
    /// So many bytes.
    Unsigned(usize),
    /// So many bytes, in two's complement.
    Signed(usize),
    /// ISO/IEEE 11073-20601: four bits of exponent, twelve of mantissa; so many more decimal places in the metric's unit.
    Medfloat16(i32),
}

#[derive(Debug)]
struct Characteristic {
    /// 0000xxxx-0000-1000-8000-00805f9b34fb.
    uuid: u16,
    metric: &'static str,
    /// `""` if it has none or the metric's name implies it.
    unit: &'static str,
    number: Number,
    /// The number over this is the value in the metric's unit.
    per: f64,
    /// Numbers that say that there is no value.
    none: &'static [i64],
    /// Where the specification prohibits or reserves all others.
    allowed: RangeInclusive<i64>,
}

const fn row(
    uuid: u16,
    metric: &'static str,
    unit: &'static str,
    number: Number,
    per: f64,
    none: &'static [i64],
) -> Characteristic {
    Characteristic { uuid, metric, unit, number, per, none, allowed: i64::MIN..=i64::MAX }
}

impl Characteristic {
    const fn within(self, least: i64, most: i64) -> Self {
        Self { allowed: least..=most, ..self }
    }
}

const MAX_16: &[i64] = &[0xffff];
const MAX_24: &[i64] = &[0xff_ffff];
/// Not valid, not known.
const LAST_24: &[i64] = &[0xff_fffe, 0xff_ffff];
const LAST_32: &[i64] = &[0xffff_fffe, 0xffff_ffff];
/// kg/m3 in ug/m3.
const DENSITY: Number = Medfloat16(9);

/// By UUID.
#[rustfmt::skip]
static KNOWN: [Characteristic; 47] = [
    row(0x2a19, "battery", "", Unsigned(1), 1.0, &[]).within(0, 100),
    row(0x2a2c, "magnetic_declination", "deg", Unsigned(2), 100.0, &[]).within(0, 35_999),
    row(0x2a6c, "altitude", "", Signed(3), 100.0, &[]),
    row(0x2a6d, "pressure", "", Unsigned(4), 1000.0, &[]),
    row(0x2a6e, "temperature", "", Signed(2), 100.0, &[-0x8000]).within(-27_315, 32_767),
    row(0x2a6f, "humidity", "", Unsigned(2), 100.0, MAX_16).within(0, 10_000),
    row(0x2a70, "wind_speed", "", Unsigned(2), 100.0, &[]),
    row(0x2a71, "wind_direction", "deg", Unsigned(2), 100.0, &[]).within(0, 35_999),
    row(0x2a72, "apparent_wind_speed", "m/s", Unsigned(2), 100.0, &[]),
    row(0x2a73, "apparent_wind_direction", "deg", Unsigned(2), 100.0, &[]).within(0, 35_999),
    row(0x2a74, "gust_factor", "", Unsigned(1), 10.0, &[]),
    row(0x2a75, "pollen", "1/m3", Unsigned(3), 1.0, &[]),
    row(0x2a76, "uv_index", "", Unsigned(1), 1.0, &[]),
    row(0x2a77, "irradiance", "W/m2", Unsigned(2), 10.0, &[]),
    row(0x2a78, "precipitation", "mm", Unsigned(2), 1.0, &[]),
    row(0x2a79, "wind_chill", "Cel", Signed(1), 1.0, &[]),
    row(0x2a7a, "heat_index", "Cel", Signed(1), 1.0, &[]),
    row(0x2a7b, "dew_point", "", Signed(1), 1.0, &[]),
    row(0x2ae9, "color_temperature", "K", Unsigned(2), 1.0, MAX_16),
    row(0x2aee, "current", "", Unsigned(2), 100.0, MAX_16),
    row(0x2af2, "energy", "", Unsigned(3), 1.0, MAX_24),
    row(0x2afb, "illuminance", "", Unsigned(3), 100.0, MAX_24),
    row(0x2aff, "luminous_flux", "lm", Unsigned(2), 1.0, MAX_16),
    row(0x2b01, "luminous_intensity", "cd", Unsigned(2), 1.0, MAX_16),
    row(0x2b05, "power", "", Unsigned(3), 10.0, LAST_24),
    row(0x2b0d, "temperature", "", Signed(1), 2.0, &[0x7f]),
    row(0x2b18, "voltage", "", Unsigned(2), 64.0, MAX_16),
    row(0x2b1b, "flow", "l/s", Unsigned(2), 1000.0, MAX_16),
    row(0x2b89, "energy_apparent", "kVAh", Unsigned(4), 1000.0, LAST_32),
    row(0x2b8a, "power_apparent", "", Unsigned(3), 10.0, LAST_24),
    row(0x2b8c, "co2", "", Unsigned(2), 1.0, MAX_16),
    row(0x2ba8, "energy", "", Unsigned(4), 1000.0, LAST_32),
    row(0x2bcf, "ammonia", "ug/m3", DENSITY, 1.0, &[]),
    row(0x2bd0, "carbon_monoxide", "ug/m3", DENSITY, 1.0, &[]),
    row(0x2bd1, "methane", "ppb", Medfloat16(0), 1.0, &[]),
    row(0x2bd2, "nitrogen_dioxide", "ug/m3", DENSITY, 1.0, &[]),
    row(0x2bd3, "non_methane_voc", "ug/m3", DENSITY, 1.0, &[]),
    row(0x2bd4, "ozone", "ug/m3", DENSITY, 1.0, &[]),
    row(0x2bd5, "pm1", "", DENSITY, 1.0, &[]),
    row(0x2bd6, "pm25", "", DENSITY, 1.0, &[]),
    row(0x2bd7, "pm10", "", DENSITY, 1.0, &[]),
    row(0x2bd8, "sulfur_dioxide", "ug/m3", DENSITY, 1.0, &[]),
    row(0x2bdf, "temperature", "", Signed(2), 2.0, &[-0x8000, -0x7fff]).within(-546, 32_767),
    row(0x2be0, "voltage", "", Unsigned(3), 64.0, MAX_24),
    row(0x2be4, "noise", "", Unsigned(1), 1.0, &[0xff]),
    row(0x2be7, "voc", "ppb", Unsigned(2), 1.0, MAX_16),
    row(0x2be8, "ac_frequency", "", Unsigned(2), 1.0, &[0xfffe, 0xffff]),
];

/// The end of every UUID that Bluetooth SIG has given out in 16 bits.
const BASE: &str = "-0000-1000-8000-00805f9b34fb";

/// Whether the codec `gatt` reads values of the characteristic `uuid`: four hexadecimal digits, or all 36 characters.
#[must_use]
pub fn reads(uuid: &str) -> bool {
    known(uuid).is_some()
}

pub(crate) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let (metric, unit, value) = read(input)?;
    let Some(value) = value else { return Ok(()) };
    out.begin_record();
    out.push(&metric, Quantity::from(value))?;
    if !unit.is_empty() {
        out.set_unit(&metric, unit);
    }
    Ok(())
}

/// `{"temperature": 21.5}`; null where the device does not know.
pub(crate) fn data(input: &Input<'_>) -> Result<Value, DecodeError> {
    let (metric, _, value) = read(input)?;
    Ok(json!({ metric: value }))
}

fn read(input: &Input<'_>) -> Result<(String, &'static str, Option<f64>), DecodeError> {
    let refused = |problem| DecodeError::Gatt { uuid: input.topic.chars().take(40).collect(), problem };
    let (uuid, which) = input.topic.split_once('/').map_or((input.topic, ""), |(uuid, which)| (uuid, which));
    let characteristic = known(uuid).ok_or_else(|| refused(GattProblem::Unknown))?;
    let value = characteristic.value(input.payload).map_err(refused)?;
    let metric = match which {
        "" | "1" => characteristic.metric.to_owned(),
        which if which.len() <= 3 && which.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{}_{which}", characteristic.metric)
        }
        _ => return Err(refused(GattProblem::Unknown)),
    };
    Ok((metric, characteristic.unit, value))
}

fn known(uuid: &str) -> Option<&'static Characteristic> {
    let uuid = uuid.to_ascii_lowercase();
    let short = uuid.strip_suffix(BASE).and_then(|uuid| uuid.strip_prefix("0000")).unwrap_or(&uuid);
    let is_short = short.len() == 4 && short.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = if is_short { u16::from_str_radix(short, 16).ok()? } else { return None };
    let place = KNOWN.binary_search_by_key(&number, |known| known.uuid).ok()?;
    KNOWN.get(place)
}

impl Characteristic {
    /// In the metric's unit; `None` where the device has none.
    fn value(&self, bytes: &[u8]) -> Result<Option<f64>, GattProblem> {
        let needed = self.number.width();
        if bytes.len() != needed {
            return Err(GattProblem::Length { found: bytes.len(), needed });
        }
        let raw = bytes.iter().rev().fold(0_i64, |value, byte| value << 8 | i64::from(*byte));
        let raw = match self.number {
            Medfloat16(places) => return Ok(medfloat16(raw, places)),
            Unsigned(_) => raw,
            Signed(bytes) => two_complement(raw, 8 * bytes),
        };
        if self.none.contains(&raw) {
            return Ok(None);
        }
        if !self.allowed.contains(&raw) {
            return Err(GattProblem::Prohibited);
        }
        // Divided, 2147 hundredths are the number that 21.47 is; multiplied by 0.01 they are not.
        Ok(Some(raw as f64 / self.per))
    }
}

impl Number {
    const fn width(self) -> usize {
        match self {
            Unsigned(bytes) | Signed(bytes) => bytes,
            Medfloat16(_) => 2,
        }
    }
}

/// Of so many bits: fewer than 64.
const fn two_complement(raw: i64, bits: usize) -> i64 {
    let sign = 1 << (bits - 1);
    (raw ^ sign) - sign
}

/// `None` for the infinities, NaN, "not at this resolution" and the reserved one, which all have the exponent 0.
fn medfloat16(raw: i64, places: i32) -> Option<f64> {
    if (0x07fe..=0x0802).contains(&raw) {
        return None;
    }
    let exponent = two_complement(raw >> 12, 4) as i32 + places;
    let mantissa = two_complement(raw & 0x0fff, 12) as f64;
    let power = 10_f64.powi(exponent.abs());
    Some(if exponent < 0 { mantissa / power } else { mantissa * power })
}

/// What is wrong with the value of a characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GattProblem {
    /// No UUID that the codec knows.
    #[error("the codec gatt does not read it; give it one in `codecs`, or leave it out (docs/formats.md)")]
    Unknown,
    /// Not as many bytes as it has.
    #[error("its value has {found} bytes; the specification says {needed}")]
    Length {
        /// That came.
        found: usize,
        /// That it has.
        needed: usize,
    },
    /// A number that it cannot be.
    #[error("its value is one that the specification prohibits or reserves")]
    Prohibited,
}
