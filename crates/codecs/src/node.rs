//! `node`: the frames of our own firmware, which the crate `wire` defines.
//!
//! - The first sensor of a quantity has the plain name, the one on channel n the name with `_n`: a name never depends on
//!   how many sensors a node has.
//! - A sensor that gave no value makes no measurement.
//! - What was measured some seconds ago has its time, by the arrival; all else is of the arrival.
//! - A frame is taken whole: an unknown version or tag refuses it.

use std::fmt::Write as _;
use std::time::Duration;

use gateway_core::Timestamp;
use serde_json::{Value, json};
use wire::{Channel, Item, Quantity, Reading};

use crate::words::{self, Quantity as Number};
use crate::{DecodeError, Input, Measurements};

pub(crate) fn decode(input: &Input<'_>, out: &mut Measurements) -> Result<(), DecodeError> {
    let mut name = out.take_scratch();
    let decoded = read(input, &mut name, out);
    out.return_scratch(name);
    decoded
}

fn read(input: &Input<'_>, name: &mut String, out: &mut Measurements) -> Result<(), DecodeError> {
    let mut at = None;
    out.begin_record();
    for item in wire::decode(input.payload).map_err(refused)? {
        match item.map_err(refused)? {
            Item::Reading(reading) => push(&reading, name, out)?,
            Item::Time(_) | Item::Sequence(_) | Item::Firmware(_) => {}
            Item::Age(seconds) => {
                end_record(at, out);
                out.begin_record();
                at = Some(input.received_at - Duration::from_secs(u64::from(seconds)));
            }
        }
    }
    end_record(at, out);
    Ok(())
}

fn end_record(at: Option<Timestamp>, out: &mut Measurements) {
    if let Some(at) = at {
        out.set_time(at);
    }
}

fn push(reading: &Reading, name: &mut String, out: &mut Measurements) -> Result<(), DecodeError> {
    let Some(number) = number(reading) else { return Ok(()) };
    write_name(reading, name);
    out.push(name, number)?;
    // Some devices give µg/m³ under this name, so that its unit does not follow from it.
    if reading.quantity == Quantity::Voc {
        out.set_unit(name, "ppb");
    }
    Ok(())
}

/// A list of what the sensors gave, null where one gave nothing.
pub(crate) fn data(input: &Input<'_>) -> Result<Value, DecodeError> {
    let (mut list, mut age, mut name) = (Vec::new(), 0, String::new());
    for item in wire::decode(input.payload).map_err(refused)? {
        match item.map_err(refused)? {
            Item::Age(seconds) => age = seconds,
            Item::Time(_) | Item::Sequence(_) | Item::Firmware(_) => {}
            Item::Reading(reading) => {
                write_name(&reading, &mut name);
                let value = number(&reading).map(|number| number.value);
                list.push(json!({ "metric": name, "value": value, "seconds_ago": age }));
            }
        }
    }
    Ok(list.into())
}

/// The value in the metric's unit.
fn number(reading: &Reading) -> Option<Number> {
    let (quantity, raw) = (reading.quantity, reading.raw?);
    if quantity.is_state() {
        return Some(words::from_bool(raw == 1));
    }
    // Divided, 2147 hundredths are the number that 21.47 is; multiplied by 0.01 they are not.
    Some(Number::from(raw as f64 / f64::from(quantity.divisor())))
}

fn write_name(reading: &Reading, name: &mut String) {
    name.clear();
    name.push_str(reading.quantity.name());
    if reading.channel != Channel::FIRST {
        // Writing to a string cannot fail.
        let _ = write!(name, "_{}", reading.channel.number());
    }
}

fn refused(source: wire::DecodeError) -> DecodeError {
    DecodeError::Node { source }
}
